"""Keyed hashes in order, each with a number beside it, searched where they lie in a mapped file.

Three arrays: 64-bit hashes ascending, 32-bit numbers beside them, and a directory of where the hashes of each leading
bits begin. A look-up reads one place of the directory and a few hashes; nothing is unpacked: workers share pages.
By chance a hash of `n` is met with n / 2**64: 5e-14 for a million.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Sequence

_PER_PLACE = 4
"""Hashes for one place of the directory, about."""


class Malformed(ValueError):
    """The arrays do not fit together."""


class Table:
    """A table over three stretches of bytes, as `build` makes them."""

    __slots__ = ("_directory", "_hashes", "_numbers", "_shift")

    def __init__(self, hashes: memoryview, numbers: memoryview, directory: memoryview) -> None:
        """Raises `Malformed`."""
        if sys.byteorder != "little" or len(hashes) % 8 or len(numbers) % 4 or len(directory) % 4:
            raise Malformed("not whole numbers")
        self._hashes = hashes.cast("Q")
        self._numbers = numbers.cast("I")
        self._directory = directory.cast("I")
        places = len(self._directory) - 1
        if places < 1 or places & (places - 1) or len(self._hashes) != len(self._numbers):
            raise Malformed("arrays of different sizes")
        if self._directory[places] != len(self._hashes):
            raise Malformed("directory and hashes do not agree")
        self._shift = 64 - (places.bit_length() - 1)

    def __len__(self) -> int:
        return len(self._hashes)

    def first(self, value: int) -> int | None:
        """The number beside a hash, or None when it is not there."""
        place = value >> self._shift
        high = self._directory[place + 1]
        at = bisect_left(self._hashes, value, self._directory[place], high)
        return self._numbers[at] if at < high and self._hashes[at] == value else None

    def all(self, value: int) -> list[int]:
        """Every number beside a hash."""
        place = value >> self._shift
        high = self._directory[place + 1]
        at = bisect_left(self._hashes, value, self._directory[place], high)
        out: list[int] = []
        while at < high and self._hashes[at] == value:
            out.append(self._numbers[at])
            at += 1
        return out


def build(pairs: list[int]) -> tuple[bytes, bytes, bytes]:
    """Hashes, numbers and directory of `hash << 32 | number`s. Sorts the list in place."""
    pairs.sort()
    bits = max((len(pairs) // _PER_PLACE).bit_length(), 1)
    hashes = array("Q", (pair >> 32 for pair in pairs))
    numbers = array("I", (pair & 0xFFFFFFFF for pair in pairs))
    directory = array("I", _directory(hashes, bits))
    return hashes.tobytes(), numbers.tobytes(), directory.tobytes()


def _directory(hashes: Sequence[int], bits: int) -> list[int]:
    counts = [0] * ((1 << bits) + 1)
    shift = 64 - bits
    for value in hashes:
        counts[(value >> shift) + 1] += 1
    total = 0
    for place, count in enumerate(counts):
        total += count
        counts[place] = total
    return counts
