"""`sluice report`: the questions of auditors, officers and analysts, answered from the records."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import config_option, note, print_json, table

if TYPE_CHECKING:
    from sluice.config import Settings
    from sluice.posture.report import Answered


class _Group(click.Group):
    """`sluice report R5` asks a report; `sluice report list` is a command."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["ask", *args]
        return super().resolve_command(ctx, args)


@click.group("report", cls=_Group, short_help="Reports from the records: R1 to R21.")
def command() -> None:
    """Reports from the records. `sluice report list` names them, `sluice report R5 --since 90d` asks one.

    Every report says its scope, how much of the traffic was not inspected and why, what it rests on, and the SHA-256 of
    its query. Asked again for the same span (--until), it says the same.
    """


@command.command("list")
@config_option
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def listed(settings: Settings, as_json: bool) -> int:
    """The reports: who asks, and what."""
    from sluice.posture import units

    found = units.reports()
    if as_json:
        print_json([{"id": r.id, "title": r.title, "asks": r.asks, "question": r.question} for r in found.values()])
        return 0
    table(("id", "title", "who asks", "question"), [(r.id, r.title, r.asks, r.question) for r in found.values()])
    return 0


@command.command("ask")
@config_option
@click.argument("name", metavar="REPORT")
@click.option(
    "--since", metavar="SPAN|TIME", help="90d, 12h, or a time, as in 2026-11-01 (UTC) [default: the report's]."
)
@click.option(
    "--until", metavar="TIME", help="End of the span, excluded; whole minutes [default: the minute just over]."
)
@click.option("--key", "keys", multiple=True, metavar="FP", help="API keys by fingerprint.")
@click.option("--subject", "subjects", multiple=True, metavar="PSEUDONYM", help="Subjects.")
@click.option("--provider", "providers", multiple=True, metavar="NAME", help="Providers.")
@click.option("--class", "classes", multiple=True, metavar="NAME", help="Data classes.")
@click.option("--fingerprint", "fingerprints", multiple=True, metavar="FP", help="Values by keyed fingerprint.")
@click.option(
    "--value", "value_of", metavar="CLASS", help="R6: a value of this data class, read from stdin and not kept."
)
@click.option("--session", "sessions", multiple=True, metavar="FP", help="Conversations, sessions, traces, decisions.")
@click.option("--agent", "agents", multiple=True, metavar="NAME", help="Agents.")
@click.option("--format", "form", default="table", show_default=True, help="table, html, csv, json, md or pdf.")
@click.option("--json", "form", flag_value="json", help="The same as --format json.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write [default: stdout].")
@click.option("--sql", "only_sql", is_flag=True, help="Print the query with its parameters, and ask nothing.")
def ask(
    settings: Settings,
    name: str,
    since: str | None,
    until: str | None,
    form: str,
    out: Path | None,
    only_sql: bool,
    value_of: str | None,
    **filters: tuple[str, ...],
) -> int:
    """Ask REPORT, as in R5; `sluice report R5` is the same."""
    from sluice.cli.asking import questions
    from sluice.posture import question, rendering, report, units

    if form not in rendering.FORMATS:
        raise click.UsageError(f"--format is one of {', '.join(rendering.FORMATS)}")
    unit = units.reports().get(name.upper())
    if unit is None:
        raise click.UsageError(f"there is no report `{name}`: `sluice report list` names them")
    if value_of is not None:
        filters["fingerprints"] += _fingerprints(settings, value_of)
    try:
        begin, end = question.span(since, until, unit.span, datetime.now(UTC))
        if only_sql:
            click.echo(report.sql(unit, begin, end, filters)[0])
            return 0
        with questions(settings) as asked:
            answered = report.ask(asked, unit, begin, end, filters)
    except question.BadQuestion as e:
        raise click.UsageError(str(e)) from e
    if form == "table":
        _print(answered)
        return 0
    if form == "pdf" and out is None and sys.stdout.isatty():
        raise click.UsageError("a PDF is nothing for a terminal: give a file with --out")
    data = rendering.file(answered, form)
    if out is None:
        sys.stdout.buffer.write(data)
    else:
        out.write_bytes(data)
        note(f"{unit.id}: {len(answered.table.rows)} rows to {out}; query sha256 {answered.sha256}")
    return 0


def _print(answered: Answered) -> None:
    from sluice.posture import rendering

    for name, value in answered.head():
        click.echo(f"{name:13s} {rendering.shown(value)}")
    if answered.table.rows:
        table(answered.table.columns, [[rendering.shown(cell) for cell in row] for row in answered.table.rows])
    else:
        note("no rows: nothing on record answers this question in this span")


def _fingerprints(settings: Settings, data_class: str) -> tuple[str, ...]:
    """A value on stdin under every fingerprint key that there is: the value itself goes no further than here."""
    import getpass

    from sluice import keys
    from sluice.config import signatures_dir
    from sluice.detect import packs
    from sluice.detect.evidence import Fingerprinter, normalised, purpose

    classes = packs.load_vocabulary(signatures_dir() / "vocabulary.toml").classes
    if data_class not in classes and not data_class.startswith("own."):
        raise click.UsageError(f"`{data_class}` is no data class: `sluice packs list` names them")
    value = getpass.getpass("Value (not shown): ") if sys.stdin.isatty() else sys.stdin.read().rstrip("\r\n")
    if not value:
        raise click.UsageError("no value on stdin")
    if not any(settings.keys_dir.glob("fingerprint-k*.key")):
        raise click.UsageError(f"there is no key in {settings.keys_dir}: nothing was ever fingerprinted here")
    domain, plain = purpose(data_class), normalised(data_class, value)
    return tuple(Fingerprinter(k.secret, k.id).fingerprint(domain, plain) for k in keys.versions(settings))
