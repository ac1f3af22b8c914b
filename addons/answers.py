"""From an `Answer` of the house to a response of mitmproxy's."""

from __future__ import annotations

import time

from mitmproxy import http
from mitmproxy.net.http import status_codes

from addons.state import Objection, Passage
from sluice import probe, refusals
from sluice.model import Action, Answer, Clearance, Decision, Exchange, Refusal


def response(answer: Answer) -> http.Response:
    """The response that carries an answer, with its length."""
    fields = [(name.encode("latin-1", "replace"), value.encode("latin-1", "replace")) for name, value in answer.headers]
    if not any(name.lower() == b"content-length" for name, _ in fields):
        fields.append((b"content-length", b"%d" % len(answer.body)))
    now = time.time()
    return http.Response(
        http_version=b"HTTP/1.1",
        status_code=answer.status,
        reason=status_codes.RESPONSES.get(answer.status, "").encode("ascii"),
        headers=http.Headers(fields),
        content=answer.body,
        trailers=None,
        timestamp_start=now,
        timestamp_end=now,
    )


def give(flow: http.HTTPFlow, passage: Passage, refusal: Refusal) -> None:
    """Refuse a flow: in its provider's own shape, and for good."""
    passage.clearance = None
    passage.refusal = refusal
    passage.target = refusal.target
    passage.reason = refusal.decision.reason
    assert passage.exchange is not None
    passage.answer = refusals.answer(refusal, passage.exchange)
    flow.response = response(passage.answer)


def probed(flow: http.HTTPFlow, passage: Passage, clearance: Clearance) -> None:
    """Answer here what was cleared: it asks the gate itself (`sluice.probe`)."""
    assert passage.exchange is not None
    passage.answer = probe.answer(passage.exchange, clearance)
    flow.response = response(passage.answer)


def unrecorded(flow: http.HTTPFlow, passage: Passage, objection: Objection) -> None:
    """Refuse a flow of which there is to be no record: no decision, and so no outcome either."""
    assert passage.exchange is not None
    decision = Decision(
        action=Action.REFUSE, reason=objection.reason, rule="gate", cause=objection.cause, detail=objection.detail
    )
    give(flow, passage, Refusal(exchange_id=passage.exchange.id, decision=decision, target=None, receipt=None))
    passage.exchange = None


def to(refusal: Refusal, exchange: Exchange) -> tuple[Answer, http.Response]:
    """The answer to a request that never became a flow. The connection ends with it."""
    answer = refusals.answer(refusal, exchange)
    made = response(answer)
    made.headers["connection"] = "close"
    return answer, made
