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

import contextlib
import threading
import traceback
from collections.abc import Iterable
from dataclasses import asdict
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from itertools import pairwise

import ahocorasick
import hyperscan
import msgspec

from sluice.detect import credentials, normalise, validators
from sluice.detect.evidence import Fingerprinter
from sluice.detect.layers import Text
from sluice.detect.resolve import Sighting, most_specific
from sluice.detect.scanning import Budget, Compiled, Scanning, Work, compile_detector
from sluice.errors import Cause, Unavailable
from sluice.model import Credential, Detector, Part, PartKind, Provenance, RawCredential, Role, Scan

VERSION = 1
"""Part of the digest: raised when a change of this room can change findings."""


BLOCKS = 3
"""Databases that the detectors are spread over, beside the one of the keywords."""
SHORT = 4
"""Longest keyword that hyperscan is to find as a whole word only."""


class CompileError(ValueError):
    """hyperscan does not take the detectors. `lint` says which one."""


class Engine:
    """Detectors compiled. Implements `model.Scanner`."""

    def __init__(
        self, detectors: Iterable[Detector], fingerprinter: Fingerprinter, *, budget: Budget | None = None
    ) -> None:
        self.detectors = tuple(detectors)
        self.fingerprinter = fingerprinter
        self.budget = budget or Budget()
        self.compiled = [compile_detector(d) for d in self.detectors]
        self.yields = {d.id: frozenset(d.overlaps) for d in self.detectors}
        self._databases, self.roles = _databases(self.compiled)
        self._runs = _compile([b"[A-Za-z0-9+/_-]{%d}" % normalise.RUN], [hyperscan.HS_FLAG_SINGLEMATCH], [0])
        self._words = _automaton({w for c in self.compiled if c.detector.keyword_use == "boost" for w in c.keywords})
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
        info = self._runs.info()
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
        return self.fingerprinter.key_id

    def fingerprint(self, purpose: str, value: str | bytes) -> str:
        """Keyed HMAC-SHA-256, 16 bytes as hex, of a value under a purpose label (domain separation)."""
        return self.fingerprinter.fingerprint(purpose, value)

    def seal_credential(self, raw: RawCredential) -> Credential:
        """The credential of a request without its secret. Raises `errors.Unavailable`, never with content."""
        try:
            return credentials.seal_credential(raw, self.fingerprinter)
        except Exception as e:  # noqa: BLE001 - an exception may carry the key; only its place may leave
            failure = _place(e)
        raise Unavailable(Cause.SCAN_ERROR, f"credential not sealed: {failure}")

    def scan(self, parts: tuple[Part, ...]) -> Scan:
        """Every finding in the parts, in order of (part, start). Raises `errors.Unavailable`, never with content."""
        return self.measure(parts)[0]

    def measure(self, parts: tuple[Part, ...]) -> tuple[Scan, Work]:
        """`scan`, and what it cost."""
        try:
            return Scanning(self, parts).run()
        except Exception as e:  # noqa: BLE001 - an exception may carry text of the request; only its place may leave
            failure = _place(e)
        raise Unavailable(Cause.SCAN_ERROR, f"detection failed: {failure}")

    # -------------------------------------------------------------------------------- what a scan asks (`Finder`)

    def hits(self, data: bytes, most: int) -> tuple[list[tuple[int, int]], int | None]:
        """(end, id) of all that hyperscan reports, in order of end, and where it was stopped when that was too much."""
        hits: list[tuple[int, int]] = []
        reached: int | None = None
        for database, scratch in zip(self._databases, self._scratch(), strict=False):
            more, stop = _scan(database, scratch, data if reached is None else data[:reached], most)
            hits += more
            reached = stop if stop is not None else reached
        if reached is not None:
            hits = [hit for hit in hits if hit[0] <= reached]  # behind it not every database has looked
        hits.sort()
        return hits, reached

    def has_runs(self, data: bytes) -> bool:
        """True when somewhere in `data` stands a run that could be base64 of something."""
        found = False

        def on_match(*_: object) -> bool:
            nonlocal found
            found = True
            return True

        with contextlib.suppress(hyperscan.ScanTerminated):
            self._runs.scan(data, match_event_handler=on_match, scratch=self._scratch()[-1])
        return found

    def mentions(self, window: str, words: frozenset[str]) -> bool:
        """True when one of the words stands in a lower-case text."""
        return any(word in words for _, word in self._words.iter(window))

    def _scratch(self) -> list[hyperscan.Scratch]:
        """This thread's scratch space: one for each database, the one for runs last."""
        scratch: list[hyperscan.Scratch] | None = getattr(self._local, "scratch", None)
        if scratch is None:
            scratch = self._local.scratch = [hyperscan.Scratch(d) for d in (*self._databases, self._runs)]
        return scratch


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
    text = "".join(c if c.isalnum() else f"\\x{{{ord(c):x}}}" for c in word)
    if len(word) > SHORT:
        return text
    front = r"(?:\b|_|\\[nrt])" if word[0].isascii() and word[0].isalnum() else ""
    back = r"(?:\b|_)" if word[-1].isascii() and word[-1].isalnum() else ""
    return front + text + back


