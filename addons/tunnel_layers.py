"""The two ends a CONNECT can have besides decryption: an opaque tunnel, and a closed door.

`OpaqueTunnel` is mitmproxy's TCP layer with `ignore=True`: no flow, no hook, no copy of the content, only two counters.
"""

from __future__ import annotations

import time
from typing import cast

from mitmproxy import options
from mitmproxy.connection import Client
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import TCPLayer

from addons.http1 import Handover
from addons.state import Opaque

ACCESS_DENIED = b"\x15\x03\x03\x00\x02\x02\x31"
"""A fatal TLS alert, access_denied(49): what a client's TLS library shows instead of a bare reset. RFC 8446, 6.2."""


class AfterConnect(layer.Layer):
    """Stands at the bottom of a tunnel's stack, where mitmproxy looks for what came before. No event passes it."""

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        raise AssertionError("not in the way of any event")
        yield  # pragma: no cover - makes this a generator


def after_connect(client: Client, opts: options.Options, to: Handover) -> layer.Layer:
    """The layers of a tunnel that has just begun: none yet; `next_layer` decides on the first bytes."""
    context = Context(client, opts)
    context.server.address = (to.host, to.port)
    AfterConnect(context)
    return layer.NextLayer(context)


class OpaqueTunnel(TCPLayer):
    """Bytes to and fro, unread and counted. Made only with the clearance of a durable bypass record in hand."""

    def __init__(self, context: Context, opaque: Opaque, idle_seconds: float) -> None:
        super().__init__(context, ignore=True)
        self._opaque = opaque
        self._idle = idle_seconds

    def start(self, event: events.Event) -> layer.CommandGenerator[None]:
        yield from super().start(event)
        yield commands.RequestWakeup(self._idle)

    _handle_event = start

    def relay_messages(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.Wakeup):
            return self._look()
        if isinstance(event, events.DataReceived):
            self._opaque.last_at = time.monotonic()
            if event.connection == self.context.client:
                self._opaque.up += len(event.data)
            else:
                self._opaque.down += len(event.data)
        return cast("layer.CommandGenerator[None]", super().relay_messages(event))

    def _look(self) -> layer.CommandGenerator[None]:
        """Close when nothing has passed for too long, else look again when that could be the case."""
        left = self._opaque.last_at + self._idle - time.monotonic()
        if left > 0:
            yield commands.RequestWakeup(left)
            return
        self._handle_event = self.done  # type: ignore[method-assign] # how every layer of mitmproxy changes state
        yield commands.CloseConnection(self.context.server)
        yield commands.CloseConnection(self.context.client)

    def done(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Closed: what still comes is not passed on."""
        yield from ()


class Refused(layer.Layer):
    """Says no and closes. With `tls` the client hears it as a TLS alert."""

    def __init__(self, context: Context, *, tls: bool) -> None:
        super().__init__(context)
        self._tls = tls

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.Start):
            if self._tls:
                yield commands.SendData(self.context.client, ACCESS_DENIED)
            yield commands.CloseConnection(self.context.client)
