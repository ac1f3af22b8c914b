"""A report as PDF: the same head, rows, columns and query as the other formats, on A4 across, made to be kept.

Drawn with fpdf2, which is pure Python; the font is Noto Sans out of a package of its own, so that nothing of the
machine decides how a page looks. It has Latin, Greek and Cyrillic. A character that it lacks (Chinese, Arabic, an
emoji) is written as `[U+4E2D]`, and a line of the head says so: nothing is left out in silence. Every text is drawn as
glyphs of one font; there are no links, scripts or forms in the file.

The same report gives the same bytes: its date is the end of the span, and nothing else in it depends on the day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from sluice.posture.report import Answered

if TYPE_CHECKING:
    from fpdf import FPDF

MOST_ROWS = 5_000
"""Rows of one file, some two hundred pages; the head says how many there are. The other formats have all of them."""
FAMILY = "noto"
WIDTH, MARGIN, BOTTOM = 297.0, 12.0, 198.0
"""A4 across, millimetres; text ends at `BOTTOM`, the foot stands below."""
ROOM = WIDTH - 2 * MARGIN
HEAD, BODY, SMALL = 8.5, 7.0, 6.0
"""Sizes of the letters, points."""
LEADING = 0.48
"""Millimetres from line to line for each point of size."""
PAD = 1.2
LEAST, MOST = 9.0, 90.0
"""Width of a column before the page's width is shared out."""
WHOLE = 12
"""Lines of a row that are kept on one page; a taller row is broken over pages."""
SAMPLE = 400
"""Rows that the widths of columns are taken from."""
INK, QUIET, LINE, BAND = (27, 31, 36), (87, 96, 106), (160, 166, 174), (243, 245, 248)


def as_pdf(report: Answered, shown: Callable[..., str]) -> bytes:
    """The file. `shown` makes a cell readable, as in the other formats."""
    return _Paper(report, shown).bytes()


