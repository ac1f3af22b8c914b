"""Begin refused; lift only for a clearance.

Every request carries a refusal from the moment its head was read. `request` takes it off for one reason alone: a
`Clearance` of the gate for exactly this exchange, which exists only when the decision is durable. Whatever else
happens (an exception, a timeout, a cancellation, an addon that forgets) leaves the refusal where it is, and
`streams.GateStream` asks for the clearance once more before an upstream is contacted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable

from mitmproxy import connection, flow, http
from mitmproxy.proxy import server_hooks

from addons import answers, egress, flows
from addons.dispatch import refused
from addons.http1 import BadRequest
from addons.login import Door, take
from addons.outcome import Outcomes, now
from addons.state import Core, Line, Objection, Passage, Tunnel, passage_of
from addons.streams import BODY_TOO_LARGE, OVERLOAD
from sluice import metrics, probe, selftest
from sluice.deadline import Deadline
from sluice.errors import Cause, Reason
from sluice.gate import Gate
from sluice.identity.login import WAIT_SECONDS
from sluice.model import Action, Clearance, Decision, Exchange, Refusal
from sluice.targets import agreement

log = logging.getLogger("sluice.guard")

MARGIN_SECONDS = 1.0
"""The gate keeps its own deadlines; these are the belt, a little wider."""

LENGTH = Objection(Reason.BAD_REQUEST, Cause.BAD_REQUEST, "length")
TRAILERS = Objection(Reason.TRAILERS, Cause.BAD_REQUEST, "trailers")
BROKEN = Objection(Reason.INTERNAL, Cause.INTERNAL, "the connection was given up")
BUSY = Objection(Reason.OVERLOAD, Cause.OVERLOAD, "limits.inflight_requests")
_ANSWERED_HERE = frozenset({probe.ROW, selftest.ROW})
"""Rows of the destination table that lead to the gate itself."""


class GuardAddon:
    """The first addon of the chain, and the only one that can lift a refusal."""

    name = "guard"

    def __init__(self, gate: Gate, core: Core, outcomes: Outcomes) -> None:
        self._gate = gate
        self._core = core
        self._outcomes = outcomes
        self._door = Door(gate, core)
        limits = core.limits
        self._seconds = limits.scan_seconds + limits.commit_seconds + MARGIN_SECONDS
        self._deadline = Deadline(self._seconds)
        self._late = limits.commit_seconds + MARGIN_SECONDS / 2
        self._refused = refused()

    @property
    def longest(self) -> float:
        """The longest that any hook here may take (seconds); beyond it the dispatcher cuts it off."""
        return WAIT_SECONDS + self._seconds + self._late + MARGIN_SECONDS

    # ------------------------------------------------------------------------------------------------- one connection

    def client_connected(self, client: connection.Client) -> None:
        """The handler has opened the line already; a client without one is turned away."""
        self._core.lines.of(client)

    def server_connect(self, data: server_hooks.ServerConnectionHookData) -> None:
        """No connection to anywhere that this client was not cleared for."""
        line = self._core.lines.of(data.client)
        server = data.server
        if (
            line.broken
            or line.gone
            or server.via is not None
            or server.transport_protocol != "tcp"
            or server.address not in line.permits
        ):
            server.error = "not cleared"

    # ---------------------------------------------------------------------------------------------------- one request

    async def bad_request(self, data: BadRequest) -> None:
        """A request that never became a flow: record it, and word the answer."""
        fault = data.fault
        metrics.BAD_REQUESTS.labels(fault.rule).inc()
        if not fault.recorded:
            return
        line = self._core.lines.of(data.context.client)
        exchange = flows.bad_exchange(line, data.http_version)
        cause = _CAUSES.get(fault.reason, Cause.BAD_REQUEST)
        refusal = await self._refuse(exchange, Objection(fault.reason, cause, fault.rule))
        answer, data.response = answers.to(refusal, exchange)
        self._outcomes.refused(exchange, refusal, answer.status, answer.error_code)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Refused from here on. What the head alone condemns is not waited for."""
        flow.response = self._refused
        flow.request.stream = False
        passage = passage_of(flow)
        line = passage.line = self._core.lines.of(flow.client_conn)
        line.passages.add(passage)
        passage.credential = take(flow, passage)
        if flow.is_replay or line.broken or line.tunnel not in (Tunnel.NONE, Tunnel.DECRYPTED):
            passage.objection = BROKEN
        else:
            passage.objection = (
                self._door.early(flow, passage, line)
                or self._disagreement(flow, passage, line)
                or self._overload(passage)
            )

    async def objected(self, flow: http.HTTPFlow) -> None:
        """The head was objected to: record it, and answer in the provider's own shape."""
        passage = passage_of(flow)
        line = passage.line
        if passage.objection is None or line is None:
            raise AssertionError("there is no objection")
        passage.credential = None
        passage.complete_at = now()
        passage.exchange = exchange = flows.exchange(flow, passage, line)
        answers.give(flow, passage, await self._ask(self._refuse(exchange, passage.objection), passage))

    async def request(self, flow: http.HTTPFlow) -> None:
        """The whole request is here: ask the gate, and lift the refusal for a clearance."""
        passage = passage_of(flow)
        line = passage.line
        if line is None or passage.objection is not None or passage.ended or passage.clearance is not None:
            raise AssertionError("this request is not waiting for a decision")
        passage.complete_at = now()
        passage.exchange = exchange = flows.exchange(flow, passage, line)
        objection = self._late_objection(flow, passage, line)
        if passage.credential is not None:
            exchange, proven = await self._door.plain(exchange, passage)
            passage.exchange, objection = exchange, proven or objection
            if objection is not None and not objection.recorded:
                self._core.inflight.release(passage)
                passage.decided_at = now()
                answers.unrecorded(flow, passage, objection)
                return
        verdict = await self._ask(self._decide(exchange, objection, line), passage)
        if (
            isinstance(verdict, Clearance)
            and verdict.exchange_id == exchange.id
            and verdict.decision.action is Action.ALLOW
            and not (line.broken or line.gone)
        ):
            passage.target = self._gate.rulebook.targets.match(exchange.host, exchange.port, exchange.path)
            passage.clearance = verdict
            if passage.target is not None and passage.target.row in _ANSWERED_HERE:
                answers.probed(flow, passage, verdict)
                return
            flows.make_ready(flow, self._gate.resolver.strip)
            if (tenants := self._gate.rulebook.tenants) and passage.target is not None:
                flows.bind(flow, tenants.get(passage.target.row))
            flow.request.data.host = exchange.host
            flow.request.data.port = exchange.port
            line.permits.add((exchange.host, exchange.port))
            flow.response = None
        elif isinstance(verdict, Refusal):
            answers.give(flow, passage, self._door.challenging(verdict, exchange))
        else:
            answers.give(flow, passage, _unrecorded(exchange, Cause.INTERNAL, Reason.INTERNAL))

    # ----------------------------------------------------------------------------------------------------- the parts

    async def _ask[T](self, asking: Awaitable[T], passage: Passage) -> T:
        """Await the gate; meanwhile the request counts as in inspection, and nobody else ends it."""
        inflight = self._core.inflight
        inflight.requests += 1
        passage.deciding = True
        try:
            return await asking
        finally:
            inflight.requests -= 1
            inflight.release(passage)
            passage.deciding = False
            passage.decided_at = now()

    async def _decide(self, exchange: Exchange, objection: Objection | None, line: Line) -> Clearance | Refusal:
        """The gate's word, whatever it takes. Only a cancellation passes through."""
        if objection is not None:
            return await self._refuse(exchange, objection)
        try:
            with self._deadline():
                if line.tunnel is Tunnel.NONE and (why := egress.literal_denial(exchange.host)) is not None:
                    return await self._refuse(exchange, Objection(Reason.DESTINATION_FORBIDDEN, Cause.DESTINATION, why))
                if line.tunnel is Tunnel.NONE and not self._is_ai(exchange):
                    return await self._gate.bypass(exchange, "plain HTTP")
                return await self._gate.clear(exchange)
        except TimeoutError:
            objection = Objection(Reason.SCAN_TIMEOUT, Cause.SCAN_TIMEOUT, "guard deadline")
        except Exception as e:
            log.error("the gate failed", exc_info=e)
            objection = Objection(Reason.INTERNAL, Cause.INTERNAL, "gate")
        return await self._refuse(exchange, objection)

    async def _refuse(self, exchange: Exchange, objection: Objection) -> Refusal:
        """A refusal with its record; without one when evidence is out of reach as well."""
        try:
            async with asyncio.timeout(self._late):
                return await self._gate.refuse(exchange, objection.reason, objection.cause, objection.detail)
        except Exception as e:
            log.error("a refusal could not be recorded", exc_info=e)
            cause = objection.cause or Cause.INTERNAL
            metrics.REFUSALS.labels(cause).inc()
            return _unrecorded(exchange, cause, objection.reason)

    def _is_ai(self, exchange: Exchange) -> bool:
        targets = self._gate.rulebook.targets
        return targets.decrypts(exchange.host, exchange.port) or (
            targets.match(exchange.host, exchange.port, exchange.path) is not None
        )

    def _disagreement(self, flow: http.HTTPFlow, passage: Passage, line: Line) -> Objection | None:
        """CONNECT, TLS server name and the request's own host must be one host; a plain request's URL and Host too."""
        named = flows.named_host(flow, passage)
        if line.tunnel is Tunnel.DECRYPTED:
            if named is not None and named == line.agreed and passage.head.host in (None, named):
                return None
            said = agreement(f"{line.connect_host}:{line.connect_port}", line.sni, named, "https")
        else:
            request = flow.request
            if request.port not in self._core.settings.tunnels.ports:
                return Objection(Reason.DESTINATION_FORBIDDEN, Cause.DESTINATION, "port")
            host = f"[{request.data.host}]" if ":" in request.data.host else request.data.host
            said = agreement(f"{host}:{request.port}", None, named, "http")
        if said is None and flow.request.is_http2 and passage.head.host not in (None, named):
            said = agreement(named, None, passage.head.host, "http")
        if said is not None:
            return Objection(Reason.HOST_MISMATCH, Cause.HOST_MISMATCH, said)
        line.agreed = named if line.tunnel is Tunnel.DECRYPTED else None
        return None

    def _overload(self, passage: Passage) -> Objection | None:
        """What the declared length or the load of this worker rules out."""
        inflight, limits = self._core.inflight, self._core.limits
        declared = passage.head.length or 0
        if declared > limits.body_bytes:
            return BODY_TOO_LARGE
        if inflight.requests >= limits.inflight_requests:
            return BUSY
        return OVERLOAD if inflight.bytes + declared > limits.inflight_bytes else None

    def _late_objection(self, flow: http.HTTPFlow, passage: Passage, line: Line) -> Objection | None:
        """What only the complete request shows."""
        if passage.overflow is not None:
            return passage.overflow
        if flow.request.trailers:
            return TRAILERS
        if passage.head.length not in (None, len(flow.request.raw_content or b"")):
            return LENGTH  # an HTTP/2 head that declares a body and ends the stream: HTTP/1 upstreams would wait for it
        return BROKEN if line.broken else None

    # ------------------------------------------------------------------------- belts: hooks that must never be called

    def tcp_start(self, flow: flow.Flow) -> None:
        raise AssertionError("raw TCP is off")

    def udp_start(self, flow: flow.Flow) -> None:
        raise AssertionError("UDP is off")

    def dns_request(self, flow: flow.Flow) -> None:
        raise AssertionError("DNS is off")

    def http_connect_upstream(self, flow: http.HTTPFlow) -> None:
        raise AssertionError("there is no upstream proxy")


_CAUSES = {Reason.NON_HTTP: Cause.NON_HTTP, Reason.HOST_MISMATCH: Cause.HOST_MISMATCH}


def _unrecorded(exchange: Exchange, cause: Cause, reason: Reason) -> Refusal:
    decision = Decision(action=Action.REFUSE, reason=reason, rule="gate", cause=cause)
    return Refusal(exchange_id=exchange.id, decision=decision, target=None, receipt=None)
