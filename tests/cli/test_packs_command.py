"""`sluice packs`: list, show, prove, begin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.rig.command import run

pytestmark = pytest.mark.usefixtures("elsewhere")


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


@pytest.mark.timeout(600)
def test_a_new_pack_is_sound_and_a_spoiled_one_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    """What `packs new` prints is sound beside every shipped pack, and so are they; of a spoiled example the problem
    has file and line."""
    assert run("packs", "new", "acme.api-key") == 0
    pack = capsys.readouterr().out
    spoiled = pack.replace("acme", "ecma").replace('"ecma is a company"', '"ecma_{alnum*32}"')
    Path("acme.toml").write_text(pack)
    Path("ecma.toml").write_text(spoiled)
    assert run("packs", "check", "acme.toml", "ecma.toml") == 1
    told = capsys.readouterr().err
    (problem,) = [line for line in told.splitlines() if ": reject " in line or ": match " in line or ".toml:" in line]
    assert "ecma.toml:4: ecma.api-key: reject 2 is found" in problem


@pytest.mark.parametrize("name", ["acme", "Acme.key", "acme.api_key", "acme.key.more", ""])
def test_an_id_has_its_form(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An id is `vendor.thing` in lower case, because it is permanent."""
    assert run("packs", "new", name) == 2
    assert "vendor.thing" in capsys.readouterr().err


def test_list_by_family_and_severity(capsys: pytest.CaptureFixture[str]) -> None:
    """Filters narrow the list, together."""
    assert run("packs", "list", "--json", "--severity", "critical", "--class", "secret") == 0
    chosen = json.loads(capsys.readouterr().out)
    assert chosen
    assert {d["severity"] for d in chosen} == {"critical"}
    assert run("packs", "show", "--json", chosen[0]["id"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["recorded"] == f"revision {shown['rev']}"
    assert run("packs", "list", "--json", "--family", shown["family"]) == 0
    family = [d["id"] for d in json.loads(capsys.readouterr().out)]
    assert chosen[0]["id"] in family
    assert run("packs", "list", "--json") == 0
    assert len(family) < len(json.loads(capsys.readouterr().out))


def test_stats_count_every_detector(capsys: pytest.CaptureFixture[str]) -> None:
    """Families, classes, severities and states each add up to all detectors; regulations are counted too."""
    assert run("packs", "stats", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    for name in ("family", "kind", "class", "severity", "status"):
        assert sum(told[name].values()) == told["detectors"]
    assert told["regulation"]["gdpr:9"] > 1
    assert run("packs", "stats") == 0
    assert f"{told['detectors']} detectors" in capsys.readouterr().out


def test_examples_of_a_file_and_of_an_id(capsys: pytest.CaptureFixture[str]) -> None:
    """A skeleton's examples hold as written to a file; a spoiled one fails by number, without its text."""
    assert run("packs", "new", "acme.api-key", "acme.toml") == 0
    assert "packs test acme.toml" in capsys.readouterr().err
    assert run("packs", "new", "acme.api-key", "acme.toml") == 2
    assert "cannot be written" in capsys.readouterr().err
    assert run("packs", "test", "acme.toml") == 0
    assert "1 detectors, 4 examples, 0 failures" in capsys.readouterr().out
    assert run("packs", "test", "payment.card-number") == 0
    capsys.readouterr()
    text = Path("acme.toml").read_text().replace('"acme_short"', '"acme_{alnum*32}"')
    Path("acme.toml").write_text(text.replace('"ACME_KEY=acme_{alnum*32}"', '"ACME_KEY=none"'))
    assert run("packs", "test", "--json", "acme.toml") == 1
    told = json.loads(capsys.readouterr().out)
    assert [f["what"] for f in told["failures"]] == [
        "acme.api-key: match 2: not found",
        "acme.api-key: reject 1 is found",
    ]
    assert run("packs", "test", "no.such") == 2
    assert "no detector `no.such`" in capsys.readouterr().err
