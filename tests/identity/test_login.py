"""What a login costs, remembers, forgets and locks, without a network."""

from __future__ import annotations

import asyncio
import base64
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.identity import login as module
from sluice.identity.lockout import MOST_KEYS, Lockout
from sluice.identity.login import Logins, Result
from sluice.identity.users import User
from tests.identity.doors import PASSWORD, USERS, basic

AT = 2
HERE = "192.0.2.1"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Checks:
    """Stands in for the hash: counts, and knows alice's."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.hold: threading.Event | None = None

    def __call__(self, hash_: str, password: str) -> bool:
        self.asked.append(hash_)
        if self.hold is not None:
            self.hold.wait(20)
        return hash_ == USERS["alice"].hash and password == PASSWORD


def made(checks: Checks, clock: Clock | None = None, failures: int = 3, cache_seconds: float = 60.0) -> Logins:
    return Logins(
        USERS, failures=failures, lock_seconds=30, cache_seconds=cache_seconds, clock=clock or Clock(), check=checks
    )


async def said(logins: Logins, name: str, password: str, address: str = HERE) -> Result:
    return (await logins.check(basic(name, password), address, AT)).result


async def test_what_was_right_is_remembered_for_a_while() -> None:
    """The second time costs no hash; after the time, or another user file, it costs one again."""
    checks, clock = Checks(), Clock()
    logins = made(checks, clock)
    for _ in range(3):
        assert await said(logins, "alice", PASSWORD) is Result.OK
    assert len(checks.asked) == 1
    clock.now += 61
    assert await said(logins, "alice", PASSWORD) is Result.OK
    logins.replace(USERS)
    assert await said(logins, "alice", PASSWORD) is Result.OK
    assert len(checks.asked) == 3


async def test_what_was_wrong_is_never_remembered_as_right() -> None:
    """A wrong password, an expired user and a changed line are no login, however often."""
    checks = Checks()
    logins = made(checks, failures=100)
    assert await said(logins, "alice", "no") is Result.WRONG
    assert await said(logins, "alice", PASSWORD) is Result.OK
    logins.replace({"alice": User("alice", "another hash")})
    assert await said(logins, "alice", PASSWORD) is Result.WRONG
    assert logins.remembered == 0


async def test_an_unknown_name_costs_a_hash_too() -> None:
    """Who asks cannot tell from the time whether a name exists: a hash is checked for it."""
    checks = Checks()
    logins = made(checks)
    assert await said(logins, "nobody", "pw") is Result.WRONG
    assert len(checks.asked) == 1
    assert checks.asked[0].startswith("$argon2id$")


async def test_a_name_locks_for_its_time_and_known_ones_pass() -> None:
    """Three wrong ones lock the name everywhere, known or not; the right password of before still passes."""
    checks, clock = Checks(), Clock()
    logins = made(checks, clock)
    assert await said(logins, "alice", PASSWORD, "198.51.100.9") is Result.OK
    for name in ("alice", "nobody"):
        got = [await said(logins, name, f"{n}", f"192.0.2.{n}") for n in range(5)]
        assert got == [Result.WRONG, Result.WRONG, Result.LOCKED, Result.LOCKED, Result.LOCKED]
    assert len(checks.asked) == 1 + 6
    assert await said(logins, "alice", PASSWORD) is Result.OK
    clock.now += 31
    assert await said(logins, "alice", "no") is Result.WRONG


async def test_an_address_locks_whatever_names_it_tries() -> None:
    """One address with ever new names is locked; an IPv6 host is locked with its whole /64."""
    for addresses in ([HERE], [f"2001:db8::{n:x}" for n in range(40)]):
        logins = made(Checks())
        got = [await said(logins, f"n{n}", "x", addresses[n % len(addresses)]) for n in range(20)]
        assert got.index(Result.LOCKED) == 14
        assert await said(logins, "alice", "x", addresses[0]) is Result.LOCKED
        assert await said(logins, "alice", PASSWORD, "198.51.100.1") is Result.OK


async def test_no_more_wait_than_may() -> None:
    """Beyond the queue a login is refused at once, and nothing that waited comes out as a login."""
    checks = Checks()
    checks.hold = threading.Event()
    logins = made(checks, failures=10_000)
    tasks = [asyncio.create_task(said(logins, f"n{n}", "x", f"10.0.{n}.1")) for n in range(module.MAX_WAITING + 20)]
    await asyncio.sleep(0.05)
    assert [t.result() for t in tasks if t.done()] == [Result.BUSY] * 20
    checks.hold.set()
    assert set(await asyncio.gather(*tasks)) == {Result.BUSY, Result.WRONG}


async def test_a_check_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits too long is refused as busy, and never as somebody."""
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)
    checks = Checks()
    checks.hold = threading.Event()
    logins = made(checks)
    assert await said(logins, "alice", PASSWORD) is Result.BUSY
    checks.hold.set()


@given(st.one_of(st.text(max_size=60), st.binary(max_size=60).map(lambda b: "Basic " + base64.b64encode(b).decode())))
def test_no_credential_breaks_it(credential: str) -> None:
    """Whatever is sent: a verdict, no exception, and nobody gets in without the password."""

    async def run() -> Result:
        logins = made(Checks())
        try:
            return (await logins.check(credential, "", AT)).result
        finally:
            logins.close()

    assert asyncio.run(run()) in {Result.MALFORMED, Result.WRONG}


async def test_nothing_printed_holds_a_password() -> None:
    """Verdicts, users and the logins themselves print neither password nor hash."""
    logins = made(Checks())
    verdict = await logins.check(basic("alice", PASSWORD), HERE, AT)
    wrong = await logins.check(basic("alice", "hunter2-hunter2"), HERE, AT)
    text = repr((verdict, wrong, logins.__dict__))
    assert PASSWORD not in text
    assert "hunter2" not in text
    assert "$argon2id" not in repr((verdict, wrong))


def test_a_lock_forgets_who_was_quiet_longest() -> None:
    """Ever new addresses cannot fill the memory."""
    lock = Lockout(3, 60, 60, Clock())
    for n in range(MOST_KEYS + 500):
        lock.failed(n)
    assert len(lock) == MOST_KEYS


def test_failures_that_lie_apart_do_not_add_up() -> None:
    """Two failures an hour are a person who mistypes."""
    clock = Clock()
    lock = Lockout(3, 60, 60, clock)
    assert [lock.failed("k"), lock.failed("k")] == [False, False]
    clock.now += 61
    assert [lock.failed("k"), lock.failed("k"), lock.failed("k")] == [False, False, True]
