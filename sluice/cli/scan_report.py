"""What `sluice scan` says: tables and a summary for people, one JSON object for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import click

from sluice.cli.scan import SEVERITIES, plain
from sluice.cli.scanned import Found, Result, Traced
from sluice.cli.terminal import SEVERITY_STYLE, complain, note, print_json, table, text

ROWS = 1_000
"""Findings, traces or reasons that a table shows; `--json` has all of them."""
_OUTCOME = {"found": "bold", "sample": "cyan", "dropped": "dim"}


def print_tables(result: Result, *, explain: str | None = None) -> None:
    """Findings, traces, what was skipped; the summary to stderr."""
    if result.found:
        _findings(result.found)
    if explain is not None:
        _traces(result.traced, explain)
    for skipped in result.skipped:
        if skipped.failed:
            complain(f"{skipped.name}: {skipped.reason}")
    if len(result.found) > 1:
        summary(result)
    passed = Counter(s.reason for s in result.skipped if not s.failed)
    if passed:
        note("passed over: " + ", ".join(f"{count} {reason}" for reason, count in passed.most_common()))
    many = f"{len(result.found)} finding{'' if len(result.found) == 1 else 's'}" if result.found else "nothing found"
    failed = sum(s.failed for s in result.skipped)
    end = f"; {failed} not read, or in part" if failed else ""
    files = f"{result.files} file{'' if result.files == 1 else 's'}"
    texts = f"{result.texts} texts, " if result.texts != result.files else ""
    note(f"{many} in {files} ({texts}{_size(result.bytes)}){end}")


def summary(result: Result) -> None:
    """Counts by class, with their severities and the detectors behind them."""
    of_class: dict[str, list[Found]] = {}
    for f in result.found:
        of_class.setdefault(f.finding.data_class, []).append(f)
    rows = []
    for name, found in sorted(of_class.items(), key=lambda kv: (-_worst(kv[1]), kv[0])):
        detectors = Counter(f.finding.detector for f in found)
        told = ", ".join(f"{d} {n}" for d, n in detectors.most_common(4)) + (" ..." if len(detectors) > 4 else "")
        worst = SEVERITIES[_worst(found)]
        files = len({f.file for f in found})
        rows.append((name, text(worst, SEVERITY_STYLE[worst]), len(found), files, told))
    table(("class", "worst", "findings", "files", "detectors"), rows)


def print_data(result: Result) -> None:
    """Everything as one JSON object."""
    data: dict[str, object] = {
        "findings": [_data(f) for f in result.found],
        "skipped": [{"file": s.name, "reason": s.reason, "bytes": s.size, "failed": s.failed} for s in result.skipped],
        "summary": {
            "files": result.files,
            "texts": result.texts,
            "bytes": result.bytes,
            "findings": len(result.found),
            "by_class": _counts(f.finding.data_class for f in result.found),
            "by_severity": _counts(str(f.finding.severity) for f in result.found),
            "by_detector": _counts(f.finding.detector for f in result.found),
            "skipped": _counts(s.reason for s in result.skipped),
        },
    }
    if result.traced:
        data["explained"] = [_trace(t) for t in result.traced]
    print_json(data)


def _data(f: Found) -> dict[str, object]:
    where: dict[str, object] = {"file": f.file, "line": f.line, "column": f.column}
    if f.line is None:
        where["pointer"] = f.finding.pointer
    out = where | plain(f.finding) | {"example": f.finding.example}
    return out if f.context is None else out | {"context": f.context}


def _trace(t: Traced) -> dict[str, object]:
    return {
        "file": t.file,
        "line": t.line,
        "column": t.column,
        "pointer": t.pointer if t.line is None else None,
        "start": t.trace.start,
        "end": t.trace.end,
        "detector": t.trace.detector,
        "outcome": t.trace.outcome,
        "undone": list(t.trace.way),
        "keyword": t.trace.keyword,
        "passed": list(t.trace.checks),
        "why": t.trace.why,
    }


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())


def _findings(found: list[Found]) -> None:
    checked = {True: text("yes", "green"), False: text("no", "yellow"), None: text("-", "dim")}
    contexts = any(f.context for f in found)
    columns = ("where", "detector", "class", "severity", "validated", "confidence")
    table(
        (*columns, "context") if contexts else columns,
        [
            (
                _where(f.file, f.line, f.column, f.finding.pointer, f.finding.start),
                f.finding.detector,
                f.finding.data_class,
                text(f.finding.severity, SEVERITY_STYLE[f.finding.severity]),
                checked[f.finding.validated],
                f"{f.finding.confidence:.2f}",
                *((f.context or text("(not shown)", "dim"),) if contexts else ()),
            )
            for f in found[:ROWS]
        ],
    )
    if len(found) > ROWS:
        click.echo(f"and {len(found) - ROWS} more (--json lists all)")


def _traces(traced: list[Traced], explain: str) -> None:
    if not traced:
        what = "no detector" if explain == "*" else f"`{explain}`: its pattern matches nowhere, and it"
        note(f"{what} looked closer at any place")
        return
    table(
        ("where", "detector", "outcome", "seen in", "keyword", "checks passed", "why"),
        [
            (
                _where(t.file, t.line, t.column, t.pointer, t.trace.start),
                t.trace.detector,
                text(t.trace.outcome, _OUTCOME[t.trace.outcome]),
                " > ".join(t.trace.way) or "plain text",
                t.trace.keyword or "-",
                ", ".join(t.trace.checks) or "-",
                t.trace.why,
            )
            for t in traced[:ROWS]
        ],
        title="how it came about",
    )
    if len(traced) > ROWS:
        click.echo(f"and {len(traced) - ROWS} more (--json lists all)")


def _where(file: str, line: int | None, column: int | None, pointer: str, start: int) -> str:
    return f"{file}:{line}:{column}" if line is not None else f"{file} {pointer} [{start}]"


def _worst(found: list[Found]) -> int:
    return max(f.finding.severity.rank for f in found)


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size} bytes"
