"""A checkpoint: how many records a stream has and the root over them. And the proof of one of them. Pure.

    checkpoint = origin "\\n" size "\\n" base64(root) "\\n", as the text of a signed note
    proof      = "c2sp.org/tlog-proof@v1\\n" "extra " base64(record) "\\n" "index " n "\\n" (base64(hash) "\\n")*
                 "\\n" signed checkpoint

A proof carries the record's canonical bytes as extra data, so that it stands alone. Both have exactly one spelling:
what does not read back to the same bytes is refused.
Sources: C2SP tlog-checkpoint and tlog-proof (https://c2sp.org).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sluice.ledger import merkle
from sluice.ledger.note import BadNote, Verifier, b64, opened, unb64
from sluice.ledger.record import BadRecord, Link, leaf_hash, link

PROOF_HEAD = "c2sp.org/tlog-proof@v1"
LARGEST_PROOF = 1_000_000


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A stream's first `size` records, as one hash. `origin` is `<deployment>/<stream>`."""

    origin: str
    size: int
    root: bytes

    @property
    def stream(self) -> str:
        return self.origin.rpartition("/")[2]

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{b64(self.root)}\n"


def parse(text: str) -> Checkpoint:
    """The checkpoint that a note's text says. Raises `BadNote`. Extension lines are refused: we sign none."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise BadNote("not a checkpoint: three lines")
    origin, size, root = lines[:3]
    try:
        made = Checkpoint(origin, int(size), unb64(root))
    except ValueError as e:
        raise BadNote(f"not a checkpoint: {e}") from e
    if not origin or len(made.root) != merkle.HASH_BYTES or made.size < 0 or made.text() != text:
        raise BadNote("not a checkpoint in its right spelling")
    return made


def unverified(note: str) -> Checkpoint:
    """What a signed checkpoint says, before anybody looked at its signature. Raises `BadNote`."""
    return parse(note.rpartition("\n\n")[0] + "\n")


def signed(note: str, keys: Sequence[Verifier]) -> tuple[Checkpoint, list[Verifier]]:
    """A checkpoint and which of these keys signed it, each in the name of its origin. Raises `BadNote`."""
    said = unverified(note)
    text, by = opened(note, [key.renamed(said.origin) for key in keys])
    return parse(text), by


@dataclass(frozen=True, slots=True)
class Proof:
    """That a record stands in the tree of a signed checkpoint. `path` goes from the leaf's sibling upwards."""

    body: bytes
    index: int
    path: tuple[bytes, ...]
    note: str

    def text(self) -> str:
        hashes = "".join(f"{b64(h)}\n" for h in self.path)
        return f"{PROOF_HEAD}\nextra {b64(self.body)}\nindex {self.index}\n{hashes}\n{self.note}"

    def check(self, checkpoint: Checkpoint) -> Link:
        """The record's place, when the proof leads to the checkpoint's root and the record says the same place.

        Raises `BadNote`. The checkpoint is taken for true: see `signed`.
        """
        try:
            root = merkle.root_from_inclusion(leaf_hash(self.body), self.index, checkpoint.size, self.path)
            said = link(self.body)
        except (merkle.BadProof, BadRecord) as e:
            raise BadNote(f"not a proof: {e}") from e
        if root != checkpoint.root:
            raise BadNote("the record is not the one that was sealed: the proof leads to another root")
        if said.seq != self.index or said.chain_id != checkpoint.stream:
            raise BadNote(f"the record says it is {said.seq} of stream {said.chain_id}; the proof says otherwise")
        return said


def read_proof(text: str) -> Proof:
    """A proof from its text. Raises `BadNote`."""
    if len(text) > LARGEST_PROOF:
        raise BadNote("too long for a proof")
    head, blank, note = text.partition("\n\n")
    lines = head.split("\n")
    if not blank or len(lines) < 3 or lines[0] != PROOF_HEAD:
        raise BadNote(f"not a proof: it begins with `{PROOF_HEAD}`")
    try:
        made = Proof(
            body=unb64(lines[1].removeprefix("extra ")),
            index=int(lines[2].removeprefix("index ")),
            path=tuple(unb64(line) for line in lines[3:]),
            note=note,
        )
    except ValueError as e:
        raise BadNote(f"not a proof: {e}") from e
    if made.text() != text:
        raise BadNote("not a proof in its right spelling")
    return made
