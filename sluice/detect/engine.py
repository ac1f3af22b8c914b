"""The engine: one hyperscan pass over all texts of a request, then `re`, keywords and validators on the few hits.

    1  The texts of a level are one buffer. hyperscan reports where heads (see `shapes`) and required keywords end.
    2  A head's hit fixes where its match must begin; `re` confirms it there, in its own text alone.
    3  A detector that requires a keyword is not in the database with its pattern, only with its keywords: its `re` runs
       in windows around them, merged so that no character is read twice. So patterns as weak as nine digits cost
       nothing in text that does not speak of them.
    4  Validators judge the value; keywords nearby (Aho-Corasick over a small window) raise the confidence.
    5  What hides in the texts (see `normalise`) is the next level, and goes the same way.
    6  Overlaps are resolved, values sealed.

Correctness of 2: a head is a required part of its pattern, so hyperscan ends one inside every match there is, and it
reports every end. `re` decides alone what a match is; hyperscan only says where to look. `lint` proves on every
example that the two agree.

Safe to call from any thread: the database is read-only, scratch space is per thread, everything else is local.
Work is counted, not timed, and bounded in proportion to the text; `Budget` says how.
"""

from __future__ import annotations

import threading
import traceback
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version

import ahocorasick
import hyperscan
import msgspec

from sluice.detect import credentials, layers, normalise, passwords, shapes, validators
from sluice.detect.evidence import Fingerprinter, seal
from sluice.detect.layers import Allowance, Layer, Text
from sluice.detect.resolve import Sighting, most_specific
from sluice.errors import Cause, Opacity, Unavailable
from sluice.model import Credential, Detector, Finding, Part, PartKind, Provenance, RawCredential, Role, Scan, Unread

VERSION = 1
"""Part of the digest: raised when a change of this room can change findings."""

JUDGES = frozenset(
    {"password", "token", "url_password", "connection_password", "user_password", "basic_auth", "pem", "aws_secret"}
    | {"not_placeholder"}
)
"""Validators that tell a placeholder themselves, with better knowledge of what the value means."""

CHECKED, FORMATTED, JUDGED = 0.95, 0.90, 0.85
"""Confidence by what stands behind a finding: a checksum or parse; a format that nothing else has; a judgement."""
NEAR, ALONE, SAMPLE = 0.04, -0.15, 0.10
"""Keyword nearby; keywords known but none nearby; confidence of an example."""


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


