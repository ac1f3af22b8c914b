"""What is on its way to ClickHouse, frozen on disk before the first attempt, so that every retry repeats it exactly.

One state file per stream: where shipping stands, and the batch that is being shipped, if one is. A batch is a range
of records of one epoch; the rows of one partition in it are one insert with one token. ClickHouse stores an insert
with a known token once, so a batch may be sent any number of times: after a lost answer, a kill, a power cut.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import takewhile
from pathlib import Path

import msgspec
from msgspec import structs

from sluice import durable
from sluice.errors import Misconfigured, Problem
from sluice.ledger import reader
from sluice.ledger.reader import Entry, Position
from sluice.ledger.segment import Damage


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A range of records, first to last (`seq`), and the tokens of its inserts by partition."""

    epoch: int
    first: int
    last: int
    end: Position
    tokens: dict[str, str]


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the state file holds. `cursor` is the position behind everything acknowledged by ClickHouse.

    `held` is set where the file was gone and ClickHouse had rows of the stream all the same: records below that number
    may be among them. `run` was drawn when the file was begun, and goes into its tokens: a store remembers tokens of
    rows that it has lost since, and would take nothing under them.
    """

    version: int = 1
    cursor: Position | None = None
    batch: Batch | None = None
    held: int = 0
    run: str = ""


class Outbox:
    """One stream as the shipper sees it: the records that wait, and the durable state of their delivery."""

    def __init__(self, stream: Path, directory: Path, on_damage: Callable[[Damage], None]) -> None:
        self.stream = stream
        self._file = directory / f"{stream.name}.json"
        self._on_damage = on_damage
        self.is_new = not self._file.exists()
        self.state = self._load()
        self.waiting: list[Entry] = []
        self._read = self.state.cursor
        self._behind = False

    def fill(self, limit: int) -> None:
        """Read on in the ledger, until `limit` records wait or no more are there."""
        if len(self.waiting) >= limit:
            return
        for entry in reader.read(self.stream, self._read, on_damage=self._on_damage):
            self.waiting.append(entry)
            self._read = entry.after
            if len(self.waiting) >= limit:
                return

    def begin(self, held: int) -> None:
        """The store may hold records of this stream below number `held`: nothing below it is sent without asking."""
        self._save(structs.replace(self.state, held=held, run=uuid.uuid4().hex))
        self.is_new = False

    def settle(self) -> None:
        """Write down what was acknowledged, where that was put off."""
        if self._behind:
            self._save(self.state)

    @property
    def pending(self) -> int:
        """Records that are durable in the ledger and not acknowledged by ClickHouse."""
        done = self.state.cursor.seq if self.state.cursor else 0
        read = self.waiting[-1].after.seq if self.waiting else 0
        return max(reader.acknowledged(self.stream) or 0, read, done) - done

    @property
    def delivered(self) -> int:
        """The number behind everything that ClickHouse has acknowledged."""
        return self.state.cursor.seq if self.state.cursor else 0

    def freeze(self, limit: int) -> Batch:
        """Fix the next batch on disk: at most `limit` records that wait, of one epoch. There must be one."""
        epoch = self.waiting[0].epoch
        entries = list(takewhile(lambda e: e.epoch == epoch, self.waiting[:limit]))
        first, last = entries[0].seq, entries[-1].seq
        partitions = dict.fromkeys(map(partition, entries))
        tokens = {p: token(self.stream.name, epoch, first, last, p, self.state.run) for p in partitions}
        batch = Batch(epoch, first, last, entries[-1].after, tokens)
        self._save(structs.replace(self.state, batch=batch))
        return batch

    def entries(self, batch: Batch) -> list[Entry]:
        """The records of the frozen batch, read again where the process that froze it is gone."""
        end = _order(batch.end)
        while not self.waiting or _order(self.waiting[-1].after) < end:
            before = len(self.waiting)
            self.fill(before + 1000)
            if len(self.waiting) == before:
                break
        return [e for e in self.waiting if _order(e.after) <= end]

    def acknowledge(self, batch: Batch) -> None:
        """ClickHouse has the batch: go on behind it.

        While more waits, the next `freeze` writes this down as well: until then the state on disk says that the batch
        is under way, and a kill costs one question to the store.
        """
        self.state, self._behind = structs.replace(self.state, cursor=batch.end, batch=None), True
        end = _order(batch.end)
        self.waiting = [e for e in self.waiting if _order(e.after) > end]
        if self._read is None or _order(self._read) < end:
            self._read = batch.end
        if not self.pending:
            self.settle()

    def _load(self) -> State:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=State)
        except FileNotFoundError:
            return State()
        except msgspec.MsgspecError as e:
            what = (
                f"is not the state of a delivery ({e}); restore it, or remove it to send what the store does not hold"
            )
            raise Misconfigured(Problem(str(self._file), None, what)) from e

    def _save(self, state: State) -> None:
        durable.write(self._file, msgspec.json.encode(state), durable.SHARED)
        self.state, self._behind = state, False


class _Kept(msgspec.Struct):
    retention_class: str = "standard"


_kept = msgspec.json.Decoder(_Kept)
_STANDARD = b'"retention_class":"standard"'  # inside of a text its quotes were escaped


def partition(entry: Entry) -> str:
    """The partition of a record's row: month and retention class, as the table's PARTITION BY computes it."""
    try:
        kept = "standard" if _STANDARD in entry.body else _kept.decode(entry.body).retention_class
        return f"{_month(entry.at // 3_600_000_000)}/{kept}"
    except (ValueError, OverflowError, OSError, msgspec.MsgspecError):
        return "none"  # no row can be made of it; it ends in the dead-letter file


@lru_cache(maxsize=64)
def _month(hour: int) -> str:
    """The month of an hour since the epoch: thousands of records share one."""
    return datetime.fromtimestamp(hour * 3600, UTC).strftime("%Y%m")


def _order(place: Position) -> tuple[str, int]:
    return place.segment, place.offset


def token(stream: str, epoch: int, first: int, last: int, part: str, run: str = "") -> str:
    """Names an insert: the same records of one run of delivery always give the same token, and no others do."""
    return hashlib.sha256(f"{stream}\n{epoch}\n{first}\n{last}\n{part}\n{run}".encode()).hexdigest()


def again(token: str, entries: Sequence[Entry]) -> str:
    """Names the insert of some of the rows that a token stands for."""
    numbers = ",".join(str(e.seq) for e in entries)
    return hashlib.sha256(f"{token}\n{numbers}".encode()).hexdigest()


def halves(entries: Sequence[Entry]) -> tuple[Sequence[Entry], Sequence[Entry]]:
    """The two halves that are tried when a whole is refused."""
    middle = len(entries) // 2
    return entries[:middle], entries[middle:]
