"""The one user of the SQL interface. Its password is made on first start and lies in a file that only its owner reads.

Compared in constant time. After a few failures each further one is answered late, and when many wait at once, at once
with 429: guessing is slow, and a right password never waits.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path

from sluice import durable
from sluice.config import Settings
from sluice.errors import Misconfigured, Problem

USER = "sluice"
FREE_FAILURES = 5
"""Failures within `WINDOW_SECONDS` that cost nothing: typing errors."""
WINDOW_SECONDS = 60.0
LONGEST_DELAY = 5.0
WAITING = 8
SHORTEST_PASSWORD = 16


def password_file(settings: Settings) -> Path:
    """Where the password lies."""
    return (settings.paths.var / "ship" if settings.accounts.used else settings.keys_dir) / "sql-http.password"


def password(settings: Settings) -> str:
    """The password; made when there is none. Raises `Misconfigured` when the file cannot be used."""
    return secret_in(password_file(settings))


def secret_in(path: Path) -> str:
    """The secret in a file; made when there is none. Raises `Misconfigured` when the file cannot be used."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            durable.write(path, secrets.token_urlsafe(24).encode() + b"\n")
        if path.stat().st_mode & 0o077:
            raise Misconfigured(Problem(str(path), None, "is readable by others; run `chmod 600` on it"))
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeError) as e:
        raise Misconfigured(Problem(str(path), None, f"cannot be used: {e}")) from e
    if len(text) < SHORTEST_PASSWORD:
        what = f"holds fewer than {SHORTEST_PASSWORD} characters; remove it, and a new password is made"
        raise Misconfigured(Problem(str(path), None, what))
    return text


class Credentials:
    """Tells the user from everybody else. For one event loop."""

    def __init__(
        self,
        secret: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._secret = _digest(secret)
        self._clock = clock
        self._sleep = sleep
        self._failures: deque[float] = deque(maxlen=64)
        self._waiting = 0

    def replace(self, secret: str) -> None:
        """Another password is in force; failures of before still count."""
        self._secret = _digest(secret)

    async def check(self, user: str, given: str) -> bool | None:
        """True for the user with its password; False after a delay that grows with the failures; None when too many
        wait already, and nothing was compared for them."""
        if hmac.compare_digest(_digest(given), self._secret) & hmac.compare_digest(_digest(user), _digest(USER)):
            return True
        now = self._clock()
        while self._failures and self._failures[0] < now - WINDOW_SECONDS:
            self._failures.popleft()
        self._failures.append(now)
        excess = len(self._failures) - FREE_FAILURES
        if excess <= 0:
            return False
        if self._waiting >= WAITING:
            return None
        self._waiting += 1
        try:
            await self._sleep(min(LONGEST_DELAY, 0.1 * 2 ** min(excess, 10)))
        finally:
            self._waiting -= 1
        return False


def _digest(text: str) -> bytes:
    """Of one length, so that a comparison says nothing about the length either."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
