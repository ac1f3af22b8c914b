"""`sluice docs`: documents of the site, recognised by what of them stands in a text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sluice.cli.owndata import facts, keys_of, now, opened, show
from sluice.cli.terminal import config_option, note, print_json, progress, table

if TYPE_CHECKING:
    from sluice.config import Settings


@click.group("docs", short_help="Fingerprints of documents that must not leave.")
def command() -> None:
    """Documents that must not leave, as an index of keyed hashes of every six words in a row."""


@command.command("add")
@config_option
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--name", default="", metavar="NAME", help="Of the document, for one FILE [default: from the file's].")
@click.option(
    "--class", "data_class", default="own.document", show_default=True, metavar="CLASS", help="own.something."
)
@click.option("--severity", default="high", show_default=True, type=click.Choice(["low", "medium", "high", "critical"]))
@click.option(
    "--share", default=0.3, show_default=True, type=click.FloatRange(0.01, 1), help="Of it that is a finding."
)
@click.option(
    "--run", default=60, show_default=True, type=click.IntRange(16, 10_000), help="Or so many words in a row."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The index; made, or added to.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _add(
    settings: Settings,
    files: Sequence[Path],
    name: str,
    data_class: str,
    severity: str,
    share: float,
    run: int,
    out: Path,
    as_json: bool,
) -> int:
    """Add FILES (text, .docx) to an index. A file whose name is there already takes the place of the older one."""
    import re

    import msgspec

    from sluice.model import Severity
    from sluice.owndata import documents, texts

    if name and len(files) > 1:
        raise click.UsageError("--name is for one file")
    found: list[tuple[str, Path, str]] = []
    with progress() as shown:
        for file in shown.track(files, description="reading"):
            chosen = name or re.sub(r"[^a-z0-9]+", "-", file.stem.lower()).strip("-") or "document"
            found.append((chosen, file, texts.read(file)))
    added = documents.add(
        out,
        found,
        keys_of(settings),
        now(),
        data_class=data_class,
        severity=Severity(severity),
        share=share,
        run=run,
    )
    if as_json:
        print_json({"file": str(out), "added": [msgspec.to_builtins(document) for document in added]})
    for document in () if as_json else added:
        click.echo(
            f"{document.name}: {document.words} words, {document.shingles} shingles, class {document.data_class}"
        )
    note(f'to use it: [[own.documents]] file = "{out}" in the settings, then `sluice check`')
    return 0


@command.command("list")
@config_option
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _list(settings: Settings, file: Path, as_json: bool) -> int:
    """The documents in an index."""
    import msgspec

    from sluice.detect.own import documents

    index = opened(file, documents.KIND, settings)
    known = documents.about_of(index).documents
    if as_json:
        print_json(facts(index) | {"documents": [msgspec.to_builtins(d) for d in known]})
        return 0
    show(facts(index), as_json=False)
    table(
        ("name", "class", "severity", "words", "share", "run"),
        [(d.name, d.data_class, d.severity, d.words, d.share, d.run) for d in known],
    )
    return 0


@command.command("remove")
@config_option
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _remove(settings: Settings, file: Path, name: str, as_json: bool) -> int:
    """Take the document NAME out of the index FILE."""
    from sluice.owndata import documents

    documents.remove(file, name, keys_of(settings), now())
    if as_json:
        print_json({"file": str(file), "removed": name})
    else:
        click.echo(f"removed {name}")
    return 0
