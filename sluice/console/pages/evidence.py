"""Whether the record is whole: what is sealed, stored and held, what happened to the appliance, and who looked."""

from __future__ import annotations

from sluice.config import Settings
from sluice.console.given import Given, stamp
from sluice.console.page import Answers, Context, Page, Question
from sluice.posture import question
from sluice.seal import standing

STORED = """
SELECT
    chain_id AS stream,
    max(e.seq) + 1 AS stored,
    max(e.ts_received) AS newest
FROM events AS e
WHERE ts_received >= {since} AND ts_received < {until}
GROUP BY stream
ORDER BY stream
"""
CONTROL = """
SELECT
    e.ts_received AS time,
    ifNull(control_kind, '') AS what,
    node_id AS node,
    chain_id AS stream,
    ifNull(control_detail, '') AS detail
FROM events AS e
WHERE record_type = 'control' AND ts_received >= {since} AND ts_received < {until}
ORDER BY time DESC
LIMIT 40
"""
ACCESS = """
SELECT
    e.ts_received AS time,
    ifNull(control_kind, '') AS what,
    ifNull(control_detail, '') AS detail
FROM events AS e
WHERE record_type = 'access' AND ts_received >= {since} AND ts_received < {until}
ORDER BY time DESC
LIMIT 40
"""
HOLDS = """
SELECT *
FROM holds_in_force
LIMIT 100
"""
FACTS = """
SELECT
    kind,
    name,
    argMax(number, at) AS value,
    argMax(text, at) AS word,
    max(at) AS told
FROM posture_facts
WHERE by = 'shipper'
GROUP BY kind, name
ORDER BY kind, name
LIMIT 100
"""


def view(given: Given, settings: Settings) -> Page:
    since, until = given.span("7d")
    values = {"since": since, "until": until}

    def fill(answers: Answers) -> Context:
        try:
            seals, trouble = standing.standing(settings.ledger_dir, settings.seal_dir), ""
        except OSError as e:
            seals, trouble = (), f"The seals cannot be read: {e.strerror}."
        stored = {str(row["stream"]): row for row in answers["stored"].dicts()}
        return {
            "since": since,
            "until": until,
            "span": given.text("since") or "7d",
            "seals": [(seal, stored.pop(seal.stream, None)) for seal in seals],
            "elsewhere": list(stored.values()),
            "trouble": trouble,
            "answers": answers,
        }

    return Page(
        "evidence.html",
        "Evidence",
        {
            "stored": Question("How far each stream is in the event store", question.filled(STORED, values)),
            "control": Question("What happened to the appliance", question.filled(CONTROL, values)),
            "access": Question("Who looked at records", question.filled(ACCESS, values)),
            "holds": Question("Legal holds in force", HOLDS.strip()),
            "facts": Question("What the shipper says of itself", FACTS.strip()),
        },
        fill,
        {"since": stamp(since), "until": stamp(until)},
        looks=False,
    )
