"""Everything that is asked of hyperscan: expressions compiled into blocks, kept in a file, and run over a buffer.

The blocks, each one database (why there are several: hyperscan falls back to its slowest engine for all expressions of
a database when a few need it):

    literal   heads with a literal part, and keywords: found by that, wherever they are
    short     keywords of a few letters, whole words only: slow to tell among thousands of longer literals
    unicode   heads with a literal part and characters beyond ASCII
    class     heads of character classes alone that no gate holds
    digits    what every match of holds six digits (`gates.DIGITS`): looked for around such places only, unless they are
              everywhere
    runs      what every match of holds a run of base64 characters: looked for only where there is one

Compiled blocks can be kept (`Store`) under the digest of the expressions, the library's version and the processor's
features. Reading a database back is handing memory to a C library that trusts it: a store returns only what this
deployment itself put there (`sluice.cache`). The library then checks version, platform and checksum again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from typing import NamedTuple, Protocol

import hyperscan
import msgspec

from sluice.detect import encoded, gates, joined
from sluice.detect.layers import Hints

LITERAL, SHORT, UNICODE, EXACT, CLASS = "literal", "short", "unicode", "exact", "class"
APART = 12
"""Databases of class heads at most; more heads than that share them."""

HINTS = (encoded.CODES_GATE, joined.LIST_GATE, joined.NUMBER_GATE)
"""What is asked of every text: whether it is there at all."""
MARKED = "marks"
MARKS, CROWDED = 2_000, 64
"""Marks of joined strings and beginnings of keys that are followed: so many, and one more for so many bytes."""

DELIMITERS = (b",", b"\t", b"|", b";")
WIDEST = 16_384
"""What divides the cells and the rows of a table, and the longest row, bytes (`tables`)."""


class Store(Protocol):
    """Keeps bytes from one start to the next, and returns none that are not exactly what was kept."""

    def load(self, name: str) -> bytes | None: ...
    def save(self, name: str, content: bytes) -> None: ...


class CompileError(ValueError):
    """hyperscan does not take the detectors. `lint` says which one."""


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression and where it belongs. `reach`: how far from its gate's place it may extend, in characters."""

    text: str
    flags: int
    ident: int
    block: str = LITERAL
    reach: int = 0


class Look(NamedTuple):
    """What hyperscan saw: (end, id) in order of end; where it was stopped when that was too much; what may be in
    disguise there, and where the marks of that were stopped when they were too many."""

    hits: list[tuple[int, int]]
    reached: int | None
    hints: Hints
    crowded: int | None


