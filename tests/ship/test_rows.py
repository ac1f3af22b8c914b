"""Record, row and table say the same thing, field by field."""

from __future__ import annotations

import re
from enum import StrEnum

import pytest
from msgspec.structs import fields

from sluice.config import schema_dir
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
        added = re.findall(r"^    ADD COLUMN IF NOT EXISTS (.*') AFTER (\w+)[,;]$", later.read_text("utf-8"), re.M)
        for line, before in added:
            place = [c.split(" ", 1)[0] for c in columns].index(before)
            columns.insert(place + 1, line)
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


def test_quotes_in_comments_are_escaped() -> None:
    """A comment cannot end the SQL string that it stands in."""
    assert Column("a", "String", "the gate's").sql == "a String COMMENT 'the gate''s'"
