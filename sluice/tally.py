"""How metrics are defined and counted: plain numbers in memory, put where they are scraped once a second.

prometheus_client's own way (find the series, lock, ask for the process id, write to a mapped file) takes microseconds
a call, and a request has some thirty. Here a caller keeps a `Tally` or a `Spread` and adds to a number; `flush` adds
what is new to the library's series.

Rules
1. Numbers only grow, and `flush` tells the difference: nothing is lost or told twice, whatever runs meanwhile.
2. Threads may share them without a lock: CPython 3.13 hands the interpreter lock on at calls and backward jumps, and
   there is none between reading such a number and writing it back (tests/metrics hammers on that).
3. Every process flushes once a second and at its end. One that is killed takes the counts of its last second along,
   never a record: what happened is in the ledger.
"""

from __future__ import annotations

import atexit
import threading
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from prometheus_client import Counter, Gauge, Histogram

_lock = threading.Lock()
_counting: list[Tally | Spread] = []


class Tally:
    """One series of a counter. Add with `tally.count += n` where it is hot, `tally.inc(n)` elsewhere."""

    __slots__ = ("_series", "_told", "count")

    def __init__(self, series: Counter) -> None:
        self.count: float = 0
        self._told: float = 0
        self._series = series

    def inc(self, amount: float = 1) -> None:
        self.count += amount

    def tell(self) -> None:
        now = self.count
        if now != self._told:
            self._series.inc(now - self._told)
            self._told = now


class Spread:
    """One series of a histogram."""

    __slots__ = ("_bounds", "_counts", "_series", "_sum", "_told", "_told_sum")

    def __init__(self, series: Histogram, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._told = [0] * (len(bounds) + 1)
        self._told_sum = 0.0
        self._series = series

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def tell(self) -> None:
        counts, total = list(self._counts), self._sum
        if counts == self._told:
            return
        # The library's own parts of a histogram: one number for each bucket, added up only when it is scraped.
        for bucket, now, before in zip(self._series._buckets, counts, self._told, strict=True):
            if now != before:
                bucket.inc(now - before)
        self._series._sum.inc(total - self._told_sum)
        self._told, self._told_sum = counts, total


class Tallies(dict[tuple[str, ...], Tally]):
    """A counter with all its series, by the values of its labels. `family[action, reason].count += 1` is the fast way.

    The labels come from closed lists, so that this grows no further than they do.
    """

    def __init__(self, family: Counter) -> None:
        super().__init__()
        self._family = family

    def __missing__(self, key: tuple[str, ...]) -> Tally:
        with _lock:
            if (known := self.get(key)) is None:
                known = Tally(self._family.labels(*key) if key else self._family)
                _counting.append(known)
                self[key] = known
            return known

    def labels(self, *values: str) -> Tally:
        return self[values]

    def inc(self, amount: float = 1) -> None:
        """Count in the only series of a counter without labels."""
        self[()].count += amount


class Spreads(dict[tuple[str, ...], Spread]):
    """A histogram with all its series."""

    def __init__(self, family: Histogram, bounds: Iterable[float]) -> None:
        super().__init__()
        self._family = family
        self._bounds = tuple(bounds)

    def __missing__(self, key: tuple[str, ...]) -> Spread:
        with _lock:
            if (known := self.get(key)) is None:
                known = Spread(self._family.labels(*key) if key else self._family, self._bounds)
                _counting.append(known)
                self[key] = known
            return known

    def labels(self, *values: str) -> Spread:
        return self[values]

    def observe(self, value: float) -> None:
        """Observe in the only series of a histogram without labels."""
        self[()].observe(value)


def flush() -> None:
    """Put what was counted since the last time where the admin listener reads it. Safe from any thread."""
    with _lock:
        for series in _counting:
            series.tell()


atexit.register(flush)


# --------------------------------------------------------------------------------------------------------- definitions

type Words = Iterable[str] | str
"""The values of a label: a closed list, or where the closed list stands."""
type Kind = Literal["counter", "gauge", "histogram"]
type LiveMode = Literal["livemax", "livesum", "livemostrecent"]

UNITS = ("seconds", "bytes", "records", "requests")


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric. `labels`: name to its closed list of values, or to a sentence that says where that list stands."""

    name: str
    kind: Kind
    help: str
    labels: dict[str, tuple[str, ...] | str]

    @property
    def exposed(self) -> str:
        """The name that a query uses."""
        return f"{self.name}_total" if self.kind == "counter" else self.name

    @property
    def unit(self) -> str:
        """Base unit; empty for a plain number."""
        last = self.name.rpartition("_")[2]
        return last if last in UNITS else ""


DEFINITIONS: dict[str, Definition] = {}


def _define(name: str, kind: Kind, text: str, labels: dict[str, Words]) -> Definition:
    closed = {label: words if isinstance(words, str) else tuple(map(str, words)) for label, words in labels.items()}
    made = Definition(name, kind, text, closed)
    if DEFINITIONS.setdefault(name, made) is not made:
        raise ValueError(f"{name} is defined twice")
    return made


def _beginning(made: Definition) -> list[tuple[str, ...]]:
    """The series that are there from the start."""
    match list(made.labels.values()):
        case []:
            return [()]
        case [tuple(words)]:
            return [(word,) for word in words]
        case _:
            return []


def counter(name: str, text: str, **labels: Words) -> Tallies:
    made = _define(name, "counter", text, labels)
    family = Tallies(Counter(name, text, list(labels)))
    for key in _beginning(made):
        family[key].inc(0)
    return family


def histogram(name: str, text: str, buckets: tuple[float, ...], **labels: Words) -> Spreads:
    made = _define(name, "histogram", text, labels)
    family = Spreads(Histogram(name, text, list(labels), buckets=buckets), buckets)
    for key in _beginning(made):
        family.labels(*key)
    return family


def gauge(name: str, text: str, mode: LiveMode, **labels: Words) -> Gauge:
    _define(name, "gauge", text, labels)
    return Gauge(name, text, list(labels), multiprocess_mode=mode)


def measured(name: str, text: str, kind: Literal["counter", "gauge"] = "gauge", **labels: Words) -> Definition:
    """A metric that no process counts: the supervisor measures it while it is scraped."""
    return _define(name, kind, text, labels)
