"""Saying something of a finding in the console: who may, what the form must hold, and what is left for the store."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from sluice import config
from sluice.console import app, judging
from sluice.console.access import Access
from sluice.console.store import Asker
from sluice.errors import Cause, Unavailable
from sluice.identity.users import User, hashed, write_users
from sluice.ledger import reader
from sluice.posture.question import Table

HOSTILE = "provider=\"><script>alert(1)</script>\r\n' OR 1=1 -- \u202e"
DAY = f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}"
PASSWORDS = {"alice": "alice's long password", "bob": "bob's long password"}
USERS = {name: User(name, hashed(password)) for name, password in PASSWORDS.items()}


def standing(status: str = "open") -> dict[str, Any]:
    at = "2026-11-20 10:00:00.000000"
    both = {"finding": "PRV-01", "title": "t", "scope": HOSTILE, "hits": 1, "grave": 0, "first_seen": at}
    both |= {"last_seen": at, "opened": at, "changed": at, "facts": HOSTILE, "owner": "", "reason": HOSTILE}
    both |= {"query_sha256": "ab" * 32, "accepted_until": None}
    return both | {"severity": "high", "status": status, "grade": "high", "state": status, "total": 1}


class House:
    """The console, over a store that knows one finding."""

    def __init__(self, directory: Path) -> None:
        users = directory / "users"
        write_users(users, USERS)
        self.status = "open"
        self.settings = config.Settings(
            identity=config.Identity(users=users),
            console=config.Console(users=("alice", "bob"), judges=("alice",)),
            paths=config.Paths(var=directory / "var"),
        )
        self.settings.ledger_dir.mkdir(parents=True)

    async def tables(self, _: Asker, asked: dict[str, str]) -> dict[str, Table]:
        row = standing(self.status)
        full = Table(tuple(row), (False,) * len(row), (tuple(row.values()),))
        return {name: Table(("at",), (False,), ()) if name == "events" else full for name in asked}

    def left(self) -> list[dict[str, Any]]:
        files = sorted((self.settings.ship_dir / "posture").glob("*.json"))
        return [row for file in files for row in msgspec.json.decode(file.read_bytes())["rows"]]

    def on_record(self) -> list[str]:
        entries = (e for s in reader.streams(self.settings.ledger_dir) for e in reader.read(s))
        return [detail for e in entries if "/findings/PRV-01 " in (detail := e.record.control_detail or "")]


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    made = House(tmp_path)
    monkeypatch.setattr(Asker, "tables", lambda self, asked: made.tables(self, asked))
    monkeypatch.setattr(judging, "PLACED_SECONDS", 0.0)
    async with app.opened(made.settings, "127.0.0.1") as made.app:  # type: ignore[attr-defined]
        yield made


async def come_in(house: House, name: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=house.app)  # type: ignore[attr-defined]
    browser = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")
    await browser.get("/login")
    token = browser.cookies["sluice-console-login"]
    answer = await browser.post("/login", data={"name": name, "password": PASSWORDS[name], "token": token})
    assert answer.headers["location"] == "/"
    return browser


async def fields(browser: httpx.AsyncClient, **more: str) -> dict[str, str]:
    """The hidden fields of the form as the page has them."""
    page = (await browser.get("/findings/PRV-01")).text
    form = page.partition('action="/findings/PRV-01/say"')[2]
    found = dict(re.findall(r'type="hidden" name="(token|scope|state)" value="([^"]*)"', form))
    return found | {"reason": "", "until": "", **more}


async def test_what_is_said_is_on_record_and_left_for_the_store(house: House) -> None:
    """The person, the reason and the day, of the scope as the store has it; the ledger names person and event first."""
    browser = await come_in(house, "alice")
    given = await fields(browser, event="accepted", reason='known <b>"test"</b>', until=DAY)
    answer = await browser.post("/findings/PRV-01/say", data=given)
    assert (answer.status_code, answer.headers["location"]) == (303, "/findings/PRV-01?said=waits")
    (row,) = house.left()
    assert (row["by"], row["event"], row["scope"]) == ("alice", "accepted", HOSTILE)
    assert (row["accepted_until"], row["reason"]) == (f"{DAY} 00:00:00", 'known <b>"test"</b>')
    (detail,) = house.on_record()
    assert '"by": "alice"' in detail
    assert f"/findings/PRV-01 accepted {given['scope']}" in detail
    assert "known" not in detail


async def test_a_scope_of_a_clients_choosing_stays_text(house: House) -> None:
    """No element, no attribute and no line of the page comes from it; the form names it by its digest."""
    browser = await come_in(house, "alice")
    page = (await browser.get("/findings/PRV-01?said=<script>x</script>")).text
    assert "<script" not in page
    assert re.fullmatch(r"[0-9a-f]{32}", (await fields(browser))["scope"])


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"token": "forged"}, 403, "out of date"),
        ({"token": ""}, 403, "out of date"),
        ({"reason": ""}, 400, "an acceptance has a reason"),
        ({"until": ""}, 400, "an acceptance ends"),
        ({"until": "2020-01-01"}, 400, "is over"),
        ({"until": "2999-01-01"}, 400, "days ahead"),
        ({"until": "<script>"}, 400, "written as in"),
        ({"until": "2026-W53-1"}, 400, "written as in"),
        ({"reason": "x" * 501}, 400, "longer than 500"),
        ({"reason": "\N{FAMILY}" * 4000}, 400, "could not be read"),
        ({"event": "fixed"}, 400, "what can be said is"),
        ({"scope": "0" * 32}, 404, "No such scope"),
        ({"state": "accepted"}, 409, "It is open by now"),
        ({"event": "reopened"}, 409, "cannot be reopened"),
    ],
)
async def test_nothing_is_said_by_a_form_that_is_not_right(
    house: House, change: dict[str, str], status: int, words: str
) -> None:
    """A page that says what is wrong, and nothing in the ledger or for the store."""
    browser = await come_in(house, "alice")
    given = await fields(browser, event="accepted", reason="why", until=DAY)
    answer = await browser.post("/findings/PRV-01/say", data=given | change)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert "<script" not in answer.text
    assert (house.left(), house.on_record()) == ([], [])


async def test_a_form_without_its_token_is_nobodys(house: House) -> None:
    """Not sent at all is as wrong as another one."""
    browser = await come_in(house, "alice")
    given = await fields(browser, event="acknowledged")
    del given["token"]
    assert (await browser.post("/findings/PRV-01/say", data=given)).status_code == 403
    assert house.left() == []


async def test_readers_only_read(house: House) -> None:
    """Who is none of `console.judges` gets no form, and with a judge's fields and the own token is refused."""
    alice, bob = await come_in(house, "alice"), await come_in(house, "bob")
    page = (await bob.get("/findings/PRV-01")).text
    assert "/findings/PRV-01/say" not in page
    token = re.search(r'name="token" value="([^"]+)"', page)
    assert token
    given = await fields(alice, event="acknowledged") | {"token": token[1]}
    answer = await bob.post("/findings/PRV-01/say", data=given)
    assert (answer.status_code, "console.judges" in answer.text) == (403, True)
    assert (house.left(), house.on_record()) == ([], [])


