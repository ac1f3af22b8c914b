"""Charsets and media types: bytes are read as the service reads them, and not at all where readers differ."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.config import Limits
from sluice.decode import open_body, read_text, text
from sluice.errors import Opacity
from sluice.model import Payload

BODY = '{"q":"Grüße, 4111 1111 1111 1111"}'
WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")


def payload(body: bytes, *content_types: str) -> Payload:
    return open_body(body, tuple(("Content-Type", value) for value in content_types), Limits(), lambda: 0.0)


@pytest.mark.parametrize("encoding", WIDE)
def test_wide_json_is_found_by_its_nuls(encoding: str) -> None:
    """UTF-16 and UTF-32 without a mark or declaration: JSON parsers find them by the NULs, so do we."""
    assert read_text(BODY.encode(encoding)) == BODY


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_byte_order_marks(mark: bytes, encoding: str) -> None:
    """A mark wins over everything and is no part of the text."""
    assert read_text(mark + BODY.encode(encoding), "utf-8") == BODY


@pytest.mark.parametrize("charset", ["utf-8", "UTF8", "us-ascii", '"utf-8"'])
def test_declared_utf8(charset: str) -> None:
    """The usual declarations, quoted or not, in any case."""
    assert text(payload(BODY.encode(), f"application/json; charset={charset}")) == BODY


@pytest.mark.parametrize("charset", ["utf-7", "iso-2022-jp", "shift_jis", "utf-8, utf-16", "rot13", "ebcdic-cp-us"])
def test_other_charsets_are_opaque(charset: str) -> None:
    """A charset outside the list makes the body opaque, whatever its bytes look like."""
    read = payload(b"+AHsAIgBxACIAOgAx-", f'application/json; charset="{charset}"')
    assert read.opacity is Opacity.BAD_CHARSET
    assert text(read) is Opacity.BAD_CHARSET


def test_two_charsets_are_opaque() -> None:
    """A charset given twice with different values means two readings."""
    read = payload(b"{}", "application/json; charset=utf-8; charset=utf-16")
    assert read.opacity is Opacity.BAD_CHARSET


def test_declared_utf16_over_valid_utf8_is_opaque() -> None:
    """Services that ignore the declaration read UTF-8; those that follow it read something else."""
    assert read_text(b'{"q":"plain"}', "utf-16") is Opacity.BAD_CHARSET
    assert read_text("請求書の件".encode("utf-16-le"), "utf-16le") == "請求書の件"


def test_single_byte_text() -> None:
    """Bytes that are no UTF-8 are Windows-1252 where declared, else Latin-1; every byte has a character."""
    assert read_text("naïve – 5€".encode("cp1252"), "windows-1252") == "naïve – 5€"
    assert read_text("naïve".encode("latin-1"), "iso-8859-1") == "naïve"
    assert read_text(bytes(range(128, 256)), "windows-1252") == bytes(range(128, 256)).decode("latin-1")


def test_damaged_wide_text_is_opaque() -> None:
    """A mark promises an encoding; half a character breaks the promise."""
    assert read_text(codecs.BOM_UTF16_LE + b"a\0b") is Opacity.BAD_CHARSET


@given(st.binary(max_size=64), st.sampled_from([None, "utf-8", "utf-16", "windows-1252", "utf-7", "us-ascii"]))
def test_read_text_never_raises(data: bytes, charset: str | None) -> None:
    """Any bytes under any declaration are text or a reason."""
    assert isinstance(read_text(data, charset), str)


@pytest.mark.parametrize(
    ("value", "media_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", "multipart/form-data", "abc"),
        ('Multipart/Form-Data; boundary="a b c"', "multipart/form-data", "a b c"),
        ("multipart/form-data; boundary=abc; boundary=def", "multipart/form-data", None),
        ("multipart/form-data; boundary=a\u00e9", "multipart/form-data", None),
        ("multipart/form-data", "multipart/form-data", None),
        ("not a type", "", None),
        ("application/json;charset=utf-8", "application/json", None),
    ],
)
def test_content_type(value: str, media_type: str, boundary: str | None) -> None:
    """Media type and boundary, and no boundary where readers could take different ones."""
    read = payload(b"x", value)
    assert (read.media_type, read.boundary) == (media_type, boundary)


def test_content_types_that_disagree_name_nothing() -> None:
    """Two different Content-Type headers: only the bytes count then."""
    read = payload(b"{}", "application/json", "multipart/form-data; boundary=x")
    assert (read.media_type, read.boundary) == ("", None)
