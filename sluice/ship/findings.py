"""What people say of findings: acknowledged, accepted until a day, opened again. Events that are only added.

`sluice findings` and the console say it by these rules, in a note that the shipper enters into the store. What an event
repeats of the finding (hits, times, facts) is how it stood when it was said.

    acknowledged  of what is not fixed; who says it has taken it
    accepted      of what is not fixed, with a reason and a day that is ahead, `MOST_DAYS` at most
    reopened      of what is acknowledged or accepted: it is taken back. What is fixed opens by traffic alone
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sluice.errors import SluiceError
from sluice.posture.question import Cell
from sluice.posture.units import Finding
from sluice.ship.notes import Row

EVENTS = ("acknowledged", "accepted", "reopened")
OF_STATES = {
    "acknowledged": ("open", "acknowledged", "accepted", "reopened"),
    "accepted": ("open", "acknowledged", "accepted", "reopened"),
    "reopened": ("acknowledged", "accepted"),
}
"""States in which each can be said."""
MOST_DAYS = 366
"""Longest acceptance: what is lived with is looked at once a year at least."""
LONGEST_REASON = 500
_NEVER = "1970-01-01 00:00:00"
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
STANDING = """
SELECT
    finding,
    title,
    scope,
    toString(severity) AS severity,
    toString(status) AS status,
    hits,
    grave,
    toString(first_seen) AS first_seen,
    toString(last_seen) AS last_seen,
    toString(opened) AS opened,
    toString(changed) AS changed,
    owner,
    reason,
    ifNull(toString(accepted_until), '') AS accepted_until,
    facts,
    query_sha256
FROM findings
"""
"""How findings stand, with every column that an event repeats; a WHERE and an ORDER may follow."""


class Unsaid(SluiceError):
    """It cannot be said so; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Said:
    """One event, of as many scopes as it is said of. `until` is set for `accepted`: the first moment that is not
    accepted any more."""

    event: str
    by: str
    reason: str = ""
    until: datetime | None = None


def said(event: str, by: str, reason: str, until: date | str | None, now: datetime) -> Said:
    """An event as it may be said; `until` is a day, or its text. Raises `Unsaid`."""
    if event not in EVENTS:
        raise Unsaid(f"what can be said is {', '.join(EVENTS)}")
    reason = _CONTROL.sub(" ", reason).strip()
    if len(reason) > LONGEST_REASON:
        raise Unsaid(f"the reason is longer than {LONGEST_REASON} characters")
    if event != "accepted":
        return Said(event, by, reason)
    if not reason:
        raise Unsaid("say why it can be lived with: an acceptance has a reason")
    if not until:
        raise Unsaid("say until which day: an acceptance ends")
    return Said(event, by, reason, _end(until, now))


def rows(unit: Finding, standing: Iterable[Mapping[str, Cell]], what: Said, at: datetime) -> list[Row]:
    """The event of each row of `STANDING`, as a note for the table `finding_events`. Raises `Unsaid` where a finding
    stands so that it cannot be said of it."""
    return [_row(unit, row, what, at) for row in standing]


def _end(until: date | str, now: datetime) -> datetime:
    try:
        if isinstance(until, str) and not _DAY.fullmatch(until):  # weeks and bare digits, which others misread
            raise ValueError(until)
        day = date.fromisoformat(until) if isinstance(until, str) else until
    except ValueError as e:
        raise Unsaid("the day is written as in 2026-12-31") from e
    end = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if end <= now:
        raise Unsaid(f"{day:%Y-%m-%d} is over")
    if end > now + timedelta(days=MOST_DAYS):
        raise Unsaid(f"{day:%Y-%m-%d} is more than {MOST_DAYS} days ahead: accept it until then, and look again")
    return end


def _row(unit: Finding, row: Mapping[str, Cell], what: Said, at: datetime) -> Row:
    status = str(row["status"])
    if status not in OF_STATES[what.event]:
        raise Unsaid(f"{row['scope']} is {status}: it cannot be {what.event}")
    return {
        "at": f"{at:%Y-%m-%d %H:%M:%S.%f}",
        "finding": unit.id,
        "version": unit.version,
        "title": unit.title,
        "scope": str(row["scope"]),
        "event": what.event,
        "severity": str(row["severity"]),
        "hits": int(str(row["hits"])),
        "grave": int(str(row["grave"])),
        "first_seen": str(row["first_seen"]),
        "last_seen": str(row["last_seen"]),
        "facts": str(row["facts"]),
        "by": what.by,
        "reason": what.reason,
        "accepted_until": f"{what.until:%Y-%m-%d %H:%M:%S}" if what.until else _NEVER,
        "query_sha256": str(row["query_sha256"]),
    }
