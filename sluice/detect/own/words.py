"""A text as words: without case where that is asked, without accents, without punctuation; and the way back.

`fold` is the one spelling that built indexes and scanned texts share: a change here makes indexes useless, so it goes
with a new `index.VERSION`.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from functools import cached_property
from itertools import accumulate

_BLOCK = 4096
"""Characters of a block that places are found in."""
_ASCII = {code: " " for code in range(128) if not chr(code).isalnum()}
_MARKS = re.compile("[\u0300-\u036f]+")
_OTHER = re.compile(r"[\W_]+")
_WORD_ASCII = re.compile(r"[A-Za-z0-9]+")
_WORD = re.compile("(?:[^\\W_]|[\u0300-\u036f])+")


def fold(text: str) -> str:
    """The words of a text with one space or more between them: compatibility forms plain, accents and punctuation gone,
    case kept."""
    if text.isascii():
        return text.translate(_ASCII)
    plain = _MARKS.sub("", unicodedata.normalize("NFKD", text)).replace("ß", "ss").replace("ẞ", "SS")
    return _OTHER.sub(" ", plain)


def words_of(text: str, *, case: bool = False) -> list[str]:
    """The folded words; small letters unless `case`."""
    folded = fold(text)
    return (folded if case else folded.lower()).split()


class Words:
    """**P** The words of one text, each way of looking at them made when it is first asked for."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._placed: dict[int, list[tuple[int, int]]] = {}

    @cached_property
    def cased(self) -> list[str]:
        """The folded words with their case, in order."""
        return fold(self.text).split()

    @cached_property
    def distinct(self) -> set[str]:
        return set(self.cased)

    @cached_property
    def runs(self) -> set[str]:
        """The distinct runs of ASCII letters and digits, whatever letters of other scripts stand beside them."""
        return self.distinct if self.text.isascii() else set(_WORD_ASCII.findall(self.text))

    @cached_property
    def small(self) -> set[str]:
        """The distinct words in small letters."""
        return {word.lower() for word in self.distinct}

    @cached_property
    def low(self) -> list[str]:
        """The words in small letters, in order."""
        return list(map(str.lower, self.cased))

    def span(self, number: int) -> tuple[int, int]:
        """Where a word stands in the text. Finding places costs ten times as much as finding words, so it is done for
        the block of the text that is asked about."""
        at = bisect_right(self._firsts, number) - 1
        return self._spans(at)[number - self._firsts[at]]

    def before(self, place: int) -> int:
        """How many words begin before a place of the text."""
        at = max(bisect_right(self._blocks, place) - 1, 0)
        return self._firsts[at] + bisect_left(self._spans(at), (place, 0))

    @cached_property
    def _blocks(self) -> list[int]:
        """Where blocks of the text begin, each behind a space."""
        out = [0]
        while (end := self.text.find(" ", out[-1] + _BLOCK)) >= 0:
            out.append(end + 1)
        return out

    @cached_property
    def _firsts(self) -> list[int]:
        """The number of the first word of each block."""
        ends = [*self._blocks[1:], len(self.text)]
        counts = [len(fold(self.text[low:high]).split()) for low, high in zip(self._blocks, ends, strict=True)]
        if sum(counts) != len(self.cased):  # a character that folds otherwise beside its neighbours
            del self._blocks[1:]
            counts = [len(self.cased)]
        return [sum_ - count for sum_, count in zip(accumulate(counts), counts, strict=True)]

    def _spans(self, block: int) -> list[tuple[int, int]]:
        found = self._placed.get(block)
        if found is None:
            last = block + 1 == len(self._blocks)
            low, high = self._blocks[block], len(self.text) if last else self._blocks[block + 1]
            count = (len(self.cased) if last else self._firsts[block + 1]) - self._firsts[block]
            found = []
            for m in (_WORD_ASCII if self.text.isascii() else _WORD).finditer(self.text, low, high):
                found += [m.span()] * (1 if m[0].isascii() else len(fold(m[0]).split()))
            if len(found) != count:  # then the whole block is the place of each of its words
                found = [(low, high)] * count
            self._placed[block] = found
        return found


class Absent:
    """Words that one index does not have: prose says the same words again and again, and a keyed hash of each costs ten
    times as much as looking here. Only the interpreter's own hashes are kept, whose key is of this process alone; where
    that key is fixed (`used` is False then) a word could be made that passes for another, so nothing is kept."""

    MOST = 50_000

    def __init__(self, *, used: bool) -> None:
        self._hashes: set[int] = set()
        self._used = used

    def others(self, words: Iterable[str]) -> list[str]:
        """The words of which it is not known."""
        known = self._hashes
        return [word for word in words if hash(word) not in known] if known else list(words)

    def add(self, words: Iterable[str]) -> None:
        if not self._used:
            return
        if len(self._hashes) > self.MOST:
            self._hashes = set()
        self._hashes.update(map(hash, words))
