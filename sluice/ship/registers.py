"""The registers in the event store: a snapshot at start, and another one whenever the files say something else.

The shipper is the only one who writes to the store, so it does this too, between two rounds of delivery. Registers that
cannot be read change nothing: what was loaded stays, and the log and a metric say so. Nothing waits for it.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable
from pathlib import Path

from sluice import metrics
from sluice.config import Settings
from sluice.errors import Misconfigured
from sluice.register import snapshot
from sluice.ship.clickhouse import Store, StoreError
from sluice.ship.sqlgate import SqlError

log = logging.getLogger("sluice.ship")

LOOK_SECONDS = 5.0
FIRST_SECONDS = 1.0
"""After the start: reading every detector takes half a second of CPU, and records that wait go first."""

type _Marks = dict[Path, tuple[int, int, int] | None]


class Registers:
    """The snapshots of one shipper."""

    def __init__(
        self,
        settings: Settings,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._now = now
        self._look_at = monotonic() + FIRST_SECONDS
        self._seen: _Marks | None = None

    def turn(self, store: Store) -> bool:
        """Load what is new, if it is time to look; whether something was. Never raises for a file or a store."""
        if self._monotonic() < self._look_at:
            return False
        self._look_at = self._monotonic() + LOOK_SECONDS
        marks = self._marks()
        if marks == self._seen:
            return False
        try:
            loaded = load(store, self._settings, self._now())
        except (StoreError, SqlError) as e:  # the store's trouble: tried again at the next look
            log.warning("the registers could not be loaded", extra={"facts": {"why": str(e)[:500]}})
            return False
        except Exception as e:  # noqa: BLE001 - whatever is wrong with a file, evidence is shipped on
            self._seen = marks
            metrics.REGISTERS_STALE.set(1)
            why = str(e)[:500] if isinstance(e, Misconfigured | OSError) else type(e).__name__
            log.error("registers cannot be read; those before stay", extra={"facts": {"why": why}})
            return False
        if self._marks() == marks:  # otherwise one was written while it was read: the next look reads it again
            self._seen = marks
        metrics.REGISTERS_STALE.set(0)
        if loaded:
            log.info("registers were loaded", extra={"facts": {"digest": loaded}})
        return bool(loaded)

    def _marks(self) -> _Marks:
        return {path: _mark(path) for path in snapshot.watched(self._settings)}


def load(store: Store, settings: Settings, at: dt.datetime) -> str:
    """Bring what the files declare into the store, unless it is there; its digest, or nothing when it was there.

    Raises `Misconfigured`, `StoreError`, `SqlError`.
    """
    found = snapshot.take(settings)
    if store.select("SELECT any(digest) FROM register_in_force", "TSVRaw").decode().strip() == found.digest:
        return ""
    store.add(snapshot.TABLE, found.encode(at), f"registers {found.digest} {at.isoformat()}")
    return found.digest


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
