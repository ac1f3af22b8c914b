"""Documents of the site (contracts, price lists, source files): how much of one stands in a text.

A document is the set of its shingles: `SHINGLE` words in a row, without case, accents and punctuation, as keyed hashes.
A text is probed at every `STRIDE`-th word; any stretch of SHINGLE + STRIDE - 1 words that it shares with a document is
met, whatever stands around it. Only around a probe that hits are the other shingles of the text looked up, each once:
the share that is reported is exact. A finding is made when the share of the document's shingles, or the number of them
in a row, reaches what the document was added with.

What the index tells without the key: how long each document is, and which shingles documents have in common.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from sluice.detect.own.hit import Exhausted, Hit, Spending
from sluice.detect.own.index import Index, Keyed
from sluice.detect.own.words import Words
from sluice.errors import Misconfigured, Problem
from sluice.model import Detector

KIND = "documents"
SHINGLE = 6
STRIDE = 16
COMMON = 16
"""A shingle of more documents than this is boilerplate, and says nothing about any of them."""


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One document in the head of the index. `shingles`: distinct ones; `run`: how many in a row make a finding."""

    name: str
    data_class: str
    severity: str
    words: int
    shingles: int
    share: float
    run: int


class About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    documents: tuple[Document, ...]


def about_of(index: Index) -> About:
    """What the head of the index says. Raises `Misconfigured`."""
    try:
        return msgspec.convert(index.head.about, About)
    except msgspec.ValidationError as e:
        raise Misconfigured(Problem(str(index.path), None, f"head: {e}; build it again")) from e


def shingle_hash(keyed: Keyed, words: list[str]) -> int:
    return keyed.of(" ".join(words).encode("utf-8", "surrogatepass"))


def shingles(keyed: Keyed, words: list[str]) -> set[int]:
    """The distinct shingles of a document."""
    return {shingle_hash(keyed, words[i : i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)}


class Documents:
    """An index of documents, ready to match."""

    def __init__(self, index: Index, detectors: dict[str, Detector]) -> None:
        """`detectors` by name of the document. Raises `Misconfigured`."""
        self.documents = about_of(index).documents
        self._detectors = [detectors[d.name] for d in self.documents]
        self._keyed = index.keyed
        self._table = index.table("shingles")

    def find(self, words: Words, spending: Spending) -> Iterator[Hit]:
        """The documents of which enough stands in a text, each once. Raises `Exhausted` when some was left out."""
        cased = words.cased
        last = len(cased) - SHINGLE
        if last < 0:
            return
        seen: dict[int, list[int]] = {}  # place of a shingle of the text -> documents that have it
        met: dict[int, int] = {}  # and its hash, for those that have

        def look(at: int) -> list[int]:
            found = seen.get(at)
            if found is None:
                spending.take()
                value = self._keyed.of(" ".join(cased[at : at + SHINGLE]).lower().encode("utf-8", "surrogatepass"))
                found = seen[at] = self._table.all(value)
                if found:
                    met[at] = value
            return found

        exhausted = False
        try:
            for probe in range(0, last + 1, STRIDE):
                if look(probe):
                    for at in range(max(probe - STRIDE + 1, 0), min(probe + STRIDE, last + 1)):
                        look(at)
            if last % STRIDE and look(last):
                for at in range(max(last - STRIDE, 0), last):
                    look(at)
        except Exhausted:
            exhausted = True  # what was met until then still counts
        if met:
            yield from self._judge(words, seen, met)
        if exhausted:
            raise Exhausted

    def _judge(self, words: Words, seen: dict[int, list[int]], met: dict[int, int]) -> Iterator[Hit]:
        places: dict[int, list[int]] = {}
        for at in sorted(met):
            for number in seen[at]:
                if number < len(self.documents):
                    places.setdefault(number, []).append(at)
        for number, found in sorted(places.items()):
            document = self.documents[number]
            share = len({met[at] for at in found}) / document.shingles
            if share >= document.share or _longest_run(found) >= document.run:
                start, end = words.span(found[0])[0], words.span(found[-1] + SHINGLE - 1)[1]
                confidence = round(min(0.8 + 0.2 * share, 1.0), 2)
                yield Hit(self._detectors[number], start, end, document.name, True, confidence)


def _longest_run(places: list[int]) -> int:
    best = run = 0
    before = -2
    for at in places:
        run = run + 1 if at == before + 1 else 1
        best = max(best, run)
        before = at
    return best
