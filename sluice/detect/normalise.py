"""Texts beside the raw one, with the disguise taken off, and the way back to the offsets of the original.

The raw text is always scanned as it is; a view is made only where a cheap test says that there is something to undo.
One view undoes everything of one level together: backslash escapes, HTML entities, percent-escapes, characters that
only look different (full-width, other digits, exotic spaces and dashes), characters that nobody sees (zero-width,
bidirectional controls, tags). Base64 runs become views of their own. A view of a view is the next level: the engine
walks `LEVELS` of them under a byte budget, so cost stays linear.

Not undone here: look-alike letters of other scripts, quoted-printable, gzip inside base64, values that code joins.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass, field

VERSION = 1
"""Goes into every record as `normalisation_version`; a change here can change findings."""
LEVELS = 3
"""Escapes inside escapes that are followed."""
RUN = 24
"""Shortest base64 run that is decoded: 18 bytes. A shorter one holds no key that a detector knows."""

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
_ASCII = "!-~"

# What is looked for in text that is not ASCII. Exotic spaces and dashes count between digits or capitals only: in
# prose they are typography. Invisible characters count beside visible ASCII only: in emoji they are spelling.
_FOLD = re.compile(
    f"[{_LOOKALIKE}]"
    f"|(?<=[{_ASCII}])[{_INVISIBLE}]+|[{_INVISIBLE}]+(?=[{_ASCII}])"
    f"|(?<=[0-9A-Z])[{_SPACES}{_DASHES}](?=[0-9A-Z])"
)
_ESCAPE = re.compile(
    r"\\(?:[uU](?:([0-9a-fA-F]{4})|\{([0-9a-fA-F]{1,6})\})|x([0-9a-fA-F]{2})|([\"'/\\nrt]))"
    r"|&(#[0-9]{1,7};?|#[xX][0-9a-fA-F]{1,6};?|[A-Za-z]{2,31};)"
    r"|((?:%[0-9a-fA-F]{2})+)"
)
_BACKSLASH = re.compile(r"\\(?:[uU](?:[0-9a-fA-F]{4}|\{[0-9a-fA-F])|x[0-9a-fA-F]{2})")
_ENTITY = re.compile(r"&(?:#[0-9xX]|[A-Za-z]{2,31};)")
_PERCENT = re.compile(r"%[0-9a-fA-F]{2}")
_SIMPLE = {"n": "\n", "r": "\r", "t": "\t"}

# Base64 alphabet -> `1`, anything else -> `0`: one table look-up per byte, then a search for a run of ones. A regular
# expression, or hyperscan, costs five times as much for the same question.
_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")
_TABLE = bytes(0x31 if b in _BASE64 else 0x30 for b in range(256))
_ONES = b"1" * RUN
_RUNS = re.compile(b"1{%d,}" % RUN)
_IMAGE = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "Qk0", "AAAA", "JVBERi0", "UEsDB", "T2dnUw", "SUkq", "TU0AK")
"""How base64 of PNG, JPEG, GIF, WebP, WAV, BMP, MP4, PDF, zip, Ogg and TIFF begins: not text, skipped unread."""
_SAMPLE = 96
_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\t\n\r"


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
    """True when `unescape` might find something. Costs a few memory searches; run on many texts joined."""
    return (
        (not text.isascii() and _FOLD.search(text) is not None)
        or ("\\" in text and _BACKSLASH.search(text) is not None)
        or ("&" in text and _ENTITY.search(text) is not None)
        or ("%" in text and _PERCENT.search(text) is not None)
    )


def unescape(text: str, limit: int) -> tuple[View | None, bool]:
    """The view of `text` with one level of disguise taken off, or None when there is none.

    Undoes at most `limit` places; the second value is False when there were more.
    """
    escapes = (
        ("\\" in text and _BACKSLASH.search(text) is not None)
        or ("&" in text and _ENTITY.search(text) is not None)
        or ("%" in text and _PERCENT.search(text) is not None)
    )
    out: list[str] = []
    at: list[int] = [0]
    origin: list[int] = [0]
    kept: list[bool] = [True]
    size = done = places = 0
    complete = True
    for begin, end, new in _replacements(text, escapes=escapes):
        if places >= limit:
            complete = False
            break
        places += 1
        if begin > done:
            out.append(text[done:begin])
            size += begin - done
        at.append(size)
        origin.append(begin)
        kept.append(False)
        out.append(new)
        size += len(new)
        at.append(size)
        origin.append(end)
        kept.append(True)
        done = end
    if not places:
        return None, complete
    out.append(text[done:])
    return View("".join(out), Spans(tuple(at), tuple(origin), tuple(kept))), complete


def _replacements(text: str, *, escapes: bool) -> list[tuple[int, int, str]]:
    """(start, end, new) for everything to undo, in order, without overlap."""
    found: list[tuple[int, int, str]] = []
    if escapes:
        for m in _ESCAPE.finditer(text):
            new = _undo(m)
            if new is not None:
                found.append((m.start(), m.end(), new))
        found = _join_surrogates(found)
    if not text.isascii():
        folds = [(m.start(), m.end(), _fold(m[0])) for m in _FOLD.finditer(text)]
        found = sorted(found + folds) if found else folds
    return found


def _undo(m: re.Match[str]) -> str | None:
    """What one escape stands for; None when it stands for nothing."""
    if code := m[1] or m[2] or m[3]:
        number = int(code, 16)
        return chr(number) if number <= 0x10FFFF else None
    if m[4]:
        return _SIMPLE.get(m[4], m[4])
    if m[5]:
        new = html.unescape(f"&{m[5]}")
        return new if new != m[0] else None
    return bytes.fromhex(m[6].replace("%", "")).decode("utf-8", "replace")


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


def _fold(piece: str) -> str:
    """What a look-alike stands for in ASCII; nothing for what nobody sees."""
    out: list[str] = []
    for char in piece:
        if (digit := unicodedata.decimal(char, None)) is not None:
            out.append(str(digit))
        elif unicodedata.category(char) == "Zs":
            out.append(" ")
        elif unicodedata.category(char) == "Pd" or char == "\u2212":
            out.append("-")
        elif 0xE0020 <= ord(char) <= 0xE007E:
            out.append(chr(ord(char) - 0xE0000))  # tag characters: ASCII that no screen shows
        elif unicodedata.category(char) in {"Cf", "Mn", "Lo"} or 0xE0000 <= ord(char) <= 0xE0FFF:
            continue
        else:
            new = unicodedata.normalize("NFKC", char)
            out.append(new if new.isascii() else char)
    return "".join(out)


def has_runs(data: bytes) -> bool:
    """True when somewhere in `data` stands a run that could be base64 of something."""
    return _ONES in data.translate(_TABLE)


def decode_runs(text: str, limit: int) -> tuple[list[View], bool]:
    """A view of each base64 run in `text` that decodes to text, up to `limit` characters of runs altogether.

    The second value is False when the limit left some unread.
    """
    data = text.encode("latin-1", "replace") if text.isascii() else _one_byte_each(text)
    views: list[View] = []
    spent = 0
    for m in _RUNS.finditer(data.translate(_TABLE)):
        start, end = m.span()
        run = text[start:end]
        if run.startswith(_IMAGE) or not _plausible(run):
            continue
        if spent + (end - start) > limit:
            return views, False
        spent += end - start
        if view := _decode(run, start):
            views.append(view)
    return views, True


def _one_byte_each(text: str) -> bytes:
    """One byte a code point, so that offsets agree; anything outside ASCII becomes one that is not base64."""
    return text.encode("ascii", "replace")


def _plausible(run: str) -> bool:
    """False for what cannot be base64 of text: words, paths and identifiers, long hexadecimal digests."""
    head = run[:_SAMPLE]
    if "/" in head and head.count("/") > len(head) // 6:
        return False
    kinds = (not head.islower()) + (not head.isupper()) + any(c.isdigit() for c in head)
    return kinds == 3 or len(run) > _SAMPLE


def _decode(run: str, start: int) -> View | None:
    usable = len(run) - (1 if len(run) % 4 == 1 else 0)
    sample = _bytes(run[: min(_SAMPLE, usable) // 4 * 4])
    if sample is None or len(sample.translate(None, _PRINTABLE)) > len(sample) // 10:
        return None
    raw = _bytes(run[:usable])
    if raw is None:
        return None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
        return View(text, Coded(start, start + len(run), wide=False))
    return View(text, Coded(start, start + len(run), wide=not text.isascii()))


def _bytes(run: str) -> bytes | None:
    try:
        return base64.b64decode(run + "=" * (-len(run) % 4), altchars=b"-_" if "-" in run or "_" in run else None)
    except (ValueError, binascii.Error):
        return None
