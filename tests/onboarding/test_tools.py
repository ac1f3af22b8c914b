"""The operator's tools beside a running appliance: doctor, top, and a candidate policy over its events."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from sluice import probe
from tests.clients.appliance import Appliance

CARD = "5425233430109903"
SLUICE = Path(sys.executable).with_name("sluice")


def sluice(appliance: Appliance, *arguments: str) -> tuple[int, Any]:
    """Exit code, and what was printed as JSON."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SLUICE_")}
    done = subprocess.run(
        [SLUICE, *arguments, "--config", appliance.config, "--json"],
        env=kept,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def send(appliance: Appliance, text: str) -> None:
    """A request to the probe."""
    trust = httpx.create_ssl_context(verify=str(appliance.ca_file), trust_env=False)
    with httpx.Client(proxy=appliance.proxy, verify=trust, trust_env=False) as client:
        client.post(f"https://{probe.HOST}/", json={"text": text})


def test_doctor_knows_the_running_appliance(appliance: Appliance) -> None:
    """It finds the listeners answering, the appliance ready, ClickHouse with a version and the CA; nothing to mend."""
    code, told = sluice(appliance, "doctor", "--offline")
    by_area: dict[str, list[dict[str, str]]] = {}
    for finding in told["findings"]:
        by_area.setdefault(finding["area"], []).append(finding)
    assert (code, told["ok"]) == (0, True), [f for f in told["findings"] if f["state"] == "fail"]
    assert all("answers" in f["what"] for f in by_area["ports"])
    assert "version" in by_area["clickhouse"][0]["what"]
    assert any("runs as process" in f["what"] for f in by_area["appliance"])


def test_top_looks_at_the_running_appliance(appliance: Appliance) -> None:
    """One look: processes by name, a backlog, and rates of what was decided meanwhile."""
    code, told = sluice(appliance, "top", "--count", "1", "--every", "0.2")
    assert code == 0
    assert told["ready"] is True
    assert {"worker-0", "sealer", "shipper"} <= set(told["processes"])
    assert told["disk_free_bytes"] > 0


def test_a_candidate_over_the_events(appliance: Appliance, tmp_path: Path) -> None:
    """Decisions are read out of ClickHouse: the policy that made them changes nothing, an open one does."""
    send(appliance, f"card {CARD}")
    appliance.rows_when("select count() n from events where decision = 'block'", lambda rows: int(rows[0]["n"]) > 0)
    shipped = Path(__file__).parents[2] / "deploy" / "policy.toml"
    code, same = sluice(appliance, "policy", "simulate", "--policy", str(shipped), "--since", "1h")
    assert (code, same["changed"], same["undetermined"]) == (0, 0, {})
    assert same["decisions"] == same["same"] + same["not_policy"] > 0
    (tmp_path / "open.toml").write_text('id = "open"\nversion = "1"\n')
    code, opened = sluice(appliance, "policy", "simulate", "--policy", str(tmp_path / "open.toml"), "--since", "1h")
    (change,) = [c for c in opened["changes"] if c["before"] == "block"]
    assert (code, change["after"], change["rule_before"]) == (1, "allow", "payment-cards")
    assert change["providers"] == {"sluice": change["decisions"]}
