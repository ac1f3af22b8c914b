"""How each finding came about, and what became of the candidates that are none: a scan that takes notes.

A subclass of the scan itself that looks over its shoulder, so that an ordinary scan pays nothing for it and a traced
one decides exactly as an ordinary one does. A trace names detectors, checks and words of packs, never the text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, override

from sluice.detect import judgement, passwords, verdicts
from sluice.detect.layers import Hints, Layer, Text
from sluice.detect.resolve import Sighting, most_specific
from sluice.detect.scanning import Compiled, Scanning
from sluice.model import Part, Scan

if TYPE_CHECKING:
    from sluice.detect.engine import Engine

FOUND, SAMPLE, DROPPED = "found", "sample", "dropped"
MOST = 10_000
"""Traces of one scan."""
_STEPS = {"Spans": "escapes", "Coded": "base64"}


@dataclass(frozen=True, slots=True)
class Trace:
    """What was made of one candidate. `start` and `end` are code points in the text of part `part`.

    `way`: what was undone to see it, outermost first; empty for text as it stands. `keyword`: the pack's word nearest
    to it. `checks`: validators that passed. `why`: of a sample or a dropped one, what made it so.
    """

    detector: str
    part: int
    start: int
    end: int
    way: tuple[str, ...]
    outcome: str
    keyword: str | None
    checks: tuple[str, ...]
    why: str = ""


@dataclass(slots=True)
class _Note:
    compiled: Compiled
    place: tuple[int, int, int]
    way: tuple[str, ...]
    keyword: str | None
    checks: tuple[str, ...]
    why: str
    sighting: Sighting | None


def explain(engine: Engine, parts: tuple[Part, ...], only: str | None = None) -> tuple[Scan, tuple[Trace, ...]]:
    """The scan of the parts and its traces, in order of place. `only`: a detector's id; then also every place that its
    pattern matches far from its keywords. **P** on the way; what is returned is not."""
    tracing = Tracing(engine, parts, only=only)
    scan, _ = tracing.run()
    return scan, tracing.traces()


@dataclass(slots=True)
class Tracing(Scanning):
    """**P** One scan with notes."""

    only: str | None = None
    notes: list[_Note] = field(default_factory=list, repr=False)
    texts: list[Text] = field(default_factory=list, repr=False)
    judged: set[tuple[int, int, int, int]] = field(default_factory=set, repr=False)

    @override
    def _pass(self, layer: Layer) -> Hints:
        self.texts += layer.texts
        return Scanning._pass(self, layer)

    @override
    def judge(self, c: Compiled, index: int, text: Text, start: int, end: int) -> int:
        before = len(self.sightings)
        done = Scanning.judge(self, c, index, text, start, end)
        if (self.only is None or c.detector.id == self.only) and len(self.notes) < MOST:
            new = self.sightings[-1] if len(self.sightings) > before else None
            self.judged.add((id(text), index, start, end))
            allowed = new is None and c.allows(text.text[start : done or end])
            if new is not None or not done or allowed:
                why = "on the allow list of this site" if allowed else ""
                self._note(c, text, start, end, new, why)
        return done

    def _note(self, c: Compiled, text: Text, start: int, end: int, new: Sighting | None, why: str = "") -> None:
        value = text.text[start:end]
        passed: list[str] = []
        if new is None and not why:
            passed, why = _failed(c, text, start, end)
        elif new is not None and not new.example:
            passed = list(c.detector.validators)
        elif new is not None:
            why = "reads as a placeholder" if c.screened and passwords.placeholder(value) else "a documented sample"
        if new is not None:
            place = (new.part, new.start, new.end)
        else:
            first, last = text.original(start, end)
            place = (text.part, first, last)
        steps = tuple(_STEPS.get(type(step).__name__, type(step).__name__.lower()) for step in reversed(text.way))
        self.notes.append(_Note(c, place, steps, _nearest(c, text.text, start, end), tuple(passed), why, new))

    def traces(self) -> tuple[Trace, ...]:
        """What became of every candidate. Call it after `run`."""
        if self.only is not None:
            self._far_from_keywords(self.only)
        kept = most_specific(self.sightings, self.finder.yields)
        standing = {id(s) for s in kept}
        out = []
        for n in self.notes:
            outcome, why = DROPPED, n.why
            if n.sighting is not None and id(n.sighting) in standing:
                outcome = SAMPLE if n.sighting.example else FOUND
            elif n.sighting is not None:
                why = f"gives way to {_winner(n.sighting, kept)}"
            out.append(Trace(n.compiled.detector.id, *n.place, n.way, outcome, n.keyword, n.checks, why))
        noted = {id(n.sighting) for n in self.notes}
        out += [
            Trace(s.detector.id, s.part, s.start, s.end, (), FOUND, None, (), "stands in the site's own data")
            for s in kept
            if s.detector.family == "own" and id(s) not in noted and self.only in (None, s.detector.id)
        ]
        if self.only is None:
            out += [
                Trace(s.detector.id, s.part, s.start, s.end, (), FOUND, None, (), "follows from other findings")
                for s in judgement.conclude(kept)
                if s.detector.family == "judgement"
            ]
        return tuple(sorted(out, key=lambda t: (t.part, t.start, t.end, t.detector)))

    def _far_from_keywords(self, only: str) -> None:
        """Every match of the pattern that no keyword led to."""
        for index, c in enumerate(self.finder.compiled):
            if c.detector.id != only or c.detector.keyword_use not in {"require", "column"}:
                continue
            use = "near it" if c.detector.keyword_use == "column" else f"within {c.detector.within} characters"
            for text in self.texts:
                at = 0
                while len(self.notes) < MOST and (match := c.shape.confirm.search(text.text, at)):
                    start, end = match.span(c.shape.group)
                    if (id(text), index, start, end) not in self.judged:
                        what = "no heading of a column" if c.detector.keyword_use == "column" else "no keyword"
                        self._note(c, text, start, end, None, f"{what} {use}")
                    at = max(end, match.start() + 1)


def _failed(c: Compiled, text: Text, start: int, end: int) -> tuple[list[str], str]:
    """The validators that pass, and what stopped the candidate."""
    passed: list[str] = []
    value = text.text[start:end]
    candidate = verdicts.Candidate(value, text.text, start, end)
    for name, validator in zip(c.detector.validators, c.validators, strict=True):
        verdict = validator(candidate)
        if not verdict.passed:
            return passed, f"{name} says no"
        passed.append(name)
        if verdict.keep is not None and verdict.keep < len(value):
            value, end = value[: verdict.keep], start + verdict.keep
            candidate = verdicts.Candidate(value, text.text, start, end)
    return passed, "enough of its kind was seen"


def _nearest(c: Compiled, text: str, start: int, end: int) -> str | None:
    """The keyword that stands nearest, within reach; none where the keyword is the value itself."""
    if not c.keywords or c.detector.keyword_use in {"word", "begin"}:
        return None
    within = c.detector.within + c.longest
    before, after = text[max(start - within, 0) : start].lower(), text[end : end + within].lower()
    near: list[tuple[int, str]] = []
    for word in sorted(c.keywords):
        if (at := before.rfind(word)) >= 0:
            near.append((len(before) - at - len(word), word))
        if (at := after.find(word)) >= 0:
            near.append((at, word))
    return min(near)[1] if near else None


def _winner(s: Sighting, kept: list[Sighting]) -> str:
    over = [o for o in kept if o.part == s.part and o.start < s.end and s.start < o.end]
    return over[0].detector.id if over else "another finding"
