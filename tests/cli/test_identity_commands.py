"""`sluice users` and `sluice subjects`: what an operator types, and what it leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "sluice.toml"
    file.write_text(f'[paths]\nvar = "{tmp_path}/var"\n[evidence]\nnode = "n"\n[identity]\nusers = "users"\n')
    return file


def sluice(config: Path, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sluice.cli", *arguments, "--config", str(config)]
    return subprocess.run(command, cwd=ROOT, input=said, capture_output=True, text=True, timeout=60, check=False)


def test_a_user_is_added_checked_listed_and_removed(config: Path) -> None:
    """The whole life of a user; the file is private, and no output holds a password or a hash."""
    added = sluice(config, "users", "add", "Alice", "--expires", "2099-01-01", said=PASSWORD + "\n")
    assert added.returncode == 0, added.stderr
    file = config.parent / "users"
    assert file.stat().st_mode & 0o777 == 0o600
    right = sluice(config, "users", "check", "alice", "--json", said=PASSWORD + "\n")
    assert (right.returncode, json.loads(right.stdout)) == (0, {"right": True, "expired": False})
    assert sluice(config, "users", "check", "alice", said="something else\n").returncode == 1
    assert sluice(config, "users", "check", "nobody", said=PASSWORD + "\n").returncode == 1
    listed = sluice(config, "users", "list", "--json")
    assert '"alice"' in listed.stdout
    assert "2099-01-01" in listed.stdout
    removed = sluice(config, "users", "remove", "ALICE", "--json")
    assert (removed.returncode, json.loads(removed.stdout)["removed"]) == (0, True)
    assert sluice(config, "users", "remove", "alice").returncode == 1
    for output in (added, right, listed, removed):
        assert PASSWORD not in output.stdout + output.stderr
        assert "argon2" not in output.stdout + output.stderr


@pytest.mark.parametrize(("name", "said"), [("a:b", PASSWORD), ("", PASSWORD), ("alice", "short"), ("alice", "")])
def test_what_cannot_log_in_is_not_added(config: Path, name: str, said: str) -> None:
    """A name with a colon, no name, and a password of a few characters are refused, and nothing is written."""
    assert sluice(config, "users", "add", name, said=said + "\n").returncode == 2
    assert not (config.parent / "users").exists()


def test_a_lookup_wants_a_reason_and_where_set_a_second_person(config: Path) -> None:
    """Without --reason nothing is looked up; with `reveal_approved` nobody looks alone or approves himself."""
    assert sluice(config, "subjects", "reveal", "ab" * 16).returncode == 2
    assert sluice(config, "subjects", "reveal", "ab" * 16, "--reason", " ").returncode == 2
    unknown = sluice(config, "subjects", "reveal", "ab" * 16, "--reason", "case 7")
    assert unknown.returncode == 1
    assert "recorded" in unknown.stderr
    with config.open("a") as file:
        file.write("reveal_approved = true\n")
    alone = sluice(config, "subjects", "reveal", "ab" * 16, "--reason", "case 7")
    assert alone.returncode == 2
    assert "second person" in alone.stderr
