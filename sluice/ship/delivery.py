"""One round of delivery: what waits in the ledgers goes into the store, exactly once, whatever fails in between.

    wait      records are collected until a batch is full or old enough
    freeze    the batch and its tokens are written to disk
    insert    one insert per partition; refused rows are found by halving and set aside
    advance   the cursor moves behind the batch, durably

A kill between any two of these repeats the insert with the same rows and token, which the store knows already. Where
the state on disk itself is gone, the store is asked what it holds, and only the rest is sent: tokens say nothing then.
"""

from __future__ import annotations

import logging
import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sluice import metrics
from sluice.ledger import segment
from sluice.ledger.reader import Entry
from sluice.ledger.segment import Damage
from sluice.ship import batches, rows, stored
from sluice.ship.batches import Batch, Outbox
from sluice.ship.clickhouse import Store, StoreError
from sluice.ship.deadletters import DeadLetters

log = logging.getLogger("sluice.ship")

POISON = {
    6: "CANNOT_PARSE_TEXT",
    26: "CANNOT_PARSE_QUOTED_STRING",
    27: "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
    38: "CANNOT_PARSE_DATE",
    41: "CANNOT_PARSE_DATETIME",
    53: "TYPE_MISMATCH",
    69: "ARGUMENT_OUT_OF_BOUND",
    70: "CANNOT_CONVERT_TYPE",
    72: "CANNOT_PARSE_NUMBER",
    117: "INCORRECT_DATA",
    128: "TOO_LARGE_ARRAY_SIZE",
    130: "CANNOT_READ_ARRAY_FROM_TEXT",
    131: "TOO_LARGE_STRING_SIZE",
    190: "SIZES_OF_ARRAYS_DONT_MATCH",
    321: "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",
    349: "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN",
    376: "CANNOT_PARSE_UUID",
    407: "DECIMAL_OVERFLOW",
    467: "CANNOT_PARSE_BOOL",
    675: "CANNOT_PARSE_IPV4",
    676: "CANNOT_PARSE_IPV6",
    691: "UNKNOWN_ELEMENT_OF_ENUM",
}
"""Errors of a value: the same row fails for ever, so it is set aside. Every other error is the store's (it is down,
full, read-only, lacks a table or a column): the batch waits and is tried again, for as long as it takes."""

TURN_SECONDS = 5.0
"""Longest time that a batch fills for the sake of other streams."""
FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0


@dataclass(slots=True)
class Standing:
    """Where delivery stands. Read by the heartbeat."""

    pending: int = 0
    lag_seconds: float = 0.0
    rows: int = 0
    failures: int = 0
    """Attempts that failed since the last that did not."""


@dataclass(slots=True)
class _Wait:
    """Until when a stream is left alone, and after how many failures."""

    until: float = 0.0
    failures: int = 0


