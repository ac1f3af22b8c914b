"""What has said itself when it ends, at a given time: an expired token is found like any other, and weighs less.

Detection has no clock, so that a decision replays exactly: findings carry the moment (`Finding.expires`), and who asks
gives the time, which for a request is the one in its record. Parts that are remembered (`novelty`) keep the moment too.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import replace

from sluice.model import Finding, Severity

GRACE = 86_400
"""Seconds after its end for which a value counts in full: clocks differ, and some services are generous."""
CONFIDENCE = 0.5
"""Most that an expired one is believed."""


_LOWER = {
    Severity.CRITICAL: Severity.HIGH,
    Severity.HIGH: Severity.MEDIUM,
    Severity.MEDIUM: Severity.LOW,
    Severity.LOW: Severity.LOW,
    Severity.INFO: Severity.INFO,
}


def aged(findings: Iterable[Finding], at: int) -> tuple[Finding, ...]:
    """The findings as they count at a time (nanoseconds since the epoch). What has ended weighs one severity less: it
    opens nothing any more, and still tells who, where and how."""
    latest = at // 1_000_000_000 - GRACE
    return tuple(f if f.expires is None or f.expires >= latest else _ended(f) for f in findings)


def _ended(f: Finding) -> Finding:
    return replace(f, severity=_LOWER[f.severity], confidence=min(f.confidence, CONFIDENCE))
