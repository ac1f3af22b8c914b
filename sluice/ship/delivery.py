"""One round of delivery: what waits in the ledgers goes into the store, exactly once, whatever fails in between.

    wait      records are collected until a batch is full or old enough
    freeze    the batch and its tokens are written to disk
    insert    one insert per partition; refused rows are found by halving and set aside
    advance   the cursor moves behind the batch

A kill between any two of these repeats the batch with the same rows and tokens, which the store knows already. It
remembers a limited number of tokens only, so before anything is sent a second time it is also asked what it holds, and
only the rest is sent. The same question is asked of a stream that is new to this process: a state file that is gone,
or an old one that somebody restored, is found out before a single row is sent twice.
"""

from __future__ import annotations

import logging
import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sluice import metrics
from sluice.ledger import segment
from sluice.ledger.reader import Entry
from sluice.ledger.segment import Damage
from sluice.ship import batches, native, retries, stored
from sluice.ship.batches import Batch, Outbox
from sluice.ship.clickhouse import Store, StoreError
from sluice.ship.deadletters import DeadLetters
from sluice.ship.retries import Means

log = logging.getLogger("sluice.ship")

SPACING = 3.0
"""Batches of a stream that are not full follow each other after so many times `batch_seconds`. An insert costs the
store the same for one row as for hundreds: what comes alone is sent soon, what keeps coming is sent together."""


