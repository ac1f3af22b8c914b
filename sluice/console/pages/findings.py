"""What should not be so: the list as it stands, and each finding with its query, its life and what would close it."""

from __future__ import annotations

from datetime import timedelta

from sluice.config import Settings
from sluice.console import catalogue, judging
from sluice.console.given import Given
from sluice.console.page import Answers, Context, Missing, Page, Question
from sluice.posture import proposal, question
from sluice.posture.question import BadQuestion
from sluice.ship.findings import LONGEST_REASON, MOST_DAYS, OF_STATES

ROWS = 500
STATES = ("open", "acknowledged", "accepted", "reopened", "fixed")
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
ORDER BY severity DESC, finding, scope
LIMIT 500
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
    state = given.text("state")
    if state not in ("", *STATES):
        raise BadQuestion(f"`state` is one of {', '.join(STATES)}")
    where = f"status = {question.text(state)}" if state else "status != 'fixed'"

    def fill(answers: Answers) -> Context:
        rows = answers["rows"].dicts()
        return {
            "rows": rows,
            "cut": len(rows) == ROWS,
            "state": state,
            "states": STATES,
            "catalogue": catalogue.findings().values(),
            "standing": {str(row["finding"]) for row in rows},
        }

    asked = {"rows": Question("Findings as they stand", STANDING.replace("{where}", where).strip())}
    return Page("findings.html", "Findings", asked, fill)


def view(given: Given, _: Settings) -> Page:
    unit = catalogue.findings().get(given.parts.get("id", "").upper())
    if unit is None:
        raise Missing("There is no finding of this name.")
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
        return {
            "unit": unit,
            "rows": rows,
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
            "rows": Question("Where it stands", STANDING.replace("{where}", where).strip()),
            "events": Question("What was said of it", question.filled(EVENTS, {"id": unit.id})),
            "unit": Question(f"What is evaluated, over {unit.days} days", evaluated, asked=False),
        },
        fill,
    )
