"""mitmproxy without mitmproxy's tools: a master that holds the options, our chain, and a listener that accepts.

Of mitmproxy's own addons none is loaded: no script loader, no commands from outside, no web application inside the
proxy, no replay, no flow store. What is used is its protocol engine.
"""

from __future__ import annotations

import asyncio
import logging
import socket

from mitmproxy import master, options
from mitmproxy.proxy.server import ConnectionHandler

from addons import chain, patches, proxyline
from addons.dispatch import Dispatcher
from addons.guard import GuardAddon
from addons.handler import GateHandler
from addons.options import apply, declare, frozen, refuse_unsafe
from addons.outcome import Outcomes
from addons.state import Core, Line
from addons.tls import GateTls
from sluice import metrics
from sluice.config import Settings
from sluice.gate import Gate
from sluice.identity.login import Logins

log = logging.getLogger("sluice.proxy")

POLL_SECONDS = 0.05
QUIET_SECONDS = 2.0
"""An opaque tunnel without a byte for this long counts as idle while the worker drains."""


class GateMaster(master.Master):
    """The options and the chain of one worker. Made inside the running event loop."""

    def __init__(
        self,
        settings: Settings,
        gate: Gate,
        tls: GateTls,
        opts: options.Options | None = None,
        *,
        logins: Logins | None = None,
    ) -> None:
        super().__init__(opts, event_loop=asyncio.get_running_loop(), with_termlog=False)
        # Its handler formats every log record of the process, with content, for addons that do not exist here.
        self._legacy_log_events.uninstall()
        patches.install()
        declare(self)
        self.core = Core(settings, logins=logins)
        self.outcomes = Outcomes(gate, self.core)
        addons = chain(gate, self.core, self.outcomes, tls)
        self.addons.add(*addons)
        if opts is None:
            apply(self.options, settings)
        refuse_unsafe(self.options)
        (guard,) = [addon for addon in addons if isinstance(addon, GuardAddon)]
        self.dispatcher = Dispatcher(addons, self.core.lines, deadline=guard.longest)
        self.core.run_hook = self.dispatcher.run_hook
        self.layer_options = frozen(self.options, self.core)


class Listener:
    """Accepts connections from an inherited socket, and lets them finish at the end."""

    def __init__(self, gate_master: GateMaster) -> None:
        self._master = gate_master
        self._server: asyncio.Server | None = None
        self._handlers: set[ConnectionHandler] = set()
        self._balancers = proxyline.networks(gate_master.core.settings.proxy.protocol_from)

    @property
    def connections(self) -> int:
        return len(self._handlers)

    async def start(self, listening: socket.socket) -> None:
        """Accept from now on. `listening` is bound and listening already, perhaps in other processes too."""
        # asyncio accepts up to `backlog` connections in one go. With one at a time the workers that share this socket
        # share its connections fairly. It also calls listen() with that number, so the real one is set again.
        self._server = await asyncio.start_server(self._connected, sock=listening, backlog=1)
        listening.listen(self._master.core.settings.proxy.backlog)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        m = self._master
        client: proxyline.Address | None = None
        if self._balancers and proxyline.is_from(writer.get_extra_info("peername")[0], self._balancers):
            try:
                client = await proxyline.read(reader, m.core.settings.limits.head_seconds)
            except (proxyline.Refused, OSError) as e:
                metrics.PROXY_HEADERS.labels(e.rule if isinstance(e, proxyline.Refused) else "cut_off").inc()
                writer.transport.abort()
                return
        handler = GateHandler(m, reader, writer, m.layer_options, m.dispatcher, m.core)
        if client is not None:
            handler.client.peername = client
        self._handlers.add(handler)
        try:
            await handler.handle_client()
        finally:
            self._handlers.discard(handler)

    def refuse(self) -> None:
        """Accept no more. Connections in the queue of the socket stay for the other workers."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def drain(self, seconds: float) -> None:
        """Stop accepting; close each connection when it has nothing under way; cut the rest after `seconds`."""
        self.refuse()
        clock = asyncio.get_running_loop().time
        lines = self._master.core.lines
        until = clock() + seconds
        idle: set[str] = set()
        while self._handlers and clock() < until:
            now_idle = {line.client.id for line in lines if _idle(line, clock())}
            for line in lines:
                if line.client.id in idle & now_idle:  # twice in a row: the last answer is out of the buffers
                    line.close()
            idle = now_idle
            await asyncio.sleep(POLL_SECONDS)
        if self._handlers:
            log.warning("connections were cut at the end of the drain", extra={"facts": {"open": len(self._handlers)}})
        for line in lines:
            line.close()
        for _ in range(int(2 / POLL_SECONDS)):
            if not self._handlers:
                break
            await asyncio.sleep(POLL_SECONDS)
        await self._master.outcomes.settle()


def _idle(line: Line, now: float) -> bool:
    """Whether a connection can be closed without cutting anything off, as far as can be seen from outside."""
    if line.opaque is not None:
        return now - line.opaque.last_at > QUIET_SECONDS
    return not line.passages
