"""A fingerprint key and a CA rotated on a running deployment: recorded, and no row is orphaned (T62)."""

from __future__ import annotations

import json
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.clients.appliance import BIN, Appliance
from tests.upstream import Upstream

SECRET = "sk-proj-" + "Ab3dEf6hIj9" * 5


def ask(appliance: Appliance) -> None:
    """One allowed request with a key that is always the same."""
    context = ssl.create_default_context(cafile=str(appliance.ca_file))
    with httpx.Client(proxy=appliance.proxy, verify=context, timeout=30) as client:
        answer = client.post(
            "https://api.openai.com/v1/chat/completions",
            json={"model": "gpt-5.5", "messages": [{"role": "user", "content": "hello"}]},
            headers={"authorization": f"Bearer {SECRET}"},
        )
    assert answer.status_code == 200


def one_life(appliance: Appliance, requests: int) -> None:
    """Start, ask, wait until so many decisions can be queried, stop."""
    appliance.start()
    try:
        ask(appliance)
        query = "select count() as n from sluice.events where record_type = 'decision'"
        appliance.rows_when(query, lambda rows: int(rows[0]["n"]) == requests)
    finally:
        appliance.stop()


@pytest.mark.timeout(300)
def test_rotations_are_recorded_and_old_rows_found(tmp_path: Path) -> None:
    """Before and after a rotation the same key has two fingerprints, each told by the command under its version."""
    with Upstream(delay=0) as upstream:
        appliance = Appliance(tmp_path, upstream)
        one_life(appliance, 1)
        appliance.sluice("keys", "rotate")
        appliance.sluice("ca", "rotate")
        appliance.sluice("ca", "rotate", "--activate")
        one_life(appliance, 2)
        appliance.start()
        try:
            decisions = appliance.sql(
                "select hmac_key_id, key_fp from sluice.events where record_type = 'decision' order by ts_received"
            )
            controls = appliance.sql(
                "select epoch, control_kind, control_detail from sluice.events "
                "where control_kind in ('policy_load', 'pack_load', 'targets_load', 'mode_change', 'key_rotation', "
                "'ca_rotation') order by epoch, seq"
            )
        finally:
            appliance.stop()
    assert [d["hmac_key_id"] for d in decisions] == ["k1", "k2"]
    assert decisions[0]["key_fp"] != decisions[1]["key_fp"]
    told = subprocess.run(
        [BIN / "sluice", "keys", "fingerprint", "--config", appliance.config, "--kind", "secret", "--json"],
        input=SECRET + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(told.stdout) == [{"hmac_key_id": d["hmac_key_id"], "fingerprint": d["key_fp"]} for d in decisions]
    by_start: dict[int, dict[str, dict[str, object]]] = {}
    for row in controls:
        by_start.setdefault(int(row["epoch"]), {})[row["control_kind"]] = json.loads(row["control_detail"])
    first, second = by_start[1], by_start[2]
    assert set(first) == {"policy_load", "pack_load", "targets_load", "mode_change"}
    assert set(second) == {"policy_load", "pack_load", "targets_load", "key_rotation", "ca_rotation"}
    assert second["key_rotation"] == {"hmac_key_id": "k2", "before": "k1"}
    assert second["ca_rotation"]["sha256"] != second["ca_rotation"]["before"]
    assert second["policy_load"]["changed"] is False
