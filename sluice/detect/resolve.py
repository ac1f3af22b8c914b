"""Several detectors over one place: the most specific one stays.

First what the packs say outright: a detector that names another in `overlaps` gives way to it, and one that names `*`
(the generic ones do) to every detector of its own kind (`secret.`, `government.`) that does not. Then by rank: a real
value before an example, the more severe, the validated, the longer, and at last the id, so that the order is total
and every process picks the same.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field

from sluice.model import Detector

ANY = "*"
"""In `overlaps`: gives way to anything more specific of the same kind."""
SIGHT = 64
"""Neighbours looked at on either side for one that a sighting gives way to."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """**P** One confirmed value: where it is in the original text of a part, and what was made of it."""

    detector: Detector
    part: int
    start: int
    end: int
    value: str = field(repr=False)
    validated: bool | None
    confidence: float
    example: bool


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
    taken: list[tuple[int, int]] = []
    kept: list[Sighting] = []
    for s in sorted(standing, key=_rank):
        at = bisect_left(taken, (s.start, s.end))
        free = (at == len(taken) or taken[at][0] >= s.end) and (at == 0 or taken[at - 1][1] <= s.start)
        if free:
            taken.insert(at, (s.start, s.end))
            kept.append(s)
    return kept


def _gives_way(at: int, group: list[Sighting], yields: Mapping[str, frozenset[str]]) -> bool:
    """True when something in sight of `group[at]` is what its detector gives way to.

    Looks no further than `SIGHT` neighbours either way, so that a long chain of overlaps costs linear time.
    """
    s = group[at]
    names = yields[s.detector.id]
    kind = s.detector.data_class.partition(".")[0] if ANY in names else None
    near = group[max(at - SIGHT, 0) : at + SIGHT]
    return any(
        o.start < s.end
        and s.start < o.end
        and (
            o.detector.id in names
            or (ANY not in yields[o.detector.id] and o.detector.data_class.partition(".")[0] == kind)
        )
        for o in near
    )
