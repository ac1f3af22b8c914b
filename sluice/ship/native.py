"""Records as a block of columns: ClickHouse's Native format, made straight from the canonical bytes of the ledger.

The engine takes columns as they are, where it would read every key and every digit of a text format again. Records
with the same keys are turned over together, so a column costs a few nanoseconds a row; columns in which no record says
anything are left out and become NULL, an empty text or list. Nothing is dropped and nothing is added, so a table can be
turned back into the records of the ledger (`rows.restore`). What no column can hold raises ValueError for the block:
also an empty text in a column without NULL (`provider_id` and the record's place), where it stands for a field that
says nothing. No writer of ours writes one.

Format: https://clickhouse.com/docs/interfaces/formats/Native; low cardinality as version 1 of its own serialisation
(a dictionary per block, key 0 stands for NULL).
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from sluice.ship.columns import COLUMNS, LAST_SECOND, MICRO, NO_ID, Column

FORMAT = "Native"

type _Values = Sequence[Any]
type _Writer = Callable[[list[tuple[_Values | None, int]], bytearray], None]
"""Appends a column to a block. It is given runs: values, or None for so many rows that say nothing."""

_LAST_MICRO = (LAST_SECOND + 1) * MICRO - 1
_LARGEST = 2**63 - 1
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHORT = tuple(bytes([n]) for n in range(128))
_DICTIONARY = (1 << 9) | (1 << 10)
"""A dictionary follows, and it is this block's own."""
_INDEX = "BHIQ"
_TOGETHER = 256
"""Records turned over at once: few enough to be still in the processor's cache."""
_decode = msgspec.json.Decoder().decode


def block(bodies: Sequence[bytes]) -> bytes:
    """Canonical records as one block. Raises ValueError, TypeError, AttributeError or msgspec's for bytes that are no
    record, or for one that has no row."""
    runs: list[tuple[dict[str, _Values], int]] = []
    for start in range(0, len(bodies), _TOGETHER):
        shapes: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for body in bodies[start : start + _TOGETHER]:
            said = _said(body)
            shapes.setdefault(tuple(said), []).append(said)
        for shape, same in shapes.items():
            columns = zip(*[said.values() for said in same], strict=True)
            runs.append((dict(zip(shape, columns, strict=True)), len(same)))
    names = set().union(*[columns for columns, _ in runs])
    if unknown := names - _COLUMNS.keys():
        raise ValueError(f"no column for {', '.join(sorted(unknown))}")
    out = bytearray(_size(len(names)) + _size(len(bodies)))
    for name in sorted(names):
        head, write = _COLUMNS[name]
        out += head
        try:
            write([(columns.get(name), rows) for columns, rows in runs], out)
        except (ValueError, TypeError, AttributeError, OverflowError) as e:
            raise ValueError(f"{name}: {e}") from e
    return bytes(out)


def _said(body: bytes) -> dict[str, Any]:
    said = _decode(body)
    if not isinstance(said, dict) or "record_type" not in said:
        raise ValueError("not a record")
    return said


def _size(number: int) -> bytes:
    """A length: LEB128."""
    if number < 128:
        return _SHORT[number]
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _texts(values: _Values, out: bytearray) -> None:
    if not values:
        return
    size = len(values[0])
    if size < 128 and {*map(len, values)} == {size}:  # hashes and ids: one length before each of them
        mark = chr(size)
        joined = mark + mark.join(values)
        if joined.isascii():
            out += joined.encode()
            return
    written = {value: _text(value) for value in {*values}}
    out += b"".join(map(written.__getitem__, values))


def _text(value: str) -> bytes:
    data = value.encode()
    return (_SHORT[len(data)] if len(data) < 128 else _size(len(data))) + data


def _integers(values: _Values) -> bytes:
    try:
        return array("q", values).tobytes()
    except OverflowError as e:
        raise ValueError("is out of its column's range") from e


def _whole(values: _Values, out: bytearray) -> None:
    data = _integers(values)
    if min(values) < -_LARGEST:
        raise ValueError("is out of its column's range")
    out += data


def _moments(values: _Values, out: bytearray) -> None:
    data = _integers(values)
    if min(values) < 0 or max(values) > _LAST_MICRO:
        raise ValueError("a time outside the years 1970 to 2299")
    out += data


def _floats(values: _Values, out: bytearray) -> None:
    out += array("d", values).tobytes()


def _flags(values: _Values, out: bytearray) -> None:
    if not {*map(type, values)} <= {bool}:
        raise ValueError("is neither true nor false")
    out += bytes(values)


def _ids(values: _Values, out: bytearray) -> None:
    """Two numbers of 64 bits, each with its least byte first."""
    if not all(map(_UUID.fullmatch, values)):
        raise ValueError("is no id")
    halves = array("Q", bytes.fromhex("".join(values).replace("-", "")))
    halves.byteswap()
    out += halves.tobytes()


def _plain(kind: str) -> tuple[Callable[[_Values, bytearray], None], object]:
    """How values of a type are written, and what stands in the place of one that is not there."""
    if kind == "String":
        return _texts, ""
    if kind == "Int64":
        return _whole, 0
    if kind == "Float64":
        return _floats, 0.0
    if kind == "Bool":
        return _flags, False
    if kind == "UUID":
        return _ids, NO_ID
    if kind.startswith("DateTime64(6"):
        return _moments, 0
    raise AssertionError(f"no way to write {kind}")


