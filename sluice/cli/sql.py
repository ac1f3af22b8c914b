"""`sluice sql`: questions to the events, while the appliance runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import complain, config_option

if TYPE_CHECKING:
    from sluice.config import Settings

FOR_PEOPLE, FOR_PROGRAMS = "PrettyCompactMonoBlock", "TabSeparatedWithNames"


@click.command("sql", short_help="Query the events.")
@config_option
@click.argument("query")
@click.option("--format", "form", metavar="NAME", help="Any ClickHouse output format [default: a table, or tabs].")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line (JSONEachRow).")
def command(settings: Settings, query: str, form: str | None, as_json: bool) -> int:
    """Run QUERY (- for stdin) against the events, read only.

    The running appliance answers; the embedded engine is opened for the question when it does not run; with
    `clickhouse.dsn` set, the server is asked. Exit code: 2 for a query that is refused or fails, 3 when nobody answers.
    """
    from sluice.cli import NOT_RUNNING, USAGE
    from sluice.ship import query as events
    from sluice.ship.sqlgate import SqlError

    if form and as_json:
        raise click.UsageError("--json is --format JSONEachRow: give one of the two")
    if query == "-":
        query = sys.stdin.read()
    chosen = form or ("JSONEachRow" if as_json else FOR_PEOPLE if sys.stdout.isatty() else FOR_PROGRAMS)
    try:
        for chunk in events.ask(settings, query, chosen):
            sys.stdout.buffer.write(chunk)
    except SqlError as e:
        complain(str(e))
        return NOT_RUNNING if e.code == events.NOT_OPEN else USAGE
    return 0
