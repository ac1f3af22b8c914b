"""Findings: each is raised by what it speaks of and by nothing else, and closes on clean traffic alone."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from sluice.posture import evaluation, question, units
from tests.posture.finding_fixtures import FIXTURES, LATER, Side
from tests.posture.posture_rig import NOW, Rig, decision, micros

FINDINGS = units.findings()
type States = dict[tuple[str, str], dict[str, Any]]


def evaluate(rig: Rig, at: Any, *names: str, **more: Any) -> evaluation.Evaluated:
    out = evaluation.Evaluated(at)
    some = [FINDINGS[name] for name in names or FINDINGS]
    for _ in evaluation.steps(rig.store.own, rig.store.add, some, at, out, **more):
        pass
    return out


def states(rig: Rig) -> States:
    rows = rig.rows(
        "SELECT finding, scope, toString(status) AS status, toString(severity) AS severity, hits, reason FROM findings"
    )
    return {(r["finding"], r["scope"]): r for r in rows}


def put(rig: Rig, sides: list[Side]) -> None:
    usual = [r for s in sides if s.stream == "n-w0" for r in s.records]
    rig.put(usual)
    rows: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for side in sides:
        if side.stream != "n-w0":
            for record in side.records:
                rig.put([record], side.stream, side.node)
                if side.lost:
                    rig.lose(side.stream)
        for table, some in side.rows.items():
            rows[table] += some
    for table, some in rows.items():
        rig.add(table, *some)


@pytest.fixture(scope="module")
def raised(rig: Rig) -> States:
    """Every finding's fixture in one store, evaluated."""
    put(rig, [f.raised for f in FIXTURES.values()])
    rig.declare([row for f in FIXTURES.values() for row in f.raised.register], NOW - timedelta(hours=1))
    out = evaluate(rig, NOW)
    assert out.failed == {}
    return states(rig)


@pytest.fixture(scope="module")
def again(rig: Rig, raised: States) -> evaluation.Evaluated:
    """Evaluated once more, at the same time."""
    return evaluate(rig, NOW + timedelta(minutes=5), "PRV-01", "PRV-04", "KEY-02", "POL-06", "AUD-07", "COV-01")


@pytest.fixture(scope="module")
def cleared(rig: Rig, raised: States, again: evaluation.Evaluated) -> States:
    """Eight days later, with what clears them."""
    quiet = evaluate(rig, LATER - timedelta(minutes=30))
    closed = sorted(key for key, state in states(rig).items() if state["status"] == "fixed")
    assert (quiet.failed, closed) == ({}, []), "silence closes nothing"
    put(rig, [f.cleared for f in FIXTURES.values()])
    declared = {(k, i): row for f in FIXTURES.values() for k, i, row in (*f.raised.register, *f.cleared.register)}
    rig.declare([(k, i, row) for (k, i), row in declared.items()], LATER - timedelta(hours=1))
    out = evaluate(rig, LATER)
    assert out.failed == {}
    return states(rig)


def test_there_is_a_fixture_for_every_finding() -> None:
    """All 61 of the catalogue are there, and none is untested."""
    assert FINDINGS.keys() == FIXTURES.keys()
    assert len(FINDINGS) == 61


@pytest.mark.parametrize("name", list(FIXTURES))
def test_it_is_raised(raised: States, name: str) -> None:
    """What it speaks of opens it, in its scope and with its severity."""
    fixture = FIXTURES[name]
    opened = {scope: state for (finding, scope), state in raised.items() if finding == name}
    assert fixture.scope in opened, opened
    state = opened[fixture.scope]
    assert (state["status"], state["severity"]) == ("open", fixture.severity)
    assert state["hits"] > 0


@pytest.mark.parametrize("name", list(FIXTURES))
def test_it_is_cleared(cleared: States, name: str) -> None:
    """Clean traffic closes it, and says so."""
    state = cleared[name, FIXTURES[name].scope]
    assert state["status"] == "fixed", state
    assert "days without a violation" in state["reason"]


def test_an_evaluation_repeated_says_nothing_new(again: evaluation.Evaluated) -> None:
    """No event is added twice, and no day that is over is asked again."""
    assert (again.events, again.days) == ({}, 0)


