"""One request's state machine, with the promises of the house built into it.

`GateStream` is mitmproxy's own `HttpStream` with these differences:
1. A head is judged before any hook sees it (`headcheck`), for HTTP/1 and HTTP/2 alike.
2. A body counts against a limit and against the worker's budget while it arrives; what passes them is dropped.
3. An upstream is asked for only with a clearance in hand. This is checked here, in the machine, after every hook: an
   addon that fails, lies or forgets cannot forward.
4. An upstream that fails before its answer has begun gives the client our own answer, with a reason.
5. A request body is never streamed, a flow never replayed, an answer never buffered.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import cast

from mitmproxy import flow, http
from mitmproxy.net.http.validate import validate_headers
from mitmproxy.proxy import commands, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import (
    DropStream,
    HTTPMode,
    HttpStream,
    SendHttp,
    validate_request,
)
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    RequestTrailers,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._hooks import HttpResponseHook

from addons import headcheck
from addons.headcheck import Fault, Head
from addons.http1 import BadRequest, BadRequestHook, JudgedHeaders, fallback, nothing
from addons.state import Objection, Passage, attach, core_of
from sluice.errors import Cause, Reason

INVALID_ANSWER = "invalid answer"
BODY_TOO_LARGE = Objection(Reason.BODY_TOO_LARGE, Cause.BODY_TOO_LARGE, "limits.body_bytes")
OVERLOAD = Objection(Reason.OVERLOAD, Cause.OVERLOAD, "limits.inflight_bytes")


@dataclass
class ObjectionHook(commands.StartHook):
    """The head of a request was objected to. The hook records it and sets `flow.response`; the body is not awaited."""

    name = "objected"

    flow: http.HTTPFlow


@dataclass(slots=True)
class UpstreamFailure:
    """What the `upstream_failed` hook is about. `message` is mitmproxy's word for it and goes no further."""

    flow: http.HTTPFlow
    message: str


@dataclass
class UpstreamFailedHook(commands.StartHook):
    """The upstream failed before its answer began. The hook sets `flow.response`, or the client gets a bare 502."""

    data: UpstreamFailure


