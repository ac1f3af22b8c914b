"""Legal holds: what may not be deleted although its time is over.

The shipper is the only one who writes to the store, so a hold is left for it as a file, durably, and placed in the
table `holds` before the next deletion. A hold that waits for the shipper already holds: nothing is deleted meanwhile.
A hold covers rows by time and, if it names one, by subject. A row can carry one itself (`legal_hold`).
Holds are in no ledger: what was entered is kept beside the state of the delivery (`KEPT`), so that a store which is
filled again gets them back before anything in it is deleted (`restore`).
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from sluice import durable
from sluice.ship.clickhouse import Store, StoreError
from sluice.ship.sqlgate import SqlError

KEPT = "placed-holds"
"""Directory of the holds and releases that are in the store, as they were left."""
FOREVER = 10_413_791_999_000_000
"""Microseconds: the end of 2299, the last time that a DateTime64 holds."""


class Hold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A hold that is placed or released. Times in microseconds since the epoch; `subject_id` is the pseudonym."""

    at: int
    name: str
    action: str
    by: str
    reason: str
    subject_id: str = ""
    ts_from: int = 0
    ts_until: int = FOREVER


def leave(directory: Path, hold: Hold) -> Path:
    """Leave a hold for the shipper of this machine; the file is gone when it is in the store."""
    inbox = directory / "holds"
    inbox.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = inbox / f"{hold.at:020}.json"
    durable.write(path, msgspec.json.encode(hold))
    return path


def waiting(directory: Path) -> list[tuple[Path, Hold]]:
    """What was left and is not in the store yet, oldest first. Raises ValueError for a file that is no hold."""
    found = []
    for path in sorted((directory / "holds").glob("*.json")):
        try:
            found.append((path, msgspec.json.decode(path.read_bytes(), type=Hold)))
        except FileNotFoundError:  # the shipper took it meanwhile
            continue
    return found


def place(store: Store, directory: Path) -> int:
    """Bring what was left into the store; how many. Raises `StoreError`; ValueError for a file that is no hold."""
    placed = 0
    kept = directory / KEPT
    for path in sorted((directory / "holds").glob("*.json")):
        _enter(store, path)
        kept.mkdir(mode=0o700, exist_ok=True)
        durable.write(kept / path.name, path.read_bytes())
        path.unlink()
        placed += 1
    return placed


def restore(store: Store, directory: Path) -> int:
    """Enter again what was in a store before and this one lacks; how many. Raises as `place` does."""
    paths = sorted((directory / KEPT).glob("*.json"))
    if not paths:
        return 0
    known = {
        msgspec.json.decode(line, type=tuple[int | str, str, str])
        for line in store.own(
            "SELECT toUnixTimestamp64Micro(at), name, action FROM holds", "JSONCompactEachRow"
        ).splitlines()
    }
    there = {(int(at), name, action) for at, name, action in known}
    missing = []
    for path in paths:
        hold = msgspec.json.decode(path.read_bytes(), type=Hold)
        if (hold.at, hold.name, hold.action) not in there:
            missing.append(path)
    for path in missing:
        _enter(store, path, "hold again")  # a store that lost the row may still know the token
    return len(missing)


def _enter(store: Store, path: Path, kind: str = "hold") -> None:
    hold = msgspec.json.decode(path.read_bytes(), type=Hold)
    row = msgspec.to_builtins(hold) | {
        name: msgspec.Raw(f"{getattr(hold, name) // 10**6}.{getattr(hold, name) % 10**6:06}".encode())
        for name in ("at", "ts_from", "ts_until")
    }
    store.add("holds", msgspec.json.encode(row), f"{kind} {path.name}")


def conditions(store: Store) -> list[str]:
    """The holds in force as SQL conditions on rows of `events`. Raises `StoreError`."""
    sql = (
        "SELECT subject_id, toUnixTimestamp64Micro(ts_from) AS a, toUnixTimestamp64Micro(ts_until) AS b "
        "FROM holds_in_force"
    )
    try:
        lines = store.select(sql, "JSONCompactEachRow").splitlines()
    except SqlError as e:
        raise StoreError(e.code, str(e)) from e
    found = []
    for line in lines:
        subject, since, until = msgspec.json.decode(line, type=tuple[str, int | str, int | str])
        moment = "toUnixTimestamp64Micro(ts_received)"
        one = f"{moment} >= {int(since)} AND {moment} < {int(until)}"
        if subject:
            name = subject.replace("\\", "\\\\").replace("'", "\\'")
            one += f" AND (subject_id = '{name}' OR on_behalf_of = '{name}')"
        found.append(f"({one})")
    return found
