"""Reports as PDF: what a reader of the file finds in it is what the report says."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from pypdf import PdfReader

from sluice.posture import pdf, question, rendering, units
from sluice.posture.coverage import Coverage
from sluice.posture.question import Cell
from sluice.posture.report import Answered

UNTIL = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script> {nb} (x) Tj ET \\) endobj \u202e =cmd|'/C calc'!A1"


def answered(rows: list[tuple[Cell, ...]], name: str = "R3") -> Answered:
    unit = units.reports()[name]
    columns = tuple(column.name for column in unit.columns)
    whole = tuple(row + (None,) * (len(columns) - len(row)) for row in rows)
    numeric = tuple(any(isinstance(row[at], int) for row in whole) for at in range(len(columns)))
    seen = Coverage(73, 70, 2, 1, 0, 4, 9000, 300, (("image", 3, 300),))
    sql = "SELECT 1\nFROM events"
    table = question.Table(columns, numeric, whole)
    return Answered(unit, UNTIL - timedelta(days=30), UNTIL, {}, sql, question.digest(sql), seen, table)


def read(data: bytes) -> list[str]:
    """The text of each page."""
    return [page.extract_text() for page in PdfReader(io.BytesIO(data)).pages]


def test_it_says_what_the_json_says() -> None:
    """Every number, name, digest, basis and coverage of the report is in the text of the file."""
    report = answered([(f"provider-{n}", f"model-{n}", "phi.record", "allow", 1000 + n) for n in range(30)])
    said = json.loads(rendering.file(report, "json"))
    text = "\n".join(read(rendering.file(report, "pdf")))
    for row in said["rows"]:
        for cell in row.values():
            assert cell is None or rendering.shown(cell) in text
    flat = re.sub(r"\s+", " ", text)
    for _, value in report.head()[1:]:
        assert rendering.shown(value) in flat
    for basis in said["basis"]:
        assert basis in flat
    assert all(column["comment"] in flat for column in said["columns"])


def test_tables_go_over_pages_with_their_heads() -> None:
    """Each row once, the names of the columns on every page that has rows, and a page number."""
    pages = read(rendering.file(answered([(f"row-{n:04}", "m", "c", "allow", n) for n in range(300)]), "pdf"))
    assert len(pages) > 3
    seen = [re.findall(r"row-\d{4}", page) for page in pages]
    assert [one for page in seen for one in page] == [f"row-{n:04}" for n in range(300)]
    assert all("provider" in page for page, rows in zip(pages, seen, strict=True) if rows)
    assert all(f"page {number}" in page for number, page in enumerate(pages, 1))


def test_a_row_that_is_taller_than_a_page_is_broken() -> None:
    """Nothing of a long text is lost, and none of it is drawn below the page."""
    words = [f"w{n}" for n in range(3000)]
    pages = read(rendering.file(answered([("openai", " ".join(words), "c", "allow", 1)]), "pdf"))
    assert len(pages) > 2
    assert re.findall(r"\bw\d+\b", " ".join(pages)) == words


def test_the_same_report_is_the_same_file() -> None:
    """Byte for byte; dated by the end of its span."""
    report = answered([("openai", "gpt-5", "phi.record", "allow", 7)])
    data = rendering.file(report, "pdf")
    assert data == rendering.file(report, "pdf")
    told = PdfReader(io.BytesIO(data)).metadata
    assert told
    assert told.creation_date == UNTIL
    assert data != rendering.file(answered([("openai", "gpt-5", "phi.record", "allow", 8)]), "pdf")


def test_hostile_text_is_text() -> None:
    """It is on the page as it is, and makes no link, script, form or object of the file."""
    data = rendering.file(answered([(HOSTILE, HOSTILE, HOSTILE, HOSTILE, 1)]), "pdf")
    reader = PdfReader(io.BytesIO(data))
    text = re.sub(r"\s+", "", "".join(page.extract_text() for page in reader.pages))
    assert "<script>alert(1)</script>{nb}(x)TjET\\)endobj" in text
    assert "\u202e" not in text
    assert not set(reader.trailer["/Root"]) & {"/AA", "/AcroForm", "/Names"}
    assert isinstance(reader.trailer["/Root"]["/OpenAction"], list)  # a place in the file, and no action
    assert all("/Annots" not in page for page in reader.pages)


@pytest.mark.parametrize(
    ("text", "found", "lacking"),
    [
        ("\u03a9\u03bc\u03ad\u03b3\u03b1 \u043f\u0440\u0438\u0432\u0435\u0442", "\u03a9\u03bc\u03ad\u03b3\u03b1", 0),
        ("\u4e2d\u6587", "[U+4E2D][U+6587]", 2),
        ("a\U0001f600b", "a[U+1F600]b", 1),
    ],
)
def test_scripts_are_drawn_or_written_out(text: str, found: str, lacking: int) -> None:
    """Greek and Cyrillic are drawn; what the font lacks is written as its number, and the head says how often."""
    said = re.sub(r"\s+", " ", " ".join(read(rendering.file(answered([(text, "m", "c", "allow", 1)]), "pdf"))))
    assert found in said
    assert ("stand here as [U+...]" in said or "stands here as [U+...]" in said) == bool(lacking)
    assert not lacking or f"{lacking} character" in said


def test_more_rows_than_a_file_takes_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The head counts all of them, and says how many are here."""
    monkeypatch.setattr(pdf, "MOST_ROWS", 3)
    text = " ".join(read(rendering.file(answered([(f"row-{n}", "m", "c", "allow", n) for n in range(9)]), "pdf")))
    assert "the first 3 rows" in text
    assert len(re.findall(r"row-\d", text)) == 3
    assert "Nothing on record answers this" in " ".join(read(rendering.file(answered([]), "pdf")))
