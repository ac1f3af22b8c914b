"""`sluice inventory`: what is in use, declared against observed."""

from __future__ import annotations

import csv
import io
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import config_option, note, print_json, table

if TYPE_CHECKING:
    from sluice.config import Settings
    from sluice.posture.inventory import Inventory
    from sluice.posture.question import Table


@click.command("inventory", short_help="What is in use: providers, models, agents, tools, keys and more.")
@config_option
@click.argument("kind", required=False)
@click.option("--source", metavar="NAME", help="Rows that are `declared`, `observed` or `both` [default: all].")
@click.option("--since", metavar="SPAN|TIME", help="In use since then, with the numbers of that span [default: ever].")
@click.option("--until", metavar="TIME", help="End of the span, excluded [default: the minute just over].")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, help="Most rows.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with every column.")
@click.option("--csv", "as_csv", is_flag=True, help="As CSV, with every column.")
@click.option("--sql", "only_sql", is_flag=True, help="Print the question, and ask nothing.")
def command(
    settings: Settings,
    kind: str | None,
    source: str | None,
    since: str | None,
    until: str | None,
    limit: int,
    as_json: bool,
    as_csv: bool,
    only_sql: bool,
) -> int:
    """What is in use, declared in the registers against observed in the records. Without KIND: how much of each.

    KIND is one of provider, tier, domain, route, model, subject, role, application, agent, tool, mcp_server,
    agent_tool, key, data_class, policy, exception, detector, node, coverage. A table shows the main columns and, unless
    --source says otherwise, no row that is only declared; --json and --csv have everything. In SQL the views are
    `inventory_KIND`.
    """
    from sluice.cli.asking import questions
    from sluice.posture import inventory, question

    if as_json and as_csv:
        raise click.UsageError("--json or --csv: give one of the two")
    if source is not None and source not in inventory.SOURCES:
        raise click.UsageError(f"--source is one of {', '.join(inventory.SOURCES)}")
    try:
        span = question.span(since, until, "90d", datetime.now(UTC)) if since or until else None
    except question.BadQuestion as e:
        raise click.UsageError(str(e)) from e
    if kind is None:
        if span:
            raise click.UsageError("--since and --until are for one KIND")
        return _overview(settings, as_json=as_json)
    chosen = inventory.KINDS.get(kind.lower().replace("-", "_")) or inventory.KINDS.get(kind.lower().removesuffix("s"))
    if chosen is None:
        raise click.UsageError(f"there is no inventory `{kind}`: {', '.join(inventory.KINDS)}")
    if only_sql:
        click.echo(inventory.sql(chosen, source=source or "", limit=limit, span=span))
        return 0
    with questions(settings) as asked:
        found = inventory.rows(asked, chosen, source=source or "", limit=limit, whole=as_json or as_csv, span=span)
    if as_json:
        print_json(found.dicts())
    elif as_csv:
        sys.stdout.write(_csv(found))
    else:
        _print(chosen, found, whole=source is not None, limit=limit)
    return 0


def _overview(settings: Settings, *, as_json: bool) -> int:
    from sluice.cli.asking import questions
    from sluice.cli.terminal import waiting
    from sluice.posture import inventory

    with questions(settings) as asked, waiting("counting"):
        counts = {kind.kind: inventory.count(asked, kind) for kind in inventory.KINDS.values()}
    if as_json:
        print_json({kind: {source: n.get(source, 0) for source in inventory.SOURCES} for kind, n in counts.items()})
        return 0
    table(
        ("kind", "observed", "of these declared", "declared only", "what"),
        [
            (kind, n.get("observed", 0) + n.get("both", 0), n.get("both", 0), n.get("declared", 0),
             inventory.KINDS[kind].what)
            for kind, n in counts.items()
        ],
    )  # fmt: skip
    return 0


def _print(kind: Inventory, found: Table, *, whole: bool, limit: int) -> None:
    from sluice.posture.rendering import shown

    source = found.columns.index("source")
    rows = [row for row in found.rows if whole or row[source] != "declared"]
    if rows:
        table(found.columns, [[shown(cell) for cell in row] for row in rows])
    if hidden := len(found.rows) - len(rows):
        note(f"{hidden} more {'is' if hidden == 1 else 'are'} declared and not observed (--source declared)")
    elif not rows:
        note(f"nothing is known of this: `{kind.view}` is empty")
    if len(found.rows) == limit:
        note(f"these are the first {limit}: --limit shows more")


def _csv(found: Table) -> str:
    """As spreadsheets read it: a text that they would take for a formula begins with an apostrophe."""
    from sluice.posture.rendering import harmless

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(found.columns)
    for row in found.rows:
        writer.writerow([harmless(cell, number) for cell, number in zip(row, found.numeric, strict=True)])
    return out.getvalue()
