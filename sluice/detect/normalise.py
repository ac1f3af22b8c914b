"""Texts beside the raw one, with the disguise taken off, and the way back to the offsets of the original.

The raw text is always scanned as it is; a view is made only where a cheap test says that there is something to undo.
One view undoes everything of one level together: backslash escapes, HTML entities, percent-escapes, characters that
only look different (full-width, other digits, exotic spaces and dashes), characters that nobody sees (zero-width,
bidirectional controls, tags). Base64 runs become views of their own. A view of a view is the next level: the engine
walks `LEVELS` of them under a byte budget, so cost stays linear.

Not undone here: look-alike letters of other scripts, quoted-printable, gzip inside base64, values that code joins.
"""

from __future__ import annotations

import binascii
import html
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

VERSION = 1
"""Goes into every record as `normalisation_version`; a change here can change findings."""
LEVELS = 3
"""Escapes inside escapes that are followed."""
RUN = 24
"""Shortest base64 run that is decoded: 18 bytes. A shorter one holds no key that a detector knows."""

WHOLE = 65_536
"""A longer text is viewed only around the places that were undone, `AROUND` characters to either side."""
AROUND = 2_048

_INVISIBLE = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff"
)
_SPACES = r"\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_DASHES = r"\u2010-\u2015\u2212\ufe58\ufe63"
_LOOKALIKE = (
    r"\uff01-\uff5e"  # full-width ASCII
    r"\u2070-\u209c\u00b2\u00b3\u00b9"  # superscripts and subscripts
    r"\u2460-\u2473\u24b6-\u24e9\u24ea"  # circled
    r"\u0660-\u0669\u06f0-\u06f9\u07c0-\u07c9\u0966-\u096f\u09e6-\u09ef\u0a66-\u0a6f\u0ae6-\u0aef"
    r"\u0b66-\u0b6f\u0be6-\u0bef\u0c66-\u0c6f\u0ce6-\u0cef\u0d66-\u0d6f\u0e50-\u0e59\u0ed0-\u0ed9"
    r"\u0f20-\u0f29\u1040-\u1049\u17e0-\u17e9\u1810-\u1819"  # digits of other scripts
    r"\U0001d400-\U0001d7ff\U0001f100-\U0001f10a\U0001f130-\U0001f149\ufb00-\ufb06"
)
_ODD = re.compile(f"[{_INVISIBLE}{_SPACES}{_DASHES}{_LOOKALIKE}]")
"""Every character that may be undone. One class and nothing else: the fastest thing that `re` can look for."""

# Each begins with a literal character, so that `re` skips to the next one by memory search.
_BACKSLASH = re.compile(r"\\\\*(?:[uU](?:([0-9a-fA-F]{4})|\{([0-9a-fA-F]{1,6})\})|x([0-9a-fA-F]{2}))")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7};?|#[xX][0-9a-fA-F]{1,6};?|[A-Za-z]{2,31};)")
_PERCENT = re.compile(r"%[0-9a-fA-F]{2}(?:%[0-9a-fA-F]{2})*")
_MARKS = (("\\", _BACKSLASH), ("&", _ENTITY), ("%", _PERCENT))

# Base64 alphabet -> `1`, anything else -> `0`: one table look-up per byte, then a memory search for a run of ones. A
# regular expression, or hyperscan, costs five times as much for the same question.
_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")
_TABLE = bytes(0x31 if b in _BASE64 else 0x30 for b in range(256))
_ONES = b"1" * RUN
_PDF = "JVBERi0"
_PDF_HEAD = re.compile(rb"%PDF-[12]\.\d\s{1,2}%[\x80-\xff]{4}")
"""How a PDF begins, and its base64 (ISO 32000-1, 7.5.2): the one format of files that looks like text. It is not read
here. Pictures, sound and archives are told from text by their bytes, as everything else is: three letters at the
beginning of a run say nothing."""
_SAMPLE = 96
_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\t\n\r"
_HIGH = bytes(range(0x80, 0x100))


@dataclass(frozen=True, slots=True)
class Spans:
    """The way back. Piece `i` of a view begins at `at[i]` in it and at `origin[i]` in its source; `kept[i]` is True
    when it was copied (offsets run in step) and False when it was replaced (the whole piece stands for the whole)."""

    at: tuple[int, ...]
    origin: tuple[int, ...]
    kept: tuple[bool, ...]

    def back(self, start: int, end: int) -> tuple[int, int]:
        """The span in the source that a non-empty span of the view came from."""
        i = bisect_right(self.at, start) - 1
        first = self.origin[i] + (start - self.at[i] if self.kept[i] else 0)
        j = bisect_right(self.at, end - 1) - 1
        last = self.origin[j] + (end - self.at[j]) if self.kept[j] else self.origin[j + 1]
        return first, last


