"""The client side of one HTTP/2 connection: fewer streams at once, no text of a fault sent back, and a record of it.

Heads are judged where a stream begins (`streams.GateStream`), bodies against the worker's budget there as well: the
flow-control windows that mitmproxy opens are 2 GiB wide and hold nobody back.
"""

from __future__ import annotations

from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from mitmproxy.proxy import events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http._events import ResponseProtocolError
from mitmproxy.proxy.layers.http._http2 import Http2Server

from addons import headcheck
from addons.http1 import BadRequest, BadRequestHook, fallback

MAX_STREAMS = 64
"""Concurrent streams of one client connection. Coding agents were seen with four, browsers with a few dozen."""


class GuardedHttp2Server(Http2Server):
    """mitmproxy's HTTP/2 server with our limits."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        # A new setting counts when the peer has acknowledged it; unacknowledged ones would be sent as the old value.
        self.h2_conn.local_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = MAX_STREAMS
        self.h2_conn.local_settings.acknowledge()

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, ResponseProtocolError):
            event.message = "the gateway could not complete the exchange"  # the original may quote the upstream
        return super()._handle_event(event)

    def protocol_error(self, message: str, error_code: int = ErrorCodes.PROTOCOL_ERROR) -> layer.CommandGenerator[None]:
        """The whole connection ends. What `h2` says of it may quote a header, so it is not repeated to anyone."""
        yield BadRequestHook(BadRequest(self.context, headcheck.HTTP2, fallback(headcheck.HTTP2), "HTTP/2"))
        yield from super().protocol_error("protocol error", error_code)
