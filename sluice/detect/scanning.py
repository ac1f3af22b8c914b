"""One scan on its way: from hits to sightings to findings. All state of a scan is here, and none outlives the call.

The engine behind it says where to look (`Finder`); what a match is, is decided here, by `re`, keywords and validators.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from copy import replace
from dataclasses import dataclass, field
from string import ascii_letters, digits
from typing import NamedTuple, Protocol

from sluice.detect import judgement, layers, normalise, passwords, shapes, tables, validators, verdicts
from sluice.detect.evidence import Fingerprinter, seal
from sluice.detect.layers import Allowance, Hints, Layer, Text
from sluice.detect.own.hit import Exhausted, Spending
from sluice.detect.own.site import OwnData
from sluice.detect.own.words import Words
from sluice.detect.resolve import Sighting, most_specific
from sluice.errors import Opacity
from sluice.model import Detector, Finding, Part, Provenance, Scan, Severity, Unread

JUDGES = frozenset(
    {"password", "token", "url_password", "connection_password", "user_password", "basic_auth", "pem", "aws_secret"}
    | {"not_placeholder", "pem_encrypted", "pgp", "putty"}
)
"""Validators that tell a placeholder themselves, with better knowledge of what the value means."""

COSTLY = frozenset({"phone", "pem", "pem_encrypted", "putty", "pgp"})
"""Validators that cost as much as sixteen units of confirmation."""

CHECKED, FORMATTED, JUDGED = 0.95, 0.90, 0.85
"""Confidence by what stands behind a finding: a checksum or parse; a format that nothing else has; a judgement."""
NEAR, ALONE, SAMPLE, UNPROVED = 0.04, -0.15, 0.10, -0.15
"""Keyword nearby; keywords known but none nearby; confidence of an example; the format is known and does not hold."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Most work of one scan. Candidates, confirmations and view characters grow with the text; findings do not.

    What does not fit is reported as `Unread` with reason `budget`, so that the request counts as partly inspected.
    """

    floor: int = 100_000
    """Candidates and units of confirmation that any text may cost, however short."""
    share: int = 8
    """One more of each for every so many bytes ..."""
    ceiling: int = 400_000
    """... up to this: about two seconds of work at worst, however long the text. A scan cannot be interrupted."""
    per_detector: int = 1_000
    """Sightings of one detector in text of one provenance; then it is not run there any more. Nothing can hide behind
    them, for a thousand of a kind are reported; but ten thousand addresses must not displace the key behind them."""
    findings: int = 10_000
    view_floor: int = 262_144
    """Characters of derived texts that any request may cost."""
    view_ratio: int = 3
    """... and this many for every character of its own."""
    places: int = 200_000
    """Escapes undone in one request."""
    own_floor: int = 50_000
    """Keyed hashes and comparisons that each list or index of the site's own data may cost; `share` and `ceiling` hold
    for it too."""


@dataclass(slots=True)
class Work:
    """What one scan cost, in counts that do not depend on the machine: the measure of the linearity tests."""

    passes: int = 0
    bytes: int = 0
    candidates: int = 0
    units: int = 0
    sightings: int = 0
    own: int = 0
    """Hashes and comparisons of the site's own data."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A detector ready to run. `cost` and `weight` are what a confirmation and a validation count against the budget:
    a unit is a few microseconds."""

    detector: Detector
    shape: shapes.Shape
    validators: tuple[verdicts.Validator, ...]
    keywords: frozenset[str]
    longest: int
    screened: bool
    confidence: float
    cost: int
    weight: int
    proves: bool
    most: int
    lines: bool
    """It tells source code: what it finds in one part is one finding."""
    strong: bool
    """It has a form of its own: what it finds in joined or binary text is not there by chance."""
    quiet: Detector = field(repr=False)
    """The detector for what is only observed (text turned round)."""
    allow: re.Pattern[str] | None = None

    def allows(self, value: str) -> bool:
        """True when the site says of this detector that such a value is none."""
        return self.allow is not None and len(value) <= ALLOWED and self.allow.fullmatch(value) is not None


class Sense(NamedTuple):
    """What an id that hyperscan reports means: the detectors that it is for; of a keyword its length, otherwise 0; of a
    head what it says of where its match begins."""

    users: tuple[int, ...]
    length: int
    beginning: shapes.Beginning = shapes.Beginning(0, 0, None)


ALLOWED = 1024
"""Longest value that a site's `allow` is asked about: what is longer is found."""

