"""What people and other tools have to say to the store, left for the shipper as files and placed by it.

The shipper is the only one who writes to the store. A note is one row of one of the tables below, durable when `leave`
returns; its file is gone when it is in the store. Placing it twice changes nothing: its name is the insert's token.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from sluice import durable
from sluice.ship.clickhouse import Store

log = logging.getLogger("sluice.ship")

TABLES = frozenset({"finding_events", "policy_approvals", "decision_reviews", "posture_facts", "cov_observation"})
"""Tables that are filled this way, and no other."""
REQUEST = "evaluate.request"
RESULT = "evaluated.json"
MOST_ROWS = 5000
"""Rows of one note; more are several."""

type Row = Mapping[str, str | int | float | bool]


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows for one table."""

    table: str
    rows: tuple[dict[str, str | int | float | bool], ...]


def inbox(directory: Path) -> Path:
    """Where notes lie, below the shipper's directory."""
    return directory / "posture"


def leave(directory: Path, table: str, rows: Iterable[Row]) -> list[Path]:
    """Leave rows for the shipper of this machine; the files that hold them. Raises OSError."""
    assert table in TABLES
    box, all_rows, left = inbox(directory), [dict(row) for row in rows], []
    box.mkdir(mode=0o700, parents=True, exist_ok=True)
    for first in range(0, len(all_rows), MOST_ROWS):
        path = box / f"{time.time_ns():020}-{os.getpid()}-{first:06}.json"
        durable.write(path, msgspec.json.encode(Note(table, tuple(all_rows[first : first + MOST_ROWS]))))
        left.append(path)
    return left


def gone(paths: Iterable[Path], seconds: float) -> bool:
    """Wait until the shipper has taken these files; False when it has not within so many seconds."""
    deadline = time.monotonic() + seconds
    for path in paths:
        while path.exists():
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
    return True


def place(store: Store, directory: Path) -> int:
    """Bring what was left into the store; how many notes. A file that is no note is set aside, not tried for ever.
    Raises `StoreError`, OSError."""
    placed = 0
    for path in sorted(inbox(directory).glob("*.json")):
        if path.name == RESULT:
            continue
        try:
            note = msgspec.json.decode(path.read_bytes(), type=Note)
            if note.table not in TABLES:
                raise ValueError(f"`{note.table}` is filled otherwise")
        except (ValueError, msgspec.MsgspecError) as e:
            path.rename(path.with_suffix(".bad"))
            log.warning("a note for the store is none", extra={"facts": {"file": path.name, "why": str(e)[:200]}})
            continue
        store.add(note.table, b"\n".join(map(msgspec.json.encode, note.rows)), f"note {path.name}")
        path.unlink()
        placed += 1
    return placed
