"""A provider on loopback: TLS, HTTP/1.1 and HTTP/2, three wire formats, and a journal of everything that arrived.

In a test:  `with Upstream() as upstream: ...; upstream.port, upstream.ca_pem, upstream.journal`
By hand:    `python -m tests.upstream --port 9443 --ca-out ca.pem --log received.jsonl`
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import replace
from pathlib import Path

from tests.upstream import wire_anthropic, wire_google, wire_openai
from tests.upstream.http1 import serve_http1
from tests.upstream.http2 import serve_http2
from tests.upstream.journal import Arriving, Journal, Received
from tests.upstream.pki import TestAuthority, server_context, server_name
from tests.upstream.reply import Call, Reply, call_of, json_reply, plain

AI_HOSTS = (
    "api.openai.com",
    "chatgpt.com",
    "api.anthropic.com",
    "generativelanguage.googleapis.com",
    "cloudcode-pa.googleapis.com",
)
"""Hosts whose wire formats are spoken here."""

HOSTS = (*AI_HOSTS, "github.com", "api.github.com", "example.com", "localhost", "127.0.0.1")
"""Names of the certificate."""

ANSWER = "The local upstream answers every prompt with these ten words."
ALT_SVC = ("alt-svc", 'h3=":443"; ma=86400')
"""On every answer, as real providers send it: a proxy that cannot inspect HTTP/3 must take it out."""


class Upstream:
    """The server, on a thread of its own, from `start` to `stop` (or as a context manager).

    `delay` seconds lie between two pieces of a streamed answer. `override(request) -> Reply | None` is asked first, for
    a test that wants an answer of its own. `authority` may be shared by several servers. `tls=False` speaks plain
    HTTP/1.1. `alpn` narrows the protocols that are offered.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        hosts: Sequence[str] = HOSTS,
        authority: TestAuthority | None = None,
        tls: bool = True,
        alpn: Sequence[str] = ("h2", "http/1.1"),
        answer: str = ANSWER,
        delay: float = 0.02,
        log: Path | None = None,
        keep: int | None = None,
        keep_bodies: bool = True,
        override: Callable[[Received], Reply | None] | None = None,
    ) -> None:
        self.authority = authority or TestAuthority()
        self.journal = Journal(log, keep=keep, keep_bodies=keep_bodies)
        self.delay = delay
        self.override = override
        self.alt_svc = ALT_SVC
        self.port = port
        self._words = _words(answer)
        self._context = server_context(*self.authority.leaf(hosts), alpn) if tls else None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopping: asyncio.Event | None = None
        self._started = threading.Event()
        self._go: asyncio.Event | None = None
        self._hold_after = 0
        self._failure: BaseException | None = None
        self._last: dict[int, threading.Event] = {}

    @property
    def address(self) -> str:
        """`127.0.0.1:port`, the form of `[upstream] hosts`."""
        return f"127.0.0.1:{self.port}"

    @property
    def ca_pem(self) -> bytes:
        return self.authority.pem

    @property
    def answer(self) -> str:
        """The text that every model here says."""
        return "".join(self._words)

    @property
    def words(self) -> tuple[str, ...]:
        """The pieces in which a stream says it."""
        return self._words

    def __enter__(self) -> Upstream:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Bind and serve; returns when connections are accepted. Raises what binding raised."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="upstream", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._failure:
            raise self._failure

    def stop(self) -> None:
        """Close every connection and end the thread."""
        if self._loop and self._stopping and self._thread and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(10)
        self.journal.close()

    def forget(self) -> None:
        """Empty the journal, of connections too that an earlier client opened and that were not accepted yet.

        Connections are accepted in the order in which they came: when one of our own was, none before it is left.
        """
        with socket.socket() as own:
            own.bind(("127.0.0.1", 0))
            here = own.getsockname()[1]
            accepted = self._last[here] = threading.Event()
            own.connect(("127.0.0.1", self.port))
            assert accepted.wait(10), "the upstream does not accept"
        self.journal.clear()

    @contextmanager
    def hold(self, after: int) -> Iterator[Callable[[], None]]:
        """Inside, every streamed answer stops after `after` pieces until the function that this yields is called.

        A client that has a piece in hand while the rest is held back proves that nobody on the way buffers.
        """
        assert self._loop and self._go
        self._hold_after = after
        self._loop.call_soon_threadsafe(self._go.clear)

        def release() -> None:
            assert self._loop and self._go
            self._loop.call_soon_threadsafe(self._go.set)

        try:
            yield release
        finally:
            release()

    async def between(self, sent: int) -> None:
        """What happens before the next piece of a streamed answer, when `sent` of them are out."""
        assert self._go
        await asyncio.sleep(self.delay)
        if sent >= self._hold_after:
            await self._go.wait()

    async def _serve(self) -> None:
        self._loop, self._stopping, self._go = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        self._go.set()
        tasks: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if last := self._last.pop(writer.get_extra_info("peername")[1], None):
                last.set()
                writer.close()
                return
            task = asyncio.current_task()
            assert task
            tasks.add(task)
            try:
                await self._connection(reader, writer)
            except (ConnectionError, ssl.SSLError, TimeoutError):
                pass  # the peer went away; what it had sent is in the journal
            except asyncio.CancelledError:
                pass  # stopping; a raise here would make asyncio.streams log a traceback
            finally:
                tasks.discard(task)
                writer.close()

        try:
            server = await asyncio.start_server(connected, "127.0.0.1", self.port, backlog=1024)
        except OSError as e:
            self._failure = e
            self._started.set()
            return
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stopping.wait()
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = self.journal.connected()
        if self._context:
            # TLS begins after the accept, so that a connection counts also when no handshake follows.
            await writer.start_tls(self._context, ssl_handshake_timeout=10)
        self.journal.shook_hands()
        tls = writer.get_extra_info("ssl_object")
        sni = server_name(tls) if tls else None
        serve = serve_http2 if tls and tls.selected_alpn_protocol() == "h2" else serve_http1
        await serve(self, number, sni, reader, writer)

    def reply_to(self, arrived: Arriving) -> Reply:
        """Enter a complete request into the journal, then say what to answer. Runs on the server's loop."""
        request = arrived.enter(self.journal, complete=True)
        if self.override and (reply := self.override(request)):
            return reply
        try:
            call = call_of(request, bytes(arrived.body), self._words)
        except ValueError as e:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
            return json_reply({"error": {"message": str(e), "type": "invalid_request_error", "code": None}}, 400)
        if many := re.fullmatch(r"words-(\d{1,5})", call.model):
            call = replace(call, words=tuple(f"word{n} " for n in range(int(many[1]))))
        return _dispatch(request.host, call)


def _words(text: str) -> tuple[str, ...]:
    """The text in pieces of one word with its leading space."""
    return tuple(re.findall(r"\s*\S+", text))


def _dispatch(host: str, call: Call) -> Reply:
    if reply := plain(call):
        return reply
    order: tuple[Callable[[Call], Reply | None], ...]
    if "googleapis" in host:
        order = (wire_google.answer,)
    elif "anthropic" in host:
        order = (wire_anthropic.answer,)
    elif "openai" in host or "chatgpt" in host:
        order = (wire_openai.answer,)
    else:
        order = (wire_openai.answer, wire_anthropic.answer, wire_google.answer)
    for answer in order:
        if reply := answer(call):
            return reply
    if call.path == "/":
        return Reply(200, (("content-type", "text/html"),), b"<!doctype html><title>local upstream</title>")
    return json_reply({"error": {"message": f"no such path: {call.path}", "code": 404, "status": "NOT_FOUND"}}, 404)
