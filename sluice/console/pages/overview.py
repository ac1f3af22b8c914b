"""What happened lately, how much of it was seen, and what should not be so."""

from __future__ import annotations

from datetime import datetime, timedelta

from sluice.config import Settings
from sluice.console import chart
from sluice.console.given import Given, stamp
from sluice.console.page import Answers, Context, Page, Question
from sluice.console.pages.decisions import LIST_COLUMNS
from sluice.posture import coverage, question

OTHERWISE = "24h"
SLOTS = 72
KINDS = ("allow", "block", "refuse", "tunnel")

TOTALS = """
SELECT
    sum(m.requests) AS requests,
    sumIf(m.requests, decision = 'allow') AS allowed,
    sumIf(m.requests, decision = 'block') AS blocked,
    sumIf(m.requests, decision = 'refuse') AS refused,
    sumIf(m.requests, kind = 'bypass') AS tunnelled,
    sum(m.with_findings) AS with_findings,
    sum(m.would_block) AS would_block
FROM per_minute AS m
WHERE minute >= {since} AND minute < {until} AND kind != 'outcome'
"""
TIMELINE = """
SELECT
    intDiv(toUnixTimestamp(minute), {step}) * {step} AS slot,
    sumIf(m.requests, decision = 'allow') AS allow,
    sumIf(m.requests, decision = 'block') AS block,
    sumIf(m.requests, kind = 'decision' AND decision NOT IN ('allow', 'block')) AS refuse,
    sumIf(m.requests, kind = 'bypass') AS tunnel
FROM per_minute AS m
WHERE minute >= {since} AND minute < {until} AND kind != 'outcome'
GROUP BY slot
ORDER BY slot
"""
REASONS = """
SELECT
    reason_code AS reason,
    sumIf(m.requests, decision = 'block') AS blocked,
    sumIf(m.requests, decision != 'block') AS refused
FROM per_minute AS m
WHERE minute >= {since} AND minute < {until} AND kind = 'decision' AND decision != 'allow'
GROUP BY reason
ORDER BY blocked + refused DESC, reason
LIMIT 8
"""
PROVIDERS = """
SELECT
    if(provider_id = '', 'not an AI service', provider_id) AS provider,
    sum(m.requests) AS requests,
    sumIf(m.requests, decision = 'block') AS blocked,
    sum(m.with_findings) AS with_findings,
    sum(m.uninspected_bytes) AS uninspected_bytes
FROM per_minute AS m
WHERE minute >= {since} AND minute < {until} AND kind != 'outcome'
GROUP BY provider
ORDER BY requests DESC, provider
LIMIT 10
"""
OPEN_FINDINGS = """
SELECT
    toString(severity) AS grade,
    count() AS open,
    countIf(status = 'reopened') AS reopened
FROM findings
WHERE status IN ('open', 'reopened')
GROUP BY severity
ORDER BY severity DESC
"""
SCORE = """
SELECT
    taken_at,
    metric,
    value,
    numerator,
    denominator,
    weight
FROM posture_snapshot
WHERE taken_at = (SELECT max(taken_at) FROM posture_snapshot)
ORDER BY metric = 'score' DESC, weight DESC, metric
"""
LATEST = """
SELECT
    {columns}
FROM events AS e
WHERE record_type IN ('decision', 'bypass') AND ts_received >= {since} AND ts_received < {until}
ORDER BY e.ts_received DESC, decision_id DESC
LIMIT 15
""".replace("{columns}", LIST_COLUMNS)


def view(given: Given, _: Settings) -> Page:
    since, until = given.span(OTHERWISE)
    step = _step(since, until)
    values: dict[str, datetime | int] = {"since": since, "until": until, "step": step}
    asked = {
        "totals": ("Requests, and what happened to them", TOTALS),
        "timeline": ("Requests over time", TIMELINE),
        "coverage": ("How much of the traffic was inspected", coverage.SHARES),
        "reasons": ("Why requests were stopped", REASONS),
        "providers": ("Requests by provider", PROVIDERS),
        "findings": ("Open findings by severity", OPEN_FINDINGS),
        "score": ("The posture score, as computed last", SCORE),
        "latest": ("Latest decisions", LATEST),
    }

    def fill(answers: Answers) -> Context:
        score = answers["score"].dicts()
        return {
            "since": since,
            "until": until,
            "span": given.text("since") or OTHERWISE,
            "totals": answers["totals"].dicts()[0],
            "seen": answers["coverage"].dicts()[0],
            "chart": _drawn(answers, since, until, step),
            "kinds": KINDS,
            "score": next((row for row in score if row["metric"] == "score"), None),
            "parts": [row for row in score if row["metric"] != "score"],
            "answers": answers,
        }

    return Page(
        "overview.html",
        "Overview",
        {name: Question(title, question.filled(sql, values)) for name, (title, sql) in asked.items()},
        fill,
        {"since": stamp(since), "until": stamp(until)},
    )


def _step(since: datetime, until: datetime) -> int:
    """Seconds of one bar: whole minutes, as many as make about `SLOTS` bars."""
    minutes = (until - since) / timedelta(minutes=1)
    return next((m for m in (1, 5, 10, 20, 60, 120, 360, 720) if minutes / m <= SLOTS), 1440) * 60


def _drawn(answers: Answers, since: datetime, until: datetime, step: int) -> chart.Chart:
    found = {int(str(row["slot"])): row for row in answers["timeline"].dicts()}
    first, last = int(since.timestamp()) // step, int(until.timestamp() - 1) // step
    short = "%H:%M" if until - since <= timedelta(days=2) else "%d %b"
    points = []
    for at in range(first, last + 1):
        row = found.get(at * step, {})
        label = datetime.fromtimestamp(at * step, since.tzinfo).strftime(short)
        points.append((label, [(kind, int(str(row.get(kind, 0)))) for kind in KINDS]))
    return chart.stacked(points, len(points))
