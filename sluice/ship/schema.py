"""The schema: numbered migrations from `deploy/clickhouse`, for one server or, made from the same text, for a cluster.

Rules
1. A migration that was applied is never changed: its digest is kept in the store, and another text under the same name
   is refused. Whoever finds the store different from the files is told by `differences`.
2. Statements are written so that they can be repeated (`IF NOT EXISTS`, and `OR REPLACE` for a view): a kill in the
   middle of one migration leaves nothing that the next attempt stumbles over.
3. The cluster form keeps every name: `events` is the Distributed table that everybody asks and writes, `events_local`
   holds the rows of one shard. Decision and outcome lie on one shard, because both are placed by the decision's id.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sluice.config import schema_dir
from sluice.errors import Misconfigured, Problem

MIGRATIONS_TABLE = """
CREATE TABLE IF NOT EXISTS migrations
(
    name String COMMENT 'File name of the migration',
    sha256 String COMMENT 'Hash of its text when it was applied',
    applied DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When it was applied'
)
ENGINE = MergeTree
ORDER BY name
SETTINGS
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
COMMENT 'Migrations that were applied to this database'
""".strip()

SHARDING = {
    "events": "cityHash64(decision_id)",
    "exchange_rows": "cityHash64(decision_id)",
    "register_rows": "cityHash64(digest)",
}
"""Where a row goes; tables that are not named here are filled by views on each shard, or small: by chance."""

LOCAL = "_local"
_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (?P<name>\w+)\s")
_VIEW = re.compile(r"CREATE (?:(?P<kind>MATERIALIZED )?VIEW IF NOT EXISTS|OR REPLACE VIEW) (?P<name>\w+)")
_ALTER = re.compile(r"ALTER TABLE (?P<name>\w+)\s")
_ENGINE = re.compile(r"^ENGINE = (?P<engine>\w*MergeTree)\b", re.MULTILINE)
_WINDOW = re.compile(r"\bnon_replicated_deduplication_window\b")
_COMMENT = re.compile(r"^COMMENT '(?:[^']|'')*'\s*\Z", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. `sha256` is over its text."""

    path: Path
    text: str

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self, cluster: str = "") -> list[str]:
        """What has to be run, in order; for a cluster in its form."""
        found = statements(self.text)
        return [made for s in found for made in for_cluster(s, cluster)] if cluster else found


def migrations() -> list[Migration]:
    """The shipped migrations, in order."""
    paths = sorted(p for p in schema_dir().glob("*.sql") if p.name[:4].isdigit())
    return [Migration(p, p.read_text("utf-8")) for p in paths]


def pending(applied: Mapping[str, str]) -> list[Migration]:
    """The migrations that a store lacks, given name and digest of those it has.

    Raises `Misconfigured` where the store has one that is not in the files, or another text under the same name.
    """
    ours = migrations()
    problems = []
    for migration in ours:
        if applied.get(migration.name, migration.sha256) != migration.sha256:
            what = (
                "was changed after it was applied to the event store; undo the change and add a new migration, or let "
                "the store be filled again from the ledgers (deploy/clickhouse/RUNBOOK.md)"
            )
            problems.append(Problem(str(migration.path), None, what))
    if unknown := applied.keys() - {m.name for m in ours}:
        what = f"the event store has migrations that this version does not know: {', '.join(sorted(unknown))}"
        problems.append(Problem(str(schema_dir()), None, f"{what}; run the version that applied them, or a later one"))
    if problems:
        raise Misconfigured(problems)
    return [m for m in ours if m.name not in applied]


