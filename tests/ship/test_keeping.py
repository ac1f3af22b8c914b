"""What is compared, what may be deleted, and what may not. Real engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sluice import metrics
from sluice.errors import Unavailable
from sluice.ledger import acted, pruned, reader, segment
from sluice.ledger.record import encode
from sluice.model import Record, RecordType
from sluice.ship import holds, reconcile, retention
from sluice.ship.clickhouse import Embedded
from sluice.ship.deadletters import DeadLetters
from sluice.ship.delivery import Delivery
from sluice.ship.holds import Hold
from tests.ship.ship_rig import NOVEMBER, decision, write

DAY = 86_400


def at(year: int, month: int, day: int = 15) -> int:
    return round(datetime(year, month, day, tzinfo=UTC).timestamp() * 1_000_000)


def insert(store: Embedded, records: list[Record], token: str) -> None:
    store.insert([encode(r) for r in records], token)


def ids(store: Embedded, table: str = "events") -> list[str]:
    lines = store.select(f"SELECT decision_id FROM {table} ORDER BY decision_id", "JSONEachRow").splitlines()
    return [json.loads(line)["decision_id"] for line in lines]


def these(*numbers: int) -> list[str]:
    return [decision(n).decision_id for n in numbers]


NOW = at(2027, 2) / 1e6


@pytest.fixture
def filled(store: Embedded) -> Embedded:
    """Rows of four ages and classes; the clock of the tests stands at February 2027."""
    for n, (when, kept) in enumerate(
        [(at(2025, 12), "standard"), (at(2026, 1, 31), "standard"), (at(2025, 12), "phi"), (at(2019, 1), "eternal")]
    ):
        insert(store, [decision(n, ts_received=when, retention_class=kept)], str(n))
    insert(store, [decision(9, ts_received=at(2027, 2))], "newest")
    return store


def test_old_snapshots_of_the_registers_go(filled: Embedded) -> None:
    """Those that are older than the retention, never the newest, none under a hold; and it is among the facts."""

    def load(*days: str) -> None:
        rows = [{"loaded_at": f"{day} 10:00:00", "digest": day, "kind": "provider", "id": "x", "origin": "site",
                 "row": "{}"} for day in days]  # fmt: skip
        filled.add("register_rows", b"\n".join(json.dumps(row).encode() for row in rows), " ".join(days))

    def there() -> list[str]:
        lines = filled.select("SELECT digest FROM register_rows ORDER BY digest", "JSONEachRow").splitlines()
        return [json.loads(line)["digest"] for line in lines]

    load("2025-01-05", "2025-12-31")
    assert retention.expire_snapshots(filled, NOW) == 1
    assert there() == ["2025-12-31"]
    load("2026-01-01", "2026-02-01")
    assert retention.expire_snapshots(filled, NOW + 60) == 1
    assert there() == ["2026-01-01", "2026-02-01"]
    assert retention.expire_snapshots(filled, NOW) == 0
    facts = filled.select("SELECT number, text FROM posture_facts WHERE kind = 'deleted'", "JSONEachRow")
    assert facts.count(b"loaded before 2026-01-01") == 2


def test_partitions_go_when_their_time_is_over(filled: Embedded, tmp_path: Path) -> None:
    """Thirteen whole months after the last day of its month, and of its class only; an unknown class stays for ever."""
    dropped, held = retention.expire(filled, tmp_path, NOW)
    assert (ids(filled), held) == (these(1, 2, 3, 9), [])
    assert ids(filled, "exchanges") == these(1, 2, 3, 9)
    assert {(p.table, p.month, p.kept) for p in dropped if p.kept} == {
        ("events", 202512, "standard"), ("exchange_rows", 202512, "standard")
    }  # fmt: skip
    assert retention.expire(filled, tmp_path, NOW) == ([], [])
    retention.expire(filled, tmp_path, at(2040, 1) / 1e6)
    assert ids(filled) == these(1, 2, 3, 9)


def test_a_clock_that_runs_ahead_deletes_nothing(filled: Embedded, tmp_path: Path) -> None:
    """A machine whose clock says 2099 has no row of 2099: the newest row is what time is taken from."""
    retention.expire(filled, tmp_path, NOW)
    kept = ids(filled)
    retention.expire(filled, tmp_path, at(2099, 1) / 1e6)
    assert ids(filled) == kept


@pytest.mark.parametrize(
    "hold",
    [
        Hold(1, "case-7", "place", "ann", "subpoena"),
        Hold(1, "case-7", "place", "ann", "subpoena", subject_id="a1"),
        Hold(1, "case-7", "place", "ann", "subpoena", ts_from=at(2025, 12, 1), ts_until=at(2025, 12, 31)),
    ],
    ids=["everything", "a subject", "a time"],
)
def test_a_hold_keeps_what_it_covers_until_it_is_released(filled: Embedded, tmp_path: Path, hold: Hold) -> None:
    """What a hold covers outlives its time; when the hold is released it goes."""
    holds.leave(tmp_path, hold)
    dropped, held = retention.expire(filled, tmp_path, NOW)
    assert dropped == []
    assert {(p.table, p.month, p.kept) for p in held} >= {
        ("events", 202512, "standard"), ("exchange_rows", 202512, "standard"), ("per_minute", 202512, "")
    }  # fmt: skip
    assert these(0)[0] in ids(filled)
    assert list((tmp_path / "holds").iterdir()) == []
    holds.leave(tmp_path, Hold(2, "case-7", "release", "ann", "closed"))
    retention.expire(filled, tmp_path, NOW)
    assert these(0)[0] not in ids(filled)


def test_holds_come_back_into_a_store_that_was_filled_again(filled: Embedded, tmp_path: Path) -> None:
    """Holds are in no ledger: what was entered once is entered again where it is missing, once, with its release."""
    holds.leave(tmp_path, Hold(1, "case-7", "place", "ann", "subpoena"))
    holds.leave(tmp_path, Hold(2, "case-8", "place", "ann", "closed soon"))
    holds.leave(tmp_path, Hold(3, "case-8", "release", "ann", "closed"))
    assert holds.place(filled, tmp_path) == 3
    assert holds.restore(filled, tmp_path) == 0
    filled.command("TRUNCATE TABLE holds")
    assert holds.conditions(filled) == []
    assert holds.restore(filled, tmp_path) == 3
    assert holds.restore(filled, tmp_path) == 0
    assert len(holds.conditions(filled)) == 1
    retention.expire(filled, tmp_path, NOW)
    assert these(0)[0] in ids(filled)


@pytest.mark.parametrize("second", ["a subject", "a time"])
def test_a_hold_placed_again_is_never_narrowed(filled: Embedded, tmp_path: Path, second: str) -> None:
    """Two placings of one name hold what either covers, until its release ends both; a placing after that counts."""
    narrow = {"a subject": {"subject_id": "b2"}, "a time": {"ts_from": at(2027, 1), "ts_until": at(2027, 2)}}[second]
    holds.leave(tmp_path, Hold(1, "case-7", "place", "ann", "subpoena"))
    holds.leave(tmp_path, Hold(2, "case-7", "place", "bob", "again", **narrow))  # type: ignore[arg-type]
    retention.expire(filled, tmp_path, NOW)
    assert these(0)[0] in ids(filled)
    assert len(holds.conditions(filled)) == 2
    holds.leave(tmp_path, Hold(3, "case-7", "release", "ann", "closed"))
    holds.leave(tmp_path, Hold(4, "case-7", "place", "bob", "again", **narrow))  # type: ignore[arg-type]
    retention.expire(filled, tmp_path, NOW)
    assert len(holds.conditions(filled)) == 1
    assert these(0)[0] not in ids(filled)


def test_a_hold_on_somebody_else_keeps_nothing(filled: Embedded, tmp_path: Path) -> None:
    """A hold is no reason to keep what it does not cover; roll-ups, which name nobody's rows, wait for it."""
    name = "o'brien\\"
    holds.leave(tmp_path, Hold(1, "case-8", "place", "ann", "why", subject_id=name))
    dropped, held = retention.expire(filled, tmp_path, NOW)
    assert "events" in {p.table for p in dropped}
    assert {p.table for p in held} <= set(retention.BY_MONTH)


