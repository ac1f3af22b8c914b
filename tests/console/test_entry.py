"""Who may come into the console: whoever knows the one password, or those whom the settings name."""

from __future__ import annotations

from copy import replace
from pathlib import Path

import httpx
import pytest

from sluice import config
from sluice.console import app
from sluice.console.entry import LATER, Entry
from sluice.errors import Misconfigured
from sluice.identity.users import User, hashed, write_users

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
    return Entry(settings, "", check=lambda hash_, password: passwords.get(hash_) == password)


async def test_the_one_password_opens_for_whoever_has_it() -> None:
    """And an empty one never does, also where people have their own."""
    entry = Entry(config.Settings(), "a secret of sixteen")
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
    async with app.opened(settings, "", "127.0.0.1") as application:
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
    write_users(file, {"alice": replace(users["alice"], expires=20_000 * 86_400 * 10**9), "bob": users["bob"]})
    door = Entry(settings, "")
    assert not await door.admits("alice")
    assert not await door.admits("bob")  # known, and not one of the console's
    assert await Entry(config.Settings(), "a secret of sixteen").admits("console")


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