class Delivery:
    """Ships every stream below a ledger directory into one store. For one thread."""

    def __init__(
        self,
        ledger: Path,
        directory: Path,
        *,
        batch_rows: int,
        batch_seconds: float,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        step: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`directory` holds cursors and dead letters. `step` is told each step, which lets a test stop the world."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._ledger = ledger
        self._directory = directory
        self._dead = DeadLetters(directory)
        self._batch_rows = batch_rows
        self._batch_seconds = batch_seconds
        self._clock = clock
        self._monotonic = monotonic
        self._step = step
        self._outboxes: dict[str, Outbox] = {}
        self._since: dict[str, float] = {}
        self._waits: dict[str, _Wait] = {}
        self._damage: set[tuple[str, str, int]] = set()
        self.standing = Standing()

    def round(self, store: Store, *, flush: bool = False) -> int:
        """Ship what is due, at most one batch of each stream; the rows shipped. `flush`: whatever waits is due.

        A stream whose batch fails is left alone for a while that doubles, and so are all when the store cannot be
        reached at all. Nothing is raised for it.
        """
        shipped = 0
        for outbox in self._streams():
            wait = self._waits.setdefault(outbox.stream.name, _Wait())
            if self._monotonic() < wait.until and not flush:
                continue
            try:
                shipped += self._ship(outbox, store, flush=flush)
                wait.failures = 0
            except (StoreError, OSError) as e:
                code = e.code if isinstance(e, StoreError) else 0
                self._back_off(wait, code)
                if code == 0:
                    for other in self._waits.values():
                        other.until = max(other.until, wait.until)
                    break
        self.standing.failures = max((w.failures for w in self._waits.values()), default=0)
        self.standing.rows += shipped
        self._measure()
        return shipped

    def observe(self) -> None:
        """Look at what waits without shipping: while there is no store."""
        for outbox in self._streams():
            outbox.fill(1)
        self._measure()

    def _streams(self) -> list[Outbox]:
        for path in segment.streams(self._ledger):
            if path.name not in self._outboxes:
                self._outboxes[path.name] = Outbox(path, self._directory, self._damaged)
        return list(self._outboxes.values())

    def _ship(self, outbox: Outbox, store: Store, *, flush: bool) -> int:
        if outbox.is_new:
            held = stored.below(store, outbox.stream.name)
            outbox.begin(held)
            if held:
                log.warning(
                    "the state of a delivery is gone; what the store holds already is not sent again",
                    extra={"facts": {"stream": outbox.stream.name, "held": held}},
                )
        batch = outbox.state.batch
        if batch is None:
            outbox.fill(self._batch_rows)
            if not outbox.waiting:
                return 0
            waited = self._monotonic() - self._since.setdefault(outbox.stream.name, self._monotonic())
            if len(outbox.waiting) < self._batch_rows and waited < self._patience() and not flush:
                return 0
            batch = outbox.freeze(self._batch_rows)
            self._step("frozen")
        entries = outbox.entries(batch)
        parts: dict[str, list[Entry]] = defaultdict(list)
        again = batch.first < outbox.state.held
        for entry in stored.missing(store, entries) if again else entries:
            parts[batches.partition(entry)].append(entry)
        for part in sorted(parts):
            token = self._token(outbox, batch, part)
            if again:  # of some of the rows only, so under its own token: the store may know that of them all
                token = batches.again(token, parts[part])
            self._insert(store, parts[part], token)
        self._step("inserted")
        outbox.acknowledge(batch)
        self._since.pop(outbox.stream.name, None)
        self._step("advanced")
        return len(entries)

    def _patience(self) -> float:
        """How long a batch may fill. An insert costs the store the same for one row as for hundreds, so several busy
        streams take turns, at one insert per `batch_seconds` together, as long as nobody waits more than a few seconds.
        """
        busy = sum(1 for o in self._outboxes.values() if o.waiting)
        return max(self._batch_seconds, min(self._batch_seconds * busy, TURN_SECONDS))

    def _token(self, outbox: Outbox, batch: Batch, part: str) -> str:
        frozen = batch.tokens.get(part)
        return frozen or batches.token(outbox.stream.name, batch.epoch, batch.first, batch.last, part)

    def _insert(self, store: Store, entries: Sequence[Entry], token: str) -> None:
        """Insert rows; where the store refuses one for good, find it by halving. Raises `StoreError` to try later."""
        good: list[Entry] = []
        events: list[rows.Event] = []
        for entry in entries:
            try:
                events.append(rows.event(entry.body))
                good.append(entry)
            except (ValueError, TypeError, AttributeError, msgspec.MsgspecError) as e:
                self._bury(entry, 0, str(e))
        if not events:
            return
        try:
            store.insert(events, token)
        except StoreError as e:
            if e.code not in POISON or "Unknown field" in str(e):  # a table without that column is the store's fault
                raise
            if len(good) == 1:
                self._bury(good[0], e.code, str(e))
                return
            metrics.SHIP_BATCHES.labels(outcome="split").inc()
            for half in batches.halves(good):
                # The halves of the same batch are the same on every attempt, and so are their tokens.
                self._insert(store, half, f"{token}:{half[0].seq}-{half[-1].seq}")
            return
        metrics.SHIP_BATCHES.labels(outcome="stored").inc()
        metrics.SHIPPED_ROWS.inc(len(events))

    def _bury(self, entry: Entry, code: int, error: str) -> None:
        self._dead.put(entry, code, error)
        log.error(
            "a record was refused and set aside",
            extra={"facts": {"stream": entry.stream, "seq": entry.seq, "code": code, "name": POISON.get(code, "row")}},
        )

    def _back_off(self, wait: _Wait, code: int) -> None:
        wait.failures += 1
        pause = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(wait.failures - 1, 10))
        pause *= 0.5 + random.random()  # noqa: S311 - jitter, so that several nodes do not come back as one
        wait.until = self._monotonic() + pause
        metrics.SHIP_BATCHES.labels(outcome="failed").inc()
        log.warning(
            "a batch was not taken; it will be sent again",
            extra={"facts": {"code": code, "failures": wait.failures, "wait_seconds": round(pause, 1)}},
        )

    def _damaged(self, damage: Damage) -> None:
        place = (damage.stream, damage.segment, damage.offset)
        if place not in self._damage:
            self._damage.add(place)
            metrics.CHAIN_GAPS.inc()
            log.error("the ledger is damaged", extra={"facts": {"place": str(damage)}})

    def _age(self, outbox: Outbox) -> float:
        return max(0.0, self._clock() - outbox.waiting[0].at / 1_000_000)

    def _measure(self) -> None:
        standing = self.standing
        standing.pending = sum(o.pending for o in self._outboxes.values())
        standing.lag_seconds = max((self._age(o) for o in self._outboxes.values() if o.waiting), default=0.0)
        metrics.SHIP_PENDING.set(standing.pending)
        metrics.SHIP_LAG_SECONDS.set(standing.lag_seconds)
