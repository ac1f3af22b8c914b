"""What retention took from the head of a stream: one note beside the segments, so that a hole has a name.

`<stream>/pruned.json` = {"at": microseconds, "below_seq": n, "leaf_hash": hex of record n-1}: every record below `n` is
gone by policy, and record `n` names `leaf_hash` as the one before it. Whoever deletes segments writes the note first
(a crash between the two leaves records that verify as well), and never below what is sealed.

The note alone proves nothing: whoever can delete files can write it. Its hash is checked against the chain and the
sealer's checkpoints, and the sealer records in its own stream when a note appeared or grew.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from sluice import durable
from sluice.errors import SluiceError
from sluice.ledger import segment

FILE = "pruned.json"
LARGEST_BYTES = 4096


class BadNote(SluiceError):
    """A note that cannot be read, or contradicts the one before it."""


class Pruned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Records below `below_seq` were deleted by policy; `leaf_hash` (hex) is that of the last one. `at`: Unix us."""

    below_seq: int
    leaf_hash: str
    at: int

    @property
    def sensible(self) -> bool:
        return self.below_seq > 0 and len(self.leaf_hash) == 64 and set(self.leaf_hash) <= set("0123456789abcdef")


_read = msgspec.json.Decoder(Pruned)


def read(stream: Path) -> Pruned | None:
    """The note of a stream, None when nothing was pruned. Raises `BadNote`, OSError."""
    path = stream / FILE
    try:
        data = segment.content(path)[: LARGEST_BYTES + 1]
    except FileNotFoundError:
        return None
    try:
        note = _read.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        raise BadNote(f"{path}: not a note of what was pruned: {e}") from e
    if not note.sensible:
        raise BadNote(f"{path}: says what no pruning can say")
    return note


def write(stream: Path, note: Pruned) -> None:
    """Replace the note, durably. Raises `BadNote` when it says nonsense or less than the one before it, OSError."""
    before = read(stream)
    if not note.sensible or (before and note.below_seq < before.below_seq):
        raise BadNote(f"{stream / FILE}: a note below record {note.below_seq} cannot follow what is there")
    durable.write(stream / FILE, msgspec.json.encode(note, order="sorted") + b"\n", durable.SHARED)
