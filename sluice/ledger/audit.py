"""Is a ledger what its writers left? Checksums, gap-free sequence, hash chain, epochs; every fault with its place.

What this alone cannot see: a cut-off tail, and a forger who rebuilds the whole chain behind an edit. Signed
checkpoints that lie elsewhere show those.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sluice.ledger import segment
from sluice.ledger.record import BadRecord, leaf_hash, link
from sluice.ledger.segment import Damage, Fault, Frame, NoRegularFile

_COUNT = "durable"

MAX_FAULTS = 1000
"""Faults listed of one stream; the first is what matters, and a wrecked file must not fill the memory."""


@dataclass(slots=True)
class StreamVerdict:
    """What was found in one stream. `torn_bytes` behind the last record are the trace of a crash, not a fault."""

    stream: str
    records: int = 0
    first_seq: int | None = None
    last_seq: int | None = None
    last_hash: str = ""
    epochs: int = 0
    segments: int = 0
    torn_bytes: int = 0
    faults: list[Damage] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not self.faults


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found in a ledger directory."""

    streams: tuple[StreamVerdict, ...]

    @property
    def sound(self) -> bool:
        """True when no stream has a fault."""
        return all(s.sound for s in self.streams)

    @property
    def records(self) -> int:
        return sum(s.records for s in self.streams)

    @property
    def faults(self) -> tuple[Damage, ...]:
        """Every fault, stream by stream, each stream's in the order of its records."""
        return tuple(f for s in self.streams for f in s.faults)

    @property
    def first(self) -> Damage | None:
        """The first bad record."""
        return next(iter(self.faults), None)


def verify(directory: Path, *, progress: Callable[[int], None] | None = None) -> Verdict:
    """Check a ledger directory, or one stream of it. `progress` is told the bytes of each segment checked.

    Raises OSError when files cannot be read (that is "could not check", not "broken").
    """
    streams = [directory] if segment.segments(directory) else segment.streams(directory)
    if not streams and (directory / _COUNT).exists():
        streams = [directory]  # one stream, whose segments are all gone
    return Verdict(tuple(_Audit(stream).run(progress) for stream in streams))


class _Audit:
    """One pass over one stream."""

    def __init__(self, stream: Path) -> None:
        self._path = stream
        self._found = StreamVerdict(stream.name)
        self._missing: dict[int, Damage] = {}
        self._next: int | None = None
        self._hash = ""
        self._last = -1
        self._epoch = 0

    def run(self, progress: Callable[[int], None] | None) -> StreamVerdict:
        acknowledged = self._acknowledged()  # before the records, which a live writer goes on adding
        names = segment.segments(self._path)
        for name in names:
            try:
                data = segment.content(self._path / name)
            except NoRegularFile:
                self._no_file(name)
                continue
            self._segment(name, data, last=name == names[-1])
            if progress:
                progress(len(data))
        if not names and acknowledged:
            what = f"{acknowledged} records were acknowledged, and no segment is left"
            self._fault(_COUNT, 0, 0, Fault.GAP, what)
        elif self._next is not None and self._next < acknowledged:
            what = f"records {self._next} to {acknowledged - 1} were acknowledged and are cut off"
            self._fault(names[-1], 0, self._next, Fault.GAP, what)
        self._found.faults.sort(key=lambda d: (d.seq, d.segment, d.offset))
        return self._found

    def _acknowledged(self) -> int:
        try:
            return segment.acknowledged(self._path) or 0
        except NoRegularFile:
            self._no_file(_COUNT)
            return 0

    def _no_file(self, name: str) -> None:
        self._fault(name, 0, self._due, Fault.DAMAGE, "is not a regular file; what belongs here was replaced")

    @property
    def _due(self) -> int:
        """The record that is expected here."""
        return self._last + 1 if self._next is None else self._next

    def _fault(self, name: str, offset: int, seq: int, fault: Fault, detail: str) -> Damage:
        damage = Damage(self._found.stream, name, offset, seq, fault, detail)
        if len(self._found.faults) < MAX_FAULTS:
            self._found.faults.append(damage)
        return damage

    def _segment(self, name: str, data: bytes, *, last: bool) -> None:
        found = self._found
        found.segments += 1
        epoch, first_seq = segment.named(name)
        self._header(name, data, epoch, first_seq)
        if epoch != self._epoch:
            self._epoch = epoch
            found.epochs += 1
        if self._next is None:
            self._next = first_seq
        end = segment.HEADER_BYTES
        while True:
            for frame in segment.frames(data, end):
                self._record(name, epoch, frame)
                end = frame.end
            behind = segment.acknowledged_behind(data, end) if last else segment.resume(data, end)
            rest = segment.written_bytes(data, end)
            if behind is None:
                if last:
                    found.torn_bytes = rest
                elif rest:
                    self._fault(name, end, self._due, Fault.DAMAGE, f"{rest} bytes that are no record")
                return
            lost = behind.offset - end
            self._fault(name, end, self._due, Fault.DAMAGE, f"{lost} bytes that once were acknowledged records")
            self._next, end = None, behind.offset

    def _header(self, name: str, data: bytes, epoch: int, first_seq: int) -> None:
        seq = self._due
        try:
            header = segment.unpack(data)
        except ValueError as e:
            self._fault(name, 0, seq, Fault.HEADER, str(e))
            return
        if (header.epoch, header.first_seq) != (epoch, first_seq):
            what = f"says epoch {header.epoch}, first record {header.first_seq}; its name says otherwise"
            self._fault(name, 0, seq, Fault.HEADER, what)
        if f"{header.node}-w{header.slot}" != self._found.stream:
            self._fault(name, 0, seq, Fault.FOREIGN, f"belongs to stream {header.node}-w{header.slot}")

    def _record(self, name: str, epoch: int, frame: Frame) -> None:
        found = self._found
        expected = self._next
        try:
            said = link(frame.body)
        except BadRecord as e:
            self._fault(name, frame.offset, self._due, Fault.DAMAGE, str(e))
            return
        seq = said.seq
        if said.chain_id != found.stream or said.epoch != epoch:
            what = f"says stream {said.chain_id}, epoch {said.epoch}"
            self._fault(name, frame.offset, seq, Fault.FOREIGN, what)
        if expected is not None and seq != expected:
            self._out_of_place(name, frame, seq, expected)
        elif seq == self._last + 1 and self._hash and said.prev_hash != self._hash:
            what = f"its hash is not the one that record {seq} names"
            self._fault(name, frame.offset, seq - 1, Fault.EDIT, what)
        self._hash = leaf_hash(frame.body).hex()
        self._last = seq
        self._next = max(seq + 1, expected or 0)
        found.records += 1
        found.first_seq = seq if found.first_seq is None else found.first_seq
        found.last_seq = seq
        found.last_hash = self._hash

    def _out_of_place(self, name: str, frame: Frame, seq: int, expected: int) -> None:
        """A jump forward is a gap, until the missing records turn up behind: then it was a change of order."""
        if seq > expected:
            what = f"records {expected} to {seq - 1} are missing" if seq - expected > 1 else "the record is missing"
            damage = self._fault(name, frame.offset, expected, Fault.GAP, what)
            self._missing |= dict.fromkeys(range(expected, min(seq, expected + MAX_FAULTS)), damage)
            return
        gap = self._missing.pop(seq, None)
        if gap is None:
            self._fault(name, frame.offset, seq, Fault.REORDER, f"stands again where record {expected} belongs")
            return
        self._fault(name, frame.offset, seq, Fault.REORDER, f"stands where record {expected} belongs")
        if gap not in self._missing.values() and gap in self._found.faults:
            self._found.faults.remove(gap)