@dataclass(slots=True)
class Work:
    """What one scan cost, in counts that do not depend on the machine: the measure of the linearity tests."""

    passes: int = 0
    bytes: int = 0
    candidates: int = 0
    units: int = 0
    sightings: int = 0


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A detector ready to run. `cost` and `weight` are what a confirmation and a validation count against the budget:
    a unit is a few microseconds."""

    detector: Detector
    shape: shapes.Shape
    validators: tuple[validators.Validator, ...]
    keywords: frozenset[str]
    longest: int
    screened: bool
    confidence: float
    cost: int
    weight: int


class _Halt(Exception):
    """Not an error: the budget is used up."""


class CompileError(ValueError):
    """hyperscan does not take the detectors. `lint` says which one."""


class Engine:
    """Detectors compiled. Implements `model.Scanner`."""

    def __init__(
        self, detectors: Iterable[Detector], fingerprinter: Fingerprinter, *, budget: Budget | None = None
    ) -> None:
        self.detectors = tuple(detectors)
        self._fingerprinter = fingerprinter
        self._budget = budget or Budget()
        self._compiled = [_compile(d) for d in self.detectors]
        self._yields = {d.id: frozenset(d.overlaps) for d in self.detectors}
        self._database, self._roles = _database(self._compiled)
        self._words = _automaton({w for c in self._compiled if c.detector.keyword_use == "boost" for w in c.keywords})
        self._local = threading.local()
        self._digest = _digest(self.detectors)
        validators.warm()

    @property
    def digest(self) -> str:
        """SHA-256 over everything here that can change a finding: the detectors and the code's own versions."""
        return self._digest

    @cached_property
    def versions(self) -> str:
        """The engines behind the findings, for the record. Read once: it goes into every record."""
        info = self._database.info()
        text = info.decode() if isinstance(info, bytes) else str(info)
        parts = [
            f"detect/{VERSION}",
            f"normalise/{normalise.VERSION}",
            f"hyperscan/{text.removeprefix('Version: ').split(' ')[0]}",
            *(f"{n}/{version(n)}" for n in ("pyahocorasick", "python-stdnum", "phonenumberslite")),
        ]
        return " ".join(parts)

    @property
    def key_id(self) -> str:
        return self._fingerprinter.key_id

    def fingerprint(self, purpose: str, value: str | bytes) -> str:
        """Keyed HMAC-SHA-256, 16 bytes as hex, of a value under a purpose label (domain separation)."""
        return self._fingerprinter.fingerprint(purpose, value)

    def seal_credential(self, raw: RawCredential) -> Credential:
        """The credential of a request without its secret. Raises `errors.Unavailable`, never with content."""
        try:
            return credentials.seal_credential(raw, self._fingerprinter)
        except Exception as e:  # noqa: BLE001 - an exception may carry the key; only its place may leave
            failure = _place(e)
        raise Unavailable(Cause.SCAN_ERROR, f"credential not sealed: {failure}")

    def scan(self, parts: tuple[Part, ...]) -> Scan:
        """Every finding in the parts, in order of (part, start). Raises `errors.Unavailable`, never with content."""
        return self.measure(parts)[0]

    def measure(self, parts: tuple[Part, ...]) -> tuple[Scan, Work]:
        """`scan`, and what it cost."""
        try:
            return _Scanning(self, parts).run()
        except Exception as e:  # noqa: BLE001 - an exception may carry text of the request; only its place may leave
            failure = _place(e)
        raise Unavailable(Cause.SCAN_ERROR, f"detection failed: {failure}")

    def _scratch(self) -> hyperscan.Scratch:
        scratch = getattr(self._local, "scratch", None)
        if scratch is None:
            scratch = self._local.scratch = hyperscan.Scratch(self._database)
        return scratch


def scan_text(engine: Engine, text: str) -> Scan:
    """Scan one text outside of any request (`sluice scan`)."""
    return engine.scan((Part("", Role.UNKNOWN, PartKind.TEXT, Provenance.USER, text),))


def sightings(engine: Engine, parts: tuple[Part, ...]) -> tuple[list[Sighting], list[Sighting]]:
    """**P** What stays, and all that was seen, before sealing. For `lint` alone: the values are in it."""
    scanning = _Scanning(engine, parts)
    scanning.run()
    return most_specific(scanning.sightings, engine._yields), scanning.sightings


def oracle(engine: Engine, text: str) -> list[tuple[int, int]]:
    """The spans that `re` and the validators alone find in a text, with no help of hyperscan. For `lint` and tests."""
    scanning = _Scanning(engine, (Part("", Role.UNKNOWN, PartKind.TEXT, Provenance.USER, text),), limit=1 << 40)
    for index, c in enumerate(engine._compiled):
        at = 0
        while match := c.shape.confirm.search(text, at):
            done = scanning._judge(c, index, Text(0, text), *match.span(c.shape.group))
            at = max(done, match.start() + 1)
    return [(s.start, s.end) for s in scanning.sightings]


