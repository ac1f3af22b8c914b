"""One client connection: sockets in, sockets out, and the hooks in between.

mitmproxy's `ConnectionHandler` does the work. Changed are four things, each for a reason:
1. Hooks with synchronous listeners run in place, and bytes go into the layers as the socket gives them. Stock creates a
   task for each hook, which waits for a lock that the caller holds, and passes bytes through a buffer and a future:
   six turns of the event loop for a request that needs two.
2. A protocol layer that raises closes the connection. Stock logs the exception with the bytes it was working on and
   leaves the client hanging.
3. After CONNECT the tunnel gets a stack of layers of its own (`http1.Handover`).
4. Nothing is logged but fixed sentences. Stock log lines quote request bytes, keys included.

`_post` does what mitmproxy 12.2.3's `server_event` does, with these changes; a contract test compares the original with
the one that was read, so that an update of mitmproxy cannot pass unseen.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Literal, cast

from mitmproxy import options as moptions
from mitmproxy.connection import Connection
from mitmproxy.proxy import commands, events, mode_specs
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.mode_servers import ProxyConnectionHandler
from mitmproxy.proxy.server import ConnectionIO
from mitmproxy.proxy.server_hooks import ServerConnectedHook

from addons.dispatch import Dispatcher, argument
from addons.http1 import Handover
from addons.http_layer import GateHttpLayer
from addons.state import Core, Line
from addons.tunnel_layers import after_connect

if TYPE_CHECKING:
    from mitmproxy.master import Master

log = logging.getLogger("sluice.connection")

MODE = mode_specs.ProxyMode.parse("regular")

_RUNNING: set[asyncio.Task[None]] = set()


class GateHandler(ProxyConnectionHandler):
    """The life of one client connection."""

    def __init__(
        self,
        master: Master,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        options: moptions.Options,
        dispatcher: Dispatcher,
        core: Core,
    ) -> None:
        super().__init__(master, reader, writer, options, MODE)  # type: ignore[no-untyped-call]
        self.layer = GateHttpLayer(self.layer.context, HTTPMode.regular)
        # The tunnels keep their own time; this is for connections that carry requests.
        self.timeout_watchdog.timeout = max(options.tcp_timeout, int(core.settings.tunnels.idle_seconds) + 60)
        self._dispatcher = dispatcher
        self._core = core
        self._failed = False
        self._posting = False
        self._todo: deque[events.Event] = deque()
        self._attend(self.client)
        self.line = Line(client=self.client, close=self.close)
        core.lines.open(self.line)

    async def handle_client(self) -> None:
        try:
            await super().handle_client()
        finally:
            self._core.lines.close(self.client)

    def _attend(self, conn: Connection) -> None:
        """Take a connection's bytes as they come, and send small writes at once: asyncio sets the latter only for
        sockets that were made with an explicit protocol number."""
        io = self.transports[conn]
        reader, writer = cast("asyncio.StreamReader", io.reader), cast("asyncio.StreamWriter", io.writer)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader.feed_data = partial(self._receive, reader, conn)  # type: ignore[method-assign]

    def close(self) -> None:
        """End the client connection, whatever is under way; what was written is still sent."""
        io = self.transports.get(self.client)
        if io is None:
            return
        if io.handler is not None:
            io.handler.cancel("closed by the gate")
        elif io.writer is not None:
            io.writer.close()

    async def handle_hook(self, hook: commands.StartHook) -> None:
        if isinstance(hook, ServerConnectedHook):
            self._attend(hook.data.server)
        with self.timeout_watchdog.disarm():
            await self._dispatcher.run(hook.name, argument(hook))

    def log(
        self,
        message: str,
        level: int = logging.INFO,
        exc_info: Literal[True] | tuple[type[BaseException], BaseException, TracebackType | None] | None = None,
    ) -> None:
        """mitmproxy's words are dropped: they quote what the client or the upstream sent."""
        if exc_info is not None:
            self._fail(exc_info if exc_info is True else exc_info[1])

    def _fail(self, error: BaseException | Literal[True]) -> None:
        self._failed = True
        self.line.broken = True
        log.error("a protocol layer failed; the connection is closed", exc_info=error)
        self.close()

    async def server_event(self, event: events.Event) -> None:
        self._post(event)

    def _receive(self, reader: asyncio.StreamReader, conn: Connection, data: bytes) -> None:
        """Bytes from a socket, in place of `reader.feed_data`.

        While the task that reads this connection waits for them, and nobody has unsent bytes, they go straight into
        the layers: no buffer, no future, no turn of the event loop. Otherwise they take mitmproxy's way, which waits
        until what was sent has left.
        """
        waiter = reader._waiter  # type: ignore[attr-defined]
        if waiter is None or waiter.done() or self._posting or self._behind():
            asyncio.StreamReader.feed_data(reader, data)
        else:
            self._post(events.DataReceived(conn, data))

    def _behind(self) -> bool:
        for io in self.transports.values():
            if isinstance(io.writer, asyncio.StreamWriter) and io.writer.transport.get_write_buffer_size():
                return True
        return False

    def _post(self, event: events.Event) -> None:
        """Put an event through the layers. One at a time: what comes up meanwhile, by a hook or a task that begins at
        once, waits in `_todo` until the layers have done with the one before.
        """
        todo = self._todo
        todo.append(event)
        if self._posting:
            return
        self._posting = True
        self.timeout_watchdog.register_activity()
        sending: dict[Connection, list[bytes]] = {}
        try:
            while todo and not self._failed:
                for command in self.layer.handle_event(todo.popleft()):
                    if isinstance(command, commands.SendData):
                        sending.setdefault(command.connection, []).append(command.data)
                    elif isinstance(command, commands.StartHook):
                        self._start_hook(command)
                    elif not isinstance(command, commands.Log):
                        self._flush(sending)
                        self._execute(command)
            self._flush(sending)
        except Exception as e:  # noqa: BLE001 - a layer that raised is in no state to go on
            self._fail(e)
        finally:
            self._posting = False

    def _flush(self, sending: dict[Connection, list[bytes]]) -> None:
        """Write what one event made us send, in one piece for each connection: a system call costs more than a copy."""
        for conn, chunks in sending.items():
            io = self.transports.get(conn)
            if io is not None:  # else the connection has already been closed
                assert io.writer
                if not io.writer.is_closing():
                    io.writer.write(chunks[0] if len(chunks) == 1 else b"".join(chunks))
        sending.clear()

    def _start_hook(self, hook: commands.StartHook) -> None:
        if not self._dispatcher.run_hook(hook):
            task = asyncio.create_task(self.hook_task(hook))
            if not task.done():  # the loop keeps weak references only
                _RUNNING.add(task)
                task.add_done_callback(_RUNNING.discard)
        elif hook.blocking:
            self._todo.append(events.HookCompleted(hook))

    def _execute(self, command: commands.Command) -> None:
        """The commands that are rare enough not to be in the loop above."""
        if isinstance(command, commands.OpenConnection):
            assert command.connection not in self.transports
            task = asyncio.create_task(self.open_connection(command), name="server connection handler")
            self.transports[command.connection] = ConnectionIO(handler=task)
        elif isinstance(command, commands.RequestWakeup):
            self.wakeup_timer.add(asyncio.create_task(self.wakeup(command)))
        elif isinstance(command, Handover):
            self.layer = after_connect(self.client, self.layer.context.options, command)
            self._todo.append(events.Start())
            if command.received:
                self._todo.append(events.DataReceived(self.client, command.received))
        elif isinstance(command, commands.ConnectionCommand) and command.connection not in self.transports:
            pass  # The connection has already been closed.
        elif isinstance(command, commands.CloseTcpConnection):
            self.close_connection(command.connection, command.half_close)
        elif isinstance(command, commands.CloseConnection):
            self.close_connection(command.connection, False)
        else:
            raise RuntimeError(f"unexpected command: {type(command).__name__}")
