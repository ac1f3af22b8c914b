"""Exact data match: rows of a table of the site (customers, patients, accounts) in a text.

A key column is looked for everywhere; where a value of it stands, the other columns of its row are looked for within N
words on either side, until as many columns agree as the index requires. So "jane" and "doe" cost nothing where no
account of Jane Doe stands near.

What an index holds for each row: one 64-bit keyed hash per key column (equal values of a key column have equal hashes:
their number can be told, their text cannot), and one 32-bit tag per column, keyed and over the number of the row too,
so that equal names look different in every row. By chance a text's candidate agrees with a key of a million rows with
5e-14, and with a second column of that row with 2e-8 for a window of a hundred candidates: together 1e-21 a candidate,
below 1e-15 for a text of a million candidates.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from sluice.detect.own.columns import WORDY, Column, candidates
from sluice.detect.own.hit import Hit, Spending
from sluice.detect.own.index import Index, Keyed
from sluice.detect.own.words import Absent, Words
from sluice.errors import Misconfigured, Problem
from sluice.model import Detector

KIND = "rows"
ROWS_OF_ONE = 16
"""Rows that one value of a key column may name; a value of more rows is a placeholder and not indexed."""


class About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the head of such an index says: columns in order (name, type, key, sizes), rows, words, columns to agree."""

    columns: tuple[tuple[str, str, bool, tuple[int, ...]], ...]
    rows: int
    within: int
    require: int


def key_hash(keyed: Keyed, column: int, spelling: str) -> int:
    return keyed.of(b"k%d\0" % column + spelling.encode("utf-8", "surrogatepass"))


def first_hash(keyed: Keyed, column: int, word: str) -> int:
    """Of the first word of a wordy key's spelling: what says where its candidates begin."""
    return keyed.of(b"f%d\0" % column + word.encode("utf-8", "surrogatepass"))


def tag(keyed: Keyed, row: int, column: int, spelling: str) -> int:
    """Never 0: that stands for an empty cell."""
    return (keyed.of(b"t%d/%d\0" % (row, column) + spelling.encode("utf-8", "surrogatepass")) & 0xFFFFFFFF) or 1


class Rows:
    """An index of rows, ready to match."""

    def __init__(self, index: Index, detector: Detector, *, remember: bool = False) -> None:
        """`remember`: keep what is absent (`words.Absent`). Raises `Misconfigured`."""
        try:
            about = msgspec.convert(index.head.about, About)
        except msgspec.ValidationError as e:
            raise Misconfigured(Problem(str(index.path), None, f"head: {e}; build it again")) from e
        self.detector = detector
        self.columns = tuple(Column(n, t, k, frozenset(sizes)) for n, t, k, sizes in about.columns)
        self.rows, self.within, self.require = about.rows, about.within, about.require
        self.keyed = index.keyed
        self._tags = index.section("tags").cast("I")
        self._keys = {i: index.table(f"key{i}") for i, c in enumerate(self.columns) if c.key}
        self._absent = {i: Absent(used=remember) for i in self._keys}
        self._firsts = {i: index.table(f"first{i}") for i in self._keys if self.columns[i].type in WORDY}
        if len(self._tags) != about.rows * len(self.columns):
            raise Misconfigured(Problem(str(index.path), None, "tags and rows do not agree; build it again"))

    def find(self, words: Words, spending: Spending) -> Iterator[Hit]:
        """The rows in a text, each once. Raises `Exhausted`."""
        done: set[int] = set()
        for column, table in self._keys.items():
            known: dict[str, list[int]] = {}
            for start, end, spelling in self._candidates(column, words, spending):
                rows = known.get(spelling)
                if rows is None:
                    spending.take()
                    rows = known[spelling] = table.all(key_hash(self.keyed, column, spelling))
                for row in rows:
                    if row in done or row >= self.rows:
                        continue
                    if self.require <= 1 or self._agrees(row, column, start, end, words, spending):
                        done.add(row)
                        yield Hit(self.detector, start, end, spelling, True, 0.99)

    def _candidates(self, column: int, words: Words, spending: Spending) -> Iterator[tuple[int, int, str]]:
        c = self.columns[column]
        if c.type not in WORDY:
            for found in candidates(c.type, words.text, c.sizes):
                spending.take()
                yield found
            return
        table = self._firsts[column]
        fresh = self._absent[column].others(words.small)
        spending.take(len(fresh))
        begins = {w for w in fresh if table.first(first_hash(self.keyed, column, w)) is not None}
        self._absent[column].add(w for w in fresh if w not in begins)
        if not begins:
            return
        for at, word in enumerate(words.low):
            if word in begins:
                spending.take()
                yield from _phrases(
                    c, words, at if c.type == "text" else max(at - max(c.sizes) + 1, 0), at, len(words.low)
                )

    def _agrees(self, row: int, column: int, start: int, end: int, words: Words, spending: Spending) -> bool:
        """True when enough other columns of the row stand within reach of the value of its key column."""
        first = max(words.before(start + 1) - 1, 0)
        behind = words.before(end)
        low, high = max(first - self.within, 0), min(behind + self.within, len(words.cased))
        if low >= high:
            return False
        begin, stop = min(words.span(low)[0], start), max(words.span(high - 1)[1], end)
        agreed = 1
        base = row * len(self.columns)
        for i, c in enumerate(self.columns):
            wanted = self._tags[base + i]
            if i == column or not wanted:
                continue
            if c.type in WORDY:
                sides = ((low, first), (behind, high))
                found = (f for a, b in sides for f in _phrases(c, words, a, b - 1, b))
            else:
                found = (
                    (begin + a, begin + b, spelling)
                    for a, b, spelling in candidates(c.type, words.text[begin:stop], c.sizes)
                )
            for a, b, spelling in found:
                spending.take()
                if (b <= start or a >= end) and tag(self.keyed, row, i, spelling) == wanted:
                    agreed += 1
                    break
            if agreed >= self.require:
                return True
        return False


def _phrases(c: Column, words: Words, first: int, last: int, stop: int) -> Iterator[tuple[int, int, str]]:
    """Every phrase of the column's sizes that begins at a word from `first` to `last` and ends before word `stop`."""
    low = words.low
    for at in range(first, last + 1):
        for size in c.sizes:
            if at + size <= stop:
                chosen = low[at : at + size]
                if c.type == "name":
                    chosen = sorted(chosen)
                yield words.span(at)[0], words.span(at + size - 1)[1], " ".join(chosen)


def sections_of(about: About) -> dict[str, Any]:
    """The head's `about` as plain data."""
    plain = msgspec.to_builtins(about)
    assert isinstance(plain, dict)
    return plain
