"""Who may come in: whoever knows the one password, or, where the settings name people, those with their own passwords.

People are those of `identity.users`. That file, and the one of the one password, is read again at every login and with
every request: whoever was taken out of it, or out of `console.users`, or has another password since, is out at once.
Passwords are checked as at the proxy: argon2id off the loop, with a lock-out.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass

from sluice import metrics
from sluice.config import Settings
from sluice.errors import Misconfigured
from sluice.identity.login import Logins, Result
from sluice.identity.users import fits, read_users, username
from sluice.ship.http.credentials import USER, Credentials, secret_in

WRONG = "That is not right."
LATER = "Too many attempts. Wait a while."
UNREADABLE = "The file of {} cannot be used; the operator has to look at it."
LINE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """`by` is set for whoever may come in: the name, or `console` for the one password; `mark` is of the password that
    was right. Else `problem` and `status`."""

    by: str = ""
    problem: str = ""
    status: int = 200
    mark: str = ""


class Entry:
    """The door of one console. `check` tells whether a hash is that of a password."""

    def __init__(self, settings: Settings, *, check: Callable[[str, str], bool] = fits) -> None:
        self._file = settings.identity.users
        self._password = settings.console_password
        self._names = frozenset(filter(None, map(username, settings.console.users)))
        self._judges = frozenset(filter(None, map(username, settings.console.judges)))
        self._credentials = Credentials("")
        self._logins = Logins(
            {},
            failures=settings.identity.login_failures,
            lock_seconds=settings.identity.login_lock_seconds,
            check=check,
            counted=metrics.CONSOLE_LOGINS,
        )

    @property
    def asks_name(self) -> bool:
        """Whether people come in by name."""
        return bool(self._names)

    def judges(self, by: str) -> bool:
        """Whether who has logged in may say something of a finding."""
        return not self._judges or by in self._judges

    async def check(self, name: str, password: str, client: str) -> Verdict:
        """Judge what the form said."""
        return await (self._by_name(name, password, client) if self._names else self._by_password(password))

    async def admits(self, by: str, mark: str) -> bool:
        """Whether who has logged in may go on: nobody whose password is another one now, who was taken out of the file
        or whose time is over may."""
        try:
            if not self._names:
                return hmac.compare_digest(_mark(await asyncio.to_thread(secret_in, self._password)), mark)
            if self._file is None:
                return False
            user = (await asyncio.to_thread(read_users, self._file)).get(by)
        except Misconfigured:
            return False
        if user is None or by not in self._names or (user.expires and user.expires <= time.time_ns()):
            return False
        return hmac.compare_digest(_mark(user.hash), mark)

    async def _by_password(self, password: str) -> Verdict:
        try:
            secret = await asyncio.to_thread(secret_in, self._password)
        except Misconfigured:
            metrics.CONSOLE_LOGINS.labels(Result.DOWN).inc()
            return Verdict(problem=UNREADABLE.format("the password"), status=503)
        self._credentials.replace(secret)
        match await self._credentials.check(USER, password):
            case True:
                result, verdict = Result.OK, Verdict("console", mark=_mark(secret))
            case False:
                result, verdict = Result.WRONG, Verdict(problem=WRONG, status=403)
            case _:
                result, verdict = Result.LOCKED, Verdict(problem=LATER, status=429)
        metrics.CONSOLE_LOGINS.labels(result).inc()
        return verdict

    async def _by_name(self, name: str, password: str, client: str) -> Verdict:
        if self._file is None:
            return Verdict(problem="`identity.users` is not set: nobody can log in.", status=503)
        try:
            users = await asyncio.to_thread(read_users, self._file)
        except Misconfigured:
            metrics.CONSOLE_LOGINS.labels(Result.DOWN).inc()
            return Verdict(problem=UNREADABLE.format("users"), status=503)
        self._logins.replace({known: user for known, user in users.items() if known in self._names})
        said = base64.b64encode(f"{name}:{password}".encode("utf-8", "replace")).decode()
        login = await self._logins.check(f"Basic {said}", client, time.time_ns())
        if login.result is Result.OK and login.user is not None:
            return Verdict(login.user.name, mark=_mark(login.user.hash))
        if login.result in (Result.LOCKED, Result.BUSY, Result.DOWN):
            return Verdict(problem=LATER, status=429)
        return Verdict(problem=WRONG, status=403)


class Failures:
    """Which failed logins get a line in the log: one in `LINE_SECONDS`, which says how many there were. Each is counted
    by a metric."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = 0
        self._next = 0.0

    def line(self) -> int:
        """One more failed. How many did since the last line, when it is time for one; else 0."""
        self._since += 1
        now = self._clock()
        if now < self._next:
            return 0
        self._next = now + LINE_SECONDS
        found, self._since = self._since, 0
        return found


def _mark(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
