"""Types of columns: the one spelling of a value, and what of a text could be a value of that type.

    name     words in any order (`Doe, Jane` is `Jane Doe`), without case and accents
    text     words in their order, without case and accents
    email    without case
    digits   digits alone: spaces, dashes, dots and slashes between them do not count
    phone    the last nine digits: with and without a country's prefix
    code     letters and digits with at least one digit: case and separators do not count
    date     the numbers of a date whatever their order: 1980-05-17 is 17.05.1980 and 5/17/1980

Candidates are found from what is rare in prose (digits, an at sign), in time linear in the text: a value spans at most
`GROUPS` groups of characters, and only lengths that the column has are looked up.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache

from sluice.detect.own.words import words_of

TYPES = ("name", "text", "email", "digits", "phone", "code", "date")
WORDY = frozenset({"name", "text"})
WORDS = 6
"""Most words of a value."""
GROUPS = 10
"""Most groups that a number or a code is written in: an IBAN has nine."""
LONGEST = 64
"""Longest number or code, characters; an address of e-mail has up to 254."""
PHONE = 9

_DIGITS = re.compile(r"[0-9]+")
_ALNUM = re.compile(r"[A-Za-z0-9]+")
_DATE = re.compile(r"(?<![0-9])([0-9]{1,4})([-./])([0-9]{1,2})\2([0-9]{1,4})(?![0-9])")
_LOCAL = re.compile(r"[A-Za-z0-9_%+'-][\w.%+'-]{0,63}")
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[\w-]{0,62}\.){1,8}[A-Za-z][A-Za-z0-9-]{1,62}")
_BETWEEN = frozenset(" -./_")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an index. `sizes`: the lengths of its values: words of a wordy type, characters of another."""

    name: str
    type: str
    key: bool
    sizes: frozenset[int]


def normalise(kind: str, value: str) -> str | None:
    """The one spelling of a value, or None when there is none of that type, or nothing to recognise it by."""
    if kind in WORDY:
        words = words_of(value)
        if not words or len(words) > WORDS or sum(map(len, words)) < 3:
            return None
        return " ".join(sorted(words) if kind == "name" else words)
    plain = unicodedata.normalize("NFKC", value).strip()
    if kind == "email":
        plain = plain.lower()
        return plain if 5 < len(plain) < 255 and plain.count("@") == 1 and " " not in plain else None
    if kind in ("digits", "phone"):
        digits = "".join(_DIGITS.findall(plain))
        if kind == "phone":
            return digits[-PHONE:] if 7 <= len(digits) <= 17 else None
        return digits if 4 <= len(digits) <= LONGEST else None
    if kind == "code":
        code = "".join(_ALNUM.findall(plain)).upper()
        return code if 4 <= len(code) <= LONGEST and _DIGITS.search(code) else None
    match = _DATE.fullmatch(plain.partition(" ")[0].partition("T")[0])
    return _date(match) if match else None


def size_of(kind: str, spelling: str) -> int:
    """What `Column.sizes` counts."""
    return spelling.count(" ") + 1 if kind in WORDY else len(spelling)


def candidates(kind: str, text: str, sizes: Collection[int]) -> Iterator[tuple[int, int, str]]:
    """(start, end, spelling) of what could be a value of a type that is not wordy."""
    if kind == "digits":
        return _numbers(text, sizes)
    if kind == "phone":
        return _phones(text, sizes)
    if kind == "code":
        return _codes(text, sizes)
    if kind == "email":
        return _addresses(text)
    return ((m.start(), m.end(), _date(m)) for m in _DATE.finditer(text))


def _date(match: re.Match[str]) -> str:
    return "-".join(str(n) for n in sorted(int(match[i]) for i in (1, 3, 4)))


