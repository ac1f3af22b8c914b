"""`sluice hold`: a legal hold is never narrowed, and never believed to be there when it is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import sluice.cli
from sluice.ship import query
from sluice.ship.sqlgate import SqlError

ROW = ["case-1", "2026-11-24 11:15:35.993169", "ann", "why", "", "1970-01-01 00:00:00.000000", "2299-12-31 23:59:59.0"]


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A deployment that never ran; nobody takes what is left for the shipper."""
    monkeypatch.setenv("SLUICE_PATHS__VAR", str(tmp_path / "var"))
    monkeypatch.setattr("sluice.cli.hold.WAIT_SECONDS", 0.0)
    return tmp_path / "var"


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        sluice.cli.main(["hold", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def left(var: Path) -> list[tuple[str, str]]:
    """Action and name of each hold that was left for the shipper."""
    found = [json.loads(path.read_bytes()) for path in sorted((var / "ship" / "holds").glob("*.json"))]
    return [(hold["action"], hold["name"]) for hold in found]


def store_has(monkeypatch: pytest.MonkeyPatch, *rows: list[str]) -> None:
    def ask(*_: object) -> Iterator[bytes]:
        yield from (json.dumps(row).encode() + b"\n" for row in rows)

    monkeypatch.setattr(query, "ask", ask)


def test_a_hold_that_waits_is_not_placed_again(var: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second of one name would take the first one's place, and free what that one covered; exit 2."""
    assert run("place", "case-1", "--reason", "why") == 0
    assert run("place", "case-1", "--reason", "why", "--since", "2026-11-01") == 2
    assert "`case-1` is in force already" in capsys.readouterr().err
    assert left(var) == [("place", "case-1")]
    assert run("release", "case-1", "--reason", "over", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"name": "case-1", "action": "release", "entered": False}
    assert run("release", "case-1", "--reason", "over") == 2
    assert run("place", "case-1", "--reason", "anew") == 0
    assert left(var) == [("place", "case-1"), ("release", "case-1"), ("place", "case-1")]


def test_a_hold_in_the_store_is_not_placed_again(
    var: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the shipper has entered counts like what waits; a name that is not there cannot be released."""
    store_has(monkeypatch, ROW)
    assert run("place", "case-1", "--reason", "why") == 2
    assert run("release", "case-2", "--reason", "over") == 2
    assert "no hold `case-2` is in force" in capsys.readouterr().err
    assert left(var) == []
    assert run("list") == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "case-1" in line)
    assert line.split() == ["case-1", "2026-11-24", "11:15:35", "ann", "why", "everybody", "-", "-", "in", "force"]


def test_a_hold_can_be_placed_while_nobody_answers(
    var: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A store in trouble keeps nobody from a hold; it is said what could not be looked up."""

    def ask(*_: object) -> Iterator[bytes]:
        raise SqlError(159, "too slow")
        yield b""

    monkeypatch.setattr(query, "ask", ask)
    assert run("place", "case-1", "--reason", "why") == 0
    said = capsys.readouterr().err
    assert "nobody answers" in said
    assert "hold `case-1` waits" in said
    assert "is in force\n" not in said
    assert left(var) == [("place", "case-1")]


def test_holds_that_wait_are_listed_while_nobody_answers(
    var: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unreachable server hides no hold that waits for it, and exit 3 says that there may be others."""
    monkeypatch.setenv("SLUICE_CLICKHOUSE__DSN", "clickhouse://default@127.0.0.1:9/")
    assert run("place", "case-1", "--reason", "why", "--since", "2026-11-01") == 0
    capsys.readouterr()
    assert run("list", "--json") == 3
    out = capsys.readouterr()
    (row,) = json.loads(out.out)
    assert (row["name"], row["state"], row["rows_from"]) == ("case-1", "waits", "2026-11-01 00:00:00")
    assert run("list") == 3
    out = capsys.readouterr()
    assert "waits" in out.out
    assert "cannot be reached" in out.err
    assert "HTTPConnectionPool" not in out.err
    assert "Driver Exception" not in out.err


@pytest.mark.parametrize(("rows", "told"), [(0, True), (3, False)])
def test_a_hold_on_nobody_says_so(
    var: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rows: int, told: bool
) -> None:
    """A pseudonym that no row has is placed, and said: it may be of another spelling or key."""

    def ask(_: object, sql: str, *__: object) -> Iterator[bytes]:
        yield f"{rows}\n".encode() if "count()" in sql else b""

    monkeypatch.setattr(query, "ask", ask)
    assert run("place", "case-1", "--reason", "why", "--subject", "a" * 32) == 0
    assert ("covers nothing yet" in capsys.readouterr().err) is told
    assert left(var) == [("place", "case-1")]


@pytest.mark.parametrize(
    "wrong", [("--subject", "ann"), ("--since", "2026-11-02", "--until", "2026-11-01"), ("--subject", "A" * 32)]
)
def test_a_hold_that_covers_nothing_is_refused(var: Path, wrong: tuple[str, ...]) -> None:
    """A name instead of its pseudonym, or an end before the beginning, would hold no row; exit 2."""
    assert run("place", "case-1", "--reason", "why", *wrong) == 2
    assert left(var) == []