class _Paper:
    """One file while it is drawn. `y` is where the next line begins."""

    def __init__(self, report: Answered, shown: Callable[..., str]) -> None:
        from fpdf import FPDF
        from fpdf.fonts import TTFFont

        self._report, self._shown = report, shown
        self._pdf: FPDF = FPDF("L", "mm", "A4")
        pdf = self._pdf
        pdf.set_auto_page_break(False)
        pdf.alias_nb_pages("\x00")  # a text of a client must not be taken for the place of the number of pages
        pdf.set_creation_date(report.until)
        pdf.set_title(f"{report.unit.id} {report.unit.title}")
        pdf.set_lang("en")
        pdf.add_font(FAMILY, "", str(_font()))
        pdf.set_font(FAMILY, size=BODY)
        font = pdf.fonts[FAMILY]
        assert isinstance(font, TTFFont)
        self._forms = font.cmap
        self._widths: dict[str, float] = {}
        self._lacking = 0
        self._y = 0.0

    def bytes(self) -> bytes:
        report = self._report
        rows = report.table.rows[:MOST_ROWS]
        cells = [[self._text(self._shown(cell)) for cell in row] for row in rows]
        head = [(name, self._text(self._shown(value))) for name, value in report.head()[1:]]
        sql = self._text(report.sql, lines=True)
        legend = [(column.name, self._text(column.comment)) for column in report.unit.columns]
        if len(report.table.rows) > MOST_ROWS:
            head.append(("in this file", f"the first {MOST_ROWS} rows; as CSV or JSON the report has all of them"))
        if self._lacking:
            told = "1 character stands" if self._lacking == 1 else f"{self._lacking} characters stand"
            head.append(("characters", f"{told} here as [U+...]: the font of this file has no form for them"))
        self._page()
        self._line(MARGIN, f"{report.unit.id} {report.unit.title}", 13.0, INK)
        self._y += 2
        self._pairs(head, HEAD)
        self._y += 3
        self._table(report.table.columns, report.table.numeric, cells)
        self._title("Columns")
        self._pairs(legend, BODY)
        self._title("Query")
        for said in sql.split("\n"):
            for line in self._wrapped(said, ROOM, SMALL):
                self._room(SMALL)
                self._line(MARGIN, line, SMALL, QUIET)
        return bytes(self._pdf.output())

    # ------------------------------------------------------------------------------------------------------------ text

    def _text(self, said: str, *, lines: bool = False) -> str:
        """With every character that the font lacks written out."""
        forms = self._forms
        if all(ord(c) in forms or (lines and c == "\n") for c in said):
            return said
        out = []
        for c in said:
            if ord(c) in forms or (lines and c == "\n"):
                out.append(c)
            elif c in "\t\n\r":
                out.append(" ")
            else:
                self._lacking += 1
                out.append(f"[U+{ord(c):04X}]")
        return "".join(out)

    def _wide(self, said: str, size: float) -> float:
        """Millimetres of a text at a size."""
        widths = self._widths
        total = 0.0
        for c in said:
            if (width := widths.get(c)) is None:
                self._pdf.set_font_size(100)
                width = widths[c] = self._pdf.get_string_width(c) / 100
            total += width
        return total * size

    def _wrapped(self, said: str, width: float, size: float) -> list[str]:
        """Lines that fit: broken at blanks, and inside what has none."""
        out, line, at = [], "", 0.0
        for word in said.split(" "):
            wide = self._wide(word, size)
            gap = self._wide(" ", size) if line else 0.0
            if line and at + gap + wide > width:
                out.append(line)
                line, at, gap = "", 0.0, 0.0
            if wide <= width:
                line, at = f"{line} {word}" if line else word, at + gap + wide
                continue
            for c in word:
                one = self._wide(c, size)
                if line and at + one > width:
                    out.append(line)
                    line, at = "", 0.0
                line, at = line + c, at + one
        return [*out, line]

    # --------------------------------------------------------------------------------------------------------- drawing

    def _page(self) -> None:
        pdf, report = self._pdf, self._report
        pdf.add_page()
        self._y = BOTTOM + 3
        foot = f"{report.unit.id}, {report.since:%Y-%m-%d %H:%M} to {report.until:%Y-%m-%d %H:%M} UTC"
        self._line(MARGIN, f"{foot}; query sha256 {report.sha256}; page {pdf.page_no()}", SMALL, QUIET)
        self._y = MARGIN

    def _room(self, size: float, lines: int = 1) -> bool:
        """A new page where so many lines do not fit any more; whether one was begun."""
        if self._y + lines * size * LEADING <= BOTTOM:
            return False
        self._page()
        return True

    def _line(self, x: float, said: str, size: float, ink: tuple[int, int, int]) -> None:
        """One line of text; the next begins below."""
        self._put(x, self._y, said, size, ink)
        self._y += size * LEADING

    def _put(self, x: float, y: float, said: str, size: float, ink: tuple[int, int, int]) -> None:
        pdf = self._pdf
        if not said:
            return
        pdf.set_font_size(size)
        pdf.set_text_color(*ink)
        pdf.text(x, y + size * LEADING * 0.78, said)

    def _title(self, said: str) -> None:
        self._y += 4
        self._room(11, 3)
        self._line(MARGIN, said, 11, INK)
        self._y += 1

    def _pairs(self, pairs: Sequence[tuple[str, str]], size: float) -> None:
        left = min(60.0, max((self._wide(name, size) for name, _ in pairs), default=0.0) + 4)
        for name, value in pairs:
            for number, line in enumerate(self._wrapped(value, ROOM - left, size)):
                self._room(size)
                if not number:
                    self._put(MARGIN, self._y, name, size, QUIET)
                self._line(MARGIN + left, line, size, INK)

    def _table(self, names: Sequence[str], numeric: Sequence[bool], cells: Sequence[Sequence[str]]) -> None:
        widths = self._columns(names, cells)
        inner = [width - PAD for width in widths]
        heads = [self._wrapped(name.replace("_", " "), width, BODY) for name, width in zip(names, inner, strict=True)]
        begin = [MARGIN + sum(widths[:at]) for at in range(len(widths))]

        def head() -> None:
            for x, lines in zip(begin, heads, strict=True):
                for number, line in enumerate(lines):
                    self._put(x, self._y + number * BODY * LEADING, line, BODY, QUIET)
            self._y += max(map(len, heads)) * BODY * LEADING + 0.6
            self._pdf.set_draw_color(*LINE)
            self._pdf.line(MARGIN, self._y, WIDTH - MARGIN, self._y)
            self._y += 0.8

        self._room(BODY, 4)
        head()
        if not cells:
            self._line(MARGIN, "Nothing on record answers this question in this span.", BODY, QUIET)
        for number, row in enumerate(cells):
            lines = [self._wrapped(cell, width, BODY) for cell, width in zip(row, inner, strict=True)]
            tall, done = max(map(len, lines)), 0
            while done < tall:
                fits = int((BOTTOM - self._y) / (BODY * LEADING))
                if fits < 1 or (not done and fits < min(tall, WHOLE)):
                    self._page()
                    head()
                    continue
                part = min(fits, tall - done)
                if number % 2:
                    self._pdf.set_fill_color(*BAND)
                    self._pdf.rect(MARGIN, self._y, ROOM, part * BODY * LEADING + 0.4, "F")
                for x, width, some, right in zip(begin, inner, lines, numeric, strict=True):
                    for at, line in enumerate(some[done : done + part]):
                        by = width - self._wide(line, BODY) if right else 0.0
                        self._put(x + by, self._y + at * BODY * LEADING, line, BODY, INK)
                self._y += part * BODY * LEADING + 0.4
                done += part

    def _columns(self, names: Sequence[str], cells: Sequence[Sequence[str]]) -> list[float]:
        """Widths that together fill the page: each column as wide as it needs, the widest ones narrowed first."""
        want = []
        for at, name in enumerate(names):
            words = max((self._wide(word, BODY) for word in name.split("_")), default=0.0)
            longest = max((self._wide(row[at][:200], BODY) for row in cells[:SAMPLE]), default=0.0)
            want.append(min(MOST, max(LEAST, words + PAD + 0.5, longest + PAD + 0.5)))
        low, high = 0.0, MOST
        if sum(want) > ROOM:
            for _ in range(40):
                middle = (low + high) / 2
                low, high = (middle, high) if sum(min(one, middle) for one in want) <= ROOM else (low, middle)
            want = [min(one, low) for one in want]
        return want


@lru_cache(maxsize=1)
def _font() -> Path:
    return Path(str(resources.files("fontpkg_noto_sans"))) / "files" / "NotoSans[wdth,wght].ttf"
