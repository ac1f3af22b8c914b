"""Secrets that the site knows: the values of an environment file or a vault, wherever they stand in a text.

Each value is found by its longest run of letters and digits: the distinct runs of a text of a length that any value has
are looked up, and where one is known, the value around it (its place in the value and the value's length are in the
index) is compared by a 128-bit keyed hash. So values with any characters in them are found whatever stands beside them:
quotes, `=`, `:`, `@`, an address. A value with a letter or digit glued to
that run is another value.

What the index tells without the key: how many values there are and how long they are.
"""

from __future__ import annotations

import hmac
import re
import struct
from collections.abc import Iterator

from sluice.detect.own.hit import Hit, Spending
from sluice.detect.own.index import Index, Keyed
from sluice.detect.own.words import Absent, Words
from sluice.errors import Misconfigured, Problem
from sluice.model import Detector

KIND = "secrets"
RUN = 4
"""Shortest run of letters and digits that a value is found by."""
LONGEST = 16_384
ENTRY = struct.Struct("<HHHxx16s")
"""Where the run begins in the value, how long the run is and the value, and the hash of the value."""
RUNS = re.compile(r"[A-Za-z0-9]+")


def run_hash(keyed: Keyed, run: str) -> int:
    return keyed.of(b"r\0" + run.encode())


def value_hash(keyed: Keyed, value: str) -> bytes:
    return keyed.long(value.encode("utf-8", "surrogatepass"))


class Secrets:
    """An index of secrets, ready to match."""

    def __init__(self, index: Index, detector: Detector, *, remember: bool = False) -> None:
        """`remember`: keep what is absent (`words.Absent`). Raises `Misconfigured`."""
        self.detector = detector
        self._keyed = index.keyed
        self._table = index.table("runs")
        self._absent = Absent(used=remember)
        content = index.section("entries")
        if len(content) % ENTRY.size:
            raise Misconfigured(Problem(str(index.path), None, "entries are not whole; build it again"))
        self._entries: list[tuple[int, int, int, bytes]] = list(ENTRY.iter_unpack(content))
        self._lengths = frozenset(entry[1] for entry in self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, words: Words, spending: Spending) -> Iterator[Hit]:
        """The values in a text. Raises `Exhausted`."""
        lengths = self._lengths
        fresh = self._absent.others(w for w in words.runs if len(w) in lengths and w.isascii())
        spending.take(len(fresh))
        text = words.text
        known = {run: entries for run in fresh if (entries := self._table.all(run_hash(self._keyed, run)))}
        self._absent.add(run for run in fresh if run not in known)
        for run, entries in sorted(known.items()):
            at = text.find(run)
            while at >= 0:
                spending.take()
                if _whole(text, at, at + len(run)):
                    for number in entries:
                        offset, _, length, expected = self._entries[number]
                        start = at - offset
                        if start < 0 or start + length > len(text):
                            continue
                        spending.take(1 + length // 256)
                        value = text[start : start + length]
                        if hmac.compare_digest(value_hash(self._keyed, value), expected):
                            yield Hit(self.detector, start, start + length, value, True, 1.0)
                at = text.find(run, at + len(run))


def _whole(text: str, start: int, end: int) -> bool:
    """True when no ASCII letter or digit stands beside the run."""
    return not (RUNS.match(text, start - 1, start) if start else None) and not RUNS.match(text, end, end + 1)
