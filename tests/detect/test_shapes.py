"""From a pattern to a head for hyperscan and an `re` that confirms."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.detect import shapes
from sluice.detect.shapes import REACH, Unusable, analyse, beginnings


def test_head_ends_at_the_first_wide_repeat() -> None:
    """A key of any length makes one hit, at a place that fixes where it begins."""
    shape = analyse(r"\b(sk-ant-api\d{2}-[A-Za-z0-9_-]{24,200})\b")
    assert shape.exact
    assert shape.least == shape.most == len("sk-ant-api00-") + 16
    assert re.fullmatch(shape.head, "sk-ant-api03-" + "a" * 16)
    assert not re.fullmatch(shape.head, "sk-ant-api03-" + "a" * 17)


def test_optional_end_is_left_out() -> None:
    """What may be missing at the end is not asked of hyperscan."""
    assert analyse(r"(abcd)(?:[ -]\d{4})?").head == "abcd"


def test_leading_repeat_becomes_a_walk_back() -> None:
    """An address is found by its sign: one character before it in the head, the rest behind one walk backwards."""
    shape = analyse(r"\b([A-Za-z0-9._%+-]{1,64}@[a-z]{1,63}\.[a-z]{2})\b")
    assert shape.back == 63
    assert shape.lead is not None
    assert shape.head.count("{") == 0


def test_boundary_stays_where_there_is_no_literal() -> None:
    """A row of digits without its left boundary would fire at every digit of a longer row."""
    assert r"\b" in analyse(r"\b(\d{13,19})\b").head
    assert not analyse(r"\b(AKIA[A-Z0-9]{16})\b").head.startswith(r"(?:\b")


def test_look_around_is_hidden_from_hyperscan() -> None:
    """hyperscan has none; `re` honours it."""
    shape = analyse(r"(?<![a-z])(foo-\d{4})(?!\d)")
    assert "?<" not in shape.head
    assert "?!" not in shape.head
    assert shape.confirm.search("xfoo-1234") is None
    assert shape.confirm.search("foo-12345") is None
    assert shape.confirm.search("foo-1234x") is not None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("AKIAABCDEFGHIJKLMNOP", True),
        ("xAKIAABCDEFGHIJKLMNOP", False),
        (r"\nAKIAABCDEFGHIJKLMNOP", True),
        (r"\u0022AKIAABCDEFGHIJKLMNOP", True),
        ("%22AKIAABCDEFGHIJKLMNOP", True),
        ("AKIAABCDEFGHIJKLMNOPQ", False),
    ],
)
def test_front_boundary_knows_escapes(text: str, found: bool) -> None:
    """In text of text a key stands right behind an escape, whose last letter is no part of a word."""
    assert bool(analyse(r"\b(AKIA[A-Z0-9]{16})\b").confirm.search(text)) is found


@pytest.mark.parametrize(
    ("text", "found"),
    [("123-45-6789", True), ("0.123-45-6789", True), ("9-123-45-6789", False), ("123-45-6789-1", False)],
)
def test_boundary_beside_digits_sees_longer_numbers(text: str, found: bool) -> None:
    """A part of a longer number is not the number."""
    expected = found and not text.startswith("0.")
    assert bool(analyse(r"\b(\d{3}-\d{2}-\d{4})\b").confirm.search(text)) is expected


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        (r"(a)(b)", "capture groups"),
        (r"(abc)\1", "back-reference"),
        (r"abc.*", "upper bound"),
        (rf"abc[a-z]{{1,{REACH + 5}}}", "upper bound"),
        (r"(?:abc)?", "no required beginning"),
        (r"(abc", "not a regular expression"),
        (r"(?s)abc", "inline flag"),
    ],
)
def test_unusable_patterns_say_why(pattern: str, complaint: str) -> None:
    """Whoever writes a pattern reads what is wrong with it."""
    with pytest.raises(Unusable, match=complaint):
        analyse(pattern)


def test_branches_keep_their_required_parts() -> None:
    """An alternation in the middle is kept whole; one at the end is cut in each branch."""
    shape = analyse(r"((?:postgres(?:ql)?|mysql)://[^\s:@]{1,64}:x)")
    assert re.fullmatch(shape.head, "postgresql://u")
    assert re.fullmatch(shape.head, "mysql://u")
    assert not re.fullmatch(shape.head, "mysql")


def test_negated_classes_are_read_as_characters() -> None:
    """A class that excludes may match outside ASCII, so hyperscan must read UTF-8 for it."""
    assert analyse(r"key=([^\s]{6})").utf8
    assert not analyse(r"key=([a-z]{6})").utf8


@pytest.mark.parametrize(
    ("head", "texts"),
    [
        (r"(?:Mr|Sr|(?:a|b)c)\x2e? x", [r"Mr\x2e? x", r"Sr\x2e? x", r"ac\x2e? x", r"bc\x2e? x"]),
        (r"(?:a|\(b|\)c)", ["a", r"\(b", r"\)c"]),
        ("(?:a|b)?c", ["(?:a|b)?c"]),
        ("(?:a|b){2}c", ["(?:a|b){2}c"]),
        ("a(?:b|c)", ["ab", "ac"]),
        (r"\x2da(?:b|c)(?:d|e)", [r"\x2dab(?:d|e)", r"\x2dac(?:d|e)"]),
        ("abc(?:d|e)", ["abc(?:d|e)"]),
        (r"(?:\b|[nrtbf])(?:a|b)", [r"(?:\b|[nrtbf])(?:a|b)"]),
    ],
)
def test_a_head_that_begins_with_a_choice_is_one_expression_for_each(head: str, texts: list[str]) -> None:
    """What the alternatives match is what the head matches; a choice that may be left out is not taken apart."""
    assert beginnings(head) == [(text, False) for text in texts]
    assert beginnings(f"(?i:{head})") == [(text, True) for text in texts] or head.startswith(r"(?:\b")


@pytest.mark.parametrize(
    ("head", "literal", "capital"),
    [
        ("abc[0-9]{3}", 3, False),
        (r"[A-Z]{2}[0-9]{2}ab\b", 2, True),
        (r"(?:\b|[nrtbf])[A-Z]{3}", 0, True),
        (r"(?:[0-9A-F]{1,4}\x3a){7}[0-9a-f]", 0, True),
        (r"(?:[0-9A-Fa-f]{1,4}\x3a){7}[0-9a-f]", 0, False),
        (r"(?:\b|[nrtbf])A{20,22}[A-Za-z0-9]{70}", 20, True),
    ],
)
def test_a_head_tells_what_it_is_found_by(head: str, literal: int, capital: bool) -> None:
    """Heads with literal characters stand together, and of the others those that begin with a capital or a digit."""
    assert (shapes.literal(head), shapes.capital(head)) == (literal, capital)


def test_an_alternative_of_a_head_tells_where_its_match_begins() -> None:
    """One alternative is not as wide as all of them, and its own characters say where it stands."""
    (one, _), (two, _) = beginnings("(?:se(?:cret)?[0-9]|token)")
    assert shapes.measure(two, caseless=False) == (5, 5, None)
    least, most, opening = shapes.measure(one, caseless=True)
    assert (least, most) == (3, 7)
    assert opening is not None
    assert [m.start() for m in opening.finditer("a SE1 es sE2")] == [2, 9]


@pytest.mark.parametrize(
    ("pattern", "caseless", "needs"),
    [
        (r"\b(\d{3}-\d{2})\b", False, ""),
        (r"(?i:vendor)[\s\S]{0,60}?(sk_[a-z]{4})", False, "sk_"),
        (r"x[a-z]{2,40}(?:ab|cd)", True, ""),
    ],
)
@given(st.lists(st.sampled_from(["123-45", "vendor ", "VENDOR", "sk_abcd", "xab", "XYcd", "-", "9"]), max_size=9))
def test_places_are_found_by_their_first_characters(
    pattern: str, caseless: bool, needs: str, pieces: list[str]
) -> None:
    """Looking where a match may begin finds what trying every place finds; what a match needs stands in each."""
    text = "".join(pieces)
    shape = analyse(pattern, caseless=caseless)
    assert shape.needs == needs
    quick, slow = shape.search(text, 0, len(text)), shape.confirm.search(text)
    assert (quick and quick.span()) == (slow and slow.span())
    assert slow is None or needs in slow[0]
