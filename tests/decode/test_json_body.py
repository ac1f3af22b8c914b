"""JSON: every value of a repeated key, every document of a sequence, bounded in depth and number of values."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.errors import Opacity
from sluice.json_body import Document, parse, printable, step


def read(text: str, depth: int = 64, nodes: int = 10_000) -> Document:
    found = parse(text, depth=depth, nodes=nodes)
    assert isinstance(found, Document), found
    return found


def test_all_values_of_a_repeated_key() -> None:
    """Services differ on which value counts, so all are there, in order; `get` gives the last, as most take it."""
    value = read('{"a":"first","b":1,"a":{"a":2,"a":3}}').value
    assert list(value.items()) == [("a", "first"), ("b", 1), ("a", {"a": 3})]
    assert list(value.get("a").values()) == [2, 3]
    assert next(iter(value.values())) == "first"


def test_repeated_keys_in_other_spellings() -> None:
    """An escaped key is the same key."""
    assert len(list(read(r'{"model":"x","mo\u0064el":"y"}').value.items())) == 2


@pytest.mark.parametrize("text", ['\ufeff {"a":1}'[1:], ' \n\t{"a":1}\r\n '])
def test_blanks_around(text: str) -> None:
    """Blanks before and after change nothing."""
    assert read(text).value == {"a": 1}


@pytest.mark.parametrize("between", ["\n", "\r\n\r\n", " ", "", "\x1e"])
def test_documents_in_a_row(between: str) -> None:
    """JSON lines, concatenated and record-separated JSON: readers take the first document or all."""
    found = read(f'{{"a":1}}{between}{{"b":2}}{between}[3]')
    assert (found.value, found.sequence, found.rest) == ([{"a": 1}, {"b": 2}, [3]], True, "")


def test_rest_is_kept() -> None:
    """What follows the last document and is no JSON is not lost."""
    found = read('{"a":1}\n{"b":2}\nnot json {"c":3}')
    assert (found.value, found.rest) == ([{"a": 1}, {"b": 2}], 'not json {"c":3}')


@pytest.mark.parametrize(
    "text", ["", "  ", "hello", "{", '{"a"', "{'a':1}", '{"a":1,}', "12 apples", '"x" said he', "[01]"]
)
def test_no_json(text: str) -> None:
    """Text that no JSON reader takes, and prose that only begins like JSON."""
    assert parse(text, depth=64, nodes=100) is Opacity.BAD_JSON


def test_what_lenient_services_read() -> None:
    """NaN, control characters in strings, numbers of thousands of digits, half surrogates: read, never raised."""
    assert read('{"a":"x\ny\x01"}').value == {"a": "x\ny\x01"}
    assert read("[NaN, Infinity, 1e999]").nodes == 4
    assert read("[" + "9" * 5000 + "]").value == ["9" * 5000]
    assert read(r'["\ud800"]').value == ["\ud800"]


def test_depth_limit() -> None:
    """As many levels as allowed, and not one more; a million brackets neither crash nor raise."""
    assert read("[" * 9 + "1" + "]" * 9, depth=9).depth == 10
    assert parse("[" * 10 + "1" + "]" * 10, depth=9, nodes=100) is Opacity.DEPTH_LIMIT
    assert parse("[" * 10**6, depth=64, nodes=10**7) is Opacity.DEPTH_LIMIT
    assert parse('{"a":' * 10**6, depth=64, nodes=10**7) is Opacity.DEPTH_LIMIT


def test_node_limit() -> None:
    """As many values as allowed, and not one more, in one document or in many."""
    assert read("[1,2,3]", nodes=4).nodes == 4
    assert parse("[1,2,3,4]", depth=64, nodes=4) is Opacity.NODE_LIMIT
    assert parse("1\n" * 100, depth=64, nodes=50) is Opacity.NODE_LIMIT
    assert parse("[" + "[]," * 10_000 + "[]]", depth=64, nodes=1000) is Opacity.NODE_LIMIT


def test_commas_in_text_are_no_nodes() -> None:
    """Prose full of commas and brackets is not counted as structure."""
    assert read(json.dumps(['a, b [c] {d}, \\"' * 1000]), nodes=10).nodes == 2


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
        max_leaves=20,
    )
)
def test_agrees_with_the_standard_library(value: object) -> None:
    """Whatever was encoded comes back."""
    assert read(json.dumps(value)).value == value


@given(st.text())
def test_parse_never_raises(text: str) -> None:
    """Any text gives a document or a reason."""
    assert parse(text, depth=8, nodes=50) is not None


def test_printable_keeps_length() -> None:
    """Half surrogates are replaced one for one, so that offsets stay right; whole characters stay."""
    assert printable("a\ud800b😀\udfff") == "a\ufffdb😀\ufffd"


def test_pointer_steps() -> None:
    """RFC 6901 escapes, and a key that UTF-8 cannot carry."""
    assert [step("a/b~c"), step("plain"), step("\ud800")] == ["a~1b~0c", "plain", "\ufffd"]
