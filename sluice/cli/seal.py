"""`sluice seal`: how far the evidence is sealed, the public key to hand out, and a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import complain, config_option, note, print_json, table, text

if TYPE_CHECKING:
    from sluice.config import Settings


@click.group("seal", short_help="Show the sealing and its keys, replace the key.")
def command() -> None:
    """The signed checkpoints over the evidence: how far they go, and the keys that sign them.

    Give the public key (`seal key`) to whoever is to check the evidence later, before it is needed.
    """


@command.command("status")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _status(settings: Settings, as_json: bool) -> int:
    """Print how far each stream is sealed, and which witnesses take no copies. Works without the appliance.

    Exit code 1 when nothing is sealed.
    """
    from sluice.seal import outages, standing

    found = standing.standing(settings.ledger_dir, settings.seal_dir)
    away = outages.read(settings.seal_dir) if settings.seal.witnesses else ()
    for outage in away:
        note(str(outage))
    if as_json:
        print_json(
            [
                {
                    "stream": s.stream,
                    "sealed": s.size,
                    "unsealed": s.unsealed,
                    "checkpoint_age_seconds": s.age,
                    "lag_seconds": s.lag,
                }
                for s in found
            ]
        )
    elif not found:
        note("nothing is sealed yet: sluice-proxy makes a ledger and a key at its first start")
    else:
        table(
            ("stream", "sealed", "unsealed", "newest checkpoint", "oldest unsealed"),
            [
                (
                    s.stream,
                    s.size,
                    text(s.unsealed, "yellow" if s.unsealed else "green"),
                    "-" if s.age is None else f"{s.age:.0f} s ago",
                    "-" if s.lag is None else f"{s.lag:.0f} s",
                )
                for s in found
            ],
        )
    return 0 if any(s.size for s in found) else 1


@command.command("key")
@config_option
@click.option("--all", "everything", is_flag=True, help="The keys before it too, oldest first.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _key(settings: Settings, everything: bool, as_json: bool) -> int:
    """Print the public key in force, for `sluice verify --key`. Never prints a private key."""
    from sluice.seal import keys

    ring = keys.ring(settings)
    if ring is None:
        complain("there is no key yet: sluice-proxy makes one at its first start")
        return 1
    told = [str(key.verifier) for key in (ring.keys if everything else (ring.current,))]
    if as_json:
        print_json({"in_force": str(ring.current.verifier), "keys": told})
    else:
        click.echo("\n".join(told))
    return 0


@command.command("rotate")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _rotate(settings: Settings, as_json: bool) -> int:
    """Put a new key in force, at once and without a restart. What the old one signed stays valid, and it signs the new
    one; the sealer records the change. Keep the old public key: either of the two opens the chain."""
    from sluice.seal import keys

    ring = keys.rotate(settings)
    if as_json:
        print_json({"in_force": str(ring.current.verifier), "keys": [str(key.verifier) for key in ring.keys]})
    else:
        click.echo(str(ring.current.verifier))
    note(f"in force; {len(ring.keys) - 1} before it. Hand the new public key to whoever checks the evidence")
    return 0
