"""Reading ledgers: from a position, live beside the writer, for as long as the format lives.

Rules
1. While a writer holds a stream, a reader sees only records that are flushed: it goes by the writer's own count
   (file `durable`), so nothing is shown or shipped that a power cut could take back.
2. Behind the last whole record of the last segment there is no error, only "not yet": a crash may have torn it.
   Anywhere else, bytes that are no record are damage. It is raised, or told to `on_damage` and stepped over.
3. A reader never writes to a ledger.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from sluice.ledger import segment
from sluice.ledger.audit import Verdict, verify
from sluice.ledger.record import BadRecord, Link, decode, link
from sluice.ledger.segment import Damage, Damaged, Fault, acknowledged, streams
from sluice.model import Record

__all__ = ["Entry", "Position", "Verdict", "acknowledged", "end", "follow", "is_held", "read", "streams", "verify"]

CHUNK_BYTES = 1024 * 1024
POLL_SECONDS = 0.1


class Position(msgspec.Struct, frozen=True, gc=False):
    """A place between two records of a stream: the next one has this `seq` and begins at this offset."""

    segment: str
    offset: int
    seq: int


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One record as it lies in a stream. `link` is what it says of its place, `after` the position behind it."""

    stream: str
    link: Link
    body: bytes
    after: Position

    @property
    def epoch(self) -> int:
        return self.link.epoch

    @property
    def seq(self) -> int:
        return self.link.seq

    @property
    def at(self) -> int:
        """`ts_received`, microseconds since the epoch."""
        return self.link.ts_received

    @property
    def record(self) -> Record:
        """The whole record. Raises `BadRecord`."""
        return decode(self.body)


def read(
    stream: Path, after: Position | None = None, *, on_damage: Callable[[Damage], None] | None = None
) -> Iterator[Entry]:
    """The records of one stream behind a position, as far as they are durable now; call again for what comes later.

    Raises `Damaged` at the first damage, unless `on_damage` takes it; then reading goes on behind it.
    """
    durable = acknowledged(stream)  # in this order: what was counted before the listing must be in the listing
    names = segment.segments(stream)
    if not is_held(stream):
        durable = None
    if not names:
        return
    at = after or Position(names[0], segment.HEADER_BYTES, segment.named(names[0])[1])
    for name in names:
        if name < at.segment:
            continue
        if name > at.segment:
            at = Position(name, segment.HEADER_BYTES, at.seq)
        for entry in _segment(stream, at, on_damage or _raise, durable, last=name == names[-1]):
            at = entry.after
            yield entry


def end(stream: Path) -> Position | None:
    """The position behind everything that is there; None for a stream without segments."""
    names = segment.segments(stream)
    if not names:
        return None
    with (stream / names[-1]).open("rb") as file:
        data = file.read(segment.LARGEST_BYTES)
    seq, offset = segment.named(names[-1])[1], segment.HEADER_BYTES
    for frame in segment.frames(data):
        seq, offset = seq + 1, frame.end
    return Position(names[-1], offset, seq)


def follow(
    directory: Path, *, from_start: bool = False, poll: float = POLL_SECONDS, stop: Callable[[], bool] = lambda: False
) -> Iterator[Record]:
    """Records of every stream below a ledger directory as they become durable, until `stop` says so.

    Streams that appear later are read from their beginning. Damage and records of a newer kind are passed over.
    """
    known = {s.name: None if from_start else end(s) for s in segment.streams(directory)}
    while not stop():
        fresh: list[Entry] = []
        for stream in segment.streams(directory):
            for entry in read(stream, known.get(stream.name), on_damage=lambda _: None):
                known[stream.name] = entry.after
                fresh.append(entry)
        fresh.sort(key=lambda e: e.at)
        for entry in fresh:
            try:
                yield entry.record
            except BadRecord:
                continue
        if not fresh:
            time.sleep(poll)


def _raise(damage: Damage) -> None:
    raise Damaged(damage)


def _segment(
    stream: Path, at: Position, tell: Callable[[Damage], None], durable: int | None, *, last: bool
) -> Iterator[Entry]:
    """The records of one segment from a position on."""
    expected: int | None = at.seq
    base, i, data = at.offset, 0, b""
    with (stream / at.segment).open("rb", buffering=0) as file:
        while not last or durable is None or expected is None or expected < durable:
            found = segment.frame_at(data, i)
            if found is None:
                base, i = base + i, 0
                data = os.pread(file.fileno(), CHUNK_BYTES, base)
                found = segment.frame_at(data, 0)
            if found is None:
                data = _rest(file.fileno(), base)
                # In a finished segment, and below the writer's count, whatever was written was acknowledged.
                sure = not last or durable is not None
                found = segment.resume(data, 0) if sure else segment.acknowledged_behind(data, 0)
                lost = found.offset if found else segment.written_bytes(data, 0)
                if found or (lost and not last):
                    what = f"{lost} bytes that once were acknowledged records"
                    tell(Damage(stream.name, at.segment, base, expected or 0, Fault.DAMAGE, what))
                if found is None:
                    return
                expected = None
            here, i = base + found.offset, found.end
            try:
                said = link(found.body)
            except BadRecord as e:
                tell(Damage(stream.name, at.segment, here, expected or 0, Fault.DAMAGE, str(e)))
                continue
            if expected is not None and said.seq != expected:
                fault = Fault.GAP if said.seq > expected else Fault.REORDER
                tell(Damage(stream.name, at.segment, here, expected, fault, f"record {said.seq} stands here"))
            expected = said.seq + 1
            after = Position(at.segment, base + i, expected)
            yield Entry(stream.name, said, found.body, after)


def _rest(fd: int, offset: int) -> bytes:
    return os.pread(fd, max(0, min(os.fstat(fd).st_size, segment.LARGEST_BYTES) - offset), offset)


def is_held(stream: Path) -> bool:
    """True when a writer has this stream open."""
    try:
        fd = os.open(stream / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)
