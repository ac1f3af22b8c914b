"""The proof of one record: found in a ledger by its decision, with its path to a signed checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import msgspec

from sluice.ledger import checkpoint, reader, segment
from sluice.ledger.checkpoint import Proof
from sluice.ledger.merkle import Tree
from sluice.ledger.note import BadNote
from sluice.ledger.record import leaf_hash, link
from sluice.proof.trust import Unchecked
from sluice.seal import store

MOST_SECONDS = 3600
"""So long after its id was made a decision is written at the latest."""


class NotSealed(Unchecked):
    """A record that no checkpoint covers yet."""


@dataclass(frozen=True, slots=True)
class Found:
    """A record of a decision as it lies in a ledger."""

    stream: str
    seq: int
    record_type: str
    body: bytes


def records(ledger: Path, decision_id: str) -> Iterator[Found]:
    """The records of a decision: the decision first, then its outcome. Raises OSError."""
    wanted = b'"decision_id":' + msgspec.json.encode(decision_id)
    for stream in segment.streams(ledger):
        for name in segment.segments(stream):
            data = segment.content(stream / name)
            if wanted not in data:
                continue
            for frame in segment.frames(data):
                if wanted in frame.body:
                    said = link(frame.body)
                    yield Found(stream.name, said.seq, said.record_type, frame.body)


def deleted(ledger: Path, decision_id: str) -> list[tuple[str, int]]:
    """The streams whose head retention took and in which a decision may have stood, by the time in its id (UUIDv7),
    each with the number of the first record that is left. Raises OSError."""
    try:
        moment = UUID(decision_id).int >> 80  # milliseconds: RFC 9562, section 5.7
    except ValueError:
        return []
    found = []
    for stream in segment.streams(ledger):
        first = next(reader.read(stream, on_damage=lambda _: None), None)
        if first and first.seq and moment * 1000 < first.at + MOST_SECONDS * 1_000_000:
            found.append((stream.name, first.seq))
    return found


class Prover:
    """Makes proofs for the records of one stream, under its newest checkpoint."""

    def __init__(self, directory: Path) -> None:
        """Read checkpoint and leaf hashes of a stream. Raises `Unchecked`, OSError."""
        self.stream = directory.name
        try:
            newest = store.newest(directory)
            said = checkpoint.unverified(newest.note) if newest else None
        except (ValueError, BadNote) as e:
            raise Unchecked(f"{directory}: its checkpoints cannot be read: {e}") from e
        if newest is None or said is None:
            raise NotSealed(f"stream {self.stream} has no checkpoint below {directory.parent}")
        self.note, self.size = newest.note, said.size
        self._leaves = list(store.leaves(directory, self.size))
        self._tree = Tree(self._leaves)
        if self._tree.size != self.size or self._tree.root() != said.root:
            raise Unchecked(f"{directory / store.LEAVES}: not the leaf hashes under the newest checkpoint")

    def path(self, seq: int, body: bytes) -> tuple[bytes, ...]:
        """The path of a record. Raises `NotSealed`, `Unchecked` when another record was sealed in its place."""
        if seq >= self.size:
            raise NotSealed(f"record {seq} of {self.stream} is not sealed yet: {self.size} are")
        if self._leaves[seq] != leaf_hash(body):
            raise Unchecked(f"record {seq} of {self.stream} is not the one that was sealed; run `sluice verify`")
        return tuple(self._tree.inclusion(seq, self.size))

    def proof(self, seq: int, body: bytes) -> Proof:
        """The whole proof of a record. Raises as `path` does."""
        return Proof(body, seq, self.path(seq, body), self.note)
