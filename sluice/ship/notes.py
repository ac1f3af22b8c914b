"""What people and other tools have to say to the store, left for the shipper as files and placed by it.

The shipper is the only one who writes to the store. A note is rows of one of the tables below, durable when `leave`
returns; its file is gone when they are in the store. Placing it twice changes nothing: its name is the insert's token.

The directory is the appliance's own (mode 0700), and yet nothing that lies there may stop the shipper: what is no note,
and what the store will never take, is set aside as `*.bad`; links and pipes are not opened; the rest goes on.
"""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Iterable, Mapping, Set
from pathlib import Path

import msgspec

from sluice import durable
from sluice.ship import retries
from sluice.ship.clickhouse import Store, StoreError

log = logging.getLogger("sluice.ship")

TABLES = frozenset({"finding_events", "policy_approvals", "decision_reviews", "posture_facts", "cov_observation"})
"""Tables that are filled this way, and no other."""
REQUEST = "evaluate.request"
RESULT = "evaluated.json"
MOST_ROWS = 5000
"""Rows of one note; more are several."""
LARGEST = 16 * 1024 * 1024
"""Bytes of one note."""

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
        durable.write(
            path, msgspec.json.encode(Note(table, tuple(all_rows[first : first + MOST_ROWS]))), durable.SHARED
        )
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


def place(store: Store, directory: Path, users: Set[int] | None = None) -> int:
    """Bring what was left into the store; how many notes. A note that the store cannot take now keeps no other waiting.
    `users`: ids of those who may leave one, where processes have accounts of their own; another's is set aside.
    Raises `StoreError` of the last such note, OSError."""
    placed, waiting = 0, None
    for path in sorted(inbox(directory).glob("*.json")):
        if path.name == RESULT:
            continue
        try:
            note = _read(path, users)
            store.add(note.table, b"\n".join(map(msgspec.json.encode, note.rows)), f"note {path.name}")
        except (ValueError, msgspec.MsgspecError) as e:
            _set_aside(path, str(e))
        except StoreError as e:
            if e.code in retries.ROW:  # also an unknown column: its rows are of somebody else's making
                _set_aside(path, f"the store will never take it ({retries.name(e.code)})")
            else:
                waiting = e
        else:
            path.unlink()
            placed += 1
    if waiting is not None:
        raise waiting
    return placed


def _read(path: Path, users: Set[int] | None) -> Note:
    """Raises ValueError or `MsgspecError` for what is no note, OSError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as e:
        raise ValueError(f"it cannot be opened as a file of its own: {e.strerror}") from e
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
            raise ValueError(f"it is no file of at most {LARGEST // 1024**2} MiB")
        if users is not None and found.st_uid not in users:
            raise ValueError(f"user {found.st_uid} has nothing to say here")
        with os.fdopen(fd, "rb", closefd=False) as file:
            note = msgspec.json.decode(file.read(LARGEST), type=Note)
    finally:
        os.close(fd)
    if note.table not in TABLES:
        raise ValueError(f"`{note.table}` is filled otherwise")
    return note


def _set_aside(path: Path, why: str) -> None:
    path.rename(path.with_suffix(".bad"))
    log.warning("a note for the store is none", extra={"facts": {"file": path.name, "why": why[:200]}})
