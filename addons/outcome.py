"""How an exchange ended: answers streamed through and counted, upstream failures told, the second record written.

Every answer of an upstream is streamed: a chunk goes out as it came in, nothing is collected (`sluice.answers` looks at
it on its way: model, tokens, how it ended). What is taken out is `Alt-Svc` alone, which would invite the client to
HTTP/3 and so past this gate.

The outcome record is written beside the traffic, not in its way: the decision record was durable before the first byte
left, and the order of the two is kept because `commit` fixes it when it is called.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from mitmproxy import connection, http, tls
from mitmproxy.proxy import server_hooks

from addons import answers
from addons.failure import Failure, classify_upstream_error
from addons.state import Core, Line, Passage, Peer, passage_of
from addons.streams import INVALID_ANSWER, UpstreamFailure
from sluice import metrics
from sluice.answers import reader_for
from sluice.errors import Cause, Reason
from sluice.gate import Gate
from sluice.model import Action, Decision, Exchange, Outcome, Refusal

type FailureOf = Callable[[connection.Client], Failure | None]


def now() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000


class Outcomes:
    """Writes outcome records, each exchange once."""

    def __init__(self, gate: Gate, core: Core) -> None:
        self._gate = gate
        self._core = core
        self._writing: set[asyncio.Task[None]] = set()
        self.peers: dict[str, Peer] = {}

    def send(self, outcome: Outcome) -> None:
        """Hand a record to the ledger. Its place in the order is taken before this returns."""
        task = asyncio.get_running_loop().create_task(self._gate.outcome(outcome))
        if not task.done():
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    async def settle(self) -> None:
        """Wait until everything handed over so far is written."""
        while self._writing:
            await asyncio.wait(set(self._writing))

    def refused(self, exchange: Exchange, refusal: Refusal, status: int | None = None, code: str | None = None) -> None:
        """The outcome of something that was refused before it was a flow."""
        self.send(
            Outcome(
                exchange_id=exchange.id,
                forwarded=False,
                target=refusal.target,
                client_status=status,
                client_error_code=code,
                ts_received=exchange.at // 1000,
                ts_end=now(),
                reason=refusal.decision.reason,
                classes=refusal.decision.classes,
                receipt=refusal.receipt,
                tls_version_client=exchange.client.tls_version,
            )
        )

    def end(self, passage: Passage, flow: http.HTTPFlow | None, *, aborted: bool = False) -> None:
        """The outcome of a request. The second call for the same passage does nothing."""
        if passage.ended:
            return
        passage.ended = True
        self._core.inflight.release(passage)
        if passage.line is not None:
            passage.line.passages.discard(passage)
        exchange = passage.exchange
        if exchange is None:
            return  # the client went away inside its own request: nothing was decided, so nothing ended
        answered = flow.response if flow is not None else None
        server = passage.server
        peer = passage.peer
        forwarded, first = passage.forwarded_at, passage.first_byte_at
        verdict = passage.clearance or passage.refusal
        self.send(
            Outcome(
                exchange_id=exchange.id,
                forwarded=forwarded is not None,
                target=passage.target,
                client_status=answered.status_code if answered is not None else None,
                client_error_code=passage.answer.error_code if passage.answer is not None else None,
                ts_received=passage.received_at,
                ts_forwarded=forwarded,
                ts_first_byte=first,
                ts_end=now(),
                upstream_status=passage.upstream_status,
                upstream_error=passage.upstream_error,
                reason=passage.reason,
                resp_bytes=passage.response_bytes if passage.upstream_status is not None else None,
                stream_aborted=aborted,
                client_disconnected=passage.client_gone,
                latency_added_us=max(0, passage.decided_at - passage.complete_at) if passage.decided_at else None,
                latency_upstream_ms=max(0, first - forwarded) // 1000 if first and forwarded else None,
                dst_ip=server.peername[0] if server is not None and server.peername else None,
                dst_port=server.peername[1] if server is not None and server.peername else None,
                http_version=exchange.http_version,
                tls_version_client=exchange.client.tls_version,
                tls_version_upstream=peer.tls_version if peer else None,
                upstream_cert_sha256=peer.certificate if peer else None,
                upstream_cert_verified=peer.verified if peer else None,
                org_id_seen=passage.organisation,
                project_id_seen=passage.project,
                answer=passage.reader.end(aborted=aborted) if passage.reader is not None else None,
                classes=verdict.decision.classes if verdict is not None else (),
                receipt=verdict.receipt if verdict is not None else None,
                key=passage.clearance.key if passage.clearance is not None else None,
            )
        )

    def end_tunnel(self, line: Line) -> None:
        """The outcome of an opaque tunnel: what went through it, and until when."""
        opaque = line.opaque
        if opaque is None or opaque.ended:
            return
        opaque.ended = True
        metrics.TUNNEL_BYTES.labels("up").inc(opaque.up)
        metrics.TUNNEL_BYTES.labels("down").inc(opaque.down)
        server = opaque.server
        self.send(
            Outcome(
                exchange_id=opaque.exchange.id,
                forwarded=server is not None,
                ts_received=opaque.exchange.at // 1000,
                ts_end=now(),
                upstream_error=opaque.error,
                reason=opaque.reason,
                dst_ip=server.peername[0] if server is not None and server.peername else None,
                dst_port=server.peername[1] if server is not None and server.peername else None,
                tunnel_bytes_up=opaque.up,
                tunnel_bytes_down=opaque.down,
            )
        )


class OutcomeAddon:
    """Follows a flow from the upstream's first byte to the end."""

    name = "outcome"

    def __init__(self, core: Core, outcomes: Outcomes, failure: FailureOf) -> None:
        self._core = core
        self._outcomes = outcomes
        self._failure_of = failure

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """The upstream's head is here (or a local answer's, which has nothing to follow)."""
        passage = passage_of(flow)
        if passage.forwarded_at is None or passage.upstream_error is not None:
            return
        response = flow.response
        assert response is not None
        if response.status_code == 101:
            raise AssertionError("the upstream switched protocols unasked")
        passage.first_byte_at = now()
        passage.upstream_status = response.status_code
        passage.server = flow.server_conn
        passage.peer = self._outcomes.peers.get(flow.server_conn.id)
        response.stream = passage.count
        headers = response.data.headers
        coding = ""
        for name, value in headers.fields:
            match name.lower():
                case b"alt-svc":
                    headers.fields = tuple(f for f in headers.fields if f[0].lower() != b"alt-svc")
                case b"openai-organization" | b"anthropic-organization-id":
                    passage.organisation = value.decode("ascii", "replace")
                case b"openai-project":
                    passage.project = value.decode("ascii", "replace")
                case b"content-encoding":
                    coding = f"{coding}, {value.decode('latin-1')}" if coding else value.decode("latin-1")
        if passage.target is not None and passage.exchange is not None:
            path = passage.exchange.path
            passage.reader = reader_for(passage.target.dialect, path, response.status_code, coding)

    def response(self, flow: http.HTTPFlow) -> None:
        """The last byte is on its way. The body is not here: it was streamed."""
        self._outcomes.end(passage_of(flow), flow)

    def error(self, flow: http.HTTPFlow) -> None:
        """The exchange broke off: by the client, by the upstream in mid-answer, or by us."""
        passage = passage_of(flow)
        started = passage.first_byte_at is not None
        if started and not passage.client_gone:
            passage.upstream_error = "aborted"
        self._outcomes.end(passage, flow, aborted=started)

    def http_connect_error(self, flow: http.HTTPFlow) -> None:
        """A CONNECT was refused."""
        self._outcomes.end(passage_of(flow), flow)

    def upstream_failed(self, data: UpstreamFailure) -> None:
        """The upstream gave no answer: tell the client which kind of failure, in its provider's own shape."""
        flow = data.flow
        passage = passage_of(flow)
        assert passage.exchange is not None and passage.clearance is not None
        passage.server = flow.server_conn if flow.server_conn.peername else None
        passage.peer = self._outcomes.peers.get(flow.server_conn.id)
        failure = self._failure(data.message, flow.client_conn)
        passage.upstream_error = failure.detail
        metrics.UPSTREAM_ERRORS.labels(failure.reason).inc()
        refusal = Refusal(
            exchange_id=passage.exchange.id,
            decision=Decision(
                action=Action.REFUSE,
                reason=failure.reason,
                rule="gate",
                cause=Cause.UPSTREAM_TLS_ERROR if failure.reason is Reason.UPSTREAM_TLS else None,
                detail=failure.detail,
            ),
            target=passage.target,
            receipt=passage.clearance.receipt,
        )
        answers.give(flow, passage, refusal)

    def _failure(self, message: str, client: connection.Client) -> Failure:
        """mitmproxy's words as a code. A handshake that just ended is told better by the TLS addon, which ended it."""
        if message == INVALID_ANSWER:
            return Failure(Reason.UPSTREAM_UNREACHABLE, "invalid_answer")
        told = classify_upstream_error(message)
        return (self._failure_of(client) or told) if told.detail == "handshake_closed" else told

    def tls_established_server(self, data: tls.TlsData) -> None:
        """Remember the upstream's TLS once per connection. The handshake fails when verification does."""
        chain = data.conn.certificate_list
        self._outcomes.peers[data.conn.id] = Peer(
            tls_version=data.conn.tls_version,
            certificate=chain[0].fingerprint().hex() if chain else None,
            verified=True,
        )

    def server_connected(self, data: server_hooks.ServerConnectionHookData) -> None:
        opaque = self._core.lines.of(data.client).opaque
        if opaque is not None:
            opaque.server = data.server

    def server_connect_error(self, data: server_hooks.ServerConnectionHookData) -> None:
        opaque = self._core.lines.of(data.client).opaque
        if opaque is not None:
            failure = classify_upstream_error(data.server.error or "")
            opaque.error, opaque.reason = failure.detail, failure.reason

    def server_disconnected(self, data: server_hooks.ServerConnectionHookData) -> None:
        self._outcomes.peers.pop(data.server.id, None)

    def client_disconnected(self, client: connection.Client) -> None:
        """Whatever is still open on this connection ends now; what the gate still decides ends when it has."""
        line = self._core.lines.of(client)
        line.gone = True
        self._outcomes.end_tunnel(line)
        for passage in tuple(line.passages):
            if not passage.deciding:
                passage.client_gone = True
                self._outcomes.end(passage, None, aborted=passage.first_byte_at is not None)
