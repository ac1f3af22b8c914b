"""The shipper evaluates the posture between its rounds; what people say reaches the store through it."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from sluice.ledger import record as ledger_record
from sluice.posture import question, score, units
from sluice.ship import notes
from sluice.ship.assessing import EVERY_SECONDS, Assessing
from sluice.ship.clickhouse import Embedded, StoreError
from tests.ship.ship_rig import decision, outcome, settings_in

NOW = datetime(2026, 11, 19, 12, tzinfo=UTC)


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def counted(store: Embedded, table: str) -> int:
    number = question.ask(store.select, f"SELECT count() FROM {table}").rows[0][0]
    assert isinstance(number, int)
    return number


FEW = {name: units.findings()[name] for name in ("PRV-01", "KEY-02", "COV-07")}


def test_notes_reach_the_store_once_and_evaluations_come_in_turns(
    store: Embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A note is placed once, an evaluation is done step by step, again only when it is due or asked for, and leaves
    findings, facts, a snapshot of the score and its result."""
    monkeypatch.setattr(units, "findings", lambda: FEW)
    clock, directory = Clock(), tmp_path / "ship"
    assessing = Assessing(settings_in(tmp_path), directory, None, monotonic=clock, now=lambda: NOW)
    records = [decision(1, provider_status="prohibited"), outcome(1)]
    store.insert([ledger_record.encode(msgspec.structs.replace(r, seq=n)) for n, r in enumerate(records)], "t")
    (path,) = notes.leave(directory, "policy_approvals", [{"at": "2026-11-19 11:00:00", "sha256": "a", "by": "ann"}])
    bad = notes.inbox(directory) / "1.json"
    bad.write_text('{"table": "events", "rows": []}')

    assert not assessing.turn(store)  # not due yet: only the notes
    assert (path.exists(), bad.exists(), counted(store, "policy_approvals")) == (False, False, 1)
    assert counted(store, "finding_events") == 0

    clock.seconds += EVERY_SECONDS
    steps = 0
    while assessing.turn(store):
        steps += 1
    assert steps > len(FEW)
    opened = "SELECT finding, scope FROM findings WHERE status = 'open'"
    assert ("PRV-01", "provider=openai") in question.ask(store.select, opened).rows
    facts = question.ask(store.select, "SELECT DISTINCT kind, name FROM posture_facts ORDER BY ALL").rows
    assert facts == (("retention", "phi"), ("retention", "standard"), ("targets", "targets.toml"))
    before = counted(store, "posture_snapshot")
    assert before == len(score.measures()) + 1

    request = notes.inbox(directory) / notes.REQUEST
    request.write_text("now")
    while assessing.turn(store):
        pass
    assert not request.exists()
    result = json.loads((notes.inbox(directory) / notes.RESULT).read_text())
    assert (result["units"], result["events"], result["failed"]) == (3, {}, {})
    assert counted(store, "posture_snapshot") == before


def test_a_store_that_fails_stops_no_delivery(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The turn ends, the log says why, and it is not tried again at once."""

    class Failing:
        def select(self, sql: str, form: str) -> bytes:
            raise StoreError(210, "away")

        def add(self, table: str, lines: bytes, token: str) -> None:
            raise StoreError(210, "away")

    clock = Clock()
    assessing = Assessing(settings_in(tmp_path), tmp_path / "ship", None, monotonic=clock, now=lambda: NOW)
    clock.seconds += EVERY_SECONDS
    notes.leave(tmp_path / "ship", "policy_approvals", [{"at": "2026-11-19 11:00:00", "sha256": "a", "by": "ann"}])
    (notes.inbox(tmp_path / "ship") / notes.REQUEST).write_text("now")
    for _ in range(3):
        assert not assessing.turn(Failing())  # type: ignore[arg-type]  # the shipper may rest
    assert caplog.text.count("the posture was not evaluated") == 1
    assert caplog.text.count("notes could not be placed") == 1


def test_a_poisoned_note_keeps_nothing_else_waiting(store: Embedded, tmp_path: Path) -> None:
    """Rows that the store will never take, a link, a pipe and a folder in the place of notes are set aside; the note
    behind them is placed, and evaluations go on."""
    directory = tmp_path / "ship"
    box = notes.inbox(directory)
    at = {"at": "2026-11-19 11:00:00"}
    before = counted(store, "decision_reviews")
    poisoned: tuple[tuple[str, notes.Row], ...] = (
        ("cov_observation", {"seen": 1.5}),
        ("finding_events", {"event": "invented"}),
        ("policy_approvals", {"no_such_column": 1}),
        ("posture_facts", {"at": "never"}),
    )
    for table, row in poisoned:
        notes.leave(directory, table, [{**at, **row}])
    (tmp_path / "secret").write_text("{}")
    (box / "1.json").symlink_to(tmp_path / "secret")
    os.mkfifo(box / "2.json")
    (box / "3.json").mkdir()
    notes.leave(directory, "decision_reviews", [at | {"verdict": "confirmed", "by": "ann"}])
    clock = Clock()
    assessing = Assessing(settings_in(tmp_path), directory, None, monotonic=clock, now=lambda: NOW)
    assert not assessing.turn(store)
    assert (sorted(box.glob("*.json")), len(list(box.glob("*.bad")))) == ([], 7)
    assert counted(store, "decision_reviews") == before + 1
    clock.seconds += EVERY_SECONDS
    assert assessing.turn(store)
