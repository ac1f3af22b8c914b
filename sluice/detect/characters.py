"""Characters that only look like ASCII, or that nobody sees.

Prose is full of such characters for good reasons, so the neighbours decide: something invisible, or a combining mark,
counts beside visible ASCII; a space, dash or sign between two letters or digits that are ASCII capitals, digits or
look-alikes; a letter of another script in a word that has ASCII letters or digits too (so that Russian stays Russian).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from hashlib import sha256

from sluice import config
from sluice.detect.views import Replacement

_INVISIBLE = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff"
)
_MARKS = r"\u0300-\u034e\u0350-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_SPACES = r"\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_DASHES = r"\u2010-\u2015\u2043\u2212\u2796\ufe58\ufe63"
_LOOKALIKE = (
    r"\uff01-\uff5e"  # full-width ASCII
    r"\u2070-\u209c\u00b2\u00b3\u00b9\u00aa\u00ba\u02b0-\u02b8\u02e1-\u02e3\u1d2c-\u1d6a"  # raised and lowered
    r"\u2100-\u2149\u2160-\u217f"  # letter-like symbols, Roman numerals
    r"\u2460-\u2473\u2474-\u249b\u249c-\u24e9\u24ea\u24f5-\u24fe\u2776-\u2793"  # circled, in brackets, with a stop
    r"\u0660-\u0669\u06f0-\u06f9\u07c0-\u07c9\u0966-\u096f\u09e6-\u09ef\u0a66-\u0a6f\u0ae6-\u0aef"
    r"\u0b66-\u0b6f\u0be6-\u0bef\u0c66-\u0c6f\u0ce6-\u0cef\u0d66-\u0d6f\u0de6-\u0def\u0e50-\u0e59\u0ed0-\u0ed9"
    r"\u0f20-\u0f29\u1040-\u1049\u1090-\u1099\u17e0-\u17e9\u1810-\u1819\u1946-\u194f\u19d0-\u19d9\u1a80-\u1a89"
    r"\u1a90-\u1a99\u1b50-\u1b59\u1bb0-\u1bb9\u1c40-\u1c49\u1c50-\u1c59\ua620-\ua629\ua8d0-\ua8d9\ua900-\ua909"
    r"\ua9d0-\ua9d9\ua9f0-\ua9f9\uaa50-\uaa59\uabf0-\uabf9\U000104a0-\U000104a9\U00011066-\U0001106f"
    r"\U0001d400-\U0001d7ff\U0001f100-\U0001f10a\U0001f110-\U0001f149\U0001f150-\U0001f169\U0001f170-\U0001f189"
    r"\U0001fbf0-\U0001fbf9\ufb00-\ufb06"
)
_ODD = re.compile(f"[{_INVISIBLE}{_MARKS}{_SPACES}{_DASHES}{_LOOKALIKE}]")
"""Every character that may be undone alone. One class and nothing else: the fastest thing that `re` can look for."""
_STRETCH = 512
"""Characters that are asked at once whether they are ASCII: that is a comparison of memory."""
_ROMAN = re.compile("[\u2160-\u217f]")
_BOXED = ((0x1F150, 0x1F169, 0x1F150), (0x1F170, 0x1F189, 0x1F170), (0x1F130, 0x1F149, 0x1F130))
"""Letters in circles and boxes for which Unicode gives no plain form."""


@cache
def table() -> dict[str, str]:
    """Letters of other scripts, each with the ASCII character that it looks like. Read once."""
    out: dict[str, str] = {}
    for line in (config.signatures_dir() / "look-alikes.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            code, plain, _ = line.split(" ", 2)
            out[chr(int(code, 16))] = plain
    return out


@cache
def digest() -> str:
    """SHA-256 of the table, for the engine's digest."""
    return sha256(repr(sorted(table().items())).encode()).hexdigest()


