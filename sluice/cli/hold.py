"""`sluice hold`: legal holds on rows of the event store."""

from __future__ import annotations

import getpass
import json
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import complain, config_option, note, print_json, table

if TYPE_CHECKING:
    from sluice.config import Settings
    from sluice.ship.holds import Hold

WAIT_SECONDS = 5.0
USAGE = 2
PSEUDONYM = re.compile(r"[0-9a-f]{32}")


@click.group("hold", short_help="Legal holds: what may not be deleted although its time is over.")
def command() -> None:
    """Legal holds on rows of the event store. They are never changed: a release is a row of its own, and a NAME that is
    in force cannot be placed again."""


@command.command("place", short_help="Keep rows although their time is over.")
@config_option
@click.argument("name")
@click.option("--reason", required=True, help="Matter, case or order.")
@click.option("--subject", default="", metavar="PSEUDONYM", help="Rows of this subject_id only [default: everybody].")
@click.option(
    "--since", type=click.DateTime(), metavar="TIME", help="Rows from then on (UTC), as in 2026-11-01 [default: all]."
)
@click.option("--until", type=click.DateTime(), metavar="TIME", help="Rows before then (UTC) [default: all].")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def place(
    settings: Settings,
    name: str,
    reason: str,
    subject: str,
    since: datetime | None,
    until: datetime | None,
    *,
    as_json: bool,
) -> int:
    """Keep rows although their time is over, until the hold NAME is released.

    Exit code: 2 when a hold of this NAME is in force already, or nothing could be covered.
    """
    from sluice.ship.holds import FOREVER

    if subject and not PSEUDONYM.fullmatch(subject):
        raise click.UsageError("--subject is a subject_id, 32 hex digits: `sluice keys fingerprint --kind subject`")
    ts_from, ts_until = _micros(since, 0), _micros(until, FOREVER)
    if ts_from >= ts_until:
        raise click.UsageError("--since is not before --until: no row would be held")
    known = _in_force(settings)
    if known is None:
        note(f"nobody answers for the store: if a hold `{name}` is in force there, this one takes its place")
    elif name in known:  # the store knows a hold by its name: the second would narrow the first unseen
        complain(f"a hold `{name}` is in force already: choose another name", "`sluice hold list` shows what it covers")
        return USAGE
    if subject and _rows_of(settings, subject) == 0:
        note(f"no row of the store has the subject {subject}: the hold covers nothing yet, only what comes")
    return _leave(settings, name, "place", reason, subject, ts_from, ts_until, as_json=as_json)


