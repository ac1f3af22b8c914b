"""The real embedded engine: schema, exactly-once inserts, and rows that are the records."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import fields, replace

from sluice.errors import Misconfigured
from sluice.ledger.record import decode, encode
from sluice.model import Record
from sluice.ship import clickhouse, columns, rows, schema
from sluice.ship.clickhouse import Embedded, StoreError
from tests.ledger.test_record import any_record
from tests.ship.ship_rig import MONTH, NOVEMBER, decision, match, outcome


def lines(store: Embedded, sql: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in store.select(sql, "JSONEachRow").splitlines()]


def number(store: Embedded, sql: str) -> int:
    return int(store.select(sql, "TSV"))


def insert(store: Embedded, records: list[Record], token: str) -> None:
    store.insert([encode(r) for r in records], token)


def test_migrations_are_applied_once(store: Embedded) -> None:
    """Starting again changes nothing; the table of migrations says what was applied."""
    assert store.migrate() == []
    applied = [line["name"] for line in lines(store, "SELECT name FROM migrations ORDER BY name")]
    assert applied == [m.name for m in schema.migrations()]
    assert applied


def test_a_migration_changed_after_the_fact_is_refused(
    store: Embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The schema that was applied and the one in the files cannot drift apart unnoticed."""
    copy = Path(shutil.copytree(schema.schema_dir(), tmp_path / "sql"))
    monkeypatch.setattr(schema, "schema_dir", lambda: copy)
    (copy / "0001_events.sql").write_text("SELECT 1;\n")
    with pytest.raises(Misconfigured, match=r"0001_events\.sql: was changed after it was applied"):
        store.migrate()