@dataclass(frozen=True, slots=True)
class Coded:
    """The way back from decoded base64: four characters of the source for three bytes, from `start` on.

    `wide` is True when the decoded text is not ASCII: then only the whole run can be named.
    """

    start: int
    end: int
    wide: bool

    def back(self, start: int, end: int) -> tuple[int, int]:
        if self.wide:
            return self.start, self.end
        return self.start + start // 3 * 4, min(self.start + -(-end // 3) * 4, self.end)


@dataclass(frozen=True, slots=True)
class View:
    """**P** A derived text and the way back to the text that it was derived from."""

    text: str = field(repr=False)
    spans: Spans | Coded


def suspicious(text: str) -> bool:
    """True when `unescape` would find something. Costs a few memory searches; run it on many texts joined."""
    return any(mark in text and pattern.search(text) for mark, pattern in _MARKS) or (
        not text.isascii() and next(_folds(text), None) is not None
    )


def unescape(text: str, limit: int) -> tuple[View | None, bool]:
    """The view of `text` with one level of disguise taken off, or None when there is none.

    Undoes at most `limit` places; the second value is False when there were more.
    """
    found = _replacements(text)
    if not found:
        return None, True
    return _view(text, found[:limit]), len(found) <= limit


def _view(text: str, found: list[tuple[int, int, str]]) -> View:
    """Put the replacements in, leaving out of a long text what is far from any of them."""
    out: list[str] = []
    at: list[int] = []
    origin: list[int] = []
    kept: list[bool] = []
    size = 0

    def piece(new: str, place: int, *, copied: bool) -> None:
        nonlocal size
        at.append(size)
        origin.append(place)
        kept.append(copied)
        out.append(new)
        size += len(new)

    for low, high, inside in _windows(found, len(text)):
        if out:
            piece("\n", low, copied=False)  # something was left out here: no value may reach across it
        done = low
        for begin, end, new in inside:
            piece(text[done:begin], done, copied=True)
            piece(new, begin, copied=False)
            done = end
        piece(text[done:high], done, copied=True)
    at.append(size)
    origin.append(len(text))
    kept.append(True)
    return View("".join(out), Spans(tuple(at), tuple(origin), tuple(kept)))


def _windows(found: list[tuple[int, int, str]], length: int) -> list[tuple[int, int, list[tuple[int, int, str]]]]:
    """(low, high, replacements inside) of the stretches of the text that a view shows."""
    if length <= WHOLE:
        return [(0, length, found)]
    out: list[tuple[int, int, list[tuple[int, int, str]]]] = []
    for item in found:
        low, high = max(item[0] - AROUND, 0), min(item[1] + AROUND, length)
        if out and low <= out[-1][1]:
            out[-1][2].append(item)
            out[-1] = (out[-1][0], high, out[-1][2])
        else:
            out.append((low, high, [item]))
    return out


def _replacements(text: str) -> list[tuple[int, int, str]]:
    """(start, end, new) for everything to undo, in order, without overlap."""
    found: list[tuple[int, int, str]] = []
    if "\\" in text:
        found += _join_surrogates([(m.start(), m.end(), _backslash(m)) for m in _BACKSLASH.finditer(text)])
    if "&" in text:
        found += [(m.start(), m.end(), new) for m in _ENTITY.finditer(text) if (new := html.unescape(m[0])) != m[0]]
    if "%" in text:
        plain = ((m.start(), m.end(), _percent(m[0])) for m in _PERCENT.finditer(text))
        found += [(begin, end, new) for begin, end, new in plain if new is not None]
    if not text.isascii():
        found += list(_folds(text))
    found.sort()
    return found


def _backslash(m: re.Match[str]) -> str:
    number = int(m[1] or m[2] or m[3], 16)
    return chr(number) if number <= 0x10FFFF else m[0]


def _percent(text: str) -> str | None:
    try:
        return bytes.fromhex(text.replace("%", "")).decode("utf-8")
    except UnicodeDecodeError:
        return None  # `%DB_PASS%` is a variable of a Windows shell, not an escape


