"""The life of a finding, without a store: which event comes next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sluice.posture import evaluation, lifecycle, units
from sluice.posture.lifecycle import DAY, HOUR, Event, Exemption, Hit, Standing

UNIT = next(u for u in units.findings().values() if u.id == "PRV-01")
NOW = 20_000 * DAY + 5


def hit(last: int = NOW - 1, hits: int = 3, grave: int = 0) -> Hit:
    return Hit(hits, grave, last - 10, last, "")


def standing(status: str = "open", severity: str = "high", **more: Any) -> Standing:
    return Standing(
        **(
            {"status": status, "severity": severity, "last_seen": NOW - 2, "changed": NOW - 1, "accepted_until": 0}
            | more
        )
    )  # type: ignore[arg-type]


def advance(found: Hit | None, stands: Standing | None, clean: int = 0) -> Event | None:
    events = lifecycle.advance(
        UNIT, {"s": found} if found else {}, {"s": stands} if stands else {}, {"s": clean} if clean else {}, NOW
    )
    return events[0] if events else None


@pytest.mark.parametrize(
    ("found", "stands", "event", "severity"),
    [
        (hit(), None, "opened", "high"),
        (hit(grave=1), None, "opened", "critical"),
        (hit(), standing(), None, ""),
        (hit(), standing(changed=NOW - DAY), "observed", "high"),
        (hit(grave=1), standing(), "observed", "critical"),
        (hit(), standing("acknowledged"), None, ""),
        (hit(), standing("accepted", accepted_until=NOW + 1), None, ""),
        (hit(), standing("accepted", accepted_until=NOW), "reopened", "high"),
        (hit(grave=1), standing("accepted", accepted_until=NOW + 1), "reopened", "critical"),
        (hit(), standing("fixed"), "reopened", "high"),
        (hit(last=NOW - 2), standing("fixed"), None, ""),
        (None, standing(), None, ""),
        (None, None, None, ""),
    ],
)
def test_the_next_event(found: Hit | None, stands: Standing | None, event: str | None, severity: str) -> None:
    """Opened once, observed once a day or when it changes, reopened when it comes back, ends its time or grows."""
    got = advance(found, stands)
    assert (got.event if got else None) == event
    if got:
        assert got.severity == severity


@pytest.mark.parametrize("status", ["open", "acknowledged", "accepted", "reopened"])
def test_clean_traffic_closes_it_however_it_stands(status: str) -> None:
    """And the event holds how much clean traffic there was."""
    got = advance(None, standing(status, accepted_until=NOW + 1), clean=41)
    assert got
    assert (got.event, got.seen) == ("fixed", 41)


def test_what_was_fixed_is_not_fixed_again() -> None:
    """Clean traffic of something that is closed is nothing new."""
    assert "s" not in lifecycle.unclear(UNIT, {}, {"s": standing("fixed")}, NOW)


def test_only_what_was_quiet_for_long_may_be_clean() -> None:
    """A violation within the clean days keeps it open whatever else was seen."""
    recent, old = NOW - UNIT.clean_days * DAY + 1, NOW - UNIT.clean_days * DAY
    assert lifecycle.unclear(UNIT, {"s": hit(recent)}, {"s": standing()}, NOW) == []
    assert lifecycle.unclear(UNIT, {"s": hit(old)}, {"s": standing()}, NOW) == ["s"]
    assert lifecycle.unclear(UNIT, {}, {"s": standing()}, NOW) == ["s"]


ROW = Exemption("EX-1", {"provider": "deepseek"}, NOW + DAY, "pilot")


@pytest.mark.parametrize(
    ("said", "stands", "row", "used", "event", "by"),
    [
        ("opened", None, ROW, None, "accepted", "register"),
        (None, standing(), ROW, None, "accepted", "register"),
        (None, standing("acknowledged"), ROW, None, "accepted", "register"),
        ("reopened", standing("fixed"), ROW, None, "accepted", "register"),
        ("reopened", standing("accepted", owner="register"), ROW, ROW, None, ""),
        (None, standing("reopened", owner="register"), ROW, ROW, None, ""),
        (None, standing("reopened", owner="register"), ROW, replace(ROW, until=NOW), "accepted", "register"),
        (None, standing("accepted", owner="register"), ROW, ROW, None, ""),
        (None, standing("accepted", owner="register"), replace(ROW, until=NOW + 2 * DAY), ROW, "accepted", "register"),
        (None, standing("accepted", owner="ana"), ROW, None, None, ""),
        (None, standing("accepted", owner="register"), None, ROW, "reopened", "evaluation"),
        (None, standing("accepted", owner="ana"), None, None, None, ""),
        ("fixed", standing(), ROW, None, None, ""),
        (None, standing("fixed"), ROW, None, None, ""),
    ],
)
def test_an_exception_of_the_register_accepts_once(
    said: str | None,
    stands: Standing | None,
    row: Exemption | None,
    used: Exemption | None,
    event: str | None,
    by: str,
) -> None:
    """What it covers is accepted until its end; what somebody opened again, or what grew graver, is not by the same
    row; what a person accepted stays theirs; without the row it is open again."""
    before = [Event("s", said, "high", hit())] if said else []
    out = lifecycle.excepted(
        before,
        {"s": hit()},
        {"s": stands} if stands else {},
        {"s": row} if row else {},
        {"s": (used.reason, used.until)} if used else {},
        UNIT,
    )
    assert [(e.event, e.by) for e in out] == ([(event, by)] if event else [])
    if event == "accepted":
        assert row
        assert (out[0].until, out[0].reason) == (row.until, "exception EX-1: pilot")


def test_an_exception_that_is_narrower_than_a_scope_does_not_cover_it() -> None:
    """Every key that it names is one of the scope's with the same value; with none it is for every scope."""
    assert ROW.covers({"provider": "deepseek", "model": "m"})
    assert not ROW.covers({"provider": "openai"})
    assert not ROW.covers({"agent": "cline"})
    assert Exemption("EX-2", {}, NOW).covers({"agent": "cline"})


def test_days_add_up() -> None:
    """Hits of several days are one finding, with the facts of the newest."""
    sum_of = Hit(2, 1, 10, 20, "old") + Hit(3, 0, 30, 40, "new")
    assert sum_of == Hit(5, 1, 10, 40, "new")


def test_long_names_do_not_make_a_query_that_is_refused() -> None:
    """Scopes are asked about in parts, each within what a query may hold, and none is left out."""
    literals = [f"'{n}{'ä' * 20_000}'" for n in range(12)]
    batches = list(evaluation._batches(literals))
    assert [one for batch in batches for one in batch] == literals
    assert max(sum(len(one.encode()) for one in batch) for batch in batches) <= evaluation.MOST_BYTES
    assert list(evaluation._batches([])) == []


@pytest.mark.parametrize(
    ("hits", "later", "fresh", "told"),
    [(5, HOUR // 4, False, False), (5, HOUR // 4, True, True), (5, 2 * HOUR, False, True), (1, 2 * HOUR, True, False)],
)
def test_a_number_that_changed_is_told_within_the_hour(hits: int, later: int, fresh: bool, told: bool) -> None:
    """Once an hour, or at once where somebody asked; a number that is as it was adds no event."""
    begun = 400 * DAY
    standing = {"s": Standing("open", UNIT.severity, begun, begun, 0, hits=1)}
    found = {"s": Hit(hits, 0, begun, begun + later, "")}
    events = lifecycle.advance(UNIT, found, standing, {}, begun + later, fresh=fresh)
    assert [event.event for event in events] == (["observed"] if told else [])
