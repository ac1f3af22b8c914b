"""The engine: one look of hyperscan at all texts of a request, then `re`, keywords and validators on the few hits.

    1  The texts of a level are one buffer. hyperscan reports where heads (see `shapes`) and required keywords end.
       Those of detectors that cannot match without six digits, say, are looked for around digits alone (see `gates`).
    2  A head's hit fixes where its match must begin; `re` confirms it there, in its own text alone.
    3  A detector that requires a keyword is not in the databases with its pattern, only with its keywords: its `re`
       runs in windows around them, merged so that no character is read twice. So patterns as weak as nine digits
       cost nothing in text that does not speak of them.
    4  Validators judge the value; keywords nearby (Aho-Corasick over a small window) raise the confidence.
    5  What hides in the texts (see `normalise`) is the next level, and goes the same way.
    6  Overlaps are resolved, values sealed.

Correctness of 2: a head is a required part of its pattern, so hyperscan ends one inside every match there is, and it
reports every end. `re` decides alone what a match is; hyperscan only says where to look. `lint` proves on every
example that the two agree.

Safe to call from any thread: databases are read-only, scratch space is per thread, everything else is local.
Work is counted, not timed, and bounded in proportion to the text; `Budget` says how.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version

import ahocorasick
import msgspec

from sluice.detect import credentials, databases, gates, joined, judgement, normalise, people, shapes, validators
from sluice.detect.databases import CompileError, Databases, Expression, Look, Store, compiles
from sluice.detect.evidence import Fingerprinter
from sluice.detect.layers import Hints, Text
from sluice.detect.novelty import Novelty
from sluice.detect.own.site import OwnData
from sluice.detect.resolve import Sighting, most_specific
from sluice.detect.scanning import Budget, Compiled, Scanning, Sense, Work, compile_detector
from sluice.errors import Cause, Unavailable
from sluice.model import Credential, Detector, Finding, Part, PartKind, Provenance, RawCredential, Role, Scan

__all__ = ["CompileError", "Engine", "Look", "compiles", "expressions", "keyword_expression", "oracle", "scan_text"]

VERSION = 4
"""Part of the digest: raised when a change of this room can change findings."""


_JOINTS, _JOINT = " _-", "[ _-]"
"""What joins the words of a keyword: `tax id` is the `tax_id` of a column and the `tax-id` of a header as well."""

SHORT = 4
"""Longest keyword that hyperscan is to find as a whole word only."""


class Engine:
    """Detectors compiled. Implements `model.Scanner`."""

    def __init__(
        self,
        detectors: Iterable[Detector],
        fingerprinter: Fingerprinter,
        *,
        budget: Budget | None = None,
        store: Store | None = None,
        novelty: Novelty | None = None,
        own: OwnData | None = None,
    ) -> None:
        """`own`: the site's own data. `store`: where compiled databases are kept. `novelty`: memory of the parts that
        were scanned before; without one every part is scanned and every finding is new. Raises `CompileError`."""
        self.detectors = tuple(detectors)
        self.fingerprinter = fingerprinter
        self.budget = budget or Budget()
        self.novelty = novelty
        self.own = own
        self.compiled = [compile_detector(d) for d in self.detectors]
        self.yields = {d.id: frozenset(d.overlaps) for d in self.detectors}
        self.yields |= {d.id: frozenset[str]() for d in own.detectors} if own else {}
        chosen, self.roles = expressions(self.compiled)
        looked_for = joined.marks(t for c in self.compiled if c.strong for t in joined.beginnings(c.detector.pattern))
        self.marks = tuple((kind, length) for _, kind, length in [*looked_for, *joined.NUMBERS])
        self.marks += ((joined.CODES, 0), (joined.LIST, 0))
        self.databases = Databases(chosen, store, [text for text, _, _ in looked_for])
        self._words = _automaton({w for c in self.compiled if c.detector.keyword_use == "boost" for w in c.keywords})
        self._digest = _digest(self.detectors, own)
        validators.warm()

    @property
    def digest(self) -> str:
        """SHA-256 over everything here that can change a finding: the detectors and the code's own versions."""
        return self._digest

    @cached_property
    def versions(self) -> str:
        """The engines behind the findings, for the record. Read once: it goes into every record."""
        parts = [
            f"detect/{VERSION}",
            f"normalise/{normalise.VERSION}",
            f"hyperscan/{self.databases.engine.removeprefix('Version: ').split(' ')[0]}",
            *(f"{n}/{version(n)}" for n in ("pyahocorasick", "python-stdnum", "phonenumberslite")),
        ]
        return " ".join(parts)

    @property
    def key_id(self) -> str:
        return self.fingerprinter.key_id

    def fingerprint(self, purpose: str, value: str | bytes) -> str:
        """Keyed HMAC-SHA-256, 16 bytes as hex, of a value under a purpose label (domain separation)."""
        return self.fingerprinter.fingerprint(purpose, value)

    def seal_credential(self, raw: RawCredential, provider: str | None = None) -> Credential:
        """The credential of a request, without its secret. Raises `errors.Unavailable`, never with content."""
        try:
            return credentials.seal_credential(raw, self.fingerprinter, provider)
        except Exception as e:  # noqa: BLE001 - an exception may carry the key; only its place may leave
            failure = _place(e)
        raise Unavailable(Cause.SCAN_ERROR, f"credential not sealed: {failure}")

    def scan(self, parts: tuple[Part, ...]) -> Scan:
        """Every finding in the parts, in order of (part, start). Raises `errors.Unavailable`, never with content."""
        return self.measure(parts)[0]

    def measure(self, parts: tuple[Part, ...]) -> tuple[Scan, Work]:
        """`scan`, and what it cost."""
        try:
            return Scanning(self, parts).run() if self.novelty is None else self._remembering(parts, self.novelty)
        except Exception as e:  # noqa: BLE001 - an exception may carry text of the request; only its place may leave
            failure = _place(e)
        raise Unavailable(Cause.SCAN_ERROR, f"detection failed: {failure}")

    def _remembering(self, parts: tuple[Part, ...], novelty: Novelty) -> tuple[Scan, Work]:
        """Scan the parts that are not remembered, and put what is known of the others beside it."""
        recall = novelty.recall(parts)
        fresh = recall.fresh
        scanning = Scanning(self, tuple(parts[i] for i in fresh), lists=not recall.known)
        scan, work = scanning.run()
        found = [(fresh[place], f) for place, f in zip(scanning.places, scan.findings, strict=True)]
        if not scanning.crowded:
            of_part: dict[int, list[Finding]] = {i: [] for at, i in enumerate(fresh) if at not in scanning.partial}
            for i, f in found:
                if i in of_part and f.detector not in judgement.LISTS:
                    of_part[i].append(f)
            for i, findings in of_part.items():
                novelty.keep(recall, i, tuple(findings))
        if recall.known:
            found += [(i, f) for i, findings in recall.known.items() for f in findings]
            found.sort(key=_place_of)
            whole = judgement.bulk_findings([f for _, f in found], self.fingerprinter)
            found = sorted([*found, *((found[at][0], f) for at, f in whole)], key=_place_of)
            if len(found) > self.budget.findings:
                return Scanning(self, parts).run()  # more than one record holds: it chooses among all of them
        return Scan(tuple(f for _, f in found), sum(recall.sizes), scan.unread), work

    # -------------------------------------------------------------------------------- what a scan asks (`Finder`)

    def look(self, data: bytes, most: int) -> Look:
        """What hyperscan reports of a buffer."""
        return self.databases.look(data, most)

    def hints(self, data: bytes) -> Hints:
        """What may be in disguise in one text."""
        return self.databases.hints(data)[0]

    def mentions(self, window: str, words: frozenset[str]) -> bool:
        """True when one of the words stands in a lower-case text."""
        return any(word in words for _, word in self._words.iter(window))


