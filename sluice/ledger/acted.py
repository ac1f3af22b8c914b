"""How many decisions the gate has acted on, counted beside the ledger and not by it, so that the two can be compared.

`<stream>/decided` holds two numbers of 64 bits: the epoch, and how often in it the gate let something pass, blocked or
refused on the strength of a receipt. The file is mapped: counting is a store, and outlives the process that is killed.
What an epoch came to is put on record when the next one begins (control record `decided`).

    acted on <= recorded    always. More acted on than recorded: something moved without evidence, or evidence is gone
    acted on <  recorded    requests in flight; after a kill, those that were recorded and not answered any more
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sluice.durable import SHARED
from sluice.errors import Cause, Unavailable

FILE = "decided"
CONTROL = "decided"
"""Kind of the control record."""
_SIZE = 16


@dataclass(frozen=True, slots=True)
class Decided:
    """What the gate counted in one epoch of a stream."""

    epoch: int
    decisions: int


class Count:
    """The count of one epoch, from zero. For the gate's own thread. Raises `Unavailable` when it cannot be kept."""

    def __init__(self, stream: Path, epoch: int) -> None:
        try:
            fd = os.open(stream / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, SHARED)
            try:
                os.pwrite(fd, struct.pack("<QQ", epoch, 0), 0)  # gives the page a block: a hole could fault when full
                self._map = mmap.mmap(fd, _SIZE)
            finally:
                os.close(fd)
        except OSError as e:
            raise Unavailable(Cause.AUDIT_UNAVAILABLE, f"{stream / FILE} cannot be kept: {e.strerror}") from e
        self._numbers = memoryview(self._map).cast("Q")

    def add(self) -> None:
        """One more decision that was acted on."""
        self._numbers[1] += 1

    def close(self) -> None:
        self._numbers.release()
        self._map.close()


def read(stream: Path) -> Decided | None:
    """The newest count of a stream; None where nobody counts (the sealer's own stream, or none yet). Raises OSError."""
    try:
        data = (stream / FILE).read_bytes()
    except FileNotFoundError:
        return None
    return Decided(*struct.unpack_from("<QQ", data)) if len(data) >= _SIZE else None


def events(stream: Path) -> Iterator[tuple[str, dict[str, object]]]:
    """The control record of the epoch that is over. To be read when its successor holds the stream."""
    before = read(stream)
    if before is not None:
        yield CONTROL, {"epoch": before.epoch, "decisions": before.decisions}
