"""Memory that all questions to the embedded engine may use together.

The engine bounds each question by itself, and eight of them would still get the shipper killed on a small machine. So
each claims what it may use at most before it begins, and one that does not fit beside the others waits, and is told in
the end. Inserts claim nothing: records keep coming whatever is asked.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from sluice.ship.sqlgate import SqlError

MEMORY_LIMIT_EXCEEDED = 241
SHARE = 3
"""A third of the memory is for questions, where the settings do not say how much."""
MOST_BYTES = 4 * 1024**3
LEAST_BYTES = 128 * 1024**2
WAIT_SECONDS = 10.0
_MIB = 1024**2


class Allowance:
    """Claims of several threads on one amount of memory, in bytes. 0: as much as fits this machine."""

    def __init__(self, total: int = 0) -> None:
        self.total = total or max(LEAST_BYTES, min(MOST_BYTES, memory() // SHARE))
        self._used = 0
        self._changed = threading.Condition()

    @property
    def used(self) -> int:
        return self._used

    def claim(self, size: int, seconds: float | None = None) -> Claim:
        """Wait until it fits beside the others. Raises `SqlError` when it does not in that time."""
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._used + size <= self.total, WAIT_SECONDS if seconds is None else seconds
            ):
                what = (
                    f"Memory limit exceeded: the questions that run may use {self._used // _MIB} of the "
                    f"{self.total // _MIB} MiB that all of them share, and this one asks for {-(-size // _MIB)} MiB; "
                    "try again, or raise clickhouse.questions_memory_mb (MEMORY_LIMIT_EXCEEDED)"
                )
                raise SqlError(MEMORY_LIMIT_EXCEEDED, what)
            self._used += size
        return Claim(self, size)

    @contextlib.contextmanager
    def held(self, size: int, seconds: float | None = None) -> Iterator[None]:
        """A claim for as long as the block runs. Raises as `claim` does."""
        claim = self.claim(size, seconds)
        try:
            yield
        finally:
            claim.release()

    def _give_back(self, size: int) -> None:
        with self._changed:
            self._used -= size
            self._changed.notify_all()


class Claim:
    """Memory that is taken until `release`, which may be called again."""

    def __init__(self, allowance: Allowance, size: int) -> None:
        self._allowance = allowance
        self._size = size

    def release(self) -> None:
        size, self._size = self._size, 0
        self._allowance._give_back(size)


def memory(root: Path = Path("/")) -> int:
    """Bytes of memory that this process may use: of the machine, or less where its control group has a limit."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    with contextlib.suppress(OSError, ValueError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                base, name = root / "sys/fs/cgroup", "memory.max"
            elif "memory" in controllers.split(","):
                base, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
            else:
                continue
            group = base / path.lstrip("/")
            for place in (group, *group.parents):
                if place.is_relative_to(base):  # a container sees its own group at the base
                    with contextlib.suppress(OSError, ValueError):  # no limit: there is no file, or it says `max`
                        found.append(int((place / name).read_text()))
    return min(found)
