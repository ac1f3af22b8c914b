"""`sluice schema`: the tables of the events, as files say them and as the store has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import complain, config_option, note, print_json

if TYPE_CHECKING:
    from sluice.config import Settings

SAME, DIFFERENT = 0, 1


_cluster_option = click.option(
    "--cluster",
    metavar="NAME",
    help="The form for this cluster (as in `remote_servers`); '' for one server [default: clickhouse.cluster].",
)


def _cluster(settings: Settings, given: str | None) -> str:
    from sluice.config.file import CLUSTER
    from sluice.errors import Misconfigured, Problem

    if given and not CLUSTER.fullmatch(given):
        raise Misconfigured(Problem("--cluster", None, f"`{given}` is not a cluster's name"))
    return settings.clickhouse.cluster if given is None else given


@click.group("schema", short_help="Show, apply or compare the tables of the event store.")
def command() -> None:
    """The tables of the event store: numbered migrations in deploy/clickhouse."""


@command.command("show", short_help="Print the whole schema as SQL.")
@config_option
@_cluster_option
def show(settings: Settings, cluster: str | None) -> int:
    """Print the whole schema as SQL, for one server or, from the same source, for a cluster.

    On a cluster each server needs the macros {shard} and {replica} in its configuration.
    """
    from sluice.ship import schema

    click.echo(schema.script(_cluster(settings, cluster)), nl=False)
    return 0


@command.command("apply")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def apply(settings: Settings, *, as_json: bool) -> int:
    """Apply the migrations that the store lacks.

    The appliance does this itself when it starts; a server can be prepared before that.
    """
    from sluice.cli import NOT_RUNNING
    from sluice.ship.clickhouse import StoreError, open_store

    try:
        store = open_store(settings)
        try:
            done = store.migrate()
        finally:
            store.close()
    except StoreError as e:
        hint = "a running appliance has the embedded engine open, and applies migrations itself when it starts"
        complain(str(e), *(() if settings.clickhouse.dsn else (hint,)))
        return NOT_RUNNING
    if as_json:
        print_json({"applied": done})
    else:
        click.echo("\n".join(done), nl=bool(done))
    note(f"{len(done)} applied" if done else "nothing to apply")
    return 0


@command.command("diff", short_help="Compare the store with the files.")
@config_option
@_cluster_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def diff(settings: Settings, cluster: str | None, *, as_json: bool) -> int:
    """Compare what the store has with what the files say: columns, types, codecs, keys, settings, views, comments.

    Exit code: 0 no difference, 1 different, 3 the store does not answer.
    """
    import msgspec

    from sluice.cli import NOT_RUNNING, USAGE
    from sluice.ship import query, schema
    from sluice.ship.sqlgate import SqlError

    name, cluster = settings.clickhouse.database, _cluster(settings, cluster)
    found: dict[str, list[dict[str, object]]] = {}
    try:
        for kind, sql in schema.CATALOGUE.items():
            data = b"".join(query.ask(settings, sql.format(database=name), "JSONEachRow"))
            found[kind] = [msgspec.json.decode(line, type=dict[str, object]) for line in data.splitlines()]
    except SqlError as e:
        complain(str(e))
        return NOT_RUNNING if e.code == query.NOT_OPEN else USAGE
    from sluice.ship.clickhouse import wanted

    differences = schema.differences(wanted(name), found, cluster=bool(cluster))
    if as_json:
        print_json({"differences": [str(d) for d in differences]})
    else:
        for difference in differences:
            click.echo(difference)
    note(f"{len(differences)} differences" if differences else "the store is as the files say")
    return DIFFERENT if differences else SAME
