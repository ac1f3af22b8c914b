"""`sluice doctor`: what is wrong here, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import complain, config_option, counted, note, print_json, table, text, waiting

if TYPE_CHECKING:
    from sluice.config import Settings
    from sluice.doctor import Findings, Found

SOUND, FAULTY = 0, 1
_STYLE = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@click.command("doctor", short_help="Look for what is wrong with this machine and deployment.")
@config_option
@click.option("--offline", is_flag=True, help="Contact no other machine: no name is looked up and no provider tried.")
@click.option("--egress", "hosts", metavar="HOST", multiple=True, help="Try the way to this provider (repeatable).")
@click.option("--all", "everything", is_flag=True, help="Also show what is in order.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(settings: Settings, offline: bool, hosts: tuple[str, ...], everything: bool, as_json: bool) -> int:
    """Look at versions, limits, clock, disk, permissions, CA, rules, ports, names, the way out, ClickHouse and the
    receivers of events.

    Each finding says what to do about it. Nothing is changed; the way out is a TLS handshake with three providers, or
    with those of --egress, and no request. Exit code: 0 nothing worse than a warning, 1 something has to be mended.
    """
    found: list[Found] = []
    with waiting("looking ..."):
        for area, check in _checks(settings, hosts, offline=offline):
            found += _safely(area, check)
    failed = [f for f in found if f.state == "fail"]
    if as_json:
        print_json(
            {
                "ok": not failed,
                "findings": [{"area": f.area, "state": f.state, "what": f.what, "fix": f.fix or None} for f in found],
            }
        )
        return FAULTY if failed else SOUND
    shown = [f for f in found if everything or f.state != "ok"]
    if shown:
        rows = [(text(f.state, _STYLE[f.state]), f.area, f.what, f.fix) for f in shown]
        table(("", "area", "what", "what to do"), rows)
    warned = sum(f.state == "warn" for f in found)
    note(f"{counted(len(found), 'finding')}: {len(failed)} to mend, {counted(warned, 'warning')}")
    if failed:
        complain(f"{counted(len(failed), 'thing')} to mend")
    return FAULTY if failed else SOUND


def _checks(settings: Settings, hosts: tuple[str, ...], *, offline: bool) -> list[tuple[str, Callable[[], Findings]]]:
    from sluice.cli.check import load_rulebook
    from sluice.doctor import here, outside

    tried = hosts or outside.LIKELY
    checks: list[tuple[str, Callable[[], Findings]]] = [
        ("versions", lambda: here.versions(settings)),
        ("limits", lambda: here.limits(settings)),
        ("clock", lambda: here.time_of_day(settings)),
        ("disk", lambda: here.disk(settings)),
        ("permissions", lambda: here.permissions(settings)),
        ("ca", lambda: here.authority(settings)),
        ("rules", lambda: here.rules(settings, lambda: load_rulebook(settings))),
        ("appliance", lambda: here.running(settings)),
        ("appliance", lambda: outside.readiness(settings)),
        ("ports", lambda: outside.ports(settings)),
        ("clickhouse", lambda: outside.clickhouse(settings, offline=offline)),
    ]
    if not offline:
        checks.append(("forward", lambda: outside.receivers(settings)))
        checks.append(("dns", lambda: outside.names(settings, tried)))
        checks.append(("egress", lambda: outside.way_out(settings, tried)))
    return checks


def _safely(area: str, check: Callable[[], Findings]) -> list[Found]:
    """What a check finds. One that fails must not hide the others, and says so itself."""
    from sluice.doctor import fail
    from sluice.errors import SluiceError

    found: list[Found] = []
    try:
        found += check()
    except PermissionError as e:
        found.append(fail(area, f"{e.filename}: may not be looked at", "run this as the account of the appliance"))
    except (OSError, SluiceError) as e:
        found.append(fail(area, f"could not be looked at: {e}", "mend that first"))
    return found
