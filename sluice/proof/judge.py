"""One stream against its checkpoints, in one pass beside the check of its chain.

    the root at a checkpoint's size differs      rewrite: the chain was built anew over other records
      ... and a checkpoint beside the ledger
          fits what lies there                   fork: two histories were signed with the real key
    checkpoints beside the ledger go further     truncation
    only a witness's go further                  rollback: ledger and seals are an older state, both
    two checkpoints of one size differ           fork, whatever the ledger says
    the sealer itself says that it sealed more   truncation; seal, when the records are there and the checkpoints not

Records behind the newest checkpoint are the part that nothing protects (`behind`). A sealer leaves so many, or those of
so many seconds; of more than that nobody can say whether they are sound.

Where the leaf hashes lie beside the checkpoints, a rewrite is named by its first record; else by the range between the
last checkpoint that fits and the first that does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from sluice.ledger.merkle import Range
from sluice.ledger.segment import Fault
from sluice.ledger.sequence import StreamVerdict
from sluice.proof.absent import Named
from sluice.proof.trust import Point
from sluice.seal import store

_PLACE = "checkpoints"


class Judge:
    """Given every leaf in order (`leaf`), then asked once (`finish`)."""

    def __init__(
        self, points: list[Point], leaves: Path | None, *, sealing: bool, told: int = 0, records: int = 0
    ) -> None:
        """`sealing`: there are checkpoints of some stream, so that having none of this one says something too. `told`:
        so many are sealed by the sealer's own stream. `records`: so many may wait for a checkpoint."""
        self._points = points
        self._sealing = sealing
        self._directory = leaves
        self._sealed = max((p.size for p in points), default=0)
        self._known: Iterator[bytes] = store.leaves(leaves, self._sealed) if leaves else iter(())
        self._known_at = 0
        self._range = Range()
        self._ahead = 0
        self._usable = True
        self._started = False
        self._differs: int | None = None
        self._fits = 0
        self._misfit: Point | None = None
        self._fitting_local = 0
        self._next = points[0].size if points else -1
        self._first_seq, self._last_seq = 0, -1
        self._records, self._late_at, self.told = records, -1, told
        self.first_behind = self.late = self.last = self.first_untold = b""
        """The first record behind those that are under a checkpoint that fits, the one that is too many of them, the
        last of all, and the first one behind those that the sealer says it sealed."""
        self.named = Named()
        """Which streams its start records name."""

    def leaf(self, seq: int, leaf: bytes, body: bytes = b"", kind: str = "") -> None:
        if not self._started or seq == self._fits:
            self.first_behind, self._first_seq = body, seq
            self.late, self._late_at = b"", seq + self._records - 1
        if seq == self._late_at:
            self.late = body
        if not self._started or seq == self.told:
            self.first_untold = body
        self.last, self._last_seq = body, seq
        if kind == "start":
            self.named.start(body)
        if not self._started:
            self._started = True
            if seq:
                self._seed(seq)
        if not self._usable or seq != self._range.size:
            self._usable = False  # the check of the chain has named the place
            return
        if self._directory and seq < self._sealed:
            known = next(self._known, None)
            if known is None:
                self._directory = None
            elif known != leaf and self._differs is None:
                self._differs = seq
        self._range.append(leaf)
        if self._range.size == self._next:
            self._compare()

    def _seed(self, seq: int) -> None:
        """What retention took is known by its leaf hashes, which the roots of later checkpoints vouch for."""
        for leaf in self._known:
            self._range.append(leaf)
            if self._range.size == self._next:
                self._compare()
            if self._range.size == seq:
                return
        self._usable = False

    def _compare(self) -> None:
        size, root = self._range.size, self._range.root()
        while self._ahead < len(self._points) and self._points[self._ahead].size <= size:
            point = self._points[self._ahead]
            self._ahead += 1
            if point.size != size:
                continue  # an empty tree has nothing to say
            if point.root != root:
                self._misfit = self._misfit or point
            elif point.local:
                self._fitting_local = size
        self._fits = self._fits if self._misfit else size
        self._next = self._points[self._ahead].size if self._ahead < len(self._points) else -1

    @property
    def comparable(self) -> bool:
        """False when the roots could not be computed: the head is gone and its leaf hashes are not at hand."""
        return self._usable or not self._points

    @property
    def behind(self) -> int:
        """How many records are under no checkpoint that fits."""
        return max(0, self._last_seq + 1 - max(self._fits, self._first_seq))

    @property
    def fits(self) -> int:
        """So many records are under a checkpoint that fits."""
        return self._fits

    @property
    def end(self) -> int:
        """The number behind the last record."""
        return self._last_seq + 1

    def finish(self, found: StreamVerdict) -> None:
        """Add what the checkpoints show to what the chain showed."""
        for one, other in pairwise(self._points):
            if one.size == other.size and one.root != other.root:
                what = f"two signed checkpoints of the first {one.size} records contradict each other"
                found.fault(_PLACE, 0, max(0, self._fits), Fault.FORK, what)
                break
        if self._sealing and self._usable:
            found.sealed = self._fits
        size = self._range.size if self._started else 0
        if self._misfit and not any(f.seq < self._misfit.size for f in found.faults):
            self._contradicted(found, self._misfit)
        if self._usable:
            self._beyond(found, size)
        found.faults.sort(key=lambda d: (d.seq, d.segment, d.offset))

    def _contradicted(self, found: StreamVerdict, point: Point) -> None:
        first = self._fits if self._differs is None else self._differs
        if self._fitting_local > self._fits or (self._fitting_local >= point.size and not point.local):
            what = f"a witness holds a signed checkpoint of {point.size} records that does not fit the one signed here"
            found.fault(_PLACE, 0, self._fits, Fault.FORK, what)
        elif self._differs is not None:
            what = f"it is not the record that was sealed; {point.size} were, and the chain behind it was built anew"
            found.fault(_PLACE, 0, first, Fault.REWRITE, what)
        else:
            what = f"among the records {first} to {point.size - 1} are others than were sealed, in a chain built anew"
            found.fault(_PLACE, 0, first, Fault.REWRITE, what)

    def _beyond(self, found: StreamVerdict, size: int) -> None:
        """Checkpoints of records that are not there."""
        here = max((p.size for p in self._points if p.local), default=0)
        if max(here, self._sealed) <= size or any(f.fault is Fault.TRUNCATION for f in found.faults):
            return
        if here > size:
            what = f"records {size} to {here - 1} were sealed and are missing"
            found.fault(_PLACE, 0, size, Fault.TRUNCATION if size else Fault.GAP, what)
        else:
            what = f"a witness saw {self._sealed} records; ledger and seals are an older state of {size}"
            found.fault(_PLACE, 0, size, Fault.ROLLBACK, what)
