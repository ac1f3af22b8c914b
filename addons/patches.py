"""The one place where mitmproxy itself is changed, each change with its reason. Held by contract tests.

Everything else in this package subclasses or is called. These names are resolved by mitmproxy when it
runs, so there is nothing to subclass from.
"""

from __future__ import annotations

from typing import Any

import h11
from h11._readers import ChunkedReader
from h11._receivebuffer import ReceiveBuffer
from mitmproxy import hooks, http
from mitmproxy.connection import Connection, ConnectionState
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers import tls
from mitmproxy.proxy.layers.http._base import HttpEvent, ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._http1 import Http1Client
from OpenSSL import SSL
from OpenSSL._util import ffi, lib

from addons.chunks import Arrived
from addons.fields import Fields

ANSWER_HEAD_BYTES = 256 * 1024
"""Longest head of an upstream's answer. mitmproxy would collect one without end."""

JOINED_BYTES = 32 * 1024
"""A body up to this size leaves with its head; a larger one is not copied for it."""
BIO_BYTES = 65535


class SilentChunks(ChunkedReader):
    """h11's chunked reader for answers: trailers are read and dropped, as RFC 9110 section 6.5.1 allows."""

    def __call__(self, buf: ReceiveBuffer) -> h11.Data | h11.EndOfMessage | None:
        event = super().__call__(buf)
        return h11.EndOfMessage() if isinstance(event, h11.EndOfMessage) else event


class LenientHttp1Client(Http1Client):
    """The upstream side of one HTTP/1 connection: an answer with trailers does not crash it, and the head and body of
    a request leave in one piece."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.buf: Arrived = Arrived()
        self._head = b""

    def send(self, event: HttpEvent) -> layer.CommandGenerator[None]:
        if isinstance(event, RequestHeaders) and not event.end_stream:
            return self._hold(event)
        return self._join(event) if self._head else super().send(event)

    def _hold(self, event: RequestHeaders) -> layer.CommandGenerator[None]:
        for command in super().send(event):
            if isinstance(command, commands.SendData):
                self._head += command.data
            else:
                yield command

    def _join(self, event: HttpEvent) -> layer.CommandGenerator[None]:
        """The first piece of the body, or the end where there is none: either takes the head along."""
        if isinstance(event, RequestData | RequestEndOfMessage):
            head, self._head = self._head, b""
            for command in super().send(event):
                if head and isinstance(command, commands.SendData) and len(command.data) <= JOINED_BYTES:
                    command.data, head = head + command.data, b""
                elif head:
                    yield commands.SendData(self.conn, head)
                    head = b""
                yield command
            if head:
                yield commands.SendData(self.conn, head)
        else:
            self._head = b""  # the request broke off before a byte of it had left
            yield from super().send(event)

    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        if len(self.buf) > ANSWER_HEAD_BYTES and b"\r\n\r\n" not in bytes(self.buf) and self.stream_id is not None:
            yield commands.CloseConnection(self.conn)
            fault = ResponseProtocolError(self.stream_id, "closed", ErrorCode.GENERIC_SERVER_ERROR)
            yield ReceiveHttp(fault)
            return
        for command in super().read_headers(event):
            if isinstance(command, ReceiveHttp) and isinstance(command.event, ResponseHeaders):
                data = command.event.response.data
                data.headers = Fields.of(data.headers)
            yield command

    def read_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        if type(self.body_reader) is ChunkedReader:
            self.body_reader = SilentChunks()
        return super().read_body(event)


def send_what_waits(self: tls.TLSLayer) -> layer.CommandGenerator[None]:
    """`TLSLayer.tls_interact`. A memory BIO gives all it has, so a short read needs no second one to find it empty."""
    while True:
        try:
            data = self.tls.bio_read(BIO_BYTES)
        except SSL.WantReadError:
            return
        yield commands.SendData(self.conn, data)
        if len(data) < BIO_BYTES:
            return


def receive_data(self: tls.TLSLayer, data: bytes) -> layer.CommandGenerator[None]:
    """`TLSLayer.receive_data`. Asks the buffers whether there is more instead of running into "want read" each time."""
    session = self.tls
    if data:
        session.bio_write(data)
    plaintext = bytearray()
    close = False
    while True:
        try:
            plaintext += session.recv(BIO_BYTES)
        except SSL.WantReadError:
            break
        except SSL.ZeroReturnError:
            close = True
            break
        except SSL.Error:
            break  # an alert of the other side; what it leads to comes as the end of the connection
        if not lib.SSL_pending(session._ssl) and not _held(session._into_ssl):
            break
    if _held(session._from_ssl):
        yield from self.tls_interact()
    if plaintext:
        yield from self.event_to_child(events.DataReceived(self.conn, bytes(plaintext)))
    if close:
        self.conn.state &= ~ConnectionState.CAN_READ
        yield from self.event_to_child(events.ConnectionClosed(self.conn))


_AT = ffi.new("char **")


def _held(bio: Any) -> int:
    """How many bytes a memory BIO holds."""
    return int(lib.BIO_get_mem_data(bio, _AT))


def install() -> None:
    """Apply the changes. Idempotent."""
    # HttpClient names its HTTP/1 class by this global. Stock raises NotImplementedError on an answer with trailers.
    setattr(http_layers, "Http1Client", LenientHttp1Client)  # noqa: B010 - a patch should stand out
    # Debug builds check the type of each field of each message, by reflection: 8 % of a request's CPU. We build
    # messages from mitmproxy's own parsers and from typed code.
    setattr(http.MessageData, "__post_init__", _unchecked)  # noqa: B010

    # Each "want read" is a Python exception; stock raises seven of them for a request.
    setattr(tls.TLSLayer, "tls_interact", send_what_waits)  # noqa: B010
    setattr(tls.TLSLayer, "receive_data", receive_data)  # noqa: B010
    # Every hook and every reply asks whether its class is a dataclass when it is made; ours and mitmproxy's all are.
    for kind in (hooks.Hook, commands.StartHook, events.CommandCompleted):
        setattr(kind, "__new__", _new)  # noqa: B010
    # A connection is looked up in a table a dozen times for a request, by the hash of its id; there is only ever one
    # object of that id here, so that the object itself tells as much.
    setattr(Connection, "__hash__", object.__hash__)  # noqa: B010
    setattr(Connection, "__eq__", object.__eq__)  # noqa: B010


def _unchecked(_: http.MessageData) -> None:
    """In place of mitmproxy's type checks."""


def _new(cls: type[Any], *_: Any, **__: Any) -> Any:
    return object.__new__(cls)
