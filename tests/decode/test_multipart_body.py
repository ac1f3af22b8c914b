"""multipart/form-data: every byte is in a part, or the form is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.errors import Opacity
from sluice.multipart_body import FormPart, split

NAME = 'Content-Disposition: form-data; name="{}"'


def form(*parts: tuple[str, bytes], boundary: str = "b0undary", before: bytes = b"", after: bytes = b"\r\n") -> bytes:
    body = b"".join(b"--%s\r\n%s\r\n\r\n%s\r\n" % (boundary.encode(), head.encode(), data) for head, data in parts)
    return before + body + f"--{boundary}--".encode() + after


def one(head: str, data: bytes = b"x") -> FormPart:
    found = split(form((head, data)), "b0undary", parts=10)
    assert isinstance(found, tuple), found
    return found[0]


def test_fields_and_files() -> None:
    """Names, file names, types and bytes, in order."""
    file = NAME.format("file") + '; filename="a b.csv"\r\nContent-Type: text/csv; charset=UTF-8'
    found = split(form((NAME.format("model"), b"m"), (file, b"a\r\n\r\n--b\r\n")), "b0undary", parts=10)
    assert found == (
        FormPart("model", None, None, None, b"m"),
        FormPart("file", "a b.csv", "text/csv", "utf-8", b"a\r\n\r\n--b\r\n", "Content-Type: text/csv; charset=UTF-8"),
    )


@pytest.mark.parametrize(
    "body",
    [
        form((NAME.format("a"), b"1"), before=b"secret preamble\r\n"),
        form((NAME.format("a"), b"1"), after=b"\r\nsecret epilogue"),
        form((NAME.format("a"), b"1")) + form((NAME.format("b"), b"2")),
        form((NAME.format("a"), b"1")).replace(b"\r\n", b"\n"),
        form((NAME.format("a"), b"1"))[:-4],
        form((NAME.format("a") + "\r\nContent-Transfer-Encoding: base64", b"c2VjcmV0")),
        form(("Content-Type: text/plain", b"no name")),
        form(("Content-Disposition: attachment", b"no form field")),
        form((NAME.format("a") + "\r\n folded", b"1")),
        b"{}",
        b"",
    ],
)
def test_what_readers_take_differently_is_refused(body: bytes) -> None:
    """Text outside the parts, two forms in one, bare line feeds, a missing end, encodings inside parts."""
    assert split(body, "b0undary", parts=10) is Opacity.BAD_MULTIPART


def test_no_boundary() -> None:
    """Without a boundary there are no parts."""
    assert split(form((NAME.format("a"), b"1")), None, parts=10) is Opacity.BAD_MULTIPART


def test_part_limit() -> None:
    """At most as many parts as allowed."""
    body = form(*[(NAME.format("a"), b"1")] * 11)
    assert split(body, "b0undary", parts=10) is Opacity.PART_LIMIT
    assert len(split(body, "b0undary", parts=11)) == 11


@pytest.mark.parametrize(
    "head",
    [
        NAME.format("a") + "\r\nX-Note: 4111 1111 1111 1111",
        'Content-Disposition: form-data; name="a"; note="4111 1111 1111 1111"',
        'Content-Disposition: form-data; name="a"; filename="x"; filename*=utf-8\'\'4111%201111%201111%201111',
        NAME.format("a") + "\r\nContent-Type: text/plain; note=4111 1111 1111 1111",
    ],
)
def test_unusual_headers_of_a_part_are_kept(head: str) -> None:
    """Header lines of a part that say more than name, file name and type are text to scan."""
    assert "4111" in one(head).extra


@given(st.binary(max_size=200), st.text(max_size=20))
def test_split_never_raises(data: bytes, boundary: str) -> None:
    """Any bytes with any boundary give parts or a reason."""
    assert isinstance(split(data, boundary, parts=10), tuple | Opacity)


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_round_trip_of_values(values: list[bytes]) -> None:
    """Whatever bytes the parts hold come back, when the boundary is not among them."""
    found = split(form(*[(NAME.format(f"f{i}"), value) for i, value in enumerate(values)]), "b0undary", parts=10)
    assert isinstance(found, tuple)
    assert [part.data for part in found] == values


@pytest.mark.parametrize("name", ["AKIAIOSFODNN7EXAMPLE", "X-Note-AKIAIOSFODNN7EXAMPLE", "x-akiaIOSFODNN7EXAMPLE"])
def test_header_names_of_a_part_keep_their_case(name: str) -> None:
    """A key in the name of a header of a part is kept as it was written, in the part that has it."""
    found = split(form((NAME.format("a"), b"1"), (NAME.format("b") + f"\r\n{name}: 1", b"2")), "b0undary", parts=10)
    assert isinstance(found, tuple)
    assert found[0].extra == ""
    assert name in found[1].extra.replace(":", "\n").split("\n")


@pytest.mark.parametrize(
    ("value", "extra"),
    [("text/plain", ""), ("text/AbC", "Content-Type: text/AbC"), ("image/png; x=Y", "Content-Type: image/png; x=Y")],
)
def test_an_unusual_media_type_is_text(value: str, extra: str) -> None:
    """What a client writes as the type of a part is scanned as it was written, unless it is one of a few."""
    assert one(NAME.format("a") + f"\r\nContent-Type: {value}").extra == extra
