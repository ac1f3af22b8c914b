"""Dictionaries of whole words: product names, project names, names of patients; a million of them.

For each first word of an entry the table holds how many words the entries that begin with it have (a bit each), and for
each entry of several words the hash of all of them. A text costs one look-up for each distinct word; only a word that
begins an entry is looked at in its place. The compiled form holds keyed hashes alone, so it may lie in `var/cache`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sluice.detect.own import table
from sluice.detect.own.hit import Hit, Spending
from sluice.detect.own.index import Index, Keyed
from sluice.detect.own.words import Absent, Words, words_of
from sluice.model import Detector

KIND = "phrases"
WORDS = 8
"""Most words of an entry."""


@dataclass(frozen=True, slots=True)
class Bad:
    """A line of a word list that cannot be used."""

    line: int
    what: str


def compile_entries(
    lines: Iterable[tuple[int, str]], keyed: Keyed, *, case: bool
) -> tuple[tuple[bytes, bytes, bytes], int, list[Bad]]:
    """The table of (line number, entry)s, the number of entries, and the lines that cannot be used."""
    firsts: dict[int, int] = {}
    pairs: list[int] = []
    bad: list[Bad] = []
    count = 0
    for number, entry in lines:
        words = words_of(entry, case=case)
        if not words or sum(map(len, words)) < 2:
            bad.append(Bad(number, "has fewer than two letters or digits; use whole_words = false, or leave it out"))
        elif len(words) > WORDS:
            bad.append(Bad(number, f"has more than {WORDS} words; longer texts are documents (`sluice docs add`)"))
        else:
            count += 1
            first = _hash(keyed, words[:1], 0)
            firsts[first] = firsts.get(first, 0) | 1 << len(words) - 1
            if len(words) > 1:
                pairs.append(_hash(keyed, words, len(words)) << 32)
    pairs += [value << 32 | sizes for value, sizes in firsts.items()]
    return table.build(pairs), count, bad


def _hash(keyed: Keyed, words: list[str], size: int) -> int:
    return keyed.of(b"%d\0" % size + " ".join(words).encode("utf-8", "surrogatepass"))


class Phrases:
    """A dictionary, ready to match."""

    def __init__(self, index: Index, detector: Detector, *, case: bool, remember: bool = False) -> None:
        """`remember`: keep what is absent (`words.Absent`). Raises `Misconfigured`."""
        self.detector = detector
        self._case = case
        self._keyed = index.keyed
        self._table = index.table("entries")
        self._absent = Absent(used=remember)

    def find(self, words: Words, spending: Spending) -> Iterator[Hit]:
        """The entries in a text, the longest at each place. Raises `Exhausted`."""
        fresh = self._absent.others(words.distinct if self._case else words.small)
        spending.take(len(fresh))
        begins = {w: sizes for w in fresh if (sizes := self._table.first(_hash(self._keyed, [w], 0)))}
        self._absent.add(w for w in fresh if w not in begins)
        if not begins:
            return
        ordered = words.cased if self._case else words.low
        behind = 0
        for at in [at for at, word in enumerate(ordered) if word in begins]:
            sizes = begins[ordered[at]]
            if at < behind:
                continue
            for size in range(min(sizes.bit_length(), len(ordered) - at), 0, -1):
                spending.take()
                if not sizes >> size - 1 & 1:
                    continue
                chosen = ordered[at : at + size]
                if size == 1 or self._table.first(_hash(self._keyed, chosen, size)) is not None:
                    behind = at + size
                    yield Hit(
                        self.detector,
                        words.span(at)[0],
                        words.span(at + size - 1)[1],
                        " ".join(chosen),
                        None,
                        0.9,
                    )
                    break
