"""The schema: applied once, compared with the files, and the same source for a cluster."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sluice.errors import Misconfigured
from sluice.ship import schema
from sluice.ship.clickhouse import Embedded

ROOT = Path(__file__).resolve().parents[2]


def sluice(var: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line, with its own embedded engine below `var`."""
    config = var.parent / "sluice.toml"
    config.write_text(f'[paths]\nvar = "{var}"\n[evidence]\nnode = "n"\n')
    command = [sys.executable, "-m", "sluice.cli", *arguments, "--config", str(config)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_a_number_stands_for_one_migration() -> None:
    """Numbered without a gap and none twice: the order in which migrations apply is the one that a reader sees."""
    numbers = [int(m.name[:4]) for m in schema.migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_cluster_statement_is_one_that_the_engine_parses(store: Embedded) -> None:
    """The cluster form is made by rewriting text; the real parser reads each statement of it."""
    made = [s for m in schema.migrations() for s in m.statements("sluice_cluster")]
    made += schema.for_cluster(schema.MIGRATIONS_TABLE, "sluice_cluster")
    assert len(made) > 25
    for statement in made:
        tree = store.command(f"EXPLAIN AST {statement}").decode()
        assert "Query" in tree.splitlines()[0], statement[:80]
        assert "ON CLUSTER 'sluice_cluster'" in statement


def test_the_cluster_form_replicates_and_deduplicates(store: Embedded) -> None:
    """Every table of rows is replicated, keeps its window, and is reached through a Distributed table of its name."""
    script = schema.script("c")
    local = re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)_local ON CLUSTER 'c'", script)
    spread = re.findall(r"CREATE TABLE IF NOT EXISTS (\w+) ON CLUSTER 'c' AS (\w+)_local", script)
    assert local == [a for a, _ in spread] == [b for _, b in spread]
    assert {"events", "exchange_rows", "per_minute", "holds", "migrations"} <= set(local)
    assert script.count("MergeTree('/clickhouse/tables/{shard}/{database}/") == len(local)
    assert len(re.findall(r"(?<!non_)replicated_deduplication_window = 10000", script)) == len(local)
    assert "non_replicated" not in script
    assert "Distributed('c', currentDatabase(), 'events_local', cityHash64(decision_id))" in script
    assert "Distributed('c', currentDatabase(), 'exchange_rows_local', cityHash64(decision_id))" in script
    feeds = re.findall(
        r"MATERIALIZED VIEW IF NOT EXISTS \w+ ON CLUSTER 'c' TO (\w+) AS.*?^FROM (\w+)", script, re.S | re.M
    )
    assert len(feeds) == 3
    assert all(target.endswith("_local") and source == "events_local" for target, source in feeds)


def test_show_follows_the_settings(tmp_path: Path) -> None:
    """`schema show` prints what this deployment would apply: its cluster's form, or another on demand."""
    from click.testing import CliRunner

    from sluice.cli import group

    config = tmp_path / "sluice.toml"
    config.write_text('[clickhouse]\ndsn = "clickhouse://localhost:1/"\ncluster = "demo"\n')
    show = ["schema", "show", "--config", str(config)]
    assert "ON CLUSTER 'demo'" in CliRunner().invoke(group, show).stdout
    assert "ON CLUSTER 'other'" in CliRunner().invoke(group, [*show, "--cluster", "other"]).stdout
    assert "ON CLUSTER" not in CliRunner().invoke(group, [*show, "--cluster", ""]).stdout
    assert CliRunner().invoke(group, [*show, "--cluster", "o'ther"]).exit_code != 0


def test_what_has_no_cluster_form_is_refused() -> None:
    """A migration that the rewriting does not know is an error, never a statement that runs on one server alone."""
    with pytest.raises(ValueError, match="no cluster form"):
        schema.for_cluster("DROP TABLE events", "c")
    with pytest.raises(ValueError, match="engine or comment"):
        schema.for_cluster("CREATE TABLE IF NOT EXISTS t (a Int64) ENGINE = Log", "c")


def test_an_added_column_reaches_both_tables_of_a_cluster() -> None:
    """A column has to be in the local and in the Distributed table; an index only where the rows are."""
    column = schema.for_cluster("ALTER TABLE events ADD COLUMN IF NOT EXISTS x Int64 COMMENT 'y'", "c")
    assert [s.split(" ADD")[0] for s in column] == [
        "ALTER TABLE events_local ON CLUSTER 'c'",
        "ALTER TABLE events ON CLUSTER 'c'",
    ]
    assert len(schema.for_cluster("ALTER TABLE events ADD INDEX IF NOT EXISTS i x TYPE minmax", "c")) == 1


def test_migrations_can_be_repeated(store: Embedded) -> None:
    """A kill in the middle of a migration: running its statements again changes nothing and fails nowhere."""
    for migration in schema.migrations():
        for statement in migration.statements():
            store.command(statement)


def test_a_store_of_a_later_version_is_refused(store: Embedded) -> None:
    """A program that does not know a migration of the store would write what no longer fits."""
    store.command(f"INSERT INTO migrations (name, sha256) VALUES ('9999_later.sql', '{'0' * 64}')")
    with pytest.raises(Misconfigured, match="9999_later"):
        store.migrate()


def test_every_table_keeps_what_was_acknowledged(store: Embedded) -> None:
    """Each table that is written, roll-ups included, has a deduplication window and syncs what it stores: without the
    window a repeated insert would be counted again in it."""
    sql = "SELECT name, engine_full FROM system.tables WHERE database = 'sluice' AND engine LIKE '%MergeTree'"
    tables = [json.loads(line) for line in store.command(sql).splitlines()]
    assert len(tables) >= 13
    for table in tables:
        for setting in ("non_replicated_deduplication_window = 10000", "fsync_after_insert = 1"):
            assert setting in table["engine_full"], table["name"]
        assert "Replacing" not in table["engine_full"]


def test_schema_commands(tmp_path: Path) -> None:
    """Applied, compared, changed by hand, compared again: the difference is named and the exit code says so."""
    var = tmp_path / "var"
    done = sluice(var, "schema", "apply")
    assert (done.returncode, done.stdout.split()) == (0, [m.name for m in schema.migrations()])
    assert "nothing to apply" in sluice(var, "schema", "apply").stderr
    assert (sluice(var, "schema", "diff").returncode, sluice(var, "schema", "diff").stdout) == (0, "")
    by_hand = Embedded(var / "clickhouse", "sluice")
    by_hand.command("ALTER TABLE sluice.events MODIFY COLUMN tokens_in Nullable(Int32)")
    by_hand.command("ALTER TABLE sluice.events MODIFY SETTING fsync_after_insert = 0")
    by_hand.command("ALTER TABLE sluice.events DROP INDEX by_key")
    by_hand.command("CREATE TABLE sluice.extra (a Int64) ENGINE = MergeTree ORDER BY a")
    by_hand.close()
    found = sluice(var, "schema", "diff")
    assert found.returncode == 1
    for difference in (
        "column events.tokens_in: type is `Nullable(Int32)`, the files say `Nullable(Int64)`",
        "index events.by_key is missing in the store",
        "table extra is in the store and not in the files",
        "table events: engine_full is",
    ):
        assert difference in found.stdout


def test_diff_without_a_store(tmp_path: Path) -> None:
    """Nothing to compare is neither the same nor different: exit code 3, and what to do."""
    found = sluice(tmp_path / "var", "schema", "diff")
    assert found.returncode == 3
    assert "sluice-proxy" in found.stderr
