"""`sluice top`: rates out of two looks at the counters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import sluice.cli
from sluice.cli import top
from sluice.cli.terminal import console


def look(at: float, blocks: float, buckets: dict[str, float], **more: float) -> top.Look:
    decisions = {
        (("action", "block"), ("mode", "enforce"), ("provider", "openai"), ("reason", "SECRET_FOUND")): blocks,
        (("action", "allow"), ("mode", "enforce"), ("provider", "other"), ("reason", "NO_FINDINGS")): 10.0,
    }
    samples: top.Samples = {
        "sluice_decisions_total": decisions,  # type: ignore[dict-item]
        "sluice_added_seconds_bucket": {(("le", le),): value for le, value in buckets.items()},
    }
    samples |= {name: {(): value} for name, value in more.items()}
    ready: dict[str, Any] = {
        "ready": False,
        "missing": ["worker-1 is down\x1b[31m"],
        "degraded": [],
        "processes": {"worker-0": {"state": "ready", "pid": 7, "starts": 1}},
    }
    return top.Look(at, samples, ready)


BEFORE = look(10.0, 5, {"0.001": 5, "0.01": 5, "+Inf": 5})
AFTER = look(12.0, 25, {"0.001": 5, "0.01": 24, "+Inf": 25}, sluice_ship_pending_records=3)


def test_rates_are_what_grew_between_two_looks() -> None:
    """Twenty blocks in two seconds are ten a second; what did not grow is left out; quantiles are of the new ones."""
    told = top.summary(BEFORE, AFTER)
    assert told["per_second"]["action"] == {"block": 10.0}
    assert told["per_second"]["reason"] == {"SECRET_FOUND": 10.0}
    assert told["per_second"]["provider"] == {"openai": 10.0}
    assert told["added_ms"] == {"0.5": 10.0, "0.95": 10.0, "0.99": None}
    assert (told["ship_pending"], told["ready"]) == (3, False)


def test_a_restarted_counter_is_no_negative_rate() -> None:
    """A counter that began anew gives no rate below zero."""
    assert top.summary(AFTER, BEFORE)["per_second"]["action"] == {}


def test_the_page_shows_it_and_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    """State, rates and processes for a person; what comes from elsewhere cannot colour a terminal."""
    console().print(top.page(top.summary(BEFORE, AFTER)))
    shown = capsys.readouterr().out
    for word in ("not ready", "10.0 decisions/s", "SECRET_FOUND", "worker-0", "to ship 3"):
        assert word in shown
    assert "\x1b" not in shown


def test_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 3 and what to do, as `sluice tail` does."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        sluice.cli.main(["top", "--json"])
    assert ended.value.code == 3
    assert "starts it" in capsys.readouterr().err


def test_json_is_a_line_a_look(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """--json prints one object for each look, and --count ends it."""
    looks = iter([BEFORE, AFTER, AFTER])
    monkeypatch.setattr(top, "_admin", lambda settings: "127.0.0.1:1")
    monkeypatch.setattr(top, "look", lambda admin: next(looks))
    with pytest.raises(SystemExit) as ended:
        sluice.cli.main(["top", "--json", "--count", "2", "--every", "0.1"])
    assert ended.value.code == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["per_second"]["action"], second["per_second"]["action"]) == ({"block": 10.0}, {})
