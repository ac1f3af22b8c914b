"""Which detectors need not be looked for in most text, because every match of theirs holds something that is cheap to
find and mostly absent: a gate.

Digits and numbers: nearly every national number, card and telephone number has six digits with at most separators
between them, and most others have three. An expression finds those places at the speed of memory, and the detectors
(their heads, or the keywords that they require) are then looked for around these places alone. Runs: a key without any
literal part is a run of base64 characters.

That a detector stands behind a gate is proved from its pattern here, never declared: `in_a_row` says how many counted
characters in a row every match holds. Whatever cannot be proved is looked for everywhere, as before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import ascii_letters, digits
from typing import Any

from sluice.detect import normalise, shapes
from sluice.detect.scanning import Compiled


@dataclass(frozen=True, slots=True)
class Gate:
    """`expression` (hyperscan, on bytes) ends once in every stretch of `counted` characters and those `between` that
    holds `least` of the counted, where that many have passed. `row` matches such a stretch to its end, and `near` (both
    of `re`, on bytes) finds one. `sparse`: one stretch for so many bytes is still few: windows around them are then
    cheaper than the whole text."""

    name: str
    expression: str
    row: re.Pattern[bytes]
    near: re.Pattern[bytes]
    counted: frozenset[int]
    between: frozenset[int] = frozenset()
    least: int = 0
    sparse: int = 512


def _digits(name: str, least: int) -> Gate:
    between = r"[ .()/+\-]"
    expression = rf"(?:^|[^0-9 .()/+\-]){between}*[0-9](?:{between}*[0-9]){{{least - 1}}}"
    row, near = r"[0-9 .()/+\-]*+", rf"[0-9](?:{between}*+[0-9]){{{least - 1}}}"
    counted, allowed = frozenset(map(ord, digits)), frozenset(map(ord, " .()/+-"))
    return Gate(name, expression, re.compile(row.encode()), re.compile(near.encode()), counted, allowed, least)


RUN = normalise.RUN
"""The shortest run of base64 that is decoded: one look serves both."""

DIGITS = _digits("digits", 6)
NUMBERS = _digits("numbers", 3)
"""Every place of `DIGITS` is one of `NUMBERS` as well."""
RUNS = Gate(
    "runs",
    rf"[A-Za-z0-9+/_-]{{{RUN}}}",
    re.compile(rb"[A-Za-z0-9+/_-]*+"),
    re.compile(rb"[A-Za-z0-9+/_-]{%d}" % RUN),
    frozenset(map(ord, ascii_letters + digits + "+/_-")),
    frozenset(),
    RUN,
    sparse=256,
)
"""Asked only whether there is one: where, a search in memory says (`encoded.runs`)."""
ALL = (DIGITS, RUNS, NUMBERS)
"""In the order in which they are tried: the rarest first."""

FARTHEST = 400
"""A detector that must be looked for farther around a gate's place than this, in characters, is looked for everywhere:
its windows would be most of the text."""
LITERAL = 2
"""Literal characters in a row by which hyperscan finds a head at no cost, and without a gate when they are `RARE`."""
RARE = 4


def in_a_row(pattern: str, gate: Gate, *, caseless: bool = False) -> int:
    """How many counted characters in a row (with what may stand between) every match of the pattern holds at least."""
    return _most(shapes.items(pattern, caseless=caseless), gate)


def reach_of_head(c: Compiled) -> int:
    """How far from a gate's stretch in the match a head may begin or end, in characters, with what stands before it."""
    return c.shape.most + c.shape.back + 4


def reach_of_keywords(c: Compiled) -> int:
    """How far from a gate's place inside the value, or in what it looks ahead for, a required keyword may begin or end,
    in characters."""
    items = shapes.items(c.detector.pattern, caseless=c.shape.caseless)
    ahead = max((_wide(item) for item in items), default=0)
    return c.shape.least + c.shape.tail + ahead + c.detector.within + 2 * c.longest + 4


def _wide(item: Any) -> int:
    """How far an item looks ahead, in characters."""
    op, argument = item
    return int(argument[1].getwidth()[1]) if str(op) == "ASSERT" and argument[0] > 0 else 0


def _most(items: list[Any], gate: Gate) -> int:
    """The longest row that any match of the sequence holds: rows of neighbouring plain items, or one inside an item."""
    best = row = 0
    for item in items:
        if str(item[0]) == "ASSERT" and item[1][0] > 0:  # what is looked ahead for stands there too
            best = max(best, _most(list(item[1][1]), gate))
            continue
        count = _plain([item], gate)
        if count is None:
            row = 0
            best = max(best, _inside(item, gate))
        else:
            row += count
            best = max(best, row)
    return best


def _plain(items: list[Any], gate: Gate) -> int | None:
    """Least counted characters of a sequence of nothing but counted characters and those between; None = of others."""
    total = 0
    for op, argument in items:
        name = str(op)
        if name in {"AT", "ASSERT", "ASSERT_NOT"}:
            continue
        if name in {"LITERAL", "IN"}:
            chars = _characters(name, argument)
            if chars is None or not chars <= gate.counted | gate.between:
                return None
            count: int | None = 1 if chars <= gate.counted else 0
        elif name in shapes.REPEATS:
            inner = _plain(list(argument[2]), gate)
            count = None if inner is None else int(argument[0]) * inner
        elif name == "SUBPATTERN":
            count = _plain(list(argument[3]), gate)
        elif name == "BRANCH":
            counts = [_plain(list(b), gate) for b in argument[1]]
            count = None if None in counts else min(c for c in counts if c is not None)
        else:
            return None
        if count is None:
            return None
        total += count
    return total


def _inside(item: Any, gate: Gate) -> int:
    """The longest row inside an item that holds other characters too."""
    op, argument = item
    name = str(op)
    if name in shapes.REPEATS:
        return _most(list(argument[2]), gate) if int(argument[0]) else 0
    if name == "SUBPATTERN":
        return _most(list(argument[3]), gate)
    if name == "BRANCH":
        return min(_most(list(b), gate) for b in argument[1])
    return 0


def _characters(name: str, argument: Any) -> frozenset[int] | None:
    """The characters that an item stands for, or None when they are too many to tell."""
    if name == "LITERAL":
        return frozenset((argument,))
    chars: set[int] = set()
    for op, a in argument:
        kind = str(op)
        if kind == "LITERAL":
            chars.add(a)
        elif kind == "RANGE" and a[1] < 0x250:
            chars.update(range(a[0], a[1] + 1))
        elif kind == "CATEGORY" and str(a) == "CATEGORY_DIGIT":
            chars.update(map(ord, digits))
        else:
            return None
    return frozenset(chars)