@cache
def _mixed() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Where a look-alike of another script and ASCII meet, and the rest of a word that they stand in."""
    letters = "".join(map(re.escape, table()))
    return (
        re.compile(f"[{letters}](?:(?=[A-Za-z0-9_])|(?<=[A-Za-z0-9_].))"),
        re.compile(f"[{letters}A-Za-z0-9_]{{0,256}}"),
    )


def suspicious(text: str) -> bool:
    """True when `folds` would find something."""
    if next(_odd_ones(text), None) is not None:
        return True
    meet = _mixed()[0]
    return any(meet.search(text, low, high + 1) for low, high in _foreign(text))


def folds(text: str) -> list[Replacement]:
    """What to undo of such characters, in order."""
    found = list(_odd_ones(text))
    strange = list(_strange(text))
    return sorted(found + strange) if strange else found


def _foreign(text: str) -> Iterator[tuple[int, int]]:
    """The stretches of the text that hold characters beyond ASCII: most of a text mostly holds none."""
    for low in range(0, len(text), _STRETCH):
        if not text[low : low + _STRETCH].isascii():
            yield low, low + _STRETCH


def _odd_ones(text: str) -> Iterator[Replacement]:
    for m in (m for low, high in _foreign(text) for m in _ODD.finditer(text, low, high)):
        i = m.start()
        kind, new = _odd(m[0])
        before, after = text[i - 1 : i], text[i + 1 : i + 2]
        if kind == "letter" or (kind == "gone" and (_visible(before) or _visible(after))):
            yield i, i + 1, new
        elif kind == "mark":
            j = i - 1
            while j >= 0 and i - j < 32 and _MARK.match(text[j]):
                j -= 1
            if j >= 0 and _visible(text[j]):
                yield i, i + 1, ""
        elif kind == "raised":
            if before.isdigit() or after.isdigit() or _raised(before) or _raised(after):
                yield i, i + 1, new
        elif kind == "sign" and _solid(before) and _solid(after):
            yield i, i + 1, new


_MARK = re.compile(f"[{_MARKS}]")


def _strange(text: str) -> Iterator[Replacement]:
    """Letters of other scripts in words that have ASCII too. Every character belongs to one word, so this is linear."""
    meet, rest = _mixed()
    alike = table()
    done = 0
    while m := meet.search(text, done):
        back = rest.match(text[max(m.start() - 256, done) : m.start()][::-1])
        low = m.start() - (back.end() if back else 0)
        ahead = rest.match(text, m.end())
        high = ahead.end() if ahead else m.end()
        for i in range(low, high):
            if (new := alike.get(text[i])) is not None:
                yield i, i + 1, new
        done = high


@cache
def _odd(char: str) -> tuple[str, str]:
    """(`letter`, `raised`, `sign`, `mark` or `gone`, what it stands for in ASCII)."""
    code, category = ord(char), unicodedata.category(char)
    if (digit := unicodedata.decimal(char, None)) is not None:
        return "letter", str(digit)
    for first, last, base in _BOXED:
        if first <= code <= last:
            return "letter", chr(ord("A") + code - base)
    if category in {"Mn", "Me"} and code != 0x34F and _MARK.match(char):
        return "mark", ""
    if category == "Zs":
        return "sign", " "
    if category == "Pd" or char in "\u2212\u2043\u2796":
        return "sign", "-"
    if 0xE0020 <= code <= 0xE007E:
        return "letter", chr(code - 0xE0000)  # tag characters: ASCII that no screen shows
    plain = unicodedata.normalize("NFKC", char)
    plain = table().get(plain, plain)
    if (digit := unicodedata.digit(char, None)) is not None and (len(plain) > 1 or not plain.isascii()):
        plain = str(digit)  # 1 with a stop, in brackets, in a black circle
    elif len(plain) == 3 and plain[0] == "(" and plain[2] == ")":
        plain = plain[1]
    if not plain.isascii() or not plain.strip():
        return ("gone", "") if category in {"Cf", "Mn", "Lo"} and _is_invisible(code) else ("other", "")
    if 0x2070 <= code <= 0x209C or code in {0xB2, 0xB3, 0xB9, 0xAA, 0xBA} or 0x2B0 <= code <= 0x1D6A:
        return "raised", plain
    if 0x2100 <= code <= 0x217F and (len(plain) > 1 or _ROMAN.match(char)):
        return "other", ""  # a trade mark, a Roman numeral
    return ("letter" if plain.isalnum() else "sign"), plain


_UNSEEN = re.compile(f"[{_INVISIBLE}]")


def _is_invisible(code: int) -> bool:
    return _UNSEEN.match(chr(code)) is not None


def _visible(char: str) -> bool:
    return "!" <= char <= "~"


def _raised(char: str) -> bool:
    return bool(char) and not char.isascii() and _ODD.match(char) is not None and _odd(char)[0] == "raised"


def _solid(char: str) -> bool:
    if char.isascii():
        return char.isdigit() or char.isupper()
    return bool(char) and _ODD.match(char) is not None and _odd(char)[0] == "letter"
