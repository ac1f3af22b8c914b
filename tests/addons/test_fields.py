"""Our header look-up answers as mitmproxy's does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http

from addons.fields import Fields

NAMES = ["host", "Host", "content-length", "TRANSFER-Encoding", "x", "X", ""]
names = st.sampled_from([n.encode() for n in NAMES])
values = st.binary(max_size=6)


@given(st.lists(st.tuples(names, values), max_size=8), st.sampled_from([*NAMES, "cookie"]))
def test_same_answers(fields: list[tuple[bytes, bytes]], asked: str) -> None:
    """For any fields and any name: the same value, the same absence, the same list, by text and by bytes."""
    theirs = http.Headers(fields)
    ours = Fields.of(theirs)
    for name in (asked, asked.encode()):
        assert ours.get(name) == theirs.get(name)
        assert ours.get(name, "none") == theirs.get(name, "none")
        assert (name in ours) == (name in theirs)
        assert ours.get_all(name) == theirs.get_all(name)
    try:
        expected = theirs[asked]
    except KeyError:
        expected = None
    try:
        found = ours[asked]
    except KeyError:
        found = None
    assert found == expected
    assert ours.fields == theirs.fields
    assert bytes(ours) == bytes(theirs)


def test_changing_works_as_before() -> None:
    """Adding, replacing and removing fields, and copying, do what they do in mitmproxy's own class."""
    theirs = http.Headers([(b"A", b"1"), (b"B", b"2"), (b"a", b"5")])
    ours = Fields.of(theirs)
    for headers in (ours, theirs):
        assert headers.get_all("a") == ["1", "5"]  # each change is seen by the look-up after it
        headers["a"] = "3"
        assert headers.get_all("a") == ["3"]
        headers.insert(0, "C", "0")
        assert headers["c"] == "0"
        del headers["b"]
        assert "b" not in headers
        headers.add("D", "7")
        assert headers["d"] == "7"
        assert headers.pop("c") == "0"
        assert "c" not in headers
    assert ours.fields == theirs.fields
    copied = ours.copy()
    copied["a"] = "4"
    assert (ours["a"], copied["a"]) == ("3", "4")