def test_a_row_under_hold_keeps_its_partition(store: Embedded, tmp_path: Path) -> None:
    """A hold that the record itself carries: whole partitions go or stay, so its neighbours stay with it."""
    old = at(2025, 12)
    insert(store, [decision(1, ts_received=old), decision(2, ts_received=old, legal_hold=True)], "a")
    insert(store, [decision(3, ts_received=at(2027, 2))], "b")
    retention.expire(store, tmp_path, NOW)
    assert ids(store) == these(1, 2, 3)


def test_what_is_left_and_is_no_hold_stops_every_deletion(filled: Embedded, tmp_path: Path) -> None:
    """A file that might be a hold and cannot be read: nothing is deleted until somebody has looked."""
    (tmp_path / "holds").mkdir()
    (tmp_path / "holds" / "1.json").write_text("{")
    with pytest.raises(ValueError, match="truncated"):
        retention.expire(filled, tmp_path, NOW)
    assert these(0)[0] in ids(filled)


class Rig:
    """A ledger of several segments, delivered into the real engine."""

    def __init__(self, root: Path, store: Embedded) -> None:
        self.store, self.ledger, self.stream = store, root / "ledger", root / "ledger" / "n-w0"
        self.dead = DeadLetters(root / "ship")
        for part in range(3):
            write(self.ledger, [decision(n) for n in range(part * 10, part * 10 + 10)])
        self.delivery = Delivery(self.ledger, root / "ship", batch_rows=100, batch_seconds=0)

    def deliver(self) -> int:
        while self.delivery.round(self.store, flush=True):
            pass
        return self.delivery.outboxes["n-w0"].delivered

    def prune(self, delivered: int, *, sealed: int = 10**6, announced: int = 10**6, days: float = 8) -> list[str]:
        newest = max(p.stat().st_mtime for p in self.stream.glob("*.seg"))
        return reconcile.prune(
            self.store,
            self.stream,
            delivered,
            self.dead,
            keep_days=7,
            sealed=sealed,
            announced=announced,
            clock=newest + days * DAY,
        )


