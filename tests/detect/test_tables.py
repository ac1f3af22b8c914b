"""Columns of tables: a heading lends its meaning to the cells below it."""

from __future__ import annotations

import pytest

from sluice.detect import tables
from sluice.detect.engine import Engine, scan_text


def below(text: str, heading: str) -> list[str]:
    place = text.index(heading) + len(heading)
    return [text[a:b] for a, b in tables.cells(text, place)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_cells_of_a_column(delimiter: str) -> None:
    """The cells below a heading are given, whichever of the four delimiters parts them."""
    rows = [["id", "ssn", "city"], ["1", "536-90-4399", "Oslo"], ["2", "219-09-9999", "Bonn"]]
    text = "\n".join(delimiter.join(r) for r in rows)
    assert below(text, "ssn") == ["536-90-4399", "219-09-9999"]


def test_quotes_hold_delimiters() -> None:
    """A delimiter inside quotes parts nothing (RFC 4180), and the quotes are no part of the cell."""
    assert below('name,ssn\n"Doe, Jane",536-90-4399\n', "ssn") == ["536-90-4399"]
    assert below('ssn,name\n1,"Doe, Jane"\n', "name") == ["Doe, Jane"]


def test_markdown_rule_is_no_row() -> None:
    """The line of dashes below a Markdown heading is passed over."""
    assert [c.strip() for c in below("| ssn | x |\n|---|---|\n| 7 | 8 |\n", "ssn")] == ["7"]


def test_newlines_of_a_json_string() -> None:
    """In the raw text of a JSON body the newlines are escaped, and the table is still one."""
    assert below('{"content":"a,ssn\\n1,536904399\\n2,219099999"}', "ssn") == ["536904399", '219099999"}']


def test_no_table_in_a_sentence() -> None:
    """A word with a comma behind it heads nothing when the next line has no delimiter."""
    assert below("his ssn, he said,\nis not known.\n", "ssn") == []
    assert below("one line: ssn, name", "ssn") == []


def test_rows_are_bounded() -> None:
    """A table of any length costs at most `ROWS` rows for each heading, and a line too wide ends it."""
    assert len(below("a,ssn\n" + "1,2\n" * (tables.ROWS * 2), "ssn")) == tables.ROWS
    assert below("a,ssn\n1," + "2" * (tables.WIDEST + 10) + "\n", "ssn") == []


def test_heading_reaches_far_cells(engine: Engine) -> None:
    """Bare numbers far below `ssn` are found, those of the other columns are not."""
    text = "ref,ssn\n" + "".join(f"{100000000 + i},{536904399 + i}\n" for i in range(40))
    found = [f for f in scan_text(engine, text).findings if f.data_class == "government.ssn"]
    assert len(found) >= 39
    assert all(
        text[f.start : f.end].startswith("5369044") or text[f.start : f.end].startswith("5369043") for f in found
    )
