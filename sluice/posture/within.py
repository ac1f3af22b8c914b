"""The views of the inventory and of the flow over the records of a span alone: rows and numbers of the same time.

A view takes no parameters, so its definition is asked in its place, with each table of records restricted to the span.
What is declared is declared now, whatever the span. Roll-ups by day count whole days: subjects "about".
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import cache

from sluice.config import schema_dir
from sluice.posture.question import moment

_VIEW = re.compile(r"^CREATE VIEW IF NOT EXISTS (\w+) AS\n(.*?)\nCOMMENT '", re.MULTILINE | re.DOTALL)
_TIMES = {
    "events": "ts_received", "exchanges": "ts", "agent_exchanges": "ts", "per_minute": "minute",
    "per_subject_day": "day", "cov_observation": "at",
}  # fmt: skip
"""Tables of records, and the column that says when."""
_TABLE = re.compile(rf"\b(FROM|JOIN) ({'|'.join(_TIMES)})\b")


@cache
def _definitions() -> dict[str, str]:
    texts = [path.read_text("utf-8") for path in sorted(schema_dir().glob("[0-9]*.sql"))]
    return {name: sql for text in texts for name, sql in _VIEW.findall(text)}


def view(name: str, since: datetime, until: datetime) -> str:
    """A view over the records of a span, in brackets, to stand where its name would."""

    def put(found: re.Match[str]) -> str:
        column = _TIMES[found[2]]
        if column == "day":
            last = until - timedelta(microseconds=1)
            when = f"day >= '{since:%Y-%m-%d}' AND day <= '{last:%Y-%m-%d}'"
        else:
            when = f"{column} >= {moment(since)} AND {column} < {moment(until)}"
        return f"{found[1]} (SELECT * FROM {found[2]} WHERE {when})"  # noqa: S608 - our own names

    return f"(\n{_TABLE.sub(put, _definitions()[name])}\n)"