def _place_of(found: tuple[int, Finding]) -> tuple[int, int, int, str]:
    part, f = found
    return part, f.start, f.end, f.detector


def scan_text(engine: Engine, text: str) -> Scan:
    """Scan one text outside of any request (`sluice scan`)."""
    return engine.scan((Part("", Role.UNKNOWN, PartKind.TEXT, Provenance.USER, text),))


def sightings(engine: Engine, parts: tuple[Part, ...]) -> tuple[list[Sighting], list[Sighting]]:
    """**P** What stays, and all that was seen, before sealing. For `lint` alone: the values are in it."""
    scanning = Scanning(engine, parts)
    scanning.run()
    return most_specific(scanning.sightings, engine.yields), scanning.sightings


def oracle(engine: Engine, text: str) -> list[tuple[int, int]]:
    """The spans that `re` and the validators alone find in a text, with no help of hyperscan. For `lint` and tests."""
    scanning = Scanning(engine, (Part("", Role.UNKNOWN, PartKind.TEXT, Provenance.USER, text),), limit=1 << 40)
    for index, c in enumerate(engine.compiled):
        at = 0
        while match := c.shape.confirm.search(text, at):
            done = scanning.judge(c, index, Text(0, text), *match.span(c.shape.group))
            at = max(done, match.start() + 1)
    return [(s.start, s.end) for s in scanning.sightings]


