"""A small, fixed form of `make quality`: the measured aims hold, and the report has its place."""

from __future__ import annotations

import pytest

from sluice.detect.engine import Engine
from tests.quality import clean, fuzz, measure, planted
from tests.quality.__main__ import BEGIN, END, PEERS_BEGIN, PEERS_END, README
from tests.quality.measure import FAMILIES, Tally


@pytest.fixture(scope="module")
def planted_tally(engine: Engine) -> Tally:
    """Two rounds of every kind of secret and of personal data."""
    return measure.measure(planted.documents(2), measure.ours(engine))


@pytest.mark.parametrize("family", [f for f, goal in FAMILIES.items() if goal])
def test_what_is_planted_is_found_as_often_as_asked(planted_tally: Tally, family: str) -> None:
    """Each family of values reaches its recall, within the chance of a small sample."""
    assert measure.recall(planted_tally, family) >= FAMILIES[family] - 0.05


def test_no_clean_document_is_blocked_and_few_are_flagged(engine: Engine) -> None:
    """Tempting text with nothing in it passes the shipped policy, and 20 of 1,000 at most have a medium finding."""
    tally = measure.measure(clean.documents(500), measure.ours(engine))
    assert tally.flagged["block"] == 0, [f for f in tally.false if f[0].startswith("block")]
    assert tally.flagged["medium"] <= 10


def test_the_corpora_are_the_same_every_time() -> None:
    """Documents are drawn from fixed seeds; private keys alone are made anew."""
    first, again = list(planted.personal(1)), list(planted.personal(1))
    assert [d.text for d in first] == [d.text for d in again]
    assert all(d.text[p.start : p.end] for d in first for p in d.planted)


def test_mutated_text_breaks_nothing() -> None:
    """Spans lie inside, findings repeat here and in another process, work stays in proportion."""
    count, wrong = fuzz.run(60, seed=7, most=60)
    assert count == 60
    assert wrong == []


def test_the_report_has_its_place() -> None:
    """`make quality` writes between these markers."""
    text = README.read_text("utf-8")
    for begin, end in ((BEGIN, END), (PEERS_BEGIN, PEERS_END)):
        assert 0 < text.find(begin) < text.find(end)
