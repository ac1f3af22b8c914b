"""A record as a flat row of the `events` table, and back.

A row is what ClickHouse reads as JSON: one key per column that says something; keys that are left out become NULL or
an empty list. Nothing is dropped and nothing is added, so a table can be turned back into the records of the ledger.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from sluice.ledger.record import encode
from sluice.model import FileFact, Match, PartFact, Record, RecordType
from sluice.ship.columns import COLUMNS, Column

type Event = dict[str, Any]
"""One row: column name to JSON value."""

_FACTS = {"parts": PartFact, "attachments": FileFact, "matches": Match}
_NAMES = frozenset(c.name for c in COLUMNS)
_TURNED = tuple((c.name, c.put) for c in COLUMNS if c.put)
_BOUNDED = tuple((c.name, bool(c.item), *c.bounds) for c in COLUMNS if c.bounds)
_NESTED: dict[str, list[Column]] = defaultdict(list)
for _column in COLUMNS:
    if _column.item:
        _NESTED[_column.field].append(_column)

_encode = msgspec.json.Encoder().encode


def names() -> tuple[str, ...]:
    """The columns of the table, in order."""
    return tuple(c.name for c in COLUMNS)


def row(record: Record) -> Event:
    """The row of a record. Raises ValueError for what no column can hold."""
    return event(encode(record))


def event(body: bytes) -> Event:
    """The row of a record's canonical bytes. Raises ValueError for what no column can hold."""
    out: Event = msgspec.json.decode(body, type=dict)
    for name, put in _TURNED:
        if (value := out.get(name)) is not None:
            out[name] = put(value)
    for name, columns in _NESTED.items():
        if items := out.pop(name, None):
            for column in columns:
                out[column.name] = [item.get(column.item) for item in items]
    for name, is_list, least, most in _BOUNDED:
        value = out.get(name)
        if value is None:
            continue
        for number in value if is_list else (value,):
            if number is not None and not least <= number <= most:
                raise ValueError(f"{name} is out of its column's range")
    if unknown := out.keys() - _NAMES:
        raise ValueError(f"no column for {', '.join(sorted(unknown))}")
    return out


def restore(row: Mapping[str, Any]) -> Record:
    """The record of a row that was read as JSON with times as `unix_timestamp`. Unknown columns are passed over."""
    out: dict[str, Any] = {}
    for column in COLUMNS:
        value = row.get(column.name)
        if column.item or value is None or value == []:
            continue
        if column.take:
            value = column.take(value)
        out[column.name] = tuple(value) if isinstance(value, list) else value
    for name, columns in _NESTED.items():
        lists = [[c.take(v) if c.take else v for v in row.get(c.name) or []] for c in columns]
        if items := list(zip(*lists, strict=True)):
            kind = _FACTS[name]
            out[name] = tuple(kind(**dict(zip((c.item for c in columns), item, strict=True))) for item in items)
    out["record_type"] = RecordType(out["record_type"])
    return Record(**out)


def payload(rows: Iterable[Event]) -> bytes:
    """Rows as ClickHouse's format JSONEachRow."""
    return b"\n".join(map(_encode, rows))
