"""What is kept ready for analysts: exchanges, roll-ups, views. Real engine, real inserts."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from sluice.ledger.record import encode
from sluice.model import Record, RecordType
from sluice.ship.clickhouse import Embedded, StoreError
from tests.ship.ship_rig import decision, match, outcome


def lines(store: Embedded, sql: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in store.select(sql, "JSONEachRow").splitlines()]


def insert(store: Embedded, records: list[Record], token: str) -> None:
    store.insert([encode(r) for r in records], token)


def traffic() -> list[Record]:
    return [
        decision(1, model_requested="m", agent_id="codex", body_bytes=100, stream=True, reason_detail="why"),
        outcome(1, tokens_in=10, tokens_out=20, model_served="m-1", latency_added_us=900, resp_bytes=7),
        decision(2, decision="block", data_classes=("secret.cloud",), matches=(match(), match(example=True))),
        outcome(2, forwarded=False, upstream_status=None, client_status=400),
        decision(3, record_type=RecordType.BYPASS, provider_id=None, reason_code="NOT_AI"),
        outcome(3, provider_id=None, tunnel_bytes_up=5, upstream_status=None, upstream_error="reset"),
        Record(
            record_type=RecordType.CONTROL, decision_id="", control_kind="start", ts_received=decision(1).ts_received
        ),
    ]


def sums(store: Embedded) -> dict[str, Any]:
    """What each of the tables says in all."""
    return {
        "events": lines(store, "SELECT count() AS n FROM events"),
        "exchanges": lines(store, "SELECT count() AS n, sum(outcome) AS o, sum(tokens_in) AS t FROM exchanges"),
        "minute": lines(store, "SELECT sum(requests) AS r, sum(outcomes) AS o, sum(tokens_out) AS t FROM per_minute"),
        "subject": lines(store, "SELECT sum(requests) AS r, sum(findings) AS f FROM per_subject_day"),
        "provider": lines(store, "SELECT sum(requests) AS r, sum(answers) AS a FROM per_provider_day"),
        "class": lines(store, "SELECT sum(findings) AS f, sum(occurrences) AS o FROM per_class_day"),
    }


EXPECTED = {
    "events": [{"n": 7}],
    "exchanges": [{"n": 3, "o": 3, "t": 10}],
    "minute": [{"r": 3, "o": 3, "t": 20}],
    "subject": [{"r": 3, "f": 2}],
    "provider": [{"r": 3, "a": 3}],
    "class": [{"f": 1, "o": 3}],
}


def test_a_repeated_insert_counts_once_everywhere(store: Embedded) -> None:
    """The same batch any number of times, other inserts in between: no table and no roll-up counts it twice."""
    insert(store, traffic(), "a")
    assert sums(store) == EXPECTED
    other = Record(record_type=RecordType.CONTROL, decision_id="", control_kind="x", ts_received=1)
    for n in range(3):
        insert(store, traffic(), "a")
        insert(store, [other], f"other{n}")
    found = sums(store)
    assert found.pop("events") == [{"n": 10}]
    assert found == {k: v for k, v in EXPECTED.items() if k != "events"}


def test_two_equal_batches_count_twice(store: Embedded) -> None:
    """Two batches with other tokens are two batches, even where their sums are equal to the last digit."""
    insert(store, [decision(1)], "a")
    insert(store, [decision(1)], "b")
    assert lines(store, "SELECT sum(requests) AS r FROM per_minute") == [{"r": 2}]
    assert lines(store, "SELECT count() AS n FROM events") == [{"n": 2}]


def test_an_insert_that_a_view_cannot_take_fails_and_can_be_repeated(store: Embedded) -> None:
    """Events and roll-ups never part: when a view fails the insert fails, and the repeated one fills every table."""
    store.command("RENAME TABLE per_minute TO hidden")
    with pytest.raises(StoreError):
        insert(store, traffic(), "a")
    store.command("RENAME TABLE hidden TO per_minute")
    insert(store, traffic(), "a")
    assert sums(store) == EXPECTED


def test_halves_of_an_exchange_meet_whenever_they_come(store: Embedded) -> None:
    """Outcome in a later batch, before the decision, or never: one line each, and what is known of it."""
    insert(store, [decision(1, tools_declared=("a", "b"))], "a")
    assert lines(store, "SELECT outcome, upstream_status FROM exchanges") == [{"outcome": 0, "upstream_status": None}]
    insert(store, [outcome(1), outcome(2)], "b")
    insert(store, [decision(2, decision="block")], "c")
    found = lines(
        store, "SELECT kind, decision, outcome, upstream_status, subject_id, tools_declared FROM exchanges ORDER BY ts"
    )
    assert found == [
        {"kind": "decision", "decision": "allow", "outcome": 1, "upstream_status": 200, "subject_id": "a1",
         "tools_declared": ["a", "b"]},
        {"kind": "decision", "decision": "block", "outcome": 1, "upstream_status": 200, "subject_id": "a1",
         "tools_declared": []},
    ]  # fmt: skip
    store.command("OPTIMIZE TABLE exchange_rows FINAL")
    assert lines(store, "SELECT count() AS n FROM exchange_rows") == [{"n": 2}]
    assert len(lines(store, "SELECT * FROM exchanges")) == 2


def test_exchanges_say_what_events_say(store: Embedded) -> None:
    """Bypasses, reasons with their detail, tokens and the model that answered are there under the names of `events`."""
    insert(store, traffic(), "a")
    found = lines(
        store,
        "SELECT kind, provider_id, reason_code, reason_detail, tokens_in, tokens_out, model_served, tunnel_bytes_up "
        "FROM exchanges ORDER BY ts",
    )
    assert [f["kind"] for f in found] == ["decision", "decision", "bypass"]
    assert [f["provider_id"] for f in found] == ["openai", "openai", ""]
    assert [f["reason_code"] for f in found] == ["NO_FINDINGS", "NO_FINDINGS", "NOT_AI"]
    assert [f["tunnel_bytes_up"] for f in found] == [None, None, 5]
    assert (found[0]["tokens_in"], found[0]["tokens_out"], found[0]["model_served"]) == (10, 20, "m-1")
    assert found[0]["reason_detail"] == "why"
    ts = lines(store, "SELECT ts, ts_received FROM events WHERE record_type = 'control'")
    assert ts[0]["ts"] == ts[0]["ts_received"]


def test_the_newest_exchanges_are_those_of_the_others(store: Embedded) -> None:
    """The short way to the newest says what the long one says: the halves together, newest first, each column told."""
    insert(store, [decision(n) for n in range(30)], "a")
    insert(store, [outcome(n) for n in range(20)], "b")
    asked = "SELECT * FROM {} ORDER BY ts DESC LIMIT 15"
    assert lines(store, asked.format("exchanges_newest")) == lines(store, asked.format("exchanges"))
    found = lines(store, "SELECT outcome, upstream_status FROM exchanges_newest")
    assert [f["outcome"] for f in found] == [0] * 10 + [1] * 20
    silent = "SELECT count() AS n FROM system.columns WHERE table = 'exchanges_newest' AND comment = ''"
    assert lines(store, silent) == [{"n": 0}]


def test_rollups_say_who_and_what(store: Embedded) -> None:
    """Blocked requests per minute, requests per subject, tokens per model, findings per class: each with its names."""
    insert(store, traffic(), "a")
    blocked = (
        "SELECT provider_id, reason_code, sum(requests) AS r FROM per_minute WHERE decision = 'block' GROUP BY ALL"
    )
    assert lines(store, blocked) == [{"provider_id": "openai", "reason_code": "NO_FINDINGS", "r": 1}]
    errors = "SELECT provider_id, sum(upstream_errors) AS e, sum(forwarded) AS f FROM per_minute GROUP BY 1 ORDER BY 1"
    assert lines(store, errors) == [{"provider_id": "", "e": 1, "f": 1}, {"provider_id": "openai", "e": 0, "f": 1}]
    agents = "SELECT subject_id, agent_id, sum(requests) AS r FROM per_subject_day GROUP BY 1, 2 ORDER BY 2"
    assert lines(store, agents) == [
        {"subject_id": "a1", "agent_id": "", "r": 2},
        {"subject_id": "a1", "agent_id": "codex", "r": 1},
    ]
    models = "SELECT model, sum(requests) AS r, sum(tokens_out) AS t FROM per_provider_day"
    found = lines(store, f"{models} WHERE model != '' GROUP BY 1 ORDER BY 1")
    assert found == [{"model": "m", "r": 1, "t": 0}, {"model": "m-1", "r": 0, "t": 20}]
    classes = "SELECT data_class, severity, decision, findings FROM per_class_day"
    assert lines(store, classes) == [
        {"data_class": "secret.cloud", "severity": "critical", "decision": "block", "findings": 1}
    ]


def test_tools_keys_and_coverage(store: Embedded) -> None:
    """Each tool of a request and an answer is a line; a key shows who used it; bytes that left unread are added up."""
    insert(
        store,
        [
            decision(1, tools_declared=("read", "shell"), dangerous_tools=("shell",), mcp_servers=("git",), key_fp="k1",
                     key_hint="sk-..9a", inspection_status="partial", body_bytes=10, uninspected_bytes=4),
            outcome(1, tool_calls_returned=("shell",)),
            decision(2, key_fp="k1", decision="block", inspection_status="full", body_bytes=5),
        ],
        "a",
    )  # fmt: skip
    tools = lines(store, "SELECT record, how, tool, dangerous FROM tool_use ORDER BY how, tool")
    assert [(t["record"], t["how"], t["tool"], t["dangerous"]) for t in tools] == [
        ("outcome", "called", "shell", 0),
        ("decision", "declared", "read", 0),
        ("decision", "declared", "shell", 1),
        ("decision", "mcp", "git", 0),
    ]
    keys = lines(store, "SELECT key_fp, key_hint, provider_id, subject_id, requests, not_allowed FROM key_use")
    assert keys == [
        {
            "key_fp": "k1",
            "key_hint": "sk-..9a",
            "provider_id": "openai",
            "subject_id": "a1",
            "requests": 2,
            "not_allowed": 1,
        }
    ]
    seen = lines(store, "SELECT inspection_status, requests, uninspected_bytes FROM coverage ORDER BY 1")
    assert seen == [
        {"inspection_status": "full", "requests": 1, "uninspected_bytes": 0},
        {"inspection_status": "partial", "requests": 1, "uninspected_bytes": 4},
    ]


def test_an_id_is_found_without_reading_everything(store: Embedded) -> None:
    """The skip index on the id of an exchange and on fingerprints is one that the engine uses."""
    insert(store, [decision(n, matches=(match(fingerprint=f"{n:032x}"),)) for n in range(10)], "a")
    for where in (f"decision_id = '{uuid.UUID(int=3)}'", "has(matches.fingerprint, 'ff')", "key_fp = 'x'", "seq = 7"):
        plan = store.command(f"EXPLAIN indexes = 1 SELECT count() FROM events WHERE {where}").decode()
        assert "by_" in plan, where
