"""A time limit for many short waits: one timer for all that are under way.

A request passes three limits on its way, and as good as none is ever reached. `asyncio.timeout` sets and cancels a
timer for each; here a wait is an entry in a table, and the timer looks at the oldest. In all else it is the same: the
task is cancelled, and its cancellation becomes `TimeoutError` where the limit was set.
"""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadline:
    """`with deadline(): await ...` raises `TimeoutError` after `seconds`. For one event loop, any number of tasks."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waits: dict[Wait, None] = {}
        """Those under way. All are equally long, so the order of coming is the order of going."""
        self._timer: asyncio.AbstractEventLoop | None = None
        """The loop that has a timer running."""

    def __call__(self) -> Wait:
        return Wait(self)

    def begin(self, wait: Wait) -> None:
        """Take a wait in; from now on it has `seconds`."""
        loop = asyncio.get_running_loop()
        wait.due = loop.time() + self._seconds
        self._waits[wait] = None
        if self._timer is not loop:
            self._timer = loop
            loop.call_at(wait.due, self._look, loop)

    def end(self, wait: Wait) -> None:
        """It came back, in time or not."""
        self._waits.pop(wait, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel what is overdue; the timer runs on for the first that is not."""
        now = loop.time()
        for wait in tuple(self._waits):
            if wait.due > now:
                loop.call_at(wait.due, self._look, loop)
                return
            del self._waits[wait]
            wait.cancel()
        self._timer = None


class Wait:
    """One use of a `Deadline`."""

    __slots__ = ("_cancelling", "_deadline", "_expired", "_task", "due")

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._expired = False
        self.due = 0.0

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a time limit needs a task that it can cancel")
        self._task = task
        self._cancelling = task.cancelling()
        self._deadline.begin(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadline.end(self)
        # A cancellation from elsewhere that came as well outranks ours, as in `asyncio.timeout`.
        if self._expired and self._task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error

    def cancel(self) -> None:
        """Time is up."""
        self._expired = True
        self._task.cancel()
