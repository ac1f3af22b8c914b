"""`sluice clients`: what clients and the firewall are given, as files; the admin listener serves the same."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import complain, config_option, note, waiting

if TYPE_CHECKING:
    from sluice.config import Settings
    from sluice.targets import Table

LOOKUPS = 32


@click.group("clients", short_help="Files for clients and the firewall: PAC, profile, page, nftables.")
def command() -> None:
    """What clients need to go through this gate and to trust it, and rules that close the way around it."""


_proxy = click.option("--proxy", metavar="HOST:PORT", help="Where clients reach it [default: proxy.advertise, listen].")


@command.command("pac")
@config_option
@_proxy
@click.option("--everything", is_flag=True, help="Send every name through the gate, not only AI services.")
def _pac(settings: Settings, proxy: str | None, *, everything: bool) -> int:
    """Print the proxy auto-config file: AI services through the gate, the rest directly."""
    from sluice.onboarding import pac

    try:
        made = pac.pac(_table(settings).hosts(), proxy or _advertised(settings), everything=everything)
    except ValueError as e:
        raise click.BadParameter(str(e), param_hint="--proxy") from None
    click.echo(made, nl=False)
    return 0


@command.command("mobileconfig")
@config_option
def _mobileconfig(settings: Settings) -> int:
    """Print the CA as a configuration profile for macOS and iOS."""
    from sluice import ca
    from sluice.onboarding import profile

    click.echo(profile.profile(ca.export(settings.ca_dir, "pem"), settings.ca.organisation), nl=False)
    return 0


@command.command("page")
@config_option
@_proxy
@click.option("--admin", metavar="HOST:PORT", help="Where clients reach the admin listener.")
def _page(settings: Settings, proxy: str | None, admin: str | None) -> int:
    """Print the onboarding page, to be put on a web server of the site beside proxy.pac and the CA."""
    from sluice import ca
    from sluice.onboarding import page

    gate = page.Gate(proxy or _advertised(settings), admin or settings.admin.listen, ca.show(settings.ca_dir).sha256)
    click.echo(page.render(gate), nl=False)
    return 0


@command.command("nftables", short_help="Print firewall rules that close the way around the gate.")
@config_option
@click.option("--gate", "gates", metavar="ADDR", multiple=True, required=True, help="The gates (repeatable).")
@click.option(
    "--addresses",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True),
    help="Lines of `name address`, instead of looking names up.",
)
@click.option(
    "--least",
    type=click.IntRange(0, 100),
    default=50,
    show_default=True,
    metavar="PERCENT",
    help="Of the names that were looked up, so many must have an address.",
)
def _nftables(settings: Settings, gates: tuple[str, ...], addresses: Path | None, least: int) -> int:
    """Print rules for `nft -f` on the site's router: TCP 80 and 443 to the addresses of AI services is for the gates
    alone, UDP 443 for nobody else. Names are looked up now: run it every few minutes.

    Rules without addresses would open every way. Exit code 1, and no rules, when fewer names than --least have one:
    then it is the resolver that fails, and the rules of before should stay.
    """
    from sluice.cli import FOUND
    from sluice.onboarding import nftables

    rows = _table(settings).rows
    whole, patterns = nftables.names(rows)
    with waiting(f"looking up {len(whole)} names ..."):
        known = _read(addresses) if addresses else _look_up(whole)
    if not addresses and 100 * sum(map(bool, known.values())) < least * len(whole):
        what = f"only {sum(map(bool, known.values()))} of {len(whole)} names have addresses: no rules are made"
        complain(what, "look at the resolver (/etc/resolv.conf); where it filters names on purpose: --least")
        return FOUND
    try:
        made = nftables.rules(rows, gates, lambda name: known.get(name, ()))
    except ValueError as e:
        raise click.BadParameter(str(e), param_hint="--gate") from None
    click.echo(made, nl=False)
    note(f"{sum(map(bool, known.values()))} of {len(whole)} names have addresses; {len(patterns)} patterns have none")
    return 0


def _table(settings: Settings) -> Table:
    from sluice import config, targets

    return targets.load(config.signatures_dir() / "targets.toml", settings.paths.targets)


def _advertised(settings: Settings) -> str:
    return settings.proxy.advertise or settings.proxy.listen


def _read(file: Path) -> dict[str, list[str]]:
    known: dict[str, list[str]] = {}
    for line in file.read_text("utf-8").splitlines():
        words = line.split()
        if len(words) == 2 and not line.startswith("#"):
            known.setdefault(words[0], []).append(words[1])
    return known


def _look_up(names: list[str]) -> dict[str, list[str]]:
    def one(name: str) -> list[str]:
        try:
            found = socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM)
        except OSError:
            return []
        return sorted({str(entry[4][0]) for entry in found})

    with ThreadPoolExecutor(LOOKUPS) as pool:
        return dict(zip(names, pool.map(one, names), strict=True))
