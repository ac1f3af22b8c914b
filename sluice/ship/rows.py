"""A row of the `events` table turned back into the record that it was made from (`native` makes them).

Nothing is dropped on the way into the table and nothing is added, so rows alone prove what the ledger proves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluice.model import FileFact, Match, PartFact, Record, RecordType
from sluice.ship.columns import COLUMNS

_FACTS = {"parts": PartFact, "attachments": FileFact, "matches": Match}
_OPTIONAL = {c.name: tuple(name for name, kind in c.items if "Nullable" in kind) for c in COLUMNS if c.items}


def names() -> tuple[str, ...]:
    """The columns of the table, in order."""
    return tuple(c.name for c in COLUMNS)


def restore(row: Mapping[str, Any]) -> Record:
    """The record of a row that was read as JSON with times as `unix_timestamp`. Unknown columns are passed over."""
    out: dict[str, Any] = {}
    for column in COLUMNS:
        value = row.get(column.name)
        if value is None or value == []:
            continue
        if column.take:
            value = column.take(value)
        if column.items:
            kind = _FACTS[column.name]
            value = [kind(**(dict.fromkeys(_OPTIONAL[column.name]) | item)) for item in value]
        out[column.name] = tuple(value) if isinstance(value, list) else value
    out["record_type"] = RecordType(out["record_type"])
    return Record(**out)
