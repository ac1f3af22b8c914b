"""Too many wrong passwords: who is locked out, and until when. Bounded memory, whatever is thrown at it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

MOST_KEYS = 20_000
"""Addresses and names remembered at once, per worker; the one that was quiet longest is forgotten first."""


@dataclass(slots=True)
class _Count:
    failures: int = 0
    since: float = 0.0
    waiting: int = 0
    locked_until: float = 0.0


class Lockout:
    """Counts failures of a key (an address, a name). After `limit` of them within `window` seconds the key is locked
    for `seconds`. Attempts that are being checked count as failures to come, once there was one."""

    def __init__(self, limit: int, window: float, seconds: float, clock: Callable[[], float]) -> None:
        self._limit, self._window, self._seconds, self._clock = limit, window, seconds, clock
        self._counts: OrderedDict[Hashable, _Count] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def locked(self, key: Hashable) -> bool:
        count = self._counts.get(key)
        return count is not None and count.locked_until > self._clock()

    def full(self, key: Hashable) -> bool:
        """Whether so many attempts are being checked that one more could pass the limit."""
        count = self._counts.get(key)
        return count is not None and count.failures > 0 and count.failures + count.waiting >= self._limit

    def begin(self, key: Hashable) -> None:
        """An attempt goes to be checked. `end` or `failed` must follow."""
        self._of(key).waiting += 1

    def end(self, key: Hashable) -> None:
        """It was right, or came to nothing."""
        if (count := self._counts.get(key)) is not None:
            count.waiting = max(0, count.waiting - 1)

    def failed(self, key: Hashable) -> bool:
        """One failure more. True when the key is locked by it."""
        now, count = self._clock(), self._of(key)
        if now - count.since > self._window:
            count.failures, count.since = 0, now
        count.failures += 1
        if count.failures < self._limit or count.locked_until > now:
            return False
        count.failures, count.locked_until = 0, now + self._seconds
        return True

    def _of(self, key: Hashable) -> _Count:
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = _Count(since=self._clock())
            if len(self._counts) > MOST_KEYS:
                self._counts.popitem(last=False)
        self._counts.move_to_end(key)
        return count
