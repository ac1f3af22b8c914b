"""Tables in text: a column's heading says what its cells are, however far below it they stand.

CSV and TSV (RFC 4180), semicolons, and Markdown's bars. A table is taken for one when a heading line is followed by a
line with as many delimiters. Work is linear in the rows, and those are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

ROWS = 2_000
"""Rows of one table that are looked at."""
WIDEST = 4_000
"""Longest line, in characters, that counts as a row."""

_SPLIT = {d: re.compile(rf'[ ]*(?:"((?:[^"\n]|"")*)"|([^{re.escape(d)}\n]*))[ ]*(?:{re.escape(d)}|$)') for d in "\t|;,"}
_EDGE = re.compile(r"[\w .\"'()/*-]{0,30}(?:[,;|\t\r\n]|\\[nt])")
"""What follows a keyword in a heading: little more, then the end of the cell."""
_HEADING = re.compile(r"[\w ()/\"'*#.-]{1,48}")
"""A cell that can be a heading: a few words. A pair of name and value, a call or a long sentence is none."""
_RULE = re.compile(r"[\s|:+=-]+")


def cells(text: str, place: int) -> Iterator[tuple[int, int]]:
    """Spans of the cells below the heading that ends at `place`. Nothing when it stands in no table's first line."""
    if not _EDGE.match(text, place):
        return
    reach = min(place + WIDEST, len(text))
    newline = "\n" if text.find("\n", place, reach) >= 0 else "\\n"  # a JSON body has its newlines escaped
    stop = text.find(newline, place, reach)
    if stop < 0:
        return
    step_over = len(newline)
    low = max(place - WIDEST, 0)
    before = text.rfind(newline, low, place)
    start = before + step_over if before >= 0 else low
    if step_over == 2:
        start = max(start, text.rfind('"', low, place) + 1)
    heading = text[start:stop]
    delimiter = max("\t|;,", key=heading.count)
    if not (count := heading.count(delimiter)):
        return  # a line of one cell, which is none of a table
    below = stop + step_over
    if text.count(delimiter, below, _line_end(text, below, newline)) < count:
        return  # told at the first row: most keywords head nothing
    if not _is_heading(heading, delimiter, place - start):
        return
    if step_over == 1 and start > 0:
        above = text[max(text.rfind("\n", max(start - WIDEST, 0), start - 1) + 1, start - WIDEST, 0) : start - 1]
        if above.count(delimiter) >= count > 0:
            return  # a row among rows: were every row a heading, the rows would be read as often as there are rows
    if delimiter not in heading.strip().strip(delimiter):  # one word with a comma behind it, as in a list of strings
        return
    column = heading.count(delimiter, 0, place - start) - (heading[place - start - 1] == delimiter)
    split = _SPLIT[delimiter]
    for row in range(ROWS):
        start = stop + step_over
        stop = _line_end(text, start, newline)
        line = text[start:stop]
        if not line.strip() or len(line) > WIDEST or line.count(delimiter) < count:
            return
        if row == 0 and _RULE.fullmatch(line):
            continue
        at = start
        for _ in range(column):
            step = split.match(text, at, stop)
            if step is None or step.end() == at:
                break
            at = step.end()
        else:
            cell = split.match(text, at, stop)
            if cell is not None:
                yield cell.span(1) if cell[1] is not None else cell.span(2)
        if stop >= len(text):
            return


def _is_heading(line: str, delimiter: str, place: int) -> bool:
    """True when the cell that holds `place` could be the heading of a column. JSON may begin before the table does."""
    low = max(line.rfind(delimiter, 0, place), line.rfind('"', 0, place)) + 1
    high = line.find(delimiter, place)
    return _HEADING.fullmatch(line, low, high if high >= 0 else len(line)) is not None


def _line_end(text: str, at: int, newline: str) -> int:
    """Where the line ends, or a little beyond the widest row."""
    stop = text.find(newline, at, at + WIDEST + 2)
    return min(len(text), at + WIDEST + 1) if stop < 0 else stop
