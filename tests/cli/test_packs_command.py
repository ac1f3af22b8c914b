"""`sluice packs`: list, show, prove, begin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import sluice.cli


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory without settings."""
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        sluice.cli.main(list(arguments))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_list_by_class(capsys: pytest.CaptureFixture[str]) -> None:
    """All detectors with title, class and severity; a class takes what lies below it, and no name that begins alike."""
    assert run("packs", "list", "--json") == 0
    everything = json.loads(capsys.readouterr().out)
    assert len({d["id"] for d in everything}) == len(everything) >= 80
    assert run("packs", "list", "--json", "--class", "financial") == 0
    chosen = json.loads(capsys.readouterr().out)
    assert {d["class"].partition(".")[0] for d in chosen} == {"financial"}
    assert run("packs", "list", "--json", "--class", "secret.cloud") == 0
    assert {d["class"] for d in json.loads(capsys.readouterr().out)} == {"secret.cloud-key"}
    assert run("packs", "list", "--class", "finan") == 0
    assert "0 detectors" in capsys.readouterr().out


def test_show_tells_why(capsys: pytest.CaptureFixture[str]) -> None:
    """Everything of one detector; an unknown one is a line that names its neighbours."""
    assert run("packs", "show", "payment.card-number", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["class"] == "financial.card"
    assert told["why"]
    assert "luhn" in told["validators"]
    assert run("packs", "show", "payment.card-numbr") == 2
    assert (said := capsys.readouterr().err).startswith("sluice: no detector `payment.card-numbr`")
    assert "payment.card-number" in said


def test_an_id_that_is_taken_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Beginning a detector whose id exists ends in a conflict: said at once, beside the pack."""
    assert run("packs", "new", "payment.card-number") == 0
    told = capsys.readouterr()
    assert "warning: there is a detector `payment.card-number` already" in told.err
    assert 'id          = "payment.card-number"' in told.out
    assert run("packs", "new", "acme.api-key") == 0
    assert capsys.readouterr().err == ""


def test_a_new_pack_is_sound_and_a_spoiled_one_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    """What `packs new` prints passes `packs check` as it stands; with a wrong example the problem has file and line."""
    assert run("packs", "new", "acme.api-key") == 0
    pack = capsys.readouterr().out
    Path("acme.toml").write_text(pack)
    assert run("packs", "check", "acme.toml") == 0
    assert "all proved" in capsys.readouterr().out
    Path("acme.toml").write_text(pack.replace('"acme is a company"', '"acme_{alnum*32}"'))
    assert run("packs", "check", "acme.toml") == 1
    told = capsys.readouterr().err
    assert "acme.toml:4: acme.api-key: reject 2 is found" in told


@pytest.mark.parametrize("name", ["acme", "Acme.key", "acme.api_key", "acme.key.more", ""])
def test_an_id_has_its_form(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An id is `vendor.thing` in lower case, because it is permanent."""
    assert run("packs", "new", name) == 2
    assert "vendor.thing" in capsys.readouterr().err
