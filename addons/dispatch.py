"""How a hook reaches the addons, and what becomes of the traffic when one of them fails.

mitmproxy's own dispatcher logs an addon's exception and carries on, which forwards the request. This one is the
opposite: whatever goes wrong inside a hook (an exception, a timeout, a cancellation, anything that Python can throw)
ends in `FAIL_CLOSED`, the table of what "refused" means for each hook, and is counted.

It is also the fast path: the listeners of each hook are looked up once at start, hooks without a listener cost nothing,
and hooks whose listeners are all synchronous run in place, without a task (`handler.GateHandler.server_event`).
"""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from mitmproxy import connection, flow, hooks, http, tls
from mitmproxy.proxy import layer, server_hooks
from mitmproxy.proxy.commands import StartHook
from mitmproxy.proxy.layers import quic

from addons.http1 import BadRequest
from addons.state import Lines, passage_of
from addons.streams import UpstreamFailure
from addons.tunnel_layers import Refused
from sluice import metrics
from sluice.deadline import Deadline
from sluice.errors import Cause

log = logging.getLogger("sluice.guard")

REFUSED_BODY = b"refused by the gateway: the request could not be inspected\n"


def refused() -> http.Response:
    """The answer that a request carries until it is cleared."""
    now = time.time()
    return http.Response(
        http_version=b"HTTP/1.1",
        status_code=503,
        reason=b"Service Unavailable",
        headers=http.Headers(
            (
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"content-length", b"%d" % len(REFUSED_BODY)),
                (b"x-should-retry", b"false"),
            )
        ),
        content=REFUSED_BODY,
        trailers=None,
        timestamp_start=now,
        timestamp_end=now,
    )


# ----------------------------------------------------------------------------- what "refused" means, hook by hook


def _refuse_flow(f: http.HTTPFlow) -> None:
    f.response = refused()
    f.request.stream = False
    passage = passage_of(f)
    passage.clearance = None


def _kill(f: flow.Flow) -> None:
    f.error = flow.Error(flow.Error.KILLED_MESSAGE)
    f.live = False


def _refuse_tunnel(n: layer.NextLayer) -> None:
    n.layer = Refused(n.context, tls=False)


def _refuse_client(c: connection.Client) -> None:
    c.error = "refused"


def _refuse_server(d: server_hooks.ServerConnectionHookData) -> None:
    d.server.error = "refused"


def _refuse_handshake(d: tls.TlsData) -> None:
    d.ssl_conn = None


def _refuse_quic(d: quic.QuicTlsData) -> None:
    d.settings = None


def _refuse_hello(d: tls.ClientHelloData) -> None:
    d.ignore_connection = False


def _nothing(_: object) -> None:
    """The traffic this hook is about is over, or its default is already a refusal."""


FAIL_CLOSED: Mapping[str, Callable[[Any], None]] = {
    "requestheaders": _refuse_flow,
    "objected": _refuse_flow,
    "request": _refuse_flow,
    "http_connect": _refuse_flow,
    "http_connected": _nothing,  # the line is broken as well: nothing on it is forwarded
    "http_connect_error": _nothing,
    "http_connect_upstream": _refuse_flow,
    "responseheaders": _kill,
    "response": _kill,
    "error": _nothing,
    "bad_request": _nothing,
    "upstream_failed": _nothing,
    "next_layer": _refuse_tunnel,
    "client_connected": _refuse_client,
    "client_disconnected": _nothing,
    "server_connect": _refuse_server,
    "server_connected": _nothing,
    "server_connect_error": _nothing,
    "server_disconnected": _nothing,
    "tls_clienthello": _refuse_hello,
    "tls_start_client": _refuse_handshake,
    "tls_start_server": _refuse_handshake,
    "tls_established_client": _nothing,
    "tls_established_server": _nothing,
    "tls_failed_client": _nothing,
    "tls_failed_server": _nothing,
    "quic_start_client": _refuse_quic,
    "quic_start_server": _refuse_quic,
    "websocket_start": _kill,
    "websocket_message": _kill,
    "websocket_end": _nothing,
    "tcp_start": _kill,
    "tcp_message": _kill,
    "tcp_end": _nothing,
    "tcp_error": _nothing,
    "udp_start": _kill,
    "udp_message": _kill,
    "udp_end": _nothing,
    "udp_error": _nothing,
    "dns_request": _kill,
    "dns_response": _kill,
    "dns_error": _kill,
}
"""Every hook through which traffic can pass. A failure also breaks the line, except where the answer is local."""

