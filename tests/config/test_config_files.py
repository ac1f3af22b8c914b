"""Files of an operator, right and wrong. Each wrong one ends with what must be said of it, line by line (`#! LINE
message`), each right one with its warnings (`#? LINE message`)."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from sluice import config, identity, policy, targets
from sluice.errors import Misconfigured, Problem

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SHIPPED = ROOT / "signatures" / "targets.toml"
TODAY = dt.date(2026, 11, 24)
CLASSES = ("secret.cloud", "secret.password", "financial.card", "financial.iban", "government.ssn", "personal.email")
PROVIDERS = targets.load(SHIPPED).providers


def files(directory: str) -> list[Path]:
    return sorted(f for f in (HERE / directory).iterdir() if f.suffix in (".toml", ".csv"))


def said(file: Path, mark: str) -> list[str]:
    """The messages that a file announces of itself."""
    lines = file.read_text("utf-8", "replace").splitlines()
    return [line.removeprefix(f"{mark} ") for line in lines if line.startswith(f"{mark} ")]


def read(file: Path) -> tuple[Problem, ...]:
    """Load a file as what its name says it is; return its warnings."""
    match file.stem.partition("-")[0]:
        case "policy":
            return policy.load(file, known_classes=CLASSES, known_providers=PROVIDERS, today=TODAY).warnings
        case "targets":
            targets.load(SHIPPED, file)
        case "settings":
            config.load(file, {})
        case "map":
            identity.read_map(file)
        case other:
            raise AssertionError(other)
    return ()


def lines(problems: list[Problem] | tuple[Problem, ...]) -> list[str]:
    return [f"{p.line or '-'} {p.what}" for p in problems]


@pytest.mark.parametrize("file", files("bad"), ids=lambda f: f.name)
def test_a_wrong_file_is_refused_with_every_fault_and_its_line(file: Path) -> None:
    """Nothing of a wrong file is loaded, and one run names all that is wrong with it."""
    expected = said(file, "#!")
    assert expected, f"{file.name} does not say what is wrong with it"
    with pytest.raises(Misconfigured) as caught:
        read(file)
    assert lines(caught.value.problems) == expected
    assert {p.file for p in caught.value.problems} == {str(file)}


@pytest.mark.parametrize("file", files("good"), ids=lambda f: f.name)
def test_a_right_file_loads(file: Path) -> None:
    """A right file loads, with exactly the warnings that it announces."""
    assert lines(read(file)) == said(file, "#?")


def test_a_wrong_variable_is_named_as_the_variable() -> None:
    """A setting from the environment is complained about under the variable's name, not under a line of the file."""
    environ = {
        "SLUICE_PROXY__WORKERS": "many",
        "SLUICE_LIMITS__SCAN_SECONDS": "-1",
        "SLUICE_NONSENSE__A": "1",
        "SLUICE_PROXY__PORT": "1",
    }
    with pytest.raises(Misconfigured) as caught:
        config.load(HERE / "good" / "settings.toml", environ)
    assert {p.file for p in caught.value.problems} == {
        "$SLUICE_PROXY__WORKERS",
        "$SLUICE_NONSENSE__A",
        "$SLUICE_PROXY__PORT",
    }
    with pytest.raises(Misconfigured, match=r"SLUICE_LIMITS__SCAN_SECONDS: limits\.scan_seconds: must be above 0"):
        config.load(HERE / "good" / "settings.toml", {"SLUICE_LIMITS__SCAN_SECONDS": "-1"})


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "0"])
def test_no_deadline_that_is_none(value: str) -> None:
    """TOML has nan and inf: a deadline that never comes, or that no comparison holds for, is refused."""
    with pytest.raises(Misconfigured, match="must be above 0"):
        config.load(None, {"SLUICE_LIMITS__COMMIT_SECONDS": value})


def test_variables_lie_over_the_file() -> None:
    """A variable outranks the file, its value is TOML where that is meant and text where the setting is a text."""
    settings = config.load(
        HERE / "good" / "settings.toml",
        {
            "SLUICE_PROXY__WORKERS": "3",
            "SLUICE_EVIDENCE__NODE": "12345",
            "SLUICE_ADMIN__LISTEN": "127.0.0.1:9",
            "SLUICE_UPSTREAM__HOSTS": '{ "a.example" = "127.0.0.1:1" }',
            "SLUICE_TUNNELS__PORTS": "[443, 8443]",
            "SLUICE_PATHS__VAR": "elsewhere",
        },
    )
    assert settings.proxy.workers == 3
    assert settings.node == "12345"
    assert settings.admin.listen == "127.0.0.1:9"
    assert settings.upstream.hosts == {"a.example": "127.0.0.1:1"}
    assert settings.tunnels.ports == (443, 8443)
    assert settings.paths.var == HERE / "good" / "elsewhere"
    assert settings.limits.body_bytes == 1048576


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    """`--config` with a wrong name must not quietly start with the defaults."""
    with pytest.raises(Misconfigured, match="no such settings file"):
        config.load(tmp_path / "absent.toml", {})


def test_an_address_map_that_is_missing_is_an_error(tmp_path: Path) -> None:
    """Without its map a site would decide every policy on groups as if nobody were in one."""
    file = tmp_path / "sluice.toml"
    file.write_text('[identity]\naddress_map = "absent.csv"\n')
    with pytest.raises(Misconfigured, match=r"absent\.csv: cannot be read"):
        identity.Resolver.load(config.load(file, {}))
