"""Is a ledger what its writers left? Checksums, gap-free sequence, hash chain, epochs; every fault with its place.

What this alone cannot see: a cut-off tail, and a forger who rebuilds the whole chain behind an edit. Signed
checkpoints that lie elsewhere show those (`sluice.proof`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sluice.ledger import pruned, segment
from sluice.ledger.pruned import BadNote, Pruned
from sluice.ledger.segment import Damage, Fault, NoRegularFile
from sluice.ledger.sequence import MAX_FAULTS, Leaf, Sequence, StreamVerdict

__all__ = ["MAX_FAULTS", "Leaf", "StreamVerdict", "Verdict", "verify", "verify_stream"]

_COUNT = "durable"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found in a ledger directory."""

    streams: tuple[StreamVerdict, ...]

    @property
    def sound(self) -> bool:
        """True when no stream has a fault."""
        return all(s.sound for s in self.streams)

    @property
    def uncovered(self) -> int:
        """Records that no checkpoint covers, beyond what a sealer may not have reached: nobody can say of them."""
        return sum(s.uncovered for s in self.streams)

    @property
    def doubts(self) -> tuple[tuple[str, str], ...]:
        """Each stream that could not be checked, with why: it has to be there and is not, or is not whole."""
        return tuple((s.stream, doubt) for s in self.streams for doubt in s.doubts)

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


def streams(directory: Path) -> list[Path]:
    """The streams to check: those of a ledger directory, or the one stream that the directory is."""
    found = [directory] if segment.segments(directory) else segment.streams(directory)
    if not found and (directory / _COUNT).exists():
        found = [directory]  # one stream, whose segments are all gone
    return found


def verify(directory: Path, *, progress: Callable[[int], None] | None = None) -> Verdict:
    """Check a ledger directory, or one stream of it. `progress` is told the bytes of each segment checked.

    Raises OSError when files cannot be read (that is "could not check", not "broken").
    """
    return Verdict(tuple(verify_stream(stream, progress=progress) for stream in streams(directory)))


def verify_stream(
    stream: Path, *, on_leaf: Leaf | None = None, progress: Callable[[int], None] | None = None
) -> StreamVerdict:
    """Check one stream. Raises OSError."""
    return _Audit(stream, on_leaf).run(progress)


class _Audit:
    """One pass over one stream."""

    def __init__(self, stream: Path, on_leaf: Leaf | None) -> None:
        self._path = stream
        self._found = StreamVerdict(stream.name)
        self._sequence = Sequence(self._found, on_leaf)
        self._epoch = 0

    def run(self, progress: Callable[[int], None] | None) -> StreamVerdict:
        acknowledged = self._acknowledged()  # before the records, which a live writer goes on adding
        names = segment.segments(self._path)
        if names:
            self._begin(names)
        for name in names:
            try:
                data = segment.content(self._path / name)
            except NoRegularFile:
                self._no_file(name)
                continue
            self._segment(name, data, last=name == names[-1])
            if progress:
                progress(len(data))
        due = self._sequence.next
        if not names and acknowledged:
            what = f"{acknowledged} records were acknowledged, and no segment is left"
            self._found.fault(_COUNT, 0, 0, Fault.TRUNCATION, what)
        elif due is not None and due < acknowledged:
            what = f"records {due} to {acknowledged - 1} were acknowledged and are cut off"
            self._found.fault(names[-1], 0, due, Fault.TRUNCATION, what)
        self._found.faults.sort(key=lambda d: (d.seq, d.segment, d.offset))
        return self._found

    def _begin(self, names: list[str]) -> None:
        """The note is read behind the listing: what was listed and is gone by now has a note by now."""
        note: Pruned | None = None
        try:
            note = pruned.read(self._path)
        except (BadNote, NoRegularFile) as e:
            self._found.fault(pruned.FILE, 0, 0, Fault.DAMAGE, str(e))
        while names and note and not (self._path / names[0]).exists():
            del names[0]
        if names:
            self._sequence.begin(segment.named(names[0])[1], names[0], note)

    def _acknowledged(self) -> int:
        try:
            return segment.acknowledged(self._path) or 0
        except NoRegularFile:
            self._no_file(_COUNT)
            return 0

    def _no_file(self, name: str) -> None:
        what = "is not a regular file, or larger than any of ours; what belongs here was replaced"
        self._found.fault(name, 0, self._sequence.due, Fault.DAMAGE, what)

    def _segment(self, name: str, data: bytes, *, last: bool) -> None:
        found, sequence = self._found, self._sequence
        found.segments += 1
        epoch, first_seq = segment.named(name)
        self._header(name, data, epoch, first_seq)
        if epoch != self._epoch:
            self._epoch = epoch
            found.epochs += 1
        end = segment.HEADER_BYTES
        while True:
            for frame in segment.frames(data, end):
                sequence.record(name, frame.offset, frame.body, epoch)
                end = frame.end
            behind = segment.acknowledged_behind(data, end) if last else segment.resume(data, end)
            rest = segment.written_bytes(data, end)
            if behind is None:
                if last:
                    found.torn_bytes = rest
                elif rest:
                    found.fault(name, end, sequence.due, Fault.DAMAGE, f"{rest} bytes that are no record")
                return
            lost = behind.offset - end
            found.fault(name, end, sequence.due, Fault.DAMAGE, f"{lost} bytes that once were acknowledged records")
            sequence.next, end = None, behind.offset

    def _header(self, name: str, data: bytes, epoch: int, first_seq: int) -> None:
        seq = self._sequence.due
        try:
            header = segment.unpack(data)
        except ValueError as e:
            self._found.fault(name, 0, seq, Fault.HEADER, str(e))
            return
        if (header.epoch, header.first_seq) != (epoch, first_seq):
            what = f"says epoch {header.epoch}, first record {header.first_seq}; its name says otherwise"
            self._found.fault(name, 0, seq, Fault.HEADER, what)
        if f"{header.node}-w{header.slot}" != self._found.stream:
            self._found.fault(name, 0, seq, Fault.FOREIGN, f"belongs to stream {header.node}-w{header.slot}")
