"""Files through the detectors: what was found where, what was not read, in one process or several.

Nothing here holds a value when it returns: a place is file, line and column, a finding is sealed, and a context is
shown only after its values were taken out and nothing else was found in it.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from sluice import authentication, recording
from sluice.cli.sources import Bounds, Document, Skipped, part, walk
from sluice.cli.sources.opening import Opener
from sluice.detect import expiry, tracing
from sluice.detect.engine import Engine
from sluice.detect.tracing import Trace
from sluice.errors import SluiceError
from sluice.model import Finding, Part

AROUND = 60
"""Characters of context on either side."""
PARALLEL_BYTES = 8 * 1024 * 1024
"""Bytes of files from which a second process is worth its start."""
PROCESSES = 2


@dataclass(frozen=True, slots=True)
class Found:
    """A finding and where it lies: line and column from 1 in a file, pointer and offset in a request."""

    file: str
    line: int | None
    column: int | None
    finding: Finding
    context: str | None = None


@dataclass(frozen=True, slots=True)
class Traced:
    """What became of one candidate, and where it lies."""

    file: str
    line: int | None
    column: int | None
    pointer: str
    trace: Trace


@dataclass(slots=True)
class Result:
    """What came of one file, or of several added up."""

    found: list[Found] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    traced: list[Traced] = field(default_factory=list)
    files: int = 0
    """Files that something was read of; `texts` and `bytes` are what that was."""
    texts: int = 0
    bytes: int = 0

    def add(self, other: Result) -> None:
        self.found += other.found
        self.skipped += other.skipped
        self.traced += other.traced
        self.files += other.files
        self.texts += other.texts
        self.bytes += other.bytes


@dataclass(frozen=True, slots=True)
class Scanner:
    """Scans one file at a time. `context`: keep the masked surroundings. `explain`: None, `*` or a detector's id."""

    engine: Engine
    opener: Opener
    context: bool = False
    explain: str | None = None
    most: int = 256 * 1024 * 1024
    at: int = field(default_factory=time.time_ns)
    """The time that what expires is held against, nanoseconds since the epoch."""

    def file(self, path: Path) -> Result:
        """One file. Never raises: what goes wrong is in `skipped`."""
        loaded = walk.load(path, self.most)
        return Result(skipped=[loaded]) if isinstance(loaded, Skipped) else self.data(str(path), loaded)

    def data(self, name: str, data: bytes) -> Result:
        """The bytes of one file."""
        result = Result()
        seen: dict[str, set[tuple[int, int | None, str]]] = {}
        try:
            for item in self.opener.read(name, data, Bounds(size=self.most)):
                if isinstance(item, Skipped):
                    result.skipped.append(item)
                else:
                    self._document(item, result, seen.setdefault(item.name, set()))
        except SluiceError as e:
            result.skipped.append(Skipped(name, str(e), len(data)))
        except Exception as e:  # noqa: BLE001 - one hostile file must not end the scan of the others; it is named
            result.skipped.append(Skipped(name, f"internal error: {type(e).__name__}", len(data)))
        result.files = int(result.texts > 0)
        return result

    def _document(self, document: Document, result: Result, seen: set[tuple[int, int | None, str]]) -> None:
        parts = document.parts
        if document.whole:  # a text's own number is its pointer here, so that its findings lead back to it
            parts = tuple(part(p.text, str(i)) for i, p in enumerate(parts))
        if self.explain is None:
            scan = self.engine.scan(parts)
        else:
            scan, traces = tracing.explain(self.engine, parts, None if self.explain == "*" else self.explain)
            result.traced += [self._traced(document, parts, t) for t in traces]
        findings = scan.findings
        if not document.whole:
            findings = _once(findings)
        if document.target is not None:
            findings = authentication.leaks(findings, document.target)
        findings = expiry.aged(findings, self.at)
        result.texts += 1
        result.bytes += document.size
        if scan.unread:
            result.skipped.append(Skipped(document.name, "read in part: too much to look at", document.size))
        for f in findings:
            line, column = self._place(document, parts, f.pointer, f.start)
            if line is not None and not document.row:
                key = (line, column, f.detector)
                if key in seen:
                    continue  # from the overlap of two blocks
                seen.add(key)
            context = _masked(self.engine, f, findings, parts) if self.context else None
            result.found.append(Found(document.name, line, column, f, context))

    @staticmethod
    def _place(
        document: Document, parts: Sequence[Part], pointer: str, start: int
    ) -> tuple[int, int] | tuple[None, None]:
        if not document.whole:
            return None, None
        text = parts[int(pointer)].text
        column = start - text.rfind("\n", 0, start)
        if document.row:
            return document.line + 1, start + 1
        return document.line + text.count("\n", 0, start) + 1, column

    def _traced(self, document: Document, parts: Sequence[Part], trace: Trace) -> Traced:
        pointer = parts[trace.part].pointer
        line, column = self._place(document, parts, pointer, trace.start)
        return Traced(document.name, line, column, pointer, trace)


def _once(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """As the gate counts: what stands in the labels of a request is new only where no part had it."""
    known = {f.fingerprint for f in findings if f.pointer != recording.LABELS}
    return tuple(f for f in findings if f.pointer != recording.LABELS or f.fingerprint not in known)


def _masked(engine: Engine, finding: Finding, findings: Sequence[Finding], parts: Sequence[Part]) -> str | None:
    """The surroundings of a finding on its line, with classes for values; None where that could show a value.

    What is left is scanned once more: a rest of a value, or one that only shows without its neighbour, is not shown.
    """
    texts = [p.text for p in parts if p.pointer == finding.pointer]
    if len(texts) != 1:
        return None
    text = texts[0]
    low = max(text.rfind("\n", 0, finding.start) + 1, finding.start - AROUND)
    stop = text.find("\n", finding.end)
    high = min(len(text) if stop < 0 else stop, finding.end + AROUND)
    here = [f for f in findings if f.pointer == finding.pointer and f.start < high and low < f.end]
    out: list[str] = []
    at = low
    for f in sorted(here, key=lambda f: (f.start, -f.end)):
        if f.end <= at:
            continue
        out += [text[at : max(f.start, at)], f"[{f.data_class}]"]
        at = min(f.end, high)
    shown = "".join([*out, text[at:high]])
    if any(text[f.start : f.end] in shown for f in here):
        return None
    return None if engine.scan((part(shown),)).findings else " ".join(shown.split())


# ------------------------------------------------------------------------------------------------------ many files

_scanner: Scanner | None = None
"""Of the process that was forked: compiled detectors are shared with it, never sent."""


def _one(path: str) -> Result:
    if _scanner is None:
        raise AssertionError("no scanner in this process")
    return _scanner.file(Path(path))


def over(scanner: Scanner, paths: Sequence[Path], size: int) -> Iterator[Result]:
    """The result of each file, in their order; by two processes where there is enough to read.

    The processes are there when this returns: none may be forked beside the thread of a progress display.
    """
    global _scanner
    if len(paths) < 2 * PROCESSES or size < PARALLEL_BYTES or (os.cpu_count() or 1) < 2:
        return map(scanner.file, paths)
    _scanner = scanner
    pool = ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("fork"))
    results = pool.map(_one, map(str, paths), chunksize=max(1, min(16, len(paths) // 32)))
    return _until_done(pool, results)


def _until_done(pool: ProcessPoolExecutor, results: Iterator[Result]) -> Iterator[Result]:
    with pool:
        yield from results
