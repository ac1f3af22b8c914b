"""A text made from another text, and the way back to the offsets of that one (code points).

Pure data: who makes a view and from what is the business of `escapes`, `characters`, `encoded` and `joined`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from sluice.value import Value

WHOLE = 65_536
"""A longer text is viewed only around the places that were undone, `AROUND` characters to either side."""
AROUND = 2_048
BEFORE = 256

type Replacement = tuple[int, int, str]
"""(start, end, new): what stands for a stretch of the source."""


class Step(Protocol):
    """One step of the way back."""

    def back(self, start: int, end: int) -> tuple[int, int]:
        """The span in the source that a non-empty span of the view came from."""
        ...


@dataclass(frozen=True, slots=True)
class Spans:
    """The way back. Piece `i` of a view begins at `at[i]` in it and at `origin[i]` in its source; `kept[i]` is True
    when it was copied (offsets run in step) and False when it was replaced (the whole piece stands for the whole)."""

    at: tuple[int, ...]
    origin: tuple[int, ...]
    kept: tuple[bool, ...]

    def back(self, start: int, end: int) -> tuple[int, int]:
        i = bisect_right(self.at, start) - 1
        first = self.origin[i] + (start - self.at[i] if self.kept[i] else 0)
        j = bisect_right(self.at, end - 1) - 1
        last = self.origin[j] + (end - self.at[j]) if self.kept[j] else self.origin[j + 1]
        return first, last


@dataclass(frozen=True, slots=True)
class Coded:
    """The way back from decoded bytes: `characters` of the source for `octets` of them, from `start` on. The view
    begins `skip` bytes behind that place, and has `width` bytes for each of its characters.

    `wide` is True when bytes and characters do not run in step: then only the whole run can be named.
    """

    start: int
    end: int
    wide: bool
    characters: int = 4
    octets: int = 3
    skip: int = 0
    width: int = 1

    def back(self, start: int, end: int) -> tuple[int, int]:
        if self.wide:
            return self.start, self.end
        first = (start * self.width + self.skip) // self.octets * self.characters
        last = -(-(end * self.width + self.skip) // self.octets) * self.characters
        return self.start + first, min(self.start + last, self.end)


class Behind(Value, frozen=True):
    """The way back from a text with a `front` added; a span that lies in the front alone comes back empty."""

    front: int
    length: int

    def back(self, start: int, end: int) -> tuple[int, int]:
        return max(start - self.front, 0), max(min(end - self.front, self.length), 0)


@dataclass(frozen=True, slots=True)
class Window:
    """The way back from a stretch of the source that begins at `start`, read backwards when `turned`."""

    start: int
    end: int
    turned: bool = False

    def back(self, start: int, end: int) -> tuple[int, int]:
        if self.turned:
            return self.end - end, self.end - start
        return self.start + start, self.start + end


@dataclass(frozen=True, slots=True)
class Chain:
    """Several steps one behind the other, the innermost first."""

    steps: tuple[Step, ...]

    def back(self, start: int, end: int) -> tuple[int, int]:
        for step in self.steps:
            start, end = step.back(start, end)
        return start, end


@dataclass(frozen=True, slots=True)
class View:
    """**P** A derived text and the way back to the text that it was derived from.

    `strict`: it may have come about by chance, so that only what has a form of its own counts in it. `observed`: what
    is found in it is never acted upon.
    """

    text: str = field(repr=False)
    spans: Step
    strict: bool = False
    observed: bool = False


def around(pattern: re.Pattern[str], text: str, places: list[int] | None) -> Iterator[re.Match[str]]:
    """The matches of a pattern at or around the given places, ascending; all there are when they are None."""
    if places is None:
        yield from pattern.finditer(text)
        return
    done = 0
    for place in places:
        if place <= done:
            continue
        for m in pattern.finditer(text, max(place - BEFORE, done), min(place + AROUND, len(text))):
            done = m.end()
            yield m


def replaced(text: str, found: list[Replacement]) -> View:
    """The text with the replacements in it, which are in order and do not overlap; of a long text only what is near
    one of them."""
    return pieced(text, _windows(found, len(text)))


def pieced(text: str, windows: list[tuple[int, int, list[Replacement]]], *, strict: bool = False) -> View:
    """The given stretches (low, high, replacements inside) of the text, a line each."""
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

    for low, high, inside in windows:
        if out:
            piece("\n", low, copied=False)  # something was left out here: no value may reach across it
        done = low
        for begin, end, new in inside:
            if begin > done:
                piece(text[done:begin], done, copied=True)
            if new:
                piece(new, begin, copied=False)
                at.append(size)  # what follows it in the source is where it ends
                origin.append(end)
                kept.append(True)
                out.append("")
            done = end
        if high > done:
            piece(text[done:high], done, copied=True)
    at.append(size)
    origin.append(len(text))
    kept.append(True)
    return View("".join(out), Spans(tuple(at), tuple(origin), tuple(kept)), strict)


def _windows(found: list[Replacement], length: int) -> list[tuple[int, int, list[Replacement]]]:
    """(low, high, replacements inside) of the stretches of the text that a view shows."""
    if length <= WHOLE:
        return [(0, length, found)]
    out: list[tuple[int, int, list[Replacement]]] = []
    for item in found:
        low, high = max(item[0] - AROUND, 0), min(item[1] + AROUND, length)
        if out and low <= out[-1][1]:
            out[-1][2].append(item)
            out[-1] = (out[-1][0], high, out[-1][2])
        else:
            out.append((low, high, [item]))
    return out
