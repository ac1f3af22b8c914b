"""Record, row and table say the same thing, field by field."""

from __future__ import annotations

import json
import re
from enum import StrEnum

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import fields

from sluice.config import schema_dir
from sluice.ledger.record import decode, encode
from sluice.model import (
    Action,
    Assurance,
    Completeness,
    FileFact,
    Match,
    Mode,
    PartFact,
    Record,
    RecordType,
    Severity,
)
from sluice.ship import columns, rows
from sluice.ship.columns import COLUMNS, Column
from tests.ledger.test_record import any_record
from tests.ship.ship_rig import NOVEMBER, decision, match

NESTED = {"matches": Match, "parts": PartFact, "attachments": FileFact}


def declared() -> list[str]:
    """The column definitions of the CREATE TABLE, as they stand in the file, or in a later one that changes them."""
    text = (schema_dir() / "0001_events.sql").read_text("utf-8")
    inside = text.partition("CREATE TABLE IF NOT EXISTS events\n(\n")[2].partition("\n)\nENGINE")[0]
    lines = [line.strip().rstrip(",") for line in inside.splitlines()]
    columns = [line for line in lines if line and not line.startswith(("--", "INDEX", "ts "))]
    for later in sorted(schema_dir().glob("*.sql"))[1:]:
        for line in re.findall(r"^    MODIFY COLUMN (.*')[,;]$", later.read_text("utf-8"), re.M):
            columns = [line if c.split(" ", 1)[0] == line.split(" ", 1)[0] else c for c in columns]
    return columns


def test_the_table_is_what_the_code_says() -> None:
    """Every column of the CREATE TABLE stands in `columns.py`, in that order, with that type, codec and comment."""
    assert declared() == [c.sql for c in COLUMNS]


def test_every_field_of_the_record_has_its_columns() -> None:
    """No field is dropped on the way into the table, and no column is filled from nothing."""
    assert [f.name for f in fields(Record)] == [c.name for c in COLUMNS]
    items = {c.name: c.items for c in COLUMNS if c.items}
    assert {name: [f.name for f in fields(kind)] for name, kind in NESTED.items()} == {
        name: [item for item, _ in found] for name, found in items.items()
    }


def test_every_column_is_explained() -> None:
    """An analyst who describes the table reads what each column means."""
    assert all(len(c.comment) > 3 for c in COLUMNS)
    assert len({c.name for c in COLUMNS}) == len(COLUMNS) == len(rows.names())


@pytest.mark.parametrize(
    ("sql", "enum"),
    [
        (columns.ACTIONS, Action),
        (columns.SEVERITIES, Severity),
        (columns.RECORD_TYPES, RecordType),
        (columns.MODES, Mode),
        (columns.ASSURANCES, Assurance),
        (columns.COMPLETENESS, Completeness),
    ],
)
def test_enum_columns_hold_every_value(sql: str, enum: type[StrEnum]) -> None:
    """A value that the code can write is one that the column can hold."""
    assert set(enum) <= set(re.findall(r"'(\w+)' =", sql))


def test_a_full_record_fills_every_column() -> None:
    """With every field set, the row has exactly the table's columns."""
    samples: dict[str, object] = {"int": 7, "str": "x", "bool": True, "float": 0.5, "tuple[str, ...]": ("x",)}
    values: dict[str, object] = {
        f.name: samples[Record.__annotations__[f.name].removesuffix(" | None")]
        for f in fields(Record)
        if f.name not in NESTED and f.name != "record_type"
    }
    record = Record(
        record_type=RecordType.DECISION,
        matches=(match(mask="4242"),),
        parts=(PartFact(role="user", kind="text", bytes=3),),
        attachments=(FileFact(kind="image", mime="image/png", transport="url", bytes=9),),
        **values,  # type: ignore[arg-type]
    )
    row = rows.row(record)
    assert set(row) == set(rows.names())
    as_read = {k: bytes(v).decode() if isinstance(v, msgspec.Raw) else v for k, v in row.items()}
    assert rows.restore(as_read) == record


