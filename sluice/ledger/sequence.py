"""Records of one stream in the order in which they lie there: is each one whole, in its place, following?

The core of every check, whatever the records come from: segments, rows of a table, a bundle. What this alone cannot
see: a cut-off tail, and a forger who rebuilds the whole chain behind an edit. Checkpoints show those.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sluice.ledger.pruned import Pruned
from sluice.ledger.record import BadRecord, leaf_hash, link
from sluice.ledger.segment import Damage, Fault

type Leaf = Callable[[int, bytes, bytes, str], None]
"""Told number, leaf hash, canonical bytes and kind (of a control record) of each record."""

MAX_FAULTS = 1000
"""Faults listed of one stream; the first is what matters, and a wrecked file must not fill the memory."""


@dataclass(slots=True)
class StreamVerdict:
    """What was found in one stream. `torn_bytes` behind the last record are the trace of a crash, not a fault.
    `pruned`: records below this number were taken by retention. `sealed`: so many are under a checkpoint that fits;
    `uncovered`: so many are under none, though a sealer had the time (a tail that it had not is 0)."""

    stream: str
    records: int = 0
    first_seq: int | None = None
    last_seq: int | None = None
    last_hash: str = ""
    epochs: int = 0
    segments: int = 0
    torn_bytes: int = 0
    pruned: int = 0
    sealed: int | None = None
    uncovered: int = 0
    doubts: list[str] = field(default_factory=list)
    """Why it could not be checked, as far as that is not how many records are uncovered."""
    faults: list[Damage] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not self.faults

    def fault(self, name: str, offset: int, seq: int, fault: Fault, detail: str) -> Damage:
        """Add a fault to the list."""
        damage = Damage(self.stream, name, offset, seq, fault, detail)
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(damage)
        return damage


class Sequence:
    """Takes records one by one. `on_leaf` is told of each, as they come."""

    def __init__(self, found: StreamVerdict, on_leaf: Leaf | None = None) -> None:
        self.found = found
        self.next: int | None = None
        """The record that has to come; None when that cannot be known."""
        self._on_leaf = on_leaf
        self._missing: dict[int, Damage] = {}
        self._hash = ""
        self._last = -1

    @property
    def due(self) -> int:
        """The record that is expected here."""
        return self._last + 1 if self.next is None else self.next

    def begin(self, first_seq: int, name: str, note: Pruned | None) -> None:
        """What comes begins with this record; below it, `note` has to say that retention took the rest."""
        self.next = first_seq
        if note is None or first_seq == 0:
            taken = 0
        else:
            taken = self.found.pruned = min(first_seq, note.below_seq)
            if note.below_seq == first_seq:
                self._hash, self._last = note.leaf_hash, first_seq - 1
        if taken < first_seq:
            what = f"records {taken} to {first_seq - 1} are missing, and no note says that retention took them"
            self.found.fault(name, 0, taken, Fault.GAP, what)

    def record(self, name: str, offset: int, body: bytes, epoch: int | None) -> None:
        """One record, at this place of this file. `epoch`: which one it has to be of, None when anyone will do."""
        found = self.found
        expected = self.next
        try:
            said = link(body)
        except BadRecord as e:
            found.fault(name, offset, self.due, Fault.DAMAGE, str(e))
            return
        seq = said.seq
        leaf = leaf_hash(body)
        hexed = leaf.hex()
        if said.chain_id != found.stream or (epoch is not None and said.epoch != epoch):
            what = f"says stream {said.chain_id}, epoch {said.epoch}"
            found.fault(name, offset, seq, Fault.FOREIGN, what)
        if expected is not None and seq != expected:
            self._out_of_place(name, offset, seq, expected, hexed)
        elif seq == self._last + 1 and self._hash and said.prev_hash != self._hash:
            what = f"its hash is not the one that record {seq} names"
            found.fault(name, offset, seq - 1, Fault.EDIT, what)
        self._hash = hexed
        self._last = seq
        self.next = seq + 1 if expected is None or seq >= expected else expected
        found.records += 1
        found.first_seq = seq if found.first_seq is None else found.first_seq
        found.last_seq = seq
        found.last_hash = hexed
        if self._on_leaf:
            self._on_leaf(seq, leaf, body, said.control_kind)

    def _out_of_place(self, name: str, offset: int, seq: int, expected: int, hexed: str) -> None:
        """A jump forward is a gap, until the missing records turn up behind: then it was a change of order."""
        if seq > expected:
            what = f"records {expected} to {seq - 1} are missing" if seq - expected > 1 else "the record is missing"
            damage = self.found.fault(name, offset, expected, Fault.GAP, what)
            self._missing |= dict.fromkeys(range(expected, min(seq, expected + MAX_FAULTS)), damage)
            return
        gap = self._missing.pop(seq, None)
        if gap is None:
            known = seq == self._last and hexed != self._hash
            what = f"stands again where record {expected} belongs" + (", with other content" if known else "")
            self.found.fault(name, offset, seq, Fault.DUPLICATE, what)
            return
        self.found.fault(name, offset, seq, Fault.REORDER, f"stands where record {expected} belongs")
        if gap not in self._missing.values() and gap in self.found.faults:
            self.found.faults.remove(gap)