def _join_surrogates(found: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """`\\ud83d\\ude00` is one character in two escapes."""
    out: list[tuple[int, int, str]] = []
    for begin, end, new in found:
        if out and "\udc00" <= new <= "\udfff" and out[-1][1] == begin and "\ud800" <= out[-1][2] <= "\udbff":
            high = out.pop()
            pair = 0x10000 + ((ord(high[2]) - 0xD800) << 10) + (ord(new) - 0xDC00)
            out.append((high[0], end, chr(pair)))
        else:
            out.append((begin, end, new))
    return out


def _folds(text: str) -> Iterator[tuple[int, int, str]]:
    """What to undo of characters that only look different, or are not seen at all.

    Prose is full of such characters for good reasons, so the neighbours decide: something invisible counts beside
    visible ASCII, a space, dash or sign between two letters or digits that are ASCII capitals, digits or look-alikes.
    """
    for m in _ODD.finditer(text):
        i = m.start()
        kind, new = _odd(m[0])
        before, after = text[i - 1 : i], text[i + 1 : i + 2]
        if kind == "letter" or (kind == "gone" and (_visible(before) or _visible(after))):
            yield i, i + 1, new
        elif kind == "raised":
            if before.isdigit() or after.isdigit():
                yield i, i + 1, new
        elif kind == "sign" and _solid(before) and _solid(after):
            yield i, i + 1, new


@cache
def _odd(char: str) -> tuple[str, str]:
    """(`letter`, `raised`, `sign` or `gone`, what it stands for in ASCII)."""
    code, category = ord(char), unicodedata.category(char)
    if (digit := unicodedata.decimal(char, None)) is not None:
        return "letter", str(digit)
    if category == "Zs":
        return "sign", " "
    if category == "Pd" or char == "\u2212":
        return "sign", "-"
    if 0xE0020 <= code <= 0xE007E:
        return "letter", chr(code - 0xE0000)  # tag characters: ASCII that no screen shows
    plain = unicodedata.normalize("NFKC", char)
    if not plain.isascii() or not plain.strip():
        return "gone", ""
    if 0x2070 <= code <= 0x209C or code in {0xB2, 0xB3, 0xB9}:
        return "raised", plain
    return ("letter" if plain.isalnum() else "sign"), plain


def _visible(char: str) -> bool:
    return "!" <= char <= "~"


def _solid(char: str) -> bool:
    if char.isascii():
        return char.isdigit() or char.isupper()
    return bool(char) and _ODD.match(char) is not None and _odd(char)[0] == "letter"


def decode_runs(text: str, limit: int) -> tuple[list[View], bool]:
    """A view of each base64 run in `text` that decodes to text, up to `limit` characters of runs altogether.

    The second value is False when the limit left some unread.
    """
    flags = text.encode("ascii", "replace").translate(_TABLE)  # one byte a code point, so that offsets agree
    views: list[View] = []
    spent = 0
    start = flags.find(_ONES)
    while start >= 0:
        end = flags.find(b"0", start)
        if end < 0:
            end = len(flags)
        sample = text[start : min(end, start + _SAMPLE)]
        if _readable(sample) and not (sample.startswith(_PDF) and _PDF_HEAD.match(_bytes(sample[:32]) or b"")):
            if spent + (end - start) > limit:
                return views, False
            spent += end - start
            if view := _decode(text[start:end], start):
                views.append(view)
        start = flags.find(_ONES, end)
    return views, True


def _readable(sample: str) -> bool:
    """True when the beginning of a run decodes to text. Identifiers and digests decode to noise."""
    if sample.islower() or sample.isupper() or sample.isdigit():
        return False  # base64 of text has capitals and small letters; hexadecimal, words and constants have not
    raw = _bytes(sample[: len(sample) // 4 * 4])
    if raw is None:
        return False
    odd = raw.translate(None, _PRINTABLE)
    if len(odd) * 10 <= len(raw):
        return True
    if not odd.isascii() and len(odd.translate(None, _HIGH)) * 10 <= len(raw):
        return len(raw.decode("utf-8", "ignore").encode()) >= len(raw) - 3  # the sample may end within a character
    return False


def _decode(run: str, start: int) -> View | None:
    raw = _bytes(run[: len(run) - (1 if len(run) % 4 == 1 else 0)])
    if raw is None:
        return None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return View(raw.decode("latin-1"), Coded(start, start + len(run), wide=False))
    return View(text, Coded(start, start + len(run), wide=not text.isascii()))


def _bytes(run: str) -> bytes | None:
    if "-" in run or "_" in run:
        run = run.replace("-", "+").replace("_", "/")
    try:
        return binascii.a2b_base64(run + "=" * (-len(run) % 4))
    except ValueError:
        return None