UNFIT = (ValueError, TypeError, AttributeError, RecursionError, msgspec.MsgspecError)
"""What making a row raises for bytes that are no record of ours."""


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
        anew: bool = False,
    ) -> None:
        """`directory` holds cursors and dead letters. `step` is told each step, which lets a test stop the world.
        `anew`: the state was taken away on purpose, so rows that it does not know of are no news."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._ledger = ledger
        self._directory = directory
        self._dead = DeadLetters(directory)
        self._batch_rows = batch_rows
        self._batch_seconds = batch_seconds
        self._clock = clock
        self._monotonic = monotonic
        self._step = step
        self._anew = anew
        self._outboxes: dict[str, Outbox] = {}
        self._since: dict[str, float] = {}
        self._next: dict[str, float] = {}
        """When the next batch of a stream may go, if it is not full."""
        self._waits: dict[str, _Wait] = {}
        self._damage: set[tuple[str, str, int]] = set()
        self._compared: set[str] = set()
        """Streams whose state was compared with what the store holds."""
        self._tried: set[str] = set()
        """Streams whose frozen batch may have been sent before."""
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
                self._back_off(wait, code, str(e))
                if code == 0:
                    for other in self._waits.values():
                        other.until = max(other.until, wait.until)
                    break
        self.standing.failures = max((w.failures for w in self._waits.values()), default=0)
        self.standing.rows += shipped
        self._measure()
        return shipped

    @property
    def outboxes(self) -> Mapping[str, Outbox]:
        """The streams by name."""
        return self._outboxes

    @property
    def dead(self) -> DeadLetters:
        return self._dead

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
        name = outbox.stream.name
        if name not in self._compared:
            self._compare(outbox, store)
        batch = outbox.state.batch
        if batch is None:
            outbox.fill(self._batch_rows)
            if not outbox.waiting:
                return 0
            if len(outbox.waiting) < self._batch_rows and not self._is_due(name) and not flush:
                return 0
            batch = outbox.freeze(self._batch_rows)
            self._step("frozen")
        entries = outbox.entries(batch)
        parts: dict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            parts[batches.partition(entry)].append(entry)
        again = name in self._tried or batch.first < outbox.state.held
        self._tried.add(name)
        for part in sorted(parts):
            rest = stored.missing(store, parts[part]) if again else parts[part]
            token = self._token(outbox, batch, part)
            if len(rest) < len(parts[part]):  # the store may know that token for all of them
                token = batches.again(token, rest)
            if rest:
                self._insert(store, rest, token)
            self._step("part")
        self._step("inserted")
        outbox.acknowledge(batch)
        self._tried.discard(name)
        self._since.pop(name, None)
        self._next[name] = self._monotonic() + self._batch_seconds * SPACING
        self._step("advanced")
        return len(entries)

    def _compare(self, outbox: Outbox, store: Store) -> None:
        """Whether the store holds records behind the point that the state file knows; then nothing is sent unasked."""
        name, state = outbox.stream.name, outbox.state
        known = state.batch.last + 1 if state.batch else state.cursor.seq if state.cursor else 0
        held = stored.below(store, name)
        if held > max(known, state.held):
            facts = {"stream": name, "known": known, "held": held, "rows": stored.count(store, name, known)}
            (log.debug if self._anew else log.warning)(
                "the store holds rows that the state of the delivery does not know of (it is new, or an old one was "
                "restored); they are not sent again",
                extra={"facts": facts},
            )
            outbox.begin(held)
        elif outbox.is_new:
            outbox.begin(0)
        if state.batch:
            self._tried.add(name)
        self._compared.add(name)

    def _is_due(self, name: str) -> bool:
        """Whether a batch that is not full has waited long enough, for itself and behind the one before."""
        now = self._monotonic()
        waited = now - self._since.setdefault(name, now)
        return waited >= self._batch_seconds and now >= self._next.get(name, 0.0)

    def _token(self, outbox: Outbox, batch: Batch, part: str) -> str:
        frozen = batch.tokens.get(part)
        return frozen or batches.token(outbox.stream.name, batch.epoch, batch.first, batch.last, part, outbox.state.run)

    def _insert(self, store: Store, entries: Sequence[Entry], token: str) -> None:
        """Insert rows; where the store refuses one for good, find it by halving. Raises `StoreError` to try later."""
        try:
            store.insert([e.body for e in entries], token)
        except UNFIT:
            self._without_unfit(store, entries, token)
            return
        except StoreError as e:
            if retries.means(e.code, str(e)) is not Means.ROW:
                raise
            if len(entries) == 1:
                self._bury(entries[0], e.code, str(e))
                return
            metrics.SHIP_BATCHES.labels("split").inc()
            for half in batches.halves(entries):
                # The halves of the same batch are the same on every attempt, and so are their tokens.
                self._insert(store, half, f"{token}:{half[0].seq}-{half[-1].seq}")
            return
        metrics.SHIP_BATCHES.labels("stored").inc()
        metrics.SHIPPED_ROWS.inc(len(entries))

    def _without_unfit(self, store: Store, entries: Sequence[Entry], token: str) -> None:
        """Set aside the records of which no row can be made, insert the others."""
        fit = []
        for entry in entries:
            try:
                native.block([entry.body])
                fit.append(entry)
            except UNFIT as e:
                self._bury(entry, 0, str(e))
        if len(fit) == len(entries):
            raise StoreError(0, "records that fit one by one do not fit together")  # waits, and is not sent by halves
        if fit:
            self._insert(store, fit, batches.again(token, fit))

    def _bury(self, entry: Entry, code: int, error: str) -> None:
        self._dead.put(entry, code, error)
        log.error(
            "a record was refused and set aside",
            extra={"facts": {"stream": entry.stream, "seq": entry.seq, "code": code, "name": retries.name(code)}},
        )

    def _back_off(self, wait: _Wait, code: int, message: str) -> None:
        wait.failures += 1
        pause = retries.pause(code, message, wait.failures)
        pause *= 0.5 + random.random()  # noqa: S311 - jitter, so that several nodes do not come back as one
        wait.until = self._monotonic() + pause
        metrics.SHIP_BATCHES.labels("failed").inc()
        facts = {"code": code, "name": retries.name(code), "failures": wait.failures, "wait_seconds": round(pause, 1)}
        if retries.means(code, message) is Means.AGAIN:
            log.warning("a batch was not taken; it will be sent again", extra={"facts": facts})
        else:
            log.error("a batch waits until somebody changes something at the store", extra={"facts": facts})

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