@dataclass(slots=True)
class _Scanning:
    """**P** One scan on its way: all state that it has, and none of it outlives the call."""

    engine: Engine = field(repr=False)
    parts: tuple[Part, ...] = field(repr=False)
    work: Work = field(default_factory=Work)
    sightings: list[Sighting] = field(default_factory=list, repr=False)
    seen: set[tuple[int, int, int, int]] = field(default_factory=set, repr=False)
    counts: dict[tuple[int, Provenance, bool], int] = field(default_factory=dict)
    partial: set[int] = field(default_factory=set)
    limit: int = 0

    def run(self) -> tuple[Scan, Work]:
        """The whole scan, once."""
        budget = self.engine._budget
        layer = Layer(layers.first(self.parts))
        own = sum(b - a for a, b in zip(layer.starts, layer.stops, strict=True))
        self.limit = min(budget.floor + own // budget.share, budget.ceiling)
        allowance = Allowance(max(budget.view_floor, budget.view_ratio * own), budget.places)
        for level in range(normalise.LEVELS + 1):
            if not layer.texts:
                break
            self._pass(layer)
            if level == normalise.LEVELS:
                break
            texts = layer.derive(allowance, self.partial)
            if not texts:
                break
            layer = Layer(texts)
        findings = self._seal(most_specific(self.sightings, self.engine._yields))
        unread = tuple(
            Unread(self.parts[i].pointer, "text", len(self.parts[i].text.encode("utf-8", "replace")), Opacity.BUDGET)
            for i in sorted(self.partial)
        )
        return Scan(findings, own, unread), self.work

    def _seal(self, kept: list[Sighting]) -> tuple[Finding, ...]:
        most = self.engine._budget.findings
        if len(kept) > most:
            self.partial.update(s.part for s in kept[most:])
            ranked = sorted(range(len(kept)), key=lambda i: (kept[i].example, -kept[i].detector.severity.rank, i))
            kept = [kept[i] for i in sorted(ranked[:most])]
        return tuple(
            seal(
                s.detector,
                s.value,
                self.engine._fingerprinter,
                pointer=self.parts[s.part].pointer,
                provenance=self.parts[s.part].provenance,
                start=s.start,
                end=s.end,
                validated=s.validated,
                confidence=s.confidence,
                example=s.example,
            )
            for s in kept
        )

    # ------------------------------------------------------------------------------------------------ one level

    def _pass(self, layer: Layer) -> None:
        self.work.passes += 1
        self.work.bytes += len(layer.data)
        hits = self._hits(layer)
        if not hits:
            return
        roles, compiled = self.engine._roles, self.engine._compiled
        cursors: dict[tuple[int, int], int] = {}
        keywords: dict[tuple[int, int], list[int]] = {}
        k = 0
        known_byte = known_char = 0
        stops, starts = layer.stops, layer.starts
        try:
            for end, ident in hits:
                if end > stops[k]:
                    while end > stops[k]:
                        k += 1
                    known_byte = known_char = 0
                offset = end - starts[k]
                if offset <= 0:
                    continue  # it ends on the newline between two texts: in neither of them
                if not layer.ascii:
                    base = starts[k]
                    known_char += len(layer.data[base + known_byte : base + offset].decode("utf-8", "ignore"))
                    known_byte = offset
                    offset = known_char
                index, keyword = roles[ident]
                if self.counts and self._saturated(index, layer.texts[k].part):
                    continue
                if keyword:
                    keywords.setdefault((k, index), []).append(offset)
                else:
                    self._confirm(compiled[index], index, layer.texts[k], k, offset, cursors)
            for (k, index), places in keywords.items():
                self._around(compiled[index], index, layer.texts[k], places)
        except _Halt:
            self.partial.update(t.part for t in layer.texts[k:])

    def _hits(self, layer: Layer) -> list[tuple[int, int]]:
        """(end, id) of everything hyperscan reports, in order of end. At most `limit` of them in one scan."""
        hits: list[tuple[int, int]] = []
        most = self.limit - self.work.candidates

        def on_match(ident: int, _start: int, end: int, _flags: int, _context: object) -> bool:
            hits.append((end, ident))
            return len(hits) > most

        try:
            self.engine._database.scan(layer.data, match_event_handler=on_match, scratch=self.engine._scratch())
        except hyperscan.ScanTerminated:
            reached = hits.pop()[0]
            self.partial.update(t.part for t, stop in zip(layer.texts, layer.stops, strict=True) if stop >= reached)
        self.work.candidates += len(hits)
        hits.sort()
        return hits

    def _saturated(self, index: int, part: int) -> bool:
        """True when a detector has been seen so often in text of this provenance that more would say nothing new."""
        return self.counts.get((index, self.parts[part].provenance, False), 0) >= self.engine._budget.per_detector

    def _spend(self, units: int) -> None:
        self.work.units += units
        if self.work.units > self.limit:
            raise _Halt

    def _confirm(
        self, c: _Compiled, index: int, text: Text, k: int, end: int, cursors: dict[tuple[int, int], int]
    ) -> None:
        """The match whose head ends at `end`, if `re` sees one. `cursors` hold where the last one ended."""
        shape = c.shape
        low = max(end - shape.back - shape.most, cursors.get((k, index), 0))
        high = end - shape.least
        if low > high:
            return
        self._spend(c.cost)
        if shape.lead:
            stop = end - shape.rest
            run = shape.lead.match(text.text[max(end - shape.back - shape.most, 0) : stop][::-1])
            if run is None:
                return
            low = max(low, stop - run.end())
        edge = end + shape.tail + 8
        places: Iterable[int] = range(low, high + 1)
        if shape.opening and high - low > 6:
            places = [
                m.start() for m in shape.opening.finditer(text.text, low, min(high + 4, end)) if m.start() <= high
            ]
        match_at = shape.confirm.match
        for place in places:  # where it may begin, and nowhere else: `search` would read on to the edge
            match = match_at(text.text, place, edge)
            if match is None:
                continue
            if done := self._judge(c, index, text, *match.span(shape.group)):
                cursors[k, index] = done
                return
            self._spend(1)

    def _around(self, c: _Compiled, index: int, text: Text, places: list[int]) -> None:
        """Every match within reach of a required keyword. `places` are where keywords end, ascending."""
        within, width = c.detector.within, c.shape.least + c.shape.tail
        before, after = c.longest + within + width, within + width
        for low, high in _merged(places, before, after):
            self._spend(c.cost + (high - low) // 256)
            while match := c.shape.confirm.search(text.text, low, high + 8):
                if self._saturated(index, text.part):
                    return
                start, end = match.span(c.shape.group)
                done = 0
                if _near(places, start, end, within, c.longest):
                    done = self._judge(c, index, text, start, end)
                low = done or match.start() + 1
                self._spend(1)

    def _judge(self, c: _Compiled, index: int, text: Text, start: int, end: int) -> int:
        """Validate and keep a value; returns where it ends, or 0 when it is none."""
        value = text.text[start:end]
        example = c.screened and passwords.placeholder(value)
        if not example and c.validators:
            self._spend(c.weight + len(value) // 8)
            candidate = validators.Candidate(value, text.text, start, end)
            for validator in c.validators:
                verdict = validator(candidate)
                if not verdict.passed:
                    return 0
                if verdict.example:
                    example = True
                    break
                if verdict.keep is not None and verdict.keep < len(value):
                    end = start + verdict.keep
                    value = value[: verdict.keep]
                    candidate = validators.Candidate(value, text.text, start, end)
        first, last = text.original(start, end)
        key = (text.part, index, first, last)
        if key in self.seen:
            return end
        tally = (index, self.parts[text.part].provenance, example)
        count = self.counts[tally] = self.counts.get(tally, 0) + 1
        if count > self.engine._budget.per_detector:
            return end
        self.seen.add(key)
        self.work.sightings += 1
        confidence = SAMPLE if example else self._confidence(c, text.text, start, end)
        validated = None if not c.validators else not example or None
        self.sightings.append(Sighting(c.detector, text.part, first, last, value, validated, confidence, example))
        return end

    def _confidence(self, c: _Compiled, text: str, start: int, end: int) -> float:
        if not c.keywords:
            return c.confidence
        if c.detector.keyword_use == "require":
            return round(c.confidence + NEAR, 2)
        within = c.detector.within
        window = text[max(start - within, 0) : start].lower() + "\n" + text[end : end + within].lower()
        near = any(word in c.keywords for _, word in self.engine._words.iter(window))
        return round(c.confidence + (NEAR if near else ALONE), 2)


# ---------------------------------------------------------------------------------------------------- compilation


def _compile(detector: Detector) -> _Compiled:
    shape = shapes.analyse(detector.pattern, caseless=detector.case_insensitive)
    kinds = {name.partition(":")[0] for name in detector.validators}
    if kinds & validators.CHECKSUMS:
        confidence = CHECKED
    elif not kinds or kinds <= {"keylike", "not_placeholder", "entropy"}:
        confidence = FORMATTED
    else:
        confidence = JUDGED
    return _Compiled(
        detector=detector,
        shape=shape,
        validators=tuple(validators.find(name) for name in detector.validators),
        keywords=frozenset(detector.keywords),
        longest=max(map(len, detector.keywords), default=0),
        screened=detector.data_class.startswith("secret.") and not kinds & JUDGES,
        confidence=confidence,
        cost=1 + (shape.tail + shape.most) // 256,
        weight=16 if "phone" in kinds else 2,
    )


def keyword_expression(words: Iterable[str]) -> str:
    """The hyperscan expression of a set of keywords: whole words, where `_` and an escape such as `\\n` end a word."""
    branches = []
    for word in sorted(words):
        text = "".join(c if c.isalnum() else f"\\x{ord(c):02x}" for c in word)
        front = r"(?:\b|_|\\[nrt])" if word[0].isascii() and word[0].isalnum() else ""
        back = r"(?:\b|_)" if word[-1].isascii() and word[-1].isalnum() else ""
        branches.append(front + text + back)
    return "|".join(branches)


def _database(compiled: list[_Compiled]) -> tuple[hyperscan.Database, list[tuple[int, bool]]]:
    """The one database, and for each of its ids the detector's index and whether it is a keyword."""
    expressions: list[bytes] = []
    flags: list[int] = []
    roles: list[tuple[int, bool]] = []
    for i, c in enumerate(compiled):
        keyword = c.detector.keyword_use == "require" and bool(c.keywords)
        text = keyword_expression(c.keywords) if keyword else c.shape.head
        flag = hyperscan.HS_FLAG_MULTILINE
        if keyword or c.shape.caseless:
            flag |= hyperscan.HS_FLAG_CASELESS
        if not text.isascii() or (c.shape.utf8 and not keyword):
            flag |= hyperscan.HS_FLAG_UTF8
        expressions.append(text.encode())
        flags.append(flag)
        roles.append((i, keyword))
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    if expressions:
        try:
            database.compile(expressions=expressions, ids=list(range(len(expressions))), flags=flags)
        except hyperscan.error as e:
            raise CompileError(str(e)) from None
    return database, roles


def compiles(expression: str, *, caseless: bool = False, utf8: bool = False) -> str | None:
    """None when hyperscan takes the expression by itself, else its complaint (for `lint`)."""
    flag = hyperscan.HS_FLAG_MULTILINE
    flag |= hyperscan.HS_FLAG_CASELESS if caseless else 0
    flag |= hyperscan.HS_FLAG_UTF8 if utf8 else 0
    try:
        database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        database.compile(expressions=[expression.encode()], ids=[0], flags=[flag])
    except hyperscan.error as e:
        return str(e)
    return None


def _automaton(words: set[str]) -> ahocorasick.Automaton:
    automaton = ahocorasick.Automaton()
    for word in sorted(words):
        automaton.add_word(word, word)
    automaton.make_automaton()
    return automaton


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


def _digest(detectors: tuple[Detector, ...]) -> str:
    prose = {"title", "why", "references", "match", "reject", "family"}
    content = [{k: v for k, v in asdict(d).items() if k not in prose} for d in detectors]
    return sha256(msgspec.json.encode([VERSION, normalise.VERSION, content])).hexdigest()


def _place(error: BaseException) -> str:
    """Which exception, and where in the code: enough to find the fault, nothing of the text."""
    frames = traceback.extract_tb(error.__traceback__)
    frame = frames[-1] if frames else None
    where = f" at {frame.filename.rpartition('/')[2]}:{frame.lineno}" if frame else ""
    return type(error).__name__ + where