@pytest.fixture
def rig(tmp_path: Path, store: Embedded) -> Rig:
    return Rig(tmp_path, store)


def test_segments_go_when_the_store_holds_them(rig: Rig) -> None:
    """Old, sealed, delivered and found exactly once: deleted but for the last, with a note; the writer goes on, the
    ledger verifies, and its remaining records are compared as before."""
    names = segment.segments(rig.stream)
    delivered = rig.deliver()
    assert rig.prune(delivered) == names[:-1]
    assert segment.segments(rig.stream) == names[-1:]
    note = pruned.read(rig.stream)
    assert note is not None
    assert note.below_seq == segment.named(names[-1])[1] == 24
    assert reader.verify(rig.ledger).sound
    write(rig.ledger, [decision(99)])
    assert rig.deliver() == delivered + 3
    assert reader.verify(rig.ledger).sound
    seqs = rig.store.select("SELECT count(), uniqExact(seq), max(seq) FROM events", "TSV").split()
    assert [int(n) for n in seqs] == [39, 39, 38]
    found = reconcile.count(rig.store, rig.stream, delivered + 3, 0, rig.dead)
    assert (found.records, found.difference) == (15, 0)


def test_nothing_goes_before_the_sealer_has_put_it_on_record(rig: Rig) -> None:
    """The note comes first, and the segments stay until the sealer has said so in its own stream."""
    names = segment.segments(rig.stream)
    delivered = rig.deliver()
    assert rig.prune(delivered, announced=0) == []
    note = pruned.read(rig.stream)
    assert note is not None
    assert note.below_seq == segment.named(names[-1])[1]
    assert segment.segments(rig.stream) == names
    assert reader.verify(rig.ledger).sound
    first_ends = segment.named(names[1])[1]
    assert rig.prune(delivered, announced=first_ends) == names[:1]
    assert pruned.read(rig.stream) == note
    assert reader.verify(rig.ledger).sound
    assert rig.prune(delivered, announced=note.below_seq) == names[1:-1]


