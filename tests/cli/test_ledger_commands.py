"""`sluice tail` and `sluice verify` on a ledger that a real writer wrote."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sluice import instance
from sluice.ledger.writer import open_stream
from sluice.model import Record, RecordType
from tests.rig.command import run

NOW = int(time.time() * 1e6)
SIZES = {"segment_bytes": 1 << 20, "disk_low_bytes": 1 << 10}


def record(number: int, **facts: object) -> Record:
    told: dict[str, object] = {
        "record_type": RecordType.DECISION,
        "decision_id": f"0190-{number}",
        "ts_received": NOW + number,
        "ts_decided": NOW + number + 1500,
        "decision": "block",
        "reason_code": "CLASS_BLOCKED",
        "rule_id": "cards",
        "subject_id": "s-1",
        "provider_id": "openai",
        "model_requested": "gpt-5",
        "data_classes": ("financial.card",),
    }
    return Record(**(told | facts))  # type: ignore[arg-type]


def write(ledger: Path, *records: Record) -> None:
    """Commit records as a worker does."""
    writer = open_stream(ledger, node="n", slot=0, **SIZES)

    async def commit() -> None:
        for each in records:
            await writer.commit(each)

    try:
        asyncio.run(commit())
    finally:
        writer.close()


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ledger directory of an appliance whose `var` lies in an empty directory."""
    monkeypatch.chdir(tmp_path)
    directory = tmp_path / "var" / "ledger"
    directory.mkdir(parents=True)
    return directory


