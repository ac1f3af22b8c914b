"""Inventory and flow over a span: the rows and the numbers are of the same time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from sluice.posture import graph, inventory
from tests.posture.posture_rig import NOW, Rig, ago, decision, ended

SPAN = (NOW - timedelta(days=7), NOW)
EVER = (NOW - timedelta(days=90), NOW)


@pytest.fixture(scope="module")
def filled(rig: Rig) -> Iterator[Rig]:
    """Two requests three weeks ago and one yesterday; a tunnel, and somebody who was there three weeks ago alone."""
    usual: dict[str, Any] = {
        "agent_id": "cline", "tools_declared": ("bash",), "dangerous_tools": ("bash",), "key_fp": "k1",
        "mcp_servers": ("files",), "role": "clerk", "route_id": "openai.chat", "target_row": "openai-api",
        "data_classes": ("pii.name",), "node_id": "n",
    }  # fmt: skip
    old = [decision(**usual, ts_received=ago(days=21)) for _ in range(2)]
    rig.put(ended(*old, decision(**usual, ts_received=ago(days=1)), tool_calls_returned=("bash",)))
    rig.put(ended(decision(subject_id="gone", ts_received=ago(days=21))))
    rig.put([decision(record_type="bypass", host="t.example", inspection_status=None, ts_received=ago(days=21))])
    rig.declare([("agent", "cline", {"owner": "ann"}), ("provider", "openai", {"name": "OpenAI"})], NOW)
    yield rig


@pytest.mark.parametrize("kind", list(inventory.KINDS))
def test_over_everything_it_is_the_view(filled: Rig, kind: str) -> None:
    """Asked through the analysts' gate for a span that holds all records, every column is as the view has it."""
    unit = inventory.KINDS[kind]
    whole = filled.table(inventory.sql(unit))
    assert filled.table(inventory.sql(unit, span=EVER)) == whole


@pytest.mark.parametrize(
    ("kind", "column", "ever", "lately"),
    [
        ("agent", "requests", 3, 1),
        ("key", "requests", 3, 1),
        ("provider", "requests", 5, 1),
        ("model", "requests", 5, 1),
        ("tool", "declared", 3, 1),
        ("agent_tool", "called", 3, 1),
        ("role", "requests", 3, 1),
        ("data_class", "requests", 3, 1),
        ("mcp_server", "requests", 3, 1),
        ("application", "requests", 3, 1),
    ],
)
def test_numbers_are_of_the_span(filled: Rig, kind: str, column: str, ever: int, lately: int) -> None:
    """What was before it does not count, and what was only before it is not in use."""
    unit = inventory.KINDS[kind]
    counts = []
    for span in (None, SPAN):
        rows = [r for r in filled.rows(inventory.sql(unit, used=True, span=span)) if r[column]]
        counts.append(max(int(row[column]) for row in rows))
    assert counts == [ever, lately]
    gone = [r["subject_id"] for r in filled.rows(inventory.sql(inventory.KINDS["subject"], used=True, span=SPAN))]
    assert gone == ["alice"]


def test_the_flow_is_of_the_span(filled: Rig) -> None:
    """Each edge counts the requests of the span."""
    ever = {(e.from_id, e.to_id): e.requests for e in graph.edges(filled.ask, span=EVER)}
    assert ever == {(e.from_id, e.to_id): e.requests for e in graph.edges(filled.ask)}
    assert ever["gpt-5", "openai"] == 4
    lately = {(e.from_id, e.to_id): e.requests for e in graph.edges(filled.ask, span=SPAN)}
    assert set(lately.values()) == {1}
