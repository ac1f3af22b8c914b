"""Findings: each is raised by what it speaks of and by nothing else, and closes on clean traffic alone."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import Any

import pytest

from sluice.posture import evaluation, units
from tests.posture.finding_fixtures import FIXTURES, LATER, Side
from tests.posture.posture_rig import NOW, Rig

FINDINGS = units.findings()
type States = dict[tuple[str, str], dict[str, Any]]


def evaluate(rig: Rig, at: Any, **more: Any) -> evaluation.Evaluated:
    out = evaluation.Evaluated(at)
    for _ in evaluation.steps(rig.ask, rig.store.add, list(FINDINGS.values()), at, out, **more):
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
    return evaluate(rig, NOW + timedelta(minutes=5))


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