def statements(text: str) -> list[str]:
    """The statements of a migration: each ends with a semicolon at the end of a line."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    found = re.split(r";[ \t]*$", "\n".join(lines), flags=re.MULTILINE)
    return [s.strip() for s in found if s.strip()]


def script(cluster: str = "") -> str:
    """Everything as one SQL script, for people and for `clickhouse-client --multiquery`."""
    made = for_cluster(MIGRATIONS_TABLE, cluster) if cluster else [MIGRATIONS_TABLE]
    parts = [";\n\n".join(made) + ";\n"]
    parts += [f"-- {m.name}\n" + ";\n\n".join(m.statements(cluster)) + ";\n" for m in migrations()]
    return "\n".join(parts)


def for_cluster(statement: str, cluster: str) -> list[str]:
    """A statement of ours as a cluster needs it. Raises ValueError for one that is not in the form it knows.

    The macros `{shard}` and `{replica}` are the servers' own (`<macros>` in their configuration).
    """
    on = f" ON CLUSTER '{cluster}'"
    if found := _TABLE.match(statement):
        return _tables(statement, found["name"], on, cluster)
    if found := _VIEW.match(statement):
        head, rest = statement[: found.end()], statement[found.end() :]
        if found["kind"]:  # runs on each shard, on what arrives there
            rest = re.sub(r"\A TO (\w+)", rf"{on} TO \1{LOCAL}", rest)
            return [head + re.sub(r"^FROM (\w+)", rf"FROM \1{LOCAL}", rest, flags=re.MULTILINE)]
        return [head + on + rest]
    if found := _ALTER.match(statement):
        name, rest = found["name"], statement[found.end() :]
        if name in _views():
            return [f"ALTER TABLE {name}{on}\n{rest}"]
        shown = rest if re.search(r"\b(COLUMN|COMMENT)\b", rest) else ""  # indexes and settings are the local table's
        made = [f"ALTER TABLE {name}{LOCAL}{on} {rest}"]
        return [*made, f"ALTER TABLE {name}{on} {shown}"] if shown else made
    raise ValueError(f"no cluster form is known of `{statement[:60]}`")


def _views() -> set[str]:
    """The names of our plain views, which are the same on every server."""
    found = (_VIEW.match(s) for m in migrations() for s in statements(m.text))
    return {view["name"] for view in found if view and not view["kind"]}


def _tables(statement: str, name: str, on: str, cluster: str) -> list[str]:
    local = f"{name}{LOCAL}"
    path = f"'/clickhouse/tables/{{shard}}/{{database}}/{local}', '{{replica}}'"
    made, count = _ENGINE.subn(rf"ENGINE = Replicated\g<engine>({path})", statement)
    comment = _COMMENT.search(statement)
    if count != 1 or not comment:
        raise ValueError(f"table {name}: engine or comment is not where it is looked for")
    made = _WINDOW.sub("replicated_deduplication_window", made)
    made = made.replace(f"EXISTS {name}", f"EXISTS {local}{on}", 1)
    spread = f"Distributed('{cluster}', currentDatabase(), '{local}', {SHARDING.get(name, 'rand()')})"
    whole = f"CREATE TABLE IF NOT EXISTS {name}{on} AS {local}\nENGINE = {spread}\n{comment[0].strip()}"
    return [made, whole]


CATALOGUE = {
    "columns": (
        "SELECT table, name, type, default_kind, default_expression, compression_codec, comment "
        "FROM system.columns WHERE database = '{database}' ORDER BY table, position"
    ),
    "tables": (
        "SELECT name, engine, partition_key, sorting_key, engine_full, as_select, comment FROM system.tables "
        "WHERE database = '{database}' ORDER BY name"
    ),
    "indexes": (
        "SELECT table, name, type_full, expr, granularity FROM system.data_skipping_indices "
        "WHERE database = '{database}' ORDER BY table, name"
    ),
}
"""The questions whose answers are compared. `engine_full` holds partitions, order, TTL and settings."""

type Catalogue = Mapping[str, Sequence[Mapping[str, object]]]

_KEYS = {"columns": ("table", "name"), "tables": ("name",), "indexes": ("table", "name")}


def differences(wanted: Catalogue, found: Catalogue, *, cluster: bool = False) -> list[str]:
    """How a store differs from the files, one sentence each. On a cluster, columns and indexes of local tables only:
    engines are other ones there, and their settings the server's to complete."""
    out: list[str] = []
    for kind, keys in _KEYS.items():
        if cluster and kind == "tables":
            continue
        ours = {tuple(str(row[k]) for k in keys): row for row in wanted[kind]}
        theirs = {tuple(str(row[k]) for k in keys): row for row in found[kind]}
        if cluster:
            theirs = {(k[0].removesuffix(LOCAL), *k[1:]): v for k, v in theirs.items() if k[0].endswith(LOCAL)}
            ours = {k: v for k, v in ours.items() if (k[0],) in {(t[0],) for t in theirs}}
        out += _compare(kind, ours, theirs)
    return out


def _compare(
    kind: str,
    ours: Mapping[tuple[str, ...], Mapping[str, object]],
    theirs: Mapping[tuple[str, ...], Mapping[str, object]],
) -> Iterable[str]:
    what = {"columns": "column", "tables": "table", "indexes": "index"}[kind]
    for key in sorted(ours.keys() | theirs.keys()):
        name = f"{what} {'.'.join(key)}"
        if key not in theirs:
            yield f"{name} is missing in the store"
        elif key not in ours:
            yield f"{name} is in the store and not in the files"
        else:
            for field, value in ours[key].items():
                if field != "table" and theirs[key].get(field) != value:
                    yield f"{name}: {field} is `{theirs[key].get(field)}`, the files say `{value}`"
