"""The dashboards are what the code says, whole, and ask for metrics and data sources that there are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.monitoring.asked import BOARDS, panels
from tests.monitoring.test_alert_rules import EXPOSED, RECORDED, used

HERE = Path(__file__).parents[2] / "deploy" / "grafana"


def loaded(file: Path) -> Any:
    return YAML(typ="safe").load(file.read_text())


def test_the_files_are_what_the_code_says() -> None:
    """Whoever changes a board changes the code and runs `make generate`."""
    done = subprocess.run(
        [sys.executable, HERE / "generate.py", "--check"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_there_is_a_board_for_each_reader() -> None:
    """SOC, network operations, evidence, posture, and the one that a block leads to."""
    assert {board["uid"] for board in BOARDS} == {
        "sluice-soc",
        "sluice-network",
        "sluice-evidence",
        "sluice-posture",
        "sluice-exchange",
    }


@pytest.mark.parametrize("board", BOARDS, ids=lambda b: b["uid"])
def test_every_panel_says_what_it_shows(board: dict[str, Any]) -> None:
    """A title that stands once, a sentence, a unit or a table, at least one query, and metrics that are defined."""
    found = panels(board)
    assert len({p["title"] for p in found}) == len(found) > 0
    for panel in found:
        assert panel["description"]
        assert panel["targets"]
        assert panel["type"] == "table" or panel["fieldConfig"]["defaults"]["unit"]
        for target in panel["targets"]:
            if expr := target.get("expr"):
                assert used(expr) <= EXPOSED | RECORDED, panel["title"]


def test_provisioning_gives_what_the_boards_name() -> None:
    """The uids and types of the data sources are those that the queries name; a policy names a contact point."""
    sources = {s["uid"]: s["type"] for s in loaded(HERE / "provisioning" / "datasources" / "sluice.yml")["datasources"]}
    named = {
        (target["datasource"]["uid"], target["datasource"]["type"])
        for board in BOARDS
        for panel in panels(board)
        for target in panel["targets"]
    }
    assert named <= set(sources.items())
    (provider,) = loaded(HERE / "provisioning" / "dashboards" / "sluice.yml")["providers"]
    assert provider["type"] == "file"
    alerting = loaded(HERE / "provisioning" / "alerting" / "sluice.yml")
    assert {p["receiver"] for p in alerting["policies"]} == {c["name"] for c in alerting["contactPoints"]}


def test_a_block_leads_to_its_exchange() -> None:
    """Tables with a decision id link to the board that shows one exchange, with the id filled in."""
    said = json.dumps([b for b in BOARDS if b["uid"] == "sluice-soc"])
    assert "/d/sluice-exchange?var-decision_id=${__value.raw}" in said
