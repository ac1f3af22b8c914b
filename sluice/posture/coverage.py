"""How much of the traffic in a span of time was seen: what every report has to say before its first number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sluice.posture import question
from sluice.posture.question import Ask, Table

SHARES = """
SELECT
    sum(m.requests) AS requests,
    sumIf(m.requests, kind = 'decision' AND inspection_status = 'full') AS inspected,
    sumIf(m.requests, kind = 'decision' AND inspection_status = 'partial') AS partly,
    sumIf(m.requests, kind = 'decision' AND inspection_status = 'none') AS unread,
    sumIf(m.requests, kind = 'decision' AND inspection_status = '') AS undecided,
    sumIf(m.requests, kind = 'bypass') AS tunnelled,
    sum(m.body_bytes) AS body_bytes,
    sum(m.uninspected_bytes) AS uninspected_bytes
FROM per_minute AS m
WHERE minute >= {since} AND minute < {until} AND kind != 'outcome'
"""
"""`undecided`: refused before a body was read, so nothing left."""

REASONS = """
SELECT
    reason,
    count() AS requests,
    sum(ifNull(unread, 0)) AS bytes
FROM
(
    SELECT
        arrayJoin(if(record_type = 'bypass', [concat('tunnel: ', toString(ifNull(reason_code, '')))],
            arrayMap(x -> toString(x), uninspected_reason))) AS reason,
        uninspected_bytes AS unread
    FROM events
    WHERE record_type IN ('decision', 'bypass') AND ts_received >= {since} AND ts_received < {until}
        AND (record_type = 'bypass' OR notEmpty(uninspected_reason))
)
GROUP BY reason
ORDER BY requests DESC, reason
LIMIT 12
"""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Requests in a span, by how much of them was read. `reasons`: why not, with requests and bytes."""

    requests: int
    inspected: int
    partly: int
    unread: int
    undecided: int
    tunnelled: int
    body_bytes: int
    uninspected_bytes: int
    reasons: tuple[tuple[str, int, int], ...]

    @property
    def uninspected(self) -> int:
        """Requests of which something left unread."""
        return self.partly + self.unread + self.tunnelled

    def said(self) -> str:
        """One line for people."""
        if not self.requests:
            return "no request is on record in this span"
        share = 100 * self.uninspected / self.requests
        out = (
            f"{self.uninspected} of {self.requests} requests ({share:.2f}%) not wholly inspected: "
            f"{self.partly} in part, {self.unread} not, {self.tunnelled} tunnelled; "
            f"{self.uninspected_bytes} of {self.body_bytes} bytes left unread"
        )
        why = ", ".join(f"{reason} {requests}" for reason, requests, _ in self.reasons)
        return f"{out}; why: {why}" if why else out


def measured(asked: Ask, since: datetime, until: datetime) -> Coverage:
    """Raises what `asked` raises."""
    shares, reasons = questions(since, until)
    return told(question.ask(asked, shares), question.ask(asked, reasons))


def questions(since: datetime, until: datetime) -> tuple[str, str]:
    """The SQL of the shares, and of the reasons."""
    given = {"since": since, "until": until}
    return question.filled(SHARES, given), question.filled(REASONS, given)


def told(shares: Table, reasons: Table) -> Coverage:
    """What the answers to `questions` say."""
    (row,) = shares.rows
    why = reasons.rows
    numbers = [int(str(cell or 0)) for cell in row]
    names = ("requests", "inspected", "partly", "unread", "undecided", "tunnelled", "body_bytes", "uninspected_bytes")
    return Coverage(
        **dict(zip(names, numbers, strict=True)), reasons=tuple((str(r), int(str(n)), int(str(b))) for r, n, b in why)
    )
