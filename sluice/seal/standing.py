"""How far the ledgers are sealed, read from the files alone: the answer is right with a dead sealer too."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from sluice.ledger import checkpoint, reader, segment
from sluice.ledger.note import BadNote
from sluice.ledger.segment import Damaged
from sluice.seal import store


@dataclass(frozen=True, slots=True)
class Standing:
    """One stream. `size` records are sealed, `durable` are on disk; `age` of the newest checkpoint and `lag` of the
    oldest record that none covers, in seconds (None: no checkpoint, nothing waits)."""

    stream: str
    size: int
    durable: int
    age: float | None
    lag: float | None

    @property
    def unsealed(self) -> int:
        return max(0, self.durable - self.size)


def standing(ledger: Path, seal: Path) -> tuple[Standing, ...]:
    """Every stream below a ledger directory. Raises OSError."""
    return tuple(_stream(stream, seal / stream.name) for stream in segment.streams(ledger))


def _stream(stream: Path, directory: Path) -> Standing:
    now = time.time()
    size, age = 0, None
    # Broken files are `verify`'s to name; here they mean that nothing is known to be sealed, or durable.
    with contextlib.suppress(ValueError, BadNote):
        if newest := store.newest(directory):
            size, age = checkpoint.unverified(newest.note).size, max(0.0, now - newest.at / 1e6)
    durable = size
    with contextlib.suppress(segment.NoRegularFile):
        durable = segment.acknowledged(stream) or size
    lag = None
    if durable > size:
        first = _first_behind(stream, size, directory)
        lag = max(0.0, now - first / 1e6) if first else 0.0
    return Standing(stream.name, size, durable, age, lag)


def _first_behind(stream: Path, size: int, directory: Path) -> int:
    """When the record behind the sealed ones was received (Unix us); 0 when it cannot be read."""
    state = store.state(directory)
    at = reader.Position(state.segment, state.offset, state.size) if state.size == size and state.segment else None
    try:
        return next((e.at for e in reader.read(stream, at) if e.seq >= size), 0)
    except Damaged:
        return 0
