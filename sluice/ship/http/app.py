"""A request to the SQL interface, from its head to the last byte of its answer. An ASGI application.

An answer is held back until it is whole or `HELD_BYTES` long (with `wait_end_of_query`, `HELD_TO_THE_END`), so that
what goes wrong until then has its proper status. Later errors end the body with ClickHouse's exception block and break
the connection. Whoever goes away or stops reading ends the question.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Scope, Send

from sluice.ship.http import coding, errors, settings
from sluice.ship.http.answer import Answer, Gone, exception_block
from sluice.ship.http.credentials import Credentials
from sluice.ship.http.request import LONGEST_BODY, Ask, ask_of, credentials_of, fields_of, statement_of
from sluice.ship.reading import Figures, Question, Reading
from sluice.ship.sqlgate import SqlError

log = logging.getLogger("sluice.ship.http")

AT_ONCE = 4
"""Questions that run at the same time; more wait for their turn."""
TURN_SECONDS = 20.0
BODY_SECONDS = 30.0
HELD_BYTES = 1024 * 1024
HELD_TO_THE_END = 32 * 1024 * 1024
CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Engine:
    """What is asked of the store; each raises `SqlError`. `read` admits a question; `select` answers a small one."""

    read: Callable[[Question, Mapping[str, Any]], Reading]
    select: Callable[[str, str], bytes]
    database: str


class App:
    """The application. For one event loop."""

    def __init__(self, engine: Engine, credentials: Credentials) -> None:
        self._engine = engine
        self._credentials = credentials
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._pool = ThreadPoolExecutor(max_workers=4 * AT_ONCE, thread_name_prefix="sql-http")
        self._endings: set[asyncio.Task[None]] = set()
        self._requests: set[asyncio.Task[Any]] = set()
        self._facts: tuple[str, str] | None = None
        self._closing = False

    def stop(self) -> None:
        """Take no more questions and end those that run. In the loop's thread."""
        self._closing = True
        for request in self._requests:
            request.cancel()

    async def ended(self) -> None:
        """When every question has given its connection back."""
        while self._requests or self._endings:
            await asyncio.wait({*self._requests, *self._endings})
        self._pool.shutdown(wait=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        answer = Answer(send)
        task = asyncio.current_task()
        if task:
            self._requests.add(task)
        try:
            await self._serve(scope, receive, answer)
        except SqlError as e:
            await answer.error(e, await self._version())
        except (TimeoutError, Gone):
            log.info("a question over HTTP was cut off: its client went away or stopped reading")
        except Exception as e:  # noqa: BLE001
            # A fault of ours must not take the listener down, and its words might repeat what was asked.
            log.error("a request to the SQL interface failed", extra={"facts": {"error": type(e).__name__}})
            if not answer.started:
                await answer.error(SqlError(1002, "internal error of the SQL interface (UNKNOWN_EXCEPTION)"), "")
        finally:
            if task:
                self._requests.discard(task)

    async def _serve(self, scope: Scope, receive: Receive, answer: Answer) -> None:
        method, path = scope["method"], scope["path"]
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        if method not in ("GET", "HEAD", "POST"):
            await answer.text(405, "only GET, HEAD and POST are supported\n", [(b"allow", b"GET, HEAD, POST")])
        elif path == "/ping" or path == "/replicas_status":
            await answer.text(200, "Ok.\n")
        elif path != "/":
            await answer.text(404, "There is no handle for this path. Use / or /ping for health checks.\n")
        elif method != "POST" and b"query=" not in scope["query_string"]:
            await answer.text(200, "Ok.\n")
        else:
            await self._query(scope, headers, receive, answer)

    async def _query(self, scope: Scope, headers: Mapping[str, str], receive: Receive, answer: Answer) -> None:
        fields = fields_of(scope["query_string"])
        user, given = credentials_of(fields, headers)
        known = await self._credentials.check(user, given)
        if not known:
            if known is None:
                answer.status = 429
            log.warning("a log-in to the SQL interface was refused")
            words = "Authentication failed: password is incorrect, or there is no user with such name"
            raise SqlError(errors.AUTHENTICATION_FAILED, words)
        ask = ask_of(fields, headers, self._engine.database)
        answer.query_id = ask.query_id
        body = await asyncio.wait_for(_body(receive), BODY_SECONDS)
        question = Question(
            sql=statement_of(ask, body, headers.get("content-encoding", "")),
            format=ask.format,
            parameters=ask.parameters,
            settings=settings.admitted(ask.settings, lambda _: False)
            if not ask.settings
            else await self._settings(ask),
        )
        answer.timezone = question.settings.get("session_timezone", "")
        answer.lowered = settings.lowered(ask.settings, question.settings)
        try:
            await asyncio.wait_for(self._turns.acquire(), TURN_SECONDS)
        except TimeoutError as e:
            what = f"Too many simultaneous queries: {AT_ONCE} are running already; try again"
            raise SqlError(errors.TOO_MANY_QUERIES, what) from e
        try:
            await self._ask(question, ask, receive, answer)
        finally:
            self._turns.release()

    async def _settings(self, ask: Ask) -> dict[str, str]:
        """The settings that take effect. In a thread: the engine is asked about unknown names."""

        def is_known(name: str) -> bool:
            sql = f"SELECT count() FROM system.settings WHERE name = '{name}'"  # noqa: S608 - lower-case letters, digits, _
            return self._engine.select(sql, "TSV").strip() == b"1"

        return await self._in_thread(lambda: settings.admitted(ask.settings, is_known))

    async def _ask(self, question: Question, ask: Ask, receive: Receive, answer: Answer) -> None:
        version, timezone = await self._server_facts()
        answer.timezone = answer.timezone or timezone
        reading = await self._admitted(question)
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._pool, reading.run)
        source = os.fdopen(reading.source, "rb", buffering=0)
        stream = asyncio.StreamReader(limit=CHUNK_BYTES)
        gone = asyncio.create_task(_disconnected(receive))
        transport = None
        try:
            transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), source)
            pumping = asyncio.create_task(self._pump(stream, running, reading.format, ask, answer, version))
            try:
                await asyncio.wait({pumping, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not pumping.done() and not answer.finished:
                    raise Gone
                await pumping
            finally:
                pumping.cancel()
        finally:
            gone.cancel()
            if transport:
                transport.close()
            else:
                source.close()
            ending = asyncio.create_task(self._end(reading, running))
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)
            await asyncio.shield(ending)

    async def _admitted(self, question: Question) -> Reading:
        """The question's reading. Not to be interrupted: a connection that nobody closes outlives the engine."""
        if self._closing:
            raise SqlError(errors.NETWORK_ERROR, "the appliance is stopping")
        work = asyncio.ensure_future(self._in_thread(lambda: self._engine.read(question, settings.CEILINGS)))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait({work})
            if not work.cancelled() and not work.exception():
                os.close(work.result().source)
                work.result().close()
            raise

    async def _end(self, reading: Reading, running: asyncio.Future[Figures]) -> None:
        if not running.done():
            await self._in_thread(reading.cancel)
        await asyncio.wait({running})
        running.exception()  # told already, or nobody is left to tell
        await self._in_thread(reading.close)

    async def _pump(
        self,
        stream: asyncio.StreamReader,
        running: asyncio.Future[Figures],
        form: str,
        ask: Ask,
        answer: Answer,
        version: str,
    ) -> None:
        """From the pipe to the client. Raises `SqlError` while nothing was sent yet."""
        most = HELD_TO_THE_END if ask.to_the_end else HELD_BYTES
        held = bytearray()
        while len(held) <= most and (data := await stream.read(CHUNK_BYTES)):
            held += data
        encode = coding.encoder(ask.coding, blocks=ask.blocks)
        if len(held) <= most:
            figures = await running
            whole = await self._in_thread(lambda: encode.feed(bytes(held)) + encode.finish() if held else b"")
            await answer.whole(whole, form, figures, len(held), ask.coding if held else "")
            return
        await answer.begin(form, ask.coding)
        await answer.piece(await self._in_thread(lambda: encode.feed(bytes(held))))
        held.clear()
        while data := await stream.read(CHUNK_BYTES):
            await answer.piece(encode.feed(data))
        try:
            await running
        except SqlError as e:
            block = exception_block(errors.text_of(e, version), answer.tag)
            await answer.piece(encode.feed(block) + encode.flush())
            raise Gone from e  # the connection breaks: whoever does not know the block must not take this for the end
        await answer.end(encode.finish())

    async def _server_facts(self) -> tuple[str, str]:
        """Version and time zone of the engine, asked once."""
        if self._facts is None:
            answer = await self._in_thread(lambda: self._engine.select("SELECT version(), timezone()", "TSV"))
            version, timezone = answer.decode().strip().split("\t")
            self._facts = version, timezone
        return self._facts

    async def _version(self) -> str:
        return self._facts[0] if self._facts else ""

    async def _in_thread[T](self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


async def _body(receive: Receive) -> bytes:
    """The body, at most `LONGEST_BODY` bytes. Raises `SqlError`."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body += message.get("body", b"")
        if len(body) > LONGEST_BODY:
            raise SqlError(errors.QUERY_IS_TOO_LARGE, f"a request holds at most {LONGEST_BODY} bytes")
        if not message.get("more_body"):
            return bytes(body)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
