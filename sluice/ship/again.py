"""Shipping every ledger from its oldest record: into a new store, or one that lost rows. `sluice ship again --from 0`.

The state of each delivery is begun anew; then delivery works as ever, and asks the store about each batch before it
sends what is missing.
"""

from __future__ import annotations

from collections.abc import Callable

from sluice.config import Settings
from sluice.ledger import reader, segment
from sluice.ship import holds, stored
from sluice.ship.clickhouse import StoreError, open_store
from sluice.ship.delivery import Delivery
from sluice.ship.query import connect
from sluice.ship.shipper import directory


def ship(settings: Settings, *, say: Callable[[str], None]) -> tuple[int, int]:
    """Ship everything; the records compared, and the rows that the store has more than before.

    `say` is told what the store lacks before anything is sent.

    Raises `StoreError` when the store cannot be had or stops taking rows; then the next start goes on where it stopped.
    """
    where = directory(settings)
    try:
        connect(settings.run_dir).close()
    except OSError:
        pass  # nobody there: nobody else has the state of the delivery in hand
    else:
        raise StoreError(0, "the appliance runs, and its shipper has the state of the delivery in hand")
    store = open_store(settings)
    try:
        store.migrate()
        before: dict[str, tuple[int, int]] = {}
        for stream in segment.streams(settings.ledger_dir):
            (where / f"{stream.name}.json").unlink(missing_ok=True)
            entries = sum(1 for _ in reader.read(stream, on_damage=lambda _: None))
            names = segment.segments(stream)
            first = segment.named(names[0])[1] if names else 0
            held = stored.count(store, stream.name, first)
            before[stream.name] = first, held
            say(f"{stream.name}: {entries} records in the ledger, {held} of its numbers in the store")
        returned = holds.restore(store, where)
        standing = len(holds.conditions(store))
        say(f"legal holds: {standing} in force in the store, {returned} placements and releases entered again")
        delivery = Delivery(
            settings.ledger_dir, where, batch_rows=settings.clickhouse.batch_rows, batch_seconds=0, anew=True
        )
        done = 0
        while shipped := delivery.round(store, flush=True):
            done += shipped
        if delivery.standing.failures:
            raise StoreError(0, f"the store stopped taking rows; {delivery.standing.pending} wait")
        return done, sum(stored.count(store, name, first) - held for name, (first, held) in before.items())
    finally:
        store.close()
