"""`sluice ca`: what it prints, and that it never prints a key."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import pytest

from tests.rig.command import run

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_init_twice_makes_one(capsys: pytest.CaptureFixture[str]) -> None:
    """The first call makes a CA, the second changes nothing; `var` is private."""
    assert run("ca", "init", "--json") == 0
    first = json.loads(capsys.readouterr().out)
    assert run("ca", "init", "--json") == 0
    second = capsys.readouterr()
    assert json.loads(second.out)["sha256"] == first["sha256"]
    assert "nothing was changed" in second.err
    assert Path("var").stat().st_mode & 0o077 == 0


def test_a_rotation_from_end_to_end(capfd: pytest.CaptureFixture[str]) -> None:
    """Successor, both handed out, successor in force, old one forgotten: each step shows in `export`."""

    def handed_out() -> list[str]:
        capfd.readouterr()
        assert run("ca", "export") == 0
        out = capfd.readouterr().out
        assert "PRIVATE" not in out
        return [f"-----BEGIN{block}" for block in out.split("-----BEGIN")[1:]]

    run("ca", "init")
    (old,) = handed_out()
    assert run("ca", "rotate") == 0
    both = handed_out()
    assert len(both) == 2
    assert both[0] == old
    assert run("ca", "rotate", "--activate") == 0
    assert handed_out() == both[::-1]
    assert run("ca", "rotate", "--retire") == 0
    assert handed_out() == [both[1]]
    assert run("ca", "rotate", "--activate") == 2
    assert "nothing is staged" in capfd.readouterr().err


def test_der_is_the_current_certificate(tmp_path: Path) -> None:
    """DER written to a file holds exactly the certificate in force."""
    run("ca", "init")
    assert run("ca", "export", "--form", "der", "-o", "out.der") == 0
    assert Path("out.der").read_bytes() == ssl.PEM_cert_to_DER_cert(Path("var/ca/ca.pem").read_text())


def test_show_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """Subject, validity, fingerprints and where the files are; the key's path and never its bytes."""
    run("ca", "init")
    capsys.readouterr()
    assert run("ca", "show") == 0
    out = capsys.readouterr().out
    assert "days left" in out
    assert "var/ca/ca.pem" in out.replace("\n", "")
    assert "PRIVATE" not in out


def test_one_step_of_a_rotation_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    """Two steps at once are refused and change nothing; retiring when there is no CA before this one says so."""
    run("ca", "init")
    run("ca", "rotate")
    before = {path.name: path.read_bytes() for path in Path("var/ca").iterdir()}
    assert run("ca", "rotate", "--activate", "--retire") == 2
    assert "--activate and --retire: one step at a time" in capsys.readouterr().err
    assert run("ca", "rotate", "--retire") == 2
    assert "nothing to retire" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in Path("var/ca").iterdir()} == before
