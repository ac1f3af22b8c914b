"""Which of several detectors over one place stays."""

from __future__ import annotations

import itertools
import random

from sluice.detect.resolve import Sighting, most_specific
from sluice.model import Detector, Severity


def sight(
    name: str,
    start: int,
    end: int,
    *,
    severity: Severity = Severity.HIGH,
    validated: bool | None = None,
    example: bool = False,
    status: str = "stable",
    data_class: str = "secret.token",
    part: int = 0,
) -> Sighting:
    detector = Detector(name, 1, "t", "w", data_class, severity, (), "x", status=status)
    return Sighting(detector, part, start, end, "v", validated, 0.9, example)


def names(sightings: list[Sighting], **yields: str) -> list[str]:
    table = {s.detector.id: frozenset(yields.get(s.detector.id.replace(".", "_"), "").split()) for s in sightings}
    return [s.detector.id for s in most_specific(sightings, table)]


def test_apart_all_stay_in_order() -> None:
    """What does not overlap is not touched, and comes in order of place."""
    assert names([sight("b.b", 10, 20), sight("a.a", 0, 10), sight("c.c", 0, 5, part=1)]) == ["a.a", "b.b", "c.c"]


def test_declared_overlap_decides_first() -> None:
    """Who gives way by declaration gives way, even to the less severe."""
    pair = [sight("a.generic", 5, 20), sight("b.specific", 0, 20, severity=Severity.LOW)]
    assert names(pair, a_generic="b.specific") == ["b.specific"]


def test_nothing_gives_way_to_a_part_of_itself() -> None:
    """A harmless value glued to a password does not hide the password; nor does an example around it."""
    for declared in ("b.specific", "*"):
        for glued in (sight("b.specific", 5, 20, severity=Severity.LOW), sight("b.specific", 5, 20, example=True)):
            assert names([sight("a.generic", 0, 30), glued], a_generic=declared) == ["a.generic"]
        around = sight("b.specific", 0, 31, example=True)
        assert names([sight("a.generic", 0, 30), around], a_generic=declared) == ["a.generic"]
        same = sight("b.specific", 0, 30, example=True)
        assert names([sight("a.generic", 0, 30), same], a_generic=declared) == ["b.specific"]


def test_two_classes_in_one_place_both_stay() -> None:
    """A class that blocks is not hidden behind a longer one that does not; an example beside a real value goes."""
    iban = sight("p.iban", 0, 30, validated=True, data_class="financial.iban")
    card = sight("p.card", 5, 21, severity=Severity.LOW, data_class="financial.card")
    assert names([iban, card]) == ["p.iban", "p.card"]
    assert names([iban, card], p_card="p.iban") == ["p.iban"]
    assert names([iban, sight("p.card", 5, 21, example=True, data_class="financial.card")]) == ["p.iban"]
    assert names([iban, sight("p.card", 5, 21, status="test", data_class="financial.card")]) == ["p.iban"]


def test_star_gives_way_to_its_own_kind_only() -> None:
    """A generic detector gives way to every specific one of its kind, not to an address beside it."""
    specific = [sight("a.generic", 0, 30), sight("b.specific", 0, 30, severity=Severity.LOW)]
    assert names(specific, a_generic="*") == ["b.specific"]
    other = [sight("a.generic", 0, 30), sight("b.mail", 0, 30, severity=Severity.LOW, data_class="contact.email")]
    assert names(other, a_generic="*") == ["a.generic"]
    person = [sight("a.generic", 0, 30), sight("b.ssn", 0, 30, severity=Severity.LOW, data_class="government.ssn")]
    assert names(person, a_generic="*") == ["a.generic", "b.ssn"]
    both = [sight("a.generic", 0, 30), sight("b.generic", 5, 20)]
    assert names(both, a_generic="*", b_generic="*") == ["a.generic"]


def test_rank() -> None:
    """Stable before test, real before example, severe, validated, long, then by id."""
    assert names([sight("a.a", 0, 30, status="test"), sight("b.b", 0, 5)]) == ["b.b"]
    assert names([sight("a.a", 0, 30, example=True), sight("b.b", 0, 5)]) == ["b.b"]
    assert names([sight("a.a", 0, 30), sight("b.b", 0, 5, severity=Severity.CRITICAL)]) == ["b.b"]
    assert names([sight("a.a", 0, 30), sight("b.b", 0, 5, validated=True)]) == ["b.b"]
    assert names([sight("a.a", 0, 5), sight("b.b", 0, 9)]) == ["b.b"]
    assert names([sight("b.b", 0, 9), sight("a.a", 0, 9)]) == ["a.a"]


def test_order_of_arrival_does_not_matter() -> None:
    """Any order in gives the same out: two processes agree."""
    chance = random.Random(7)
    sightings = [
        sight(f"d{i}.x", start, start + chance.randint(1, 12), severity=chance.choice(list(Severity)))
        for i, start in enumerate(chance.choices(range(60), k=40))
    ]
    expected = names(list(sightings))
    for _ in range(20):
        chance.shuffle(sightings)
        assert names(list(sightings)) == expected


def test_nothing_kept_overlaps() -> None:
    """What stays of one class does not overlap within a part."""
    chance = random.Random(3)
    sightings = [sight(f"d{i}.x", s, s + chance.randint(1, 20)) for i, s in enumerate(chance.choices(range(80), k=60))]
    kept = most_specific(sightings, {s.detector.id: frozenset() for s in sightings})
    assert all(a.end <= b.start for a, b in itertools.pairwise(kept))


def test_a_long_chain_is_settled_quickly() -> None:
    """Ten thousand overlapping sightings cost a look at their neighbours each, not at one another."""
    chain = [sight("a.generic", i * 5, i * 5 + 8) for i in range(10_000)]
    kept = most_specific(chain, {"a.generic": frozenset({"*"})})
    assert 4_000 < len(kept) < 6_000
