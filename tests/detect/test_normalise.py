"""Taking disguise off, and finding the way back."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.detect import escapes, normalise
from sluice.detect.databases import Databases
from sluice.detect.normalise import decode_runs, suspicious, unescape

LIMIT = 10_000


def view(text: str) -> str:
    """The text with one level of disguise off, or itself."""
    found, complete = unescape(text, LIMIT)
    assert complete
    return found.text if found else text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (r"\u0041\u004bIA", "AKIA"),
        (r"\x41KIA", "AKIA"),
        (r"\u{41}KIA", "AKIA"),
        (r"\\u0041KIA", "AKIA"),
        (r"\ud83d\ude00!", "😀!"),
        ("&#65;KIA", "AKIA"),
        ("&#x41;KIA", "AKIA"),
        ("a&amp;b", "a&b"),
        ("%41KIA", "AKIA"),
        ("p%C3%A4ss", "päss"),
        ("ＡＫＩＡ", "AKIA"),
        ("４１１１", "4111"),
        ("٤١١١", "4111"),
        ("𝟒𝟏𝟏𝟏", "4111"),
        ("4\u200b1\u200b1", "411"),
        ("A\u00adK\u2060IA", "AKIA"),
        ("4111\u00a01111", "4111 1111"),
        ("4111\u20131111", "4111-1111"),
        ("\U000e0041\U000e0042", "AB"),
    ],
)
def test_one_level_is_undone(text: str, plain: str) -> None:
    """Each way of writing a character otherwise gives the character."""
    assert suspicious(text)
    assert view(text) == plain


@pytest.mark.parametrize(
    "text",
    [
        "plain text, 100% of it & more",
        "Zürich — “quoted” – and so on…",
        "这是一段中文，有标点。",
        "👩‍💻 ❤️ fine",
        "10 m², 5 km",
        r"C:\users\name and \n and \t",
        "%DB_PASS%",
        "R&D; AT&T",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    """Typography, emoji and paths are no disguise, and cost no second scan."""
    assert view(text) == text


@given(
    st.lists(
        st.sampled_from(["abc", " ", r"\u0041", "&lt;", "%20", "１２", "x\u200by", "😀", "é", "\\n", "~"]), max_size=12
    )
)
def test_spans_lead_back(pieces: list[str]) -> None:
    """Every stretch of a view maps into the source, in order, and copied characters map to themselves."""
    text = "".join(pieces)
    found, _ = unescape(text, LIMIT)
    if found is None:
        return
    last = 0
    for i in range(len(found.text)):
        start, end = found.spans.back(i, i + 1)
        assert 0 <= start <= end <= len(text)
        assert start >= last or text[start:end] == text[last:end]
        last = max(last, start)
    if found.text:
        start, end = found.spans.back(0, len(found.text))
        assert start == 0 or not text[:start].strip(" ")
        assert end <= len(text)


def test_escape_covers_its_whole_source() -> None:
    """A value that was written in escapes spans all of them, not only the last character of each."""
    text = r"key \u0041\u0042 end"
    found, _ = unescape(text, LIMIT)
    assert found is not None
    at = found.text.index("AB")
    assert text[slice(*found.spans.back(at, at + 2))] == r"\u0041\u0042"


def test_long_text_is_viewed_in_windows() -> None:
    """Two escapes in a megabyte do not make a second megabyte."""
    text = "a" * 500_000 + r"\u0041" + "b" * 500_000 + r"\u0042"
    found, _ = unescape(text, LIMIT)
    assert found is not None
    assert len(found.text) < 4 * normalise.AROUND + 100
    at = found.text.index("B", found.text.index("\n"))
    start, end = found.spans.back(at, at + 1)
    assert text[start:end] == r"\u0042"


def test_places_are_limited_and_said_so() -> None:
    """More places than allowed: the rest is left, and the caller is told."""
    found, complete = unescape("%41" * 3 + "x" + "%42 %43", 2)
    assert found is not None
    assert not complete


@pytest.mark.parametrize("text", ["password=Sup3r.S3cret", "grüße aus Köln, 12345"])
@pytest.mark.parametrize("urlsafe", [False, True])
def test_base64_of_text_is_read(text: str, urlsafe: bool) -> None:
    """A base64 run that holds text becomes a view, whose span leads back into the run."""
    code = (base64.urlsafe_b64encode if urlsafe else base64.b64encode)(text.encode()).decode()
    source = f'data: "{code}" end'
    views, complete = decode_runs(source, LIMIT)
    assert complete
    assert [v.text for v in views] == [text]
    start, end = views[0].spans.back(0, len(text))
    assert source[start:end].startswith(code[:16])


@pytest.mark.parametrize(
    "run",
    [
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
        "9fceb02d0ae598e95dc970b74767f19372d61af8",
        "some_quite_long_identifier_in_snake_case",
        "org/springframework/boot/autoconfigure/web",
        "x" * 200,
    ],
)
def test_what_is_not_base64_of_text_makes_no_view(run: str) -> None:
    """Images, digests, identifiers and paths are not decoded."""
    assert decode_runs(run, LIMIT)[0] == []


@given(st.text(min_size=18, max_size=60))
def test_round_trip_of_percent_and_base64(text: str) -> None:
    """What the encoders of the standard library hide is found again."""
    assert view(quote(text, safe="")) in (text, view(text)) or "%" in text or not text.isprintable()
    assert isinstance(decode_runs(base64.b64encode(text.encode()).decode(), LIMIT)[0], list)


@given(st.text(max_size=200))
def test_never_raises(text: str) -> None:
    """No text is too strange."""
    suspicious(text)
    unescape(text, LIMIT)
    decode_runs(text, LIMIT)


@pytest.mark.parametrize(
    "head", [b"BM ", b"\0\0\0", b"GIF89a ", b"RIFF ", b"II* ", b"OggS ", b"%PDF-1.7 ", b"\xff\xd8\xff"]
)
def test_the_first_letters_of_a_file_hide_no_text(head: bytes) -> None:
    """Text in base64 is read, whatever magic number somebody puts in front of it."""
    run = base64.b64encode(head + b"the password of the database is hunter2, do not tell anybody").decode()
    views, complete = decode_runs(run, LIMIT)
    assert complete
    assert any("hunter2" in v.text for v in views)


@pytest.mark.parametrize(
    "head",
    [
        b"BM" + (70_000).to_bytes(4, "little") + b"\0\0\0\0\x36\0\0\0\x28\0\0\0\x80\0\0\0" + b"\0" * 40,
        b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41\0\0\0\x08free\0\0\0\0mdat" + b"\0" * 40,
        b"RIFF\x24\x08\0\0WAVEfmt \x10\0\0\0\1\0\2\0\x22\x56\0\0\x88\x58\1\0\4\0\x10\0data" + b"\0" * 40,
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj <</Type /Catalog /Pages 2 0 R /Lang (en)>> endobj 2 0 obj <<>>",
    ],
)
def test_files_make_no_view(head: bytes) -> None:
    """A picture, a film, a sound and a document in base64 are no text."""
    assert decode_runs(base64.b64encode(head).decode(), LIMIT) == ([], True)


PIECES = [
    *(
        "\\",
        "\\\\",
        "u0041",
        "u{41}",
        "U00000041",
        "x41",
        "101",
        "0101",
        "N{DIGIT ONE}",
        "/",
        "&",
        "#65;",
        "lt;",
        "amp",
    ),
    *("amp", "%", "41", "%41", "=", "3D", "=41=42=43", " ", "\t", "\n", "\r\n", "a", "é", "word " * 16),
]


@settings(deadline=None, max_examples=150)
@given(st.lists(st.sampled_from(PIECES), max_size=16).map("".join))
def test_places_of_escapes_change_nothing(text: str) -> None:
    """What is undone around the places that hyperscan tells is what `re` undoes everywhere."""
    found = Databases([])._escaped(text.encode())
    assert found is not None
    places: dict[str, list[int]] = {}
    for end, at in found:
        kind, width = escapes.BEGINNINGS[at]
        places.setdefault(kind, []).append(len(text.encode()[:end].decode()) - width)
    for starts in places.values():
        starts.sort()
    assert escapes.suspicious(text, places) == escapes.suspicious(text)
    assert escapes.replacements(text, places) == escapes.replacements(text)
    assert escapes.soft_breaks(text, places) == escapes.soft_breaks(text)
