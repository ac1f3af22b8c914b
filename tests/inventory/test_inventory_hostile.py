"""Every text that a client, an upstream or a header can choose, hostile: inserted as rows, with no gate before them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sluice.cli.inventory import _csv
from sluice.ledger.record import encode
from sluice.posture import graph, inventory
from sluice.register import proposals
from sluice.ship.clickhouse import Embedded
from tests.ship.ship_rig import decision, match, outcome

NASTY = "=cmd|'/C calc'!A0\"'`\\%_*?<script>alert(1)</script>{{7*7}}'; DROP TABLE events; --\u202e\n\t\r\x1b[31m\x00é🎉"
TEXTS = (
    *("subject_id", "subject_kind", "identity_method", "role", "department", "src_ip", "user_agent", "sdk", "key_hint"),
    *("key_kind", "product", "target_row", "host", "method", "path_template", "route_id", "operation", "region"),
    *("model_requested", "agent_id", "policy_id", "policy_version", "policy_sha256", "rule_id", "exception_id"),
    *("node_id", "reason_code", "key_fp"),
)
LISTS = ("tools_declared", "mcp_servers", "mcp_facts", "hosted_tools", "dangerous_tools", "data_classes")
RESULTS = ("model_served", "org_id_seen")


@pytest.fixture(scope="module")
def store() -> Iterator[Embedded]:
    """One exchange and one passed tunnel whose every text is hostile."""
    opened = Embedded(None, "sluice")
    opened.migrate()
    found = match(detector=NASTY, data_class=NASTY, fingerprint="ab" * 16)
    said: dict[str, Any] = dict.fromkeys(TEXTS, NASTY) | dict.fromkeys(LISTS, (NASTY,))
    said |= {"provider_id": NASTY, "matches": (found,), "inspection_status": "partial", "uninspected_reason": (NASTY,)}
    ended: dict[str, Any] = dict.fromkeys(RESULTS, NASTY) | {"tool_calls_returned": (NASTY,), "provider_id": NASTY}
    opened.insert([encode(decision(1, **said)), encode(outcome(1, **ended))], "hostile")
    yield opened
    opened.close()


@pytest.mark.parametrize("kind", [k for k in inventory.KINDS if k != "tier"])
def test_it_is_a_row_like_any_other(store: Embedded, kind: str) -> None:
    """Whole in SQL and JSON, no formula in CSV, one value in a proposed register."""
    chosen = inventory.KINDS[kind]
    found = inventory.rows(store.select, chosen, source="observed", whole=True)
    rows = [row for row in found.dicts() if any(isinstance(row[k], str) and row[k] for k in chosen.key)]
    assert rows, kind
    kept = json.dumps([row[k] for row in rows for k in chosen.key])
    assert "DROP TABLE events" in kept or "=cmd" in kept, kept
    for line in _csv(found).split("\r\n")[1:]:
        assert not line.lstrip('"').startswith(("=", "+", "@")), line
    if kind in proposals.FIELDS and kind != "key":
        import tomllib

        made = proposals.proposed(kind, rows)
        assert len(tomllib.loads(made)[kind]) == len(rows)


def test_no_name_ends_a_label_of_the_graph(store: Embedded) -> None:
    """Quotes, brackets and line breaks in names are entities in DOT and Mermaid; JSON has them as they are."""
    edges = graph.edges(store.select)
    assert edges
    for text, quote in ((graph.as_dot(edges), '"'), (graph.as_mermaid(edges), '"')):
        for line in text.splitlines():
            assert line.count(quote) in (0, 2, 4), line
            assert line.isprintable()
        assert "<script>" not in text
    assert any(NASTY in (node["id"]) for node in json.loads(graph.as_json(edges))["nodes"])


def test_differences_name_it(store: Embedded) -> None:
    """What nobody declared is told by its name, whatever that is."""
    found = inventory.differences(store.select, tuple(k for k in inventory.KINDS.values() if k.register))
    assert {"model", "tool", "agent", "provider"} <= {d.kind for d in found}