@settings(max_examples=80, deadline=None)
@given(any_record)
def test_a_row_leaves_out_only_what_says_nothing(record: Record) -> None:
    """Whatever a record says is in its row, or the record is refused as a whole; it never loses a field quietly."""
    said = decode(encode(record))
    try:
        row = rows.row(record)
    except ValueError as e:
        assert "out of its column's range" in str(e) or "outside the years" in str(e)
        return
    present = {f.name for f in fields(Record) if getattr(said, f.name) not in (None, ())}
    assert set(row) == present


@settings(max_examples=80, deadline=None)
@given(st.lists(any_record, min_size=1, max_size=4))
def test_the_quick_way_writes_what_the_careful_one_does(many: list[Record]) -> None:
    """Turning a batch of bytes as a whole gives the very rows that taking each record apart gives, or refuses too."""
    bodies = [encode(r) for r in many]
    try:
        careful = [msgspec.json.encode(rows.event(body)) for body in bodies]
    except ValueError:
        with pytest.raises(ValueError, match=r"range|outside"):
            rows.payload(bodies)
        return
    assert [json.loads(line, parse_float=str) for line in rows.payload(bodies).split(b"\n")] == [
        json.loads(line, parse_float=str) for line in careful
    ]


def test_a_text_that_looks_like_a_time_is_left_alone() -> None:
    """What a client writes into a text cannot pass for a key, and cannot make a row differ from its record."""
    trap = '"ts_end":1795000000000000,"decision_id":"","retention_class":"standard","reviewed_at":1,"x":' + "9" * 20
    record = decision(1, user_agent=trap, control_detail=trap, ts_end=NOVEMBER + 7)
    (line,) = rows.payload([encode(record)]).splitlines()
    row = json.loads(line, parse_float=str)
    assert row["user_agent"] == row["control_detail"] == trap
    assert row["ts_end"] == "1795000000.000007"
    assert row["ts_received"] == "1795000000.000001"
    assert row["decision_id"] == record.decision_id


def test_a_field_of_a_later_version_is_not_dropped_quietly() -> None:
    """A record with a field that the table lacks is refused as a row, so that somebody notices."""
    with pytest.raises(ValueError, match="no column for novelty"):
        rows.event(encode(decision(1))[:-1] + b',"novelty":1}')


@given(st.integers(0, columns.LAST_SECOND * 10**6))
def test_times_keep_every_microsecond(moment: int) -> None:
    """A time goes to ClickHouse as an exact decimal and comes back as the same number."""
    assert columns.micros(bytes(columns.seconds(moment)).decode()) == moment


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("src_port", 2**63),
        ("tokens_in", -(2**63) - 1),
        ("seq", 2**64),
        ("scan_us", 2**63),
        ("ts_end", -1),
        ("ts_end", 2**62),
    ],
)
def test_a_number_that_does_not_fit_is_refused(field: str, value: int) -> None:
    """ClickHouse would wrap such a number around and store another one; the row is refused instead."""
    body = encode(decision(1, **{field: 7})).replace(f'"{field}":7'.encode(), f'"{field}":{value}'.encode())
    with pytest.raises(ValueError, match=r"range|outside"):
        rows.event(body)
    with pytest.raises(ValueError, match=r"range|outside"):
        rows.payload([body])


def test_a_number_in_a_list_that_does_not_fit_is_refused() -> None:
    """The same inside the facts of a match."""
    with pytest.raises(ValueError, match=r"matches\.count is out of"):
        rows.row(decision(1, matches=(match(), match(count=2**63))))


def test_quotes_in_comments_are_escaped() -> None:
    """A comment cannot end the SQL string that it stands in."""
    assert Column("a", "String", "the gate's").sql == "a String COMMENT 'the gate''s'"