class Databases:
    """The blocks, compiled or read back. Read-only and used from any thread; scratch space is per thread."""

    def __init__(
        self, expressions: Iterable[Expression], store: Store | None = None, marks: Iterable[str] = ()
    ) -> None:
        """`marks`: what is looked for by its place, for `Hints.marks`. Raises `CompileError`."""
        chosen = list(expressions)
        self._gates = {g.name: _fixed((g.expression, hyperscan.HS_FLAG_MULTILINE, 0)) for g in gates.ALL}
        self._reach = {g.name: max((e.reach for e in chosen if e.block == g.name), default=0) for g in gates.ALL}
        blocks: dict[str, list[tuple[str, int, int]]] = {}
        for at, e in enumerate(sorted(chosen, key=lambda e: (e.block, e.ident))):
            block = f"{CLASS}/{at % APART}" if e.block == CLASS else e.block
            blocks.setdefault(block, []).append((e.text, e.flags, e.ident))
        if places := [(text, 0, i) for i, text in enumerate(marks)]:
            blocks[MARKED] = places
        self._first = len(places)
        name = sha256(msgspec.json.encode([self.engine, blocks])).hexdigest() + ".hsdb"
        kept = _read(store.load(name), list(blocks)) if store else None
        self.cached = kept is not None
        self._blocks = kept if kept is not None else {name: _compile(block) for name, block in blocks.items()}
        if store and not self.cached:
            store.save(name, _kept(self._blocks))
        self._marks = self._blocks.pop(MARKED, None)
        self._hints = _fixed(*((text, hyperscan.HS_FLAG_SINGLEMATCH, i) for i, text in enumerate(HINTS)))
        self._rows = [_fixed((text, 0, 0)) for text in HINTS[:2]]
        self._numbers = _fixed(*((text, 0, i) for i, (text, _, _) in enumerate(joined.NUMBERS)))
        self._local = threading.local()

    @cached_property
    def engine(self) -> str:
        """Version of the library and the features of the processor that it compiles for."""
        info = self._gates[gates.RUNS.name].info()
        return info.decode() if isinstance(info, bytes) else str(info)

    @property
    def size(self) -> int:
        """Memory of the compiled blocks, bytes."""
        return sum(int(database.size()) for database in self._blocks.values())

    def look(self, data: bytes, most: int) -> Look:
        """Every head and keyword in `data`, `most` of each block at most."""
        hits: list[tuple[int, int]] = []
        reached: int | None = None
        runs = False

        def add(more: list[tuple[int, int]], stop: int | None) -> None:
            nonlocal hits, reached
            hits += more
            reached = stop if stop is not None else reached

        for name, database in self._blocks.items():
            if name not in self._gates:
                part = data if reached is None else data[: _edge(data, reached)]
                add(*_scan(database, self._scratch(name, database), part, most))
        for gate in gates.ALL:
            if gate.name not in self._blocks and gate is not gates.RUNS:
                continue
            part = data if reached is None else data[: _edge(data, reached)]
            places, stop = self._places(gate, part)
            if gate is gates.RUNS:
                runs = bool(places) or stop is not None or (part is not data and self.has_runs(data))
            if gate.name in self._blocks and (places or stop is not None):
                add(*self._behind(gate, part, None if stop is not None else places, most))
        if reached is not None:
            hits = [hit for hit in hits if hit[0] <= reached]  # behind it not every database has looked
        hits.sort()
        hints, crowded = self.hints(data)
        return Look(hits, reached, hints._replace(runs=runs), crowded)

    def has_runs(self, data: bytes) -> bool:
        """True when somewhere in `data` stands a run that could be base64 of something."""
        database = self._gates[gates.RUNS.name]
        return _scan(database, self._scratch("gate/runs", database), data, 0)[1] is not None

    def hints(self, data: bytes) -> tuple[Hints, int | None]:
        """What may be in disguise in `data` (not `runs`), and where its marks were stopped if they were too many."""
        seen = {
            ident for _, ident in _scan(self._hints, self._scratch("disguise/hints", self._hints), data, len(HINTS))[0]
        }
        hints = Hints(codes=0 in seen, lists=1 in seen)
        if self._marks is None:
            return hints, None
        most = MARKS + len(data) // CROWDED
        found, stop = _scan(self._marks, self._scratch("disguise/marks", self._marks), data, most)
        if 2 in seen:
            more, crowded = _scan(self._numbers, self._scratch("disguise/numbers", self._numbers), data, most)
            found += [(end, ident + self._first) for end, ident in more]
            stop = crowded if stop is None else stop if crowded is None else min(stop, crowded)
        for i, name in enumerate(("codes", "lists")):
            if i in seen:  # so many that they are everywhere: then the text is read from its beginning to its end
                more, everywhere = _scan(self._rows[i], self._scratch(f"disguise/{name}", self._rows[i]), data, MARKS)
                if everywhere is None:
                    hints = hints._replace(codes=False) if name == "codes" else hints._replace(lists=False)
                    found += [(end, self._first + len(joined.NUMBERS) + i) for end, _ in more]
        return hints._replace(marks=tuple(found)), stop

    def _places(self, gate: gates.Gate, data: bytes) -> tuple[list[int], int | None]:
        """Where the gate's expression ends, and where the look was stopped because there are too many for windows."""
        database = self._gates[gate.name]
        few = 16 + len(data) // gate.sparse
        places, stop = _scan(database, self._scratch(f"gate/{gate.name}", database), data, few)
        return [end for end, _ in places], stop

    def _behind(
        self, gate: gates.Gate, data: bytes, places: list[int] | None, most: int
    ) -> tuple[list[tuple[int, int]], int | None]:
        """What stands around the places of a gate, or anywhere when they are None: too many to tell."""
        database = self._blocks[gate.name]
        scratch = self._scratch(gate.name, database)
        if places is None:
            return _scan(database, scratch, data, most)
        windows = _windows(data, places, self._reach[gate.name], rows=gate.rows)
        found, stop = _scan(database, scratch, b"\n".join([data[low:high] for low, high in windows]), most)
        hits: list[tuple[int, int]] = []
        at = start = 0  # window `at` begins at `start` of what was read
        for end, ident in [*found, (stop, -1)] if stop is not None else found:
            while end > start + windows[at][1] - windows[at][0] and at + 1 < len(windows):
                start += windows[at][1] - windows[at][0] + 1
                at += 1
            hits.append((windows[at][0] + max(end - start, 0), ident))
        return hits, hits.pop()[0] if stop is not None else None

    def _scratch(self, name: str, database: hyperscan.Database) -> hyperscan.Scratch:
        """This thread's scratch space of one database."""
        held: dict[str, hyperscan.Scratch] | None = getattr(self._local, "held", None)
        if held is None:
            held = self._local.held = {}
        if name not in held:
            held[name] = hyperscan.Scratch(database)
        return held[name]


