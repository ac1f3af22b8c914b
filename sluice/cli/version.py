"""`sluice version`: what exactly is installed, for a support case."""

from __future__ import annotations

import importlib.metadata
import platform

import click

from sluice.cli.terminal import print_json

_PARTS = ("mitmproxy", "hyperscan", "pyahocorasick", "chdb", "clickhouse-connect", "cryptography")


@click.command("version", short_help="Print what exactly is installed.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(as_json: bool) -> None:
    """Print the versions of Sluice and of the engines it stands on."""
    found = {"sluice": importlib.metadata.version("sluice"), "python": platform.python_version()}
    for part in _PARTS:
        found[part] = importlib.metadata.version(part)
    if as_json:
        print_json(found)
    else:
        rest = ", ".join(f"{name} {version}" for name, version in list(found.items())[1:])
        click.echo(f"sluice {found['sluice']} ({rest})")
