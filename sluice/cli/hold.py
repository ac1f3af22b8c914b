"""`sluice hold`: legal holds on rows of the event store."""

from __future__ import annotations

import getpass
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import complain, config_option, note

if TYPE_CHECKING:
    from sluice.config import Settings

WAIT_SECONDS = 5.0


@click.group("hold", short_help="Legal holds: what may not be deleted although its time is over.")
def command() -> None:
    """Legal holds on rows of the event store. They are never changed: a release is a row of its own."""


@command.command("place")
@config_option
@click.argument("name")
@click.option("--reason", required=True, help="Matter, case or order.")
@click.option("--subject", default="", metavar="PSEUDONYM", help="Rows of this subject_id only [default: everybody].")
@click.option("--since", type=click.DateTime(), help="Rows from this time on (UTC) [default: all].")
@click.option("--until", type=click.DateTime(), help="Rows before this time (UTC) [default: all].")
def place(
    settings: Settings, name: str, reason: str, subject: str, since: datetime | None, until: datetime | None
) -> int:
    """Keep rows although their time is over, until the hold NAME is released."""
    from sluice.ship.holds import FOREVER

    return _leave(settings, name, "place", reason, subject, _micros(since, 0), _micros(until, FOREVER))


@command.command("release")
@config_option
@click.argument("name")
@click.option("--reason", required=True, help="Why it ends.")
def release(settings: Settings, name: str, reason: str) -> int:
    """End the hold NAME."""
    return _leave(settings, name, "release", reason, "", 0, 0)


@command.command("list")
@config_option
def show(settings: Settings) -> int:
    """The holds in force, and those that wait for the shipper."""
    from sluice.cli import NOT_RUNNING
    from sluice.ship import query
    from sluice.ship.shipper import directory
    from sluice.ship.sqlgate import SqlError

    for path in sorted((directory(settings) / "holds").glob("*.json")):
        note(f"waits for the shipper: {path}")
    try:
        for chunk in query.ask(settings, "SELECT * FROM holds_in_force ORDER BY at", "TabSeparatedWithNames"):
            click.echo(chunk.decode(), nl=False)
    except SqlError as e:
        complain(str(e))
        return NOT_RUNNING
    return 0


def _leave(settings: Settings, name: str, action: str, reason: str, subject: str, since: int, until: int) -> int:
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
    if path.exists():
        note("nothing is deleted from now on; the shipper enters it into the store when it runs")
    return 0


def _micros(moment: datetime | None, otherwise: int) -> int:
    return round(moment.replace(tzinfo=UTC).timestamp() * 1_000_000) if moment else otherwise
