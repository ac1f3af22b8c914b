"""Logging in at the proxy: `Proxy-Authorization: Basic` against the user file (RFC 9110 section 11.7, RFC 7617).

Rules
- A credential that was sent is judged; a wrong one never falls back to a weaker way of knowing the sender.
- Hashes are checked on one thread of low priority, off the event loop; what would wait too long is refused.
- What was right is remembered by its HMAC under a key that lives as long as the process, for a while and in bounded
  memory; the user file's change empties it. Passwords are kept nowhere, names of failed attempts neither.
- An unknown name costs what a known one costs: the hash of a password that nobody has is checked for it.
- Failures count by address and by name, known or not. A lock does not touch who is remembered already: guessing at
  somebody's name must not put him out of work.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import ipaddress
import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum

from sluice import metrics
from sluice.errors import Unavailable
from sluice.identity.addresses import address as parsed
from sluice.identity.lockout import Lockout
from sluice.identity.users import MAX_PASSWORD, User, Users, fits, hashed, username
from sluice.tally import Tallies

MAX_CREDENTIAL = 1024
"""Characters of `Proxy-Authorization`: name and password of the longest kind, in base64."""
MAX_WAITING = 64
"""Hashes waiting for the thread; at 40 ms each the last one waits as long as anybody should."""
WAIT_SECONDS = 3.0
MAX_REMEMBERED = 10_000
BY_ADDRESS = 5
"""Many people can sit behind one address: it may fail so many times more often than one name."""
_NICE = 10


class Result(StrEnum):
    """What came of a login. All but `OK` are answered with 407 and a challenge, `BUSY` and `DOWN` with 503."""

    OK = "ok"
    MISSING = "required"
    MALFORMED = "malformed"
    WRONG = "wrong"
    EXPIRED = "expired"
    LOCKED = "locked out"
    BUSY = "busy"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Login:
    """A verdict. `user` is set for `OK`; `claimed` where a user of the file was named and the password was wrong.
    `first` is False for further attempts while locked: they are counted and not recorded."""

    result: Result
    user: User | None = None
    claimed: User | None = None
    first: bool = True


@dataclass(frozen=True, slots=True)
class _Said:
    """**P** What a client sent."""

    name: str
    password: str = field(repr=False)


class Logins:
    """The logins of one worker. Used from its event loop."""

    def __init__(
        self,
        users: Users,
        *,
        failures: int = 10,
        lock_seconds: float = 300.0,
        cache_seconds: float = 3600.0,
        clock: Callable[[], float] = time.monotonic,
        check: Callable[[str, str], bool] = fits,
        counted: Tallies = metrics.LOGINS,
    ) -> None:
        self._users = users
        self._clock = clock
        self._check = check
        self._counted = counted
        self._cache_seconds = cache_seconds
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, tuple[User, float]] = OrderedDict()
        self._asked: dict[bytes, asyncio.Future[bool]] = {}
        self._nobody = hashed(secrets.token_hex(16))
        self._names = Lockout(failures, lock_seconds, lock_seconds, clock)
        self._addresses = Lockout(failures * BY_ADDRESS, lock_seconds, lock_seconds, clock)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="login", initializer=_yielding)

    @property
    def remembered(self) -> int:
        return len(self._right)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def replace(self, users: Users) -> None:
        """Another user file is in force: nobody is remembered."""
        self._users = users
        self._right.clear()

    def holds(self, user: User, at: int) -> bool:
        """Whether a login of before still counts at a time (nanoseconds since the epoch): same line, not run out."""
        return self._users.get(user.name) == user and not (user.expires and user.expires <= at)

    async def check(self, credential: str | None, address: str, at: int) -> Login:
        """Judge the value of `Proxy-Authorization` that came from an address. Never raises but `CancelledError`."""
        login = await self._judge(credential, _source(address), at)
        self._counted.labels(login.result).inc()
        return login

    async def _judge(self, credential: str | None, source: str, at: int) -> Login:
        if credential is None:
            return Login(Result.MISSING)
        mark = hmac.digest(self._key, credential.encode("utf-8", "surrogatepass"), "sha256")
        if (user := self._remembered(mark)) is not None:
            return Login(Result.OK if self.holds(user, at) else Result.EXPIRED, user)
        said = _read(credential)
        if said is None:
            return self._failed(Result.MALFORMED, source, None, None)
        name = hmac.digest(self._key, said.name.encode(), "sha256")
        if self._names.locked(name) or self._addresses.locked(source):
            return Login(Result.LOCKED, first=False)
        user = self._users.get(said.name)
        if self._addresses.full(source) or self._names.full(name):
            return Login(Result.BUSY)
        try:
            right = await self._verify(mark, source, name, user.hash if user else self._nobody, said.password)
        except (TimeoutError, asyncio.QueueFull):
            return Login(Result.BUSY)
        except Unavailable:
            return Login(Result.DOWN)
        if not right or user is None:
            return self._failed(Result.WRONG, source, name, user)
        if not self.holds(user, at):  # run out, or the file was changed meanwhile
            return Login(Result.EXPIRED, claimed=user)
        self._remember(mark, user)
        return Login(Result.OK, user)

    async def _verify(self, mark: bytes, source: str, name: bytes, hash_: str, password: str) -> bool:
        """Check a hash; the same credential that several connections bring at once is checked once."""
        asked = self._asked.get(mark)
        if asked is None:
            if len(self._asked) >= MAX_WAITING:
                raise asyncio.QueueFull
            asked = asyncio.get_running_loop().run_in_executor(self._pool, self._check, hash_, password)
            self._asked[mark] = asked
            asked.add_done_callback(lambda done: self._done(mark, done))
        self._addresses.begin(source)
        self._names.begin(name)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                return await asyncio.shield(asked)
        finally:
            self._addresses.end(source)
            self._names.end(name)

    def _done(self, mark: bytes, done: asyncio.Future[bool]) -> None:
        self._asked.pop(mark, None)
        if not done.cancelled():
            done.exception()  # looked at: whoever waited for it may have given up

    def _failed(self, result: Result, source: str, name: bytes | None, claimed: User | None) -> Login:
        by_name = name is not None and self._names.failed(name)
        by_address = self._addresses.failed(source)
        for locked, what in ((by_name, "user"), (by_address, "address")):
            if locked:
                metrics.LOCKOUTS.labels(what).inc()
        if by_name or by_address:
            return Login(Result.LOCKED, claimed=claimed)
        if result is Result.MALFORMED and self._addresses.locked(source):
            return Login(Result.LOCKED, first=False)
        return Login(result, claimed=claimed)

    def _remembered(self, mark: bytes) -> User | None:
        found = self._right.get(mark)
        if found is None:
            return None
        user, until = found
        if until <= self._clock():
            del self._right[mark]
            return None
        self._right.move_to_end(mark)
        return user

    def _remember(self, mark: bytes, user: User) -> None:
        self._right[mark] = (user, self._clock() + self._cache_seconds)
        while len(self._right) > MAX_REMEMBERED:
            self._right.popitem(last=False)


def _read(credential: str) -> _Said | None:
    """Name and password of a Basic credential; None for anything that is none. Only the first colon divides."""
    if len(credential) > MAX_CREDENTIAL or not credential.isascii():
        return None
    scheme, _, token = credential.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(token.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
    said, colon, password = text.partition(":")
    name = username(said)
    if not colon or name is None or len(password) > MAX_PASSWORD or any(c < " " or c == "\x7f" for c in password):
        return None
    return _Said(name, password)


def _source(address: str) -> str:
    """What is locked out for an address: itself, or the /64 that an IPv6 host can choose its address from."""
    ip = parsed(address)
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(ip), 64), strict=False))
    return str(ip or address)


def _yielding() -> None:
    """The thread of the hashes gives way to everything else on the machine, to the event loop above all."""
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
    except OSError:  # not Linux: slower for others, and no less safe
        return