def _runs(text: str, pattern: re.Pattern[str], low: int, high: int) -> Iterator[list[tuple[int, int]]]:
    """Groups of a pattern with at most one separator between neighbours."""
    run: list[tuple[int, int]] = []
    for m in pattern.finditer(text, low, high):
        start, end = m.span()
        if run and not (start == run[-1][1] + 1 and text[start - 1] in _BETWEEN):
            yield run
            run = []
        run.append((start, end))
    if run:
        yield run


def _numbers(text: str, sizes: Collection[int]) -> Iterator[tuple[int, int, str]]:
    longest = max(sizes, default=0)
    for run in _long_runs(text, min(sizes, default=1)):
        for i, (start, _) in enumerate(run):
            if start and _letter(text[start - 1]):
                continue  # part of a word such as `v2026`
            digits = 0
            for begin, end in run[i : i + GROUPS]:
                digits += end - begin
                if digits > longest:
                    break
                if digits in sizes and not (end < len(text) and _letter(text[end])):
                    yield start, end, "".join(_DIGITS.findall(text[start:end]))


def _long_runs(text: str, least: int) -> Iterator[list[tuple[int, int]]]:
    """The runs of at least so many digits: a record is full of shorter numbers."""
    for m in _at_least(least).finditer(text):
        yield from _runs(text, _DIGITS, *m.span())


@cache
def _at_least(digits: int) -> re.Pattern[str]:
    return re.compile(rf"[0-9](?:[ ./_-]?[0-9]){{{digits - 1},}}")


def _phones(text: str, sizes: Collection[int]) -> Iterator[tuple[int, int, str]]:
    for run in _phone_runs(text):
        digits = ""
        for start, end in run:
            digits = (digits + text[start:end])[-PHONE:]
            for size in sizes:
                if len(digits) >= size:
                    yield run[0][0] if end - run[0][0] < 2 * LONGEST else start, end, digits[-size:]


def _phone_runs(text: str) -> Iterator[list[tuple[int, int]]]:
    """Groups of digits that a brackets and spaces may stand between: `+49 (0) 171 1234567`."""
    run: list[tuple[int, int]] = []
    for m in _DIGITS.finditer(text):
        start, end = m.span()
        between = text[run[-1][1] : start] if run and start - run[-1][1] <= 3 else "x"
        if run and (len(run) >= GROUPS or between.strip(" -./()")):
            yield run
            run = []
        run.append((start, end))
    if run:
        yield run


def _codes(text: str, sizes: Collection[int]) -> Iterator[tuple[int, int, str]]:
    longest = max(sizes, default=0)
    for low, high in _around_digits(text, 2 * longest + 2):
        for run in _runs(text, _ALNUM, low, high):
            for i, (start, _) in enumerate(run):
                length = 0
                for begin, end in run[i : i + GROUPS]:
                    length += end - begin
                    if length > longest:
                        break
                    if length in sizes and _DIGITS.search(text, start, end):
                        yield start, end, "".join(_ALNUM.findall(text, start, end)).upper()


def _around_digits(text: str, reach: int) -> Iterator[tuple[int, int]]:
    """Stretches with digits in them, apart from each other: a code has a digit, and letters are everywhere."""
    low = high = -1
    for m in _DIGITS.finditer(text):
        if m.start() - reach > high:
            if high >= 0:
                yield low, min(high, len(text))
            low = max(m.start() - reach, 0)
        high = m.end() + reach
    if high >= 0:
        yield low, min(high, len(text))


def _addresses(text: str) -> Iterator[tuple[int, int, str]]:
    at = text.find("@")
    while at >= 0:
        local = _LOCAL.match(text[max(at - 65, 0) : at][::-1])
        domain = _DOMAIN.match(text, at + 1, at + 200)
        if local and domain:
            start, end = at - local.end(), domain.end()
            yield start, end, text[start:end].lower()
            if text[start] in "'_.%+-":  # quoted: 'jane@example.com'
                yield start + 1, end, text[start + 1 : end].lower()
        at = text.find("@", at + 1)


def _letter(char: str) -> bool:
    return char.isascii() and char.isalpha()