def _databases(compiled: list[Compiled]) -> tuple[list[hyperscan.Database], list[tuple[tuple[int, ...], int]]]:
    """The databases, and for each of their ids the detectors it is for and, of a keyword, its length.

    Several small ones scan faster than one: few enough expressions let hyperscan choose its vector engines, and what
    a slow one costs is not paid by all (measured: 2.8 ms instead of 4.1 for a megabyte of prose). A keyword is there
    once, whatever the number of detectors that ask for it.
    """
    expressions: list[str] = []
    flags: list[int] = []
    roles: list[tuple[tuple[int, ...], int]] = []
    words: dict[str, list[int]] = {}
    for i, c in enumerate(compiled):
        if c.detector.keyword_use != "boost" and c.keywords:
            for word in c.keywords:
                words.setdefault(word, []).append(i)
            continue
        expressions.append(c.shape.head)
        caseless = hyperscan.HS_FLAG_CASELESS if c.shape.caseless else 0
        flags.append(hyperscan.HS_FLAG_MULTILINE | caseless | (hyperscan.HS_FLAG_UTF8 if c.shape.utf8 else 0))
        roles.append(((i,), 0))
    size = max(1, -(-len(expressions) // BLOCKS))
    edges = [*range(0, len(expressions), size), len(expressions)]
    for word, users in sorted(words.items()):
        expressions.append(keyword_expression(word))
        flags.append(hyperscan.HS_FLAG_MULTILINE | (hyperscan.HS_FLAG_CASELESS if word == word.lower() else 0))
        roles.append((tuple(users), len(word)))
    edges.append(len(expressions))
    for at, text in enumerate(expressions):
        flags[at] |= 0 if text.isascii() and "\\x{" not in text else hyperscan.HS_FLAG_UTF8
    data = [e.encode() for e in expressions]
    ids = list(range(len(data)))
    blocks = [slice(a, b) for a, b in pairwise(edges) if a < b]
    return [_compile(data[b], flags[b], ids[b]) for b in blocks], roles


def _compile(expressions: list[bytes], flags: list[int], ids: list[int]) -> hyperscan.Database:
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    try:
        database.compile(expressions=expressions, ids=ids, flags=flags)
    except hyperscan.error as e:
        raise CompileError(str(e)) from None
    return database


def _scan(
    database: hyperscan.Database, scratch: hyperscan.Scratch, data: bytes, most: int
) -> tuple[list[tuple[int, int]], int | None]:
    """(end, id) of all that one database reports, and where it was stopped when that was more than `most`."""
    hits: list[tuple[int, int]] = []

    def on_match(ident: int, _start: int, end: int, _flags: int, _context: object) -> bool:
        hits.append((end, ident))
        return len(hits) > most

    try:
        database.scan(data, match_event_handler=on_match, scratch=scratch)
    except hyperscan.ScanTerminated:
        return hits, hits.pop()[0]
    return hits, None


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
