"""The rules that ship: each alert is whole, explained, made of metrics that exist, and proved to fire and to be silent.

promtool and amtool are Debian's (packages prometheus and prometheus-alertmanager; `make setup-watch` installs them).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import sluice.metrics  # noqa: F401 - the definitions are made by importing them
from sluice.tally import DEFINITIONS

HERE = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES = sorted((HERE / "rules").glob("*.yml"))
UNIT_TESTS = sorted(HERE.glob("*.test.yml"))
SERIES = re.compile(r"\b(?:sluice(?:_[a-z0-9]+)+|sluice:[a-z0-9_:]+)")
STRINGS = re.compile(r"\"[^\"]*\"|'[^']*'")


def loaded(file: Path) -> Any:
    return YAML(typ="safe").load(file.read_text())


GROUPS = [group for file in RULES for group in loaded(file)["groups"]]
ALERTS = [rule for group in GROUPS for rule in group["rules"] if "alert" in rule]
RECORDED = {rule["record"] for group in GROUPS for rule in group["rules"] if "record" in rule}
EXPOSED = {name for d in DEFINITIONS.values() for name in (d.exposed, *(
    f"{d.name}{end}" for end in ("_bucket", "_sum", "_count") if d.kind == "histogram"))}  # fmt: skip


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: Debian's prometheus and prometheus-alertmanager (`make setup-watch`)")
    return found


def run(*command: str | Path, cwd: Path = HERE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=110, check=False)


def used(expression: str) -> set[str]:
    return set(SERIES.findall(STRINGS.sub("", expression)))


def test_there_are_enough_of_them() -> None:
    """At least thirty alerts, each name once."""
    names = [alert["alert"] for alert in ALERTS]
    assert len(names) >= 30
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("alert", ALERTS, ids=[a["alert"] for a in ALERTS])
def test_an_alert_says_whom_it_calls_and_what_to_do(alert: dict[str, Any]) -> None:
    """Severity and team that the routing knows, a summary, a description, and a heading of the runbook."""
    assert alert["labels"]["severity"] in ("critical", "warning", "info")
    assert alert["labels"]["team"] in ("soc", "network", "evidence")
    assert alert["annotations"]["summary"]
    assert alert["annotations"]["description"]
    page, _, anchor = alert["annotations"]["runbook"].partition("#")
    headings = [line[3:].lower() for line in (HERE / page).read_text().splitlines() if line.startswith("## ")]
    assert headings.count(anchor) == 1


def test_the_runbook_knows_no_other_alert() -> None:
    """A heading whose alert is gone is taken out with it."""
    headings = {line[3:] for line in (HERE / "RUNBOOK.md").read_text().splitlines() if line.startswith("## ")}
    assert headings == {alert["alert"] for alert in ALERTS}


@pytest.mark.parametrize("rule", [r for g in GROUPS for r in g["rules"]], ids=lambda r: r.get("alert") or r["record"])
def test_rules_ask_for_what_there_is(rule: dict[str, Any]) -> None:
    """A misspelt metric would be an alert that never fires."""
    asked = used(rule["expr"])
    assert asked or rule["expr"].startswith("up{")
    assert asked <= EXPOSED | RECORDED


def test_every_alert_is_tested_both_ways() -> None:
    """For each alert there is a unit test whose data make one node fire and another one stay silent."""
    tests = [test for file in UNIT_TESTS for test in loaded(file)["tests"]]
    assert sorted(test["name"] for test in tests) == sorted(alert["alert"] for alert in ALERTS)
    for test in tests:
        said = json.dumps(test["input_series"])
        assert "bad" in said, test["name"]
        assert "good" in said, test["name"]
        (expected,) = test["promql_expr_test"]
        assert f'alertname="{test["name"]}"' in expected["expr"]
        (fires,) = expected["exp_samples"]
        assert '"bad"' in fires["labels"]


@pytest.mark.parametrize("file", UNIT_TESTS, ids=lambda f: f.name)
def test_promtool_proves_them(file: Path) -> None:
    """`promtool test rules`: every alert fires for the bad node and not for the good one."""
    done = run(program("promtool"), "test", "rules", file.name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_scrape_configuration_is_one() -> None:
    """`promtool check config`, which checks the rule files as well."""
    done = run(program("promtool"), "check", "config", "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ("severity=critical team=soc", "on-call,soc"),
        ("severity=warning team=soc", "soc"),
        ("severity=warning team=evidence", "evidence"),
        ("severity=critical team=network", "on-call"),
        ("severity=info team=network", "morning"),
        ("severity=warning team=network", "network"),
    ],
)
def test_alertmanager_sends_each_to_its_team(labels: str, receivers: str) -> None:
    """`amtool check-config`, and the routing as it was meant."""
    amtool = program("amtool")
    done = run(amtool, "check-config", "alertmanager.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    routed = run(amtool, "config", "routes", "test", "--config.file=alertmanager.yml", *labels.split())
    assert routed.stdout.strip() == receivers


PROMISED = {
    "many blocks": ["SluiceBlockSpike"],
    "one subject, one key": ["SluiceSubjectSpike", "SluiceSubjectBlockedAgain", "SluiceKeySpike"],
    "a live key in a prompt": ["SluiceLiveKeyInPrompt"],
    "health data, cards": ["SluiceHealthDataAllowed", "SluiceCardAllowed"],
    "a new provider": ["SluiceUnsanctionedProviderFirstSeen"],
    "fail-open and refuse rate": ["SluiceFailOpen", "SluiceRefuseRate"],
    "nobody knows who": ["SluiceUnidentifiedShare"],
    "evidence": ["SluiceShipLag", "SluiceChainGap", "SluiceReconcileDifference", "SluiceSealerSilent"],
    "the ledger's disk": ["SluiceLedgerDiskLow", "SluiceLedgerDiskFillsUp"],
    "the self-test": ["SluiceSelftestFailed", "SluiceSelftestSilent"],
    "ClickHouse": ["SluiceStoreDown", "SluicePoisonRows"],
    "certificates": ["SluiceCaEndsInWeeks", "SluiceCaEndsInDays", "SluiceLeafEnds", "SluiceUpstreamCertificates"],
    "clients that do not trust": ["SluiceClientTrust"],
    "rules and versions": ["SluiceRulesOld", "SluiceRulesDiffer", "SluiceVersionsDiffer"],
    "what is not read": ["SluiceUninspectedShare"],
    "load": ["SluiceLoopLag", "SluiceMemory", "SluiceProcessRestarts", "SluiceOverload"],
}
"""What a SOC and a network team were told that they would hear of."""


@pytest.mark.parametrize("what", PROMISED)
def test_what_was_promised_has_its_alert(what: str) -> None:
    """None of them is lost when rules are put together or renamed."""
    assert set(PROMISED[what]) <= {alert["alert"] for alert in ALERTS}