LINES = 64
"""Lines of source code of one language that are reported as one finding; how many more there are says nothing new."""
HEADINGS = 64
"""Places of a keyword in one text that may head a column."""


class _Halt(Exception):
    """Not an error: the budget is used up."""


class Finder(Protocol):
    """What a scan needs of the engine."""

    @property
    def compiled(self) -> list[Compiled]: ...
    @property
    def roles(self) -> list[Sense]:
        """What each id means that `look` reports."""
        ...

    @property
    def yields(self) -> Mapping[str, frozenset[str]]: ...
    @property
    def budget(self) -> Budget: ...
    @property
    def fingerprinter(self) -> Fingerprinter: ...

    @property
    def own(self) -> OwnData | None:
        """The site's own data."""
        ...

    @property
    def marks(self) -> layers.Marks: ...

    def look(self, data: bytes, most: int) -> tuple[list[tuple[int, int]], int | None, Hints, int | None]:
        """(end, id) in order of end, where it stopped when there were more than `most`, what may be in disguise, and
        where its marks stopped when they were too many."""
        ...

    def hints(self, data: bytes) -> Hints:
        """What may be in disguise in the data."""
        ...

    def mentions(self, window: str, words: frozenset[str]) -> bool:
        """True when one of the words stands in a lower-case text."""
        ...


