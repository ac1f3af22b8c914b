"""`sluice packs`: the detectors there are, what each looks for, and the proof that they do as they say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import (
    SEVERITY_STYLE,
    complain,
    config_option,
    console,
    note,
    print_json,
    progress,
    table,
    text,
)
from sluice.errors import Misconfigured

if TYPE_CHECKING:
    from sluice.config import Settings
    from sluice.model import Detector

SOUND, BROKEN = 0, 1


@click.group("packs", short_help="List, show, prove or begin detectors.")
def command() -> None:
    """Detector packs: what is looked for, declared as data with examples that prove it."""


@command.command("check")
@config_option
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _check(settings: Settings, paths: Sequence[Path], as_json: bool) -> int:
    """Prove the shipped and the site's packs, and those in PATHS: vocabulary, patterns, examples, benign text.

    Prints every problem with its file and line. Exit code: 0 sound, 1 problems.
    """
    from sluice import config
    from sluice.detect import lint

    signatures = config.signatures_dir()
    directories = [signatures / "packs", *settings.paths.packs, *paths]
    with progress() as shown:
        shown.add_task("proving detectors, half a minute", total=None)
        problems = lint.check(directories, signatures / "vocabulary.toml")
    if as_json:
        print_json(
            {"ok": not problems, "problems": [{"file": p.file, "line": p.line, "what": p.what} for p in problems]}
        )
    elif problems:
        for problem in problems:
            complain(str(problem))
        note(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}")
    else:
        click.echo(f"{len(_load(settings))} detectors, all proved")
    return BROKEN if problems else SOUND


@command.command("list")
@config_option
@click.option("--class", "data_class", metavar="CLASS", help="This class, or those that begin with it.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _list(settings: Settings, data_class: str | None, as_json: bool) -> int:
    """List the detectors in force."""
    begins = tuple(f"{data_class}{end}" for end in ".-")  # whole words: `finan` is no class
    chosen = [d for d in _load(settings) if not data_class or f"{d.data_class}.".startswith(begins)]
    if as_json:
        print_json([_brief(detector) for detector in chosen])
        return SOUND
    rows = [
        (d.id, d.title, d.data_class, text(d.severity, SEVERITY_STYLE[d.severity]), ", ".join(d.validators), d.status)
        for d in chosen
    ]
    table(("id", "title", "class", "severity", "validators", "status"), rows)
    click.echo(f"{len(chosen)} detectors")
    return SOUND


@command.command("show")
@config_option
@click.argument("detector_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _show(settings: Settings, detector_id: str, as_json: bool) -> int:
    """Print everything that is known of one detector."""
    known = {detector.id: detector for detector in _load(settings)}
    detector = known.get(detector_id)
    if detector is None:
        near = [name for name in known if detector_id.partition(".")[0] in name][:5]
        raise Misconfigured(f"no detector `{detector_id}`" + (f"; there is {', '.join(near)}" if near else ""))
    full = _brief(detector) | {
        "family": detector.family,
        "why": detector.why,
        "pattern": detector.pattern,
        "keywords": list(detector.keywords),
        "keyword_use": detector.keyword_use,
        "within": detector.within,
        "overlaps": list(detector.overlaps),
        "references": list(detector.references),
        "match": list(detector.match),
        "reject": list(detector.reject),
    }
    if as_json:
        print_json(full)
        return SOUND
    out = console()
    for name, value in full.items():
        for number, one in enumerate(value if isinstance(value, list) else [value]):
            out.print(text(f"{name if number == 0 else '':<13}", "bold") + text(one), soft_wrap=True)
    return SOUND


@command.command("new")
@config_option
@click.argument("detector_id", metavar="ID")
def _new(settings: Settings, detector_id: str) -> int:
    """Print the beginning of a pack with one detector ID (`vendor.thing`), to be filled in and checked."""
    from sluice.detect import packs

    if not packs.ID.fullmatch(detector_id):
        raise click.UsageError(f"`{detector_id}` is not `vendor.thing` in lower case, as in `acme.api-key`")
    if any(detector.id == detector_id for detector in _load(settings)):
        note(f"warning: there is a detector `{detector_id}` already (`sluice packs show` prints it); choose another id")
    click.echo(TEMPLATE.format(id=detector_id, family=detector_id.partition(".")[0]), nl=False)
    return SOUND


TEMPLATE = """# Save as {family}.toml in a directory named by `paths.packs`; `sluice packs check` says what is missing.
family = "{family}"

[[detector]]
id          = "{id}"   # permanent: never reused, never renamed
rev         = 1   # goes up whenever pattern or validators change
title       = "What it is, in three words"
why         = "What follows when this leaves: one sentence for the person who is blocked."
pattern     = '''\\b(acme_[A-Za-z0-9]{{32}})\\b'''   # one group = the value; look-around is allowed
keywords    = ["acme"]
keyword_use = "boost"   # or "require": without a keyword near by it is no match
validators  = []   # names of checks, all must pass
severity    = "high"
class       = "secret.saas-key"   # one of signatures/vocabulary.toml
regulations = []
status      = "test"   # observed, never blocks; "stable" once it has proved itself
references  = ["https://example.com/where-the-format-is-documented"]
# Markers such as {{alnum*32}} are expanded by the check, so that no real-looking key lies in a repository.
match       = ["key = acme_{{alnum*32}}", "ACME_KEY=acme_{{alnum*32}}"]
reject      = ["acme_short", "acme is a company"]
"""


def _load(settings: Settings) -> tuple[Detector, ...]:
    from sluice import config
    from sluice.detect import packs

    signatures = config.signatures_dir()
    return packs.load([signatures / "packs", *settings.paths.packs], signatures / "vocabulary.toml")


def _brief(detector: Detector) -> dict[str, object]:
    return {
        "id": detector.id,
        "rev": detector.rev,
        "title": detector.title,
        "class": detector.data_class,
        "severity": str(detector.severity),
        "validators": list(detector.validators),
        "regulations": list(detector.regulations),
        "status": detector.status,
    }
