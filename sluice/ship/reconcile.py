"""Is what the ledgers hold what ClickHouse holds? Counted by stream, and by segment before a segment is deleted.

    records    numbers of a stream from the oldest segment that is there up to the cursor: gap-free, so a difference
    rows       what the store has of them; `distinct`: each number once
    dead       what was set aside in the dead-letter file
    missing    records - distinct - dead
    doubled    rows - distinct
    wrong      both together: 0 is the only good answer

Beside that, the gate's own count (`ledger.acted`): what it acted on, against the decisions on record.

A segment is deleted when it is old enough, sealed by a signed checkpoint, delivered, and when the store holds each of
its records exactly once. The note of what is taken is written first (`ledger.pruned`), the sealer puts it on record in
its own stream, and in a later turn the segment goes; the last one always stays, because the writer goes on from it.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from sluice import metrics, pruning
from sluice.ledger import acted as counted
from sluice.ledger import reader, segment
from sluice.ledger.reader import Position
from sluice.ledger.record import link
from sluice.ship import stored
from sluice.ship.clickhouse import Asked
from sluice.ship.deadletters import DeadLetters

log = logging.getLogger("sluice.ship")


@dataclass(frozen=True, slots=True)
class Count:
    """One stream. `first` and `upto` are the numbers compared (upto exclusive), `pending` what is not delivered yet."""

    stream: str
    first: int
    upto: int
    rows: int
    distinct: int
    dead: int
    pending: int

    @property
    def records(self) -> int:
        return self.upto - self.first

    @property
    def missing(self) -> int:
        return self.records - self.distinct - self.dead

    @property
    def doubled(self) -> int:
        return self.rows - self.distinct

    @property
    def difference(self) -> int:
        return self.missing - self.doubled

    @property
    def wrong(self) -> int:
        """What is missing and what is doubled, which never hide each other."""
        return abs(self.missing) + self.doubled


def count(store: Asked, stream: Path, delivered: int, pending: int, dead: DeadLetters) -> Count:
    """Compare one stream below number `delivered`. Raises `StoreError`."""
    names = segment.segments(stream)
    first = min(segment.named(names[0])[1], delivered) if names else delivered
    letters = {letter.seq for letter in dead.read(stream.name) if first <= letter.seq < delivered}
    rows, total = stored.rows(store, stream.name, first, delivered - 1) if delivered > first else (0, 0)
    due = (first + delivered - 1) * (delivered - first) // 2 - sum(letters)
    distinct = rows
    if rows and (rows != delivered - first - len(letters) or total != due % 2**64):
        distinct = stored.distinct(store, stream.name, first, delivered - 1)
    return Count(stream.name, first, delivered, rows, distinct, len(letters), pending)


@dataclass(frozen=True, slots=True)
class Acted:
    """The newest epoch of one stream: how many decisions the gate has acted on, how many are on record."""

    stream: str
    epoch: int
    decided: int
    recorded: int

    @property
    def unrecorded(self) -> int:
        """Acted on without a record. More recorded than acted on is what is in flight, or was at a kill."""
        return max(0, self.decided - self.recorded)


_DECISIONS = frozenset({"decision", "bypass"})


def acted(
    store: Asked, stream: Path, cursor: Position | None, dead: DeadLetters, *, most: int | None = None
) -> Acted | None:
    """Compare the gate's count with the records: rows up to the cursor, the ledger behind it.

    None where nobody counts, where retention has taken the beginning of the epoch, and where more than `most` records
    are not delivered yet. Raises `StoreError`, OSError, `Damaged`.
    """
    said = counted.read(stream)  # first: what it counts was on record before
    if said is None:
        return None
    delivered = cursor.seq if cursor else 0
    recorded, whole = stored.decisions(store, stream.name, said.epoch, delivered) if delivered else (0, False)
    for n, entry in enumerate(reader.read(stream, cursor)):
        if n == most:
            return None
        if entry.epoch == said.epoch:
            recorded += entry.link.record_type in _DECISIONS
            whole = whole or entry.link.control_kind == "start"
    for letter in dead.read(stream.name):
        recorded += letter.epoch == said.epoch and link(bytes(letter.record)).record_type in _DECISIONS
    return Acted(stream.name, said.epoch, said.decisions, recorded) if whole else None


def publish(counts: list[Count], acts: list[Acted]) -> None:
    """Set the gauges: what is missing and what is doubled, which never hide each other, and what has no record."""
    metrics.RECONCILE_DIFFERENCE.set(sum(c.wrong for c in counts))
    metrics.RECONCILE_UNRECORDED.set(sum(a.unrecorded for a in acts))
    for act in (a for a in acts if a.unrecorded):
        facts = {"stream": act.stream, "epoch": act.epoch, "decided": act.decided, "recorded": act.recorded}
        log.error("the gate acted on decisions that no ledger holds", extra={"facts": facts})
    for wrong in (c for c in counts if c.wrong):
        log.error(
            "ledger and event store differ",
            extra={
                "facts": {
                    "stream": wrong.stream,
                    "records": wrong.records,
                    "rows": wrong.rows,
                    "dead": wrong.dead,
                    "missing": wrong.missing,
                    "doubled": wrong.doubled,
                }
            },
        )


def prune(
    store: Asked,
    stream: Path,
    delivered: int,
    dead: DeadLetters,
    *,
    keep_days: float,
    sealed: int,
    announced: int,
    clock: float | None = None,
) -> list[str]:
    """Delete the oldest segments of a stream that nobody needs any more; their names. Raises `StoreError`, OSError.

    `sealed`: so many of its records are under a signed checkpoint. `announced`: below this number the sealer has put
    the pruning on record; what may go beyond that is noted, and goes in a later turn.
    """
    now = time.time() if clock is None else clock
    below = spare(store, stream, delivered, dead, keep_days=keep_days, sealed=sealed, clock=now)
    return pruning.take(stream, below, announced=announced, now=now)


def spare(
    store: Asked, stream: Path, delivered: int, dead: DeadLetters, *, keep_days: float, sealed: int, clock: float
) -> int:
    """The records below this number are old, sealed and in the store exactly once. Raises `StoreError`, OSError."""
    below = 0
    for name, following in pairwise(segment.segments(stream)):
        (epoch, first), upto = segment.named(name), segment.named(following)[1]
        if not pruning.is_over(stream / name, keep_days, clock) or upto > min(delivered, sealed):
            break
        if not _is_held(store, stream.name, epoch, first, upto, dead):
            break
        below = upto
    return below


def _is_held(store: Asked, name: str, epoch: int, first: int, upto: int, dead: DeadLetters) -> bool:
    """Whether the store holds each record of a segment, and none of them twice."""
    letters = sum(1 for letter in dead.read(name) if letter.epoch == epoch and first <= letter.seq < upto)
    rows, distinct = stored.exactly(store, name, epoch, first, upto - 1)
    if rows == distinct == upto - first - letters:
        return True
    log.error(
        "a segment is kept: the event store does not hold its records exactly once",
        extra={"facts": {"stream": name, "first": first, "upto": upto, "rows": rows, "distinct": distinct}},
    )
    return False
