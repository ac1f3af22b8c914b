"""A unit's SQL with its parameters filled in, and the rows that come back.

Parameters stand in the SQL as `{since}`, `{until}` (moments) and `{keys}` and its like (lists of texts). They are put
in as typed literals, quoted for ClickHouse; the text that results is what is asked, digested and shown.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from sluice.errors import SluiceError

type Cell = str | int | float | bool | list[Cell] | dict[str, Cell] | None
type Ask = Callable[[str, str], bytes]
"""Answers SQL in a ClickHouse format. Raises a `SluiceError`."""

FORMAT = "JSONCompactEachRowWithNamesAndTypes"
_PARAMETER = re.compile(r"\{([a-z_]+)\}")
_SPAN = re.compile(r"(\d{1,5})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DATED = re.compile(r"\d{4}-\d\d-\d\d(?!\d)", re.ASCII)
_WHOLE = re.compile(r"U?Int\d+")


class BadQuestion(SluiceError):
    """A parameter that is missing or cannot be meant."""


@dataclass(frozen=True, slots=True)
class Table:
    """What came back. `numeric` says of each column whether it holds numbers."""

    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def dicts(self) -> list[dict[str, Cell]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def moment(at: datetime) -> str:
    """A time as ClickHouse reads it: UTC, microseconds."""
    return f"toDateTime64('{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}', 6, 'UTC')"


def text(value: str) -> str:
    """A string literal."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def texts(values: Sequence[str]) -> str:
    """A literal of a list of strings, with its type also when it is empty."""
    return f"[{', '.join(map(text, values))}]" if values else "CAST([], 'Array(String)')"


def filled(sql: str, given: Mapping[str, datetime | int | str | Sequence[str]]) -> str:
    """The SQL with its parameters. Raises `BadQuestion` for one that is not given."""

    def put(found: re.Match[str]) -> str:
        if found[1] not in given:
            raise BadQuestion(f"the query has a parameter `{found[1]}` that nothing fills")
        value = given[found[1]]
        if isinstance(value, datetime):
            return moment(value)
        if isinstance(value, int):
            return str(value)
        return text(value) if isinstance(value, str) else texts(value)

    return _PARAMETER.sub(put, sql).strip()


def digest(sql: str) -> str:
    """SHA-256 of a query's text, hex."""
    return hashlib.sha256(sql.encode()).hexdigest()


def ask(asked: Ask, sql: str) -> Table:
    """The rows of an answer, with numbers as numbers. Raises a `SluiceError`."""
    lines = asked(sql, FORMAT).splitlines()
    names: list[str] = msgspec.json.decode(lines[0])
    types: list[str] = msgspec.json.decode(lines[1])
    inner = [t.replace("LowCardinality(", "").replace("Nullable(", "").rstrip(")") for t in types]
    whole = [bool(_WHOLE.fullmatch(t)) for t in inner]
    rows = []
    for line in lines[2:]:
        cells: list[Cell] = msgspec.json.decode(line)
        rows.append(tuple(int(c) if w and isinstance(c, str) else c for c, w in zip(cells, whole, strict=True)))
    numeric = tuple(w or t.startswith(("Float", "Decimal")) for w, t in zip(whole, inner, strict=True))
    return Table(tuple(names), numeric, tuple(rows))


def span(since: str | None, until: str | None, otherwise: str, now: datetime) -> tuple[datetime, datetime]:
    """The times that a report is about, whole minutes: `90d` counts back from the end, and a date or ISO time is one.

    Without an end it is the minute that is just over, so that the answer says what it is about and can be had again.
    Raises `BadQuestion`.
    """
    end = _minute(_time(until) if until else now)
    found = _SPAN.fullmatch(since or otherwise)
    try:
        begin = end - timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else _minute(_time(since or otherwise))
    except OverflowError as e:
        raise BadQuestion(f"`{since or otherwise}` reaches back beyond all calendars") from e
    if begin.year < 1970 or end.year > 2200:  # ClickHouse's times end there, and no record is older
        raise BadQuestion(f"no record is of {begin:%Y-%m-%d} to {end:%Y-%m-%d}: give times from 1970 to 2200")
    if begin >= end:
        raise BadQuestion(f"the span is empty: {begin:%Y-%m-%d %H:%M} is not before {end:%Y-%m-%d %H:%M}")
    return begin, end


def _time(said: str) -> datetime:
    try:
        if not _DATED.match(said):  # weeks and bare digits, which others misread
            raise ValueError(said)
        at = datetime.fromisoformat(said)
    except ValueError as e:
        raise BadQuestion(f"`{said}` is neither a span (90d, 12h) nor a time (2026-11-01, 2026-11-01T12:00)") from e
    try:
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except OverflowError as e:
        raise BadQuestion(f"`{said}` lies beyond all calendars") from e


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
