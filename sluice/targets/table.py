"""Which destination a request goes to: host, port and path -> `Target`.

Looked up for every request, so the work is done once per host: the rows that a host can match are found by a
dictionary (exact names), a walk over its labels (`.name`), and two short lists (patterns with `*`, expressions), and
kept. Only hosts whose rows have paths look at the path at all.

Order, most specific first: name, `a.*.name`, `.name`, /expression/; within one of these the longer host; on one host a
row with a port, then the longer path, then none. The first row that fits wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from sluice.model import Mode, Status, Target
from sluice.targets.hosts import normalise_host

HOSTS_KEPT = 8192
"""Hosts whose rows are remembered. A client that walks through random names only pays for its own look-ups."""
_UNQUOTES = 3
"""Rounds of percent-decoding before a path is compared: some servers decode twice."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table, as `signatures/targets.toml` describes the columns. `observe_until`: ns since the epoch,
    the end of the time in which mode observe holds (0 = not observing)."""

    id: str
    host: str
    provider: str
    product: str
    kind: str
    port: int | None = None
    paths: tuple[str, ...] = ()
    dialect: str = "opaque"
    status: Status = Status.UNREVIEWED
    mode: Mode = Mode.ENFORCE
    observe_until: int = 0
    shared: bool = False
    signed: str = ""
    basis: str = "unverified"
    example: str = ""
    note: str = ""

    def target(self, host: str) -> Target:
        """The row as the rest of the house sees it, for one host."""
        return Target(
            row=self.id,
            provider=self.provider,
            product=self.product,
            kind=self.kind,
            dialect=self.dialect,
            status=self.status,
            mode=self.mode,
            host=host,
            observe_until=self.observe_until,
        )


type Candidate = tuple[re.Pattern[str] | None, Target]


class Table:
    """The destinations in force. Implements `model.Destinations`; immutable, safe to use from any thread."""

    def __init__(self, rows: Iterable[Row], digest: str) -> None:
        self.rows = tuple(rows)
        self.digest = digest
        self.providers = frozenset(row.provider for row in self.rows)
        self._exact: dict[str, list[Row]] = {}
        self._below: dict[str, list[Row]] = {}
        self._patterns: dict[str, tuple[re.Pattern[str], list[Row]]] = {}
        self._expressions: dict[str, tuple[re.Pattern[str], list[Row]]] = {}
        for row in self.rows:
            self._place(row)
        self._patterns = dict(sorted(self._patterns.items(), key=lambda item: (-len(item[0]), item[0])))
        self._candidates = lru_cache(HOSTS_KEPT)(self._find)

    def _place(self, row: Row) -> None:
        host = row.host
        if host.startswith("/"):
            self._expressions.setdefault(host, (re.compile(host.strip("/")), []))[1].append(row)
        elif "*" in host:
            self._patterns.setdefault(host, (re.compile(_host_pattern(host)), []))[1].append(row)
        elif host.startswith("."):
            self._below.setdefault(host[1:], []).append(row)
        else:
            self._exact.setdefault(host, []).append(row)

    def match(self, host: str, port: int, path: str = "/") -> Target | None:
        """The most specific row for a host and path, or None: not an AI destination.

        A row of mode `pass` is a match too: its `Target.mode` says that it is tunnelled. Raises ValueError when `host`
        is not a host at all; a caller that cannot name its destination must refuse.
        """
        candidates = self._candidates(host, port)
        if not candidates:
            return None
        pattern, target = candidates[0]
        if pattern is None:
            return target
        path = clean_path(path)
        return next((t for p, t in candidates if p is None or p.match(path)), None)

    def decrypts(self, host: str, port: int = 443) -> bool:
        """True when some path on this host is an AI destination that is not tunnelled, so that TLS must be opened.

        A prohibited destination is always opened, `pass` or not: only inside TLS can its refusal be read.
        """
        return any(t.mode is not Mode.PASS or t.status is Status.PROHIBITED for _, t in self._candidates(host, port))

    def hosts(self) -> tuple[str, ...]:
        """Host patterns of every row that must come through the gate (a PAC file is made from them)."""
        return tuple(sorted({r.host for r in self.rows if r.mode is not Mode.PASS or r.status is Status.PROHIBITED}))

    def _find(self, host: str, port: int) -> tuple[Candidate, ...]:
        """The rows that a host can match, most specific first, down to the first one that needs no path."""
        name = normalise_host(host)
        found: list[Candidate] = []
        for rows in self._groups(name):
            for row in sorted(rows, key=_specificity):
                if row.port is not None and row.port != port:
                    continue
                if not row.paths:
                    found.append((None, row.target(name)))
                    return tuple(found)
                found.append((re.compile("|".join(map(path_pattern, row.paths))), row.target(name)))
        return tuple(found)

    def _groups(self, name: str) -> Iterable[list[Row]]:
        if name in self._exact:
            yield self._exact[name]
        for pattern, rows in self._patterns.values():
            if pattern.fullmatch(name):
                yield rows
        rest = name
        while rest:
            if rest in self._below:
                yield self._below[rest]
            rest = rest.partition(".")[2]
        for pattern, rows in self._expressions.values():
            if pattern.fullmatch(name):
                yield rows


def _specificity(row: Row) -> tuple[bool, bool, int, str]:
    return row.port is None, not row.paths, -max(map(len, row.paths), default=0), row.id


def _host_pattern(host: str) -> str:
    return "".join("[^.]+" if piece == "*" else re.escape(piece) for piece in re.split(r"(\*)", host))


def path_pattern(path: str) -> str:
    """The expression for a path column: a prefix that ends at a slash, `*` within a segment, `**` across segments."""
    pieces = re.split(r"(\*\*|\*)", path.lower())
    body = "".join({"**": ".*", "*": "[^/]*"}.get(piece, re.escape(piece)) for piece in pieces)
    return body if path.endswith("/") else body + "(?:/|$)"


def clean_path(path: str) -> str:
    """A path as a lenient server would read it: decoded, in lower case, without `//`, `/./`, `/../` and parameters.

    Only for comparing with the table. Two paths that some server takes for one must not differ here: a spelling of
    `/copilot` that the table misses would leave uninspected.
    """
    for _ in range(_UNQUOTES):
        decoded = unquote(path)
        if decoded == path:
            break
        path = decoded
    segments: list[str] = []
    for segment in path.lower().replace("\\", "/").split("/"):
        segment = segment.partition(";")[0]
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(segment)
    trailing = "/" if path.endswith(("/", "\\")) and segments else ""
    return "/" + "/".join(segments) + trailing
