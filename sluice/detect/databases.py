"""Everything that is asked of hyperscan: expressions compiled into blocks, kept in a file, and run over a buffer.

The blocks, each one database. What belongs together was measured, and is not always what one would think: hyperscan
falls back to its slowest engine for all expressions of a database when a few need it, and finds a thousand literals
beside one of two bytes twice as fast as without it.

    words     keywords, without regard to case
    short     keywords of a few letters, whole words only: slow to tell among thousands of longer ones; `short-near`
              those that count near digits alone: not looked for in text that has none
    exact     keywords with capitals: names
    foreign   other keywords with a character beyond ASCII: not looked for in text that has none
    literal   heads with a literal part
    unicode   heads with characters beyond ASCII
    sign      heads with one literal character
    class, capitals
              heads of character classes alone, apart by what they begin with
    digits, runs
              heads whose matches all stand where a gate opens (`gates`): looked for around such places only, unless
              they are everywhere
    numbers   heads whose matches all hold a number: looked for if there is one

Compiled blocks can be kept (`Store`) under the digest of the expressions, the library's version and the processor's
features. Reading a database back is handing memory to a C library that trusts it: a store returns only what this
deployment itself put there (`sluice.cache`). The library then checks version, platform and checksum again.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from itertools import islice
from typing import NamedTuple, Protocol

import hyperscan
import msgspec

from sluice.detect import encoded, escapes, gates, joined
from sluice.detect.layers import Hints

WORDS, SHORT, SHORT_NEAR, EXACT, FOREIGN = "words", "short", "short-near", "exact", "foreign"
LITERAL, UNICODE, SIGN, CLASS, CAPITALS = "literal", "unicode", "sign", "class", "capitals"
SHORTEST = r"\xfe\xff"
"""Two bytes that no text holds, for hyperscan's choice of an engine: see above."""
GATE = "gate/"
WINDOWS = (gates.DIGITS.name, gates.RUNS.name)
"""Blocks that are run over windows around the places of their gate, if there are few."""
NUMERIC = (SHORT_NEAR, gates.NUMBERS.name)
"""Blocks that are run when the text has numbers at all."""

ASKED = ((encoded.CODES_GATE, joined.NUMBER_GATE), (joined.LIST_GATE,), (joined.ACCOUNT_NUMBER,))
"""What is asked of every text, a database each: codes of characters and long numbers, lists, account numbers."""
JOINED, MARKED = "marks/joined", "marks"
MARKS, CROWDED = 2_000, 64
"""Marks of joined strings and beginnings of keys that are followed: so many, and one more for so many bytes."""

ESCAPED, SCATTERED = 500, 1_024
"""Escapes of which the places are told: so many, and one more for so many bytes. More are looked for by `re`."""

_HEADING = re.compile(rb"[\w\x80-\xff .\"'()/*-]{0,120}(?:[,;|\t\r\n]|\\[nt])")
"""What follows a keyword that may head a column (`tables`): its values may stand far below it."""


class Store(Protocol):
    """Keeps bytes from one start to the next, and returns none that are not exactly what was kept."""

    def load(self, name: str) -> bytes | None: ...
    def save(self, name: str, content: bytes) -> None: ...


