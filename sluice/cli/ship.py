"""`sluice ship`: where delivery stands, whether ledgers and ClickHouse agree, and shipping everything again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import complain, config_option, note, print_json, table, text

if TYPE_CHECKING:
    from sluice.config import Settings
    from sluice.ship.reconcile import Acted, Count

AGREE, DIFFER = 0, 1


@click.group("ship", short_help="Delivery to ClickHouse: status, reconciliation, shipping again.")
def command() -> None:
    """Delivery to ClickHouse. The ledgers are the outbox; the running appliance empties it by itself."""


@command.command("status", short_help="Compare every ledger with ClickHouse.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def status(settings: Settings, as_json: bool) -> int:
    """Compare what the gate counted, what the ledgers hold and what ClickHouse holds; what was set aside, what waits.

    `decided` is what the gate has acted on since its worker began, by its own count, `recorded` the decisions on record
    since then; recorded and not acted on is what was in flight. The view `decided` says the same of earlier times.

    Exit code: 0 they agree, 1 they differ, 3 nobody answers.
    """
    from sluice.cli import NOT_RUNNING
    from sluice.ledger import segment
    from sluice.ship import query, reconcile
    from sluice.ship.batches import Outbox
    from sluice.ship.clickhouse import StoreError
    from sluice.ship.deadletters import DeadLetters
    from sluice.ship.shipper import directory

    class Asking:
        """A store that is only asked, through whoever owns it."""

        def select(self, sql: str, form: str) -> bytes:
            return b"".join(query.ask(settings, sql, form))

    where, found, acts = directory(settings), [], []
    dead = DeadLetters(where)
    try:
        for stream in segment.streams(settings.ledger_dir):
            box = Outbox(stream, where, lambda _: None)
            found.append(reconcile.count(Asking(), stream, box.delivered, box.pending, dead))
            acts.append(reconcile.acted(Asking(), stream, box.state.cursor, dead))
    except StoreError as e:
        complain(str(e))
        return NOT_RUNNING if e.code == query.NOT_OPEN else DIFFER
    if as_json:
        print_json([_plain(c, a) for c, a in zip(found, acts, strict=True)])
    elif not found:
        note("there is no ledger yet: nothing to deliver")
    else:
        columns = ("stream", "decided", "recorded", "numbers", "records", "rows", "set aside", "waiting")
        table((*columns, "unrecorded", "missing", "doubled"), [_row(c, a) for c, a in zip(found, acts, strict=True)])
    return DIFFER if any(c.wrong for c in found) or any(a.unrecorded for a in acts if a) else AGREE


def _plain(c: Count, a: Acted | None) -> dict[str, object]:
    return {
        "stream": c.stream, "first": c.first, "upto": c.upto, "records": c.records, "rows": c.rows, "dead": c.dead,
        "pending": c.pending, "missing": c.missing, "doubled": c.doubled, "difference": c.difference,
        "epoch": a and a.epoch, "decided": a and a.decided, "recorded": a and a.recorded,
        "unrecorded": a and a.unrecorded,
    }  # fmt: skip


def _row(c: Count, a: Acted | None) -> tuple[object, ...]:
    numbers = f"{c.first} to {c.upto - 1}" if c.records else "-"
    counted = (a.decided, a.recorded) if a else ("-", "-")
    wrong = [text(n, "bold red") if n else text(0, "green") for n in (a.unrecorded if a else 0, c.missing, c.doubled)]
    return (c.stream, *counted, numbers, c.records, c.rows, c.dead, c.pending, *wrong)


@command.command("again")
@config_option
@click.option("--from", "start", type=click.Choice(["0"]), required=True, help="0: from the oldest record there is.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def again(settings: Settings, start: str, *, as_json: bool) -> int:
    """Ship the ledgers again, into the store of the settings, and stop. For a new server, or a store that lost rows.

    The store is asked what it holds; only what it lacks is sent, so nothing is doubled. The appliance must not run.
    """
    from sluice.cli import NOT_RUNNING
    from sluice.ship.again import ship
    from sluice.ship.clickhouse import StoreError

    try:
        compared, sent = ship(settings, say=note)
    except StoreError as e:
        complain(str(e), "a running appliance has the embedded engine and the state of the delivery: stop it first")
        return NOT_RUNNING
    if as_json:
        print_json({"compared": compared, "sent": sent})
    note(
        f"{compared} records compared, {sent} rows sent; `sluice ship status` shows that nothing is missing or doubled"
    )
    return 0
