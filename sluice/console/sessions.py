"""Who is logged in: sessions, in memory alone.

A session is a random value in a cookie; what is kept of it is its digest. It ends after a time without a request, after
a day at the latest, at the logout, when the password that opened it is another one, and with the process. Each carries
a token that everything posted must repeat.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

COOKIE = "sluice-console"
LOGIN_COOKIE = "sluice-console-login"
"""Before there is a session: repeated by the login form, so that no other site can log a browser in."""
LONGEST_SECONDS = 24 * 3600.0
MOST = 64
"""Sessions at once; the oldest goes first."""


@dataclass(slots=True)
class Session:
    """One browser. `name` is for the access records: short, and worth nothing as a cookie. `by`: who logged in. `mark`:
    of the password that they did it with."""

    name: str
    by: str
    mark: str
    token: str
    begun: float
    seen: float


class Sessions:
    """The sessions of one process."""

    def __init__(self, idle_seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._idle = idle_seconds
        self._clock = clock
        self._known: dict[str, Session] = {}

    def begin(self, by: str = "console", mark: str = "") -> str:
        """A new session; its cookie's value."""
        now = self._clock()
        self._forget(now)
        while len(self._known) >= MOST:
            del self._known[min(self._known, key=lambda one: self._known[one].seen)]
        value = secrets.token_urlsafe(32)
        digest = _digest(value)
        self._known[digest] = Session(digest[:12], by, mark, secrets.token_urlsafe(24), now, now)
        return value

    def find(self, value: str | None) -> Session | None:
        """The session of a cookie, which lives on by being asked for."""
        if not value:
            return None
        now = self._clock()
        self._forget(now)
        session = self._known.get(_digest(value))
        if session:
            session.seen = now
        return session

    def end(self, value: str | None) -> None:
        self._known.pop(_digest(value or ""), None)

    def _forget(self, now: float) -> None:
        over = [
            digest for digest, s in self._known.items() if now - s.seen > self._idle or now - s.begun > LONGEST_SECONDS
        ]
        for digest in over:
            del self._known[digest]


def same(given: str, expected: str) -> bool:
    """Whether two tokens are the same, in constant time; an empty one never is."""
    return bool(expected) and hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()
