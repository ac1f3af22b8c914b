"""How many findings stand, by severity and state, as a gauge: an alert on a critical one that is open needs no SQL."""

from __future__ import annotations

import msgspec

from sluice import metrics
from sluice.ship.clickhouse import Asked

_ASK = """
SELECT
    toString(severity) AS severity,
    if(status = 'reopened', 'open', toString(status)) AS state,
    count() AS n
FROM findings
WHERE status != 'fixed'
GROUP BY severity, state
"""


class _Found(msgspec.Struct, frozen=True):
    severity: str
    state: str
    n: int


def publish(store: Asked) -> None:
    """Set the gauge, every series of it. Raises `SqlError`, `StoreError`."""
    lines = store.select(_ASK, "JSONEachRow").splitlines()
    rows = [msgspec.json.decode(line, type=_Found, strict=False) for line in lines]
    standing = {(row.severity, row.state): row.n for row in rows}
    for severity in metrics.GRADES:
        for state in metrics.STANDING:
            metrics.POSTURE_FINDINGS.labels(severity, state).set(standing.get((severity, state), 0))
