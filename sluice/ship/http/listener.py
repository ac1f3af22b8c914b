"""The SQL interface's thread: a socket, a server in a loop of its own, and an end that leaves no question open."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Generator
from typing import override

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from sluice.config.settings import endpoint
from sluice.ship.http.app import App, Engine
from sluice.ship.http.credentials import Credentials

log = logging.getLogger("sluice.ship.http")

LONGEST_HEAD = 256 * 1024
"""Bytes of a request head: a GET carries its statement there."""
CONNECTIONS = 64
"""Served; with more open, a request is answered with 503."""
MOST_CONNECTIONS = 128
"""More are closed at once: anybody on this machine could take the descriptors that delivery needs."""
HEAD_SECONDS = 10.0
"""How long the head of a request may take from its first byte on, and the first one from the connection on."""
KEEP_ALIVE_SECONDS = 30


class _Connection(H11Protocol):
    """uvicorn waits for a head without end."""

    _late: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self._wait()

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._wait()
        else:
            self._waited()

    @override
    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and self.conn.trailing_data[0]:  # a part of the next head came with this one
            self._wait()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._waited()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _waited(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class _Server(uvicorn.Server):
    """uvicorn in a thread: signals are the process's, and it writes no log of its own."""

    def __init__(self, app: App) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                http=_Connection,
                ws="none",
                h11_max_incomplete_event_size=LONGEST_HEAD,
                limit_concurrency=CONNECTIONS,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=1,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


class Listener:
    """Serves from `start` to `close`."""

    def __init__(self, listen: str, engine: Engine, password: str) -> None:
        """Bind. Raises OSError when the address cannot be had."""
        self._engine = engine
        self._password = password
        address, port = endpoint(listen)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.create_server((address, port), family=family, backlog=CONNECTIONS)
        # Inherited by every connection. Without it the body of an answer waits 40 ms for the head's acknowledgement.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        host, port, *_ = self._socket.getsockname()
        self.url = f"http://[{host}]:{port}/" if family == socket.AF_INET6 else f"http://{host}:{port}/"
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sql-http", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._app: App | None = None
        self._server: _Server | None = None

    def start(self) -> None:
        """Serve, in a thread of its own."""
        self._thread.start()
        self._started.wait(10)

    @property
    def serving(self) -> bool:
        """False once it has ended, asked to or not."""
        return self._thread.is_alive()

    def close(self, seconds: float) -> bool:
        """Take no more, end what runs, wait; False when something still runs after that time. May be called again."""
        if self._loop and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                self._loop.call_soon_threadsafe(self._stop)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _stop(self) -> None:
        if self._server and self._app:
            self._server.should_exit = True
            self._app.stop()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception:
            # What goes wrong here must not reach shipping; the interface is gone, and the log says so.
            log.exception("the SQL interface has ended")
        finally:
            self._socket.close()
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._app = App(self._engine, Credentials(self._password))
        self._server = _Server(self._app)
        self._started.set()
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            self._app.stop()
            await self._app.ended()
