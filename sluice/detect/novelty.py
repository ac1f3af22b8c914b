"""What a worker has read before: agents send the whole conversation again with every turn.

A bounded memory of parts: keyed digest of a text -> its sealed findings. A part that is found there is neither decoded
nor scanned again; its findings are put at its pointer and provenance of today. Nothing in the memory is plaintext, and
its key is of this process alone, so a digest says nothing to anyone who sees it.

What is kept is only what a scan of the part alone would say again: a part that was not read to its end (budget), or in
a scan that stopped looking for some detector because it had seen enough of it, is not kept. A forgotten part costs time
and nothing else. A rulebook has a memory of its own, so a change of rules or detectors begins with an empty one.

`history` of a finding means: its part stands where conversations are repeated (`REPEATED`), and this worker has read
this very text before. Both are needed: where a text stands is the client's word, and a text that was read before may
be sent anew. It does not mean that the earlier request was allowed, so a rule that blocks must not ask for `new`.
"""

from __future__ import annotations

import hmac
import threading
from collections import OrderedDict
from collections.abc import Iterable
from copy import replace
from dataclasses import dataclass, field
from hashlib import sha256

from sluice.detect import layers
from sluice.model import Finding, Part, Provenance

REPEATED = frozenset({Provenance.HISTORY, Provenance.SYSTEM})
"""Where agents repeat themselves. What the current turn says is new, however often it is said."""
SMALL = 512
"""A shorter text without findings is not kept, bytes: reading it again costs as much as looking for it."""
MOST = 500
"""Findings of one part that are kept; a part with more is scanned again."""
ENTRIES = 20_000
BYTES = 32 * 1024 * 1024
"""Most parts, and most memory, that one worker remembers."""
_ENTRY, _FINDING = 200, 800
"""What an entry and a finding in it take, bytes, about (measured with `tracemalloc`)."""


@dataclass(slots=True)
class Recall:
    """**P** What is known of the parts of one request, in their order: their contexts and texts as they are digested,
    the sizes of the texts (bytes as UTF-8), and the digests; a text that cannot be known has none yet."""

    texts: list[bytes] = field(repr=False)
    sizes: list[int]
    digests: list[bytes | None]
    known: dict[int, tuple[Finding, ...]] = field(default_factory=dict)

    @property
    def fresh(self) -> list[int]:
        """The parts that must be scanned."""
        return [i for i in range(len(self.digests)) if i not in self.known]


class Novelty:
    """The memory of one worker under one rulebook. Safe to use from any thread."""

    def __init__(self, key: bytes, *, entries: int = ENTRIES, size: int = BYTES) -> None:
        """`key`: secret bytes of this process, never kept anywhere."""
        self._key = key
        self._entries = entries
        self._most = size
        self._size = 0
        self._kept: OrderedDict[bytes, tuple[Finding, ...]] = OrderedDict()
        self._small: set[int] = set()
        """Sizes of the small texts that were ever kept: one of another size need not be looked for."""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def size(self) -> int:
        """Bytes that the memory takes, about."""
        return self._size

    def recall(self, parts: tuple[Part, ...]) -> Recall:
        """What is known of these parts."""
        data = [part.text.encode("utf-8", "surrogatepass") for part in parts]
        texts = [
            layers.context(part).encode("utf-8", "surrogatepass") + b"\0" + text
            for part, text in zip(parts, data, strict=True)
        ]
        sizes, small = [len(text) for text in data], self._small
        digests = [
            self._digest(text) if size >= SMALL or size in small else None
            for text, size in zip(texts, sizes, strict=True)
        ]
        recall = Recall(texts, sizes, digests)
        with self._lock:
            for i, digest in enumerate(recall.digests):
                if digest is not None and (findings := self._kept.get(digest)) is not None:
                    self._kept.move_to_end(digest)
                    recall.known[i] = findings
        for i, findings in recall.known.items():
            recall.known[i] = tuple(_placed(findings, parts[i]))
        return recall

    def _digest(self, text: bytes) -> bytes:
        return hmac.digest(self._key, text, sha256)[:20]

    def keep(self, recall: Recall, part: int, findings: tuple[Finding, ...]) -> None:
        """Remember what a whole scan of a part found in it."""
        size = recall.sizes[part]
        if len(findings) > MOST or (not findings and size < SMALL):
            return
        digest = recall.digests[part] or self._digest(recall.texts[part])
        bare = tuple(replace(f, pointer="", provenance=Provenance.REQUEST, novelty="new") for f in findings)
        with self._lock:
            if digest not in self._kept:
                self._kept[digest] = bare
                if size < SMALL:
                    self._small.add(size)
                self._size += _cost(bare)
            while len(self._kept) > self._entries or self._size > self._most:
                _, old = self._kept.popitem(last=False)
                self._size -= _cost(old)


def _placed(findings: Iterable[Finding], part: Part) -> Iterable[Finding]:
    novelty = "history" if part.provenance in REPEATED else "new"
    return (replace(f, pointer=part.pointer, provenance=part.provenance, novelty=novelty) for f in findings)


def _cost(findings: tuple[Finding, ...]) -> int:
    return _ENTRY + _FINDING * len(findings)
