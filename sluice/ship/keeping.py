"""What the shipper does beside delivery: compare ledgers and store, delete what is no longer needed, place legal holds.

Between two rounds of delivery, in its thread: nothing is inserted while it is decided what may go. An error here stops
nothing; it is logged and the next turn tries again, and what could not be checked is kept.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from sluice import pruning
from sluice.config import Settings
from sluice.errors import SluiceError
from sluice.seal import announced
from sluice.seal.keys import sizes
from sluice.ship import holds, open_findings, peaks, reconcile, retention
from sluice.ship.clickhouse import Store, StoreError
from sluice.ship.delivery import Delivery

log = logging.getLogger("sluice.ship")

COMPARE_SECONDS = 60.0
FIRST_SECONDS = 5.0
"""After the start: its numbers went with the process before."""
DELETE_SECONDS = 3600.0
MOST_WAITING = 20_000
"""A stream with more records than this on their way is not compared with the gate's count in this turn."""


class Keeping:
    """The regular turns of one shipper."""

    def __init__(
        self,
        settings: Settings,
        delivery: Delivery,
        directory: Path,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._delivery = delivery
        self._directory = directory
        self._monotonic = monotonic
        self._clock = clock
        self._restored = False
        self._compare_at = monotonic() + FIRST_SECONDS
        self._delete_at = monotonic() + COMPARE_SECONDS

    def turn(self, store: Store) -> None:
        """Do what is due now. Never raises for a store, a disk or a file that cannot be used."""
        try:
            if not self._restored:  # the store may be a new one
                holds.restore(store, self._directory)
                self._restored = True
            if any((self._directory / "holds").glob("*.json")):
                holds.place(store, self._directory)
            if self._monotonic() >= self._compare_at:
                self._compare_at = self._monotonic() + COMPARE_SECONDS
                reconcile.publish(self.counts(store), self.acts(store))
                peaks.publish(store)
                open_findings.publish(store)
            if self._monotonic() >= self._delete_at:
                self._delete_at = self._monotonic() + DELETE_SECONDS
                self.delete(store)
        except (StoreError, OSError, ValueError, SluiceError) as e:
            # Whatever was not compared is kept, and everything is tried again in its next turn.
            self._compare_at = max(self._compare_at, self._monotonic() + COMPARE_SECONDS)
            log.warning("the event store was not compared or cleaned up", extra={"facts": {"why": str(e)[:500]}})

    def counts(self, store: Store) -> list[reconcile.Count]:
        """Ledger against store, stream by stream. Raises `StoreError`."""
        return [
            reconcile.count(store, box.stream, box.delivered, box.pending, self._delivery.dead)
            for box in self._delivery.outboxes.values()
        ]

    def acts(self, store: Store) -> list[reconcile.Acted]:
        """The gate's counts against the records, for streams without a backlog. Raises `StoreError`."""
        found = (
            reconcile.acted(store, box.stream, box.state.cursor, self._delivery.dead, most=MOST_WAITING)
            for box in self._delivery.outboxes.values()
        )
        return [act for act in found if act]

    def delete(self, store: Store) -> None:
        """Ledger segments that the store holds, and partitions of the store whose time is over. Raises `StoreError`."""
        sealed = sizes(self._settings.seal_dir)
        told = announced.read(self._settings.seal_dir).pruned
        for name, box in self._delivery.outboxes.items():
            if self._settings.accounts.used:  # the ledger is not ours to change
                below = reconcile.spare(
                    store,
                    box.stream,
                    box.delivered,
                    self._delivery.dead,
                    keep_days=self._settings.evidence.keep_days,
                    sealed=sealed.get(name, 0),
                    clock=self._clock(),
                )
                pruning.wish(self._directory, name, below)
                continue
            reconcile.prune(
                store,
                box.stream,
                box.delivered,
                self._delivery.dead,
                keep_days=self._settings.evidence.keep_days,
                sealed=sealed.get(name, 0),
                announced=told.get(name, 0),
                clock=self._clock(),
            )
        retention.expire(store, self._directory, self._clock())
        retention.expire_snapshots(store, self._clock())