# ---------------------------------------------------------------------------------------------------- compilation


def keyword_expression(word: str) -> str:
    """The hyperscan expression of a required keyword. A short one stands as a whole word, where `_` and an escape such
    as `\\n` end a word. Of a longer one only the letters are looked for: that compiles in a tenth of the time and is
    hardly ever met inside another word, and `scanning.whole` has the last word on both.
    """
    text = "".join(_JOINT if c in _JOINTS else c if c.isalnum() else _escaped(c) for c in word)
    if len(word) > SHORT:
        return text
    front = r"(?:\b|_|\\[nrt])" if word[0].isascii() and word[0].isalnum() else ""
    back = r"(?:\b|_)" if word[-1].isascii() and word[-1].isalnum() else ""
    return front + text + back


def _escaped(char: str) -> str:
    return f"\\x{ord(char):02x}" if char.isascii() else f"\\x{{{ord(char):x}}}"


def expressions(compiled: list[Compiled]) -> tuple[list[Expression], list[Sense]]:
    """What hyperscan is to look for, and for each id what it means.

    A keyword is there once, whatever the number of detectors that ask for it; it stands behind a gate when the values
    of all of them do.
    """
    out: list[Expression] = []
    roles: list[Sense] = []
    words: dict[str, list[int]] = {}
    gated: dict[int, tuple[str, int]] = {}
    for i, c in enumerate(compiled):
        if c.detector.keyword_use != "boost" and c.keywords:
            for word in c.keywords | _glued(c):
                words.setdefault(word, []).append(i)
            if gate := _gate(c):
                gated[i] = gate, gates.reach_of_keywords(c)
            continue
        utf8 = c.shape.utf8 or not c.shape.head.isascii()
        for text, caseless in shapes.beginnings(c.shape.head, caseless=c.shape.caseless):
            sought = shapes.sought(text)
            block, reach = _block(c, text, sought, caseless=caseless, utf8=utf8)
            flags = databases.flags(caseless=caseless, utf8=utf8)
            out.append(Expression(sought, flags, len(roles), block, reach))
            roles.append(Sense((i,), 0, _beginning(c, text, caseless=caseless)))
    for word, users in sorted(words.items()):
        text = keyword_expression(word)
        utf8 = not word.isascii()
        behind = {gated[i][0] if i in gated else "" for i in users}
        gate, reach = (behind.pop(), max((gated[i][1] for i in users if i in gated), default=0))
        if behind:  # wanted by detectors behind several gates
            gate, reach = "", 0
        lower = word == word.lower()
        block = databases.EXACT if not lower else databases.WORDS
        if lower and len(word) <= SHORT:
            block = databases.SHORT_NEAR if gate else databases.SHORT
        if lower and not word.isascii():
            block = databases.FOREIGN
        out.append(Expression(text, databases.flags(caseless=lower, utf8=utf8), len(roles), block, reach, gate))
        roles.append(Sense(tuple(users), len(word)))
    return out, roles