@pytest.mark.parametrize("name", list(FINDINGS))
def test_anyone_can_ask_its_query_and_days_add_up_to_it(rig: Rig, cleared: States, name: str) -> None:
    """An analyst's door takes the query as it stands; and what is kept of days that are over, with today, is what the
    whole window gives when it is asked at once."""
    unit = FINDINGS[name]
    begin = evaluation.midnight(LATER.date() - timedelta(days=unit.days))
    sql = question.filled(unit.sql, {"since": begin, "until": LATER})
    whole: defaultdict[str, int] = defaultdict(int)
    for row in rig.rows(sql):
        whole[row["scope"]] += row["hits"]
    if not unit.daily:
        return
    kept = evaluation._sums(rig.store.own, [unit], LATER).get(name, {})
    today = evaluation._shown(rig.store.own, unit, evaluation.midnight(LATER.date()), LATER)
    added: defaultdict[str, int] = defaultdict(int)
    for some in (kept, today):
        for scope, hit in some.items():
            added[scope] += hit.hits
    assert added == {scope: hits for scope, hits in whole.items() if hits}


def test_a_late_record_has_its_day_asked_again(rig: Rig, cleared: States) -> None:
    """A record that reaches the store days later is found; nothing else is asked again, and then nothing at all."""
    late = decision(provider_id="late", provider_status="prohibited", ts_received=micros(LATER - timedelta(days=3)))
    rig.put([late])
    after = LATER + timedelta(minutes=5)
    assert evaluate(rig, after, "PRV-01").days == 1
    assert states(rig)["PRV-01", "provider=late"]["hits"] == 1
    assert evaluate(rig, after, "PRV-01").days == 0


def test_a_changed_register_has_its_days_asked_again(rig: Rig, cleared: States) -> None:
    """A finding that asks the registers forgets what it kept when they change; one that does not keeps it."""
    rig.declare([("provider", "late", {"name": "Late"})], LATER + timedelta(minutes=6))
    assert evaluate(rig, LATER + timedelta(minutes=7), "PRV-04").days > 5
    assert evaluate(rig, LATER + timedelta(minutes=7), "DAT-04").days <= 1


def test_an_acceptance_holds_until_its_day(rig: Rig, cleared: States) -> None:
    """Accepted, it stays accepted while it is there; when its time is over it is open again, with the reason."""
    bad = {"provider_id": "lived-with", "provider_status": "prohibited"}
    rig.put([decision(**bad, ts_received=micros(LATER + timedelta(minutes=8)))])
    evaluate(rig, LATER + timedelta(minutes=10), "PRV-01")
    said = {"finding": "PRV-01", "scope": "provider=lived-with", "event": "accepted", "severity": "high", "by": "ann"}
    when = {"at": f"{LATER + timedelta(minutes=11):%Y-%m-%d %H:%M:%S}", "reason": "trial"}
    rig.add("finding_events", said | when | {"accepted_until": f"{LATER + timedelta(days=2):%Y-%m-%d %H:%M:%S}"})
    evaluate(rig, LATER + timedelta(minutes=12), "PRV-01")
    assert states(rig)["PRV-01", "provider=lived-with"]["status"] == "accepted"
    evaluate(rig, LATER + timedelta(days=2, minutes=1), "PRV-01")
    state = states(rig)["PRV-01", "provider=lived-with"]
    assert (state["status"], state["reason"]) == ("reopened", "its acceptance has ended")


def test_names_that_a_client_chooses_do_not_fill_the_store(
    rig: Rig, cleared: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more scopes than are kept the gravest are, and the result says that there were more."""
    monkeypatch.setattr(evaluation, "MOST_SCOPES", 3)
    at = micros(LATER + timedelta(minutes=14))
    rig.put([decision(provider_id=f"p{n}", provider_status="prohibited", ts_received=at) for n in range(9)])
    before = sum(finding == "PRV-01" for finding, _ in states(rig))
    out = evaluate(rig, LATER + timedelta(minutes=15), "PRV-01")
    assert out.truncated == ["PRV-01"]
    assert sum(finding == "PRV-01" for finding, _ in states(rig)) <= before + 3


def test_a_finding_that_cannot_be_asked_stops_no_other(rig: Rig, cleared: States) -> None:
    """It is named with the reason, and the rest is evaluated."""
    broken = msgspec.structs.replace(FINDINGS["DAT-04"], sql="SELECT nothing FROM nowhere")
    out = evaluation.Evaluated(LATER)
    for _ in evaluation.steps(rig.ask, rig.store.add, [broken, FINDINGS["DAT-08"]], LATER, out):
        pass
    assert out.failed.keys() == {"DAT-04"}
    assert out.units == 1
