"""Documents whose secrets and personal data are known by place, and how random values are drawn."""

from __future__ import annotations

import random
import string
from dataclasses import dataclass

OPEN, CLOSE = "\ue000", "\ue001"
"""Stand around a planted value while its document is written, so that quoting and escaping move them along."""

ALPHABETS = {
    "digit": string.digits,
    "hex": "0123456789abcdef",
    "HEX": "0123456789ABCDEF",
    "lower": string.ascii_lowercase,
    "upper": string.ascii_uppercase,
    "alpha": string.ascii_letters,
    "alnum": string.ascii_letters + string.digits,
    "lownum": string.ascii_lowercase + string.digits,
    "upnum": string.ascii_uppercase + string.digits,
    "b64": string.ascii_letters + string.digits + "+/",
    "url": string.ascii_letters + string.digits + "-_",
    "base32": string.ascii_uppercase + "234567",
}


@dataclass(frozen=True, slots=True)
class Value:
    """A value to plant. `kind`: the row of the table; `classes`: prefixes of data classes that name it rightly;
    `label`: how text calls it; `family`: the group whose recall has one goal."""

    kind: str
    family: str
    text: str
    label: str
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Planted:
    """A value where it stands: code points of the document's text."""

    kind: str
    family: str
    start: int
    end: int
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """One prompt. `carrier` is the form of its text; a clean one has nothing planted."""

    name: str
    carrier: str
    text: str
    planted: tuple[Planted, ...] = ()


def draw(rng: random.Random, form: str) -> str:
    """The form with every `{alphabet:count}` (or `{alphabet:least-most}`) replaced by that many random characters."""
    out = []
    rest = form
    while rest:
        before, brace, rest = rest.partition("{")
        out.append(before)
        if not brace:
            break
        spec, _, rest = rest.partition("}")
        alphabet, _, count = spec.partition(":")
        low, _, high = count.partition("-")
        out.append("".join(rng.choices(ALPHABETS[alphabet], k=rng.randint(int(low), int(high or low)))))
    return "".join(out)


def mark(value: str) -> str:
    """The value between its marks."""
    return f"{OPEN}{value}{CLOSE}"


def finish(name: str, carrier: str, text: str, values: tuple[Value, ...]) -> Document:
    """The document without marks. `values` in the order in which they stand in the text."""
    out: list[str] = []
    planted: list[Planted] = []
    at = 0
    pieces = text.split(OPEN)
    out.append(pieces[0])
    at = len(pieces[0])
    for value, piece in zip(values, pieces[1:], strict=True):
        inside, _, behind = piece.partition(CLOSE)
        planted.append(Planted(value.kind, value.family, at, at + len(inside), value.classes))
        out += [inside, behind]
        at += len(inside) + len(behind)
    return Document(name, carrier, "".join(out), tuple(planted))
