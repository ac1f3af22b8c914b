"""A text as words: without case where that is asked, without accents, without punctuation; and the way back.

`fold` is the one spelling that built indexes and scanned texts share: a change here makes indexes useless, so it goes
with a new `index.VERSION`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cached_property

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
        return [word.lower() for word in self.cased]

    @cached_property
    def starts(self) -> list[int]:
        return [start for start, _ in self.spans]

    @cached_property
    def spans(self) -> list[tuple[int, int]]:
        """Where each word stands in the text. Costs ten times as much as the words: for texts with a hit."""
        text = self.text
        if text.isascii():
            return [m.span() for m in _WORD_ASCII.finditer(text)]
        out: list[tuple[int, int]] = []
        for m in _WORD.finditer(text):
            out += [m.span()] * (1 if m[0].isascii() else len(fold(m[0]).split()))
        # One character can fold to what its neighbours change. Then the whole text is the place of each word.
        return out if len(out) == len(self.cased) else [(0, len(text))] * len(self.cased)


class Absent:
    """Words that one index does not have: prose says the same words again and again, and a keyed hash of each costs ten
    times as much as looking here. Only the interpreter's own hashes are kept, whose key is of this process alone; where
    that key is fixed (`used` is False then) a word could be made that passes for another, so nothing is kept."""

    MOST = 100_000

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
