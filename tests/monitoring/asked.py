"""What the dashboards ask, with Grafana's variables and macros filled in as Grafana would."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BOARDS: list[dict[str, Any]] = [
    json.loads(file.read_text())
    for file in sorted((Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards").glob("*.json"))
]
_PROMETHEUS = {"$__rate_interval": "20s", "$__range": "5m", "$__interval": "5s", "$instance": ".*"}


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """The panels of a board, those inside of rows as well."""
    found = []
    for panel in board["panels"]:
        found += panel["panels"] if panel["type"] == "row" and panel.get("panels") else [panel]
    return [panel for panel in found if panel["type"] != "row"]


def expressions() -> Iterator[tuple[str, str]]:
    """(board/panel, PromQL), ready to be asked."""
    for place, target in _targets():
        if expr := target.get("expr"):
            for name, value in _PROMETHEUS.items():
                expr = expr.replace(name, value)
            assert "$" not in expr, place
            yield place, expr


def statements(decision_id: str) -> Iterator[tuple[str, str]]:
    """(board/panel, SQL), ready to be asked."""
    for place, target in _targets():
        if sql := target.get("rawSql"):
            sql = re.sub(r"\$__timeFilter\((\w+)\)", r"(\1 >= now() - INTERVAL 1 DAY AND \1 <= now() + 1)", sql)
            sql = re.sub(r"\$__dateFilter\((\w+)\)", r"(\1 >= today() - 1 AND \1 <= today())", sql)
            sql = sql.replace("${decision_id}", decision_id)
            assert "$" not in sql, place
            yield place, sql


def _targets() -> Iterator[tuple[str, dict[str, Any]]]:
    for board in BOARDS:
        for panel in panels(board):
            for target in panel["targets"]:
                yield f"{board['uid']}/{panel['title']}/{target['refId']}", target