@dataclass(slots=True)
class Scanning:
    """**P** One scan: make it, `run` it, throw it away."""

    finder: Finder = field(repr=False)
    parts: tuple[Part, ...] = field(repr=False)
    work: Work = field(default_factory=Work)
    sightings: list[Sighting] = field(default_factory=list, repr=False)
    seen: set[tuple[int, int, int, int]] = field(default_factory=set, repr=False)
    counts: dict[tuple[int, Provenance | int, bool], int] = field(default_factory=dict)
    partial: set[int] = field(default_factory=set)
    limit: int = 0
    covered: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """Where something was found on the levels before, by part: stretches in order."""
    lists: bool = True
    """False: what many findings say together is concluded by the caller, who knows more of them."""
    places: list[int] = field(default_factory=list)
    """The part of each finding, in their order."""
    spendings: list[Spending] = field(default_factory=list)
    """What each matcher of the site's own data may still cost."""
    reach: dict[tuple[int, str], int] = field(default_factory=dict)
    """How far source code of a language reaches, by part and detector."""
    crowded: bool = False
    """A detector was not looked for any more in some part, because other parts had enough of it."""

    def run(self) -> tuple[Scan, Work]:
        """The whole scan, once."""
        budget = self.finder.budget
        layer = Layer(layers.first(self.parts))
        own = sum(b - a for a, b in zip(layer.starts, layer.stops, strict=True)) - layer.added
        self.limit = min(budget.floor + own // budget.share, budget.ceiling)
        own_limit = min(budget.own_floor + own // budget.share, budget.ceiling)
        self.spendings = [Spending(own_limit) for _ in self.finder.own.matchers] if self.finder.own else []
        allowance = Allowance(max(budget.view_floor, budget.view_ratio * own), budget.places)
        for level in range(normalise.LEVELS + 1):
            if not layer.texts:
                break
            self.covered = _stretches(self.sightings) if level else {}
            hints = self._pass(layer)
            if self.finder.own is not None:
                self._own(self.finder.own, layer.texts)
            if level == normalise.LEVELS:
                break
            texts = layer.derive(allowance, self.partial, hints, self.finder.marks, self.finder.hints)
            if not texts:
                break
            layer = Layer(texts)
        findings = self._seal(
            judgement.conclude(most_specific(self.sightings, self.finder.yields), self.reach, lists=self.lists)
        )
        unread = tuple(
            Unread(self.parts[i].pointer, "text", len(self.parts[i].text.encode("utf-8", "replace")), Opacity.BUDGET)
            for i in sorted(self.partial)
        )
        return Scan(findings, own, unread), self.work

    def _seal(self, kept: list[Sighting]) -> tuple[Finding, ...]:
        most = self.finder.budget.findings
        if len(kept) > most:
            self.partial.update(s.part for s in kept[most:])
            ranked = sorted(range(len(kept)), key=lambda i: (kept[i].example, -kept[i].detector.severity.rank, i))
            kept = [kept[i] for i in sorted(ranked[:most])]
        self.places = [s.part for s in kept]
        return tuple(
            seal(
                s.detector,
                s.value,
                self.finder.fingerprinter,
                pointer=self.parts[s.part].pointer,
                provenance=self.parts[s.part].provenance,
                start=s.start,
                end=s.end,
                validated=s.validated,
                confidence=s.confidence,
                example=s.example,
                expires=s.expires,
            )
            for s in kept
        )

    # ------------------------------------------------------------------------------------------------ one level

    def _pass(self, layer: Layer) -> Hints:
        """Read one level; what may be in disguise in it."""
        self.work.passes += 1
        self.work.bytes += len(layer.data)
        hits, reached, hints, crowded = self.finder.look(layer.data, self.limit - self.work.candidates)
        if crowded is not None:
            reached = crowded if reached is None else min(reached, crowded)
        if reached is not None:
            self.partial.update(t.part for t, stop in zip(layer.texts, layer.stops, strict=True) if stop >= reached)
        self.work.candidates += len(hits) + len(hints.marks)
        if hits:
            self._confirm_all(layer, hits)
        return hints

    def _own(self, own: OwnData, texts: list[Text]) -> None:
        """What of the site's own data stands in the texts of one level."""
        most = self.finder.budget.per_detector
        indices = {d.id: -1 - i for i, d in enumerate(own.detectors)}  # apart from those of the packs
        for text in texts:
            if text.observed:
                continue  # what is found in text turned round must never be acted upon
            words = Words(text.text)
            provenance = self.parts[text.part].provenance
            for matcher, spending in zip(own.matchers, self.spendings, strict=True):
                before = spending.spent
                try:
                    for hit in matcher.find(words, spending):
                        first, last = text.original(hit.start, hit.end)
                        index = indices[hit.detector.id]
                        key = (text.part, index, first, last)
                        if key in self.seen or first >= last:
                            continue
                        tally = (index, provenance, False)
                        self.counts[tally] = self.counts.get(tally, 0) + 1
                        if self.counts[tally] > most:
                            self.crowded = True
                            break
                        self.seen.add(key)
                        self.work.sightings += 1
                        self.sightings.append(
                            Sighting(
                                hit.detector, text.part, first, last, hit.value, hit.validated, hit.confidence, False
                            )
                        )
                except Exhausted:
                    self.partial.add(text.part)
                self.work.own += spending.spent - before

    def _confirm_all(self, layer: Layer, hits: list[tuple[int, int]]) -> None:
        """What `re`, keywords and validators make of the hits, which are in order of end."""
        roles, compiled = self.finder.roles, self.finder.compiled
        cursors: dict[int, int] = {}
        lines: dict[int, list[tuple[int, shapes.Beginning]]] = {}
        keywords: dict[tuple[int, int], list[int]] = {}
        k = 0
        known_byte = known_char = 0
        stops, starts = layer.stops, layer.starts
        enough: set[int] = set()  # ids of detectors that were seen often enough in this text
        try:
            for end, ident in hits:
                if end > stops[k]:
                    self._lines(lines, layer.texts[k], cursors)
                    while end > stops[k]:
                        k += 1
                    known_byte = known_char = 0
                    enough.clear()
                    cursors.clear()
                if ident in enough:
                    continue
                offset = end - starts[k]
                if offset <= 0:
                    continue  # it ends on the newline between two texts: in neither of them
                if not layer.ascii:
                    base = starts[k]
                    known_char += len(layer.data[base + known_byte : base + offset].decode("utf-8", "ignore"))
                    known_byte = offset
                    offset = known_char
                indices, length, beginning = roles[ident]
                text = layer.texts[k]
                if length:
                    offset -= text.text[offset - 1] == "_"  # the end of the word, not a part of it
                    if not whole(text.text, offset - length, offset):
                        continue
                for index in indices:
                    c = compiled[index]
                    if text.strict and not c.strong:
                        continue
                    if self.counts and self._saturated(index, text.part):
                        if len(indices) == 1:
                            enough.add(ident)
                        continue
                    if not length:
                        if c.lines and not text.way and (text.part, c.detector.id) in self.reach:
                            lines.setdefault(index, []).append((offset, beginning))
                            continue
                        self._confirm(c, index, text, offset, beginning, cursors)
                    elif c.detector.keyword_use in {"word", "begin"}:
                        self._at(c, index, text, offset - length, offset)
                    else:
                        keywords.setdefault((k, index), []).append(offset)
            self._lines(lines, layer.texts[k], cursors)
            for (k, index), places in keywords.items():
                self._around(compiled[index], index, layer.texts[k], places)
        except _Halt:
            self.partial.update(t.part for t in layer.texts[k:])

    def _saturated(self, index: int, part: int) -> bool:
        """True when a detector has been seen so often in text of this provenance that more would say nothing new."""
        c = self.finder.compiled[index]
        crowd = part if c.lines else self.parts[part].provenance
        count = self.counts.get((index, crowd, False))
        if count is None or count < min(self.finder.budget.per_detector, c.most):
            return False
        self.crowded = self.crowded or not c.lines
        return True

    def _spend(self, units: int) -> None:
        self.work.units += units
        if self.work.units > self.limit:
            raise _Halt

    def _confirm(
        self,
        c: Compiled,
        index: int,
        text: Text,
        end: int,
        beginning: shapes.Beginning,
        cursors: dict[int, int],
    ) -> None:
        """The match whose head ends at `end`, if `re` sees one. `cursors` hold where the last one of a detector (by its
        index) ended, and where the last attempt (by the complement of it) that failed had begun."""
        shape = c.shape
        least, most, opening = beginning
        low, high = end - shape.back - most, end - least
        if low < (done := cursors.get(index, 0)):
            low = done
        if low > high:
            return
        self.work.units += c.cost
        if self.work.units > self.limit:
            raise _Halt
        if shape.lead:
            stop = end - shape.rest
            run = shape.lead.match(text.text[max(end - shape.back - most, 0) : stop][::-1])
            if run is None:
                return
            low = max(low, stop - run.end())
        edge = end + shape.tail + 8
        if shape.needs and text.text.find(shape.needs, low, edge) < 0:
            return
        places: Iterable[int] = range(low, high + 1)
        if opening and high - low > 1:
            places = [m.start() for m in opening.finditer(text.text, low, end)]
        match_at, failed = shape.confirm.match, cursors.get(~index)
        for place in places:  # where it may begin, and nowhere else: `search` would read on to the edge
            if place == failed or place > high:
                continue  # the head has several ends for one beginning
            match = match_at(text.text, place, edge)
            if match is not None:
                if done := self.judge(c, index, text, *match.span(shape.group)):
                    cursors[index] = done
                    return
                self._spend(1)
            cursors[~index] = place

    def _lines(self, lines: dict[int, list[tuple[int, shapes.Beginning]]], text: Text, cursors: dict[int, int]) -> None:
        """How far source code goes on in a text where its first line was found: `lines` are the further hits of each
        language, as (end, beginning) in order, and are empty after that. As `_confirm`, without its formalities."""
        for index, hits in lines.items():
            c = self.finder.compiled[index]
            match_at, beyond, group = c.shape.confirm.match, c.shape.tail + 8, c.shape.group
            tally, far = (index, text.part, False), (text.part, c.detector.id)
            count, done, failed = self.counts[tally], cursors.get(index, 0), cursors.get(~index)
            enough = min(self.finder.budget.per_detector, c.most)
            self._spend(c.cost * len(hits))
            for end, (least, most, _) in hits:
                if count >= enough:
                    break
                for place in range(max(end - most, done), end - least + 1):
                    if place == failed:
                        continue
                    if (match := match_at(text.text, place, end + beyond)) is not None:
                        count, done = count + 1, match.end(group)
                        self.reach[far] = max(self.reach[far], done)
                        break
                    failed = place
            self.counts[tally] = count
        lines.clear()

    def _around(self, c: Compiled, index: int, text: Text, places: list[int]) -> None:
        """Every match within reach of a required keyword, and in the cells of a column that it heads.

        `places` are where keywords end, ascending.
        """
        for place in places[:HEADINGS]:
            self._column(c, index, text, place)
        if c.detector.keyword_use == "column":
            return
        within, width = c.detector.within, c.shape.least + c.shape.tail
        before, after = c.longest + within + width, within + width
        for low, high in _merged(places, before, after):
            self._spend(c.cost + (high - low) // 256)
            while match := c.shape.search(text.text, low, high + 8):
                if self._saturated(index, text.part):
                    return
                start, end = match.span(c.shape.group)
                done = 0
                if _near(places, start, end, within, c.longest):
                    done = self.judge(c, index, text, start, end)
                low = done or match.start() + 1
                self._spend(1)

    def _at(self, c: Compiled, index: int, text: Text, start: int, end: int) -> None:
        """The keyword itself where it is what is found, or the match that begins with it."""
        self._spend(1)
        if c.detector.keyword_use == "begin":
            match = c.shape.confirm.match(text.text, start)
            if match is None:
                return
            start, end = match.span(c.shape.group)
        self.judge(c, index, text, start, end)

    def _column(self, c: Compiled, index: int, text: Text, place: int) -> None:
        """The matches in the cells below a heading, one for each."""
        for low, high in tables.cells(text.text, place):
            self._spend(1)
            if self._saturated(index, text.part):
                return
            match = c.shape.search(text.text, low, high)
            if match is not None:
                self.judge(c, index, text, *match.span(c.shape.group))

    def judge(self, c: Compiled, index: int, text: Text, start: int, end: int) -> int:
        """Validate and keep a value; returns where it ends, or 0 when it is none."""
        if (text.part, c.detector.id) in self.reach and not text.way:
            return self._further(index, text.part, c.detector.id, end)
        value = text.text[start:end]
        example = c.screened and passwords.placeholder(value)
        proves, expires = c.proves, None
        if not example and c.validators:
            self._spend(c.weight + len(value) // 8)
            candidate = verdicts.Candidate(value, text.text, start, end)
            for validator in c.validators:
                verdict = validator(candidate)
                if not verdict.passed:
                    return 0
                if verdict.example:
                    example = True
                    break
                proves = proves and verdict.proved
                expires = verdict.expires or expires
                if verdict.grow:
                    start -= verdict.grow
                    value = text.text[start:end]
                    candidate = verdicts.Candidate(value, text.text, start, end)
                if verdict.keep is not None and verdict.keep < len(value):
                    end = start + verdict.keep
                    value = value[: verdict.keep]
                    candidate = verdicts.Candidate(value, text.text, start, end)
        if c.allow is not None and c.allows(value):
            return end
        first, last = text.original(start, end) if text.way else (start, end)
        key = (text.part, index, first, last)
        if key in self.seen or first >= last or (text.strict and self._known(text.part, first, last)):
            return end
        example = example or text.observed
        tally = (index, text.part if c.lines else self.parts[text.part].provenance, example)
        count = self.counts[tally] = self.counts.get(tally, 0) + 1
        if count > min(self.finder.budget.per_detector, c.most):
            self.crowded = self.crowded or not c.lines
            return end
        self.seen.add(key)
        self.work.sightings += 1
        confidence = SAMPLE if example else self._confidence(c, text.text, start, end)
        if c.proves and not proves and not example:
            confidence = round(confidence + UNPROVED, 2)
        validated = None if not proves else not example or None
        detector = c.quiet if text.observed else c.detector
        self.sightings.append(
            Sighting(detector, text.part, first, last, value, validated, confidence, example, expires)
        )
        if c.lines and not c.validators and not text.way:
            self.reach[text.part, c.detector.id] = end
        return end

    def _further(self, index: int, part: int, detector: str, end: int) -> int:
        """Source code of a language goes on up to `end`: one sighting stands for all of a part."""
        count = self.counts[index, part, False] = self.counts[index, part, False] + 1
        if count <= LINES:
            self.reach[part, detector] = max(self.reach[part, detector], end)
        return end

    def _known(self, part: int, start: int, end: int) -> bool:
        """True when something was found in this place before it was put together: that is what it is."""
        stretches = self.covered.get(part, [])
        at = bisect_left(stretches, (start + 1,)) - 1
        return any(a < end and start < b for a, b in stretches[max(at, 0) : at + 2])

    def _confidence(self, c: Compiled, text: str, start: int, end: int) -> float:
        if not c.keywords:
            return c.confidence
        if c.detector.keyword_use != "boost":
            return round(c.confidence + NEAR, 2)
        within = c.detector.within
        window = text[max(start - within, 0) : start].lower() + "\n" + text[end : end + within].lower()
        near = self.finder.mentions(window, c.keywords)
        return round(c.confidence + (NEAR if near else ALONE), 2)


def compile_detector(detector: Detector) -> Compiled:
    shape = shapes.analyse(detector.pattern, caseless=detector.case_insensitive)
    kinds = {name.partition(":")[0] for name in detector.validators}
    if kinds & validators.CHECKSUMS:
        confidence = CHECKED
    elif not kinds or kinds <= {"keylike", "not_placeholder", "entropy", "gitlab"}:
        confidence = FORMATTED
    else:
        confidence = JUDGED
    return Compiled(
        detector=detector,
        shape=shape,
        validators=tuple(validators.find(name) for name in detector.validators),
        keywords=frozenset(detector.keywords),
        longest=max(map(len, detector.keywords), default=0),
        screened=detector.data_class.startswith("secret.") and not kinds & JUDGES,
        confidence=confidence,
        cost=1 + (shape.tail + shape.most) // 256,
        weight=16 if kinds & COSTLY else 2,
        proves=bool(kinds - validators.SCREENS),
        strong=_is_strong(detector, shape, kinds),
        quiet=replace(detector, status="test", severity=Severity.INFO),
        most=LINES if detector.data_class.startswith("source_code.") else 1 << 30,
        lines=detector.data_class.startswith("source_code."),
        allow=re.compile("|".join(f"(?:{a})" for a in detector.allow)) if detector.allow else None,
    )


def _is_strong(detector: Detector, shape: shapes.Shape, kinds: set[str]) -> bool:
    if detector.keyword_use != "boost" or detector.status != "stable":
        return False
    if {"luhn", "card_issuer"} <= kinds or "iban" in kinds:
        return True
    if not detector.data_class.startswith("secret.") or kinds & {"issued", "password", "user_password", "token"}:
        return False
    return shape.literal >= 3 or (shape.literal == 2 and shape.least >= 20 and bool(kinds))


def _stretches(sightings: list[Sighting]) -> dict[int, list[tuple[int, int]]]:
    """Where something was found, by part: overlapping stretches joined, in order."""
    out: dict[int, list[tuple[int, int]]] = {}
    for s in sorted(sightings, key=lambda s: (s.part, s.start)):
        own = out.setdefault(s.part, [])
        if own and s.start <= own[-1][1]:
            own[-1] = (own[-1][0], max(own[-1][1], s.end))
        else:
            own.append((s.start, s.end))
    return out


def whole(text: str, start: int, end: int) -> bool:
    """True when `text[start:end]` is not part of a longer word: beside an ASCII letter or digit at its edge stands none
    outside. `_` ends a word, and so does the escape in `\\nssn`."""
    if end < len(text) and text[end] in _WORD and text[end - 1] in _WORD:
        return False
    if start < 1 or text[start - 1] not in _WORD or text[start] not in _WORD:
        return True
    return start > 1 and text[start - 1] in "nrt" and text[start - 2] == "\\"


_WORD = frozenset(ascii_letters + digits)


def _merged(places: list[int], before: int, after: int) -> list[tuple[int, int]]:
    """The windows around the places, overlapping ones joined, so that no character is searched twice."""
    out: list[tuple[int, int]] = []
    for place in places:
        low, high = max(place - before, 0), place + after
        if out and low <= out[-1][1]:
            out[-1] = (out[-1][0], high)
        else:
            out.append((low, high))
    return out


def _near(places: list[int], start: int, end: int, within: int, longest: int) -> bool:
    """True when a keyword ends close enough before the value, or begins close enough behind it."""
    at = bisect_left(places, start - within)
    return at < len(places) and places[at] <= end + within + longest