_VALUE_FIRST = re.compile(r"(?:\\b|\(\?<?[!=][^()]*\))*\((?!\?)")
"""A pattern whose value begins with its match: there the longest of several alternatives in one place counts, so that
all of them are tried from the first place on. Where the value stands behind them it is the same by any of them."""


def _beginning(c: Compiled, text: str, *, caseless: bool) -> shapes.Beginning:
    """Where a match may begin when this beginning of its head was seen."""
    own = shapes.Beginning(c.shape.least, c.shape.most, None if c.shape.back or c.shape.lead else c.shape.opening)
    if text == c.shape.head or c.shape.back or not c.shape.group or _VALUE_FIRST.match(c.detector.pattern):
        return own
    whole = shapes.measure(c.shape.head, caseless=caseless)
    if (whole.least, whole.most) != (c.shape.least, c.shape.most):
        return own  # a repeat that the head leaves out is counted in the shape alone
    return shapes.measure(text, caseless=caseless)


def _gate(c: Compiled) -> str | None:
    """The gate that the keywords of a detector stand behind, because every value holds one of its places."""
    pattern, caseless = c.detector.pattern, c.shape.caseless
    if gates.reach_of_keywords(c) > gates.FARTHEST:
        return None
    if c.detector.keyword_use not in {"require", "column"}:
        return None  # there the keyword itself is found, or begins what is found
    numbers = (gates.DIGITS, gates.NUMBERS)
    return next((g.name for g in numbers if gates.in_a_row(pattern, g, caseless=caseless) >= g.least), None)


def _glued(c: Compiled) -> set[str]:
    """The keywords of several words as one, as in `taxId`, where a keyword is only a sign that a value is near."""
    if c.detector.keyword_use not in {"require", "column"}:
        return set()
    several = (w for w in c.keywords if w.isascii() and w == w.lower() and w.replace(" ", "").isalpha() and " " in w)
    return {glued for w in several if len(glued := w.replace(" ", "")) > SHORT + 1}


def _block(c: Compiled, text: str, sought: str, *, caseless: bool, utf8: bool) -> tuple[str, int]:
    """Where one beginning of a head belongs, and how far from a gate's stretch it may reach."""
    literal, reach = shapes.literal(sought), gates.reach_of_head(c)
    if literal < gates.RARE and reach <= gates.FARTHEST:
        held = c.detector.pattern if c.shape.lead else text  # a leading repeat is not in the head
        for gate in gates.ALL if literal else (gates.DIGITS, gates.RUNS):  # without a literal it is slower among those
            row = gates.in_a_row(held, gate, caseless=caseless)
            if row >= gate.least:
                # Of a run all is known, and the row lies in it; of digits only from where they are enough.
                return gate.name, reach - row if gate is gates.RUNS and not c.shape.lead else reach
    if utf8:
        return databases.UNICODE, 0
    if literal >= gates.LITERAL:
        return databases.LITERAL, 0
    if literal:
        return databases.SIGN, 0
    return databases.CAPITALS if shapes.capital(text) else databases.CLASS, 0


def _automaton(words: set[str]) -> ahocorasick.Automaton:
    automaton = ahocorasick.Automaton()
    for word in sorted(words):
        automaton.add_word(word, word)
    automaton.make_automaton()
    return automaton


def _digest(detectors: tuple[Detector, ...], own: OwnData | None) -> str:
    prose = {"title", "why", "references", "match", "reject", "family"}
    content = [{k: v for k, v in msgspec.structs.asdict(d).items() if k not in prose} for d in detectors]
    versions = [VERSION, normalise.VERSION, judgement.VERSION, normalise.digest(), people.digest()]
    return sha256(msgspec.json.encode([*versions, content, *([own.digest] if own else [])])).hexdigest()


def _place(error: BaseException) -> str:
    """Which exception, and where in the code: enough to find the fault, nothing of the text."""
    frames = traceback.extract_tb(error.__traceback__)
    frame = frames[-1] if frames else None
    where = f" at {frame.filename.rpartition('/')[2]}:{frame.lineno}" if frame else ""
    return type(error).__name__ + where
