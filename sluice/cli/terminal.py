"""How commands speak: one error line then hints, tables and progress for people, nothing of that for programs."""

from __future__ import annotations

import contextlib
import functools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sluice import logs

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.text import Text

    from sluice.config import Settings

SEVERITY_STYLE = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "info": "dim"}
ACTION_STYLE = {"allow": "green", "block": "bold red", "refuse": "bold magenta"}


def complain(text: str, *hints: str) -> None:
    """One line of what went wrong, then what can be done."""
    click.secho(f"sluice: {_plain(text)}", fg="red" if sys.stderr.isatty() else None, err=True)
    for hint in hints:
        click.echo(f"  {_plain(hint)}", err=True)


def note(text: str) -> None:
    """A word about the data on stdout, kept out of it."""
    click.echo(_plain(text), err=True)


def _plain(said: str) -> str:
    """Lines without anything that a terminal would obey: names of files and of archives' members are others' choice."""
    return "\n".join(logs.safe(line, 2000) for line in said.split("\n"))


def counted(number: int, noun: str) -> str:
    """`1 record`, `2 records`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def print_json(value: object, *, indent: int | None = 2) -> None:
    click.echo(json.dumps(value, indent=indent, ensure_ascii=True, default=str))


def console(*, stderr: bool = False) -> Console:
    """A terminal for tables and colour; plain text of any width when it is not one. Reads no markup in data."""
    from rich.console import Console

    made = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = 1000  # nothing is cut or folded for a file or a pipe
    return made


def text(value: object, style: str = "") -> Text:
    """A cell: control characters out, style only from us."""
    from rich.text import Text

    return Text(logs.safe(str(value), 2000), style=style)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """Print a table; cells are values, or `text(value, style)`."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    out = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for column in columns:
        out.add_column(column, overflow="fold")
    for row in rows:
        out.add_row(*(cell if isinstance(cell, Text) else text("" if cell is None else cell) for cell in row))
    console().print(out)


def progress() -> Progress:
    """A progress display on stderr: bytes or steps done, time left. Silent when stderr is not a terminal."""
    from rich.progress import Progress

    shown = console(stderr=True)
    return Progress(console=shown, transient=True, disable=not shown.is_terminal)


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """A word on stderr while something takes seconds, taken away afterwards. Silent when stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    with console(stderr=True).status(text(what)):
        yield


def config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--config FILE`, handed to the command as `settings`."""

    @click.option(
        "--config",
        "config_file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Settings file [default: $SLUICE_CONFIG, else deploy/sluice.toml].",
    )
    @functools.wraps(command)
    def with_settings(*args: Any, config_file: Path | None, **kwargs: Any) -> Any:
        return command(*args, settings=load_settings(config_file), **kwargs)

    return with_settings


def load_settings(file: Path | None) -> Settings:
    from sluice import config

    return config.load(file)