@command.command("release")
@config_option
@click.argument("name")
@click.option("--reason", required=True, help="Why it ends.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def release(settings: Settings, name: str, reason: str, *, as_json: bool) -> int:
    """End the hold NAME. Exit code: 2 when no such hold is in force."""
    known = _in_force(settings)
    if known is not None and name not in known:
        complain(f"no hold `{name}` is in force", "`sluice hold list` shows those that are")
        return USAGE
    return _leave(settings, name, "release", reason, "", 0, 0, as_json=as_json)


@command.command("list")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def show(settings: Settings, *, as_json: bool) -> int:
    """The holds in force, and those that wait for the shipper: nothing is deleted while one waits.

    Exit code: 3 nobody answers for the store; those that wait are shown all the same.
    """
    from sluice.cli import NOT_RUNNING
    from sluice.ship import holds, query
    from sluice.ship.shipper import directory
    from sluice.ship.sqlgate import SqlError

    left = holds.waiting(directory(settings))
    rows = [_waiting(hold) for _, hold in left]
    answered = True
    try:
        rows = [[*row, "in force"] for row in _rows(settings)] + rows
    except SqlError as e:
        if e.code != query.NOT_OPEN or settings.clickhouse_dir.exists() or settings.clickhouse.dsn:
            complain(str(e))
            answered = False
    if as_json:
        names = ("name", "placed", "by", "reason", "subject", "rows_from", "rows_before", "state")
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    elif rows:
        table(
            ("name", "placed", "by", "reason", "subject", "rows from", "rows before", "state"),
            [
                (
                    name,
                    at[:19],
                    by,
                    reason,
                    subject or "everybody",
                    _shown(since, "1970-01-01"),
                    _shown(until, "2299-12-31"),
                    state,
                )
                for name, at, by, reason, subject, since, until, state in rows
            ],
        )
    if not answered:
        note("which holds are in force is not known: the store did not answer")
        return NOT_RUNNING
    if not rows:
        note("no holds are in force")
    return 0


def _waiting(hold: Hold) -> list[str]:
    """A hold or a release that was left for the shipper, as the store would tell it."""
    at, since, until = (
        datetime.fromtimestamp(moment // 10**6, UTC).strftime("%Y-%m-%d %H:%M:%S")
        for moment in (hold.at, hold.ts_from, hold.ts_until)
    )
    state = "waits" if hold.action == "place" else "release waits"
    return [hold.name, at, hold.by, hold.reason, hold.subject_id, since, until, state]


def _shown(moment: str, open_end: str) -> str:
    return "-" if moment.startswith(open_end) else moment[:19]


def _rows(settings: Settings) -> list[list[str]]:
    from sluice.ship import query

    sql = "SELECT name, at, by, reason, subject_id, ts_from, ts_until FROM holds_in_force ORDER BY at"
    answer = b"".join(query.ask(settings, sql, "JSONCompactEachRow"))
    return [json.loads(line) for line in answer.splitlines()]


def _rows_of(settings: Settings, subject: str) -> int | None:
    """Rows of a subject, a pseudonym; None when the store cannot be asked."""
    from sluice.ship import query
    from sluice.ship.sqlgate import SqlError

    sql = f"SELECT count() FROM events WHERE subject_id = '{subject}' OR on_behalf_of = '{subject}'"  # noqa: S608 - hex
    try:
        return int(b"".join(query.ask(settings, sql, "TSV")))
    except SqlError:
        return None


def _in_force(settings: Settings) -> set[str] | None:
    """Names of the holds in force, those that wait for the shipper included; None when the store cannot be asked."""
    from sluice.ship import holds, query
    from sluice.ship.shipper import directory
    from sluice.ship.sqlgate import SqlError

    waiting: list[Hold] = [hold for _, hold in holds.waiting(directory(settings))]
    try:
        names = {row[0] for row in _rows(settings)}
    except SqlError as e:
        if e.code != query.NOT_OPEN or settings.clickhouse.dsn or settings.clickhouse_dir.exists():
            return None
        names = set()  # an appliance that never ran holds nothing
    for hold in waiting:
        (names.add if hold.action == "place" else names.discard)(hold.name)
    return names


def _leave(
    settings: Settings, name: str, action: str, reason: str, subject: str, since: int, until: int, *, as_json: bool
) -> int:
    from sluice.ship import holds
    from sluice.ship.shipper import directory

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise click.UsageError("NAME has 1 to 64 letters, digits, dots, hyphens and underscores")
    now = time.time_ns() // 1000
    hold = holds.Hold(now, name, action, getpass.getuser(), reason, subject, since, until)
    path = holds.leave(directory(settings), hold)
    deadline = time.monotonic() + WAIT_SECONDS
    while path.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    if as_json:
        print_json({"name": name, "action": action, "entered": not path.exists()})
    if path.exists():
        what = "hold" if action == "place" else "release of"
        note(f"{what} `{name}` waits: nothing is deleted from now on, and the shipper enters it when the store answers")
    else:
        note(f"hold `{name}` is {'in force' if action == 'place' else 'released'}")
    return 0


def _micros(moment: datetime | None, otherwise: int) -> int:
    return round(moment.replace(tzinfo=UTC).timestamp() * 1_000_000) if moment else otherwise