def compiles(expression: str, *, caseless: bool = False, utf8: bool = False) -> str | None:
    """None when hyperscan takes the expression by itself, else its complaint (for `lint`)."""
    try:
        _compile([(expression, flags(caseless=caseless, utf8=utf8), 0)])
    except CompileError as e:
        return str(e)
    return None


def flags(*, caseless: bool, utf8: bool) -> int:
    """hyperscan's flags of one expression. `^` and `$` hold at lines: the texts of a request are lines to it."""
    return int(
        hyperscan.HS_FLAG_MULTILINE
        | (hyperscan.HS_FLAG_CASELESS if caseless else 0)
        | (hyperscan.HS_FLAG_UTF8 if utf8 else 0)
    )


@cache
def _fixed(*block: tuple[str, int, int]) -> hyperscan.Database:
    """A block that does not depend on the detectors: compiled once in a process, and read-only like all of them."""
    return _compile(block)


def _compile(block: Sequence[tuple[str, int, int]]) -> hyperscan.Database:
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    texts, given, ids = zip(*block, strict=True)
    try:
        database.compile(expressions=[t.encode() for t in texts], ids=list(ids), flags=list(given))
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


def _windows(data: bytes, places: list[int], reach: int, *, rows: bool) -> list[tuple[int, int]]:
    """The stretches around the places, overlapping ones joined, never cut within a character: hyperscan's answer to
    bytes that are no UTF-8 is undefined. A place in a row of a table reaches up to the table's heading."""
    plain = data.isascii()
    reach = reach if plain else 4 * reach
    out: list[tuple[int, int]] = []
    for place in places:
        covered = out[-1][1] if out else 0
        high = min(place + reach, len(data))
        low = place - reach
        if rows and low > covered:
            low = min(low, _first_row(data, place, covered))
        if out and low <= covered:
            out[-1] = (out[-1][0], high)
        else:
            out.append((max(low, 0), high))
    return out if plain else [(_edge(data, low), _edge(data, high)) for low, high in out]


def _first_row(data: bytes, place: int, covered: int) -> int:
    """Where the first line of the table begins that the place stands in, or `covered` when that comes first: lines of
    at most `WIDEST` bytes, each with a delimiter that the place's own line has. In a JSON body lines end in an escape.
    """
    floor, roof = max(data.rfind(b"\n", max(place - WIDEST, 0), place), place - WIDEST, 0), place + WIDEST
    if (newline := data.find(b"\n", place, roof)) >= 0:
        roof = newline
    own = [d for d in DELIMITERS if data.find(d, floor, roof) >= 0]
    low = stop = place
    while own and covered < stop:
        floor = max(covered, stop - WIDEST)
        start, before = floor, floor
        if (newline := data.rfind(b"\n", floor, stop)) >= 0:
            start, before = newline + 1, newline
        if (escape := data.rfind(b"\\n", start, stop)) >= 0:
            start, before = escape + 2, escape
        wide = start == floor > covered
        if wide or (low < place and all(data.find(d, start, stop) < 0 for d in own)):
            break
        low, stop = start, before  # a step towards the beginning each time
    return low


def _edge(data: bytes, at: int) -> int:
    """The beginning of the character that byte `at` belongs to."""
    while 0 < at < len(data) and data[at] & 0xC0 == 0x80:
        at -= 1
    return at


def _read(kept: bytes | None, names: list[str]) -> dict[str, hyperscan.Database] | None:
    """The blocks that were kept, or None when there are none that this build of the library takes."""
    if kept is None:
        return None
    try:
        blocks = msgspec.msgpack.decode(kept, type=dict[str, bytes])
        return {name: hyperscan.loadb(blocks[name], hyperscan.HS_MODE_BLOCK) for name in names}
    except (msgspec.DecodeError, KeyError, hyperscan.error):
        return None  # of another build of the library under the same name: compiled anew


def _kept(blocks: dict[str, hyperscan.Database]) -> bytes:
    return msgspec.msgpack.encode({name: bytes(hyperscan.dumpb(database)) for name, database in blocks.items()})