def test_tail_needs_an_appliance(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing runs: exit code 3 and what to do, instead of waiting for ever."""
    assert run("tail") == 3
    assert "starts it" in capsys.readouterr().err


def test_tail_prints_facts_on_one_line(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Action, reason, rule, subject, provider, model, classes and the time it took; one line for each decision."""
    write(ledger, record(1), record(2, decision="allow", would_decide="block"), record(3, record_type="outcome"))
    assert run("tail", "--no-follow") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for fact in ("block", "CLASS_BLOCKED", "rule=cards", "subject=s-1", "openai", "gpt-5", "financial.card", "1.5 ms"):
        assert fact in lines[0]
    assert "allow (would block)" in lines[1]


def test_tail_filters(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By decision and by age; --all shows the other records too."""
    old = record(1, decision="allow", ts_received=NOW - 7_200_000_000)
    write(ledger, old, record(2), record(3, record_type=RecordType.CONTROL, decision=None))

    def ids(*arguments: str) -> list[str]:
        assert run("tail", "--no-follow", "--json", *arguments) == 0
        return [json.loads(line)["decision_id"] for line in capsys.readouterr().out.splitlines()]

    assert ids() == ["0190-1", "0190-2"]
    assert ids("--decision", "allow") == ["0190-1"]
    assert ids("--since", "1h") == ["0190-2"]
    assert {"0190-1", "0190-2", "0190-3"} < set(ids("--all"))  # and what the writer says of its own start and end


def test_tail_shows_no_control_characters(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model name is the client's own text: it can neither colour a terminal nor begin a line of its own."""
    write(ledger, record(1, model_requested="gpt\x1b[31m\nblock\u202e"))
    assert run("tail", "--no-follow") == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 1
    assert not set(out) & set("\x1b\u202e")


def test_tail_follows(ledger: Path) -> None:
    """What is committed while it runs appears, although the output is a pipe; Ctrl-C ends it."""
    claim = instance.claim(ledger.parent)
    command = [sys.executable, "-m", "sluice.cli", "tail", "--json"]
    environment = os.environ | {"PYTHONUNBUFFERED": ""}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as running:
        try:
            assert running.stdout
            written = threading.Event()

            def keep_writing() -> None:
                number = 0
                while not written.is_set() and number < 500:  # a busy machine takes its time to begin following
                    number += 1
                    write(ledger, record(number))
                    time.sleep(0.2)

            threading.Thread(target=keep_writing).start()
            assert json.loads(running.stdout.readline())["decision"] == "block"
        finally:
            written.set()
            running.send_signal(2)
            assert running.wait(10) == 130
    claim.release()


def test_a_sound_ledger_is_0(ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Checked records and the verdict for each stream; the appliance's own without any seal is not one."""
    write(ledger, *(record(n) for n in range(20)))
    copy = str(shutil.copytree(ledger, tmp_path / "copy"))
    assert run("verify", copy) == 0
    assert "sound" in capsys.readouterr().out
    assert run("verify") == 2
    assert "an appliance makes them" in capsys.readouterr().err
    assert run("verify", "--json", copy) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["sound"] is True
    assert told["records"] >= 20


def test_a_changed_bit_is_1(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One bit turned inside a record: broken, with stream, segment and sequence number of the first bad one."""
    write(ledger, *(record(n) for n in range(20)))
    (segment,) = sorted(f for f in ledger.rglob("*") if f.is_file() and b"0190-7" in f.read_bytes())
    data = bytearray(segment.read_bytes())
    data[data.index(b"0190-7") + 3] ^= 1
    segment.write_bytes(data)
    assert run("verify") == 1
    told = capsys.readouterr()
    assert "1 fault " in told.out
    assert segment.name in told.err
    assert run("verify", "--json") == 1
    assert json.loads(capsys.readouterr().out)["sound"] is False


def test_what_cannot_be_checked_is_2(ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No ledger, or a place that does not exist, is neither sound nor broken."""
    assert run("verify") == 2
    assert "there is no ledger here" in capsys.readouterr().err
    assert run("verify", str(tmp_path / "nowhere")) == 2


@pytest.mark.parametrize(
    ("option", "wanted"),
    [
        (("--provider", "anth*"), ["0190-2"]),
        (("--class", "secret.*"), ["0190-2"]),
        (("--reason", "no_findings"), ["0190-3"]),
        (("--rule", "cards", "--rule", "secrets"), ["0190-1", "0190-2"]),
        (("--model", "gpt-*", "--provider", "openai"), ["0190-1"]),
        (("--subject", "s-9", "--host", "api.*"), []),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, tuple) else "",
)
def test_tail_has_filters(
    ledger: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, ...], wanted: list[str]
) -> None:
    """Filters of one kind are alternatives, those of different kinds must all hold; letters of any case."""
    write(
        ledger,
        record(1),
        record(2, provider_id="anthropic", rule_id="secrets", data_classes=("secret.cloud",)),
        record(3, decision="allow", reason_code="NO_FINDINGS", rule_id="default", model_requested="o5"),
    )
    assert run("tail", "--no-follow", "--json", *option) == 0
    assert [json.loads(line)["decision_id"] for line in capsys.readouterr().out.splitlines()] == wanted


def test_a_policy_is_simulated_over_the_ledger(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`policy simulate --ledger` reads what the appliance left: the table and the JSON say the same change."""
    facts = {"target_row": "openai.api", "inspection_status": "full", "provider_status": "unreviewed"}
    from sluice import config, targets

    row = next(r for r in targets.load(config.signatures_dir() / "targets.toml").rows if r.host == "api.openai.com")
    write(ledger, record(1, **(facts | {"target_row": row.id})), record(2, record_type=RecordType.OUTCOME))
    Path("open.toml").write_text('id = "open"\nversion = "9"\n')
    assert run("policy", "simulate", "--policy", "open.toml", "--since", "1h", "--ledger", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    (change,) = told["changes"]
    assert (change["before"], change["after"], change["rule_before"]) == ("block", "allow", "cards")
    assert (told["decisions"], told["changed"], change["example"]) == (1, 1, "0190-1")
    assert run("policy", "simulate", "--policy", "open.toml", "--since", "1h", "--ledger") == 1
    shown = capsys.readouterr()
    assert "cards" in shown.out
    assert "1 decision" in shown.err
    Path("bad.toml").write_text('id = "open"\n')
    assert run("policy", "simulate", "--policy", "bad.toml", "--ledger") == 2
