"""The rules in force, as the file says them, and what each has decided."""

from __future__ import annotations

from typing import Any

from sluice import config, tomlfile
from sluice.config import Settings
from sluice.console.given import Given, stamp
from sluice.console.page import Answers, Context, Page, Question
from sluice.policy import file as policy_file
from sluice.posture import question, rendering

COUNTS = """
SELECT
    ifNull(e.rule_id, '') AS rule,
    count() AS decisions,
    countIf(decision = 'block') AS blocked,
    countIf(decision = 'refuse') AS refused,
    countIf(would_decide IS NOT NULL AND would_decide != 'allow') AS would_stop,
    max(e.ts_received) AS newest
FROM events AS e
WHERE record_type = 'decision' AND ts_received >= {since} AND ts_received < {until}
GROUP BY rule
ORDER BY decisions DESC
LIMIT 500
"""
VERSIONS = """
SELECT
    ifNull(e.policy_id, '') AS policy,
    ifNull(e.policy_version, '') AS version,
    ifNull(e.policy_sha256, '') AS sha256,
    min(e.ts_received) AS first,
    max(e.ts_received) AS newest,
    count() AS decisions
FROM events AS e
WHERE record_type = 'decision' AND ts_received >= {since} AND ts_received < {until}
GROUP BY policy, version, sha256
ORDER BY newest DESC
LIMIT 50
"""


def view(given: Given, settings: Settings) -> Page:
    since, until = given.span("7d")
    values = {"since": since, "until": until}

    def fill(answers: Answers) -> Context:
        path = settings.paths.policy or config.shipped_policy()
        text = tomlfile.read(path)
        counts = {str(row["rule"]): row for row in answers["counts"].dicts()}
        rules = [(rule, counts.pop(str(rule.get("id", "")), None)) for rule in _tables(text.get("rule"))]
        return {
            "since": since,
            "until": until,
            "span": given.text("since") or "7d",
            "path": str(path),
            "policy": text,
            "sha256": policy_file.load(path).digest,
            "rules": [(rule, _said(rule.get("when")), _said(rule.get("unless")), row) for rule, row in rules],
            "others": list(counts.values()),
            "failure": _said(text.get("failure")),
            "versions": answers["versions"],
        }

    return Page(
        "policy.html",
        "Policy",
        {
            "counts": Question("Decisions by rule", question.filled(COUNTS, values)),
            "versions": Question("Policies that decided in this span", question.filled(VERSIONS, values)),
        },
        fill,
        {"since": stamp(since), "until": stamp(until)},
        looks=False,
    )


def _tables(found: object) -> list[dict[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _said(conditions: object) -> list[tuple[str, str]]:
    """A table of conditions as pairs for reading."""
    if not isinstance(conditions, dict):
        return []
    return [(str(name), rendering.shown(value)) for name, value in conditions.items() if not isinstance(value, dict)]
