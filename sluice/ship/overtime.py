"""Questions that the embedded engine does not end, though their time is over.

The engine looks at the clock, and at a KILL, only between two blocks of rows: one row whose function takes hours
(`hasAll` of two arrays of a million values) cannot be ended but with the process. Four of them were all turns there
are. So whoever owns the engine counts, and a process in which one goes on long after its time ends itself: it is
started again at once, and nothing of what it ships is lost or doubled.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

GRACE_SECONDS = 30.0
"""After its time a question may take this long to end: a block of many rows, a large sort that is undone."""


class Overtime:
    """The questions that one engine runs. May be called from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, grace: float = GRACE_SECONDS) -> None:
        self._clock = clock
        self._grace = grace
        self._lock = threading.Lock()
        self._due: dict[object, tuple[float, Callable[[], bool]]] = {}

    def begin(self, seconds: float, waits: Callable[[], bool] = lambda: False) -> Callable[[], None]:
        """A question of at most so many seconds begins; call what is returned when it has ended. `waits` says whether
        it is waiting for its reader at the moment, which is no fault of its own."""
        question = object()
        with self._lock:
            self._due[question] = (self._clock() + seconds, waits)

        def end() -> None:
            with self._lock:
                self._due.pop(question, None)

        return end

    @contextlib.contextmanager
    def counted(self, seconds: float) -> Iterator[None]:
        """A question runs in the block."""
        end = self.begin(seconds)
        try:
            yield
        finally:
            end()

    def exceeded(self) -> bool:
        """Whether a question goes on so long after its time that only the end of the process ends it. Asked about
        every second: one that waits for its reader has its grace anew from then."""
        now = self._clock()
        with self._lock:
            for question, (due, waits) in self._due.items():
                if due < now and waits():
                    self._due[question] = (now, waits)
            return any(due + self._grace < now for due, _ in self._due.values())
