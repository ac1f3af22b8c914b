"""What should not be so: the list as it stands, and each finding with its query, its life and what would close it."""

from __future__ import annotations

from datetime import timedelta

from sluice.config import Settings
from sluice.console import catalogue, judging
from sluice.console.given import Given
from sluice.console.page import Answers, Context, Missing, Page, Question
from sluice.posture import proposal, question
from sluice.posture.question import BadQuestion, Cell
from sluice.ship.findings import LONGEST_REASON, MOST_DAYS, OF_STATES

SHOWN = 5
"""Scopes of one finding in the list; its own page has all of them."""
SCOPES = 25
"""Scopes on one page of a finding."""
MOST_PAGES = 1000
STATES = ("open", "acknowledged", "accepted", "reopened", "fixed")
SEVERITIES = ("critical", "high", "medium", "low")
AREAS = {
    "PRV": "Providers",
    "DAT": "Data",
    "KEY": "API keys",
    "IDN": "Identity",
    "POL": "Policy",
    "AGT": "Agents and tools",
    "MOD": "Models",
    "AUD": "Evidence",
    "COV": "Coverage",
    "OPS": "Operation",
}
"""What the first letters of a finding stand for."""
GROUPS = """
SELECT
    finding,
    any(f.title) AS title,
    toString(max(f.severity)) AS worst,
    count() AS scopes,
    countIf(f.severity = 'critical') AS critical,
    countIf(f.severity = 'high') AS high,
    countIf(f.severity = 'medium') AS medium,
    countIf(f.severity = 'low') AS low,
    sum(f.hits) AS violations,
    max(f.last_seen) AS last
FROM findings AS f
WHERE {where}
GROUP BY finding
ORDER BY max(f.severity) DESC, finding
"""
STANDING = """
SELECT
    finding,
    title,
    toString(severity) AS grade,
    toString(status) AS state,
    scope,
    hits,
    grave,
    first_seen,
    last_seen,
    opened,
    changed,
    facts,
    owner,
    reason,
    accepted_until
FROM findings
WHERE {where}
ORDER BY severity DESC, finding, hits DESC, scope
{limit}
"""
EVENTS = """
SELECT
    at,
    toString(event) AS event,
    scope,
    toString(severity) AS severity,
    hits,
    by,
    reason
FROM finding_events
WHERE finding = {id} AND event != 'observed'
ORDER BY at DESC
LIMIT 100
"""


def listed(given: Given, _: Settings) -> Page:
    state, severity, area = (given.text(name) for name in ("state", "severity", "area"))
    for name, value, known in (("state", state, STATES), ("severity", severity, SEVERITIES), ("area", area, AREAS)):
        if value not in ("", *known):
            raise BadQuestion(f"`{name}` is one of {', '.join(known)}")
    conditions = [f"status = {question.text(state)}" if state else "status != 'fixed'"]
    conditions += [f"severity = {question.text(severity)}"] if severity else []
    conditions += [f"startsWith(finding, {question.text(area + '-')})"] if area else []
    where = " AND ".join(conditions)

    def fill(answers: Answers) -> Context:
        rows: dict[str, list[dict[str, Cell]]] = {}
        for row in answers["rows"].dicts():
            rows.setdefault(str(row["finding"]), []).append(row)
        groups = answers["groups"].dicts()
        return {
            "groups": [group | {"rows": rows.get(str(group["finding"]), [])} for group in groups],
            "scopes": sum(int(str(group["scopes"])) for group in groups),
            "chosen": {"state": state, "severity": severity, "area": area},
            "states": STATES,
            "severities": SEVERITIES,
            "areas": AREAS,
            "catalogue": catalogue.findings().values(),
            "standing": set(rows),
        }

    limit = f"LIMIT {SHOWN} BY finding"
    asked = {
        "groups": Question("Findings as they stand, by finding", GROUPS.replace("{where}", where).strip()),
        "rows": Question("Their gravest scopes", _standing(where, limit)),
    }
    return Page("findings.html", "Findings", asked, fill)


def _standing(where: str, limit: str, *, total: bool = False) -> str:
    """How findings stand; with `total` how many there are beyond the limit, and what is not fixed first."""
    sql = STANDING.replace("{where}", where).replace("{limit}", limit).strip()
    if total:
        sql = sql.replace("accepted_until\n", "accepted_until,\n    count() OVER () AS total\n")
        sql = sql.replace("ORDER BY ", "ORDER BY status = 'fixed', ")
    return sql


def view(given: Given, _: Settings) -> Page:
    unit = catalogue.findings().get(given.parts.get("id", "").upper())
    if unit is None:
        raise Missing("There is no finding of this name.")
    page = given.text("page") or "1"
    if not page.isascii() or not page.isdigit() or not 1 <= int(page) <= MOST_PAGES:
        raise BadQuestion(f"`page` is a number from 1 to {MOST_PAGES}")
    before = (int(page) - 1) * SCOPES
    where = f"finding = {question.text(unit.id)}"
    until = given.now.replace(second=0, microsecond=0)
    evaluated = question.filled(unit.sql, {"since": until - timedelta(days=unit.days), "until": until})

    def fill(answers: Answers) -> Context:
        rows = answers["rows"].dicts()
        for row in rows:
            fixed = row["state"] == "fixed"
            row["mark"] = judging.mark(str(row["scope"]))
            row["says"] = [event for event, states in OF_STATES.items() if row["state"] in states]
            row["change"] = None if fixed else proposal.text(unit, str(row["scope"]), str(row["facts"]))
        total = int(str(rows[0]["total"])) if rows else 0
        return {
            "unit": unit,
            "rows": rows,
            "page_number": int(page),
            "first": before + 1,
            "total": total,
            "newer": given.link(page=str(int(page) - 1), said=None) if before else None,
            "older": given.link(page=str(int(page) + 1), said=None) if before + len(rows) < total else None,
            "events": answers["events"],
            "problem": "",
            "typed": {},
            "said": given.text("said"),
            "days": (given.now + timedelta(days=1), given.now + timedelta(days=MOST_DAYS)),
            "longest": LONGEST_REASON,
        }

    return Page(
        "finding.html",
        f"{unit.id} {unit.title}",
        {
            "rows": Question(
                "Where it stands, what is not fixed first",
                _standing(where, f"LIMIT {SCOPES} OFFSET {before}", total=True),
            ),
            "events": Question("What was said of it", question.filled(EVENTS, {"id": unit.id})),
            "unit": Question(f"What is evaluated, over {unit.days} days", evaluated, asked=False),
        },
        fill,
    )
