"""Who may come into the console: whoever knows the one password, or those whom the settings name."""

from __future__ import annotations

from copy import replace
from pathlib import Path

import httpx
import pytest

from sluice import config, durable, metrics
from sluice.console import app
from sluice.console.entry import LATER, Entry, Failures
from sluice.errors import Misconfigured
from sluice.identity.users import User, hashed, write_users

COOKIES = ("sluice-console", "sluice-console-login")
ALICE, BOB = "alice's long password", "bob's long password"


@pytest.fixture(scope="module")
def users() -> dict[str, User]:
    return {"alice": User("alice", hashed(ALICE)), "bob": User("bob", hashed(BOB))}


def named(tmp_path: Path, users: dict[str, User], *names: str) -> Entry:
    """A door for these names. Hashes are compared without the time that argon2 takes on a busy machine."""
    file = tmp_path / "users"
    write_users(file, users)
    identity = config.Identity(users=file, login_failures=3)
    passwords = {users["alice"].hash: ALICE, users["bob"].hash: BOB}
    settings = config.Settings(identity=identity, console=config.Console(users=names))
    return Entry(settings, check=lambda hash_, password: passwords.get(hash_) == password)


def alone(tmp_path: Path) -> tuple[Entry, Path]:
    """A door with one password, and the file that it lies in."""
    settings = config.Settings(paths=config.Paths(var=tmp_path))
    settings.keys_dir.mkdir(parents=True)
    durable.write(settings.console_password, b"a secret of sixteen")
    return Entry(settings), settings.console_password


async def test_the_one_password_opens_for_whoever_has_it(tmp_path: Path) -> None:
    """And an empty one never does, also where people have their own."""
    entry, _ = alone(tmp_path)
    assert not entry.asks_name
    assert (await entry.check("", "a secret of sixteen", "127.0.0.1")).by == "console"
    for wrong in ("", "a secret", "a secret of sixteen "):
        verdict = await entry.check("", wrong, "127.0.0.1")
        assert (verdict.by, verdict.status) == ("", 403)


async def test_people_come_in_by_name(tmp_path: Path, users: dict[str, User]) -> None:
    """Only those whom the console names, with their own password; nobody by the empty one."""
    entry = named(tmp_path, users, "alice")
    assert entry.asks_name
    assert (await entry.check("Alice", ALICE, "127.0.0.1")).by == "alice"
    for name, password in (("alice", BOB), ("bob", BOB), ("", ""), ("alice", ""), ("nobody", ALICE), ("a:b", "\x00")):
        assert not (await entry.check(name, password, "127.0.0.1")).by


async def test_whoever_was_taken_out_cannot_come_back(tmp_path: Path, users: dict[str, User]) -> None:
    """The file is read at each login, so nobody is remembered beyond it; a broken one lets nobody in."""
    entry = named(tmp_path, users, "alice")
    assert (await entry.check("alice", ALICE, "127.0.0.1")).by == "alice"
    write_users(tmp_path / "users", {"bob": users["bob"]})
    assert not (await entry.check("alice", ALICE, "127.0.0.1")).by
    (tmp_path / "users").write_text("alice\n")
    assert (await entry.check("alice", ALICE, "127.0.0.1")).status == 503


async def test_a_session_ends_with_its_person(tmp_path: Path, users: dict[str, User]) -> None:
    """Whoever is taken out of the file sees no page any more, also not with the session that was open; a time that is
    over ends it too."""
    file = tmp_path / "users"
    write_users(file, users)
    settings = config.Settings(
        identity=config.Identity(users=file),
        console=config.Console(users=("alice",)),
        paths=config.Paths(var=tmp_path / "var"),
    )
    settings.ledger_dir.mkdir(parents=True)
    async with app.opened(settings, "127.0.0.1") as application:
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as browser:
            await browser.get("/login")
            fields = {"name": "alice", "password": ALICE, "token": browser.cookies["sluice-console-login"]}
            assert (await browser.post("/login", data=fields)).headers["location"] == "/"
            assert (await browser.get("/reports")).status_code == 200
            write_users(file, {"bob": users["bob"]})
            assert (await browser.get("/reports")).headers["location"] == "/login"
            write_users(file, users)
            assert (await browser.get("/reports")).headers["location"] == "/login"  # it does not come back


async def test_a_session_ends_with_the_password_that_opened_it(tmp_path: Path, users: dict[str, User]) -> None:
    """Another password for the same person, a time that is over, a name that is none of the console's: out at once."""
    entry = named(tmp_path, users, "alice")
    mark = (await entry.check("alice", ALICE, "127.0.0.1")).mark
    assert await entry.admits("alice", mark)
    assert not await entry.admits("alice", "")
    assert not await entry.admits("bob", mark)
    file = tmp_path / "users"
    write_users(file, {"alice": replace(users["alice"], expires=20_000 * 86_400 * 10**9)})
    assert not await entry.admits("alice", mark)
    write_users(file, {"alice": replace(users["alice"], hash=users["bob"].hash)})
    assert not await entry.admits("alice", mark)


