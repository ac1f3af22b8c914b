"""A record as a flat row of the `events` table, and back.

The canonical bytes of a record nearly are the row that ClickHouse reads as JSON: one key per column that says
something; keys that are left out become NULL or an empty list. `payload` changes what differs in whole batches of
bytes, which is what keeps delivery cheap: times from microseconds to seconds, and the empty id of control events.
Where a batch holds anything that this could get wrong, each of its records is taken apart instead (`event`). Nothing
is dropped and nothing is added, so a table can be turned back into the records of the ledger.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from sluice.ledger.record import encode
from sluice.model import FileFact, Match, PartFact, Record, RecordType
from sluice.ship.columns import COLUMNS, NO_ID

type Event = dict[str, Any]
"""One row: column name to JSON value."""

_FACTS = {"parts": PartFact, "attachments": FileFact, "matches": Match}
_NAMES = frozenset(c.name for c in COLUMNS)
_TURNED = tuple((c.name, c.put) for c in COLUMNS if c.put)
_ITEMS = {c.name: frozenset(name for name, _ in c.items) for c in COLUMNS if c.items}
_OPTIONAL = {c.name: tuple(name for name, kind in c.items if "Nullable" in kind) for c in COLUMNS if c.items}

_LARGEST = 2**63 - 1
_TIME = re.compile(rb'"ts_([a-z_]+)":(\d{1,10})(\d{6})(?=[,}])')
_DIGITS = bytes.maketrans(b"123456789", b"0" * 9)
_MANY_DIGITS = (b":" + b"0" * 19, b":-" + b"0" * 19)
"""Integers from here on may not fit into 64 bits. Texts stand in quotes, so a digit behind a colon is a number."""
_NO_ID, _ZERO_ID = b'"decision_id":""', f'"decision_id":"{NO_ID}"'.encode()

_encode = msgspec.json.Encoder().encode


def names() -> tuple[str, ...]:
    """The columns of the table, in order."""
    return tuple(c.name for c in COLUMNS)


def payload(bodies: Sequence[bytes]) -> bytes:
    """Canonical records as ClickHouse's format JSONEachRow. Raises ValueError where one has no row (see `event`)."""
    data = b"\n".join(bodies)
    turned, times = _TIME.subn(rb'"ts_\1":\2.\3', data)
    # Inside of a text a quote is escaped, so what is counted here can be more than the keys, and never fewer: then
    # the slow way is taken.
    digits = data.translate(_DIGITS)
    if times != data.count(b'"ts_') or b'"reviewed_at"' in data or any(many in digits for many in _MANY_DIGITS):
        return b"\n".join([_encode(event(body)) for body in bodies])
    return turned.replace(_NO_ID, _ZERO_ID)


def row(record: Record) -> Event:
    """The row of a record. Raises ValueError for what no column can hold."""
    return event(encode(record))


def event(body: bytes) -> Event:
    """The row of a record's canonical bytes. Raises ValueError for what no column can hold."""
    out = msgspec.json.decode(body)
    if not isinstance(out, dict):
        raise ValueError("not a record")
    if unknown := out.keys() - _NAMES:
        raise ValueError(f"no column for {', '.join(sorted(unknown))}")
    for name, known in _ITEMS.items():
        for item in out.get(name, ()):
            if unknown := item.keys() - known:
                raise ValueError(f"no column for {name}.{', '.join(sorted(unknown))}")
    for name, number in _integers(out):
        if not -_LARGEST <= number <= _LARGEST:
            raise ValueError(f"{name} is out of its column's range")
    for name, put in _TURNED:
        if (value := out.get(name)) is not None:
            out[name] = put(value)
    return out


def _integers(out: Event) -> Iterator[tuple[str, int]]:
    for name, value in out.items():
        if isinstance(value, int):
            yield name, value
        elif name in _ITEMS:
            for item in value:
                yield from ((f"{name}.{k}", v) for k, v in item.items() if isinstance(v, int))


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
