"""Characters written as escapes: backslashes, HTML entities, percent, quoted-printable. One level at a time.

Each kind is looked for by a literal character first, so that text without it costs one memory search.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator

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
_MARKS = (("\\", _BACKSLASH), ("\\", _CONTINUED), ("&", _ENTITY), ("%", _PERCENT))
_LINE = 60
"""Characters from which a line that ends in `=` is one of quoted-printable, and not an empty assignment."""


def suspicious(text: str) -> bool:
    """True when `replacements` would find something."""
    return any(mark in text and pattern.search(text) for mark, pattern in _MARKS) or _quoted(text)


def replacements(text: str) -> list[Replacement]:
    """What to undo, not in order. They may overlap."""
    found: list[Replacement] = []
    if "\\" in text:
        found += _join_surrogates([(m.start(), m.end(), _backslash(m)) for m in _BACKSLASH.finditer(text)])
        found += [(m.start(), m.end(), "") for m in _CONTINUED.finditer(text)]
    if "&" in text:
        found += [(m.start(), m.end(), new) for m in _ENTITY.finditer(text) if (new := html.unescape(m[0])) != m[0]]
    if "%" in text:
        found += _join_surrogates([r for m in _PERCENT.finditer(text) for r in _percent(m)])
    if _quoted(text):
        found += [r for m in _QUOTED.finditer(text) for r in _printable(m)]
    return [r for r in found if text[r[0] : r[1]] != r[2]]


def soft_breaks(text: str) -> list[Replacement]:
    """What to undo of quoted-printable alone, where its soft line breaks may stand inside other escapes."""
    if not _quoted(text) or not _SOFT.search(text):
        return []
    return [r for m in _QUOTED.finditer(text) for r in _printable(m)]


def _quoted(text: str) -> bool:
    """True when the text is quoted-printable in some part."""
    if "=" not in text:
        return False
    if _QUOTED_SIGN.search(text):
        return True
    return any(m.start() - text.rfind("\n", max(m.start() - 80, 0), m.start()) > _LINE for m in _SOFT.finditer(text))


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
