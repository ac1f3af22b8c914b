"""A running appliance with the demonstration's traffic, watched by real Prometheus and Alertmanager with our files."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.appliance import SHIP_SOON, Appliance
from tests.clients.calling import Refused
from tests.demo.scenes import scenes
from tests.monitoring.asked import expressions, statements
from tests.monitoring.watching import Watch, until
from tests.upstream import Upstream

pytestmark = pytest.mark.timeout(300)

HERE = Path(__file__).parents[2] / "deploy" / "prometheus"
STATEMENTS = re.findall(r"^## (\w+)\n(?:(?!^## ).)*?```sql\n(.*?)```", (HERE / "RUNBOOK.md").read_text(), re.M | re.S)
SETTINGS = SHIP_SOON + 'http_listen = "127.0.0.1:0"\n[selftest]\nseconds = 1.0\n'
MISSING = [name for name in ("prometheus", "prometheus-alertmanager") if shutil.which(name) is None]


@dataclass
class Watched:
    appliance: Appliance
    watch: Watch

    def sql(self, statement: str) -> list[dict[str, Any]]:
        """Rows, asked over ClickHouse's HTTP interface, as a dashboard does. Raises HTTPError."""
        with urllib.request.urlopen(f"{self.appliance.admin}/readyz", timeout=10) as answer:
            url = json.load(answer)["processes"]["shipper"]["sql"]
        password = (self.appliance.var / "keys" / "sql-http.password").read_text().strip()
        headers = {"x-clickhouse-user": "sluice", "x-clickhouse-key": password, "x-clickhouse-format": "JSONEachRow"}
        with urllib.request.urlopen(urllib.request.Request(url, statement.encode(), headers), timeout=30) as answer:
            return [json.loads(line) for line in answer.read().splitlines()]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """The appliance, seen by Prometheus before, while and after the demonstration's requests go through it."""
    if MISSING:
        pytest.skip(f"not installed: {', '.join(MISSING)} (Debian's packages of these names; `make setup-watch`)")
    directory = tmp_path_factory.mktemp("watched")
    with Upstream() as upstream:
        appliance = Appliance(directory, upstream, workers=2, settings=SETTINGS)
        try:
            appliance.start()
            with (
                Watch(directory, appliance.admin.removeprefix("http://")) as watch,
                pytest.MonkeyPatch.context() as env,
            ):
                until(lambda: watch.scraped, "no scrape")
                for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
                    env.delenv(name)
                for name, value in appliance.environment.items():
                    env.setenv(name, value)
                played = list(scenes())
                for scene in played:
                    try:
                        "".join(scene.act())
                    except Refused:
                        assert not scene.clean
                appliance.rows_when(
                    "select count() as n from exchanges where outcome", lambda rows: int(rows[0]["n"]) >= len(played)
                )
                until(lambda: watch.query("sum(sluice:decisions:rate5m) > 0"), "no decision was scraped")
                yield Watched(appliance, watch)
        finally:
            appliance.stop()


def test_prometheus_counts_what_was_decided(watched: Watched) -> None:
    """Allowed and blocked requests, by provider and by class of data, as Prometheus has them."""
    (allowed,) = watched.watch.query('sum(sluice_decisions_total{action="allow", provider="openai"})')
    (blocked,) = watched.watch.query('sum(sluice_decision_classes_total{action="block", data_class="financial.card"})')
    assert float(allowed["value"][1]) >= 2
    assert float(blocked["value"][1]) >= 1
    assert watched.watch.query('sluice_process_up{process="worker-1"} == 1')
    assert watched.watch.query("sluice_ready == 1")


def test_an_alert_fires_and_somebody_is_called(watched: Watched) -> None:
    """A provider that the site has not judged: the rule fires in Prometheus, and Alertmanager calls the SOC alone."""
    pager = watched.watch.pager
    name = "SluiceUnsanctionedProviderFirstSeen"
    until(lambda: watched.watch.query(f'ALERTS{{alertname="{name}", alertstate="firing"}}'), "it does not fire")
    calls = until(lambda: [c for c in list(pager.calls) if c[1]["labels"]["alertname"] == name], "nobody was called")
    assert {receiver for receiver, _ in calls} == {"soc"}
    assert {"openai", "anthropic"} & {alert["labels"]["provider"] for _, alert in calls}
    assert calls[0][1]["annotations"]["runbook"] == f"RUNBOOK.md#{name.lower()}"


def test_the_self_test_passes_and_is_in_no_view(watched: Watched) -> None:
    """The shipped policy blocks it, its record is in the event store, and no view of requests knows of it."""
    runs = {'result="blocked"': 1.0, 'result!="blocked"': 0.0}
    for selector, least in runs.items():
        (series,) = watched.watch.query(f"sum(sluice_selftest_runs_total{{{selector}}})")
        assert (float(series["value"][1]) >= 1) is bool(least)
    assert watched.watch.query("sluice_selftest_ok == 1")
    assert watched.watch.query("sluice_leaf_not_after_seconds - time() > 86400")
    until(
        lambda: watched.sql("SELECT 1 FROM events WHERE control_kind = 'selftest' AND record_type = 'control' LIMIT 1"),
        "no record",
    )
    for view in ("exchanges", "per_minute", "findings_seen", "inventory_provider"):
        rows = watched.sql(f"SELECT count() AS n FROM {view} WHERE provider_id = 'sluice'")
        assert int(rows[0]["n"]) == 0, view
    assert watched.watch.query('sluice_decisions_total{provider="sluice"}') == []


def test_a_quiet_appliance_calls_nobody_else(watched: Watched) -> None:
    """Nothing critical fires on a sound appliance that did its work."""
    firing = watched.watch.query('ALERTS{alertstate="firing", severity="critical"}')
    assert [series["metric"]["alertname"] for series in firing] == []


def test_no_curve_of_a_dashboard_is_empty(watched: Watched) -> None:
    """Every PromQL of every panel is taken by Prometheus, and has an answer on the demonstration's data."""
    asked = list(expressions())
    assert len(asked) > 60
    waiting = dict(asked)

    def answered() -> bool:
        for place, expr in list(waiting.items()):
            if any(series["value"][1] != "NaN" for series in watched.watch.query(expr)):
                del waiting[place]
        return not waiting

    with contextlib.suppress(AssertionError):  # some gauges come with the next minute, some rates with the next scrape
        until(answered, "empty panels", 90)
    assert waiting == {}


def test_no_table_of_a_dashboard_is_empty(watched: Watched) -> None:
    """Every SQL of every panel is taken by the embedded engine over HTTP, and has rows on the demonstration's data."""
    (blocked, *_) = watched.sql("SELECT decision_id FROM exchanges WHERE decision = 'block' ORDER BY ts LIMIT 1")
    asked = list(statements(blocked["decision_id"]))
    assert len(asked) > 10
    empty = []
    for place, sql in asked:
        try:
            if not watched.sql(sql):
                empty.append(place)
        except urllib.error.HTTPError as e:
            empty.append(f"{place}: {e.read().decode()}")
    assert empty == []


def test_there_are_statements_in_the_runbook() -> None:
    """The pattern below finds them."""
    assert len(STATEMENTS) >= 30


def test_the_statements_of_the_runbook_run(watched: Watched) -> None:
    """Every SQL of the runbook is one that the event store takes from an analyst."""
    failed = {}
    for name, statement in STATEMENTS:
        try:
            watched.sql(statement)
        except urllib.error.HTTPError as e:
            failed[name] = e.read().decode()
    assert failed == {}
