"""Cells of the console's tables: what people read of a value, and how much room it gets."""

from __future__ import annotations

import pytest

from sluice.console import rendering


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 subjects; phi.record", "1 subject; phi.record"),
        ("4 subjects; 1 keys", "4 subjects; 1 key"),
        ("11 subjects", "11 subjects"),
        ("v2.1 keys", "v2.1 keys"),
        ("used 1 times", "used 1 time"),
        ("", ""),
    ],
)
def test_one_of_a_thing_is_said_so(text: str, said: str) -> None:
    """Counts come from SQL with their noun in the plural; numbers and names stay as they are."""
    assert rendering.facts(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"changed":null,"id":"default","rules":7,"packs":["a","b"]}', "id: default, rules: 7, packs: a, b"),
        ("{", "{"),
        ("[1]", "[1]"),
        ('{"a":"x\\u202ey"}', "a: x y"),
    ],
)
def test_details_are_words(text: str, said: str) -> None:
    """JSON of a control record is shown as names and values, without what is not set and without control characters;
    a text that is none stays."""
    assert rendering.detail(text) == said


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("unreviewed", "word"),
        ("provider=deepseek", "word"),
        ("An AI service that is not sanctioned is in use", "text"),
        ("two words", ""),
        ("x" * 25, ""),
        ("2026-11-24 10:00:00", "nowrap"),
        (17000, ""),
    ],
)
def test_words_stay_whole(value: object, kind: str) -> None:
    """A word is not broken in its middle, a sentence gets room, and a long run of letters may be broken."""
    assert rendering.shape(value) == kind  # type: ignore[arg-type]
