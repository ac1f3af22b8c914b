"""The Merkle tree over a stream's leaf hashes: roots, proofs, and checking them. Pure.

Leaf `i` is the leaf hash of the record with `seq` i. A `Range` holds the O(log n) roots of complete subtrees, enough to
go on from any size without the past; a `Tree` holds all hashes and makes proofs.
Source: RFC 6962 section 2.1 (hashes, proofs), RFC 9162 sections 2.1.3.2 and 2.1.4.2 (checking them).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY = sha256(b"").digest()
"""Root of a tree without leaves."""


class BadProof(ValueError):
    """A proof of the wrong length, or for a place that cannot be."""


def node(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256 over 0x01 and its two children."""
    return sha256(b"\x01" + left + right).digest()


class Range:
    """A tree that grows: its size and the roots of its complete subtrees, the largest (leftmost) first."""

    __slots__ = ("peaks", "size")

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        if len(peaks) != size.bit_count() or any(len(p) != HASH_BYTES for p in peaks):
            raise ValueError(f"{len(peaks)} hashes cannot be the frontier of {size} leaves")
        self.size = size
        self.peaks = list(peaks)

    def append(self, leaf: bytes) -> None:
        peaks, size = self.peaks, self.size
        self.size = size + 1
        while size & 1:
            leaf = sha256(b"\x01" + peaks.pop() + leaf).digest()
            size >>= 1
        peaks.append(leaf)

    def root(self) -> bytes:
        """The root at the present size."""
        if not self.peaks:
            return EMPTY
        out = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            out = node(peak, out)
        return out


class Tree:
    """All leaves of a stream, and every complete subtree above them: makes proofs for any size up to its own."""

    def __init__(self, leaves: Iterable[bytes]) -> None:
        level = list(leaves)
        self.size = len(level)
        self._levels = [level]
        while len(level) > 1:
            level = [node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
            self._levels.append(level)

    def root(self, size: int | None = None) -> bytes:
        """The root of the first `size` leaves."""
        size = self._checked(self.size if size is None else size)
        return self._hash(0, size) if size else EMPTY

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The proof that leaf `index` stands in the tree of the first `size` leaves. Raises ValueError."""
        if not 0 <= index < self._checked(size):
            raise ValueError(f"no leaf {index} in a tree of {size}")
        low, high, path = 0, size, []
        while high - low > 1:
            middle = low + _split(high - low)
            if index < middle:
                path.append(self._hash(middle, high))
                high = middle
            else:
                path.append(self._hash(low, middle))
                low = middle
        return path[::-1]

    def consistency(self, old: int, new: int) -> list[bytes]:
        """The proof that the tree of `old` leaves is the beginning of the tree of `new`. Raises ValueError."""
        if not 0 < old <= self._checked(new):
            raise ValueError(f"no consistency of {old} with {new} leaves can be proved")
        low, high, whole, path = 0, new, True, []
        while high != old:
            middle = low + _split(high - low)
            if old <= middle:
                path.append(self._hash(middle, high))
                high = middle
            else:
                path.append(self._hash(low, middle))
                low, whole = middle, False
        return ([] if whole else [self._hash(low, high)]) + path[::-1]

    def _checked(self, size: int) -> int:
        if not 0 <= size <= self.size:
            raise ValueError(f"the tree has {self.size} leaves, not {size}")
        return size

    def _hash(self, low: int, high: int) -> bytes:
        """The root of leaves [low, high), where `low` is a multiple of the largest power of two in their number."""
        count = high - low
        if count & (count - 1) == 0:
            level = count.bit_length() - 1
            return self._levels[level][low >> level]
        middle = low + _split(count)
        return node(self._hash(low, middle), self._hash(middle, high))


def root_from_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that an inclusion proof leads to, to be compared with a trusted one. Raises `BadProof`."""
    if not 0 <= index < size:
        raise BadProof(f"no leaf {index} in a tree of {size}")
    at, last, out = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise BadProof("the proof is too long")
        if at & 1 or at == last:
            out = node(sibling, out)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            out = node(out, sibling)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise BadProof("the proof is too short")
    return out


def consistent(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether a consistency proof shows that one tree is the beginning of another."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not path and old_root == new_root
    proof = list(path) if old & (old - 1) else [old_root, *path]
    if not proof:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = proof[0]
    for sibling in proof[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            first, second = node(sibling, first), node(sibling, second)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            second = node(second, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


def _split(count: int) -> int:
    """The largest power of two below a count above one."""
    return 1 << (count - 1).bit_length() - 1
