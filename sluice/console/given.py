"""What a request says: the span, filters, where a list goes on. All of it is typed by somebody and taken as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from sluice.posture import question
from sluice.posture.question import BadQuestion

SPANS = {"1h": "last hour", "24h": "last 24 hours", "7d": "last 7 days", "30d": "last 30 days", "90d": "last 90 days"}
LONGEST_VALUE = 256
SQL = "sql"
"""The parameter that shows a page's questions instead of their answers."""


@dataclass(frozen=True, slots=True)
class Given:
    """The fields of a request's query string, the parts of its path that have names, and the moment it counts from."""

    path: str
    fields: Mapping[str, str]
    now: datetime
    parts: Mapping[str, str]

    @classmethod
    def of(
        cls,
        path: str,
        pairs: Mapping[str, str],
        *,
        parts: Mapping[str, str] | None = None,
        now: datetime | None = None,
    ) -> Given:
        """Raises `BadQuestion` for a value that is too long to be meant, or holds what no statement does."""
        for name, value in pairs.items():
            if len(value) > LONGEST_VALUE or len(name) > 40:
                raise BadQuestion(f"`{name[:40]}` is longer than {LONGEST_VALUE} characters")
            if "\0" in value:
                raise BadQuestion(f"`{name}` holds a NUL character, which nothing on record does")
        fields = {k: v.strip() for k, v in pairs.items() if v.strip()}
        return cls(path, fields, now or datetime.now(UTC), parts or {})

    def text(self, name: str) -> str:
        return self.fields.get(name, "")

    @property
    def wants_sql(self) -> bool:
        return self.text(SQL) == "1"

    def span(self, otherwise: str) -> tuple[datetime, datetime]:
        """The times that the page is about, whole minutes. Raises `BadQuestion`."""
        return question.span(self.text("since") or None, self.text("until") or None, otherwise, self.now)

    @property
    def has_span(self) -> bool:
        """Whether somebody has said since or until when."""
        return bool(self.text("since") or self.text("until"))

    def link(self, path: str | None = None, /, **changed: str | None) -> str:
        """This page with other fields; None takes one away."""
        fields = dict(self._fields(changed))
        return f"{path or self.path}?{urlencode(fields)}" if fields else (path or self.path)

    def _fields(self, changed: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
        for name, value in {**self.fields, **changed}.items():
            if value is not None and (name != SQL or SQL in changed):
                yield name, value


def stamp(at: datetime) -> str:
    """A moment as the fields `since` and `until` take it."""
    return f"{at:%Y-%m-%dT%H:%M}"
