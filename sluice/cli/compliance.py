"""`sluice compliance`: clauses, the evidence for each, and what stands against it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import config_option, note, table

if TYPE_CHECKING:
    from sluice.config import Settings


@click.command("compliance", short_help="Clauses, their evidence, and what stands against them.")
@config_option
@click.argument("framework", required=False)
@click.option("--since", metavar="SPAN|TIME", help="Records from then on [default: 90d].")
@click.option("--until", metavar="TIME", help="End of the span, excluded [default: the minute just over].")
@click.option("--format", "form", default="table", show_default=True, help="table, html, csv, json, md or pdf.")
@click.option("--json", "form", flag_value="json", help="The same as --format json.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write [default: stdout].")
def command(
    settings: Settings, framework: str | None, since: str | None, until: str | None, form: str, out: Path | None
) -> int:
    """Clauses of FRAMEWORK (or of all): which reports show them, which findings stand against them, on what basis.

    Evidence supports; nothing here makes anyone compliant.
    """
    from sluice.cli import asking
    from sluice.posture import compliance, question, rendering

    if form not in rendering.FORMATS:
        raise click.UsageError(f"--format is one of {', '.join(rendering.FORMATS)}")
    controls = compliance.controls()
    chosen = [c for c in controls if framework is None or framework.lower() in c.framework.lower()]
    if not chosen:
        raise click.UsageError(f"there is no framework `{framework}`: {', '.join(compliance.frameworks())}")
    try:
        begin, end = question.span(since, until, "90d", datetime.now(UTC))
    except question.BadQuestion as e:
        raise click.UsageError(str(e)) from e
    with asking.questions(settings) as asked:
        answered = compliance.answered(asked, chosen, begin, end)
    if form == "table":
        for name, value in answered.head()[2:4]:
            click.echo(f"{name:13s} {rendering.shown(value)}")
        rows = [
            [*(rendering.shown(cell) for cell in row[:7]), str(row[8]).partition(":")[0]] for row in answered.table.rows
        ]
        table((*answered.table.columns[:7], "basis"), rows)
        note("evidence supports; it does not make anyone compliant. Sources and notes: --format html, csv, json or md")
        return 0
    if form == "pdf" and out is None and sys.stdout.isatty():
        raise click.UsageError("a PDF is nothing for a terminal: give a file with --out")
    data = rendering.file(answered, form)
    if out is None:
        sys.stdout.buffer.write(data)
    else:
        out.write_bytes(data)
    return 0
