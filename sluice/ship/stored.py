"""What the store holds of a stream: asked before anything is sent a second time, and before segments are deleted."""

from __future__ import annotations

from collections.abc import Sequence

from sluice.ledger.reader import Entry
from sluice.ship.clickhouse import TABLE, Asked, StoreError
from sluice.ship.sqlgate import SqlError

PIECE = 4_000_000
"""Numbers of which the different ones are counted at once."""


def below(store: Asked, stream: str) -> int:
    """The number behind the last record of a stream that the store holds; 0 when it holds none. Raises `StoreError`."""
    (count, last), *_ = _ask(store, "count(), max(seq)", stream)
    return last + 1 if count else 0


def count(store: Asked, stream: str, first: int, last: int | None = None, *, epoch: int | None = None) -> int:
    """How many records of a stream the store holds, each once, from number `first` to `last`. Raises `StoreError`."""
    more = f"AND seq >= {first}" + (f" AND seq <= {last}" if last is not None else "")
    more += f" AND epoch = {epoch}" if epoch is not None else ""
    (number, *_), *_ = _ask(store, "uniqExact(epoch, seq, ts_received)", stream, more)
    return number


def rows(store: Asked, stream: str, first: int, last: int) -> tuple[int, int]:
    """How many rows the store holds of these numbers, doubled ones counted twice, and the sum of their numbers modulo
    2^64. Raises `StoreError`."""
    between = f"AND seq BETWEEN {first} AND {last}"
    (number, total), *_ = _ask(store, "count(), sum(seq)", stream, between)
    return number, total


def distinct(store: Asked, stream: str, first: int, last: int) -> int:
    """How many of these numbers the store holds. Asked piece by piece, for bounded memory. Raises `StoreError`."""
    found = 0
    for start in range(first, last + 1, PIECE):
        between = f"AND seq BETWEEN {start} AND {min(last, start + PIECE - 1)}"
        (number, *_), *_ = _ask(store, "uniqExact(seq)", stream, between)
        found += number
    return found


def exactly(store: Asked, stream: str, epoch: int, first: int, last: int) -> tuple[int, int]:
    """(rows, different records) that the store holds of these numbers of one epoch. Raises `StoreError`."""
    where = f"AND epoch = {epoch} AND seq BETWEEN {first} AND {last}"
    (number, distinct), *_ = _ask(store, "count(), uniqExact(seq)", stream, where)
    return number, distinct


def decisions(store: Asked, stream: str, epoch: int, upto: int) -> tuple[int, bool]:
    """How many decisions of an epoch the store holds below number `upto`, and whether the beginning of the epoch is
    among its rows: without it retention has taken some. Raises `StoreError`."""
    what = "countIf(record_type IN ('decision', 'bypass')), countIf(control_kind = 'start')"
    (number, starts), *_ = _ask(store, what, stream, f"AND epoch = {epoch} AND seq < {upto}")
    return number, starts > 0


def missing(store: Asked, entries: Sequence[Entry]) -> list[Entry]:
    """The records of one stream that the store does not hold. Raises `StoreError`.

    Compared by epoch, number and time to the microsecond: a stream that began anew under an old name is another one.
    """
    if not entries:
        return []
    numbers = [e.seq for e in entries]
    between = f"AND seq BETWEEN {min(numbers)} AND {max(numbers)}"
    rows = _ask(store, "epoch, seq, toUnixTimestamp64Micro(ts_received)", entries[0].stream, between)
    held = set(rows)
    return [e for e in entries if (e.epoch, e.seq, e.at) not in held]


def _ask(store: Asked, what: str, stream: str, more: str = "") -> list[tuple[int, ...]]:
    name = stream.replace("\\", "\\\\").replace("'", "\\'")
    sql = f"SELECT {what} FROM {TABLE} WHERE chain_id = '{name}' {more}"  # noqa: S608 - the name is escaped
    try:
        answer = store.select(sql, "TSV")
    except SqlError as e:
        raise StoreError(e.code, str(e)) from e
    return [tuple(map(int, line.split(b"\t"))) for line in answer.splitlines()]
