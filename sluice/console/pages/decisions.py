"""Searching decisions: by what is known of them, newest first, a page at a time."""

from __future__ import annotations

import re

from sluice.config import Settings
from sluice.console import catalogue
from sluice.console.given import Given, stamp
from sluice.console.page import Answers, Context, Page, Question
from sluice.errors import Reason
from sluice.posture import question
from sluice.posture.question import BadQuestion

OTHERWISE = "24h"
ROWS = 50

LIST_COLUMNS = """decision_id,
    e.ts_received AS time,
    ifNull(e.subject_id, '') AS subject,
    ifNull(e.department, '') AS department,
    provider_id AS provider,
    ifNull(e.model_requested, '') AS model,
    e.data_classes AS classes,
    if(record_type = 'bypass', 'tunnel', ifNull(toString(e.decision), '')) AS decided,
    ifNull(toString(e.would_decide), '') AS would,
    ifNull(e.rule_id, '') AS rule,
    ifNull(e.reason_code, '') AS reason"""

DECIDED = ("allow", "block", "refuse", "tunnel")
_FOUND = "(c, x, s) -> c = {0} AND NOT x AND s IS NULL, matches.data_class, matches.example, matches.suppressed"
"""Found by a detector on trial: in no account of the request's classes, and in the inventory all the same."""
EXACT = {
    "provider": ("Provider", "provider_id = {}"),
    "model": ("Model", "model_requested = {}"),
    "class": ("Data class", "(has(data_classes, {0}) OR arrayExists(" + _FOUND + "))"),
    "rule": ("Rule", "rule_id = {}"),
    "subject": ("Subject (pseudonym)", "subject_id = {}"),
    "department": ("Department", "department = {}"),
    "agent": ("Agent, or client", "(agent_id = {0} OR <<agent>> = {0})"),
    "tool": ("Tool", "(has(tools_declared, {0}) OR has(hosted_tools, {0}))"),
    "key": ("API key (fingerprint)", "key_fp = {}"),
    "host": ("Host", "host = {}"),
    "fingerprint": ("Value (fingerprint)", "has(matches.fingerprint, {})"),
}
"""Filters that take a text: field, what it is called, its condition; an agent goes by its name in the inventory."""
REASONS = tuple(sorted(Reason))
_PLACE = re.compile(r"(\d{1,17})-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


def view(given: Given, _: Settings) -> Page:
    since, until = given.span(OTHERWISE)
    where = [
        "record_type IN ('decision', 'bypass')",
        f"ts_received >= {question.moment(since)}",
        f"ts_received < {question.moment(until)}",
        *_conditions(given),
    ]
    count = f"SELECT count() AS found\nFROM events AS e\nWHERE {'\n    AND '.join(where)}"
    rows = (
        f"SELECT\n    {LIST_COLUMNS},\n    toUnixTimestamp64Micro(e.ts_received) AS at\nFROM events AS e\n"
        f"WHERE {'\n    AND '.join([*where, *_behind(given)])}\n"
        f"ORDER BY e.ts_received DESC, decision_id DESC\nLIMIT {ROWS + 1}"
    )

    def fill(answers: Answers) -> Context:
        found = answers["rows"].dicts()
        shown = found[:ROWS]
        more = f"{shown[-1]['at']}-{shown[-1]['decision_id']}" if len(found) > ROWS else None
        pinned = {"since": stamp(since), "until": stamp(until)}
        return {
            "since": since,
            "until": until,
            "span": given.text("since") or OTHERWISE,
            "rows": shown,
            "found": answers["count"].rows[0][0],
            "older": given.link(**pinned, before=more) if more else None,
            "newest": given.link(before=None) if given.text("before") else None,
            "exact": {name: label for name, (label, _) in EXACT.items()},
            "decided": DECIDED,
            "reasons": REASONS,
        }

    return Page(
        "decisions.html",
        "Decisions",
        {"count": Question("How many fit", count), "rows": Question("Decisions, newest first", rows)},
        fill,
        {"since": stamp(since), "until": stamp(until)},
    )


def _conditions(given: Given) -> list[str]:
    agent = catalogue.expressions()["agent"]
    asked = [(sql, value) for name, (_, sql) in EXACT.items() if (value := given.text(name))]
    out = [sql.replace("<<agent>>", agent).format(question.text(value)) for sql, value in asked]
    decided = given.text("decided")
    if decided == "tunnel":
        out.append("record_type = 'bypass'")
    elif decided in DECIDED:
        out.append(f"record_type = 'decision' AND decision = {question.text(decided)}")
    elif decided:
        raise BadQuestion(f"`decided` is one of {', '.join(DECIDED)}")
    if reason := given.text("reason"):
        out.append(f"reason_code = {question.text(reason)}")
    if given.text("observed"):
        out.append("would_decide IS NOT NULL AND would_decide != 'allow'")
    return out


def _behind(given: Given) -> list[str]:
    """Only what comes after the last row of the page before."""
    if not (before := given.text("before")):
        return []
    found = _PLACE.fullmatch(before)
    if not found:
        raise BadQuestion("`before` is a place in this list, as its link says it")
    at = f"fromUnixTimestamp64Micro({found[1]}, 'UTC')"
    return [f"ts_received <= {at}", f"(ts_received < {at} OR decision_id < toUUID('{found[2]}'))"]
