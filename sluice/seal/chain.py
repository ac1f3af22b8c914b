"""Sealing one stream: read what is new, check that it goes on from what was sealed, sign.

Rules
1. A checkpoint is signed only over records that follow, hash by hash, on those under the checkpoint before it. The
   frontier that this goes on from has the root of that checkpoint; a state that has another is not believed.
2. Only what is on disk is sealed. Beside a writer that is its own count of flushed records; of a stream that nobody
   writes, the last segment is flushed here first, since a dead writer may have left records in memory alone.
3. What contradicts the sealed past raises `Stopped`: this stream is not sealed any further by this process.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from sluice import durable
from sluice.errors import SluiceError
from sluice.ledger import pruned, reader, segment
from sluice.ledger.checkpoint import Checkpoint
from sluice.ledger.merkle import Range
from sluice.ledger.note import BadNote, Signer, sign
from sluice.ledger.record import leaf_hash
from sluice.ledger.segment import Damaged, Fault
from sluice.seal import store
from sluice.seal.keyring import Keyring
from sluice.seal.store import Sealed, State, Store

ROUND_RECORDS = 20_000
"""Most records of one checkpoint: a long backlog is sealed in steps, between which the process shows that it lives."""


class Stopped(SluiceError):
    """A stream that cannot be sealed any further: it is not what was sealed, or its seals cannot be relied on."""

    def __init__(self, fault: Fault, seq: int, detail: str) -> None:
        super().__init__(f"record {seq}: {fault}: {detail}")
        self.fault = fault
        self.seq = seq


class Chain:
    """One stream between its ledger directory and its store. `size` records are sealed."""

    def __init__(self, stream: Path, directory: Path, ring: Keyring) -> None:
        """Open the store and find the place in the ledger again. Raises `Stopped`, OSError."""
        self._stream = stream
        self._store = Store(directory)
        self._range, state = self._opened(ring)
        self.size = self._range.size
        self._last = bytes.fromhex(state.last_hash)
        self._at = reader.Position(state.segment, state.offset, state.size) if state.segment else None
        self._last_offset = state.last_offset
        self._catch_up(state)

    # ------------------------------------------------------------------------------------------------------ opening

    def _opened(self, ring: Keyring) -> tuple[Range, State]:
        """The frontier at the newest checkpoint, from the state or from the leaves, with that checkpoint's root."""
        try:
            newest, state = self._store.open()
            said = ring.checkpoint(newest.note) if newest else None
        except (ValueError, BadNote) as e:
            raise Stopped(Fault.EDIT, 0, f"its checkpoints cannot be relied on: {e}") from e
        size = said.size if said else 0
        if self._store.cut(size) < size:
            raise Stopped(Fault.GAP, 0, f"the leaf hashes of {size} sealed records are not all there")
        try:
            grown = Range(state.size, [bytes.fromhex(p) for p in state.peaks])
            last = bytes.fromhex(state.last_hash)
        except ValueError:
            grown, last, state = Range(), bytes(32), State()
        if grown.size != size or (said and grown.root() != said.root) or len(last) != 32:
            # Behind, or not to be believed: the leaves say the same, and their root is the signed one or it is not.
            grown = Range()
            for leaf in store.leaves(self._store.directory, size):
                grown.append(leaf)
        if said and grown.root() != said.root:
            raise Stopped(Fault.EDIT, 0, "the leaf hashes are not those under the newest checkpoint")
        if newest:
            latest = self._store.directory / store.LATEST
            if not latest.exists() or latest.read_text("utf-8", "replace") != newest.note:
                durable.write(latest, newest.note.encode())
        return grown, state

    def _catch_up(self, state: State) -> None:
        """Make sure that the ledger still holds what was sealed last, and stand behind it."""
        if not self.size:
            self._at, self._last = None, bytes(32)
            return
        for leaf in store.leaves(self._store.directory, self.size):
            self._last = leaf
        if state.size == self.size and state.segment and self._holds_last():
            return
        self._at, seq = None, -1
        known = store.leaves(self._store.directory, self.size)
        ahead = 0
        try:
            for entry in reader.read(self._stream):
                seq = entry.seq
                if seq >= self.size:
                    break
                while ahead <= seq:
                    leaf, ahead = next(known), ahead + 1
                if leaf_hash(entry.body) != leaf:
                    raise Stopped(Fault.FORK, seq, "it is another record than the one that was sealed")
                self._step(entry)
        except Damaged as e:
            raise Stopped(e.damage.fault, e.damage.seq, e.damage.detail) from e
        if self._at is None and seq == self.size:
            return  # retention took all that was sealed; `seal` looks for its note
        if self._at is None or self._at.seq < self.size:
            raise Stopped(Fault.TRUNCATION, seq + 1, f"{self.size} records are sealed, and it ends before")

    def _holds_last(self) -> bool:
        """Whether the last sealed record lies where it lay."""
        if self._at is None:
            return False
        try:
            with (self._stream / self._at.segment).open("rb", buffering=0) as file:
                data = os.pread(file.fileno(), max(0, self._at.offset - self._last_offset), self._last_offset)
        except OSError:
            return False
        found = segment.frame_at(data, 0)
        return found is not None and leaf_hash(found.body) == self._last

    def _step(self, entry: reader.Entry) -> None:
        self._at = entry.after
        self._last_offset = entry.after.offset - len(entry.body) - segment.FRAME_HEAD.size

    def agree(self, seen: Checkpoint) -> None:
        """Compare with what a witness holds of this stream. Raises `Stopped` when it cannot be of this history."""
        if seen.size > self.size:
            what = f"a witness holds a checkpoint of {seen.size} records, and {self.size} are sealed here"
            raise Stopped(Fault.ROLLBACK, self.size, what)
        grown = self._range
        if seen.size < self.size:
            grown = Range()
            for leaf in store.leaves(self._store.directory, seen.size):
                grown.append(leaf)
        if grown.root() != seen.root:
            what = f"a witness holds another checkpoint of the first {seen.size} records"
            raise Stopped(Fault.FORK, max(0, seen.size - 1), what)

    # ------------------------------------------------------------------------------------------------------ sealing

    @property
    def root(self) -> bytes:
        """The root over the `size` sealed records."""
        return self._range.root()

    def waiting(self) -> int:
        """How many records the writer counted beyond the sealed ones. Cheap; 0 when no count is kept."""
        return max(0, (segment.acknowledged(self._stream) or 0) - self.size)

    def seal(self, signer: Signer, *, most: int = ROUND_RECORDS) -> Sealed | None:
        """Check what is new, at `most` so many records, and sign for it; None when nothing is.

        Raises `Stopped`; OSError, after which this object knows its place no more and has to be made anew.
        """
        if not self._stream.is_dir() or (self.size and not self._still_there()):
            raise Stopped(Fault.TRUNCATION, self.size - 1, f"{self.size} records are sealed, and the last is not there")
        self._flush_left()
        grown = Range(self._range.size, self._range.peaks)
        fresh: list[bytes] = []
        last = self._last
        try:
            for entry in reader.read(self._stream, self._at):
                said = entry.link
                if said.seq != grown.size:
                    fault = Fault.GAP if said.seq > grown.size else Fault.REORDER
                    raise Stopped(fault, grown.size, f"record {said.seq} stands there")
                if said.chain_id != self._stream.name:
                    raise Stopped(Fault.FOREIGN, said.seq, f"belongs to stream {said.chain_id}")
                if said.prev_hash != last.hex():
                    raise Stopped(Fault.FORK, said.seq, "does not follow on the record before it")
                last = leaf_hash(entry.body)
                grown.append(last)
                fresh.append(last)
                self._step(entry)
                if len(fresh) >= most:
                    break
        except Damaged as e:
            raise Stopped(e.damage.fault, e.damage.seq, e.damage.detail) from e
        if not fresh:
            return None
        root = Checkpoint(f"{signer.name}/{self._stream.name}", grown.size, grown.root())
        note = sign(root.text(), Signer(root.origin, signer.private))
        sealed = Sealed(at=time.time_ns() // 1000, note=note)
        self._store.add(fresh, sealed, self._state(grown, last))
        self._range, self._last, self.size = grown, last, grown.size
        return sealed

    def _state(self, grown: Range, last: bytes) -> State:
        assert self._at is not None
        return State(
            size=grown.size,
            peaks=tuple(p.hex() for p in grown.peaks),
            last_hash=last.hex(),
            segment=self._at.segment,
            offset=self._at.offset,
            last_offset=self._last_offset,
        )

    def _still_there(self) -> bool:
        """False when the last sealed record is gone, though no note says that retention took it."""
        if self._holds_last():
            return True
        try:
            note = pruned.read(self._stream)
        except pruned.BadNote:
            return False
        names = segment.segments(self._stream)
        return note is not None and note.below_seq == self.size and note.leaf_hash == self._last.hex() and bool(names)

    def _flush_left(self) -> None:
        names = segment.segments(self._stream)
        if not names or reader.is_held(self._stream):
            return
        fd = os.open(self._stream / names[-1], os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