_LINE_SURVIVES = frozenset(
    (
        *("requestheaders", "objected", "request", "response", "error"),
        *("bad_request", "upstream_failed", "client_disconnected"),
    )
)
"""Hooks about one request: its neighbours on the same connection are not touched by its failure."""


def client_of(data: object) -> connection.Client | None:
    """The client connection that a hook's argument belongs to."""
    match data:
        case flow.Flow():
            return data.client_conn
        case connection.Client():
            return data
        case server_hooks.ServerConnectionHookData():
            return data.client
        case UpstreamFailure():
            return data.flow.client_conn
        case layer.NextLayer() | tls.TlsData() | tls.ClientHelloData() | BadRequest():
            return data.context.client
        case _:
            return None


@dataclass(frozen=True, slots=True)
class _Listener:
    addon: str
    call: Callable[[Any], Awaitable[None] | None]
    awaits: bool


_FIELDS: dict[type, str] = {}


def argument(hook: StartHook) -> Any:
    """The one argument of a hook. `hook.args()` walks the dataclass fields each time."""
    kind = type(hook)
    if (name := _FIELDS.get(kind)) is None:
        (field,) = dataclasses.fields(cast("Any", hook))
        name = _FIELDS[kind] = field.name
    return getattr(hook, name)


class Dispatcher:
    """Runs hooks. `deadline` (seconds) bounds each asynchronous listener."""

    def __init__(self, chain: Sequence[object], lines: Lines, *, deadline: float) -> None:
        self._lines = lines
        self._deadline = Deadline(deadline)
        self._table: dict[str, tuple[_Listener, ...]] = {}
        for name in hooks.all_hooks:
            found = tuple(
                _Listener(type(addon).__name__, call, inspect.iscoroutinefunction(call))
                for addon in chain
                if callable(call := getattr(addon, name, None))
            )
            if found:
                self._table[name] = found
        self._awaits = frozenset(name for name, found in self._table.items() if any(one.awaits for one in found))

    def listeners(self, name: str) -> tuple[str, ...]:
        """The addons that a hook reaches, in order."""
        return tuple(one.addon for one in self._table.get(name, ()))

    @property
    def names(self) -> frozenset[str]:
        """Every hook that has a listener."""
        return frozenset(self._table)

    def awaits(self, name: str) -> bool:
        """True when a hook needs a task of its own."""
        return name in self._awaits

    def run_hook(self, hook: StartHook) -> bool:
        """Run a hook in place and say True; False when a listener has to be awaited, and nothing was run."""
        name = hook.name
        if name in self._awaits:
            return False
        if name in self._table:
            self.run_now(name, argument(hook))
        return True

    def run_now(self, name: str, data: Any) -> None:
        """Run a hook whose listeners are all synchronous."""
        for one in self._table.get(name, ()):
            try:
                one.call(data)
            except BaseException as e:
                self._failed(name, one, data, e)
                if _ends_the_process(e):
                    raise

    async def run(self, name: str, data: Any) -> None:
        """Run a hook, each asynchronous listener under the deadline."""
        for one in self._table.get(name, ()):
            try:
                if one.awaits:
                    with self._deadline():
                        await one.call(data)  # type: ignore[misc]
                else:
                    one.call(data)
            except BaseException as e:
                self._failed(name, one, data, e)
                if _ends_the_process(e) or (isinstance(e, asyncio.CancelledError) and _cancelled()):
                    raise

    def _failed(self, name: str, one: _Listener, data: Any, error: BaseException) -> None:
        client = client_of(data)
        if client is not None and name not in _LINE_SURVIVES:
            try:
                self._lines.of(client).broken = True
            except KeyError:
                client.error = client.error or "refused"
        cause = Cause.SCAN_TIMEOUT if isinstance(error, TimeoutError) else Cause.INTERNAL
        metrics.REFUSALS.labels(cause).inc()
        facts = {"hook": name, "addon": one.addon}
        log.error("a hook failed; its traffic is refused", exc_info=error, extra={"facts": facts})
        FAIL_CLOSED[name](data)


def _ends_the_process(error: BaseException) -> bool:
    return isinstance(error, KeyboardInterrupt | SystemExit)


def _cancelled() -> bool:
    """True when this very task is being cancelled, and not only something that it awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
