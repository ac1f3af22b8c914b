"""What people may say of findings, wherever they say it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from sluice.posture import units
from sluice.ship import findings
from sluice.ship.findings import Unsaid

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
UNIT = units.findings()["PRV-01"]
ROW: dict[str, Any] = {
    "scope": "provider=deepseek", "severity": "critical", "status": "open", "hits": 3, "grave": 1,
    "first_seen": "2026-11-19 10:00:00.000000", "last_seen": "2026-11-20 10:00:00.000000", "facts": "5 subjects",
    "query_sha256": "ab" * 32,
}  # fmt: skip


@pytest.mark.parametrize(
    ("event", "reason", "until", "words"),
    [
        ("fixed", "", None, "acknowledged, accepted, reopened"),
        ("accepted", " \u202e\n", "2026-12-01", "has a reason"),
        ("accepted", "x", "", "say until which day"),
        ("accepted", "x", "soon", "written as in"),
        ("accepted", "x", "2026-11-20", "is over"),
        ("accepted", "x", "2027-11-22", "more than 366 days ahead"),
        ("acknowledged", "x" * 501, None, "longer than 500"),
    ],
)
def test_what_cannot_be_said(event: str, reason: str, until: str | None, words: str) -> None:
    """An acceptance has a reason and a day that is ahead, a year at most; nobody closes a finding by saying so."""
    with pytest.raises(Unsaid, match=words):
        findings.said(event, "ana", reason, until, NOW)


def test_an_event_holds_who_why_and_until_when() -> None:
    """And how the finding stood: what the view shows of it afterwards is not emptied by somebody's word."""
    what = findings.said("accepted", "ana", "  known\x1b[31m\ntest data ", date(2026, 12, 1), NOW)
    (row,) = findings.rows(UNIT, [ROW], what, NOW)
    assert (row["by"], row["event"], row["accepted_until"]) == ("ana", "accepted", "2026-12-01 00:00:00")
    assert row["reason"] == "known [31m test data"
    assert (row["hits"], row["grave"], row["last_seen"], row["facts"]) == (3, 1, ROW["last_seen"], ROW["facts"])


@pytest.mark.parametrize(
    ("event", "status", "can"),
    [
        ("acknowledged", "open", True), ("acknowledged", "fixed", False), ("accepted", "fixed", False),
        ("reopened", "accepted", True), ("reopened", "acknowledged", True), ("reopened", "open", False),
        ("reopened", "fixed", False),
    ],
)  # fmt: skip
def test_it_depends_on_how_it_stands(event: str, status: str, can: bool) -> None:
    """What is fixed opens by traffic alone, and what is open cannot be opened."""
    what = findings.said(event, "ana", "why", "2026-12-01" if event == "accepted" else None, NOW)
    if can:
        assert findings.rows(UNIT, [ROW | {"status": status}], what, NOW)
    else:
        with pytest.raises(Unsaid, match=f"is {status}: it cannot be {event}"):
            findings.rows(UNIT, [ROW | {"status": status}], what, NOW)
