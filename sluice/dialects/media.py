"""What a file in a request is: told by its bytes first, by its declared type second. Pure functions, no state.

A declared type is a claim. "image/png" over plain text is text, and is scanned.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from sluice.decode import read_text
from sluice.errors import Opacity

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*+={0,2}")
_DATA_URL = re.compile(
    r"data:([\w.+-]{1,64}/[\w.+-]{1,100}|)(?:;charset=[\w-]{1,16})?(;base64)?,", re.ASCII | re.IGNORECASE
)
_UNPRINTABLE = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
COMMON = frozenset(
    {
        "",
        "application/json",
        "application/octet-stream",
        "application/pdf",
        "audio/mpeg",
        "audio/mp3",
        "audio/wav",
        "image/gif",
        "image/heic",
        "image/jpeg",
        "image/png",
        "image/webp",
        "text/csv",
        "text/html",
        "text/markdown",
        "text/plain",
    }
)
"""Media types in `data:` URLs that need no scan."""
HEAD = 4096
"""Bytes that are enough to name any format below, and to tell whether they are text that only begins like one."""
_ENDS = {Opacity.IMAGE: 64 * 1024, Opacity.AUDIO: 64 * 1024}
_MOST = 1024 * 1024
"""Bytes from either end of a known format in which text is looked for; formats of text and archives have more."""
_HIGH = bytes(range(0x80, 0x100))

_MAGIC: tuple[tuple[bytes, str, Opacity], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image", Opacity.IMAGE),
    (b"\xff\xd8\xff", "image", Opacity.IMAGE),
    (b"GIF87a", "image", Opacity.IMAGE),
    (b"GIF89a", "image", Opacity.IMAGE),
    (b"II*\x00", "image", Opacity.IMAGE),
    (b"MM\x00*", "image", Opacity.IMAGE),
    (b"%PDF-", "document", Opacity.DOCUMENT),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "document", Opacity.DOCUMENT),
    (b"PK\x03\x04", "other", Opacity.ARCHIVE),
    (b"PK\x05\x06", "other", Opacity.ARCHIVE),
    (b"\x1f\x8b", "other", Opacity.ARCHIVE),
    (b"\x28\xb5\x2f\xfd", "other", Opacity.ARCHIVE),
    (b"\xfd7zXZ\x00", "other", Opacity.ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", "other", Opacity.ARCHIVE),
    (b"Rar!\x1a\x07", "other", Opacity.ARCHIVE),
    (b"OggS", "audio", Opacity.AUDIO),
    (b"fLaC", "audio", Opacity.AUDIO),
    (b"\x1aE\xdf\xa3", "video", Opacity.BINARY),
)
_WEAK = (b"GIF", b"OggS", b"fLaC", b"RIFF", b"BZh")
"""Marks that are letters and that a real file follows with bytes that are no text."""
_BZIP2 = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")
_ID3 = re.compile(rb"ID3[\x02-\x04]\x00[\x00-\xff][\x00-\x7f]{4}")
_OFFICE = re.compile(
    r"officedocument|opendocument|msword|ms-excel|ms-powerpoint|epub|\.(?:docx|xlsx|pptx|od[tsp]|epub)$"
)


@dataclass(frozen=True, slots=True)
class Look:
    """**P** What bytes are: `kind` as in `Attachment.kind`, and either their text or the reason for having none."""

    kind: str
    reason: Opacity | None
    text: str | None = field(default=None, repr=False)


def magic(data: bytes, mime: str | None = None, name: str | None = None) -> tuple[str, Opacity] | None:
    """Kind and reason when the first bytes name a format that holds no readable text.

    A mark of letters may be how a text begins, so such a mark counts only in bytes that are no text.
    """
    if data.startswith(_WEAK) and readable(data):
        return None
    for mark, kind, reason in _MAGIC:
        if data.startswith(mark):
            if mark[:2] == b"PK" and (_OFFICE.search(mime or "") or _OFFICE.search((name or "").lower())):
                return "document", Opacity.DOCUMENT
            return kind, reason
    if data[:4] == b"RIFF":
        inner = data[8:12]
        return ("image", Opacity.IMAGE) if inner == b"WEBP" else ("audio", Opacity.AUDIO) if inner == b"WAVE" else None
    if _BZIP2.match(data):
        return "other", Opacity.ARCHIVE
    if _ID3.match(data):
        return "audio", Opacity.AUDIO
    if data[4:8] == b"ftyp" and data[:2] == b"\x00\x00" and 8 <= int.from_bytes(data[:4], "big") <= HEAD:
        brand = data[8:12]
        if brand in (b"avif", b"heic", b"heix", b"mif1"):
            return "image", Opacity.IMAGE
        return ("audio", Opacity.AUDIO) if brand == b"M4A " else ("video", Opacity.BINARY)
    if len(data) > 2 and data[0] == 0xFF and data[1] in (0xFB, 0xF3, 0xF2):
        return "audio", Opacity.AUDIO
    if data[257:265] in (b"ustar\x0000", b"ustar  \x00") and not readable(data):
        return "other", Opacity.ARCHIVE
    return None


def look(data: bytes, mime: str | None = None, name: str | None = None, charset: str | None = None) -> Look:
    """Name the bytes of a file; their text when they are text of any sort (plain, CSV, JSON, code, SVG)."""
    known = magic(data, mime, name)
    if known is not None:
        return Look(*known)
    text = plain(data, charset)
    if text is not None:
        return Look(kind_of(mime) or "document", None, text)
    kind = kind_of(mime) or "other"
    reason = {"image": Opacity.IMAGE, "audio": Opacity.AUDIO, "document": Opacity.DOCUMENT}.get(kind, Opacity.BINARY)
    return Look(kind, Opacity.BINARY if (mime or "").startswith("text/") else reason)


def readable(data: bytes) -> bool:
    """Whether the beginning of `data` is text, whatever its first letters are."""
    head = data[:HEAD]
    return plain(head) is not None or plain(head.rstrip(_HIGH)) is not None  # the cut may have halved a character


def ends(size: int, reason: Opacity) -> int | None:
    """How many bytes of either end of a known format are looked at for text; None when that is all of them."""
    most = _ENDS.get(reason, _MOST)
    return None if size <= 2 * most else most


def plain(data: bytes, charset: str | None = None) -> str | None:
    """The text of bytes that are text; None for binary data. Control characters decide when UTF-8 does not."""
    text = read_text(data, charset)
    if isinstance(text, Opacity):
        return None
    controls = len(_CONTROL.findall(text[:4096]))
    if controls * 50 > min(len(text), 4096):
        return None
    if controls or not text.isascii():
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            letters = sum(byte >= 0x80 for byte in data[:4096])
            if charset is None and letters * 4 > min(len(data), 4096) and b"\x00" not in data[:4]:
                return None  # a quarter of Latin-1 letters above ASCII is no language
    return text


def kind_of(mime: str | None) -> str | None:
    """`Attachment.kind` that a declared media type claims; None when it claims nothing."""
    if not mime:
        return None
    top = mime.partition("/")[0].lower()
    if top in ("image", "audio", "video"):
        return top
    return "other" if mime.lower() == "application/octet-stream" else "document"


def data_url(text: str) -> tuple[str, str, bool] | None:
    """Media type, payload, whether it is base64; None when `text` is no plain `data:` URL (RFC 2397). Parameters other
    than a charset are free text, so a URL that has any is left whole."""
    found = _DATA_URL.match(text)
    if found is None:
        return None
    return found[1], text[found.end() :], found[2] is not None


def percent_bytes(text: str) -> bytes:
    """The bytes of a percent-encoded payload."""
    return unquote_to_bytes(text)


def is_base64(text: str) -> bool:
    """Whether `text` is base64 (either alphabet) through and through. A lenient decoder skips what is no base64, so
    text could travel between the letters of an image."""
    return _BASE64.fullmatch(text) is not None


def base64_bytes(text: str, limit: int | None = None) -> bytes | None:
    """The bytes of base64 text that `is_base64` accepted, the first `limit` of them; None for a lone last letter."""
    if limit is not None:
        text = text[: limit // 3 * 4]
    if "-" in text or "_" in text:
        text = text.replace("-", "+").replace("_", "/")
    text = text.rstrip("=")
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4))
    except binascii.Error:
        return None


def base64_text(text: str) -> str | None:
    """The text that a base64 string holds, when it is printable through and through; None for anything else.

    Ids and hashes use the same letters, and what they decode to is not text.
    """
    if len(text) % 4 or not is_base64(text):
        return None
    data = base64_bytes(text)
    if data is None:
        return None
    if b"\x00" in data[:4]:
        wide = read_text(data)  # PowerShell's encoded commands are UTF-16
        return None if isinstance(wide, Opacity) or _CONTROL.search(wide[:4096]) else wide
    if _UNPRINTABLE.search(data[:4096]):
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None
