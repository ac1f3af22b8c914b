"""Several detectors over one place: the most specific one stays.

First what the packs say outright: a detector that names another in `overlaps` gives way to it, and one that names `*`
(the generic ones do) to every detector of its own kind (`secret.`, `government.`) that does not. It does so only where
nothing is lost by it: where the other covers the whole value. A key, or a documented example of one, that is glued to a
password does not stand for the password. Then by rank: a real value before an example, the more severe, the
validated, the longer, and at last the id, so that the order is total and every process picks the same.

Rank decides within one data class. Real values of two classes in one place both stay (a card number inside an account
number): which of the two is allowed to leave is the policy's to say, and it must see both. Only an address inside a
secret (`password@host` looks like one) is part of the secret: as an address its mask would show some of it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping

import msgspec

from sluice.model import Detector

ANY = "*"
"""In `overlaps`: gives way to anything more specific of the same kind."""
ADDRESSES = frozenset({"contact", "network"})
"""Kinds of data that are a part of any secret they stand in."""
SIGHT = 64
"""Neighbours looked at on either side for one that a sighting gives way to."""


class Sighting(msgspec.Struct, frozen=True):
    """**P** One confirmed value: where it is in the original text of a part, and what was made of it."""

    detector: Detector
    part: int
    start: int
    end: int
    value: str
    validated: bool | None
    confidence: float
    example: bool
    expires: int | None = None

    def __repr__(self) -> str:
        return f"Sighting({self.detector.id}, part={self.part}, {self.start}-{self.end})"


def _rank(s: Sighting) -> tuple[object, ...]:
    return (
        s.detector.status != "stable",
        s.example,
        -s.detector.severity.rank,
        not s.validated,
        s.start - s.end,
        -s.confidence,
        s.detector.id,
        s.start,
    )


def most_specific(sightings: list[Sighting], yields: Mapping[str, frozenset[str]]) -> list[Sighting]:
    """The sightings that stay, in order of (part, start). `yields` is `Detector.overlaps` by id."""
    if len(sightings) < 2:
        return sightings
    kept: list[Sighting] = []
    for group in _touching(sightings):
        kept.extend(group if len(group) == 1 else _settle(group, yields))
    kept.sort(key=lambda s: (s.part, s.start, s.end, s.detector.id))
    return kept


def _touching(sightings: list[Sighting]) -> list[list[Sighting]]:
    """Runs of sightings of one part that overlap as a chain."""
    groups: list[list[Sighting]] = []
    part, reach = -1, -1
    for s in sorted(sightings, key=lambda s: (s.part, s.start, s.end, s.detector.id)):
        if s.part == part and s.start < reach:
            groups[-1].append(s)
            reach = max(reach, s.end)
        else:
            groups.append([s])
            part, reach = s.part, s.end
    return groups


def _settle(group: list[Sighting], yields: Mapping[str, frozenset[str]]) -> list[Sighting]:
    standing = [s for i, s in enumerate(group) if not (yields[s.detector.id] and _gives_way(i, group, yields))]
    taken: dict[str, list[tuple[int, int]]] = {}
    kept: list[Sighting] = []
    for s in sorted(standing, key=_rank):
        own = taken.setdefault(_data_class(s), [])
        if not _counts(s):
            rivals = list(taken.values())
        elif _kind(s) in ADDRESSES:
            rivals = [own, *(places for name, places in taken.items() if name.startswith("secret."))]
        else:
            rivals = [own]
        if all(_is_free(s, places) for places in rivals):
            insort(own, (s.start, s.end))
            kept.append(s)
    return kept


def _kind(s: Sighting) -> str:
    return s.detector.data_class.partition(".")[0]


def _data_class(s: Sighting) -> str:
    return ".".join(s.detector.data_class.split(".", 2)[:2])


def _counts(s: Sighting) -> bool:
    """True when a decision can depend on it: neither an example nor a detector on trial."""
    return not s.example and s.detector.status == "stable"


def _is_free(s: Sighting, places: list[tuple[int, int]]) -> bool:
    """True when none of these places, in order and apart, overlaps the sighting."""
    at = bisect_left(places, (s.start, s.end))
    return (at == len(places) or places[at][0] >= s.end) and (at == 0 or places[at - 1][1] <= s.start)


def _gives_way(at: int, group: list[Sighting], yields: Mapping[str, frozenset[str]]) -> bool:
    """True when something in sight of `group[at]` is what its detector gives way to.

    Looks no further than `SIGHT` neighbours either way, so that a long chain of overlaps costs linear time.
    """
    s = group[at]
    names = yields[s.detector.id]
    kind = _kind(s) if ANY in names else None
    near = group[max(at - SIGHT, 0) : at + SIGHT]
    return any(
        o.start < s.end
        and s.start < o.end
        and (o.detector.id in names or (ANY not in yields[o.detector.id] and _kind(o) == kind))
        and _stands_for(o, s)
        for o in near
    )


def _stands_for(other: Sighting, s: Sighting) -> bool:
    """True when nothing is lost where `s` gives way to `other`: that covers all of it, and counts where `s` does.

    A documented example stands for exactly its own text.
    """
    covers = other.start <= s.start and s.end <= other.end
    same = (other.start, other.end) == (s.start, s.end)
    return covers and (same or _counts(other) or not _counts(s))
