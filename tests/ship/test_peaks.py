"""Who stands out is a number, and never a name. Real engine."""

from __future__ import annotations

import time

from sluice import metrics
from sluice.ledger.record import encode
from sluice.ship import peaks
from sluice.ship.clickhouse import Embedded
from tests.ship.ship_rig import decision


def test_the_busiest_subject_and_key_are_counted(store: Embedded) -> None:
    """Of the last five minutes only; the subject that sends most need not be the one that is blocked most."""
    now = round(time.time() * 1e6)
    old = now - (peaks.SECONDS + 60) * 1_000_000
    rows = [
        *[decision(n, ts_received=now, subject_id="a", key_fp="k1") for n in range(5)],
        *[decision(n, ts_received=now, subject_id="b", key_fp="k1", decision="block") for n in range(5, 8)],
        *[decision(n, ts_received=old, subject_id="c", key_fp="k2", decision="block") for n in range(8, 20)],
    ]
    store.insert([encode(r) for r in rows], "rows")
    peaks.publish(store)
    assert metrics.SUBJECT_PEAK._value.get() == 5
    assert metrics.SUBJECT_PEAK_BLOCKED._value.get() == 3
    assert metrics.KEY_PEAK._value.get() == 8


def test_nobody_is_nought(store: Embedded) -> None:
    """Without requests there is no peak, and no stale one."""
    metrics.SUBJECT_PEAK.set(9)
    peaks.publish(store)
    assert metrics.SUBJECT_PEAK._value.get() == 0
    assert metrics.KEY_PEAK._value.get() == 0
