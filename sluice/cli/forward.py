"""`sluice forward`: where events go outward, and how far each destination is."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import complain, config_option, note, print_json, table, text

if TYPE_CHECKING:
    from sluice.config import Settings

UP_TO_DATE, BEHIND = 0, 1


@click.group("forward", short_help="Events to a SIEM, a webhook or a file: status, a test event.")
def command() -> None:
    """Events outward, by the destinations of `[[forward.to]]`. The running appliance sends them; each destination has a
    place of its own in the ledger."""


@command.command("status", short_help="Say how far each destination is.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _status(settings: Settings, *, as_json: bool) -> int:
    """Say how far each destination is, by its cursor and the ledger: sent, waiting, rejected, missed.

    Exit code: 0 all have what there is, 1 something waits or was missed.
    """
    from sluice.forward import cursors
    from sluice.forward.forwarder import directory

    rows = []
    for to in settings.forward.to:
        cursor = cursors.load(directory(settings) / f"{to.name}.json")
        rows.append(
            {
                "name": to.name,
                "url": to.shown,
                "format": to.format,
                "sent": cursor.sent if cursor else 0,
                "waiting": cursors.waiting(settings.ledger_dir, cursor) if cursor else None,
                "rejected": cursor.rejected if cursor else 0,
                "missed": cursor.missed if cursor else 0,
            }
        )
    if as_json:
        print_json(rows)
    elif not rows:
        note("no destination: `[[forward.to]]` in the settings names none")
    else:
        columns = ("name", "url", "format", "sent", "waiting", "rejected", "missed")
        table(columns, [[_cell(name, row[name]) for name in columns] for row in rows])
    return BEHIND if any(row["waiting"] or row["missed"] for row in rows) else UP_TO_DATE


def _cell(name: str, value: object) -> object:
    if name in ("rejected", "missed") and value:
        return text(value, "red")
    return "not begun" if value is None else value


@command.command("test", short_help="Send one marked event to a destination.")
@config_option
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _test(settings: Settings, name: str, as_json: bool) -> int:
    """Send one event of kind control, marked `forward-test`, to the destination NAME, and say what came of it."""
    from sluice.errors import Misconfigured, Problem
    from sluice.forward import events, sinks
    from sluice.ledger.record import encode
    from sluice.model import Record, RecordType

    to = next((to for to in settings.forward.to if to.name == name), None)
    if to is None:
        known = ", ".join(to.name for to in settings.forward.to) or "none"
        raise click.UsageError(f"no destination `{name}`; there are: {known}")
    record = Record(
        record_type=RecordType.CONTROL,
        decision_id=str(uuid.uuid4()),
        node_id=settings.node,
        ts_received=time.time_ns() // 1000,
        control_kind="forward-test",
    )
    try:
        sink = sinks.make(to)
    except (OSError, ValueError) as e:
        what = f"{getattr(e, 'filename', None) or to.shown}: {getattr(e, 'strerror', None) or e}"
        raise Misconfigured(Problem(f"forward.to `{name}`", None, what)) from e
    try:
        sink.send([events.FORMATS[to.format](record, encode(record))])
    except (OSError, sinks.Rejected) as e:
        if as_json:
            print_json({"destination": name, "url": to.shown, "taken": False, "fault": str(e)})
        complain(f"{name}: {to.shown} did not take it: {e}")
        return BEHIND
    finally:
        sink.close()
    if as_json:
        print_json({"destination": name, "url": to.shown, "taken": True, "fault": None})
    note(f"{name}: {to.shown} took it")
    return UP_TO_DATE
