"""`sluice scan`: the detectors on text that one has at hand, with nothing sent and nothing recorded.

Two forms: files (or stdin) in and a table or JSON out; or `--jsonl`, one JSON object a line in and one out, as they
come, for programs that keep a scanner running. Findings say where and what class, never the text itself.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from sluice.cli.terminal import SEVERITY_STYLE, complain, config_option, note, print_json, progress, table, text
from sluice.errors import SluiceError

if TYPE_CHECKING:
    from sluice.config import Settings
    from sluice.detect.engine import Engine
    from sluice.model import Finding

CLEAN, FOUND, BAD_INPUT = 0, 1, 2


@click.command("scan", short_help="Run the detectors over files or stdin.")
@config_option
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--json", "as_json", is_flag=True, help="Print findings as JSON.")
@click.option(
    "--jsonl", is_flag=True, help='Lines of {"id", "text"} on stdin to lines of {"id", "findings"} on stdout.'
)
def command(settings: Settings, files: Sequence[Path], as_json: bool, jsonl: bool) -> int:
    """Run the detectors over FILES (or stdin) and print what they find.

    Exit code: 0 nothing found, 1 something found, 2 something could not be read. With --jsonl: 0, or 2 when a line
    could not be read; such a line is answered with an `error` and the rest goes on. Offsets count code points.
    """
    if jsonl and (files or as_json):
        raise click.UsageError("--jsonl reads stdin and writes JSON lines: it goes with neither FILES nor --json")
    engine = make_engine(settings)
    if jsonl:
        return scan_lines(engine, sys.stdin.buffer, sys.stdout.buffer)
    return _scan_files(engine, files or (Path("-"),), as_json=as_json)


def make_engine(settings: Settings) -> Engine:
    """The engine with the shipped and the site's packs. Its fingerprint key is for this run alone: none are shown."""
    from sluice import config
    from sluice.detect import packs
    from sluice.detect.engine import Engine
    from sluice.detect.evidence import Fingerprinter

    signatures = config.signatures_dir()
    detectors = packs.load([signatures / "packs", *settings.paths.packs], signatures / "vocabulary.toml")
    return Engine(detectors, Fingerprinter(secrets.token_bytes(32), "scan"))


def findings_in(engine: Engine, content: str) -> tuple[Finding, ...]:
    """The findings in one text. Raises `SluiceError` when not all of it could be scanned."""
    from sluice.errors import Cause, Unavailable
    from sluice.model import Part, PartKind, Provenance, Role

    scan = engine.scan((Part("", Role.USER, PartKind.TEXT, Provenance.USER, content),))
    if scan.unread:
        raise Unavailable(Cause.PARTIAL_INSPECTION, f"not scanned: {', '.join({u.reason for u in scan.unread})}")
    return scan.findings


# ------------------------------------------------------------------------------------------------------ lines of JSON


def scan_lines(engine: Engine, source: BinaryIO, sink: BinaryIO) -> int:
    """One line out for each line in, flushed at once, whatever the line holds."""
    bad = 0
    for line in iter(source.readline, b""):
        answer = _answer(engine, line)
        bad += "error" in answer
        sink.write(json.dumps(answer, ensure_ascii=True).encode("ascii") + b"\n")
        sink.flush()
    if bad:
        complain(f"{bad} line{'s' if bad > 1 else ''} could not be scanned; each was answered with an `error`")
    return BAD_INPUT if bad else CLEAN


def _answer(engine: Engine, line: bytes) -> dict[str, object]:
    try:
        item = json.loads(line)
    except (ValueError, RecursionError):  # bad UTF-8 is a ValueError too
        return {"id": None, "error": "not a JSON object"}
    if not isinstance(item, dict):
        return {"id": None, "error": "not a JSON object"}
    known: dict[str, object] = {"id": item.get("id")}
    content = item.get("text")
    if not isinstance(content, str):
        return known | {"error": "`text` must be a string"}
    try:
        return known | {"findings": [_plain(finding) for finding in findings_in(engine, content)]}
    except SluiceError as e:
        return known | {"error": str(e)}
    except Exception as e:  # noqa: BLE001 - one line that breaks the engine must not end the stream; it says so
        return known | {"error": f"internal error: {type(e).__name__}"}


def _plain(finding: Finding) -> dict[str, object]:
    return {
        "detector": finding.detector,
        "class": finding.data_class,
        "severity": str(finding.severity),
        "start": finding.start,
        "end": finding.end,
        "validated": finding.validated,
        "confidence": finding.confidence,
    }


# -------------------------------------------------------------------------------------------------------------- files


@dataclass(frozen=True, slots=True)
class _Found:
    """A finding and where it lies in its file, for people: line and column from 1."""

    file: str
    line: int
    column: int
    finding: Finding


def _scan_files(engine: Engine, files: Sequence[Path], *, as_json: bool) -> int:
    found: list[_Found] = []
    unread = 0
    with progress() as shown:
        for file in shown.track(files, description="scanning"):
            name = "stdin" if str(file) == "-" else str(file)
            try:
                data = sys.stdin.buffer.read() if name == "stdin" else file.read_bytes()
                content = data.decode("utf-8", "replace")
                found += [_place(name, content, finding) for finding in findings_in(engine, content)]
            except OSError as e:
                complain(f"{name}: {e.strerror}")
                unread += 1
            except SluiceError as e:
                complain(f"{name}: {e}")
                unread += 1
    if as_json:
        print_json([{"file": f.file, "line": f.line, "column": f.column, **_plain(f.finding)} for f in found])
    elif found:
        _print(found)
    if not as_json:
        many = f"{len(found)} finding{'' if len(found) == 1 else 's'}" if found else "nothing found"
        note(f"{many} in {len(files) - unread} file{'' if len(files) - unread == 1 else 's'}")
    return BAD_INPUT if unread else FOUND if found else CLEAN


def _place(name: str, content: str, finding: Finding) -> _Found:
    line_start = content.rfind("\n", 0, finding.start) + 1
    return _Found(name, content.count("\n", 0, finding.start) + 1, finding.start - line_start + 1, finding)


def _print(found: Sequence[_Found]) -> None:
    checked = {True: text("yes", "green"), False: text("no", "yellow"), None: text("-", "dim")}
    table(
        ("where", "detector", "class", "severity", "validated", "confidence"),
        [
            (
                f"{f.file}:{f.line}:{f.column}",
                f.finding.detector,
                f.finding.data_class,
                text(f.finding.severity, SEVERITY_STYLE[f.finding.severity]),
                checked[f.finding.validated],
                f"{f.finding.confidence:.2f}",
            )
            for f in found
        ],
    )