def _required(kind: str, put: Callable[[Any], object] | None) -> _Writer:
    write, absent = _plain(kind)

    def column(runs: list[tuple[_Values | None, int]], out: bytearray) -> None:
        for values, rows in runs:
            if values is None:
                write([absent] * rows, out)
            else:
                write([put(value) for value in values] if put else values, out)

    return column


def _nullable(kind: str) -> _Writer:
    write, absent = _plain(kind)

    def column(runs: list[tuple[_Values | None, int]], out: bytearray) -> None:
        out += b"".join([b"\1" * rows if values is None else bytes(rows) for values, rows in runs])
        for values, rows in runs:
            write([absent] * rows if values is None else values, out)

    return column


def _said_by_none(absent: str, write: _Writer) -> _Writer:
    """Refuses a record that says what stands for nothing: its row would be another record's."""

    def column(runs: list[tuple[_Values | None, int]], out: bytearray) -> None:
        if any(values is not None and absent in values for values, _ in runs):
            raise ValueError(f"{absent!r} cannot be told from nothing")
        write(runs, out)

    return column


def _few(*, null: bool) -> _Writer:
    """Texts of which there are few: a dictionary, and for each row its place in it."""

    def column(runs: list[tuple[_Values | None, int]], out: bytearray) -> None:
        absent = any(values is None for values, _ in runs)
        kinds = [None if values is None else {*values} for values, _ in runs]
        found = dict.fromkeys([value for kind in kinds if kind for value in sorted(kind)])
        if null or (absent and "" not in found):
            keys = ["", *found]
            places = {v: n for n, v in enumerate(found, 1)}
        else:
            keys = list(found)
            places = {v: n for n, v in enumerate(found)}
        blank = 0 if null else places.get("", 0)
        width = 0 if len(keys) <= 1 << 8 else 1 if len(keys) <= 1 << 16 else 2
        out += (_DICTIONARY | width).to_bytes(8, "little") + len(keys).to_bytes(8, "little")
        _texts(keys, out)
        out += sum(rows for _, rows in runs).to_bytes(8, "little")
        for (values, rows), kind in zip(runs, kinds, strict=True):
            if values is None or kind is None:
                numbers = array(_INDEX[width], [blank]) * rows
            elif len(kind) == 1:
                numbers = array(_INDEX[width], [places[values[0]]]) * rows
            else:
                numbers = array(_INDEX[width], [*map(places.__getitem__, values)])
            out += numbers.tobytes()

    return column


def _lists(inner: Callable[[list[Any], bytearray], None]) -> _Writer:
    """Lists: where each ends, then all items one after the other."""

    def column(runs: list[tuple[_Values | None, int]], out: bytearray) -> None:
        ends = array("Q")
        items: list[Any] = []
        for values, rows in runs:
            if values is None:
                ends.extend([len(items)] * rows)
                continue
            if {*map(type, values)} != {list}:
                raise ValueError("is no list")
            for value in values:
                items += value
                ends.append(len(items))
        out += ends.tobytes()
        inner(items, out)

    return column


def _facts(column: Column) -> Callable[[list[Any], bytearray], None]:
    """Named facts: one column for each name. Only those that may be NULL can be missing."""
    known = frozenset(name for name, _ in column.items)
    writers = []
    for name, kind in column.items:
        sent = _sent(kind)
        null = sent.startswith("Nullable(")
        write, absent = _plain(sent.removeprefix("Nullable(").removesuffix(")") if null else sent)
        writers.append((name, null, write, absent))

    def inner(items: list[dict[str, Any]], out: bytearray) -> None:
        if not items:
            return
        shapes = {*map(tuple, items)}
        names: set[str] = set().union(*shapes)
        if unknown := names - known:
            raise ValueError(f"no column for {', '.join(sorted(unknown))}")
        for name, null, write, absent in writers:
            values: list[Any]
            if null:
                values = [item.get(name) for item in items] if name in names else [None] * len(items)
                out += bytes([v is None for v in values])
                values = [absent if v is None else v for v in values]
            elif any(name not in shape for shape in shapes):
                raise ValueError(f"{name} is missing")
            else:
                values = [item[name] for item in items]
            try:
                write(values, out)
            except (ValueError, TypeError, AttributeError) as e:
                raise ValueError(f"{name} {e}") from e

    return inner


def _sent(kind: str) -> str:
    """The type in which values are sent. The engine makes dictionaries inside of lists, where they are short, and
    looks up names itself, so that it refuses one that its table does not know: numbers it would believe."""
    kind = re.sub(r"LowCardinality\((Nullable\(String\)|String)\)", r"\1", kind)
    return re.sub(r"Enum8\([^)]*\)", "String", kind)


def _writer(column: Column) -> tuple[bytes, _Writer]:
    """What stands before a column's values (name, type, version of its serialisation), and how they are written."""
    kind, before = column.type, b""
    if kind.startswith("LowCardinality("):
        before, write = (1).to_bytes(8, "little"), _few(null="Nullable" in kind)
    else:
        kind = _sent(kind)
        if column.items:
            write = _lists(_facts(column))
        elif kind == "Array(String)":
            write = _lists(_texts)
        elif kind.startswith("Nullable("):
            write = _nullable(kind.removeprefix("Nullable(").removesuffix(")"))
        else:
            write = _required(kind, column.put)
    head = bytearray()
    _texts((column.name, kind), head)
    return bytes(head) + before, write if column.absent is None else _said_by_none(column.absent, write)


_COLUMNS = {column.name: _writer(column) for column in COLUMNS}
