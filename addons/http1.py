"""HTTP/1 with the client, stricter than mitmproxy's own.

The raw head is judged before it is parsed and has a deadline; a body that is malformed or followed by trailers is
answered with 400, where stock mitmproxy raises NotImplementedError, logs the buffered bytes and leaves the client
hanging; a CONNECT hands the connection over to a new stack of layers.

Event handlers here are plain functions that return a generator where they can: each generator in between costs every
event of every connection.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mitmproxy import http
from mitmproxy.connection import ConnectionState
from mitmproxy.net.http import http1
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http._base import HttpEvent, ReceiveHttp
from mitmproxy.proxy.layers.http._events import ErrorCode, RequestHeaders, RequestProtocolError, ResponseProtocolError
from mitmproxy.proxy.layers.http._http1 import Http1Server, make_body_reader

from addons import headcheck
from addons.chunks import Arrived, BadBody, StrictChunks
from addons.fields import Fields
from addons.headcheck import Fault, Head
from addons.state import core_of

LINGER_SECONDS = 0.2
"""How long a refused client gets to read the answer before its connection is closed."""


@dataclass(slots=True)
class BadRequest:
    """What the `bad_request` hook is about: a request that never became a flow. The hook fills in the answer."""

    context: Context
    fault: Fault
    response: http.Response = field(repr=False)
    http_version: str = "HTTP/1.1"


@dataclass
class BadRequestHook(commands.StartHook):
    """A request was refused for its form, before anything else looked at it."""

    data: BadRequest


@dataclass
class JudgedHeaders(RequestHeaders):
    """A head that was found sound, and what is notable in it."""

    head: Head | None = None


class Handover(commands.Command):
    """CONNECT was answered: from here on this connection is a tunnel, and HTTP has no part in it.

    mitmproxy would keep the CONNECT request's three layers and pull every byte of the tunnel through them. The
    handler drops them instead and begins a new stack; that is a third of the CPU of a request.
    """

    def __init__(self, host: str, port: int, received: bytes) -> None:
        self.host = host
        self.port = port
        self.received = received


def plain(status: int, text: str) -> http.Response:
    """A short answer of the proxy's own that closes the connection."""
    return http.Response.make(
        status,
        text + "\n",
        {"content-type": "text/plain; charset=utf-8", "connection": "close", "x-should-retry": "false"},
    )


def fallback(fault: Fault) -> http.Response:
    """What a client gets when not even the gate could be asked."""
    return plain(fault.status, f"refused by the gateway: {fault.detail}")


