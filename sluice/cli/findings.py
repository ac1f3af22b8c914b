"""`sluice findings`: what should not be so, how it stands, and what would change it."""

from __future__ import annotations

import getpass
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from sluice.cli.terminal import SEVERITY_STYLE, complain, config_option, counted, note, print_json, table, text

if TYPE_CHECKING:
    from sluice.config import Settings
    from sluice.posture.question import Ask
    from sluice.posture.units import Finding

WAIT_SECONDS = 120.0
PLACED_SECONDS = 5.0


@click.group("findings", short_help="What should not be so, and what would change it.")
def command() -> None:
    """Findings: evaluated from the records by the running appliance every quarter of an hour, and on demand.

    They open by themselves and close by themselves, on clean traffic alone. A person acknowledges, accepts or reopens
    them, and applies the change that is proposed. An `[[exception]]` of the register that names a finding accepts it.
    """


@command.command("list")
@config_option
@click.option("--all", "everything", is_flag=True, help="Those that are fixed too.")
@click.option("--severity", type=click.Choice(["low", "medium", "high", "critical"]), help="At least this severity.")
@click.option("--catalogue", is_flag=True, help="The catalogue itself: every finding that is looked for.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def listed(settings: Settings, everything: bool, severity: str | None, catalogue: bool, as_json: bool) -> int:
    """Findings as they stand, the gravest first. Exit code: 1 when one of high or critical severity is open."""
    from sluice.cli import FOUND
    from sluice.posture import units

    if catalogue:
        known = units.findings()
        if as_json:
            print_json(
                [
                    {"id": u.id, "title": u.title, "severity": u.severity, "needs": u.needs, "feeds": u.feeds}
                    for u in known.values()
                ]
            )
        else:
            shown = [
                (u.id, _graded(u.severity), u.title, u.needs, "\n".join(f.partition("   #")[0] for f in u.feeds))
                for u in known.values()
            ]
            table(("id", "severity", "title", "needs beside the records", "fed by"), shown)
        return 0
    least = units.RANKS[severity] if severity else 0
    rows = _standing(settings, "" if everything else "WHERE status != 'fixed'")
    rows = [r for r in rows if units.RANKS[str(r["severity"])] >= least]
    rows.sort(key=lambda r: (-units.RANKS[str(r["severity"])], r["finding"], r["scope"]))
    if as_json:
        print_json(rows)
    elif not rows:
        note("nothing is open; `sluice findings evaluate` looks now")
    else:
        table(
            ("finding", "severity", "status", "scope", "hits", "last seen", "what"),
            [
                (
                    r["finding"],
                    _graded(r["severity"]),
                    r["status"],
                    r["scope"],
                    r["hits"],
                    r["last_seen"][:16],
                    r["title"],
                )
                for r in rows
            ],
        )
    grave = [r for r in rows if r["severity"] in ("high", "critical") and r["status"] in ("open", "reopened")]
    return FOUND if grave else 0


@command.command("show")
@config_option
@click.argument("name", metavar="ID")
@click.option("--sql", "only_sql", is_flag=True, help="Print the query alone.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(settings: Settings, name: str, only_sql: bool, as_json: bool) -> int:
    """What a finding says, why, on what query, and where it stands."""
    unit = _unit(name)
    if only_sql:
        click.echo(unit.sql.strip())
        return 0
    from sluice.posture import evaluation, proposal

    if as_json:
        rows = _standing(settings, f"WHERE finding = '{unit.id}'")
        about: dict[str, Any] = {
            "id": unit.id,
            "title": unit.title,
            "severity": unit.severity,
            "remediation": unit.remediation,
        }
        about |= {"controls": unit.controls, "basis": unit.basis, "days": unit.days, "clean_days": unit.clean_days}
        about |= {"needs": unit.needs, "note": unit.note, "sql": unit.sql, "sha256": evaluation.sha256(unit)}
        changes = [proposal.text(unit, str(row["scope"]), str(row["facts"])) for row in rows]
        print_json(about | {"stands": [row | {"change": change} for row, change in zip(rows, changes, strict=True)]})
        return 0
    lines = [
        ("finding", f"{unit.id} {unit.title}"),
        (
            "severity",
            unit.severity + (f"; {unit.severity_grave} where {unit.escalation}" if unit.severity_grave else ""),
        ),
        ("remediation", unit.remediation),
        ("controls", ", ".join(unit.controls)),
        ("basis", "; ".join(unit.basis)),
        ("window", f"{unit.days} days; closes after {unit.clean_days} days of clean traffic"),
        ("needs", unit.needs or "the records alone"),
        *(("fed by", feed) for feed in unit.feeds),
        ("note", unit.note),
        ("query sha256", evaluation.sha256(unit)),
    ]
    for key, value in lines:
        if value:
            click.echo(f"{key:13s} {value}")
    for row in _standing(settings, f"WHERE finding = '{unit.id}'"):
        click.echo()
        click.echo(f"{row['status']:13s} {_plain(row['scope'])}: {row['hits']} hits, last {row['last_seen'][:16]}")
        for key in ("facts", "owner", "reason", "accepted_until"):
            if row[key]:
                click.echo(f"{key:13s} {_plain(row[key])}")
        change = proposal.text(unit, str(row["scope"]), str(row["facts"]))
        if change and row["status"] != "fixed" and unit.fix:
            click.echo(f"{'change':13s} {unit.fix.file}")
            click.echo("".join(f"    {line}\n" for line in change.strip().splitlines()), nl=False)
    return 0


@command.command("fix")
@config_option
@click.argument("name", metavar="ID")
@click.option("--scope", help="Of this scope alone [default: all that are open].")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def fix(settings: Settings, name: str, scope: str | None, as_json: bool) -> int:
    """Print the change that would close a finding, ready to paste; nothing is changed. Exit code: 1 without one."""
    from sluice.cli import FOUND
    from sluice.posture import proposal

    unit = _unit(name)
    rows = _standing(settings, f"WHERE finding = '{unit.id}' AND status != 'fixed'")
    rows = [r for r in rows if scope in (None, r["scope"])]
    if not rows or unit.fix is None:
        complain(f"{unit.id}: {'no scope of it is open' if not rows else 'no change closes it: ' + unit.remediation}")
        return FOUND
    made = [(str(row["scope"]), proposal.text(unit, str(row["scope"]), str(row["facts"])) or "") for row in rows]
    if as_json:
        where = {"finding": unit.id, "file": unit.fix.file, "kind": unit.fix.kind}
        print_json([where | {"scope": of, "change": change} for of, change in made])
        return 0
    for of, change in made:
        click.echo(f"# {unit.id} {_plain(of)}: for {unit.fix.file} ({unit.fix.kind})")
        click.echo(change.strip() + "\n")
    return 0


@command.command("ack")
@config_option
@click.argument("name", metavar="ID")
@click.option("--scope", help="Of this scope alone [default: all that are open].")
@click.option("--reason", default="", help="Why, or what is being done.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def acknowledge(settings: Settings, name: str, scope: str | None, reason: str, as_json: bool) -> int:
    """Take a finding: it is known and somebody works on it. Exit code: 2 when nothing of it is open."""
    return _say(settings, name, scope, "acknowledged", reason, as_json=as_json)


@command.command("accept")
@config_option
@click.argument("name", metavar="ID")
@click.option("--scope", help="Of this scope alone [default: all that are open].")
@click.option("--until", required=True, type=click.DateTime(["%Y-%m-%d"]), metavar="DAY", help="The day it ends.")
@click.option("--reason", required=True, help="Why it can be lived with.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def accept(settings: Settings, name: str, scope: str | None, until: datetime, reason: str, as_json: bool) -> int:
    """Live with a finding until a day, at most a year ahead. It opens again on that day, or when it grows graver."""
    return _say(settings, name, scope, "accepted", reason, until, as_json=as_json)


@command.command("reopen")
@config_option
@click.argument("name", metavar="ID")
@click.option("--scope", help="Of this scope alone [default: all that are acknowledged or accepted].")
@click.option("--reason", default="", help="Why.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def reopen(settings: Settings, name: str, scope: str | None, reason: str, as_json: bool) -> int:
    """Take back what was acknowledged or accepted. Exit code: 2 when nothing of it is."""
    return _say(settings, name, scope, "reopened", reason, as_json=as_json)


@command.command("evaluate")
@config_option
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def evaluate(settings: Settings, as_json: bool) -> int:
    """Evaluate every finding now. The running appliance does it; without one, the store is opened here.

    Exit code: 1 when a finding could not be evaluated, 3 when nobody answers.
    """
    from sluice.cli import FOUND, NOT_RUNNING

    result = _evaluated(settings)
    if result is None:
        complain("the shipper did not get to it", "`sluice ship status` says whether it runs and how much waits")
        return NOT_RUNNING
    if as_json:
        print_json(result)
    else:
        events = ", ".join(f"{number} {kind}" for kind, number in sorted(result["events"].items())) or "nothing new"
        click.echo(
            f"{counted(result['units'], 'finding')} evaluated over {counted(result['scopes'], 'scope')}: {events}"
        )
        for name in result["truncated"]:
            note(f"{name}: more scopes than are kept; the gravest are")
        for name, why in result["failed"].items():
            complain(f"{name} could not be evaluated: {why}")
    return FOUND if result["failed"] else 0


def _evaluated(settings: Settings) -> dict[str, Any] | None:
    import msgspec

    from sluice import durable
    from sluice.ship import notes, query
    from sluice.ship.shipper import directory

    box = notes.inbox(directory(settings))
    try:
        query.connect(settings.run_dir).close()
    except (FileNotFoundError, ConnectionRefusedError):
        return _evaluate_here(settings)
    box.mkdir(mode=0o700, parents=True, exist_ok=True)
    request = box / notes.REQUEST
    durable.write(request, str(time.time_ns()).encode())
    if not notes.gone([request], WAIT_SECONDS):
        return None
    found: dict[str, Any] = msgspec.json.decode((box / notes.RESULT).read_bytes())
    return found


def _evaluate_here(settings: Settings) -> dict[str, Any]:
    import msgspec

    from sluice.cli import NotRunning
    from sluice.ship import query
    from sluice.ship.assessing import Assessing
    from sluice.ship.registers import load
    from sluice.ship.shipper import directory
    from sluice.ship.sqlgate import SqlError

    try:
        with query.opened(settings) as store:
            assert store is not None
            store.migrate()
            load(store, settings, datetime.now(UTC))
            out = Assessing(settings, directory(settings), None).whole(store)
    except SqlError as e:
        raise NotRunning(str(e)) from e
    found: dict[str, Any] = msgspec.to_builtins(out)
    return found


def _say(
    settings: Settings,
    name: str,
    scope: str | None,
    event: str,
    reason: str,
    until: datetime | None = None,
    *,
    as_json: bool,
) -> int:
    from sluice.cli import USAGE
    from sluice.ship import findings, notes

    unit, now = _unit(name), datetime.now(UTC)
    try:
        what = findings.said(event, getpass.getuser(), reason, until and until.date(), now)
    except findings.Unsaid as e:
        raise click.UsageError(str(e)) from e
    states = findings.OF_STATES[event]
    rows = _standing(settings, f"WHERE finding = '{unit.id}'")
    rows = [r for r in rows if scope in (None, r["scope"]) and r["status"] in states]
    if not rows:
        stands = "acknowledged or accepted" if event == "reopened" else "open"
        complain(
            f"nothing of {unit.id} is {stands}{f' in the scope {scope}' if scope else ''}", "`sluice findings list`"
        )
        return USAGE
    left = notes.leave(settings.ship_dir, "finding_events", findings.rows(unit, rows, what, now))
    placed = notes.gone(left, PLACED_SECONDS)
    if as_json:
        print_json({"finding": unit.id, "event": event, "scopes": [r["scope"] for r in rows], "entered": placed})
    note(f"{unit.id}: {counted(len(rows), 'scope')} {event}")
    if not placed:
        note("the shipper enters it into the store when it runs")
    return 0


def _unit(name: str) -> Finding:
    from sluice.posture import units

    unit = units.findings().get(name.upper())
    if unit is None:
        raise click.UsageError(f"there is no finding `{name}`: `sluice findings list --catalogue` names them")
    return unit


def _standing(settings: Settings, where: str) -> list[dict[str, Any]]:
    from sluice.cli import asking
    from sluice.posture import question
    from sluice.ship import findings

    asked: Ask
    with asking.questions(settings) as asked:
        return question.ask(asked, f"{findings.STANDING} {where} ORDER BY finding, scope").dicts()


def _plain(value: object) -> str:
    from sluice.posture import rendering

    return rendering.shown(str(value))


def _graded(severity: str) -> Any:
    return text(severity, SEVERITY_STYLE[severity])
