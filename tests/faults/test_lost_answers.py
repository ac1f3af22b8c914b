"""T19, T23, T28: flipped bits under the shipper, answers of the store that are lost, SIGKILL in the middle of inserts.

The store is the real embedded engine. It has no connection that a proxy could cut, so an answer is lost behind the
insert that it acknowledges, where the shipper asks for it.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from sluice import metrics
from sluice.ledger import reader, segment
from sluice.ship.clickhouse import Embedded, StoreError
from sluice.ship.delivery import Delivery
from tests.faults.scale import times
from tests.faults.shipping import counted, killed_at
from tests.ship.ship_rig import decision, settings_in, write

COUNTED = "SELECT count() AS n, uniqExact(chain_id, epoch, seq) AS u FROM events"


class Forgetful(Embedded):
    """The engine, of whose answers to inserts about three in ten never arrive."""

    chance = random.Random(23)
    inserts = lost = 0

    def insert(self, bodies: Sequence[bytes], token: str) -> None:
        super().insert(bodies, token)
        self.inserts += 1
        if self.chance.random() < 0.3:
            self.lost += 1
            raise StoreError(0, "connection reset by peer")


def delivery(root: Path, *, batch_rows: int) -> Callable[[], Delivery]:
    """Deliveries on one state directory, and a clock for all of them that only goes on when one is asked."""
    clock = iter(range(1_000, 10**9))

    def make() -> Delivery:
        return Delivery(
            root / "ledger",
            root / "ship",
            batch_rows=batch_rows,
            batch_seconds=0.0,
            monotonic=lambda: float(next(clock)),
        )

    return make


def drain(sender: Delivery, store: Embedded) -> None:
    """Ship until nothing waits."""
    for _ in range(100_000):
        sender.round(store, flush=True)
        if sender.standing.pending == 0:
            return
    raise AssertionError(f"{sender.standing.pending} records still wait")


@pytest.mark.timeout(3600)
def test_lost_answers(tmp_path: Path, figures: Callable[[str], None]) -> None:
    """Three answers in ten are lost after the insert, and the shipper starts anew now and then: rows = records."""
    batches, written = times(40, 10_000), 0
    make = delivery(tmp_path, batch_rows=5)
    store = Forgetful(tmp_path / "clickhouse", "sluice")
    try:
        store.migrate()
        sender = make()
        for turn in itertools.count():
            if store.inserts >= batches:
                break
            count = min(250, batches // 2) * 5 - 2
            write(tmp_path / "ledger", [decision(written + n) for n in range(count)], slot=turn % 2)
            written += count
            drain(sender, store)
            sender = make()
        (found,) = map(json.loads, store.select(COUNTED, "JSONEachRow").splitlines())
    finally:
        store.close()
    kept = sum(1 for stream in reader.streams(tmp_path / "ledger") for _ in reader.read(stream))
    figures(
        f"T23: {store.inserts} inserts, {store.lost} answers lost: records {kept}, rows {found['n']}, "
        f"different {found['u']}"
    )
    assert store.lost > store.inserts / 5
    assert int(found["n"]) == int(found["u"]) == kept


@pytest.mark.timeout(3600)
def test_flipped_bits_under_the_shipper(tmp_path: Path, figures: Callable[[str], None]) -> None:
    """One bit of a record changes on the disk before it is shipped: that record alone is missing, and is told."""
    flips, rng = times(5, 1_000), random.Random(19)
    store = Embedded(tmp_path / "clickhouse", "sluice")
    found = 0
    try:
        store.migrate()
        for turn in range(flips):
            root = tmp_path / str(turn)
            write(root / "ledger", [decision(turn * 100 + n) for n in range(12)])
            stream = root / "ledger" / "n-w0"
            path = stream / segment.segments(stream)[0]
            data = bytearray(path.read_bytes())
            frames = list(segment.frames(bytes(data)))
            victim = frames[rng.randrange(len(frames) - 1)]
            data[victim.offset + segment.FRAME_HEAD.size + rng.randrange(len(victim.body))] ^= 1 << rng.randrange(8)
            path.write_bytes(data)
            found += not reader.verify(stream).sound
            before, told = int(store.select("SELECT count() FROM events", "TSV")), metrics.CHAIN_GAPS.labels().count
            sender = delivery(root, batch_rows=50)()
            drain(sender, store)
            shipped = int(store.select("SELECT count() FROM events", "TSV")) - before
            assert shipped == len(frames) - 1, f"flip {turn}: {shipped} of {len(frames)} records were shipped"
            assert metrics.CHAIN_GAPS.labels().count == told + 1
    finally:
        store.close()
    figures(f"T19: {flips} bits flipped, {found} found by verify, all stepped over by the shipper, the rest shipped")
    assert found == flips


@pytest.mark.timeout(3600)
def test_killed_inside_an_insert(tmp_path: Path, figures: Callable[[str], None]) -> None:
    """SIGKILL while the engine inserts: the table opens again, and holds what the ledger holds, once."""
    kills, settings, chance, written = times(2, 50), settings_in(tmp_path / "var"), random.Random(28), 0
    for turn in range(kills):
        write(settings.ledger_dir, [decision(written + n) for n in range(200)], slot=turn % 2)
        written += 200
        killed_at(settings, "frozen", behind=chance.uniform(0.0, 0.03))
    kept, rows, different = counted(settings)
    figures(f"T28: kill -9 inside an insert x {kills}: records {kept}, rows {rows}, different {different}")
    assert rows == different == kept
