"""The inventory of a company whose traffic went through the real gate: each number counted again in the test."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.inventory.company import (
    ANTHROPIC,
    CORPORATE,
    OPENAI,
    PERSONAL,
    SAID,
    STRAY,
    Company,
)

KINDS = {
    "provider": "provider_id", "tier": "tier", "domain": "domain", "route": "route_id", "model": "model",
    "subject": "subject_id", "role": "role", "application": "app_id", "agent": "agent_id", "tool": "tool",
    "mcp_server": "server", "agent_tool": "tool", "key": "key_fp", "data_class": "data_class", "policy": "rule_id",
    "exception": "exception_id", "detector": "detector", "node": "node_id", "coverage": "reason",
}  # fmt: skip
"""Every inventory, and the column that names a row."""


def rows(company: Company, sql: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in company.store.select(sql, "JSONEachRow").splitlines()]


def table(company: Company, kind: str, where: str = "1") -> dict[str, dict[str, Any]]:
    """Rows of an inventory by what names them. Lists are sorted: their order means nothing."""
    found = rows(company, f"SELECT * FROM inventory_{kind} WHERE {where}")
    return {r[KINDS[kind]]: {k: sorted(v) if isinstance(v, list) else v for k, v in r.items()} for r in found}


def sources(company: Company, kind: str, where: str = "1") -> dict[str, str]:
    return {name: row["source"] for name, row in table(company, kind, where).items()}


def test_the_gate_let_pass_what_it_should(company: Company) -> None:
    """The card and the key in a prompt were blocked, all else passed: what the other tests count in."""
    blocked = [
        said.body["messages"][0]["content"] for said, passed in zip(SAID, company.passed, strict=True) if not passed
    ]
    assert len(blocked) == 2
    assert CORPORATE in blocked[1]


@pytest.mark.parametrize("kind", KINDS)
def test_every_inventory_says_when_and_from_where(company: Company, kind: str) -> None:
    """Each has a source of three, and times of first and last sight unless it is declared alone; names are unique."""
    found = rows(company, f"SELECT * FROM inventory_{kind}")
    assert found or kind == "exception"
    for row in found:
        assert row["source"] in ("declared", "observed", "both")
        assert (row["first_seen"] is None) == (row["source"] == "declared"), row
        if row["first_seen"] is not None:
            assert row["first_seen"] <= row["last_seen"]


def test_providers_and_their_plans(company: Company) -> None:
    """Requests and blocks by provider; the plan that was bought holds for its product; answers prove whose it is."""
    count = Counter(said.host for said in SAID)
    found = table(company, "provider", "source != 'declared' OR provider_id = 'mistral'")
    assert {p: (r["requests"], r["not_allowed"], r["source"], r["dpa"]) for p, r in found.items()} == {
        "openai": (count[OPENAI], 2, "both", "C-17"),
        "anthropic": (count[ANTHROPIC], 0, found["anthropic"]["source"], None),
        "mistral": (0, 0, "declared", "C-18"),
    }
    assert found["openai"]["status"] == "unreviewed"
    assert found["openai"]["subjects"] == len({said.who for said in SAID if said.host == OPENAI})
    plans = {(r["provider_id"], r["tier"]): r for r in rows(company, "SELECT * FROM inventory_tier")}
    bought = plans["openai", "enterprise"]
    assert (bought["basis"], bought["requests"]) == ("contracted", count[OPENAI])
    acme = sum(passed and s.organisation == "org-acme" for s, passed in zip(SAID, company.passed, strict=True))
    assert (bought["answers_of_organisations"], bought["organisations_seen"]) == (acme, ["org-acme"])


def test_destinations_with_and_without_a_row(company: Company) -> None:
    """A tunnel to a host that nobody listed is a destination too; rows without traffic stay declared."""
    found = table(company, "domain")
    assert (found["www.example.com"]["source"], found["www.example.com"]["bypassed"]) == ("observed", 1)
    assert (found[OPENAI]["source"], found[OPENAI]["mode"], found[OPENAI]["surface"]) == ("both", "enforce", "api")
    assert found["api.mistral.ai"]["source"] == "declared"


def test_models_asked_for_and_served(company: Company) -> None:
    """Of each field the most specific row that says something counts; what answered is there; unused rows stay."""
    found = table(company, "model", "declared_as != '' OR source = 'observed'")
    asked = Counter(said.body["model"] for said in SAID)
    assert found["gpt-5"]["requests"] == asked["gpt-5"]
    assert (found["gpt-5"]["served"], found["gpt-5"]["approved"]) == (["gpt-5-2026-08-07"], True)
    dated = found["gpt-5-2026-08-07"]
    assert (dated["declared_as"], dated["family"], dated["approved"]) == ("gpt-5*", "house-family", True)
    assert (found["gpt-5-mini"]["lifecycle"], found["gpt-5-mini"]["family"]) == ("deprecated", "gpt-5"), "as shipped"
    assert (found["gpt-5-2026-08-07"]["requests"], found["gpt-5-2026-08-07"]["answers"]) == (0, 3)
    assert (found["gpt-5-mini"]["declared_as"], found["gpt-5-mini"]["approved"]) == ("gpt-5-mini", False)
    assert (found["gpt-4o"]["requests"], found["gpt-4o"]["not_allowed"], found["gpt-4o"]["answers"]) == (3, 1, 1)
    assert (found["gpt-9"]["source"], found["gpt-9"]["requests"]) == ("declared", 0)


def test_people_and_roles(company: Company) -> None:
    """Who asked, who is only listed, and what a role did beyond its entitlement."""
    found = table(company, "subject")
    alice, carol, eve = (found.get(company.pseudonym(n)) for n in ("alice", "carol", "eve"))
    assert alice is not None
    assert (alice["source"], alice["role"], alice["observed_role"]) == ("both", "analyst", "analyst")
    assert alice["requests"] == sum(s.who == "alice" for s in SAID) + 1, "with the tunnel"
    assert carol is not None
    assert (carol["source"], carol["requests"], carol["department"]) == ("declared", 0, "Audit")
    assert eve is None, "nobody knows who sits behind that address"
    assert [r["assurance_best"] for r in found.values() if r["subject_kind"] == "address"] == ["none"]
    roles = table(company, "role")
    assert roles["developer"]["models_beyond"] == ["gpt-4o"]
    assert roles["developer"]["classes_beyond"] == ["secret.ai-key"]
    assert (roles["analyst"]["models_beyond"], roles["analyst"]["providers_beyond"]) == ([], [])
    assert {r: row["source"] for r, row in roles.items()} == {
        "": "observed", "analyst": "both", "developer": "both", "auditor": "declared",
    }  # fmt: skip


def test_agents_and_their_tools(company: Company) -> None:
    """Known by register, by client, or by offering tools; what each has, used, and was given."""
    found = table(company, "agent")
    eve = rows(company, "SELECT subject_id FROM inventory_subject WHERE subject_kind = 'address'")[0]["subject_id"][:8]
    alice = company.pseudonym("alice")[:8]
    assert {a: (r["source"], r["recognised_by"]) for a, r in found.items()} == {
        "invoice-bot": ("both", "register"),
        "sleeper": ("declared", None),
        "claude-code": ("observed", "client"),
        f"openai-python of {alice}": ("observed", "tools"),
        f"curl of {eve}": ("observed", "tools"),
    }
    bot = found["invoice-bot"]
    assert (bot["requests"], bot["tools_beyond"], bot["approval_gate"], bot["tool_calls"]) == (
        2,
        ["send_email"],
        True,
        6,
    )
    assert (found["claude-code"]["tool_loops"], bot["tool_loops"]) == (2, 0)
    tools = table(company, "tool")
    assert (tools["send_email"]["declared"], tools["send_email"]["called"], tools["send_email"]["side_effect"]) == (
        2, 2, "message",
    )  # fmt: skip
    assert (tools["web_search"]["declared"], tools["web_search"]["kind"]) == (1, "hosted")
    assert (tools["Bash"]["declared_as"], tools["Read"]["source"], tools["unused"]["source"]) == (
        "Bash", "observed", "declared",
    )  # fmt: skip
    pairs = {(r["agent_id"], r["tool"]): r for r in rows(company, "SELECT * FROM inventory_agent_tool")}
    assert pairs["invoice-bot", "read_invoice"]["called"] == 4
    assert {t: pairs["invoice-bot", t]["approved_in"] for t in ("read_invoice", "send_email")} == {
        "read_invoice": "agent", "send_email": "tool",
    }  # fmt: skip
    assert pairs["claude-code", "Bash"]["approved_in"] is None
    assert pairs["claude-code", "Bash"]["last_classes"] == ["contact.email"]
    assert pairs["sleeper", "nothing"]["source"] == "declared"
    servers = table(company, "mcp_server")
    assert {name: row["source"] for name, row in servers.items()} == {"crm": "both", "idle": "declared"}
    crm = servers["crm"]
    assert (crm["hosts"], crm["plain_http"], crm["never_approved"], crm["with_token"]) == (["mcp.example.com"], 1, 1, 1)
    assert b"4711" not in company.store.select("SELECT mcp_facts FROM events", "JSONEachRow"), "of an address the host"


def test_keys_are_whose_their_answers_say(company: Company) -> None:
    """Corporate and personal by the organisation that answered; one that was refused is nobody's; one is live."""
    found = table(company, "key")
    corporate, personal, stray = (found[company.key(raw)] for raw in (CORPORATE, PERSONAL, STRAY))
    assert [(k["ownership"], k["ownership_by"], k["works"]) for k in (corporate, personal, stray)] == [
        ("corporate", "answer", True), ("personal", "answer", True), ("unknown", "none", False),
    ]  # fmt: skip
    assert corporate["requests"] == sum(s.key == CORPORATE for s in SAID)
    assert (corporate["found_in_prompts"], corporate["live_in_prompts"]) == (1, True)
    assert (personal["found_in_prompts"], personal["live_in_prompts"]) == (0, False)
    assert corporate["subject_count"] == 2
    assert (stray["refused_by_provider"], corporate["organisations"]) == (1, ["org-acme"])
    live = rows(company, "SELECT fingerprint FROM live_keys_in_prompts")
    assert live == [{"fingerprint": company.key(CORPORATE)}]
    text = company.store.select("SELECT * FROM inventory_key", "JSONEachRow").decode()
    assert not any(raw[10:40] in text for raw in (CORPORATE, PERSONAL, STRAY))


