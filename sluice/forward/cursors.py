"""How far a destination is: a position in every stream, in a small file that survives a crash."""

from __future__ import annotations

from pathlib import Path

import msgspec

from sluice import durable
from sluice.errors import Misconfigured, Problem
from sluice.ledger import reader
from sluice.ledger.reader import Position


class Cursor(msgspec.Struct):
    """What a destination has taken. `missed` counts records that the ledger had let go before they were sent."""

    streams: dict[str, Position] = {}
    sent: int = 0
    rejected: int = 0
    missed: int = 0


def load(file: Path) -> Cursor | None:
    """None where there is none yet. Raises `Misconfigured`."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Cursor)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as e:
        what = f"is no cursor ({type(e).__name__}); move it away to begin anew, at the end of the ledger"
        raise Misconfigured(Problem(str(file), None, what)) from e


def save(file: Path, cursor: Cursor) -> None:
    """Raises OSError."""
    durable.write(file, msgspec.json.encode(cursor))


def begin(ledger: Path, *, from_start: bool) -> Cursor:
    """A new destination's: at the end of what is there, so that no SIEM is flooded with the past; or at its start."""
    cursor = Cursor()
    if not from_start:
        for stream in reader.streams(ledger):
            if (end := reader.end(stream)) is not None:
                cursor.streams[stream.name] = end
    return cursor


def waiting(ledger: Path, cursor: Cursor) -> int:
    """Records behind the cursor, of every kind."""
    total = 0
    for stream in reader.streams(ledger):
        at = cursor.streams.get(stream.name)
        count = reader.acknowledged(stream)
        last = count if count is not None else (end.seq if (end := reader.end(stream)) else 0)
        total += max(0, last - (at.seq if at else 0))
    return total