class StrictHttp1Server(Http1Server):
    """The client side of one HTTP/1 connection. `tunnelled`: inside TLS that we opened, so targets are origin-form."""

    def __init__(self, context: Context, *, tunnelled: bool) -> None:
        super().__init__(context)
        self.buf: Arrived = Arrived()
        self._tunnelled = tunnelled
        self._limits = core_of(context).limits
        self._alarm: commands.RequestWakeup | None = None
        self._drained = 0
        self._searched = 0

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, HttpEvent):
            return self.send(event)
        if isinstance(event, events.Wakeup):
            return self._wake(event)
        if isinstance(event, events.DataReceived):
            self.buf.add(event.data)
        return self.state(event)

    def _wake(self, event: events.Wakeup) -> layer.CommandGenerator[None]:
        if event.command is not self._alarm:
            return
        self._alarm = None
        if self.state == self.read_headers:
            yield from self._refuse(headcheck.TOO_SLOW)
        else:
            yield commands.CloseConnection(self.conn)

    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        """One head: wait for all of it, judge the raw bytes, parse, judge the target, hand it on."""
        if not isinstance(event, events.DataReceived):
            yield commands.CloseConnection(self.conn)
            return
        while self.buf.peek(2) == b"\r\n":  # RFC 9112 section 2.2: empty lines before a request are ignored
            self.buf.drop(2)
            self._searched = 0
        end = self.buf.find(b"\r\n\r\n", max(0, self._searched - 3)) + 4
        if end > 3:
            self._alarm, self._searched = None, 0
            if fault := headcheck.complete(self.buf.peek(end), self._limits):
                yield from self._refuse(fault)
            else:
                yield from self._receive(event)
        elif self.buf:
            # Judged when it begins and when it is whole, and not at each byte that a slow client sends in between.
            begun, self._searched = self._searched > 0, len(self.buf)
            if len(self.buf) > self._limits.head_bytes:
                yield from self._refuse(headcheck.HEAD_SIZE)
            elif not begun and (fault := headcheck.beginning(self.buf.peek(len(self.buf)), self._limits)):
                yield from self._refuse(fault)
            elif self._alarm is None:
                self._alarm = commands.RequestWakeup(self._limits.head_seconds)
                yield self._alarm

    def _receive(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        raw = [bytes(line) for line in self.buf.maybe_extract_lines() or ()]
        method, form, _ = raw[0].split(b" ")
        if fault := headcheck.target(form, method, tunnelled=self._tunnelled):
            yield from self._refuse(fault)
            return
        try:
            self.request = http1.read_request_head(raw)
            self.request.data.headers = Fields.of(self.request.data.headers)
            size = http1.expected_http_body_size(self.request)
        except ValueError:  # its text quotes the request
            yield from self._refuse(headcheck.REQUEST_LINE if self.request is None else headcheck.FRAMING)
            return
        data = self.request.data
        verdict = headcheck.survey(
            data.headers.fields, http2=False, method=data.method, path=data.path, limits=self._limits
        )
        if isinstance(verdict, Fault):
            yield from self._refuse(verdict)
            return
        self._drained = 0
        yield ReceiveHttp(JudgedHeaders(self.stream_id, self.request, size == 0, head=verdict))
        self.body_reader = StrictChunks() if size is None else make_body_reader(size)
        self.state = self.read_body
        yield from self.state(event)

    def read_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        if self.response_done:
            return self._drain(event)
        return self._read_chunks(event) if isinstance(self.body_reader, StrictChunks) else super().read_body(event)

    def _read_chunks(self, event: events.Event) -> layer.CommandGenerator[None]:
        stream = self.stream_id
        try:
            yield from super().read_body(event)
        except BadBody as bad:
            yield from self._refuse(bad.fault)
            yield ReceiveHttp(RequestProtocolError(stream, bad.fault.rule, ErrorCode.GENERIC_CLIENT_ERROR))

    def _drain(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Refused at the head and answered already: what still comes of the body is thrown away, up to a point."""
        self._drained += len(event.data) if isinstance(event, events.DataReceived) else 0
        if self._drained > self._limits.body_bytes:
            yield commands.CloseConnection(self.conn)
        else:
            yield from self._read_chunks(event)

    def wait(self, event: events.Event) -> layer.CommandGenerator[None]:
        """While an answer is under way the client may send its next head, and no more than that."""
        if isinstance(event, events.DataReceived):
            return self._hang_up() if len(self.buf) > 2 * self._limits.head_bytes else nothing()
        return super().wait(event)

    def _hang_up(self) -> layer.CommandGenerator[None]:
        self.state = self.done
        yield commands.CloseConnection(self.conn)
        yield ReceiveHttp(RequestProtocolError(self.stream_id, "pipelined", ErrorCode.CLIENT_DISCONNECTED))

    def send(self, event: HttpEvent) -> layer.CommandGenerator[None]:
        if isinstance(event, ResponseProtocolError) and self.response is None:
            status = event.code.http_status_code()
            if status is not None and self.conn.state & ConnectionState.CAN_WRITE:
                return self._say(status)
        return super().send(event)

    def _say(self, status: int) -> layer.CommandGenerator[None]:
        """Instead of mitmproxy's error page, whose text may quote the upstream or the request."""
        answer = plain(status, "the gateway could not complete the exchange")
        yield commands.SendData(self.conn, http1.assemble_response(answer))
        yield commands.CloseConnection(self.conn)

    def mark_done(self, *, request: bool = False, response: bool = False) -> layer.CommandGenerator[None]:
        yield from super().mark_done(request=request, response=response)
        if self.response_done and not self.request_done and self.response is not None:
            # Answered before the body was here: the rest of it is drained, unless the answer says goodbye.
            closes = "close" in self.response.headers.get("connection", "").lower()
            yield from self._linger() if closes else ()

    def make_pipe(self) -> layer.CommandGenerator[None]:
        """The answer to CONNECT is out. (A 101 never comes here: upgrades are refused.)"""
        assert self.request is not None
        if self.request.method != "CONNECT" or self._tunnelled:
            raise AssertionError("only CONNECT makes a tunnel")
        self.state = self.done
        received = self.buf.peek(len(self.buf))
        self.buf.drop()
        yield Handover(self.request.host, self.request.port, received.lstrip(b"\r\n"))

    def _refuse(self, fault: Fault) -> layer.CommandGenerator[None]:
        """Answer and close. The record of the refusal is durable before the client sees it."""
        self.state = self.done
        self._alarm = None
        if self.response is not None:  # answered, and so recorded, before its body turned out to be wrong as well
            yield commands.CloseConnection(self.conn)
            return
        bad = BadRequest(self.context, fault, fallback(fault))
        yield BadRequestHook(bad)
        yield commands.SendData(self.conn, http1.assemble_response(bad.response))
        yield from self._linger()

    def _linger(self) -> layer.CommandGenerator[None]:
        """Close in a moment: closing with bytes unread makes the kernel send a reset, which can overtake the answer."""
        self._alarm = commands.RequestWakeup(LINGER_SECONDS)
        yield self._alarm

    def done(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        """Refused: nothing that still arrives is looked at."""
        self.buf.drop()
        if isinstance(event, events.ConnectionClosed):
            yield commands.CloseConnection(self.conn)


def nothing() -> layer.CommandGenerator[None]:
    """What an event handler returns that has nothing to say."""
    yield from ()
