"""A worker remembers parts that it has read: the same findings come for less, in the right place, and no part that was
not read whole is ever taken for clean."""

from __future__ import annotations

import threading
from copy import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.detect import benign, judgement
from sluice.detect.engine import Engine
from sluice.detect.evidence import Fingerprinter
from sluice.detect.novelty import MOST, SMALL, Novelty
from sluice.detect.scanning import Budget
from sluice.model import Detector, Finding, Part, PartKind, Provenance, Role

CARD = "card 4111 1111 1111 1111"
SSN = "ssn 536-90-4399"
PROSE = benign.prose(2 * SMALL)
KEY = b"n" * 32


def part(text: str, pointer: str = "/x", provenance: Provenance = Provenance.USER) -> Part:
    return Part(pointer, Role.USER, PartKind.TEXT, provenance, text)


@pytest.fixture(scope="module")
def few(detectors: tuple[Detector, ...]) -> tuple[Detector, ...]:
    """Enough detectors for these tests, few enough to compile in no time."""
    return tuple(d for d in detectors if d.id in {"payment.card-number", "us.ssn", "contact.email"})


@pytest.fixture
def remembering(few: tuple[Detector, ...]) -> Engine:
    return Engine(few, Fingerprinter(b"k" * 32, "t"), novelty=Novelty(KEY))


@pytest.fixture(scope="module")
def plain(few: tuple[Detector, ...]) -> Engine:
    return Engine(few, Fingerprinter(b"k" * 32, "t"))


def memory(engine: Engine) -> Novelty:
    assert engine.novelty is not None
    return engine.novelty


def as_new(findings: tuple[Finding, ...]) -> list[Finding]:
    return [replace(f, novelty="new") for f in findings]


TEXTS = st.sampled_from(["", "hello", CARD, SSN, PROSE, PROSE + CARD, "jane.doe@example.com and " + SSN, "x" * 600])
PARTS = st.lists(st.tuples(TEXTS, st.sampled_from(list(Provenance)), st.sampled_from(["/a", "/b", ""])), max_size=6)


@settings(deadline=None, max_examples=60)
@given(st.lists(PARTS, max_size=5))
def test_a_memory_changes_no_finding(
    few: tuple[Detector, ...], plain: Engine, turns: list[list[tuple[str, Provenance, str]]]
) -> None:
    """Whatever was read before: detector, place, pointer, provenance and order are those of a scan without a memory."""
    engine = Engine(few, Fingerprinter(b"k" * 32, "t"), novelty=Novelty(KEY))
    for turn in turns:
        parts = tuple(part(text, pointer, provenance) for text, provenance, pointer in turn)
        with_memory, without = engine.scan(parts), plain.scan(parts)
        assert as_new(with_memory.findings) == list(without.findings)
        assert (with_memory.scanned_bytes, with_memory.unread) == (without.scanned_bytes, without.unread)


def test_a_part_that_was_read_is_not_read_again(remembering: Engine) -> None:
    """The second scan of the same conversation reads the new turn only."""
    first = part(PROSE + CARD, "/messages/0/content")
    remembering.scan((first,))
    again = replace(first, provenance=Provenance.HISTORY)
    scan, work = remembering.measure((again, part(SSN, "/messages/2/content")))
    assert work.bytes == len(SSN)
    assert [(f.pointer, f.provenance, f.novelty) for f in scan.findings] == [
        ("/messages/0/content", Provenance.HISTORY, "history"),
        ("/messages/2/content", Provenance.USER, "new"),
    ]


def test_a_finding_goes_where_its_part_is_now(remembering: Engine) -> None:
    """A conversation that was cut at the front moves its parts: pointers follow."""
    remembering.scan((part(PROSE), part(CARD, "/messages/9/content")))
    (found,) = remembering.scan((part(CARD, "/messages/3/content", Provenance.HISTORY),)).findings
    assert (found.pointer, found.novelty) == ("/messages/3/content", "history")


@pytest.mark.parametrize("provenance", sorted(set(Provenance) - {Provenance.HISTORY, Provenance.SYSTEM}))
def test_what_the_current_turn_says_is_new(remembering: Engine, provenance: Provenance) -> None:
    """Sending a text twice does not make it history: a refused request that is tried again is as new as before."""
    for _ in range(3):
        assert [f.novelty for f in remembering.scan((part(CARD, "/x", provenance),)).findings] == ["new"]


@pytest.mark.parametrize("provenance", [Provenance.HISTORY, Provenance.SYSTEM])
def test_history_that_was_never_read_is_new(remembering: Engine, provenance: Provenance) -> None:
    """That a text stands in the history is the client's word: what this worker has not read is new."""
    seen = [remembering.scan((part(CARD, "/x", provenance),)).findings[0].novelty for _ in range(2)]
    assert seen == ["new", "history"]


