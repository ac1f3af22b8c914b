"""`sluice packs`: the detectors there are, what each looks for, and the proof that they do as they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
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
from sluice.errors import Misconfigured, Problem

if TYPE_CHECKING:
    from sluice.config import Settings
    from sluice.model import Detector

SOUND, BROKEN = 0, 1


@click.group("packs", short_help="List, show, prove or begin detectors.")
def command() -> None:
    """Detector packs: what is looked for, declared as data with examples that prove it."""


@command.command("check", short_help="Prove the shipped packs, the site's, and those in PATHS.")
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
@click.option("--family", metavar="FAMILY", help="Only of this family (of packs: `cloud`, `health`).")
@click.option("--class", "data_class", metavar="CLASS", help="This class, or those that begin with it.")
@click.option("--severity", type=click.Choice([str(s) for s in SEVERITY_STYLE]), help="Only of this severity.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _list(settings: Settings, family: str | None, data_class: str | None, severity: str | None, as_json: bool) -> int:
    """List the detectors in force."""
    begins = tuple(f"{data_class}{end}" for end in ".-")  # whole words: `finan` is no class
    chosen = [
        d
        for d in _load(settings)
        if (not data_class or f"{d.data_class}.".startswith(begins))
        and (not family or d.family == family)
        and (not severity or str(d.severity) == severity)
    ]
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
        "recorded": _recorded(detector),
        "examples": f"{len(detector.match)} that match, {len(detector.reject)} that do not",
        "why": detector.why,
        "pattern": detector.pattern,
        "keywords": list(detector.keywords),
        "keyword_use": detector.keyword_use,
        "within": detector.within,
        "overlaps": list(detector.overlaps),
        "allow": list(detector.allow),
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


@command.command("stats", short_help="Count the detectors by family, class and severity.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _stats(settings: Settings, as_json: bool) -> int:
    """Count the detectors by family, class, severity, status and regulation."""
    detectors = _load(settings)
    counts = {
        "family": _count(d.family for d in detectors),
        "kind": _count(d.data_class.partition(".")[0] for d in detectors),
        "class": _count(d.data_class for d in detectors),
        "severity": _count(str(d.severity) for d in detectors),
        "status": _count(d.status for d in detectors),
        "regulation": _count(r for d in detectors for r in d.regulations),
    }
    if as_json:
        print_json({"detectors": len(detectors), **counts})
        return SOUND
    for name, found in counts.items():
        table((name, "detectors"), found.items())
    click.echo(f"{len(detectors)} detectors")
    return SOUND


@command.command("test", short_help="Run the examples of packs or detectors.")
@config_option
@click.argument("what", metavar="[FILE|ID]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _test(settings: Settings, what: Sequence[str], as_json: bool) -> int:
    """Run the match and reject examples of packs (files) or detectors (ids); of all in force when none is named.

    Quicker than `check`: examples alone, with all detectors in force beside them. Prints every example that fails, by
    number, never its text. Exit code: 0 all hold, 1 some fail.
    """
    from sluice import config
    from sluice.cli.compiled import make_engine
    from sluice.detect import lint, packs

    signatures = config.signatures_dir()
    files = [Path(w) for w in what if "/" in w or w.endswith(".toml")]
    given = [signatures / "packs", *settings.paths.packs]
    extra = [
        f for f in files if not any(f.resolve() == g.resolve() or f.resolve().parent == g.resolve() for g in given)
    ]
    detectors, sources, problems = packs.read([*given, *extra], signatures / "vocabulary.toml")
    if problems:
        raise Misconfigured(problems)
    inside = {file.resolve() for file in files}
    ids = {w for w in what if Path(w) not in files}
    chosen = [d for d in detectors if d.id in ids or sources[d.id].file.resolve() in inside]
    if unknown := ids - {d.id for d in chosen}:
        raise Misconfigured(f"no detector `{min(unknown)}`, and no file of that name (`sluice packs list`)")
    chosen = chosen if what else list(detectors)
    with progress() as shown:
        shown.add_task(f"{len(chosen)} detectors", total=None)
        failures = lint.failing(make_engine(settings, detectors=detectors), chosen, sources)
    examples = sum(len(d.match) + len(d.reject) for d in chosen)
    if as_json:
        print_json(
            {
                "ok": not failures,
                "detectors": len(chosen),
                "examples": examples,
                "failures": [{"file": p.file, "line": p.line, "what": p.what} for p in failures],
            }
        )
    else:
        for problem in failures:
            complain(str(problem))
        click.echo(f"{len(chosen)} detectors, {examples} examples, {len(failures)} failures")
    return BROKEN if failures else SOUND


@command.command("new", short_help="Begin a pack with one detector.")
@config_option
@click.argument("detector_id", metavar="ID")
@click.argument("file", required=False, type=click.Path(path_type=Path))
def _new(settings: Settings, detector_id: str, file: Path | None) -> int:
    """Begin a pack with one detector ID (`vendor.thing`): print it, or write it to a new FILE and check it."""
    from sluice.detect import packs

    if not packs.ID.fullmatch(detector_id):
        raise click.UsageError(f"`{detector_id}` is not `vendor.thing` in lower case, as in `acme.api-key`")
    if any(detector.id == detector_id for detector in _load(settings)):
        note(f"warning: there is a detector `{detector_id}` already (`sluice packs show` prints it); choose another id")
    begun = TEMPLATE.format(id=detector_id, family=detector_id.partition(".")[0])
    if file is None:
        click.echo(begun, nl=False)
        return SOUND
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(begun)
    except OSError as e:
        raise Misconfigured(Problem(str(file), None, f"cannot be written: {e.strerror}")) from e
    from sluice import config

    _, _, problems = packs.read([file], config.signatures_dir() / "vocabulary.toml")
    if problems:
        raise Misconfigured(problems)
    note(f"{file}: a detector that works; replace pattern and examples, then `sluice packs test {file}`")
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
    from sluice.cli.compiled import load_detectors

    return load_detectors(settings)


def _count(names: Iterable[str]) -> dict[str, int]:
    """How often each name is there, the most frequent first."""
    return dict(sorted(Counter(names).items(), key=lambda kv: (-kv[1], kv[0])))


def _recorded(detector: Detector) -> str:
    """Whether the revision is one that was reviewed (`signatures/revisions.toml`); a site's own are not in there."""
    from sluice import config
    from sluice.detect import lint

    known = lint.read_lock(config.signatures_dir() / lint.LOCK).get(detector.id)
    if known is None:
        return "of this site: not among the shipped revisions"
    same = known == (detector.rev, lint.content_digest(detector))
    return f"revision {known[0]}" + ("" if same else ": not what this detector says now")


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