def test_what_was_found_and_by_which_rule(company: Company) -> None:
    """Classes, detectors and rules with their counts; all that is in force is there although nothing met it."""
    classes = table(company, "data_class")
    assert {c: (r["requests"], r["allowed"]) for c, r in classes.items() if r["source"] == "both"} == {
        "contact.email": (4, 4), "financial.card": (1, 0), "secret.ai-key": (1, 0),
    }  # fmt: skip
    assert classes["phi.record"]["source"] == "declared"
    detectors = table(company, "detector")
    assert (detectors["payment.card-number"]["findings"], detectors["payment.card-number"]["blocked"]) == (1, 1)
    rules = table(company, "policy")
    assert (rules["payment-cards"]["decisions"], rules["payment-cards"]["blocked"]) == (1, 1)
    assert rules["default"]["decisions"] == sum(company.passed)
    assert (rules["canary-tokens"]["source"], rules["failure.internal"]["what"]) == ("declared", "failure")
    expired = table(company, "exception")["e1"]
    assert (expired["expired"], expired["counted"], expired["scope"]) == (True, False, "model gpt-4o")


def test_nodes_and_blind_spots(company: Company) -> None:
    """The node and what it decides by; the tunnel is the only thing that nobody looked into."""
    node = table(company, "node")["gate-1"]
    assert (node["decisions"], node["policy_id"]) == (len(SAID), "default")
    assert node["rulebook_digest"] == company.book.digest
    blind = rows(company, "SELECT layer, host, reason, requests FROM inventory_coverage")
    assert blind == [{"layer": "proxy", "host": "www.example.com", "reason": "tunnel: NOT_AI", "requests": 1}]


