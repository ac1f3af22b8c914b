"""`sluice register`: what is declared: checked, compared with the traffic, and written from tables or from traffic."""

from __future__ import annotations

import datetime as dt
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import config_option, counted, note, print_json, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sluice.config import Settings
    from sluice.errors import Problem
    from sluice.posture.inventory import Inventory
    from sluice.register.files import Entry

FOUND = 1


@click.group("register", short_help="What is declared: providers, models, agents, tools and more.")
def command() -> None:
    """Registers: what the organisation has declared about its AI, in files of `paths.registers` over the shipped."""


@command.command("check")
@config_option
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def check(settings: Settings, as_json: bool) -> int:
    """Check the files: every mistake with its line. Warns of what is out of date or names no provider that there is.

    Exit code: 2 when a file cannot be used.
    """
    from sluice import config
    from sluice.register import files, snapshot

    entries = files.load(config.registers_dir(), settings.paths.registers)
    warned = list(_warnings(settings, entries))
    taken = snapshot.take(settings) if settings.keys_dir.is_dir() else None
    counts = Counter((entry.kind, entry.origin) for entry in entries)
    if as_json:
        print_json({
            "ok": True,
            "digest": taken.digest if taken else None,
            "rows": [{"kind": k, "origin": o, "rows": n} for (k, o), n in counts.items()],
            "warnings": [{"file": p.file, "line": p.line, "what": p.what} for p in warned],
        })  # fmt: skip
        return 0
    for problem in warned:
        note(f"warning: {problem}")
    kinds = dict.fromkeys(entry.kind for entry in entries)
    origins = ("shipped", "both", "site")
    table(
        ("register", "shipped", "changed here", "of this site"), [(k, *(counts[k, o] for o in origins)) for k in kinds]
    )
    click.echo(f"sound: {counted(len(entries), 'row')}{f', {taken.digest[:16]}' if taken else ''}")
    return 0


@command.command("diff")
@config_option
@click.argument("kinds", nargs=-1, metavar="[KIND]...")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def diff(settings: Settings, kinds: tuple[str, ...], as_json: bool) -> int:
    """Compare what is declared with what is observed: rows that are not declared, rows of the site that nobody uses,
    and use beyond what a row declares. Exit code: 1 when there are differences."""
    from sluice.cli.asking import questions
    from sluice.posture import inventory

    chosen = _chosen(kinds)
    with questions(settings) as asked:
        found = inventory.differences(asked, chosen)
    if as_json:
        print_json([
            {"kind": d.kind, "name": d.name, "what": d.what, "detail": d.detail, "last_seen": d.last_seen,
             "requests": d.requests}
            for d in found
        ])  # fmt: skip
    elif found:
        table(
            ("kind", "name", "what", "detail", "last seen"),
            [(d.kind, d.name, d.what, d.detail, d.last_seen) for d in found],
        )
    else:
        note("what is observed is declared, and what this site declared is observed")
    return FOUND if found else 0


@command.command("import")
@config_option
@click.argument(
    "source", required=False, metavar="[FILE.csv]", type=click.Path(path_type=Path, dir_okay=False, exists=True)
)
@click.option("--kind", metavar="KIND", help="What the file holds [default: as its name says: models.csv].")
@click.option(
    "--observed", metavar="KIND", multiple=True, help="Instead of a file: what was observed and is not declared."
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write, which must be new [default: stdout]."
)
def imported(
    settings: Settings, source: Path | None, kind: str | None, observed: tuple[str, ...], out: Path | None
) -> int:
    """Write rows of a register as TOML: those of a CSV file, or those that were observed and nobody has declared.

    Nothing is entered by itself: read what comes out, complete it, and put it into a file of `paths.registers`
    (`[[key]]` into the file of `identity.keys`).
    """
    from sluice.register import proposals

    if (source is None) == (not observed):
        raise click.UsageError("give a CSV file, or --observed KIND")
    made = proposals.toml(_rows_of(source, kind)) if source else _proposed(settings, observed)
    if not made:
        note("nothing to write: there are no such rows")
        return 0
    if out is None:
        sys.stdout.write(made)
        return 0
    with out.open("x", encoding="utf-8") as file:
        file.write(made)
    note(f"written to {out}")
    return 0


def _rows_of(file: Path, kind: str | None) -> Sequence[Entry]:
    from sluice.register import files
    from sluice.register.shapes import KINDS

    if kind is not None and kind not in KINDS:
        raise click.UsageError(f"--kind is one of {', '.join(KINDS)}")
    return files.read(file, kind)


def _proposed(settings: Settings, kinds: tuple[str, ...]) -> str:
    from sluice.cli.asking import questions
    from sluice.posture import inventory
    from sluice.register import proposals

    parts = []
    if unknown := [kind for kind in kinds if kind not in proposals.FIELDS]:
        raise click.UsageError(f"`{unknown[0]}` cannot be proposed: {', '.join(proposals.FIELDS)}")
    with questions(settings) as asked:
        for kind in kinds:
            found = inventory.rows(asked, inventory.KINDS[kind], source="observed", whole=True)
            parts.append(proposals.proposed(kind, found.dicts()))
    return "\n".join(part for part in parts if part)


def _chosen(kinds: tuple[str, ...]) -> tuple[Inventory, ...]:
    from sluice.posture import inventory

    known = {name: one for name, one in inventory.KINDS.items() if one.register}
    for kind in kinds:
        if kind not in known:
            raise click.UsageError(f"`{kind}` cannot be compared: {', '.join(known)}")
    return tuple(known[kind] for kind in kinds or known)


def _warnings(settings: Settings, entries: Sequence[Entry]) -> Iterator[Problem]:
    """What is sound, and worth a second look: ends that have passed, providers that no destination has."""
    from sluice import config, targets
    from sluice.errors import Problem

    providers = targets.load(config.signatures_dir() / "targets.toml", settings.paths.targets).providers
    today = dt.datetime.now(dt.UTC).date()
    for entry in entries:
        provider = entry.row.provider if hasattr(entry.row, "provider") else entry.key
        if entry.kind in ("provider", "tier", "model") and provider not in providers:
            what = f"{entry.kind} `{entry.key}`: no destination belongs to `{provider}`: nothing can be observed of it"
            yield Problem(entry.file, entry.line, what)
        for name in ("expires", "review_due", "approved_until", "contract_end"):
            day = getattr(entry.row, name, None)
            if day is not None and day < today:
                yield Problem(entry.file, entry.line, f"{entry.kind} `{entry.key}`: {name} {day} has passed")
