"""What the CSV files of this room have in common: a heading, `#` comments, times, and complaints with their line."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from sluice.errors import Misconfigured, Problem


def rows(path: Path, headings: Sequence[Sequence[str]]) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row below the heading, which must be one of `headings`.

    Blank lines and lines that begin with `#` are passed over. Raises `Misconfigured` when the file cannot be read, is
    not UTF-8, or begins otherwise.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        what = (e.strerror or type(e).__name__) if isinstance(e, OSError) else "it is not UTF-8"
        raise Misconfigured(Problem(str(path), None, f"cannot be read: {what}")) from e
    numbered = ((n, line) for n, line in enumerate(lines, 1) if line.strip() and not line.lstrip().startswith("#"))
    number, line = next(numbered, (1, ""))
    if cells(line) not in [list(h) for h in headings]:
        raise Misconfigured(Problem(str(path), number, f"must begin with `{','.join(headings[0])}`"))
    for number, line in numbered:
        yield number, cells(line)


def cells(line: str) -> list[str]:
    """One line of CSV, without the blanks around its cells."""
    return [cell.strip() for cell in next(csv.reader([line]), [])]


def moment(text: str) -> int:
    """Nanoseconds since the epoch of an ISO 8601 date (its beginning) or time; UTC unless it says otherwise.

    0 for an empty text. Raises ValueError.
    """
    if not text:
        return 0
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"`{text[:40]}` is not a date such as `2026-12-31` or a time `2026-12-31T18:00+01:00`"
        ) from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()) * 1_000_000_000
