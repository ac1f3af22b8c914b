"""`sluice known-secrets`: the secrets in use at the site, recognised wherever they stand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sluice.cli.owndata import facts, keys_of, now, opened, show
from sluice.cli.terminal import config_option, note, print_json

if TYPE_CHECKING:
    from sluice.config import Settings


@click.group("known-secrets", short_help="Secrets in use at the site, as keyed hashes.")
def command() -> None:
    """Secrets in use, from an environment file or a vault's export, as keyed hashes."""


@command.command("build", short_help="Index the values of an environment file or vault.")
@config_option
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "kind",
    default="",
    type=click.Choice(["", "env", "json", "yaml-lines"]),
    help="Of the file [default: by its name].",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Where the index goes.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _build(settings: Settings, source: Path, kind: str, out: Path, as_json: bool) -> int:
    """Index the values of SOURCE that could not stand in a text by chance; names of the others are listed with why."""
    from sluice.owndata import secrets

    guessed = {".json": "json", ".yaml": "yaml-lines", ".yml": "yaml-lines"}.get(source.suffix, "env")
    key_id, secret = list(keys_of(settings).items())[-1]
    count, skipped = secrets.build(source, out, kind or guessed, key_id, secret, now())
    if as_json:
        print_json({"file": str(out), "values": count, "skipped": [{"name": s.name, "why": s.why} for s in skipped]})
        return 0
    for one in skipped:
        note(f"left out: {one.name}: {one.why}")
    click.echo(f"{count} values indexed, {len(skipped)} left out")
    note(f'to use it: [[own.secrets]] file = "{out}" in the settings, then `sluice check`')
    return 0


@command.command("check", short_help="Make sure that an index can be loaded.")
@config_option
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _check(settings: Settings, file: Path, as_json: bool) -> int:
    """Make sure that FILE is whole, unchanged and of a key that is here; says how many values it has."""
    from sluice.detect.own import secrets

    index = opened(file, secrets.KIND, settings)
    show(facts(index) | {"values": index.head.about.get("values")}, as_json=as_json)
    return 0
