"""The texts of one scan, level by level: what the parts say, then what lies hidden in that, under a byte budget.

A `Text` knows the way back to the part that it came from, so that a finding three levels down still has the offsets of
the text that was sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sluice.detect import normalise
from sluice.model import Part


@dataclass(frozen=True, slots=True)
class Text:
    """**P** A text to scan. `way` leads back, innermost first; empty for the text of a part itself."""

    part: int
    text: str = field(repr=False)
    way: tuple[normalise.Spans | normalise.Coded, ...] = ()

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The span in the part's own text that a span of this text came from."""
        for step in self.way:
            start, end = step.back(start, end)
        return start, end


@dataclass(slots=True)
class Allowance:
    """What deriving may still cost in one scan: characters of views, and places to undo."""

    characters: int
    places: int


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

    def derive(self, allowance: Allowance, partial: set[int], *, coded: bool) -> list[Text]:
        """The texts hidden in these. A part whose views do not fit the allowance is added to `partial`. `coded`: there
        are runs that could be base64."""
        disguised = normalise.suspicious(self.joined)
        if not disguised and not coded:
            return []
        out: list[Text] = []
        for t in self.texts:
            if disguised and normalise.suspicious(t.text):
                if len(t.text) > allowance.characters:
                    partial.add(t.part)
                    continue
                view, complete = normalise.unescape(t.text, allowance.places)
                if view is not None and view.text != t.text:
                    allowance.characters -= len(view.text)
                    allowance.places -= len(view.spans.at) if isinstance(view.spans, normalise.Spans) else 0
                    out.append(Text(t.part, view.text, (view.spans, *t.way)))
                if not complete:
                    partial.add(t.part)
            if coded and len(t.text) >= normalise.RUN:
                views, complete = normalise.decode_runs(t.text, allowance.characters)
                for view in views:
                    allowance.characters -= len(view.text)
                    out.append(Text(t.part, view.text, (view.spans, *t.way)))
                if not complete:
                    partial.add(t.part)
        return out


def first(parts: tuple[Part, ...]) -> list[Text]:
    """The texts of the parts themselves, empty ones left out."""
    return [Text(i, p.text) for i, p in enumerate(parts) if p.text]
