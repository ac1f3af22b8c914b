"""The texts of one scan, level by level: what the parts say, then what lies hidden in that, under a byte budget.

A `Text` knows the way back to the part that it came from, so that a finding three levels down still has the offsets of
the text that was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from sluice.detect import characters, escapes, joined, normalise
from sluice.detect.views import Behind, Step, View
from sluice.model import Part
from sluice.value import Value

CONTEXT = 256
"""A longer text is not read with the name of its field: it has a context of its own."""
_NO_CONTEXT = frozenset(
    """
    arguments body code completion content contents data description documents function generated_text input inputs
    instructions message messages name output parameters parts prompt query question reasoning response result role
    schema stop suffix summary system text texts thinking title type url uri value values
    """.split()  # noqa: SIM905 - words read better as words
)
"""Names of fields that say nothing about what is in them."""


class Text(Value, frozen=True):
    """**P** A text to scan. `way` leads back, innermost first; empty for the text of a part itself.

    `strict`, `observed`: see `views.View`."""

    HIDDEN: ClassVar[frozenset[str]] = frozenset({"text"})

    part: int
    text: str
    way: tuple[Step, ...] = ()
    strict: bool = False
    observed: bool = False

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The span in the part's own text that a span of this text came from; empty for a name of a field."""
        for step in self.way:
            start, end = step.back(start, end)
        return start, end


@dataclass(slots=True)
class Allowance:
    """What deriving may still cost in one scan: characters of views, and places to undo."""

    characters: int
    places: int


class Hints(NamedTuple):
    """What hyperscan says of a buffer: whether runs of base64, codes of characters and lists of short strings can stand
    in it, and where code joins strings, keys begin and numbers end that may be in pieces: (end in bytes, mark).
    `spans`: where the runs stand in it, bytes, and `escapes`: where escapes may (as the marks), if that is known."""

    runs: bool = False
    codes: bool = False
    lists: bool = False
    marks: tuple[tuple[int, int], ...] = ()
    spans: tuple[tuple[int, int], ...] | None = None
    escapes: tuple[tuple[int, int], ...] | None = None


type Marks = tuple[tuple[str, int], ...]
"""For each mark of `Hints` its kind (`joined.CONCATENATION` and so on) and its length."""


class Layer:
    """**P** The texts of one level as one buffer, so that hyperscan runs once whatever the number of parts.

    A newline stands between texts: `^` and `$` hold at their ends, and no match can be confirmed across it, because
    confirmation reads one text alone.
    """

    __slots__ = ("ascii", "data", "joined", "starts", "stops", "texts")

    def __init__(self, texts: list[Text]) -> None:
        self.texts = texts
        self.joined = "\n".join([t.text for t in texts])
        self.data = self.joined.encode("utf-8", "replace")
        self.ascii = self.joined.isascii()
        self.starts: list[int] = []
        self.stops: list[int] = []
        at = 0
        for t in texts:
            size = len(t.text) if self.ascii else len(t.text.encode("utf-8", "replace"))
            self.starts.append(at)
            self.stops.append(at + size)
            at += size + 1

    @property
    def added(self) -> int:
        """Bytes of the texts that stand there a second time, behind the name of their field."""
        again = (t.way and isinstance(t.way[0], Behind) for t in self.texts)
        return sum(stop - start for start, stop, is_ in zip(self.starts, self.stops, again, strict=True) if is_)

    def derive(
        self, allowance: Allowance, partial: set[int], hints: Hints, marks: Marks, again: Callable[[bytes], Hints]
    ) -> list[Text]:
        """The texts hidden in these. A part whose views do not fit the allowance is added to `partial`. `hints` are of
        the whole level, `again` asks for those of one text."""
        if hints.escapes is None:
            disguised = normalise.suspicious(self.joined)
        else:
            disguised = bool(hints.escapes) or (not self.ascii and characters.suspicious(self.joined))
        if not disguised and not (hints.runs or hints.codes or hints.lists or hints.marks):
            return []
        out: list[Text] = []
        escaped = self._escaped(hints.escapes) if hints.escapes else {}
        places = self._places(hints.marks, marks)
        gated = hints.codes or hints.lists
        runs = self._runs(hints.spans) if hints.spans is not None and self.ascii else None
        for k, t in enumerate(self.texts):
            known = None if hints.escapes is None else escaped.get(k, {})
            if disguised and (known is None or known or not self.ascii) and self._unescaped(t, known, allowance, out):
                partial.add(t.part)
            if len(t.text) < normalise.SHORTEST:
                continue
            own = hints
            if gated and len(self.texts) > 1:
                own = again(self.data[self.starts[k] : self.stops[k]])
            if hints.runs and (runs is None or k in runs):
                views, complete = normalise.decode_runs(t.text, allowance.characters, runs[k] if runs else None)
                if _keep(t, views, complete, allowance, out):
                    partial.add(t.part)
            at = [end for kind, _, end in places.get(k, []) if kind == joined.CODES]
            if own.codes or at:
                codes = normalise.decode_codes(t.text, allowance.characters, None if own.codes else at)
                if _keep(t, *codes, allowance, out):
                    partial.add(t.part)
            if not t.strict and (own.lists or k in places):
                views, complete = _bounded(_in_pieces(t, own, places.get(k, [])), allowance.characters)
                if _keep(t, views, complete, allowance, out):
                    partial.add(t.part)
        return out

    def _unescaped(self, t: Text, known: escapes.Places | None, allowance: Allowance, out: list[Text]) -> bool:
        """Add the text without escapes; True when it did not fit. `known`: where escapes may begin."""
        if not normalise.suspicious(t.text, known):
            return False
        whole = True
        for undo in (normalise.unescape, normalise.unquote):
            if len(t.text) > allowance.characters:
                return True
            view, complete = undo(t.text, allowance.places, known)
            whole = whole and complete
            if view is not None and view.text != t.text:
                allowance.characters -= len(view.text)
                allowance.places -= len(view.spans.at) if isinstance(view.spans, normalise.Spans) else 0
                out.append(Text(t.part, view.text, (view.spans, *t.way), t.strict, t.observed))
        return not whole

    def _runs(self, spans: Iterable[tuple[int, int]]) -> dict[int, list[tuple[int, int]]]:
        """The runs of each text that has any; every character is a byte."""
        out: dict[int, list[tuple[int, int]]] = {}
        k = 0
        for start, end in spans:
            while start > self.stops[k]:
                k += 1
            out.setdefault(k, []).append((start - self.starts[k], end - self.starts[k]))
        return out

    def _escaped(self, found: Iterable[tuple[int, int]]) -> dict[int, dict[str, list[int]]]:
        """Where escapes of each kind may begin in each text, in characters."""
        out: dict[int, dict[str, list[int]]] = {}
        for k, places in self._places(found, escapes.BEGINNINGS).items():
            own = out.setdefault(k, {})
            for kind, start, _ in places:
                own.setdefault(kind, []).append(start)
            for starts in own.values():
                starts.sort()  # of two that end in one order, the longer one may begin before the other
        return out

    def _places(self, found: Iterable[tuple[int, int]], marks: Marks) -> dict[int, list[tuple[str, int, int]]]:
        """(kind, start, end) of the marks in each text, in characters."""
        out: dict[int, list[tuple[str, int, int]]] = {}
        k = known_byte = known_char = 0
        for end, mark in sorted(found):
            if end > self.stops[k]:
                while end > self.stops[k]:
                    k += 1
                known_byte = known_char = 0
            offset = end - self.starts[k]
            kind, length = marks[mark]
            if offset < length:
                continue  # it reaches over the newline between two texts
            if not self.ascii:
                base = self.starts[k]
                known_char += len(self.data[base + known_byte : base + offset].decode("utf-8", "ignore"))
                known_byte = offset
                offset = known_char
            out.setdefault(k, []).append((kind, offset - length, offset))
        return out