def test_a_new_migration_is_applied_to_an_old_store(
    store: Embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later version adds to what is there."""
    copy = Path(shutil.copytree(schema.schema_dir(), tmp_path / "sql"))
    more = "-- more\nCREATE VIEW more AS SELECT 1 AS one;\n\nCREATE VIEW yet AS SELECT 2;\n"
    (copy / "9999_more.sql").write_text(more)
    monkeypatch.setattr(schema, "schema_dir", lambda: copy)
    assert store.migrate() == ["9999_more.sql"]
    assert number(store, "SELECT one FROM more") == 1


def test_the_engine_has_every_column_and_its_comment(store: Embedded) -> None:
    """What `DESCRIBE events` shows is what the code writes."""
    found = {c["name"]: (c["type"], c["comment"]) for c in lines(store, "DESCRIBE events")}
    assert list(found) == [*rows.names(), "ts"]
    for c in columns.COLUMNS:
        kind, comment = found[c.name]
        assert (re.sub(r"\s+", " ", str(kind)).replace("( ", "("), comment) == (c.type, c.comment)


def test_everything_is_explained(store: Embedded) -> None:
    """Each table, view and column says in the store itself what it means."""
    bare = "FROM system.columns WHERE database = 'sluice' AND NOT endsWith(table, '_feed') AND length(comment) < 3"
    assert lines(store, f"SELECT table, name {bare}") == []
    assert lines(store, "SELECT name FROM system.tables WHERE database = 'sluice' AND length(comment) < 10") == []


def test_a_repeated_insert_is_stored_once(store: Embedded) -> None:
    """The same token any number of times is one insert; equal rows under another token are other rows."""
    batch = [decision(n) for n in range(20)]
    for _ in range(3):
        insert(store, batch, "a")
    assert number(store, "SELECT count() FROM events") == 20
    insert(store, batch, "b")
    assert number(store, "SELECT count() FROM events") == 40


def test_a_repeated_insert_is_stored_once_after_reopening(tmp_path: Path) -> None:
    """The engine remembers tokens on disk: a retry after a restart is still no duplicate."""
    for _ in range(2):
        store = Embedded(tmp_path / "clickhouse", "sluice")
        store.migrate()
        insert(store, [decision(1), decision(2, ts_received=decision(2).ts_received + MONTH)], "a")
        assert number(store, "SELECT count() FROM events") == 2
        store.close()


def test_an_insert_is_whole_or_not_at_all(store: Embedded) -> None:
    """One bad row refuses its batch: nothing of it is stored, so halving it can store nothing twice."""
    good = [encode(decision(n)) for n in range(50)]
    with pytest.raises(StoreError) as e:
        store.insert([*good, encode(decision(51, decision="perhaps"))], "a")
    assert e.value.code == 691
    assert number(store, "SELECT count() FROM events") == 0
    store.insert(good, "a")
    assert number(store, "SELECT count() FROM events") == 50


def test_acknowledged_means_on_disk(store: Embedded) -> None:
    """The table is created with the settings that make an insert exact and durable; the defaults would be neither."""
    created = store.select("SHOW CREATE TABLE events", "TSVRaw").decode()
    for setting in (
        "non_replicated_deduplication_window = 10000",
        "fsync_after_insert = 1",
        "fsync_part_directory = 1",
        "ENGINE = MergeTree",
    ):
        assert setting in created
    assert clickhouse.INSERT_SETTINGS["async_insert"] == 0
    assert clickhouse.INSERT_SETTINGS["insert_deduplicate"] == 1
    assert clickhouse.INSERT_SETTINGS["deduplicate_blocks_in_dependent_materialized_views"] == 1


def test_a_profile_that_says_otherwise_changes_no_insert(store: Embedded) -> None:
    """T27: asynchronous inserts that nobody waits for, no deduplication, many blocks: what the profile says is set over
    on each insert, which is acknowledged when it is stored, and is stored once however often it is sent."""
    for setting in (
        "async_insert = 1",
        "wait_for_async_insert = 0",
        "insert_deduplicate = 0",
        "deduplicate_blocks_in_dependent_materialized_views = 0",
        "max_insert_block_size = 7",
        "input_format_skip_unknown_fields = 1",
        "materialized_views_ignore_errors = 1",
    ):
        store.command(f"SET {setting}")
    bodies = [encode(decision(n, seq=n)) for n in range(50)]
    for first, token in ((0, "a"), (25, "b"), (0, "a"), (25, "b")):
        store.insert(bodies[first : first + 25], token)
        assert json.loads(store.command("SELECT count() AS n FROM system.asynchronous_inserts"))["n"] == 0
    assert number(store, "SELECT count() FROM events") == 50
    assert number(store, "SELECT sum(requests) FROM per_minute") == 50


def test_partitions_are_those_of_the_shipper(store: Embedded) -> None:
    """A batch that the shipper takes for one partition is one partition for ClickHouse too."""
    insert(store, [decision(1), decision(2, retention_class="phi")], "a")
    found = store.select("SELECT DISTINCT partition FROM system.parts WHERE table = 'events' ORDER BY 1", "TSVRaw")
    assert found.decode().split("\n")[:2] == ["(202611,'phi')", "(202611,'standard')"]


def test_exchanges_join_decision_and_outcome(store: Embedded) -> None:
    """One line per exchange, with how it ended; one that has not ended is there too, and says so."""
    insert(
        store,
        [
            decision(1, decision="allow", model_requested="m"),
            outcome(1, upstream_status=200, latency_added_us=900),
            decision(2, decision="block", data_classes=("secret.cloud",)),
            outcome(2, forwarded=False, upstream_status=None, client_status=400),
            decision(3),
        ],
        "a",
    )
    found = lines(
        store,
        "SELECT decision, outcome, forwarded, upstream_status, client_status, latency_added_us, model_requested "
        "FROM exchanges ORDER BY ts",
    )
    assert found == [
        {
            "decision": "allow", "outcome": 1, "forwarded": True, "upstream_status": 200, "client_status": None,
            "latency_added_us": 900, "model_requested": "m",
        },
        {
            "decision": "block", "outcome": 1, "forwarded": False, "upstream_status": None, "client_status": 400,
            "latency_added_us": None, "model_requested": None,
        },
        {
            "decision": "allow", "outcome": 0, "forwarded": None, "upstream_status": None, "client_status": None,
            "latency_added_us": None, "model_requested": None,
        },
    ]  # fmt: skip


def test_findings_seen_has_one_line_per_finding(store: Embedded) -> None:
    """What was found where can be counted without knowing about arrays."""
    insert(store, [decision(1, matches=(match(), match(detector="pii.email", severity="low"))), decision(2)], "a")
    found = lines(store, "SELECT detector, severity, count FROM findings_seen ORDER BY severity")
    assert found == [
        {"detector": "pii.email", "severity": "low", "count": 3},
        {"detector": "secret.aws", "severity": "critical", "count": 3},
    ]


def storable(record: Record) -> Record:
    """The record as the ledger holds it, bent only where its fields have closed lists or real-world bounds."""
    said = decode(encode(record))
    bent: dict[str, object] = {}
    for column in columns.COLUMNS:
        value = getattr(said, column.name)
        if column.items or value is None:
            continue
        if "DateTime64" in column.type:
            bent[column.name] = abs(value) % (columns.LAST_SECOND * 10**6)
            if column.name == "ts_received":  # neither beyond its retention nor in a partition of its own
                bent[column.name] = NOVEMBER + abs(value) % 10**12
        elif "Enum8" in column.type and column.name != "record_type":
            choices = re.findall(r"'(\w+)' =", column.type)
            bent[column.name] = choices[len(value) % len(choices)]
        elif "Float64" in column.type:
            bent[column.name] = value + 0.0  # no negative zero: ClickHouse writes it as the integer -0
        elif "UUID" in column.type:
            bent[column.name] = str(uuid.uuid5(uuid.NAMESPACE_OID, value))
        elif "Int64" in column.type:
            bent[column.name] = max(-(2**63) + 1, min(value, 2**63 - 1))
        elif column.name == "provider_id" and value == "":
            bent[column.name] = None  # a sorting column: the empty text stands for none
        elif column.name in ("chain_id", "prev_hash") and value == "":
            bent[column.name] = None
    for name in ("matches", "parts", "attachments"):
        if items := getattr(said, name):
            bent[name] = tuple(bend(item, name) for item in items)
    return replace(said, **bent)


def bend(item: Any, field: str) -> Any:
    out: dict[str, object] = {}
    (items,) = (c.items for c in columns.COLUMNS if c.name == field)
    for name, kind in items:
        value = getattr(item, name)
        if value is None:
            continue
        if "Float64" in kind:
            out[name] = value + 0.0
        elif "Enum8" in kind:
            out[name] = "high"
        elif "Int64" in kind:
            out[name] = max(-(2**63) + 1, min(value, 2**63 - 1))
    return replace(item, **out)


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    phases=[Phase.generate],  # shrinking 160 fields through an engine takes minutes and explains nothing
)
@given(st.lists(any_record, min_size=1, max_size=2))
def test_rows_come_back_as_the_records(store: Embedded, many: list[Record]) -> None:
    """Whatever a record says, the table says the same: from the table, the ledger's bytes can be rebuilt."""
    nonce = uuid.uuid4().hex
    records = [replace(storable(r), seq=n, node_id=nonce) for n, r in enumerate(many)]
    insert(store, records, nonce)
    raw = store.command(
        f"SELECT * FROM events WHERE node_id = '{nonce}' ORDER BY seq "
        "SETTINGS date_time_output_format = 'unix_timestamp', output_format_json_quote_64bit_integers = 0"
    )
    back = [rows.restore(json.loads(line)) for line in raw.splitlines()]
    for one, other in zip(back, records, strict=True):
        differing = [f.name for f in fields(Record) if getattr(one, f.name) != getattr(other, f.name)]
        assert encode(one) == encode(other), [(n, getattr(one, n), getattr(other, n)) for n in differing]


def test_a_second_process_is_refused(store: Embedded, tmp_path: Path) -> None:
    """Two processes on one directory would ruin it; the second is told so and touches nothing."""
    code = "import pathlib, sys; from sluice.ship.clickhouse import Embedded; Embedded(pathlib.Path(sys.argv[1]), 's')"
    command = [sys.executable, "-c", code, str(tmp_path / "clickhouse")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "is open in another process" in done.stderr
    assert number(store, "SELECT 1") == 1


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unreachable server is an outage, not a misconfiguration; its password is in no message."""
    from sluice.config import ClickHouse, Settings

    configured = Settings(clickhouse=ClickHouse(dsn="clickhouse://user:hunter2@127.0.0.1:9/"))
    with pytest.raises(StoreError) as e:
        clickhouse.open_store(configured)
    assert e.value.code == 0
    assert "127.0.0.1" in str(e.value)
    assert "hunter2" not in str(e.value)
    with pytest.raises(Misconfigured, match="dsn"):
        clickhouse.open_store(Settings(clickhouse=ClickHouse(dsn="nonsense")))
