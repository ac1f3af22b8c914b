"""JSON as every service may read it: all values of a repeated key, many documents in one body, bounded nesting.

The standard decoder is C, tells of repeated keys through `object_pairs_hook`, and forgives what lenient services
forgive (NaN, control characters in strings); the count of values and levels afterwards costs a fifth of the parse.
Never raises.
"""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar

from sluice.errors import Opacity
from sluice.value import Value

type Json = Any
"""A decoded JSON value: dict, list, str, int, float, bool or None. Any, because the input decides."""

_BLANKS = re.compile(r"[ \t\n\r\x1e]*+")
"""Between documents; 0x1E is the record separator of RFC 7464."""
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


class Repeated(dict[str, Json]):
    """A JSON object in which a key came more than once. `get` and `[]` give the last value, as most services take it;
    `items` and `values` give every value in order, so that whoever walks it misses none."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[tuple[str, Json]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs

    def items(self) -> Any:
        return iter(self.pairs)

    def values(self) -> Any:
        return (value for _, value in self.pairs)


class Document(Value, frozen=True):
    """**P** What was read: one value, or with `sequence` the list of documents that followed each other. `keys` holds
    every object key once, in order of appearance; `rest` is text after the last document that is no JSON."""

    HIDDEN: ClassVar[frozenset[str]] = frozenset({"value", "keys", "rest"})

    value: Json
    keys: dict[str, Json]
    nodes: int
    depth: int
    sequence: bool = False
    rest: str = ""


def _pairs(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Repeated(pairs)


class Literal(float):
    """A large JSON number with a fraction or an exponent, and how it was written: a float keeps fewer digits than the
    body that goes on."""

    __slots__ = ("raw",)

    def __init__(self, raw: str) -> None:
        self.raw = raw

    def spellings(self) -> list[str]:
        """Every decimal text that a reader could take from it: as written, before the point, as a whole number, and
        the digits alone where an exponent says that the point stands elsewhere."""
        mantissa, exponent, _ = self.raw.lower().partition("e")
        whole, _, fraction = mantissa.lstrip("-").partition(".")
        found = [self.raw, whole]
        if self.is_integer():
            found.append(str(int(self)))
        if exponent:
            found.append((whole + fraction).lstrip("0"))
        return list(dict.fromkeys(found))


_LARGE = 1_000_000
_LONG_MANTISSA = re.compile(r"-?\d{7,}[.eE]")
"""Small only by its exponent: `4539000000000000e-10`."""


def _float(raw: str) -> float:
    """Embeddings are floats by the hundred thousand, so that small ones stay what they are."""
    value = float(raw)
    if -_LARGE < value < _LARGE and (("e" not in raw and "E" not in raw) or not _LONG_MANTISSA.match(raw)):
        return value
    return Literal(raw)


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, strict=False, parse_float=_float)
_LONG_NUMBERS = json.JSONDecoder(object_pairs_hook=_pairs, strict=False, parse_float=_float, parse_int=str)
"""Python refuses to convert integers of more than 4300 digits; as text they can be scanned all the same."""


def parse(text: str, *, depth: int, nodes: int) -> Document | Opacity:
    """Read `text` as JSON: at most `depth` levels and `nodes` values.

    Documents after the first (JSON lines, concatenated or record-separated JSON) are read too. Returns
    `BAD_JSON` when not even one document could be read, `DEPTH_LIMIT` or `NODE_LIMIT` past the bounds.
    """
    if not _affordable(text, nodes):
        return Opacity.NODE_LIMIT
    start = _skip(text, 0)
    if start == len(text):
        return Opacity.BAD_JSON
    try:
        first, end = _read(text, start)
    except RecursionError:
        return Opacity.DEPTH_LIMIT
    except ValueError:
        return Opacity.BAD_JSON
    end = _skip(text, end)
    if end == len(text):
        return _measured(first, depth=depth, nodes=nodes)
    values = [first]
    try:
        while end < len(text):
            value, end = _read(text, end)
            values.append(value)
            if len(values) > nodes:
                return Opacity.NODE_LIMIT
            end = _skip(text, end)
    except RecursionError:
        return Opacity.DEPTH_LIMIT
    except ValueError:
        if len(values) == 1 and not isinstance(first, dict | list):
            return Opacity.BAD_JSON  # prose that begins with a number or a quoted word
    return _measured(values, depth=depth + 1, nodes=nodes, rest=text[end:], sequence=True)


def _read(text: str, start: int) -> tuple[Json, int]:
    try:
        return _DECODER.raw_decode(text, start)
    except json.JSONDecodeError:
        raise
    except ValueError:
        return _LONG_NUMBERS.raw_decode(text, start)


def _skip(text: str, position: int) -> int:
    found = _BLANKS.match(text, position)
    return found.end() if found else position


def _affordable(text: str, nodes: int) -> bool:
    """False when the text holds more values than allowed, seen before they take memory.

    A value takes two characters at least, so a short text cannot hold enough to hurt. In a long one commas and brackets
    are counted, those in strings too, and exactly only when that count is too high.
    """
    if len(text) <= 8 * nodes or _separators(text) <= nodes:
        return True
    return _separators(_STRING.sub("", text)) <= nodes


def _separators(text: str) -> int:
    return text.count(",") + text.count("[") + text.count("{")


def _measured(value: Json, *, depth: int, nodes: int, rest: str = "", sequence: bool = False) -> Document | Opacity:
    """Count levels, values and keys, breadth first: no recursion, so no input can exhaust the stack."""
    level = [value]
    keys: dict[str, Json] = {}
    seen = levels = 0
    while level:
        levels += 1
        seen += len(level)
        below: list[Json] = []
        for item in level:
            kind = type(item)
            if kind is list:
                below.extend(item)
            elif kind is dict or kind is Repeated:
                keys.update(item)
                below.extend(item.values())
        if seen > nodes:
            return Opacity.NODE_LIMIT
        level = below
        if levels > depth and level:
            return Opacity.DEPTH_LIMIT
    return Document(value, dict.fromkeys(keys), seen, levels, sequence, rest)


def step(key: str) -> str:
    """A key as one step of a JSON pointer (RFC 6901, section 3), printable whatever it holds."""
    if "~" in key or "/" in key:
        key = key.replace("~", "~0").replace("/", "~1")
    return key if key.isascii() else printable(key)


def printable(text: str) -> str:
    """Text that UTF-8 can carry: half of a surrogate pair (`\\ud800` alone) becomes U+FFFD, one for one, so that
    offsets stay right. Detectors and terminals cannot take the half."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