class CompileError(ValueError):
    """hyperscan does not take the detectors. `lint` says which one."""


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression and where it belongs. `reach`: how far from a gate's stretch it may extend, in characters; of a
    keyword, how far from one that opens `gate` it counts."""

    text: str
    flags: int
    ident: int
    block: str = LITERAL
    reach: int = 0
    gate: str = ""


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
        self._gates = {g.name: _fixed((g.expression, 0, 0)) for g in gates.ALL}
        self._reach = {g.name: max((e.reach for e in chosen if e.block == g.name), default=0) for g in gates.ALL}
        by_name = {g.name: g for g in gates.ALL}
        self._near = {e.ident: (by_name[e.gate].near, e.reach) for e in chosen if e.gate}
        blocks: dict[str, list[tuple[str, int, int]]] = {}
        for e in sorted(chosen, key=lambda e: (e.block, e.ident, e.text)):
            blocks.setdefault(e.block, []).append((e.text, e.flags, e.ident))
        for block in {LITERAL, WORDS} & blocks.keys():
            blocks[block].append((SHORTEST, 0, max(e.ident for e in chosen)))
        places = list(marks)
        self._first = len(places)
        fixed = [(text, 0, i) for i, text in enumerate(places) if text in joined.CONCATENATIONS]
        if more := [(text, 0, i) for i, text in enumerate(places) if text not in joined.CONCATENATIONS]:
            blocks[MARKED] = more
        name = sha256(msgspec.json.encode([self.engine, blocks])).hexdigest() + ".hsdb"
        kept = _read(store.load(name), list(blocks)) if store else None
        self.cached = kept is not None
        self._blocks = kept if kept is not None else {name: _compile(block) for name, block in blocks.items()}
        if store and not self.cached:
            store.save(name, _kept(self._blocks))
        self._marks = [(JOINED, _fixed(*fixed))] if fixed else []
        if MARKED in self._blocks:
            self._marks.append((MARKED, self._blocks.pop(MARKED)))
        self._asked = [
            (f"disguise/{at}", _fixed(*((text, 0, i) for i, text in enumerate(texts))))
            for at, texts in enumerate(ASKED)
        ]
        self._escapes = _fixed(*((text, 0, i) for i, text in enumerate(escapes.EXPRESSIONS)))
        self._codes = _fixed((encoded.CODES_GATE, 0, 0))
        self._cards = _fixed((joined.CARD_NUMBER, 0, 0))
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
        some, plain = self._opens(gates.NUMBERS, data), data.isascii()

        def add(more: list[tuple[int, int]], stop: int | None) -> None:
            nonlocal hits, reached
            hits += more
            reached = stop if stop is not None else reached

        for name, database in self._blocks.items():
            if name in WINDOWS or (name in NUMERIC and not some) or (name == FOREIGN and plain):
                continue
            part = data if reached is None else data[: _edge(data, reached)]
            add(*_scan(database, self._scratch(name, database), part, most))
        runs = self.has_runs(data)
        spans: tuple[tuple[int, int], ...] | None = None
        for gate, opens in ((gates.DIGITS, some), (gates.RUNS, runs)):
            if opens and gate.name in self._blocks:
                part = data if reached is None else data[: _edge(data, reached)]
                places = self._places(gate, part)
                if gate is gates.RUNS and part is data and places is not None:
                    spans = tuple(places)
                add(*self._around(self._blocks[gate.name], gate.name, part, places, self._reach[gate.name], most))
        if reached is not None:
            hits = [hit for hit in hits if hit[0] <= reached]  # behind it not every database has looked
        if self._near:
            hits = _standing(data, hits, self._near, 1 if plain else 4, some=some)
        hits.sort()
        hints, crowded = self.hints(data)
        return Look(hits, reached, hints._replace(runs=runs, spans=spans), crowded)

    def has_runs(self, data: bytes) -> bool:
        """True when somewhere in `data` stands a run that could be base64 of something."""
        return self._opens(gates.RUNS, data)

    def _opens(self, gate: gates.Gate, data: bytes) -> bool:
        """True when the gate opens somewhere in `data`."""
        database = self._gates[gate.name]
        return _scan(database, self._scratch(GATE + gate.name, database), data, 0)[1] is not None

    def hints(self, data: bytes) -> tuple[Hints, int | None]:
        """What may be in disguise in `data` (not `runs`), and where its marks were stopped if they were too many."""
        if not self._marks:
            return Hints(), None
        most = MARKS + len(data) // CROWDED
        found: list[tuple[int, int]] = []
        stops: list[int | None] = []
        for name, database in self._marks:
            more, stop = _scan(database, self._scratch(name, database), data, most)
            found += more
            stops.append(stop)
        (rows, many), (lists, lots), (accounts, stop) = (
            _scan(database, self._scratch(name, database), data, MARKS) for name, database in self._asked
        )
        stops.append(stop)
        found += [(end, self._first + 1) for end, _ in accounts]
        places = [(end, end) for end, ident in rows if ident] if many is None else None
        if many is not None:  # long numbers everywhere, or codes: then each is looked for by itself
            rows, many = _scan(self._codes, self._scratch("disguise/codes", self._codes), data, MARKS)
        if many is None:
            found += [(end, self._first + len(joined.NUMBERS)) for end, ident in rows if not ident]
        if places is None or places:
            more, stop = self._around(self._cards, "disguise/cards", data, places, joined.ROOM, most)
            found += [(end, self._first) for end, _ in more]
            stops.append(stop)
        if lots is None:
            found += [(end, self._first + len(joined.NUMBERS) + 1) for end, _ in lists]
        # So many that they are everywhere: then the text is read from its beginning to its end.
        hints = Hints(codes=many is not None, lists=lots is not None, marks=tuple(found), escapes=self._escaped(data))
        return hints, min((stop for stop in stops if stop is not None), default=None)

    def _escaped(self, data: bytes) -> tuple[tuple[int, int], ...] | None:
        """Where escapes may begin (`escapes.BEGINNINGS`), or None when they are too many to tell."""
        if not any(sign in data for sign in escapes.SIGNS):
            return ()
        most = ESCAPED + len(data) // SCATTERED
        found, stop = _scan(self._escapes, self._scratch("disguise/escapes", self._escapes), data, most)
        return tuple(found) if stop is None else None

    def _places(self, gate: gates.Gate, data: bytes) -> list[tuple[int, int]] | None:
        """The stretches in which the gate opens, each from there to its end; None when they are too many for
        windows."""
        few = 16 + len(data) // gate.sparse
        if gate is gates.RUNS:
            places = list(islice(encoded.runs(data), few + 1))
            return places if len(places) <= few else None
        database = self._gates[gate.name]
        found, stop = _scan(database, self._scratch(GATE + gate.name, database), data, few)
        match = gate.row.match
        return [(end, m.end() if (m := match(data, end)) else end) for end, _ in found] if stop is None else None

    def _around(
        self,
        database: hyperscan.Database,
        name: str,
        data: bytes,
        places: list[tuple[int, int]] | None,
        reach: int,
        most: int,
    ) -> tuple[list[tuple[int, int]], int | None]:
        """What stands within reach of the places, or anywhere when they are None."""
        scratch = self._scratch(name, database)
        if places is None:
            return _scan(database, scratch, data, most)
        windows = _windows(data, places, reach)
        if not windows:
            return [], None
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
        try:
            return self._local.held[name]  # type: ignore[no-any-return]
        except AttributeError:
            self._local.held = {}
        except KeyError:
            pass
        scratch = self._local.held[name] = hyperscan.Scratch(database)
        return scratch


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
    append = hits.append

    def on_match(ident: int, _start: int, end: int, _flags: int, _context: object) -> bool:
        append((end, ident))
        return len(hits) > most

    try:
        database.scan(data, match_event_handler=on_match, scratch=scratch)
    except hyperscan.ScanTerminated:
        return hits, hits.pop()[0]
    return hits, None


def _windows(data: bytes, places: list[tuple[int, int]], reach: int) -> list[tuple[int, int]]:
    """What lies within reach of the stretches, overlapping windows joined, never cut within a character: hyperscan's
    answer to bytes that are no UTF-8 is undefined."""
    plain = data.isascii()
    reach = reach if plain else 4 * reach
    size = len(data)
    out: list[tuple[int, int]] = []
    first, covered = 0, -1
    for start, end in places:
        if start - reach > covered:
            if covered >= 0:
                out.append((first, min(covered, size)))
            first = max(start - reach, 0)
        covered = end + reach
    if covered >= 0:
        out.append((first, min(covered, size)))
    return out if plain else [(_edge(data, low), _edge(data, high)) for low, high in out]


def _standing(
    data: bytes,
    hits: list[tuple[int, int]],
    near: dict[int, tuple[re.Pattern[bytes], int]],
    wide: int,
    *,
    some: bool,
) -> list[tuple[int, int]]:
    """The hits without keywords that stand far from what opens their gate and head no column. `some`: there is such."""
    out: list[tuple[int, int]] = []
    heads = _HEADING.match
    for hit in hits:
        if (gate := near.get(hit[1])) is None:
            out.append(hit)
        elif some:
            end, reach = hit[0], gate[1] * wide
            low = end - reach
            if gate[0].search(data, low if low > 0 else 0, end + reach) is not None or heads(data, end) is not None:
                out.append(hit)
    return out


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
