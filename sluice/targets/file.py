"""Reading destinations: the shipped table, and a site's own file layered over it.

The shipped file (`signatures/targets.toml`) holds `target` rows; its header explains the columns. A site's file may
hold two things:

    [provider]                      # the site's judgement of a whole provider
    openai   = "sanctioned"
    deepseek = "prohibited"

    [[target]]                      # one row: changed, or added
    id     = "google-gemini"        # an existing row by its id ...
    status = "prohibited"

    [[target]]
    host   = "copilot.microsoft.com"  # ... or every existing row of a host ...
    status = "tolerated"

    [[target]]
    host     = ".llm.example.org"   # ... or a host that has no row yet. A host below an existing row inherits what is
    provider = "house"              # left out from it; any other needs `provider` and `kind`.
    kind     = "gateway"
    dialect  = "openai"

A changed row keeps its host and paths. A row's own status outranks that of its provider. `mode = "observe"` needs
`observe_until`, a date: after that day (UTC) the row is enforced. Regular expressions are for the shipped file only:
one bad expression would stop every look-up.

Every problem of both files is reported at once, with its line.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable, Sequence
from copy import replace
from pathlib import Path

import msgspec

from sluice import tomlfile
from sluice.errors import Misconfigured, Problem
from sluice.model import Mode, Status
from sluice.targets.columns import Entry, end_of_day, faults, host_column
from sluice.targets.table import Row, Table


def load(shipped: Path, site: Path | None = None) -> Table:
    """The table of both files. Raises `Misconfigured` with every problem of either."""
    ours = _Reader(shipped, ours=True)
    rows = ours.rows({})
    problems = list(ours.problems)
    if site is not None:
        theirs = _Reader(site, ours=False)
        rows = theirs.rows(rows)
        problems += theirs.problems
    if problems:
        raise Misconfigured(sorted(problems, key=lambda problem: (problem.file, problem.line or 0)))
    return Table(rows.values(), _digest(rows.values()))


def _digest(rows: Iterable[Row]) -> str:
    """Names exactly this table, whatever comments and order its files have."""
    return hashlib.sha256("\n".join(sorted(map(repr, rows))).encode()).hexdigest()


class _Reader:
    """One file: its entries, and the problems found on the way."""

    def __init__(self, file: Path, *, ours: bool) -> None:
        self.file = file
        self.ours = ours
        self.problems: list[Problem] = []
        self._data = tomlfile.read(file)
        self._text = file.read_text("utf-8")

    def rows(self, below: dict[str, Row]) -> dict[str, Row]:
        """`below` with this file layered over it, by id."""
        allowed = ("target",) if self.ours else ("provider", "target")
        for key in self._data:
            if key not in allowed:
                self._bad(f"$.{key}", f"unknown key `{key}`; known: {', '.join(allowed)}")
        rows = dict(below)
        judged = self._judgements(below)
        rows = {k: replace(r, status=judged[r.provider]) if r.provider in judged else r for k, r in rows.items()}
        hosts: dict[str, list[str]] = {}
        for row in below.values():
            hosts.setdefault(_written(row), []).append(row.id)
        inherited = Table(rows.values(), "") if below else None
        for index, entry in self._entries():
            self._layer(f"$.target[{index}]", entry, rows, hosts, inherited, judged)
        self._conflicts(rows, set(below))
        return rows

    def _entries(self) -> list[tuple[int, Entry]]:
        found: list[tuple[int, Entry]] = []
        listed = self._data.get("target", [])
        if not isinstance(listed, list):
            self._bad("$.target", "must be a list of tables: `[[target]]`")
            return found
        for index, item in enumerate(listed):
            try:
                found.append((index, msgspec.convert(item, Entry)))
            except msgspec.ValidationError as e:
                self.problems.append(tomlfile.complaint(e, file=self.file, text=self._text, under=f"$.target[{index}]"))
        return found

    def _judgements(self, rows: dict[str, Row]) -> dict[str, Status]:
        known = {row.provider for row in rows.values()}
        named = {item.get("provider") for item in _tables(self._data.get("target"))}
        judged: dict[str, Status] = {}
        table = self._data.get("provider", {})
        if not isinstance(table, dict):
            self._bad("$.provider", "must be a table: `[provider]` with one line per provider")
            return judged
        for name, value in table.items():
            if name not in known | named:
                self._bad(f"$.provider.{name}", f"unknown provider `{name}`{_meant(name, known)}")
            elif value not in list(Status):
                self._bad(f"$.provider.{name}", f"status must be one of {', '.join(Status)}, not `{value}`")
            else:
                judged[name] = Status(value)
        return judged

    def _layer(
        self,
        at: str,
        entry: Entry,
        rows: dict[str, Row],
        hosts: dict[str, list[str]],
        inherited: Table | None,
        judged: dict[str, Status],
    ) -> None:
        """Change rows by id, or by host, or add a row."""
        wrong = faults(entry)
        for column, what in wrong:
            self._bad(f"{at}.{column}", what)
        if wrong:
            return
        if entry.id in rows:
            if self.ours or entry.host or entry.paths:
                self._bad(
                    f"{at}.id",
                    f"`{entry.id}` is taken" if self.ours else f"`{entry.id}` exists: its host and paths stay",
                )
            else:
                rows[entry.id] = _changed(rows[entry.id], entry)
            return
        if not entry.host:
            what = f"unknown id `{entry.id}`{_meant(entry.id, rows)}" if entry.id else "needs an `id` or a `host`"
            self._bad(f"{at}.id" if entry.id else at, what)
            return
        try:
            host, port = host_column(entry.host, expressions=self.ours)
        except ValueError as e:
            self._bad(f"{at}.host", f"`{entry.host}`: {e}")
            return
        same = hosts.get(f"{host}:{port}" if port else host, [])
        if same and not entry.id and not entry.paths:
            for known in same:
                rows[known] = _changed(rows[known], entry)
            return
        row = self._new(at, entry, host, port, inherited, judged)
        if row is None:
            return
        if row.id in rows:
            self._bad(f"{at}.host", f"`{row.id}` is taken; give this row an `id` of its own")
            return
        rows[row.id] = row

    def _new(
        self, at: str, entry: Entry, host: str, port: int | None, inherited: Table | None, judged: dict[str, Status]
    ) -> Row | None:
        parent = None
        if inherited is not None and not host.startswith("/"):
            sample = host.removeprefix(".").replace("*", "any")
            parent = inherited.match(sample, port or 443, entry.paths[0] if entry.paths else "/")
        provider = entry.provider or (parent.provider if parent else "")
        kind = entry.kind or (parent.kind if parent else "")
        missing = [name for name, value in (("provider", provider), ("kind", kind)) if not value]
        if self.ours and not entry.id:
            missing.insert(0, "id")
        if missing:
            self._bad(at, f"`{entry.host}` is a new destination and needs {' and '.join(f'`{m}`' for m in missing)}")
            return None
        kin = parent if parent is not None and parent.provider == provider else None
        status = judged.get(provider, kin.status if kin else Status.UNREVIEWED)
        bare = Row(
            id=entry.id or "site-" + re.sub(r"[^a-z0-9]+", "-", entry.host + "".join(entry.paths)).strip("-"),
            host=host,
            port=port,
            paths=entry.paths,
            provider=provider,
            product=entry.product or (kin.product if kin else provider),
            kind=kind,
            dialect=entry.dialect or (kin.dialect if kin else "opaque"),
            status=status,
            mode=Mode.ENFORCE,
            basis="unverified" if self.ours else "site",
        )
        return _changed(bare, entry)

    def _conflicts(self, rows: dict[str, Row], below: set[str]) -> None:
        """Two rows of one host and one path would make the order of the file decide."""
        seen: dict[tuple[str, str], str] = {}
        for row in rows.values():
            for path in row.paths or ("",):
                place = (_written(row), path.lower())
                if place in seen and not {row.id, seen[place]} <= below:
                    what = f"rows `{seen[place]}` and `{row.id}` both describe `{row.host}{path}`"
                    self.problems.append(Problem(str(self.file), self._line(row.id), what))
                seen.setdefault(place, row.id)

    def _line(self, row_id: str) -> int | None:
        listed = [item.get("id") for item in _tables(self._data.get("target"))]
        return tomlfile.line_of(self._text, f"$.target[{listed.index(row_id)}]") if row_id in listed else None

    def _bad(self, at: str, what: str) -> None:
        self.problems.append(Problem(str(self.file), tomlfile.line_of(self._text, at), what))


def _changed(row: Row, entry: Entry) -> Row:
    """A row with the columns that an entry gives, apart from id, host and paths."""
    until = entry.observe_until
    return replace(
        row,
        provider=entry.provider or row.provider,
        product=entry.product or row.product,
        kind=entry.kind or row.kind,
        dialect=entry.dialect or row.dialect,
        status=Status(entry.status) if entry.status else row.status,
        mode=Mode(entry.mode) if entry.mode else row.mode,
        observe_until=end_of_day(until) if until else row.observe_until,
        shared=entry.shared or row.shared,
        signed=entry.signed or row.signed,
        basis=entry.basis or row.basis,
        example=entry.example or row.example,
        note=entry.note or row.note,
    )


def _written(row: Row) -> str:
    return f"{row.host}:{row.port}" if row.port else row.host


def _tables(value: object) -> Sequence[dict[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _meant(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.7)
    return f"; did you mean `{close[0]}`?" if close else ""
