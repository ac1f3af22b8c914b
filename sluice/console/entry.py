"""Who may come in: whoever knows the one password, or, where the settings name people, those with their own passwords.

People are those of `identity.users`, which is read again at every login: whoever was taken out of it, or out of
`console.users`, cannot log in again, and a session that was open ends with its next request. Passwords are checked as
at the proxy: argon2id off the loop, with a lock-out.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable
from dataclasses import dataclass

from sluice.config import Settings
from sluice.errors import Misconfigured
from sluice.identity.login import Logins, Result
from sluice.identity.users import fits, read_users, username
from sluice.ship.http.credentials import USER, Credentials

WRONG = "That is not right."
LATER = "Too many attempts. Wait a while."


@dataclass(frozen=True, slots=True)
class Verdict:
    """`by` is set for whoever may come in: the name, or `console` for the one password. Else `problem` and `status`."""

    by: str = ""
    problem: str = ""
    status: int = 200


class Entry:
    """The door of one console. `secret` is the one password, empty where people have their own; `check` tells whether a
    hash is that of a password."""

    def __init__(self, settings: Settings, secret: str, *, check: Callable[[str, str], bool] = fits) -> None:
        self._file = settings.identity.users
        self._names = frozenset(filter(None, map(username, settings.console.users)))
        self._credentials = Credentials(secret)
        self._logins = Logins(
            {},
            failures=settings.identity.login_failures,
            lock_seconds=settings.identity.login_lock_seconds,
            check=check,
        )

    @property
    def asks_name(self) -> bool:
        """Whether people come in by name."""
        return bool(self._names)

    async def check(self, name: str, password: str, client: str) -> Verdict:
        """Judge what the form said."""
        return await (self._by_name(name, password, client) if self._names else self._by_password(password))

    async def admits(self, by: str) -> bool:
        """Whether who has logged in may go on: nobody who was taken out of the file or whose time is over may."""
        if not self._names:
            return True
        if self._file is None:
            return False
        try:
            user = (await asyncio.to_thread(read_users, self._file)).get(by)
        except Misconfigured:
            return False
        return user is not None and by in self._names and not (user.expires and user.expires <= time.time_ns())

    async def _by_password(self, password: str) -> Verdict:
        match await self._credentials.check(USER, password):
            case True:
                return Verdict("console")
            case False:
                return Verdict(problem=WRONG, status=403)
            case _:
                return Verdict(problem=LATER, status=429)

    async def _by_name(self, name: str, password: str, client: str) -> Verdict:
        if self._file is None:
            return Verdict(problem="`identity.users` is not set: nobody can log in.", status=503)
        try:
            users = await asyncio.to_thread(read_users, self._file)
        except Misconfigured:
            return Verdict(problem="The file of users cannot be read; the operator has to look at it.", status=503)
        self._logins.replace({known: user for known, user in users.items() if known in self._names})
        said = base64.b64encode(f"{name}:{password}".encode("utf-8", "replace")).decode()
        login = await self._logins.check(f"Basic {said}", client, time.time_ns())
        if login.result is Result.OK and login.user:
            return Verdict(login.user.name)
        if login.result in (Result.LOCKED, Result.BUSY, Result.DOWN):
            return Verdict(problem=LATER, status=429)
        return Verdict(problem=WRONG, status=403)
