"""Work is linear in the text and bounded, and what the bound leaves out is said."""

from __future__ import annotations

import pytest

from sluice.detect.engine import Engine
from sluice.detect.evidence import Fingerprinter
from sluice.detect.scanning import Budget, Work
from sluice.errors import Opacity
from sluice.model import Detector, Part, PartKind, Provenance, Role, Scan

UNIT = 60_000
HOSTILE = {
    "digits": "1234567890",
    "one digit": "4",
    "signs": "a@",
    "addresses": "a@b.cc ",
    "tokens": "eyJ",
    "token heads": "eyJabcdefghijk.",
    "key prefixes": "sk-proj-",
    "key beginnings": "-----BEGIN PRIVATE KEY-----\n",
    "keys without end": "-----BEGIN RSA PRIVATE KEY-----\n" + "A" * 64 + "\n",
    "assignments": "password=",
    "quoted": 'password="',
    "addresses with hosts": "https://a:b",
    "groups of four": "4111 ",
    "keywords": "ssn ",
    "numbers and keywords": "ssn 123456789 ",
    "phones": "phone 030 1234567 ",
    "percent": "%41",
    "percent of percent": "%2525",
    "escapes": "\\u0041",
    "entities": "&#65;",
    "invisible": "4\u200b",
    "base64": "QUJDREVGR0hJSktMTU5P",
    "base64 runs": "QUJDREVGR0hJSktMTU5PQUJDREVGR0hJSktMTU5P ",
    "accounts": "GB82 WEST ",
    "dots": "1.2.3.",
    "colons": "ab:",
    "connection strings": "server=a;",
    "putty": "PuTTY-User-Key-File-2: ssh-rsa ",
    "users": "username: a\npassword: ",
    "percent signs": "%",
    "ampersands": "&#",
    "backslashes": "\\",
    "half escapes": "\\u",
    "equals signs": "=",
    "quoted-printable": "=3D=41",
    "soft breaks": "some words of a letter that is longer than a line of a mail may be, so =\n",
    "wrapped base64": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xt\n",
    "tiny encodings": "QUJDREVGR0hJSktMTU5PUFFS %41 &#65; \\x41 ",
    "hexadecimal": "4142434445464748494a4b4c4d4e4f50",
    "codes": "41 42 43 ",
    "decimal codes": "65, 66, ",
    "quotes": '"',
    "joined strings": "'a' + ",
    "adjacent strings": '"a" ',
    "lists": "'a', ",
    "beginnings of keys": "AKIA ",
    "broken keys": "ghp_ ab12 ",
    "spelled keys": "A K I A 1 2 ",
    "backwards": "AIKA ",
    "single digits": "4 1 ",
    "digits and dashes": "4111-",
    "look-alikes": "\u0410K\u0406A ",
    "marks": "a\u0336",
    "Russian": "\u043f\u0440\u0438\u0432\u0435\u0442 ",
}