@pytest.mark.parametrize(
    ("spoil", "kept"),
    [
        (lambda r: {"days": 6}, "young"),
        (lambda r: {"sealed": 11}, "not sealed"),
        (lambda r: {"delivered": 11}, "not delivered"),
        (lambda r: r.store.command("DELETE FROM sluice.events WHERE seq = 5") and None, "a row is missing"),
        (lambda r: insert(r.store, [next(reader.read(r.stream)).record], "twice"), "a row is doubled"),
        (lambda r: (r.stream / pruned.FILE).write_text("{"), "the note cannot be read"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_a_segment_stays_in_doubt(rig: Rig, spoil: Callable[[Rig], object], kept: str) -> None:
    """Whatever is not certain keeps the first segment, and with it every later one."""
    names = segment.segments(rig.stream)
    delivered = rig.deliver()
    how = spoil(rig)
    options = how if isinstance(how, dict) else {}
    assert rig.prune(options.pop("delivered", delivered), **options) == [], kept
    assert segment.segments(rig.stream) == names


def test_differences_are_counted(rig: Rig) -> None:
    """A row that is gone, one that is there twice and one that was set aside are each told from the others."""
    delivered = rig.deliver()
    count = reconcile.count(rig.store, rig.stream, delivered, 0, rig.dead)
    assert (count.first, count.upto, count.rows, count.difference) == (0, 36, 36, 0)
    rig.store.command("DELETE FROM sluice.events WHERE seq IN (5, 6)")
    assert reconcile.count(rig.store, rig.stream, delivered, 0, rig.dead).difference == 2
    entry = list(reader.read(rig.stream))[5]
    rig.dead.put(entry, 691, "x")
    assert reconcile.count(rig.store, rig.stream, delivered, 0, rig.dead).difference == 1
    for token in "abc":
        insert(rig.store, [decision(0, seq=7, epoch=1, chain_id="n-w0", ts_received=NOVEMBER)], token)
    assert reconcile.count(rig.store, rig.stream, delivered, 0, rig.dead).difference == -2


def test_a_second_store_gets_everything_once(tmp_path: Path, store: Embedded) -> None:
    """Moving: state begun anew, another store: every record is there once, and asking again sends nothing."""
    del store  # one engine per process; the command runs in its own
    import subprocess
    import sys

    root = Path(__file__).resolve().parents[2]
    var = tmp_path / "var"
    config = tmp_path / "sluice.toml"
    config.write_text(f'[paths]\nvar = "{var}"\n[evidence]\nnode = "n"\n')
    write(var / "ledger", [decision(n) for n in range(40)])
    write(var / "ledger", [decision(n) for n in range(100, 120)], slot=1)

    def sluice(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sluice.cli", *arguments, "--config", str(config)]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)

    first = sluice("ship", "again", "--from", "0")
    assert first.returncode == 0, first.stderr
    assert "n-w0: 42 records in the ledger, 0 of its numbers in the store" in first.stderr
    assert "64 records compared, 64 rows sent" in first.stderr
    (var / "clickhouse").rename(tmp_path / "old")
    (var / "ship" / holds.KEPT).mkdir()
    kept = json.dumps({"at": 1, "name": "all", "action": "place", "by": "ann", "reason": "order"})
    (var / "ship" / holds.KEPT / "1.json").write_text(kept)
    second = sluice("ship", "again", "--from", "0")
    assert second.returncode == 0
    assert "legal holds: 1 in force in the store, 1 placements and releases entered again" in second.stderr
    again = sluice("ship", "again", "--from", "0")
    assert "64 records compared, 0 rows sent" in again.stderr
    assert "does not know of" not in again.stderr
    assert "1 in force in the store, 0 placements" in again.stderr
    assert "n-w0: 42 records in the ledger, 42 of its numbers in the store" in again.stderr
    status = sluice("ship", "status", "--json")
    assert status.returncode == 0
    assert [(c["stream"], c["records"], c["rows"], c["difference"]) for c in json.loads(status.stdout)] == [
        ("n-w0", 42, 42, 0), ("n-w1", 22, 22, 0)
    ]  # fmt: skip
    doubled = sluice("sql", "--json", "SELECT count() - uniqExact(chain_id, epoch, seq) AS n FROM events")
    assert json.loads(doubled.stdout) == {"n": 0}


def test_rows_that_the_store_lost_are_sent_again_although_it_knows_their_tokens(rig: Rig, tmp_path: Path) -> None:
    """Whole batches deleted in the store, or brought back by a backup without them: shipping again fills exactly these
    places, every time, whatever the store remembers of earlier inserts."""
    for _ in range(3):
        rig.deliver()
        rig.store.command("DELETE FROM sluice.events WHERE 1")
        for file in (tmp_path / "ship").glob("*.json"):
            file.unlink()
        rig.delivery = Delivery(rig.ledger, tmp_path / "ship", batch_rows=100, batch_seconds=0)
        delivered = rig.deliver()
        assert reconcile.count(rig.store, rig.stream, delivered, 0, rig.dead).difference == 0


def test_a_row_missing_and_another_doubled_do_not_hide_each_other(rig: Rig) -> None:
    """Within one stream, too, what is missing and what is there twice are both counted."""
    delivered = rig.deliver()
    rig.store.command("DELETE FROM sluice.events WHERE seq = 5")
    insert(rig.store, [decision(0, seq=7, epoch=1, chain_id="n-w0", ts_received=NOVEMBER)], "again")
    count = reconcile.count(rig.store, rig.stream, delivered, 0, rig.dead)
    assert (count.missing, count.doubled, count.difference) == (1, 1, 0)
    assert count.wrong == 2


def told(rig: Rig, *, most: int | None = None) -> reconcile.Acted | None:
    return reconcile.acted(rig.store, rig.stream, rig.delivery.outboxes["n-w0"].state.cursor, rig.dead, most=most)


def test_what_the_gate_counted_is_held_against_what_is_on_record(rig: Rig) -> None:
    """Rows of the epoch, records that still wait and those that were set aside are on record; whatever the gate has
    counted beyond them is told, and nothing is said of an epoch that retention has begun to take."""
    rig.deliver()
    assert told(rig) is None, "nobody counts"
    count = acted.Count(rig.stream, 3)
    for _ in range(10):
        count.add()
    assert told(rig) == reconcile.Acted("n-w0", 3, 10, 10)
    assert told(rig, most=0) == told(rig)
    count.add()
    found = told(rig)
    assert found
    assert found.unrecorded == 1
    rig.store.command("DELETE FROM sluice.events WHERE epoch = 3 AND seq = 30")
    assert told(rig).unrecorded == 2  # type: ignore[union-attr]
    rig.dead.put(list(reader.read(rig.stream))[30], 691, "x")
    assert told(rig).unrecorded == 1  # type: ignore[union-attr]
    reconcile.publish([], [found])
    assert metrics.RECONCILE_UNRECORDED._value.get() == 1
    rig.store.command("DELETE FROM sluice.events WHERE epoch = 3 AND control_kind = 'start'")
    assert told(rig) is None
    count.close()
    write(rig.ledger, [decision(n) for n in range(100, 105)])
    with closing(acted.Count(rig.stream, 4)) as count:
        for _ in range(5):
            count.add()
        assert told(rig) == reconcile.Acted("n-w0", 4, 5, 5), "what waits is on record"
        assert told(rig, most=3) is None


def test_epochs_that_are_over_are_compared_in_sql(store: Embedded) -> None:
    """The view `decided`: by epoch, what the gate counted, what is on record, and what is not; NULL of the newest."""

    def control(kind: str, written: int, **detail: int) -> Record:
        return Record(record_type=RecordType.CONTROL, decision_id="", control_kind=kind, ts_received=NOVEMBER,
                      control_detail=json.dumps(detail), epoch=written, chain_id="n-w0", seq=written * 100)  # fmt: skip

    def decided(n: int, epoch: int) -> Record:
        return decision(n, epoch=epoch, chain_id="n-w0", seq=epoch * 100 + n + 1)

    insert(
        store,
        [
            *(control("start", epoch) for epoch in (1, 2, 3)),
            *(decided(n, epoch) for epoch in (1, 2, 3, 4) for n in range(4)),
            control("decided", 2, epoch=1, decisions=3),
            control("decided", 3, epoch=2, decisions=5),
            control("decided", 5, epoch=4, decisions=9),
        ],
        "a",
    )
    sql = "SELECT epoch, decided, recorded, unrecorded FROM decided ORDER BY epoch"
    rows = [json.loads(line) for line in store.select(sql, "JSONCompactEachRow").splitlines()]
    assert rows == [[1, 3, 4, 0], [2, 5, 4, 1], [3, None, 4, None], [4, None, 4, None]]


def test_the_count_of_an_epoch_outlives_its_process(tmp_path: Path) -> None:
    """What was counted is there without any write or flush; the next epoch puts it on record and begins at zero."""
    assert list(acted.events(tmp_path)) == []
    count = acted.Count(tmp_path, 7)
    count.add()
    assert list(acted.events(tmp_path)) == [("decided", {"epoch": 7, "decisions": 1})]
    acted.Count(tmp_path, 8).close()
    assert acted.read(tmp_path) == acted.Decided(8, 0)
    count.close()
    (tmp_path / acted.FILE).write_bytes(b"torn")
    assert acted.read(tmp_path) is None
    with pytest.raises(Unavailable, match="cannot be kept"):
        acted.Count(tmp_path / "gone", 1)
