"""Units, settings and scripts for a machine with systemd: checked by systemd itself, and by reading what they name."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sluice import config

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted((*DEPLOY.rglob("*.service"), *DEPLOY.rglob("*.timer")))
SCRIPTS = sorted(DEPLOY.rglob("*.sh"))


@pytest.fixture
def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("systemd-analyze is not installed")
    return found


def test_the_service_is_closed(analyze: str) -> None:
    """`systemd-analyze security` gives the appliance an exposure under 2.0."""
    done = subprocess.run(
        [analyze, "security", "--offline=yes", DEPLOY / "systemd" / "sluice.service"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    found = re.search(r"exposure level for sluice.service: ([\d.]+)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) < 2.0


@pytest.mark.parametrize("unit", UNITS, ids=lambda f: f.name)
def test_systemd_finds_no_fault_in_a_unit(unit: Path, analyze: str, tmp_path: Path) -> None:
    """`systemd-analyze verify` takes the unit as it stands, its programs put in the place of ours."""
    text = re.sub(r"/opt/sluice/\S+", "/bin/true", unit.read_text("utf-8"))
    for beside in unit.parent.glob("*.service"):  # what a timer starts
        shutil.copy(beside, tmp_path)
    (tmp_path / unit.name).write_text(text)
    done = subprocess.run(
        [analyze, "verify", "--man=no", tmp_path / unit.name],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )
    ours = [line for line in done.stderr.splitlines() if unit.name in line]
    assert ours == []


def test_the_settings_of_the_service_are_settings() -> None:
    """The file with Debian's paths can be loaded; state, log and configuration lie where the unit lets it write."""
    loaded = config.load(DEPLOY / "systemd" / "sluice.toml", environ={})
    unit = (DEPLOY / "systemd" / "sluice.service").read_text("utf-8")
    assert str(loaded.paths.var) == "/var/lib/sluice"
    assert "StateDirectory=sluice\n" in unit
    assert f"--config {loaded.paths.policy.parent if loaded.paths.policy else None}/sluice.toml" in unit
    for file in (loaded.paths.policy, loaded.paths.targets, loaded.paths.suppressions):
        assert file is not None
        assert (DEPLOY / file.name).is_file()


def test_the_unit_waits_as_long_as_the_appliance_may_take() -> None:
    """Stopping may take the drain, the sealer and the shipper one after the other; a fault in the settings is not tried
    again."""
    from sluice import supervisor

    unit = dict(
        line.split("=", 1) for line in (DEPLOY / "systemd" / "sluice.service").read_text().splitlines() if "=" in line
    )
    needed = config.Limits().drain_seconds + supervisor.DRAIN_MARGIN + supervisor.SEALER_GRACE
    needed += supervisor.FORWARDER_GRACE + supervisor.SHIPPER_GRACE
    assert int(unit["TimeoutStopSec"]) > needed
    assert unit["RestartPreventExitStatus"] == str(supervisor.MISCONFIGURED)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda f: f.name)
def test_shells_take_the_scripts(script: Path) -> None:
    """`sh -n`, and shellcheck where it is installed, find nothing."""
    assert os.access(script, os.X_OK)
    subprocess.run(["bash" if "bash" in script.read_text().splitlines()[0] else "sh", "-n", script], check=True)
    if checker := shutil.which("shellcheck"):
        done = subprocess.run([checker, script], capture_output=True, text=True, timeout=60)
        assert done.stdout == ""


def test_the_egress_script_loads_only_what_nft_takes(tmp_path: Path) -> None:
    """The rules are checked before they are loaded, for every gate that was named; a fault leaves those in force, and
    loads those of the last time where none are."""
    said = tmp_path / "said"
    for name, body in (
        (
            "nft",
            f'echo "nft $*" >>{said}; case $1 in -c) [ ! -e {tmp_path}/bad ];; list) [ ! -e {tmp_path}/none ];; esac',
        ),
        ("sluice", f'echo "sluice $*" >>{said}; echo table'),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "STATE_DIRECTORY": str(tmp_path / "kept")}
    script = DEPLOY / "nftables" / "sluice-egress.sh"
    subprocess.run([script, "10.0.0.1", "10.0.0.2"], env=environment, check=True, timeout=20)
    lines = said.read_text().splitlines()
    assert lines[0] == "sluice clients nftables --gate 10.0.0.1 --gate 10.0.0.2"
    assert [line.split()[1] for line in lines[1:]] == ["-c", "-f"]
    (tmp_path / "bad").touch()
    said.unlink()
    assert subprocess.run([script, "10.0.0.1"], env=environment, timeout=20).returncode != 0
    assert "nft -f" not in said.read_text()
    (tmp_path / "none").touch()
    assert subprocess.run([script, "10.0.0.1"], env=environment, timeout=20).returncode != 0
    assert f"nft -f {tmp_path}/kept/last.nft" in said.read_text()