class GateStream(HttpStream):
    """One request and its answer."""

    def __init__(self, context: Context, stream_id: int) -> None:
        super().__init__(context, stream_id)
        self._core = core_of(context)
        self._passage: Passage | None = None
        self._head: Head | None = None

    # ----------------------------------------------------------------------------------------------------- the head

    def state_wait_for_request_headers(self, event: RequestHeaders) -> layer.CommandGenerator[None]:
        if event.replay_flow is not None:
            self.client_state = self.state_errored
            return
        self._head = event.head if isinstance(event, JudgedHeaders) else None
        yield from super().state_wait_for_request_headers(event)
        passage = self._passage
        if passage is None or passage.objection is None or self.client_state != self.state_consume_request_body:
            return
        yield ObjectionHook(self.flow)
        if not (yield from self.check_killed(True)):
            yield from self._answer_early()

    def check_invalid(self, request: bool) -> layer.CommandGenerator[bool]:
        """Judge a head. Called by the base class before any hook, for the request and for the answer."""
        if request:
            verdict = self._judge()
            if isinstance(verdict, Fault):
                yield from self._refuse(verdict)
                return True
            self._passage = Passage(head=verdict, received_at=time.time_ns() // 1000)
            attach(self.flow, self._passage)
            return False
        if self._answer_is_sound():
            return False
        yield commands.CloseConnection(self.flow.server_conn)
        self.flow.response = None
        yield from self._fail(INVALID_ANSWER)
        return True

    def _answer_is_sound(self) -> bool:
        assert self.flow.response is not None
        try:
            validate_headers(self.flow.response)
        except ValueError:  # its text quotes the answer
            return False
        return headcheck.sound_values(self.flow.response.headers.fields)

    def _judge(self) -> Head | Fault:
        """HTTP/1 heads come judged (`http1`), HTTP/2 heads are judged here; mitmproxy's own check runs on both."""
        request = self.flow.request.data
        tunnelled = self.mode is HTTPMode.transparent
        if self._head is None and (fault := headcheck.target(request.path, request.method, tunnelled=tunnelled)):
            return fault
        if validate_request(self.mode, self.flow.request, True) is not None:
            return headcheck.FRAMING
        return self._head or headcheck.survey(
            request.headers.fields,
            http2=True,
            method=request.method,
            path=request.path,
            limits=self._core.limits,
        )

    def _refuse(self, fault: Fault) -> layer.CommandGenerator[None]:
        bad = BadRequest(self.context, fault, fallback(fault), self.flow.request.http_version)
        self.client_state = self.server_state = self.state_errored
        self.flow.live = False
        yield BadRequestHook(bad)
        yield from self._send(bad.response)

    def _answer_early(self) -> layer.CommandGenerator[None]:
        """The answer is known and does not depend on the body: send it now, and read the body into nothing."""
        assert self.flow.response is not None
        yield HttpResponseHook(self.flow)
        self.client_state = self.server_state = self.state_errored
        self.flow.live = False
        yield from self._send(self.flow.response)

    def send_response(self, already_streamed: bool = False) -> layer.CommandGenerator[None]:
        """As the base class, which would send the body of our own answer to a HEAD request as well."""
        if self.flow.request.method == "HEAD" and self.flow.response is not None and self.flow.response.raw_content:
            self.flow.response = _without_body(self.flow.response)
        return cast("layer.CommandGenerator[None]", super().send_response(already_streamed))

    def _send(self, response: http.Response) -> layer.CommandGenerator[None]:
        client = self.context.client
        if self.flow.request.method == "HEAD":
            response = _without_body(response)
        yield SendHttp(ResponseHeaders(self.stream_id, response, not response.raw_content), client)
        if response.raw_content:
            yield SendHttp(ResponseData(self.stream_id, response.raw_content), client)
        yield SendHttp(ResponseEndOfMessage(self.stream_id), client)
        yield DropStream(self.stream_id)

    # ----------------------------------------------------------------------------------------------------- the body

    def check_body_size(self, request: bool) -> layer.CommandGenerator[bool]:
        """Replaced: requests are measured as they arrive (below), answers are streamed and need no limit."""
        return _no()

    def state_consume_request_body(
        self, event: RequestData | RequestTrailers | RequestEndOfMessage
    ) -> layer.CommandGenerator[None]:
        if not isinstance(event, RequestData):
            return cast("layer.CommandGenerator[None]", super().state_consume_request_body(event))
        passage, inflight, limits = self._passage, self._core.inflight, self._core.limits
        assert passage is not None
        size = len(event.data)
        if passage.overflow is not None or passage.ended:
            return nothing()
        if passage.held + size > limits.body_bytes:
            passage.overflow = BODY_TOO_LARGE
        elif inflight.bytes + size > limits.inflight_bytes:
            passage.overflow = OVERLOAD
        if passage.overflow is None:
            passage.held += size
            inflight.bytes += size
            self.request_body_buf += event.data
        else:
            self.request_body_buf.clear()
            inflight.release(passage)
        return nothing()

    def start_request_stream(self) -> layer.CommandGenerator[None]:
        """Never: a streamed body would be with the upstream before anyone had read it."""
        raise AssertionError("request streaming was asked for")
        yield  # pragma: no cover - makes this a generator

    # ------------------------------------------------------------------------------------------------- the upstream

    def make_server_connection(self) -> layer.CommandGenerator[bool]:
        """The last door. Nothing passes it without a clearance for exactly this exchange."""
        passage = self._passage
        if passage is None or not passage.cleared or passage.ended:
            self.flow.error = flow.Error(flow.Error.KILLED_MESSAGE)
            yield from self.check_killed(True)
            return False
        connected = yield from super().make_server_connection()
        if connected:  # not a byte of the request has left yet
            passage.forwarded_at = time.time_ns() // 1000
        return connected

    def check_killed(self, emit_error_hook: bool) -> layer.CommandGenerator[bool]:
        if self._passage is not None and self._paused_event_queue:
            gone = any(isinstance(e, RequestProtocolError) for e in self._paused_event_queue)
            self._passage.client_gone = self._passage.client_gone or gone
        return super().check_killed(emit_error_hook)

    def handle_protocol_error(
        self, event: RequestProtocolError | ResponseProtocolError
    ) -> layer.CommandGenerator[None]:
        if isinstance(event, RequestProtocolError) and self._passage is not None:
            self._passage.client_gone = True
        if (
            isinstance(event, ResponseProtocolError)
            and event.code.http_status_code() is not None
            and self.client_state == self.state_done
            and self.server_state == self.state_wait_for_response_headers
            and self.flow.response is None
        ):
            yield from self._fail(event.message)
        else:
            yield from super().handle_protocol_error(event)

    def _fail(self, message: str) -> layer.CommandGenerator[None]:
        """The upstream gave no answer: let the hook write one."""
        if (yield from self.check_killed(True)):
            return
        yield UpstreamFailedHook(UpstreamFailure(self.flow, message))
        if self.flow.response is None:
            yield from super().handle_protocol_error(
                ResponseProtocolError(self.stream_id, "upstream failed", ErrorCode.GENERIC_SERVER_ERROR)
            )
        else:
            yield from self.send_response()
            self.server_state = self.state_errored  # what the upstream still says is not listened to


def _without_body(response: http.Response) -> http.Response:
    """The answer to a HEAD request: every field as for GET, and no content."""
    made = response.copy()
    made.raw_content = b""
    return made


def _no() -> layer.CommandGenerator[bool]:
    yield from ()
    return False
