"""Entries that are found wherever their characters stand, inside of words too: canary tokens, and dictionaries with
`whole_words = false`. They are in memory in the clear, as the file that they come from, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

import ahocorasick

from sluice.detect.own.hit import Hit, Spending
from sluice.detect.own.words import Words
from sluice.model import Detector

MOST = 200_000
"""Entries of one such list: each takes 350 bytes in every worker (one of whole words: 13 bytes for all)."""
FEW = 8
"""So many tokens are looked for one by one: a search of memory for each is faster than the automaton."""


class Substrings:
    """A list of strings, ready to match."""

    def __init__(self, entries: frozenset[str], detector: Detector, *, case: bool, confidence: float) -> None:
        self.detector = detector
        self._case = case
        self._confidence = confidence
        self._validated = True if case else None
        chosen = sorted(entries if case else {small(e) for e in entries})
        self._few = chosen if len(chosen) <= FEW else None
        self._automaton = ahocorasick.Automaton()
        if self._few is None:
            for entry in chosen:
                self._automaton.add_word(entry, len(entry))
            self._automaton.make_automaton()

    def find(self, words: Words, spending: Spending) -> Iterator[Hit]:
        """The entries in a text. Raises `Exhausted`."""
        text = words.text
        looked = text if self._case else small(text)
        for start, end in self._places(looked):
            spending.take()
            yield Hit(self.detector, start, end, looked[start:end], self._validated, self._confidence)

    def _places(self, text: str) -> Iterator[tuple[int, int]]:
        if self._few is None:
            for last, size in self._automaton.iter(text):
                yield last + 1 - size, last + 1
            return
        for entry in self._few:
            at = text.find(entry)
            while at >= 0:
                yield at, at + len(entry)
                at = text.find(entry, at + len(entry))


def small(text: str) -> str:
    """Small letters, one for each character, so that offsets agree."""
    low = text.lower()
    return low if len(low) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