async def test_another_file_with_the_one_password_ends_every_session(tmp_path: Path) -> None:
    """Changed or removed while the console runs: the old password opens nothing, the new one does, sessions of before
    are over, and a file that others can read lets nobody in."""
    entry, file = alone(tmp_path)
    mark = (await entry.check("", "a secret of sixteen", "127.0.0.1")).mark
    assert await entry.admits("console", mark)
    durable.write(file, b"another one of sixteen")
    assert not await entry.admits("console", mark)
    assert (await entry.check("", "a secret of sixteen", "127.0.0.1")).status == 403
    newer = (await entry.check("", "another one of sixteen", "127.0.0.1")).mark
    assert await entry.admits("console", newer)
    file.unlink()
    assert not await entry.admits("console", newer)
    assert len(file.read_text().strip()) >= 24  # a new one was made, as at the first start
    file.chmod(0o644)
    assert not await entry.admits("console", newer)
    assert (await entry.check("", "another one of sixteen", "127.0.0.1")).status == 503


def test_who_fails_again_and_again_fills_no_log() -> None:
    """One line a minute, which says how many there were; the others are counted by the metric alone."""
    now = 1000.0
    failures = Failures(clock=lambda: now)
    assert [failures.line() for _ in range(5)] == [1, 0, 0, 0, 0]
    now += 61
    assert failures.line() == 5


async def test_failed_logins_are_counted(tmp_path: Path) -> None:
    """By what came of them, apart from those at the proxy."""
    entry, _ = alone(tmp_path)
    before = {result: metrics.CONSOLE_LOGINS.labels(result).count for result in ("ok", "wrong")}
    at_proxy = metrics.LOGINS.labels("wrong").count
    await entry.check("", "wrong", "127.0.0.1")
    await entry.check("", "a secret of sixteen", "127.0.0.1")
    assert metrics.CONSOLE_LOGINS.labels("wrong").count == before["wrong"] + 1
    assert metrics.CONSOLE_LOGINS.labels("ok").count == before["ok"] + 1
    assert metrics.LOGINS.labels("wrong").count == at_proxy


@pytest.mark.parametrize("https", [False, True])
async def test_cookies_fit_the_way_that_browsers_come(tmp_path: Path, https: bool) -> None:
    """Behind a front that speaks HTTPS they are `Secure` and bound to this very host, and a page of `http` posts
    nothing; on loopback they are neither, or no browser would send them."""
    settings = config.Settings(
        paths=config.Paths(var=tmp_path),
        console=config.Console(https=https),
        admin=config.Admin(names=("gate.example.com",)),
    )
    settings.keys_dir.mkdir(parents=True)
    durable.write(settings.console_password, b"a secret of sixteen")
    settings.ledger_dir.mkdir(parents=True)
    session, login = ("__Host-sluice-console", "__Secure-sluice-console-login") if https else COOKIES
    async with app.opened(settings, "127.0.0.1") as application:
        transport = httpx.ASGITransport(app=application)
        base = "https://gate.example.com" if https else "http://127.0.0.1"
        async with httpx.AsyncClient(transport=transport, base_url=base) as browser:
            first = await browser.get("/login")
            fields = {"password": "a secret of sixteen", "token": browser.cookies[login]}
            if https:
                refused = await browser.post("/login", data=fields, headers={"origin": "http://gate.example.com"})
                assert refused.status_code == 403
            second = await browser.post("/login", data=fields, headers={"origin": base})
            assert second.headers["location"] == "/"
            assert session in browser.cookies
            assert (await browser.get("/reports")).status_code == 200
            set_ = [*first.headers.get_list("set-cookie"), *second.headers.get_list("set-cookie")]
            assert all(("secure" in line.lower().split("; ")) == https for line in set_)
            assert all("HttpOnly" in line and "SameSite=strict" in line for line in set_)


@pytest.mark.parametrize(
    ("text", "words"),
    [('judges = ["bob"]', "is not one of `console.users`"), ('users = ["alice"]', "which is not set")],
)
def test_judges_are_people_of_the_console(tmp_path: Path, text: str, words: str) -> None:
    """A name that cannot log in would decide nothing: said before anything starts."""
    file = tmp_path / "sluice.toml"
    file.write_text(f"[console]\n{text}\n")
    with pytest.raises(Misconfigured, match=words):
        config.load(file, {})


async def test_guessing_locks_out(tmp_path: Path, users: dict[str, User]) -> None:
    """After so many wrong passwords for a name the right one does not open either, for a while."""
    entry = named(tmp_path, users, "alice")
    tried = [(await entry.check("alice", "wrong", "127.0.0.1")).status for _ in range(4)]
    assert tried == [403, 403, 429, 429]
    verdict = await entry.check("alice", ALICE, "127.0.0.1")
    assert (verdict.by, verdict.status, verdict.problem) == ("", 429, LATER)


def test_names_without_a_file_are_refused(tmp_path: Path) -> None:
    """A console whose people have no passwords would let nobody in: that is said before anything starts."""
    file = tmp_path / "sluice.toml"
    file.write_text('[console]\nusers = ["alice"]\n')
    with pytest.raises(Misconfigured, match=r"identity\.users"):
        config.load(file, {})