def test_a_part_that_was_not_read_whole_is_read_again(few: tuple[Detector, ...]) -> None:
    """A part over the budget is unread every time, and never remembered as clean."""
    budget = Budget(floor=5, ceiling=5)
    engine = Engine(few, Fingerprinter(b"k" * 32, "t"), budget=budget, novelty=Novelty(KEY))
    text = "jane.doe@example.com " * 50
    for _ in range(3):
        assert [u.pointer for u in engine.scan((part(text),)).unread] == ["/x"]
    assert len(memory(engine)) == 0


def test_nothing_is_kept_of_a_scan_that_stopped_looking(few: tuple[Detector, ...]) -> None:
    """Where one part had enough of a detector for all of its provenance, no part of that scan is remembered."""
    engine = Engine(few, Fingerprinter(b"k" * 32, "t"), budget=Budget(per_detector=3), novelty=Novelty(KEY))
    many = " ".join(f"user{i}@example.com" for i in range(9))
    late = PROSE + " late@example.org"
    engine.scan((part(many, "/many"), part(late, "/late")))
    assert len(memory(engine)) == 0
    assert [f.pointer for f in engine.scan((part(late, "/late"),)).findings] == ["/late"]


def test_what_many_findings_say_together_is_said_of_the_whole_request(remembering: Engine, plain: Engine) -> None:
    """Fifty addresses are a list, whether they were read now or a turn ago, and are none when half of them are gone."""
    half = [" ".join(f"user{i}@example.com" for i in range(at, at + 30)) for at in (0, 30)]
    one, both = (part(half[0], "/0"),), (part(half[0], "/0"), part(half[1], "/1"))
    for parts in (one, both, both, one):
        bulk = [f.detector for f in remembering.scan(parts).findings if f.detector in judgement.LISTS]
        assert bulk == (["bulk.contact"] if parts is both else [])
        assert as_new(remembering.scan(parts).findings) == list(plain.scan(parts).findings)


def test_short_clean_texts_and_very_full_ones_are_not_kept(remembering: Engine) -> None:
    """What costs less to read than to remember is not remembered; a short text with a finding is."""
    remembering.scan((part("hello"), part(" ".join(f"u{i}@example.com" for i in range(MOST + 1)))))
    assert len(memory(remembering)) == 0
    remembering.scan((part(CARD), part(PROSE)))
    assert len(memory(remembering)) == 2


def test_the_memory_is_bounded(few: tuple[Detector, ...]) -> None:
    """Entries and bytes have a bound; what was not used for longest goes, and a part that went is read again."""
    engine = Engine(few, Fingerprinter(b"k" * 32, "t"), novelty=Novelty(KEY, entries=3))
    texts = [f"{CARD} number {i}" for i in range(5)]
    for text in texts:
        engine.scan((part(text),))
    assert len(memory(engine)) == 3
    assert engine.measure((part(texts[4]),))[1].bytes == 0
    assert engine.measure((part(texts[0]),))[1].bytes > 0
    small = Engine(few, Fingerprinter(b"k" * 32, "t"), novelty=Novelty(KEY, size=2_500))
    for text in texts:
        small.scan((part(text),))
    assert len(memory(small)) == 2
    assert memory(small).size <= 2_500


def test_no_text_is_in_the_memory(remembering: Engine) -> None:
    """Digests under a key of this process and sealed findings, nothing of a prompt and no name from its JSON."""
    remembering.scan((part(PROSE + CARD, "/input/PROJECT-ZEBRA"),))
    held = repr(vars(memory(remembering)) if hasattr(memory(remembering), "__dict__") else "")
    assert "1111 1111" not in held
    assert "ZEBRA" not in held
    assert PROSE[:20] not in held
    assert held


def test_another_key_makes_other_digests(few: tuple[Detector, ...]) -> None:
    """Two processes have no digest in common, so none can be looked up elsewhere."""
    one, other = Novelty(b"a" * 32).recall((part(PROSE),)), Novelty(b"b" * 32).recall((part(PROSE),))
    assert one.digests != other.digests


def test_threads_share_one_memory(remembering: Engine, plain: Engine) -> None:
    """Many threads scanning the same conversations see what one alone would."""
    requests = [(part(f"{PROSE} {i % 7} {CARD}"), part(f"{SSN} {i % 5}", "/y")) for i in range(40)]
    want = [as_new(plain.scan(r).findings) for r in requests]
    wrong: list[int] = []

    def work() -> None:
        for i, request in enumerate(requests):
            if as_new(remembering.scan(request).findings) != want[i]:
                wrong.append(i)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
