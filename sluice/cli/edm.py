"""`sluice edm`: exact data match. A table of the site becomes an index of keyed hashes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sluice.cli.owndata import facts, keys_of, now, opened, show
from sluice.cli.terminal import config_option, note, progress
from sluice.errors import Misconfigured, Problem

if TYPE_CHECKING:
    from sluice.config import Settings
    from sluice.detect.own.index import Index


@click.group("edm", short_help="Exact data match: index the rows of a table.")
def command() -> None:
    """Rows of a table (customers, patients, accounts) that must not leave, as an index without plaintext."""


@command.command("build", short_help="Index the rows of a table by keyed hashes.")
@config_option
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--columns", required=True, metavar="A,B:TYPE", help="Columns to match, by their names in the heading.")
@click.option("--key-columns", "keys", required=True, metavar="A", help="Those by which a row is found: almost unique.")
@click.option("--require", default=2, show_default=True, type=click.IntRange(1, 16), help="Columns that must agree.")
@click.option(
    "--within", default=30, show_default=True, type=click.IntRange(1, 500), help="Words between them at most."
)
@click.option("--delimiter", default="", metavar="C", help="Of the file [default: the commonest of , ; tab |].")
@click.option("--encoding", default="", metavar="NAME", help="Of the file [default: by its mark, else UTF-8].")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Where the index goes.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _build(
    settings: Settings,
    table: Path,
    columns: str,
    keys: str,
    require: int,
    within: int,
    delimiter: str,
    encoding: str,
    out: Path,
    as_json: bool,
) -> int:
    """Index the rows of TABLE, a CSV file with a heading, by keyed hashes.

    A row is found where a value of a key column stands in a text and, with it, at least --require columns agree within
    so many words. Types: name, text, email, digits, phone, code, date; guessed where none is given. Rows that cannot be
    used are counted and named by line. The index is bound to this deployment's key.
    """
    from sluice.owndata import rows

    delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
    if len(delimiter) > 1:
        raise click.UsageError("--delimiter is one character, or `tab`")
    wanted = rows.Wanted(
        tuple(c.strip() for c in columns.split(",")),
        tuple(c.strip() for c in keys.split(",")),
        within,
        require,
        delimiter,
        encoding,
    )
    key_id, secret = list(keys_of(settings).items())[-1]
    if not out.parent.is_dir():
        note(f"made the directory {out.parent}")
    try:
        total = table.stat().st_size
    except OSError as e:
        raise Misconfigured(Problem(str(table), None, f"cannot be read: {e.strerror}")) from e
    with progress() as shown:
        task = shown.add_task("indexing", total=total)
        report = rows.build(table, out, wanted, key_id, secret, now(), lambda at: shown.update(task, completed=at))
    for line, what in report.lines:
        note(f"warning: {table}:{line}: {what}")
    if report.bad > len(report.lines):
        note(f"warning: {table}: and {report.bad - len(report.lines)} more rows that cannot be used")
    for name, count in report.unusable.items():
        note(f"warning: column `{name}`: {count} cells without a usable value")
    for name, count in report.common.items():
        if count:
            note(f"warning: key column `{name}`: {count} cells left out, their values name too many rows")
    said: dict[str, Any] = {
        "file": str(out),
        "rows": report.rows,
        "bad rows": report.bad,
        "columns": [f"{name}: {kind}{' (key)' if key else ''}" for name, kind, key in report.columns],
        "bytes": report.size,
        "key": key_id,
    }
    show(said, as_json=as_json)
    if not as_json:
        name = out.stem if out.stem.isascii() else "table"
        note(f'to use it: [[own.edm]] file = "{out}", name = "{name.lower()}" in the settings, then `sluice check`')
    return 0


@command.command("check", short_help="Make sure that an index can be loaded.")
@config_option
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _check(settings: Settings, file: Path, *, as_json: bool) -> int:
    """Make sure that FILE is whole, unchanged and of a key that is here, as the gate does at start."""
    index, found = _rows(file, settings)
    if as_json:
        show(facts(index) | {"rows": found.rows, "sound": True}, as_json=True)
    else:
        click.echo(f"sound: {file}")
    return 0


@command.command("stats", short_help="Say what an index holds.")
@config_option
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _stats(settings: Settings, file: Path, as_json: bool) -> int:
    """What an index holds: rows, columns, sizes, and how seldom it is wrong."""
    index, found = _rows(file, settings)
    chance = found.rows / 2**64 * (1.0 if found.require < 2 else 200 / 2**32)
    values = facts(index) | {
        "rows": found.rows,
        "columns": [f"{c.name}: {c.type}{' (key)' if c.key else ''}" for c in found.columns],
        "require": found.require,
        "within": f"{found.within} words",
        "bytes a row": round(file.stat().st_size / max(found.rows, 1), 1),
        "false match": f"{chance:.1e} for each candidate of a text (200 candidates beside it)",
    }
    show(values, as_json=as_json)
    return 0


def _rows(file: Path, settings: Settings) -> tuple[Index, Any]:
    from sluice.config import OwnIndex
    from sluice.detect.own import exact, site
    from sluice.model import Severity

    index = opened(file, exact.KIND, settings)
    asked = OwnIndex(file=file, name="check")
    return index, exact.Rows(index, site.detector("own.check", "own.check", Severity.INFO, asked.name, ""))