def test_other_sensors_see_what_the_proxy_does_not(company: Company) -> None:
    """What DNS or a flow log saw and nobody read is a blind spot beside those of the proxy itself."""
    seen = {"at": "2026-11-20 10:00:00.000000", "layer": "dns", "domain": "chatgpt.com", "subject_id": "", "seen": 3,
            "seen_bytes": 0, "decrypted": False, "reason_not_inspected": "not_proxied"}  # fmt: skip
    company.store.add("cov_observation", json.dumps(seen).encode(), "sensor")
    try:
        blind = rows(company, "SELECT layer, reason, requests FROM inventory_coverage WHERE host = 'chatgpt.com'")
    finally:
        company.store.command("TRUNCATE TABLE cov_observation")
    assert blind == [{"layer": "dns", "reason": "not_proxied", "requests": 3}]


def test_the_flow_of_data(company: Company) -> None:
    """From role and agent over tool and class to model and provider; a class from a tool's result says so."""
    edges = {
        (e["from_kind"], e["from_id"], e["to_kind"], e["to_id"]): e
        for e in rows(company, "SELECT * FROM flow_graph WHERE agent_id = 'claude-code'")
    }
    assert {key: (e["requests"], e["through_tools"]) for key, e in edges.items()} == {
        ("role", "developer", "agent", "claude-code"): (2, 0),
        ("agent", "claude-code", "tool", "Bash"): (2, 0),
        ("agent", "claude-code", "tool", "Read"): (2, 0),
        ("tool", "Bash", "data_class", "contact.email"): (2, 2),
        ("tool", "Read", "data_class", "contact.email"): (2, 2),
        ("data_class", "contact.email", "model", "claude-sonnet-5"): (2, 0),
        ("model", "claude-sonnet-5", "provider", "anthropic"): (2, 0),
    }
    whole = rows(company, "SELECT sum(requests) AS n FROM flow_graph WHERE to_kind = 'provider'")
    assert whole == [{"n": len(SAID)}], "every request arrives"


