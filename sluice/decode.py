"""From the bytes of a request to a `Payload`: content codings undone within bounds, media type and charset named.

Nothing here raises and nothing here guesses: a body that cannot be read for certain keeps its reason (`Opacity`), and
the gate refuses it. A service may read what we could not, so "no text found" is never the answer to a coding that is
unknown, doubled, damaged or followed by more bytes.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Sequence

from sluice.codings import DECODERS, Budget, Opaque
from sluice.config import Limits
from sluice.errors import Opacity
from sluice.model import Payload

_CHARSETS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "iso-8859-1": "latin-1",
    "latin-1": "latin-1",
    "latin1": "latin-1",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "utf-32": "utf-32",
    "utf-32le": "utf-32-le",
    "utf-32be": "utf-32-be",
}
"""Labels that may be declared, and Python's name for each. ASCII is read as UTF-8, of which it is a part. UTF-7 and
the stateful East Asian encodings are not here: text in them looks like other text to every detector."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: it starts with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,63}/[a-z0-9!#$&^_.+-]{1,63}")
_PARAMETER = re.compile(r';\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))\s*')
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
"""RFC 2046, 5.1.1."""


def open_body(body: bytes, headers: Sequence[tuple[str, str]], limits: Limits, clock: Callable[[], float]) -> Payload:
    """Undo the codings that the headers declare. `clock` gives CPU seconds. Never raises.

    `opacity` is set when a coding or charset is outside the allow list, when there are more than `limits.codings`,
    when one is named twice, when bytes are damaged or left over, or when a bound on ratio, size or time is passed.
    """
    codings: list[str] = []
    types: list[str] = []
    transfer = ""
    for name, value in headers:
        lower = name.lower()
        if lower == "content-encoding":
            codings += [token.strip().lower() for token in value.split(",")]
        elif lower == "content-type":
            types.append(value)
        elif lower == "transfer-encoding":
            transfer = f"{transfer},{value.strip().lower()}".lstrip(",")
    media_type, charset, boundary = _content_type(types)
    data, opacity = body, _refused(codings, transfer, limits)
    if opacity is None and body:
        data, opacity = _undo(body, codings, limits, clock)
    if opacity is None and charset is not None and charset not in _CHARSETS:
        opacity = Opacity.BAD_CHARSET
    return Payload(
        data=data,
        media_type=media_type,
        charset=charset,
        encodings=tuple(codings),
        wire_size=len(body),
        opacity=opacity,
        boundary=boundary,
    )


def _refused(codings: list[str], transfer: str, limits: Limits) -> Opacity | None:
    """What the header alone rules out. The framing layer undoes `chunked` and no other transfer coding."""
    if transfer not in ("", "chunked", "identity"):
        return Opacity.UNKNOWN_CODING
    if len(codings) > limits.codings:
        return Opacity.TOO_MANY_CODINGS
    if any(coding != "identity" and coding not in DECODERS for coding in codings):
        return Opacity.UNKNOWN_CODING
    if len(set(codings)) != len(codings):
        return Opacity.TOO_MANY_CODINGS
    return None


def _undo(body: bytes, codings: list[str], limits: Limits, clock: Callable[[], float]) -> tuple[bytes, Opacity | None]:
    """The decoded body, or what came of it before trouble and the reason. Last applied, first undone."""
    decoders = [DECODERS[coding] for coding in reversed(codings) if coding != "identity"]
    if not decoders:
        return (body, None) if len(body) <= limits.decoded_bytes else (body, Opacity.SIZE_LIMIT)
    budget = Budget(len(body), limits.decoded_bytes, limits.decoded_ratio, limits.decode_seconds, clock)
    data = body
    try:
        for decoder in decoders:
            budget.restart()
            decoder(data, budget)
            data = budget.take()
    except Opaque as e:
        if e.reason in (Opacity.CORRUPT_CODING, Opacity.TRAILING_BYTES):
            return budget.take() or body, e.reason
        return b"", e.reason  # past a bound: holding on to the bomb helps nobody
    return data, None


def _content_type(values: list[str]) -> tuple[str, str | None, str | None]:
    """Media type, declared charset and multipart boundary. Headers that disagree name nothing: then only the bytes
    count. A parameter given twice is not a boundary, since readers differ on which one holds."""
    if not values or any(value != values[0] for value in values):
        return "", None, None
    head, semicolon, _ = values[0].partition(";")
    media_type = head.strip().lower()
    if not _MEDIA_TYPE.fullmatch(media_type):
        media_type = ""
    if not semicolon:
        return media_type, None, None
    parameters: dict[str, list[str]] = {}
    for name, quoted, token in _PARAMETER.findall(values[0]):
        parameters.setdefault(name.lower(), []).append(quoted or token)
    charsets = {value.strip().lower() for value in parameters.get("charset", [])}
    boundaries = parameters.get("boundary", [])
    boundary = boundaries[0] if len(boundaries) == 1 and _BOUNDARY.fullmatch(boundaries[0]) else None
    return media_type, ",".join(sorted(charsets)) or None, boundary


def text(payload: Payload) -> str | Opacity:
    """The payload as text, or `Opacity.BAD_CHARSET`. See `read_text`."""
    return read_text(payload.data, payload.charset)


def read_text(data: bytes, charset: str | None = None) -> str | Opacity:
    """Bytes as text, the way the receiving service reads them. Returns `Opacity.BAD_CHARSET` where readers differ.

    A byte-order mark wins, then the NUL pattern of UTF-16 and UTF-32 (RFC 4627, section 3: JSON starts with two ASCII
    characters), then UTF-8 when it is valid, then a declared single-byte charset, then Latin-1. Services ignore the
    declared charset more often than not, so one that contradicts valid UTF-8 makes the body unreadable, not different.
    """
    declared = None if charset is None else _CHARSETS.get(charset)
    if charset is not None and declared is None:
        return Opacity.BAD_CHARSET
    wide = _wide(data)
    if wide is not None:
        return _strict(data, *wide)
    try:
        decoded = data.decode("utf-8")
    except UnicodeDecodeError:
        if declared is not None and declared.startswith(("utf-16", "utf-32")):
            return _strict(data, declared, 0)
        try:
            return data.decode("cp1252" if declared == "cp1252" else "latin-1")
        except UnicodeDecodeError:
            return data.decode("latin-1")
    if declared is not None and declared.startswith(("utf-16", "utf-32")) and data:
        return Opacity.BAD_CHARSET
    return decoded


def _wide(data: bytes) -> tuple[str, int] | None:
    """Encoding and length of the mark, when a mark or the NULs of the first characters name one."""
    if data[:1] in (b"\xef", b"\xff", b"\xfe", b"\x00"):
        for mark, name in _MARKS:
            if data.startswith(mark):
                return name, len(mark)
    head = data[:4]
    if b"\x00" not in head or len(head) < 2:
        return None
    nuls = "".join("0" if byte == 0 else "x" for byte in head)
    pattern = {"000x": "utf-32-be", "x000": "utf-32-le", "0x0x": "utf-16-be", "x0x0": "utf-16-le"}.get(nuls)
    if pattern is None and len(head) < 4:
        pattern = {"0x": "utf-16-be", "x0": "utf-16-le"}.get(nuls[:2])
    return None if pattern is None else (pattern, 0)


def _strict(data: bytes, encoding: str, skip: int) -> str | Opacity:
    try:
        return data[skip:].decode(encoding)
    except UnicodeDecodeError:
        return Opacity.BAD_CHARSET
