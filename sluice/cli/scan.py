"""`sluice scan`: the detectors on text that one has at hand, with nothing sent and nothing recorded.

Two forms: files and folders (or stdin) in and a table or JSON out; or `--jsonl`, one JSON object a line in and one out,
as they come, for programs that keep a scanner running. Findings say where and what class, never the text itself.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from sluice.cli.compiled import make_engine
from sluice.cli.terminal import complain, config_option, progress
from sluice.errors import SluiceError

if TYPE_CHECKING:
    from sluice.cli.scanned import Result, Scanner
    from sluice.config import Settings
    from sluice.detect.engine import Engine
    from sluice.model import Finding

CLEAN, FOUND, BAD_INPUT = 0, 1, 2
SEVERITIES = ("info", "low", "medium", "high", "critical")


@click.command("scan", short_help="Run the detectors over files, folders or stdin.")
@config_option
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--include", metavar="GLOB", multiple=True, help="In folders, only files that fit (repeatable).")
@click.option("--exclude", metavar="GLOB", multiple=True, help="In folders, leave out what fits (repeatable).")
@click.option(
    "--text-field", metavar="FIELD", help="In .jsonl files, only the text of this field, as in `messages.content`."
)
@click.option("--show-context", is_flag=True, help="Show the line around a finding, with its class for the value.")
@click.option(
    "--explain",
    is_flag=False,
    flag_value="*",
    metavar="[DETECTOR]",
    help="Say what made or dropped each finding; of one detector, every candidate.",
)
@click.option(
    "--fail-on", type=click.Choice(SEVERITIES), default="info", help="Least severity that makes the exit code 1."
)
@click.option(
    "--max-size",
    type=click.IntRange(1),
    default=256,
    metavar="MB",
    help="Largest file, and most that it may unpack to [default: 256].",
)
@click.option("--json", "as_json", is_flag=True, help="Print findings, what was skipped, and the summary as JSON.")
@click.option(
    "--jsonl", is_flag=True, help='Lines of {"id", "text"} on stdin to lines of {"id", "findings"} on stdout.'
)
def command(
    settings: Settings,
    files: Sequence[Path],
    include: Sequence[str],
    exclude: Sequence[str],
    text_field: str | None,
    show_context: bool,
    explain: str | None,
    fail_on: str,
    max_size: int,
    as_json: bool,
    jsonl: bool,
) -> int:
    """Run the detectors over FILES and folders (or stdin) and print what they find.

    Reads text, gzip, zstd, .br, zip (Office files too) and tar; HAR files, mitmproxy flow files and *.request.json as
    requests on their way through the gate. In folders, .git is left out and links are not followed.

    Exit code: 0 nothing found, 1 something found (of at least the severity of --fail-on), 2 something could not be
    read, or only in part; files without text (binary, links) are listed, and no failure within a folder. With --jsonl:
    0, or 2 when a line could not be read; such a line is answered with an `error` and the rest goes on. Offsets count
    code points.
    """
    if jsonl and (files or as_json):
        raise click.UsageError("--jsonl reads stdin and writes JSON lines: it goes with neither FILES nor --json")
    engine = make_engine(settings)
    if jsonl:
        return scan_lines(engine, sys.stdin.buffer, sys.stdout.buffer)
    explain, files = _explained(engine, explain, files)
    from sluice import config, targets
    from sluice.cli import scan_report
    from sluice.cli.scanned import Scanner
    from sluice.cli.sources.opening import Opener

    table = targets.load(config.signatures_dir() / "targets.toml", settings.paths.targets)
    scanner = Scanner(
        engine,
        Opener(table, settings.limits, text_field),
        context=show_context,
        explain=explain,
        most=max_size << 20,
    )
    result, failed = _scan(scanner, files or (Path("-"),), include, exclude)
    if as_json:
        scan_report.print_data(result)
    else:
        scan_report.print_tables(result, explain=explain)
    if failed:
        return BAD_INPUT
    least = SEVERITIES.index(fail_on)
    return FOUND if any(f.finding.severity.rank >= least for f in result.found) else CLEAN


def _explained(engine: Engine, asked: str | None, files: Sequence[Path]) -> tuple[str | None, Sequence[Path]]:
    """`--explain FILE` means the file: an option whose value may be left out takes the next word for it."""
    if asked in (None, "*") or any(d.id == asked for d in engine.detectors):
        return asked, files
    if Path(asked).exists() or asked == "-":
        return "*", (Path(asked), *files)
    raise click.UsageError(f"--explain: there is neither a detector nor a file `{asked}`")


def _scan(
    scanner: Scanner, given: Sequence[Path], include: Sequence[str], exclude: Sequence[str]
) -> tuple[Result, bool]:
    """All files one after the other, and whether something that was asked for could not be read."""
    from sluice.cli import scanned
    from sluice.cli.sources import Skipped, walk

    total = scanned.Result()
    paths: list[Path] = []
    size = 0
    for path in given:
        if str(path) == "-":
            data = sys.stdin.buffer.read(scanner.most + 1)
            if len(data) > scanner.most:
                total.skipped.append(Skipped("stdin", f"larger than {scanner.most >> 20} MB"))
            else:
                total.add(scanner.data("stdin", data))
        elif path.is_dir():
            for found in walk.files(path, include=include, exclude=exclude):
                if isinstance(found, Skipped):
                    total.skipped.append(found)
                else:
                    paths.append(found[0])
                    size += found[1]
        else:
            paths.append(path)
            size += path.stat().st_size if path.is_file() else 0
    results = scanned.over(scanner, paths, size)
    with progress() as shown:
        for result in shown.track(results, total=len(paths), description="scanning"):
            total.add(result)
    named = {str(path) for path in given} | {"stdin"}
    total.skipped = [
        Skipped(s.name, f"not read: {s.reason}", s.size) if s.name in named and not s.failed else s
        for s in total.skipped
    ]
    failed = any(skipped.failed for skipped in total.skipped)
    return total, failed


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
        return known | {"findings": [plain(finding) for finding in findings_in(engine, content)]}
    except SluiceError as e:
        return known | {"error": str(e)}
    except Exception as e:  # noqa: BLE001 - one line that breaks the engine must not end the stream; it says so
        return known | {"error": f"internal error: {type(e).__name__}"}


def plain(finding: Finding) -> dict[str, object]:
    """A finding as data: what and where, never the text."""
    return {
        "detector": finding.detector,
        "class": finding.data_class,
        "severity": str(finding.severity),
        "start": finding.start,
        "end": finding.end,
        "validated": finding.validated,
        "confidence": finding.confidence,
    }
