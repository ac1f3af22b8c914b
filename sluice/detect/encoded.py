"""Runs of base64, hexadecimal and character codes that hold text: each becomes a view of its own.

What is no text is left at that, and cheaply: a run is judged by 96 characters at its ends. Only a long run is decoded
to see whether text stands somewhere in it; such text, like text that decompression yields, may be there by chance, so
that its view is `strict`. Pictures and sound are told by their beginning, and of them only the two ends are looked at.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
import zlib
from collections.abc import Iterable, Iterator

import zstandard

from sluice.detect.views import Chain, Coded, Replacement, Step, View, around, pieced

RUN = 24
"""Shortest base64 run that is decoded: 18 bytes. A shorter one holds no key that a detector knows."""
CODES = 12
"""Fewest codes of characters in a row that are read as text."""
_UNIT = r"(?:0x|\\x|U\+)?(?:00)?(?:[2-9][0-9a-fA-F]|1[0-2][0-9])"
CODES_GATE = rf"(?:{_UNIT}[ \t\r\n,:;\-]{{1,3}}){{{CODES - 2}}}{_UNIT}[ \t\r\n,:;\-]"
"""The hyperscan expression without which no text has such codes."""

# Base64 alphabet -> `1`, anything else -> `0`: one table look-up per byte, then a memory search for a run of ones. A
# regular expression, or hyperscan, costs five times as much for the same question.
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_TABLE = bytes(0x31 if b in _ALPHABET.encode() else 0x30 for b in range(256))
_ONES = b"1" * RUN
_HEX = "0123456789abcdefABCDEF"
_HEX_TEXT = re.compile(r"(?:[2-7][0-9a-fA-F]){6}")
"""Six letters of ASCII side by side: hexadecimal of text has them, a digest hardly ever."""
_FIRST = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"
"""What the first of four base64 characters can be when the byte is ASCII."""
_BASE32, _FIRST32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "ABCDEFGHIJKLMNOP"
_PDF = "JVBERi0"
_PDF_HEAD = re.compile(rb"%PDF-[12]\.\d\s{1,2}%[\x80-\xff]{4}")
"""How a PDF begins, and its base64 (ISO 32000-1, 7.5.2): the one format of files that looks like text. It is not read
here."""
_MEDIA = re.compile(
    rb"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR|\xff\xd8\xff[\xe0\xe1\xdb\xee]|GIF8[79]a|OggS\x00|fLaC\x00|ID3[\x02-\x04]\x00"
    rb"|RIFF.{4}(?:WAVEfmt |WEBPVP8|AVI )|\x00\x00\x00.ftyp|wOF[F2]\x00|\x00\x01\x00\x00\x00|\x1aE\xdf\xa3|PK\x03\x04",
    re.DOTALL,
)
"""How pictures, sound, films, fonts and archives begin (their specifications' own marks)."""
_ENDS = 64 * 1024 // 3 * 4
"""Characters at either end of such a file in which text is looked for."""
_PACKED = ("H4sI", "eJ", "eN", "eA", "eF", "KLUv")
"""Base64 of the first bytes of gzip (RFC 1952), zlib (RFC 1950) and Zstandard (RFC 8878)."""
_PACKED_HEX, _ZLIB_HEX = "1f8b08", ("789c", "7801", "78da")
_EXPANDED = 4 * 1024 * 1024
"""Most characters that one compressed run may become; what is behind them is not read, and the text is `partial`."""
_SAMPLE = 96
_STRETCH = 20
"""Printable bytes in a row that are looked at inside bytes that are no text. Random bytes have so many once in 10^8."""
_STRETCHES = 64
_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\t\n\r"
_PRINT_FLAGS = bytes(0x31 if b in _PRINTABLE else 0x30 for b in range(256))
_HIGH = bytes(range(0x80, 0x100))

_BREAK = re.compile(r"(?:\r?\n|(?:\\{1,4}r)?\\{1,4}n)[ \t>|*#]{0,8}")
"""Between the lines of wrapped base64: a newline, or the escape of one, and what indents or quotes the next line."""
_ROW = re.compile(r"[A-Za-z0-9+/_-]+")
_ONE = r"(?:0[xX]|\\x|U\+)?[0-9a-fA-F]{2,4}"
_CODE_ROW = re.compile(rf"(?<![0-9A-Za-z]){_ONE}(?:[ \t\r\n,:;\-]{{1,3}}{_ONE}(?![0-9A-Za-z])){{{CODES - 1},}}+")
_CODE = re.compile(r"[0-9a-fA-F]{2,8}(?![0-9a-fA-FxX+])")


def runs(data: bytes) -> Iterator[tuple[int, int]]:
    """The stretches of `data` that could be base64, each from its beginning to its end."""
    flags = data.translate(_TABLE)
    start = flags.find(_ONES)
    while start >= 0:
        end = flags.find(b"0", start)
        if end < 0:
            end = len(flags)
        yield start, end
        start = flags.find(_ONES, end)


def decode_runs(text: str, limit: int, known: Iterable[tuple[int, int]] | None = None) -> tuple[list[View], bool]:
    """A view of each run in `text` that decodes to text, up to `limit` characters of runs and views altogether.

    `known`: where the runs are (`runs`), if somebody knows. The second value is False when the limit left some unread.
    """
    views: list[View] = []
    spent = done = 0
    if known is None:
        known = runs(text.encode("ascii", "replace"))  # one byte a code point, so that offsets agree
    for start, end in known:
        if start < done:
            continue  # a line of the one before
        if text[start - 1 : start] == "\\" and text[start] in "nrt":
            start += 1
        if _worth_it(text[start : min(end, start + _SAMPLE)]):
            run, spans, done = _unwrapped(text, start, end)
            if spent + len(run) > limit:
                return views, False
            found, complete = _decoded(run, Coded(start, done, wide=False) if spans is None else None, limit - spent)
            if found:
                spent += max(len(run), sum(len(view.text) for view in found))
                views += found if spans is None else [_through(view, spans) for view in found]
            elif len(run) > _SAMPLE:
                spent += len(run)
            if not complete:
                return views, False
        elif _maybe_base32(text[start : min(end, start + 32)]):
            run, spans, done = _unwrapped(text, start, end)
            if spent + len(run) > limit:
                return views, False
            if view := _base32(run, Coded(start, done, wide=False) if spans is None else None):
                spent += len(run)
                views.append(view if spans is None else _through(view, spans))
    return views, True


def _worth_it(head: str) -> bool:
    """False for what is no text in code at the first look: words, constants, numbers, digests."""
    if not head[2:32].strip(_HEX) and _HEX_TEXT.search(head) is not None:
        return True
    if head.lower().startswith((_PACKED_HEX, *_ZLIB_HEX)):
        return True
    return not (head.islower() or head.isupper() or head.isdigit())


def _base32(run: str, place: Coded | None) -> View | None:
    """The text of a run of base32 (RFC 4648, 6), capitals or small letters: eight characters for five octets."""
    at, end = (0, len(run)) if place is None else (place.start, place.end)
    body = run[: len(run) // 8 * 8 + (0, 0, 2, 0, 4, 5, 0, 7)[len(run) % 8]].upper()
    try:
        raw = base64.b32decode(body + "=" * (-len(body) % 8))
    except ValueError:
        return None
    return _view(raw, Coded(at, end, False, 8, 5)) if _is_text(raw[:_SAMPLE]) else None


def _maybe_base32(head: str) -> bool:
    """True when the beginning of a run can be base32 of ASCII: then the first of eight characters is low."""
    upper = head.upper()
    return not upper.strip(_BASE32) and not upper[::8].strip(_FIRST32) and _is_octets(upper[:24])


def _is_octets(head: str) -> bool:
    return _is_text(base64.b32decode(head))


def _unwrapped(text: str, start: int, end: int) -> tuple[str, Step | None, int]:
    """The run with the lines that continue it: as long as it, but for the last."""
    breaks: list[Replacement] = []
    width = end - start
    last = end
    while last < len(text) and text[last] in "\r\n\\" and (gap := _BREAK.match(text, last)) is not None:
        row = _ROW.match(text, gap.end())
        if row is None or row.end() - row.start() > width:
            break
        breaks.append((gap.start(), gap.end(), ""))
        last = row.end()
        if row.end() - row.start() < width:
            break
    if not breaks:
        return text[start:end], None, end
    view = pieced(text, [(start, last, breaks)])
    return view.text, view.spans, last


def _through(view: View, spans: Step) -> View:
    return View(view.text, Chain((view.spans, spans)), view.strict, view.observed)


def _decoded(run: str, place: Coded | None, limit: int) -> tuple[list[View], bool]:
    """The views of one run; `place` is where it stands, None when it stands at 0 of a text of its own."""
    start, end = (0, len(run)) if place is None else (place.start, place.end)
    if not run[2:32].strip(_HEX):
        if run[:6].lower() == _PACKED_HEX or run[:4].lower() in _ZLIB_HEX:
            body = run[: (len(run) - len(run.lstrip(_HEX))) // 2 * 2]
            out, complete = expand(bytes.fromhex(body), min(limit, _EXPANDED))
            if _is_text(out[:_SAMPLE]):
                whole = Coded(start, start + len(body), wide=True)
                return [View(out.decode("utf-8", "replace"), whole)], complete
        if view := _hexadecimal(run, start):
            return [view], True
        if len(run) <= 128 and not run.strip(_HEX) and (run.islower() or run.isupper() or run.isdigit()):
            return [], True  # a digest
    if run.startswith(_PACKED):
        return _compressed(run, start, end, limit)
    for offset in range(4):
        head = run[offset : offset + _SAMPLE]
        if (not offset or not head[::4].strip(_FIRST)) and _readable(head):
            if not offset and head.startswith(_PDF) and _PDF_HEAD.match(_bytes(head[:32]) or b""):
                return [], True
            view = _decode(run[offset:], start + offset, end)
            return [view] if view else [], True
    ends = len(run) - 36
    for at in range(max(ends, 4), max(ends, 4) + 4):  # base64 glued to the end of a path or a name
        if at + 24 <= len(run) and not run[at::4].strip(_FIRST) and _readable(run[at : at + _SAMPLE]):
            return list(_inside(run, at % 4, start, strict=False)), True
    if len(run) <= _SAMPLE:
        return [], True
    if _MEDIA.match(_bytes(run[:44]) or b"") and len(run) > 2 * _ENDS:
        tail = (len(run) - _ENDS) // 4 * 4
        found = [*_inside(run[:_ENDS], 0, start), *_inside(run[tail:], 0, start + tail)]
    else:
        found = [view for offset in range(4) for view in _inside(run, offset, start)]
    return found[:_STRETCHES], len(found) <= _STRETCHES


def _readable(sample: str) -> bool:
    """True when the beginning of a run decodes to text. Identifiers and digests decode to noise."""
    if sample.islower() or sample.isupper() or sample.isdigit():
        return False  # base64 of text has capitals and small letters; hexadecimal, words and constants have not
    raw = _bytes(sample[: len(sample) // 4 * 4])
    return raw is not None and _is_text(raw)


def _is_text(raw: bytes) -> bool:
    if not raw:
        return False
    if raw[1:2] == b"\0" and not raw[1::2].strip(b"\0"):
        raw = raw[::2]  # UTF-16, as PowerShell's encoded commands are
    odd = raw.translate(None, _PRINTABLE)
    if len(odd) * 10 <= len(raw):
        return True
    if not odd.isascii() and len(odd.translate(None, _HIGH)) * 10 <= len(raw):
        try:
            codecs.utf_8_decode(raw, "strict", False)  # the sample may end within a character
        except UnicodeDecodeError:
            return False
        return True
    return False


def _decode(run: str, start: int, end: int) -> View | None:
    raw = _bytes(run[: len(run) - (1 if len(run) % 4 == 1 else 0)])
    return None if raw is None else _view(raw, Coded(start, end, wide=False))


def _view(raw: bytes, coded: Coded) -> View:
    """Decoded bytes as a text."""
    whole = Coded(coded.start, coded.end, wide=True)
    if raw[1:2] == b"\0" and not raw[1:_SAMPLE:2].strip(b"\0"):
        text = raw.decode("utf-16-le", "replace")
        pairs = Coded(coded.start, coded.end, False, coded.characters, coded.octets, 0, 2)
        return View(text, pairs if len(text) * 2 >= len(raw) - 1 else whole)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return View(raw.decode("latin-1"), coded)
    return View(text, coded if text.isascii() else whole)


def _inside(run: str, offset: int, start: int, *, strict: bool = True) -> Iterator[View]:
    """The printable stretches of bytes that are no text."""
    raw = _bytes(run[offset : len(run) - (1 if (len(run) - offset) % 4 == 1 else 0)])
    for low, high in _stretches(raw or b""):
        coded = Coded(start + offset, start + len(run), False, skip=low)
        yield View(raw[low:high].decode("latin-1") if raw else "", coded, strict)


def _stretches(raw: bytes) -> Iterator[tuple[int, int]]:
    flags = raw.translate(_PRINT_FLAGS)
    low = flags.find(b"1" * _STRETCH)
    while low >= 0:
        high = flags.find(b"0", low)
        high = len(flags) if high < 0 else high
        yield low, high
        low = flags.find(b"1" * _STRETCH, high)


def _hexadecimal(run: str, start: int) -> View | None:
    """The text of a run of hexadecimal digits, perhaps with `0x` or a letter more in front."""
    for skip in (2,) if run[1] in "xX" else (0,) if len(run) % 2 == 0 else (1, 0):
        body = run[skip:]
        digits = len(body) - len(body.lstrip(_HEX))
        if digits >= 2 * CODES and _is_text(bytes.fromhex(body[: min(digits, _SAMPLE) // 2 * 2])):
            raw = bytes.fromhex(body[: digits // 2 * 2])
            return _view(raw, Coded(start + skip, start + skip + digits, False, 2, 1))
    return None


def _compressed(run: str, start: int, end: int, limit: int) -> tuple[list[View], bool]:
    """What a compressed run expands to, `limit` characters at most."""
    raw = _bytes(run[: len(run) - (1 if len(run) % 4 == 1 else 0)]) or b""
    out, complete = expand(raw, min(limit, _EXPANDED))
    if not out:
        view = _decode(run, start, end) if _readable(run[:_SAMPLE]) else None
        return [view] if view else [], True
    if _is_text(out[:_SAMPLE]):
        try:
            text = out.decode("utf-8")
        except UnicodeDecodeError:
            text = out.decode("latin-1")
        return [View(text, Coded(start, end, wide=True))], complete
    texts = [out[low:high].decode("latin-1") for low, high in _stretches(out)]
    if not texts:
        return [], complete
    return [View("\n".join(texts[:_STRETCHES]), Coded(start, end, wide=True), strict=True)], (
        complete and len(texts) <= _STRETCHES
    )


def expand(raw: bytes, limit: int) -> tuple[bytes, bool]:
    """The beginning of what `raw` expands to, and whether that is all. Empty when it is not compressed.

    A stream that is cut off or damaged gives what comes before the damage."""
    if raw[:4] == b"\x28\xb5\x2f\xfd":
        try:
            with zstandard.ZstdDecompressor(max_window_size=8 * 1024 * 1024).stream_reader(raw) as reader:
                out = reader.read(limit + 1)
        except zstandard.ZstdError:
            return b"", True
        return out[:limit], len(out) <= limit
    gzip = raw[:3] == b"\x1f\x8b\x08"
    if not gzip and (len(raw) < 6 or raw[0] != 0x78 or int.from_bytes(raw[:2], "big") % 31):
        return b"", True
    stream = zlib.decompressobj(31 if gzip else 15)
    out = b""
    for at in range(0, len(raw), 4096):
        try:
            out += stream.decompress(raw[at : at + 4096], limit + 1 - len(out))
        except zlib.error:
            break
        if len(out) > limit or stream.unconsumed_tail:
            return out[:limit], False
        if stream.eof:
            break
    return out, True


def decode_codes(text: str, limit: int, places: list[int] | None = None) -> tuple[list[View], bool]:
    """A view of each row of character codes in `text`: hexadecimal or decimal, with separators between.

    `places`: where such rows are; anywhere when None."""
    views: list[View] = []
    spent = 0
    for m in around(_CODE_ROW, text, places):
        if spent + m.end() - m.start() > limit:
            return views, False
        spent += m.end() - m.start()
        codes = [(c.start(), c.end(), c[0]) for c in _CODE.finditer(text, m.start(), m.end())]
        for base in (16, 10):
            found = _read(codes, base)
            if found is not None:
                views.append(pieced(text, [(m.start(), m.end(), _only(found, m.start(), m.end()))]))
                break
    return views, True


def _read(codes: list[tuple[int, int, str]], base: int) -> list[Replacement] | None:
    """Each code as its character, or None when they are no text."""
    try:
        values = [int(digits, base) for _, _, digits in codes]
    except ValueError:
        return None
    printable = sum(0x20 <= v < 0x7F or v in (9, 10, 13) for v in values)
    if printable * 20 < len(values) * 19:
        return None
    return [(a, b, chr(v)) for (a, b, _), v in zip(codes, values, strict=True)]


def _only(found: list[Replacement], start: int, end: int) -> list[Replacement]:
    """The replacements with everything between them taken out."""
    out: list[Replacement] = []
    done = start
    for low, high, new in found:
        out.append((done, high, new) if done == low else (low, high, new))
        if done < low:
            out.insert(-1, (done, low, ""))
        done = high
    if done < end:
        out.append((done, end, ""))
    return out


def _bytes(run: str) -> bytes | None:
    if "-" in run or "_" in run:
        run = run.replace("-", "+").replace("_", "/")
    try:
        return binascii.a2b_base64(run + "=" * (-len(run) % 4))
    except ValueError:
        return None
