"""What an opening writer does with what the last one left: cut the torn tail, keep the rest, say what it found.

Rules
1. Only bytes behind the last flush of the last segment are ever cut: they were never acknowledged, so nothing was
   forwarded on their strength. Anything broken before that is damage; it is reported and left as it is.
2. The last flush is written again before it counts. After a failed or interrupted flush its records may exist in the
   page cache alone, where a later flush would not touch them, because the kernel believes those pages clean.
3. Earlier segments are not read: they were complete before the next one began, and `reader.verify` reads them all.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sluice.errors import Misconfigured, Problem
from sluice.ledger import segment
from sluice.ledger.record import BadRecord, leaf_hash, link
from sluice.ledger.segment import Damage, Fault, Frame


@dataclass(frozen=True, slots=True)
class Found:
    """The state of a stream as it was found. `last_hash` is the leaf hash of its last record (zeros when empty)."""

    epoch: int = 0
    next_seq: int = 0
    last_hash: bytes = bytes(32)
    clean: bool = True
    cut_bytes: int = 0
    damage: tuple[Damage, ...] = ()


def recover(stream: Path) -> Found:
    """Make the last segment of a stream whole and durable. Raises OSError, and `Misconfigured` for a newer format."""
    for leftover in stream.glob("*.tmp"):
        leftover.unlink()
    names = segment.segments(stream)
    if not names:
        return Found()
    name = names[-1]
    fd = os.open(stream / name, os.O_RDWR | os.O_CLOEXEC)
    try:
        return _recover(stream, name, fd)
    finally:
        os.close(fd)


def _recover(stream: Path, name: str, fd: int) -> Found:
    data = os.pread(fd, segment.LARGEST_BYTES, 0)
    epoch, first_seq = segment.named(name)
    damage: list[Damage] = []
    if os.fstat(fd).st_size > segment.LARGEST_BYTES:
        what = f"is larger than any segment ({segment.LARGEST_BYTES} bytes); what lies behind that is no record"
        damage.append(Damage(stream.name, name, segment.LARGEST_BYTES, first_seq, Fault.DAMAGE, what))
    before = bytes(32)
    try:
        before = segment.unpack(data).prev_hash
    except ValueError as e:
        if "format version" in str(e):
            raise Misconfigured(Problem(str(stream / name), None, f"{e}: run the version that wrote it")) from e
        damage.append(Damage(stream.name, name, 0, first_seq, Fault.HEADER, str(e)))

    end, flush_at, seq, last = segment.HEADER_BYTES, segment.HEADER_BYTES, first_seq, None
    while True:
        for found in segment.frames(data, end):
            flush_at = found.offset if found.first else flush_at
            end, seq, last = found.end, seq + 1, found
        behind = segment.acknowledged_behind(data, end)
        if behind is None:
            break
        lost = behind.offset - end
        damage.append(Damage(stream.name, name, end, seq, Fault.DAMAGE, f"{lost} bytes that were once acknowledged"))
        flush_at = end = behind.offset
        seq = _seq(behind, seq)

    clean = last is not None and _is_stop(last)
    torn = segment.written_bytes(data, end)
    if not clean or torn:  # what is cut was never acknowledged: preallocation, a torn tail, or beyond any segment
        _write_again(fd, data[flush_at:end], flush_at)
        os.ftruncate(fd, end)
        os.fdatasync(fd)
    return Found(
        epoch=epoch,
        next_seq=_seq(last, seq - 1) + 1 if last else first_seq,
        last_hash=leaf_hash(last.body) if last else before,
        clean=clean and not torn,
        cut_bytes=torn,
        damage=tuple(damage),
    )


def _write_again(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def _seq(found: Frame, otherwise: int) -> int:
    try:
        return link(found.body).seq
    except BadRecord:
        return otherwise


def _is_stop(found: Frame) -> bool:
    try:
        said = link(found.body)
    except BadRecord:
        return False
    return said.record_type == "control" and said.control_kind == "stop"
