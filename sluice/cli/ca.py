"""`sluice ca`: make, look at, hand out and replace the certificate authority of this deployment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from sluice.cli.terminal import config_option, console, note, print_json, text

if TYPE_CHECKING:
    from rich.console import Console

    from sluice.ca import Info
    from sluice.config import Settings


@click.group("ca", short_help="Make, show, hand out or replace the CA.")
def command() -> None:
    """The certificate authority that clients have to trust.

    It is made on the first start; its key stays on this machine. To replace it without an outage: `ca rotate` makes
    a successor, `ca export` hands out both, `ca rotate --activate` uses the new one, and `ca rotate --retire` forgets
    the old one.
    """


@command.command("init")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _init(settings: Settings, as_json: bool) -> None:
    """Make the CA, unless there is one."""
    from sluice import ca

    settings.paths.var.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = ca.init(settings.ca_dir, settings.ca, node=settings.node)
    note("made a CA" if made.created else "there is a CA already; nothing was changed")
    _show(made, as_json=as_json)


@command.command("show", short_help="Print the CA in force, its successor, the ones before.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _current(settings: Settings, as_json: bool) -> None:
    """Print subject, fingerprints and validity of the CA in force, its successor and the ones before it."""
    from sluice import ca

    _show(ca.show(settings.ca_dir), as_json=as_json)


@command.command("export")
@config_option
@click.option("--form", type=click.Choice(["pem", "der"]), default="pem", show_default=True, help="Encoding.")
@click.option(
    "--which",
    type=click.Choice(["bundle", "current", "next"]),
    help="bundle: all that clients should trust during a rotation [default for pem]; DER holds one certificate.",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file, not stdout.")
def _export(
    settings: Settings,
    form: Literal["pem", "der"],
    which: Literal["bundle", "current", "next"] | None,
    output: Path | None,
) -> None:
    """Print the certificate for clients to trust. Never prints a key."""
    from sluice import ca

    data = ca.export(settings.ca_dir, form, which or ("bundle" if form == "pem" else "current"))
    if output:
        output.write_bytes(data)
    elif form == "der" and sys.stdout.isatty():
        raise click.UsageError("DER is binary: name a file with --output, or redirect stdout")
    else:
        sys.stdout.buffer.write(data)


@command.command("rotate")
@config_option
@click.option("--activate", is_flag=True, help="Use the successor from the workers' next start.")
@click.option("--retire", is_flag=True, help="Stop handing out the CAs before the current one.")
@click.option("--now", is_flag=True, help="Make and use one at once: clients fail until they trust it.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _rotate(settings: Settings, activate: bool, retire: bool, now: bool, as_json: bool) -> None:
    """Replace the CA, step by step. Without an option: make the successor, and keep using the current one."""
    from sluice import ca

    steps = [name for name, given in (("activate", activate), ("retire", retire), ("now", now)) if given]
    match steps:
        case [_, _, *_]:
            raise click.UsageError(f"--{' and --'.join(steps)}: one step at a time")
        case ["activate"]:
            info = ca.activate(settings.ca_dir)
            note("the successor is in force: restart sluice-proxy; then, once no client needs the old one: --retire")
        case ["retire"]:
            info = ca.retire(settings.ca_dir)
            note("the CAs before the current one are no longer handed out")
        case ["now"]:
            info = ca.rotate(settings.ca_dir, settings.ca, node=settings.node)
            note("a new CA is in force: restart sluice-proxy, and bring its certificate to every client")
        case _:
            info = ca.stage(settings.ca_dir, settings.ca, node=settings.node)
            note("made a successor, not in use yet: bring `sluice ca export` to every client, then rotate --activate")
    _show(info, as_json=as_json)


def _show(info: Info, *, as_json: bool) -> None:
    if as_json:
        print_json(_plain(info))
        return
    out = console()
    for title, one in [("in force", info), *([("successor", info.staged)] if info.staged else [])]:
        _print(out, title, one)
    for one in info.previous:
        _print(out, "previous", one)


def _print(out: Console, title: str, info: Info) -> None:
    style = "red" if info.days_left < 1 else "yellow" if info.days_left <= 30 else "green"
    out.print(text(f"{title}: {info.subject}", "bold"))
    out.print(
        text(
            f"  valid         {info.not_before:%Y-%m-%d} to {info.not_after:%Y-%m-%d}, {info.days_left} days left",
            style,
        )
    )
    out.print(text(f"  certificate   {info.certificate}"))
    if info.key:
        out.print(text(f"  key           {info.key} (never leaves this machine)"))
    out.print(text(f"  SHA-256       {info.sha256}"))
    out.print(text(f"  SPKI SHA-256  {info.spki_sha256}"))
    out.print(text(f"  serial        {info.serial}"))


def _plain(info: Info) -> dict[str, object]:
    return {
        "subject": info.subject,
        "serial": info.serial,
        "sha256": info.sha256,
        "spki_sha256": info.spki_sha256,
        "not_before": info.not_before.isoformat(),
        "not_after": info.not_after.isoformat(),
        "days_left": info.days_left,
        "certificate": str(info.certificate),
        "staged": _plain(info.staged) if info.staged else None,
        "previous": [_plain(one) for one in info.previous],
    }
