"""Who stands out, without saying who: the requests of the busiest subject and key of the last five minutes.

A metric must not name a subject or a key, and a spike of one of them drowns in the sum of all. So the shipper asks the
event store for the largest count, once a minute; the runbook's SQL says whose it is.
"""

from __future__ import annotations

import msgspec

from sluice import metrics
from sluice.ship.clickhouse import Asked

SECONDS = 300
_RECENT = f"record_type = 'decision' AND ts_received > now() - INTERVAL {SECONDS} SECOND"
_ASK = f"""
SELECT
    (SELECT max(n) FROM (SELECT count() AS n FROM events WHERE {_RECENT} GROUP BY subject_id)) AS subject,
    (SELECT max(n) FROM (SELECT countIf(decision = 'block') AS n FROM events WHERE {_RECENT} GROUP BY subject_id))
        AS blocked,
    (SELECT max(n) FROM (SELECT count() AS n FROM events WHERE {_RECENT} AND key_fp IS NOT NULL GROUP BY key_fp))
        AS key
"""  # noqa: S608 - constants of this file


class _Found(msgspec.Struct, frozen=True):
    subject: int | None
    blocked: int | None
    key: int | None


def publish(store: Asked) -> None:
    """Set the gauges. Raises `SqlError`, `StoreError`."""
    found = msgspec.json.decode(store.select(_ASK, "JSONEachRow"), type=_Found, strict=False)
    metrics.SUBJECT_PEAK.set(found.subject or 0)
    metrics.SUBJECT_PEAK_BLOCKED.set(found.blocked or 0)
    metrics.KEY_PEAK.set(found.key or 0)
