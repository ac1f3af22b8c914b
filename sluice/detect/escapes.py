"""Characters written as escapes: backslashes, HTML entities, percent, quoted-printable. One level at a time.

Each kind is looked for by a literal character first, so that text without it costs one memory search.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sluice.detect.views import Replacement

# Each begins with a literal character, so that `re` skips to the next one by memory search.
_BACKSLASH = re.compile(
    r"""(?x)\\(?<!\\\\)\\*+(?:
      U([0-9a-fA-F]{8})
    | [uU](?:([0-9a-fA-F]{4})|\{([0-9a-fA-F]{1,8})\}|\+([0-9a-fA-F]{4,6}))
    | [xX](?:([0-9a-fA-F]{2})|\{([0-9a-fA-F]{1,8})\})
    | 0?([01][0-7]{2})
    | o\{([0-7]{1,7})\}
    | N\{([A-Z][A-Z0-9\ -]{2,60})\}
    | /
    )"""
)
"""Python, JavaScript, C, Java, JSON, Ruby, Perl and shell: `\\u0041`, `\\U00000041`, `\\u{41}`, `\\x41`, `\\x{41}`,
`\\101`, `\\o{101}`, `\\N{...}`, and the `\\/` of JSON."""
_CONTINUED = re.compile(r"\\(?<=[A-Za-z0-9+/_=-]\\)\r?\n[ \t]{0,64}(?=[A-Za-z0-9+/_=-])")
"""A line that goes on in the next, in the middle of a word."""
_ENTITY = re.compile(
    r"&(?:#[0-9]{1,10};?|#[xX][0-9a-fA-F]{1,8};?|[A-Za-z][A-Za-z0-9]{1,30};|(?:amp|lt|gt|quot)(?![A-Za-z0-9=;]))"
)
_PERCENT = re.compile(r"%(?:[uU][0-9a-fA-F]{4}|[0-9a-fA-F]{2}(?:%[0-9a-fA-F]{2})*+)")
_QUOTED = re.compile(r"=(?:[0-9A-Fa-f]{2}(?:=[0-9A-Fa-f]{2})*+|[ \t]{0,8}\r?\n)")
_QUOTED_SIGN = re.compile(r"=3D(?![0-9A-Fa-f]{3})|=(?:[0-9A-F]{2}=){2}[0-9A-F]{2}")
"""What text in quoted-printable (RFC 2045, 6.7) has and code has not: an escaped `=`, or escapes side by side. Without
it `width=50` stays what it is."""
_SOFT = re.compile(r"=[ \t]{0,8}\r?\n(?=\S)")
SIGNS = b"\\&%="
"""Without one of these there is nothing to undo."""
_SLASHED, _JOINED, _NAMED, _CODED, _EQUALS, _BROKEN = "backslash", "continued", "entity", "percent", "equals", "soft"
_MARKS = (
    ("\\", _SLASHED, _BACKSLASH),
    ("\\", _JOINED, _CONTINUED),
    ("&", _NAMED, _ENTITY),
    ("%", _CODED, _PERCENT),
)
_BLANKS = tuple(rf"[ \t]{{{n}}}" if n else "" for n in range(9))
_BEGINNINGS = (
    *((rf"\\{c}{next_}", _SLASHED, 3) for c in "uUxX" for next_ in (r"[0-9a-fA-F]", r"\{")),
    *((rf"\\{c}\+", _SLASHED, 3) for c in "uU"),
    (r"\\[01][0-7]{2}", _SLASHED, 4),
    (r"\\0[01][0-7]{2}", _SLASHED, 5),
    (r"\\o\{", _SLASHED, 3),
    (r"\\N\{", _SLASHED, 3),
    (r"\\/", _SLASHED, 2),
    (r"[A-Za-z0-9+/_=\-]\\\n", _JOINED, 2),
    (r"[A-Za-z0-9+/_=\-]\\\r\n", _JOINED, 3),
    (r"&#[0-9xX]", _NAMED, 3),
    (r"&[A-Za-z][A-Za-z0-9]", _NAMED, 3),
    (r"%[0-9a-fA-F]{2}", _CODED, 3),
    (r"%[uU][0-9a-fA-F]{4}", _CODED, 6),
    (r"=3D", _EQUALS, 3),
    (r"=[0-9A-F]{2}=[0-9A-F]{2}=", _EQUALS, 7),
    *((rf"={blanks}\n", _BROKEN, at + 2) for at, blanks in enumerate(_BLANKS)),
    *((rf"={blanks}\r\n", _BROKEN, at + 3) for at, blanks in enumerate(_BLANKS)),
)
EXPRESSIONS = tuple(expression for expression, _, _ in _BEGINNINGS)
"""hyperscan expressions of which one ends in everything that is undone here: each of one width, for those are found
many times faster together than by `re` one after the other."""
BEGINNINGS = tuple((kind, width) for _, kind, width in _BEGINNINGS)
"""For each of them the kind of escape that may begin there, and how far before the end."""

type Places = Mapping[str, Sequence[int]]
"""Where escapes of each kind may begin in a text: all places, in order. None stands for anywhere."""
_LINE = 60
"""Characters from which a line that ends in `=` is one of quoted-printable, and not an empty assignment."""


def suspicious(text: str, places: Places | None = None) -> bool:
    """True when `replacements` would find something."""
    found = (_matches(pattern, kind, text, places) for mark, kind, pattern in _MARKS if mark in text)
    return any(next(matches, None) is not None for matches in found) or _quoted(text, places)


def replacements(text: str, places: Places | None = None) -> list[Replacement]:
    """What to undo, not in order. They may overlap."""
    found: list[Replacement] = []
    if "\\" in text:
        slashed = _matches(_BACKSLASH, _SLASHED, text, places)
        found += _join_surrogates([(m.start(), m.end(), _backslash(m)) for m in slashed])
        found += [(m.start(), m.end(), "") for m in _matches(_CONTINUED, _JOINED, text, places)]
    if "&" in text:
        named = _matches(_ENTITY, _NAMED, text, places)
        found += [(m.start(), m.end(), new) for m in named if (new := html.unescape(m[0])) != m[0]]
    if "%" in text:
        found += _join_surrogates([r for m in _matches(_PERCENT, _CODED, text, places) for r in _percent(m)])
    if _quoted(text, places):
        found += [r for m in _QUOTED.finditer(text) for r in _printable(m)]
    return [r for r in found if text[r[0] : r[1]] != r[2]]


def soft_breaks(text: str, places: Places | None = None) -> list[Replacement]:
    """What to undo of quoted-printable alone, where its soft line breaks may stand inside other escapes."""
    if not _quoted(text, places) or not _SOFT.search(text):
        return []
    return [r for m in _QUOTED.finditer(text) for r in _printable(m)]


def _matches(pattern: re.Pattern[str], kind: str, text: str, places: Places | None) -> Iterator[re.Match[str]]:
    """The matches of a pattern, of which every one begins at one of the places."""
    if places is None:
        yield from pattern.finditer(text)
        return
    done = 0
    for at in places.get(kind, ()):
        start = _first_of(text, at) if kind == _SLASHED else at
        if start >= done and (m := pattern.match(text, start)) is not None:
            done = m.end()
            yield m


def _first_of(text: str, at: int) -> int:
    """Where the row of backslashes begins that ends at `at`."""
    while at and text[at - 1] == "\\":
        at -= 1
    return at


def _quoted(text: str, places: Places | None = None) -> bool:
    """True when the text is quoted-printable in some part."""
    if places is not None:
        if any(_QUOTED_SIGN.match(text, at) for at in places.get(_EQUALS, ())):
            return True
        return _broken(text, filter(None, (_SOFT.match(text, at) for at in places.get(_BROKEN, ()))))
    if "=" not in text:
        return False
    return _QUOTED_SIGN.search(text) is not None or _broken(text, _SOFT.finditer(text))


def _broken(text: str, breaks: Iterable[re.Match[str]]) -> bool:
    """True when one of the breaks stands at the end of a long line."""
    return any(m.start() - text.rfind("\n", max(m.start() - 80, 0), m.start()) > _LINE for m in breaks)


def _backslash(m: re.Match[str]) -> str:
    if m[9]:
        try:
            return unicodedata.lookup(m[9])
        except KeyError:
            return m[0]
    if octal := m[7] or m[8]:
        number = int(octal, 8)
        return chr(number) if 0x20 <= number <= 0x10FFFF else m[0]
    digits = m[1] or m[2] or m[3] or m[4] or m[5] or m[6]
    if digits is None:
        return "/"
    number = int(digits, 16)
    return chr(number) if number <= 0x10FFFF else m[0]


def _percent(m: re.Match[str]) -> Iterator[Replacement]:
    if m[0][1] in "uU":
        yield m.start(), m.end(), chr(int(m[0][2:], 16))
        return
    yield from _octets(bytes.fromhex(m[0].replace("%", "")), m.start())


def _printable(m: re.Match[str]) -> Iterator[Replacement]:
    if m[0][-1] == "\n":
        yield m.start(), m.end(), ""
    else:
        yield from _octets(bytes.fromhex(m[0].replace("=", "")), m.start())


def _octets(raw: bytes, start: int) -> Iterator[Replacement]:
    """Each character of a row of octets, three characters of the text for each octet."""
    if raw.isascii():
        for i, octet in enumerate(raw):
            yield start + 3 * i, start + 3 * i + 3, chr(octet)
        return
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        if len(raw) < 2:
            return  # `%DB_PASS%` is a variable of a Windows shell, not an escape
        text = raw.decode("utf-8", "surrogateescape")
    for char in text:
        size = len(char.encode("utf-8", "surrogateescape"))
        new = chr(ord(char) - 0xDC00) if "\udc80" <= char <= "\udcff" else char  # an octet that is no UTF-8: Latin-1
        yield start, start + 3 * size, new
        start += 3 * size


def _join_surrogates(found: list[Replacement]) -> list[Replacement]:
    """`\\ud83d\\ude00` is one character in two escapes."""
    out: list[Replacement] = []
    for begin, end, new in found:
        if out and "\udc00" <= new <= "\udfff" and out[-1][1] == begin and "\ud800" <= out[-1][2] <= "\udbff":
            high = out.pop()
            pair = 0x10000 + ((ord(high[2]) - 0xD800) << 10) + (ord(new) - 0xDC00)
            out.append((high[0], end, chr(pair)))
        else:
            out.append((begin, end, new))
    return out
