"""`sluice findings`, `posture` and `compliance`: what a person sees and says, over a store without an appliance."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sluice import config
from sluice.posture import units
from sluice.posture.units import findings
from tests.posture.posture_rig import Rig, decision, ended, micros
from tests.rig.command import run

NAME = "PRV-01"


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment that stands still, with a day of traffic in its store, evaluated."""
    var = tmp_path_factory.mktemp("deployment") / "var"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLUICE_PATHS__VAR", str(var))
        directory = config.load(None).clickhouse_dir
        directory.parent.mkdir(parents=True, exist_ok=True)
        rig = Rig(directory)
        at = micros(datetime.now(UTC) - timedelta(hours=1))
        more = {"provider_id": "deepseek", "provider_status": "prohibited", "data_classes": ("phi.record",)}
        rig.put(ended(*(decision(ts_received=at, **more) for _ in range(3))))
        rig.close()
        run("findings", "evaluate")
    return var


@pytest.fixture(autouse=True)
def _here(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_PATHS__VAR", str(var))
    monkeypatch.setattr("sluice.cli.findings.PLACED_SECONDS", 0.0)


def test_findings_are_listed_shown_and_their_change_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Open ones make exit code 1; each leads to its query's digest and the change that closes it."""
    assert run("findings", "list", "--json") == 1
    listed = json.loads(capsys.readouterr().out)
    (row,) = [r for r in listed if r["finding"] == NAME]
    assert (row["severity"], row["status"], row["hits"]) == ("critical", "open", 3)
    assert run("findings", "show", NAME.lower()) == 0
    shown = capsys.readouterr().out
    assert row["query_sha256"] in shown
    assert '"deepseek" = "prohibited"' in shown
    assert run("findings", "fix", NAME) == 0
    assert "for deploy/targets.toml" in capsys.readouterr().out
    assert run("findings", "show", NAME, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["sha256"], told["stands"][0]["hits"]) == (row["query_sha256"], 3)
    assert run("findings", "fix", NAME, "--json") == 0
    (change,) = json.loads(capsys.readouterr().out)
    assert (change["file"], change["change"]) == ("deploy/targets.toml", told["stands"][0]["change"])


def test_a_finding_is_acknowledged_and_accepted(
    var: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a person says waits for the process that owns the store, and stands there after the next evaluation."""
    few = {name: findings()[name] for name in (NAME, "DAT-02")}
    monkeypatch.setattr(units, "findings", lambda: few)
    assert run("findings", "ack", NAME, "--reason", "asked the team", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["finding"], told["event"], told["entered"], len(told["scopes"])) == (NAME, "acknowledged", False, 1)
    until = f"{datetime.now(UTC) + timedelta(days=300):%Y-%m-%d}"
    assert run("findings", "accept", "DAT-02", "--until", until, "--reason", "test data") == 0
    assert "when it runs" in capsys.readouterr().err
    assert run("findings", "evaluate", "--json") == 0
    assert json.loads(capsys.readouterr().out)["failed"] == {}
    run("findings", "list", "--json")
    states = {r["finding"]: r for r in json.loads(capsys.readouterr().out)}
    assert states[NAME]["status"] == "acknowledged"
    assert (states["DAT-02"]["status"], states["DAT-02"]["reason"]) == ("accepted", "test data")
    assert not list((var / "ship" / "posture").glob("*-*.json"))
    assert run("findings", "reopen", "DAT-02", "--reason", "it was not test data") == 0
    assert run("findings", "evaluate", "--json") == 0
    capsys.readouterr()
    run("findings", "list", "--json")
    (row,) = [r for r in json.loads(capsys.readouterr().out) if r["finding"] == "DAT-02"]
    assert (row["status"], row["hits"], row["severity"]) == ("reopened", 3, "critical")
    assert run("findings", "reopen", "DAT-02") == 2
    assert "nothing of DAT-02 is acknowledged or accepted" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("findings", "show", "XXX-1"), "there is no finding"),
        (("findings", "ack", "AUD-06"), "nothing of AUD-06 is open"),
        (("findings", "accept", NAME, "--until", "2020-01-01", "--reason", "x"), "is over"),
        (("findings", "accept", NAME, "--until", "2099-01-01", "--reason", "x"), "more than 366 days ahead"),
        (("findings", "accept", NAME, "--until", "2020-01-01", "--reason", " "), "has a reason"),
        (("findings", "ack", NAME, "--reason", "x" * 501), "longer than 500"),
        (("posture", "approve", "abc", "--author", "a", "--approver", "b"), "64 hex digits"),
        (("posture", "approve", "a" * 64, "--author", "Ann", "--approver", "ann"), "the same person"),
        (("posture", "review"), "give a DECISION or --until"),
        (("compliance", "XYZ"), "there is no framework"),
    ],
)
def test_what_cannot_be_meant_is_said(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, one line, and nothing is left for the store."""
    assert run(*arguments) == 2
    assert words in capsys.readouterr().err


def test_the_score_is_never_without_its_parts(capsys: pytest.CaptureFixture[str]) -> None:
    """Every measure with numerator, denominator, weight and query; the sum is what the formula says."""
    assert run("posture", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    counted = [(m["weight"], m["numerator"] / m["denominator"]) for m in said["measures"] if m["denominator"]]
    assert said["score"] == pytest.approx(100 * sum(w * v for w, v in counted) / sum(w for w, _ in counted))
    assert all(len(m["query_sha256"]) == 64 for m in said["measures"])
    assert run("posture") == 0
    assert "score = 100 x (" in capsys.readouterr().out
    assert run("posture", "--trend") == 0
    assert "sanctioned" in capsys.readouterr().out


def test_a_clause_shows_what_stands_against_it(capsys: pytest.CaptureFixture[str]) -> None:
    """An open critical finding is a gap of every clause that it bears on."""
    assert run("compliance", "soc 2", "--json") == 0
    rows = {r["clause"]: r for r in json.loads(capsys.readouterr().out)["rows"]}
    assert rows["CC6.6, CC6.7"]["status"] == "gap"
    assert NAME in rows["CC6.6, CC6.7"]["open"]
    assert all(r["basis"].startswith("standard:") for r in rows.values())


def test_what_others_know_is_imported(var: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A CSV becomes rows for the store; one with a wrong line becomes nothing, and says which."""
    good = tmp_path / "dns.csv"
    good.write_text("at,layer,domain,subject_id,seen\n2026-11-19T10:00:00,dns,chat.example,alice,3\n")
    assert run("posture", "import", "observations", str(good), "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"what": "observations", "rows": 1, "entered": False}
    (left,) = (var / "ship" / "posture").glob("*-*.json")
    assert json.loads(left.read_text())["rows"][0]["domain"] == "chat.example"
    left.unlink()
    bad = tmp_path / "bad.csv"
    bad.write_text("at,layer,domain,seen\nyesterday,dns,chat.example,3\n")
    assert run("posture", "import", "observations", str(bad)) == 2
    assert f"{bad}:2" in capsys.readouterr().err
    bad.write_text("at,kind,name,number\n2026-11-19,seal,n-w0,0\n")
    assert run("posture", "import", "facts", str(bad)) == 2
    assert "`seal` is no kind" in capsys.readouterr().err
    assert not list((var / "ship" / "posture").glob("*-*.json"))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (b"2026-11-19,dns,x,1.5", ":2: "),
        (b"2026-11-19,dns,x,-1", "out of range"),
        (b"2026-11-19,dns,x," + b"9" * 30, "out of range"),
        (b"2026-11-19,dns,x," + b"9" * 5000, ":2: "),
        (b"9999-12-31T23:59:59-10:00,dns,x,1", "no time from 1970"),
        (b"2026-11-19,dns,\xff,1", ":2: is not UTF-8"),
        (b"2026-11-19,dns," + b"x" * 20_000 + b",1", ":2: domain is longer"),
    ],
    ids=["fraction", "negative", "huge", "endless", "calendar", "latin", "long"],
)
def test_what_the_store_would_never_take_is_told_with_its_line(
    var: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], row: bytes, said: str
) -> None:
    """Nothing is left for the shipper that it could not place."""
    bad = tmp_path / "bad.csv"
    bad.write_bytes(b"at,layer,domain,seen\n" + row + b"\n")
    assert run("posture", "import", "observations", str(bad)) == 2
    told = capsys.readouterr().err
    assert str(bad) in told
    assert said in told
    assert not list((var / "ship" / "posture").glob("*-*.json"))


def test_the_catalogue_says_what_each_finding_needs(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing that has to be fed is silent about it."""
    assert run("findings", "list", "--catalogue", "--json") == 0
    said = {r["id"]: r for r in json.loads(capsys.readouterr().out)}
    assert said.keys() == findings().keys()
    assert said["COV-03"]["needs"]
