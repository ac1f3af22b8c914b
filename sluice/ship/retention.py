"""Deletion in the store when the time is over: whole partitions, and none in which anything is under legal hold.

A TTL cannot ask whether a row is held, so the tables have none; this runs in the shipper every hour instead. A
partition is a month and a retention class; it goes when its last day is `MONTHS` ago. Where one row of it is held the
whole partition stays. A class that is not listed is kept for ever. Roll-ups go by month, after the shortest time, and
stay while any hold is in force.
Snapshots of the registers that are older than that go too, but never the newest; how many went stands among the facts
of the posture. A clock that runs ahead must not empty the store: time is never taken as later than the newest row says.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from sluice.register import snapshot
from sluice.ship import holds
from sluice.ship.clickhouse import Store, StoreError
from sluice.ship.sqlgate import SqlError

log = logging.getLogger("sluice.ship")

MONTHS = {"standard": 13, "phi": 73}
"""Months that rows of a retention class are kept: PCI DSS 10.5.1 and the EU AI Act ask for less than 13, and HIPAA
164.316(b)(2)(i) for six years of what it counts as documentation."""
BY_CLASS = ("exchange_rows", "events")
BY_MONTH = ("per_minute", "per_subject_day", "finding_days")
_PARTITION = re.compile(r"\((?P<month>\d{6}),'(?P<kept>[^']*)'\)|(?P<alone>\d{6})")


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of one table; `kept` is the retention class, empty for roll-ups."""

    table: str
    id: str
    month: int
    kept: str


def expire(store: Store, directory: Path, now: float) -> tuple[list[Partition], list[Partition]]:
    """Drop what is over and not held; (dropped, held).

    Raises `StoreError`, and then drops nothing more; ValueError for a hold that was left and cannot be read.
    """
    holds.place(store, directory)
    there = _partitions(store)
    over = [p for p in there if _is_over(p, _today(store, now))]
    if not over:
        return [], []
    conditions = ["legal_hold", *holds.conditions(store)]
    dropped, held = [], []
    held_keys = {(p.month, p.kept) for p in over if p.table in BY_CLASS and _holds(store, p, " OR ".join(conditions))}
    for partition in sorted(over, key=lambda p: (*BY_MONTH, *BY_CLASS).index(p.table)):
        if (partition.month, partition.kept) in held_keys or (partition.table in BY_MONTH and len(conditions) > 1):
            held.append(partition)
            continue
        store.drop_partition(partition.table, partition.id)
        dropped.append(partition)
    for what, some in (("dropped", dropped), ("kept by a legal hold", held)):
        if some:
            facts = {"partitions": [f"{p.table} {p.month} {p.kept}".strip() for p in some][:50]}
            log.info("partitions whose time is over", extra={"facts": {"what": what, **facts}})
    return dropped, held


def expire_snapshots(store: Store, now: float) -> int:
    """Delete snapshots of the registers that were loaded longer ago than the shortest retention, but the newest, which
    is in force; none while a hold is in force. How many went. Raises `StoreError`."""
    today = _today(store, now) - min(MONTHS.values())
    before = f"{(today - 1) // 12:04}-{(today - 1) % 12 + 1:02}-01 00:00:00"
    bounds = f"toDateTime64('{before}', 6, 'UTC')", "(SELECT max(loaded_at) FROM register_rows)"
    asked = f"SELECT uniqExact(loaded_at), toString(max(loaded_at)) FROM register_rows WHERE loaded_at < {bounds[0]}"  # noqa: S608 - our own names
    (line,) = _ask(store, f"{asked} AND loaded_at < {bounds[1]}")
    gone = int(line[0])
    if not gone or holds.conditions(store):
        return 0
    store.delete(snapshot.TABLE, f"loaded_at <= toDateTime64('{line[1]}', 6, 'UTC')")
    at = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M:%S}"
    fact = {"at": at, "kind": "deleted", "name": snapshot.TABLE, "number": gone, "text": f"loaded before {before[:10]}"}
    store.add("posture_facts", msgspec.json.encode(fact | {"by": "shipper"}), f"deleted {snapshot.TABLE} {at}")
    log.info("snapshots of the registers whose time is over", extra={"facts": {"deleted": gone, "before": before[:10]}})
    return gone


def _today(store: Store, now: float) -> int:
    """This month as a count of months, by the clock or by the newest row, whichever is earlier."""
    (line,) = _ask(store, "SELECT toUnixTimestamp(max(ts_received)) FROM events")
    moment = datetime.fromtimestamp(min(now, float(line[0])), UTC)
    return moment.year * 12 + moment.month


def _is_over(partition: Partition, today: int) -> bool:
    months = min(MONTHS.values()) if partition.table in BY_MONTH else MONTHS.get(partition.kept)
    month = partition.month // 100 * 12 + partition.month % 100
    return months is not None and today > month + months


def _partitions(store: Store) -> list[Partition]:
    names = ", ".join(f"'{t}', '{t}_local'" for t in (*BY_CLASS, *BY_MONTH))
    where = f"active AND database = currentDatabase() AND table IN ({names})"
    sql = f"SELECT DISTINCT table, partition_id, partition FROM system.parts WHERE {where}"  # noqa: S608 - our own names
    found = []
    for table, identity, text in _ask(store, sql):
        if said := _PARTITION.fullmatch(str(text)):
            month = int(said["month"] or said["alone"])
            found.append(Partition(str(table).removesuffix("_local"), str(identity), month, said["kept"] or ""))
    return found


def _holds(store: Store, partition: Partition, condition: str) -> bool:
    where = f"toYYYYMM(ts_received) = {partition.month} AND retention_class = '{partition.kept}'"
    (line,) = _ask(store, f"SELECT count() FROM events WHERE {where} AND ({condition})")  # noqa: S608
    return int(line[0]) > 0


def _ask(store: Store, sql: str) -> list[list[str | int | float]]:
    try:
        lines = store.select(sql, "JSONCompactEachRow").splitlines()
    except SqlError as e:
        raise StoreError(e.code, str(e)) from e
    return [msgspec.json.decode(line, type=list[str | int | float]) for line in lines]