def measure(engine: Engine, text: str) -> tuple[Scan, Work]:
    return engine.measure((Part("/x", Role.USER, PartKind.TEXT, Provenance.USER, text),))


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
def test_work_is_linear_on_hostile_text(engine: Engine, piece: str) -> None:
    """Twice the text costs at most about twice the work, counted in bytes, candidates and units."""
    _, once = measure(engine, piece * (UNIT // len(piece)))
    _, twice = measure(engine, piece * (2 * UNIT // len(piece)))
    for name in ("bytes", "candidates", "units"):
        assert getattr(twice, name) <= 2.2 * getattr(once, name) + 2_000, name


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
def test_work_stays_within_the_budget(detectors: tuple[Detector, ...], engine: Engine, piece: str) -> None:
    """No text makes a scan cost more than its budget, and one that would is partly read, never clean."""
    small = Engine(detectors[:0], Fingerprinter(b"k" * 32, "t"))
    assert small.scan(()).findings == ()
    budget = Budget()
    scan, work = measure(engine, piece * (UNIT // len(piece)))
    size = scan.scanned_bytes
    limit = min(budget.floor + size // budget.share, budget.ceiling)
    assert work.candidates <= limit
    assert work.units <= limit + 2_200
    assert work.bytes <= size + max(budget.view_floor, budget.view_ratio * size) + 2 * size


def tight(detectors: tuple[Detector, ...], **limits: int) -> Engine:
    chosen = [d for d in detectors if d.id in {"contact.email", "us.ssn", "aws.access-key-id", "us.ssn-context"}]
    return Engine(chosen, Fingerprinter(b"k" * 32, "t"), budget=Budget(**limits))


def test_candidates_over_budget_make_the_part_partial(detectors: tuple[Detector, ...]) -> None:
    """hyperscan is stopped when it reports too much, and the parts that it did not finish are unread."""
    engine = tight(detectors, floor=20, ceiling=20)
    parts = tuple(
        Part(pointer, Role.USER, PartKind.TEXT, Provenance.USER, text)
        for pointer, text in (("/a", "plain"), ("/b", "a@b " * 50), ("/c", "after"))
    )
    scan = engine.scan(parts)
    assert {(u.pointer, u.reason) for u in scan.unread} == {("/b", Opacity.BUDGET), ("/c", Opacity.BUDGET)}
    assert {u.size for u in scan.unread} == {200, 5}


def test_confirmations_over_budget_make_the_part_partial(detectors: tuple[Detector, ...]) -> None:
    """The same when the hits are few enough but cost too much to confirm."""
    engine = tight(detectors, floor=60, ceiling=60)
    scan = engine.scan((Part("/b", Role.USER, PartKind.TEXT, Provenance.USER, "a@b " * 40),))
    assert [(u.pointer, u.reason) for u in scan.unread] == [("/b", Opacity.BUDGET)]


def test_views_over_budget_make_the_part_partial(detectors: tuple[Detector, ...]) -> None:
    """Disguise that is too large to undo leaves the part partly read; its plain text is scanned all the same."""
    engine = tight(detectors, view_floor=100, view_ratio=0)
    text = "%41" * 200 + " 536-90-4399"
    scan = engine.scan((Part("/b", Role.USER, PartKind.TEXT, Provenance.USER, text),))
    assert [f.detector for f in scan.findings] == ["us.ssn"]
    assert [(u.pointer, u.reason) for u in scan.unread] == [("/b", Opacity.BUDGET)]


def test_places_over_budget_make_the_part_partial(detectors: tuple[Detector, ...]) -> None:
    """More escapes than are undone: said, not passed over."""
    engine = tight(detectors, places=10)
    scan = engine.scan((Part("/b", Role.USER, PartKind.TEXT, Provenance.USER, "%41 " * 50),))
    assert [u.reason for u in scan.unread] == [Opacity.BUDGET]


def test_a_flood_of_one_kind_hides_nothing(detectors: tuple[Detector, ...]) -> None:
    """A detector that was seen often enough stops, the others go on, and the text counts as read."""
    engine = tight(detectors, per_detector=50)
    text = "".join(f"user{i}@example.com " for i in range(500)) + " 536-90-4399"
    scan = engine.scan((Part("/b", Role.USER, PartKind.TEXT, Provenance.USER, text),))
    assert sum(f.detector == "contact.email" for f in scan.findings) == 50
    assert scan.findings[-1].detector == "us.ssn"
    assert scan.unread == ()


def test_a_flood_is_counted_apart_by_provenance(detectors: tuple[Detector, ...]) -> None:
    """A policy may treat the user's text otherwise than a tool's: a flood in one does not silence the other."""
    engine = tight(detectors, per_detector=5)
    flood = "".join(f"user{i}@example.com " for i in range(50))
    scan = engine.scan(
        (
            Part("/tool", Role.TOOL_RESULT, PartKind.TEXT, Provenance.TOOL_RESULT, flood),
            Part("/user", Role.USER, PartKind.TEXT, Provenance.USER, "me@example.com"),
        )
    )
    assert [f.pointer for f in scan.findings][-1] == "/user"


def test_examples_do_not_use_up_the_real_ones(detectors: tuple[Detector, ...]) -> None:
    """A thousand documented samples in front of a key do not hide the key."""
    engine = tight(detectors, per_detector=20)
    text = "AKIAIOSFODNN7EXAMPLE " * 100 + "AKIA" + "QWERTYUIOPASDFGH"
    scan = engine.scan((Part("/b", Role.USER, PartKind.TEXT, Provenance.USER, text),))
    assert [f.example for f in scan.findings].count(False) == 1


def test_findings_over_budget_keep_the_severe_ones(detectors: tuple[Detector, ...]) -> None:
    """When too many remain, the least severe go, and the part is partly read."""
    engine = tight(detectors, findings=10)
    text = "".join(f"user{i}@example.com " for i in range(30)) + " 536-90-4399"
    scan = engine.scan((Part("/b", Role.USER, PartKind.TEXT, Provenance.USER, text),))
    assert len(scan.findings) == 10
    assert scan.findings[-1].detector == "us.ssn"
    assert [u.reason for u in scan.unread] == [Opacity.BUDGET]
