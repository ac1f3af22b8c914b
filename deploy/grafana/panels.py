"""The kinds of panel that the boards are made of, each asking Prometheus or ClickHouse. Built with Grafana's own SDK.

Prometheus is asked per instance (`$instance`), ClickHouse for the time range of the board (`$__timeFilter`). Both data
sources have fixed uids, which `provisioning/datasources/sluice.yml` gives them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import dashboard as model

METRICS = model.DataSourceRef(type_val="prometheus", uid="sluice-prometheus")
EVENTS = model.DataSourceRef(type_val="grafana-clickhouse-datasource", uid="sluice-clickhouse")
QUERIES = Path(__file__).with_name("queries")
EXCHANGE = "sluice-exchange"
"""The board that shows one exchange."""


@dataclass
class Question(Dataquery):
    """A query of the ClickHouse data source: SQL with its macros, answered as a table."""

    sql: str
    ref: str = "A"

    def to_json(self) -> dict[str, object]:
        return {
            "datasource": {"type": EVENTS.type_val, "uid": EVENTS.uid},
            "editorType": "sql",
            "format": 1,
            "queryType": "table",
            "rawSql": self.sql,
            "refId": self.ref,
        }


@dataclass
class Sql(Builder[Dataquery]):
    question: Question

    def build(self) -> Dataquery:
        return self.question


def expression(expr: str, legend: str = "", *, ref: str = "A", instant: bool = False) -> prometheus.Dataquery:
    made = prometheus.Dataquery().expr(expr).ref_id(ref).datasource(METRICS).legend_format(legend or "__auto")
    return made.instant() if instant else made.range()


def number(title: str, expr: str, unit: str, why: str, *, bad_above: float | None = None, span: int = 4) -> stat.Panel:
    """One number now. Green, or red from `bad_above` on."""
    steps = [model.Threshold(value=None, color="green")]
    if bad_above is not None:
        steps.append(model.Threshold(value=bad_above, color="red"))
    limits = build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)
    made = stat.Panel().title(title).description(why).unit(unit).datasource(METRICS).thresholds(limits)
    return made.height(4).span(span).with_target(expression(expr, instant=True))


def lines(title: str, unit: str, why: str, *asked: tuple[str, str], span: int = 12) -> timeseries.Panel:
    """Curves over time; each of `asked` is (expression, legend)."""
    made = timeseries.Panel().title(title).description(why).unit(unit).datasource(METRICS).height(8).span(span)
    made = made.min(0).fill_opacity(8)
    for i, (expr, legend) in enumerate(asked):
        made = made.with_target(expression(expr, legend, ref=chr(ord("A") + i)))
    return made


def rows(title: str, why: str, query: str, *, span: int = 24, height: int = 9) -> table.Panel:
    """A table of events, asked by `queries/<query>.sql`. A column `decision_id` leads to the board of that exchange."""
    sql = (QUERIES / f"{query}.sql").read_text().strip()
    made = table.Panel().title(title).description(why).datasource(EVENTS).height(height).span(span)
    made = made.with_target(Sql(Question(sql)))
    link = {"title": "This exchange", "url": f"/d/{EXCHANGE}?var-decision_id=${{__value.raw}}"}
    return made.override_by_name("decision_id", [model.DynamicConfigValue(id_val="links", value=[link])])


@dataclass
class Board:
    """A dashboard in rows of panels, with what every board has: name, tags, links to the others, the instance."""

    uid: str
    title: str
    why: str
    sections: list[tuple[str, list[Any]]] = field(default_factory=list)
    per_instance: bool = True
    asks_for: str = ""
    """Name of a text variable, for a board that shows one thing."""

    def build(self) -> model.Dashboard:
        made = build.Dashboard(self.title).uid(self.uid).description(self.why).tags(["sluice"]).editable()
        made = made.time("now-6h", "now").refresh("30s").timezone("browser")
        others = build.DashboardLink("Sluice").type(model.DashboardLinkType.DASHBOARDS).tags(["sluice"])
        made = made.link(others.as_dropdown(True).keep_time(True))
        if self.per_instance:
            instance = build.QueryVariable("instance").label("Node").datasource(METRICS)
            instance = instance.query("label_values(sluice_ready, instance)").refresh(
                model.VariableRefresh.ON_TIME_RANGE_CHANGED
            )
            made = made.with_variable(instance.multi(True).include_all(True).all_value(".*"))
        if self.asks_for:
            made = made.with_variable(build.TextBoxVariable(self.asks_for).label(self.asks_for))
        for title, panels in self.sections:
            made = made.with_row(build.Row(title))
            for panel in panels:
                made = made.with_panel(panel)
        return made.build()
