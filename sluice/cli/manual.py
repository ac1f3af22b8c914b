"""`sluice manual`: the manual pages, made from the commands themselves, so that they cannot say anything else."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import re
from collections.abc import Iterator
from pathlib import Path

import click

EXIT_STATUS = (
    ("0", "as hoped"),
    ("1", "something was found, or is broken"),
    ("2", "used wrongly, or misconfigured"),
    ("3", "the appliance does not run, or nobody answers"),
    ("70", "a fault of Sluice itself"),
    ("130", "interrupted"),
)
"""What every command keeps to; a page's own text says what it adds."""
ENVIRONMENT = (
    ("SLUICE_CONFIG", "The settings file, where --config does not name one."),
    ("SLUICE_SECTION__KEY", "Overrides a key of the settings, as in SLUICE_PROXY__WORKERS=4."),
    ("SLUICE_TRACEBACK", "When set, a fault of Sluice itself shows its traceback, which may hold what a file held."),
)


@click.command("manual", short_help="Write the manual pages into a directory.")
@click.option("--out", required=True, metavar="DIR", type=click.Path(path_type=Path), help="Where man1 is made.")
def command(out: Path) -> int:
    """Write a manual page for `sluice-proxy` and for each command of `sluice` to DIR/man1.

    `man -M DIR sluice-explain` shows one; `MANPATH` or a package's /usr/share/man makes them everybody's.
    """
    directory = out / "man1"
    directory.mkdir(parents=True, exist_ok=True)
    for name, page in pages():
        (directory / f"{name}.1").write_text(page, "utf-8")
    click.echo(f"{len(list(directory.glob('*.1')))} pages in {directory}", err=True)
    return 0


def pages() -> Iterator[tuple[str, str]]:
    """(name, roff) of every page, `sluice` first."""
    from sluice.cli import group

    (script,) = importlib.metadata.entry_points(group="console_scripts", name="sluice-proxy")
    proxy = script.load()

    root = click.Context(group, info_name="sluice")
    listed = dict(_walk(root))
    for name, context in listed.items():
        yield name, _page(name, context, others=[other for other in listed if other != name])
    yield "sluice-proxy", _page("sluice-proxy", click.Context(proxy, info_name="sluice-proxy"), others=["sluice"])


def _walk(context: click.Context) -> Iterator[tuple[str, click.Context]]:
    yield context.command_path.replace(" ", "-"), context
    command = context.command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield from _walk(click.Context(found, parent=context, info_name=name))


def _page(name: str, context: click.Context, *, others: list[str]) -> str:
    command = context.command
    version = importlib.metadata.version("sluice")
    made = dt.date.fromisoformat("2026-11-24")  # of the texts, so that the same commands always give the same pages
    short = command.get_short_help_str(limit=300).rstrip(".")
    out = [
        f'.TH "{name.upper()}" "1" "{made:%Y-%m-%d}" "Sluice {version}" "Sluice"',
        ".SH NAME",
        f"{_roff(name)} \\- {_roff(short[:1].lower() + short[1:])}",
        ".SH SYNOPSIS",
        f".B {_roff(context.command_path)}",
        _roff(" ".join(command.collect_usage_pieces(context))),
        ".SH DESCRIPTION",
        *_prose(command.help or command.short_help or short),
    ]
    options = [p for p in command.get_params(context) if isinstance(p, click.Option) and not p.hidden]
    if options:
        out.append(".SH OPTIONS")
        for option in options:
            record = option.get_help_record(context)
            if record:
                out += [".TP", f"\\fB{_roff(record[0])}\\fR", _roff(record[1])]
    if isinstance(command, click.Group):
        out.append(".SH COMMANDS")
        for sub in command.list_commands(context):
            found = command.get_command(context, sub)
            if found is not None and not found.hidden:
                out += [".TP", f"\\fB{_roff(sub)}\\fR", _roff(found.get_short_help_str(limit=300))]
    if name == "sluice-proxy":
        out += [".SH EXIT STATUS", "0 stopped as asked; 1 could not be kept running; 78 misconfigured."]
    else:
        out.append(".SH EXIT STATUS")
        for code, meaning in EXIT_STATUS:
            out += [".TP", f"\\fB{code}\\fR", meaning]
    out.append(".SH ENVIRONMENT")
    for variable, meaning in ENVIRONMENT:
        out += [".TP", f"\\fB{_roff(variable)}\\fR", _roff(meaning)]
    near = [o for o in others if o == "sluice" or o.rpartition("-")[0] == name or name.startswith(f"{o}-")]
    out += [".SH SEE ALSO", ", ".join(f"\\fB{_roff(o)}\\fR(1)" for o in sorted({*near, "sluice-proxy"} - {name}))]
    return "\n".join(out) + "\n"


def _prose(text: str) -> list[str]:
    """click's help: paragraphs, kept as they are after a line with \\b."""
    out: list[str] = []
    for block in re.split(r"\n\s*\n", "\n".join(line.strip() for line in text.splitlines())):
        lines = block.strip("\n").splitlines()
        if lines and lines[0] == "\b":
            out += [".PP", ".nf", *map(_roff, lines[1:]), ".fi"]
        else:
            out += [".PP", _roff(" ".join(lines))]
    return out[1:] if out[:1] == [".PP"] else out


def _roff(text: str) -> str:
    """Text that roff prints as it is: a hyphen that can be copied, no line that begins with a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    text = re.sub(r"[^\x00-\x7f]", lambda found: f"\\[u{ord(found[0]):04X}]", text)
    return f"\\&{text}" if text.startswith((".", "'")) else text