def _in_pieces(t: Text, hints: Hints, places: list[tuple[str, int, int]]) -> Iterator[View]:
    """The views of values in pieces, cheap ones first."""
    by_kind: dict[str, list[tuple[int, int]]] = {}
    for kind, start, end in places:
        by_kind.setdefault(kind, []).append((start, end))
    for kind, join in _JOINS.items():
        if kind in by_kind:
            yield from join(t.text, sorted(by_kind[kind]))
    if not t.way:
        for kind in (joined.BACKWARDS, joined.ROTATED):
            if kind in by_kind:
                yield from joined.turned(t.text, sorted(by_kind[kind]), rotated=kind == joined.ROTATED)
    if hints.lists or joined.LIST in by_kind:
        at = sorted(end for _, end in by_kind.get(joined.LIST, []))
        yield from joined.listed(t.text, None if hints.lists else at)


_JOINS: dict[str, Callable[[str, list[tuple[int, int]]], Iterator[View]]] = {
    joined.CONCATENATION: joined.concatenated,
    joined.COMBINED: joined.combined,
    joined.BEGINNING: joined.broken,
    joined.SPELLED: joined.spelled,
    joined.CARD: joined.numbers,
    joined.ACCOUNT: joined.accounts,
}


def _bounded(views: Iterable[View], limit: int) -> tuple[list[View], bool]:
    """As many of the views as fit, and whether that is all."""
    out: list[View] = []
    for view in views:
        limit -= len(view.text)
        if limit < 0:
            return out, False
        out.append(view)
    return out, True


def _keep(t: Text, views: list[View], complete: bool, allowance: Allowance, out: list[Text]) -> bool:
    """Add the views; True when there would have been more."""
    for view in views:
        allowance.characters -= len(view.text)
        out.append(Text(t.part, view.text, (view.spans, *t.way), view.strict, t.observed or view.observed))
    return not complete


def first(parts: tuple[Part, ...]) -> list[Text]:
    """The texts of the parts themselves, empty ones left out, and a short one once more behind the name of its field
    where that tells something: `{"password": "..."}` comes as a part that holds no word of a password."""
    out: list[Text] = []
    for i, p in enumerate(parts):
        if p.text:
            out.append(Text(i, p.text))
        if name := context(p):
            front = f'"{name}": "'
            out.append(Text(i, f'{front}{p.text}"', (Behind(len(front), len(p.text)),)))
    return out


def context(part: Part) -> str:
    """The name of the field that a text is the value of, from the part's pointer; empty when it tells nothing."""
    if not part.text or len(part.text) > CONTEXT:
        return ""
    head, _, name = part.pointer.rpartition("/")
    if "/" not in part.pointer:
        kind, _, name = part.pointer.partition(":")
        if kind not in {"form", "multipart"}:
            return ""  # a name of our own, not one of a field
    while name.isdigit() and head:
        head, _, name = head.rpartition("/")
    name = name.partition("#")[0].replace("~1", "/").replace("~0", "~")
    return "" if len(name) > 64 or not name.strip("0123456789") or name.lower() in _NO_CONTEXT else name