async def test_a_session_that_is_over_says_nothing(house: House) -> None:
    """After its person was taken out, after the logout, and without any: the login, and nothing is kept."""
    browser = await come_in(house, "alice")
    given = await fields(browser, event="acknowledged")
    users = house.settings.identity.users
    assert users
    write_users(users, {"bob": USERS["bob"]})
    for cookie in (browser.cookies["sluice-console"], "", "forged"):
        browser.cookies.set("sluice-console", cookie, domain="127.0.0.1")
        answer = await browser.post("/findings/PRV-01/say", data=given)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert (house.left(), house.on_record()) == ([], [])


async def test_what_cannot_be_recorded_is_not_said(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that takes no record: 503, and nothing is left for the store."""
    browser = await come_in(house, "alice")
    given = await fields(browser, event="acknowledged")

    async def fail(*_: object, **__: object) -> None:
        raise Unavailable(Cause.AUDIT_UNAVAILABLE, "the disk is full")

    monkeypatch.setattr(Access, "record", fail)
    assert (await browser.post("/findings/PRV-01/say", data=given)).status_code == 503
    assert house.left() == []


async def test_what_was_said_can_be_taken_back(house: House) -> None:
    """Of what is accepted the form offers to reopen it; of what is fixed, nothing."""
    browser = await come_in(house, "alice")
    house.status = "accepted"
    given = await fields(browser, event="reopened", reason="it is no test")
    assert (await browser.post("/findings/PRV-01/say", data=given)).status_code == 303
    (row,) = house.left()
    assert (row["event"], row["by"], row["reason"]) == ("reopened", "alice", "it is no test")
    house.status = "fixed"
    assert "/findings/PRV-01/say" not in (await browser.get("/findings/PRV-01")).text
