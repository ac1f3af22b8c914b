"""One decision: why it was made, on what, and what came of it. Everything that is on record of it, and nothing else."""

from __future__ import annotations

import re

from sluice.config import Settings
from sluice.console.given import Given
from sluice.console.page import Answers, Context, Missing, Page, Question
from sluice.errors import Reason
from sluice.model import Action, Decision
from sluice.posture import question
from sluice.posture.question import Cell
from sluice.refusals import words

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

SECTIONS: dict[str, tuple[str, ...]] = {
    "Who": (
        *("subject_id", "subject_kind", "identity_method", "identity_assurance", "idp", "role", "department"),
        *("groups_hash", "on_behalf_of", "delegation_chain", "session_id", "src_ip", "src_port", "device_id"),
        *("device_managed", "country", "app_id", "user_agent", "sdk", "ja4"),
    ),
    "Key": (
        *("key_fp", "key_hint", "key_kind", "key_ownership_at_decision", "key_ownership_after"),
        *("injected_tenant_header", "org_id_seen", "project_id_seen"),
    ),
    "Where to": (
        *("provider_id", "provider_status", "provider_tier", "product", "target_row", "host", "sni", "dst_ip"),
        *("dst_port", "region", "method", "path_template", "route_id", "operation", "http_version"),
        *("tls_version_client", "tls_version_upstream", "upstream_cert_sha256", "upstream_cert_verified"),
    ),
    "Model, agent and tools": (
        *("model_requested", "model_served", "model_approved", "agent_id", "conversation_fp", "trace_id"),
        *("tools_declared", "hosted_tools", "mcp_servers", "dangerous_tools", "tool_choice", "tool_calls_returned"),
        *("tokens_in", "tokens_out", "tokens_cached", "tokens_reasoning", "finish_reason"),
    ),
    "What was inspected": (
        *("content_type", "content_encoding", "dialect", "body_bytes", "decoded_bytes", "scanned_bytes"),
        *("inspection_status", "uninspected_bytes", "uninspected_reason", "data_classes", "max_severity"),
        *("detector_pack_version", "engine_versions", "clipped"),
    ),
    "Policy": (
        *("policy_id", "policy_version", "policy_sha256", "policy_mode", "rule_id", "rules_evaluated"),
        *("exception_id", "approved_by", "fail_mode", "degraded", "would_decide", "rulebook_digest"),
    ),
    "What came of it": (
        *("forwarded", "client_status", "client_error_code", "upstream_status", "upstream_error", "resp_bytes"),
        *("resp_classes", "resp_action", "stream_aborted", "client_disconnected", "latency_added_us"),
        *("latency_upstream_ms", "tunnel_bytes_up", "tunnel_bytes_down"),
    ),
    "Evidence": (
        *("node_id", "chain_id", "epoch", "seq", "prev_hash", "body_hmac", "hmac_key_id", "retention_class"),
        *("legal_hold", "regulated_tags", "schema_version"),
    ),
}
"""Columns by what a reader asks for; a column that a record does not fill is left out."""
TIMES = (
    *("ts_received", "ts_identity_done", "ts_scan_done", "ts_decided", "ts_committed", "ts_forwarded"),
    *("ts_first_byte", "ts_end"),
)
COMMENTS = """
SELECT
    name,
    comment
FROM system.columns
WHERE database = currentDatabase() AND table = 'events'
"""
REVIEWS = """
SELECT
    at,
    verdict,
    reason,
    by
FROM decision_reviews
WHERE decision_id = toUUID({id})
ORDER BY at
"""


def view(given: Given, _: Settings) -> Page:
    found = given.parts.get("id", "").lower()
    if not _ID.fullmatch(found):
        raise Missing("A decision's id looks like 01932f6e-7d3a-7c3b-9e4f-000000000000.")
    records = (
        f"SELECT *\nFROM events\nWHERE decision_id = toUUID('{found}')\nORDER BY record_type, ts_received\nLIMIT 200"
    )

    def fill(answers: Answers) -> Context:
        rows = answers["records"].dicts()
        if not rows:
            raise Missing("Nothing with this id is in the event store. It may not have been shipped yet.")
        decided = next((row for row in rows if row["record_type"] in ("decision", "bypass")), rows[0])
        ended = next((row for row in rows if row["record_type"] == "outcome"), None)
        comments = {str(name): str(comment) for name, comment in answers["comments"].rows}
        return {
            "id": found,
            "row": decided,
            "ended": ended,
            "why": _why(decided, ended),
            "verdict": "tunnel" if decided["record_type"] == "bypass" else str(decided["decision"] or "none"),
            "matches": decided.get("matches") or [],
            "sections": {title: _filled(names, decided, ended) for title, names in SECTIONS.items()},
            "times": [(name, decided[name]) for name in TIMES if decided.get(name)]
            + [(name, ended[name]) for name in TIMES[1:] if ended and ended.get(name) and not decided.get(name)],
            "comments": comments,
            "messages": [row for row in rows if row["record_type"] == "ws_message"],
            "reviews": answers["reviews"].dicts(),
        }

    return Page(
        "decision.html",
        "Decision",
        {
            "records": Question("Every record of this exchange", records),
            "comments": Question("What the columns mean", COMMENTS.strip()),
            "reviews": Question("Reviews of this decision", question.filled(REVIEWS, {"id": found})),
        },
        fill,
    )


def _filled(names: tuple[str, ...], *rows: dict[str, Cell] | None) -> list[tuple[str, Cell]]:
    """The columns that a record fills, with the first value that there is."""
    out: list[tuple[str, Cell]] = []
    for name in names:
        values = (row.get(name) for row in rows if row)
        value = next((v for v in values if v is not None and v not in ("", [])), None)
        if value is not None:
            out.append((name, value))
    return out


def _why(row: dict[str, Cell], ended: dict[str, Cell] | None) -> str:
    """The decision in a sentence, in the words that the client was told, or would have been."""
    if row["record_type"] == "bypass":
        return f"This connection was passed on unread: {row['reason_code'] or 'not an AI service'}."
    taken, reason = str(row["decision"] or ""), str(row["reason_code"] or "")
    if taken == "allow":
        if reason == Reason.OBSERVE_ONLY:
            return "It was let pass because policy only observes here; enforcement had stopped it."
        return "It was let pass: no rule stopped it." if not row["rule_id"] else "It was let pass by the rule below."
    classes = tuple(str(one) for one in _list(row["data_classes"]))
    blocked = classes if reason in (Reason.CLASS_BLOCKED, Reason.SECRET_FOUND) else ()
    action = Action.BLOCK if taken == "block" else Action.REFUSE
    said = Decision(
        action, Reason(reason) if reason in set(Reason) else Reason.INTERNAL, str(row["rule_id"] or ""), blocked=blocked
    )
    return words.message(said, str(row["decision_id"])).partition(" Decision ")[0]


def _list(cell: Cell) -> list[Cell]:
    return cell if isinstance(cell, list) else []