def test_hostile_names_are_rows_like_any_other(company: Company) -> None:
    """What is no name is withheld by the gate and one row all the same; nothing is recorded of a user agent's markup,
    quotes and SQL. (Hostile rows without a gate before them: `test_inventory_hostile.py`.)"""
    for kind, column in (("model", "model"), ("tool", "tool"), ("agent_tool", "tool")):
        found = rows(company, f"SELECT source FROM inventory_{kind} WHERE {column} = '(withheld)'")
        assert [r["source"] for r in found] == ["observed"]
        assert rows(company, f"SELECT 1 FROM inventory_{kind} WHERE position({column}, '<script>') > 0") == []
    agents = rows(company, "SELECT user_agents FROM inventory_application WHERE app_id = 'curl'")
    assert agents == [{"user_agents": ["curl/8 other"]}]


def test_every_column_of_every_view_says_what_it_is(company: Company) -> None:
    """Whoever asks SQL alone has the comments; none is missing and none is of another column."""
    sql = "SELECT table, name FROM system.columns WHERE database = 'sluice' AND comment = ''"
    ours = [
        r for r in rows(company, sql) if r["table"].startswith(("inventory_", "register_", "provider_terms", "agent_"))
    ]
    assert ours == []


def test_the_inventory_is_plain_views() -> None:
    """A materialized view would cost every insert; these cost who asks."""
    text = (Path(__file__).parents[2] / "deploy" / "clickhouse" / "0012_inventory.sql").read_text("utf-8")
    assert "MATERIALIZED" not in text
    assert "CREATE TABLE" not in text
