"""A CSV of the site -> an index of rows (`sluice.detect.own.exact`).

The file is streamed: a million rows need about 150 MB while they are built. A row that cannot be used (other number of
fields, bytes that are not of the encoding, no value in any key column) is counted, with the lines of the first ones.
"""

from __future__ import annotations

import codecs
import csv
import io
import secrets
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from sluice.detect.own import columns, exact, index, table
from sluice.errors import Misconfigured, Problem

LINES = 20
"""Lines of rows that could not be used that are named."""
SAMPLE = 1000
"""Rows that types of columns are guessed from."""
MOST = 20_000_000
_FIELD = 1 << 20
_GUESS = (
    ("email", "mail"),
    ("phone", "phone"),
    ("phone", "mobile"),
    ("date", "birth"),
    ("date", "dob"),
    ("name", "name"),
)


@dataclass(slots=True)
class Report:
    """What became of a table. `unusable`: column -> cells without a usable value; `common`: cells of key columns whose
    value names too many rows; `lines`: where the first bad rows are."""

    rows: int = 0
    bad: int = 0
    size: int = 0
    lines: list[tuple[int, str]] = field(default_factory=list)
    unusable: Counter[str] = field(default_factory=Counter)
    common: Counter[str] = field(default_factory=Counter)
    columns: list[tuple[str, str, bool]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the operator asks for. `columns`: `name` or `name:type`; `keys`: names of key columns."""

    columns: tuple[str, ...]
    keys: tuple[str, ...]
    within: int = 30
    require: int = 2
    delimiter: str = ""
    encoding: str = ""


def build(
    source: Path, out: Path, wanted: Wanted, key_id: str, secret: bytes, made: str, progress: Callable[[int], None]
) -> Report:
    """Write the index of a CSV file. `progress` is told bytes read. Raises `Misconfigured`."""
    encoding = wanted.encoding or _encoding(source)
    delimiter = wanted.delimiter or _delimiter(source, encoding)
    report = Report()
    chosen = _columns(source, wanted, encoding, delimiter)
    report.columns = [(c.name, c.type, c.key) for _, c in chosen]
    salt = secrets.token_bytes(index.SALT)
    keyed = index.Keyed(secret, salt, exact.KIND.encode())
    tags = array("I")
    sizes: list[set[int]] = [set() for _ in chosen]
    pairs: dict[int, list[int]] = {i: [] for i, (_, c) in enumerate(chosen) if c.key}
    firsts: dict[int, set[int]] = {i: set() for i in pairs if chosen[i][1].type in columns.WORDY}
    kinds = [(at, c.type, c.key) for at, c in chosen]
    for cells in _rows(source, encoding, delimiter, report, progress):
        spellings = [columns.normalise(kind, cells[at]) for at, kind, _ in kinds]
        for i, spelling in enumerate(spellings):
            if spelling is None:
                report.unusable[chosen[i][1].name] += 1
        if not any(spellings[i] for i in pairs):
            _bad(report, "no usable value in a key column")
            continue
        row = report.rows
        if row >= MOST:
            raise Misconfigured(Problem(str(source), None, f"has more than {MOST} rows; split it"))
        report.rows += 1
        for i, spelling in enumerate(spellings):
            if spelling is None:
                tags.append(0)
                continue
            tags.append(exact.tag(keyed, row, i, spelling))
            sizes[i].add(columns.size_of(kinds[i][1], spelling))
            if i in pairs:
                pairs[i].append(exact.key_hash(keyed, i, spelling) << 32 | row)
                if i in firsts:
                    firsts[i].add(exact.first_hash(keyed, i, spelling.partition(" ")[0]))
    if not report.rows:
        what = f"has no usable row ({report.bad} bad ones)"
        raise Misconfigured(Problem(str(source), report.lines[0][0] if report.lines else None, what))
    sections: dict[str, bytes] = {"tags": tags.tobytes()}
    del tags
    for i in list(pairs):
        kept, left_out = _without_common(pairs.pop(i))
        report.common[chosen[i][1].name] += left_out
        sections |= index.table_sections(f"key{i}", table.build(kept))
        del kept
        if i in firsts:
            sections |= index.table_sections(f"first{i}", table.build([value << 32 for value in firsts[i]]))
    about = exact.About(
        tuple((c.name, c.type, c.key, tuple(sorted(sizes[i]))) for i, (_, c) in enumerate(chosen)),
        report.rows,
        wanted.within,
        wanted.require,
    )
    report.size = write(out, exact.KIND, key_id, secret, salt, made, exact.sections_of(about), sections)
    return report


def write(
    out: Path,
    kind: str,
    key_id: str,
    secret: bytes,
    salt: bytes,
    made: str,
    about: dict[str, object],
    sections: dict[str, bytes],
) -> int:
    """`index.save` into a private directory that is made when needed. Raises `Misconfigured`."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return index.save(out, kind, key_id, secret, salt, made, about, sections)
    except OSError as e:
        raise Misconfigured(Problem(str(out), None, f"cannot be written: {e.strerror}")) from e


def _without_common(pairs: list[int]) -> tuple[list[int], int]:
    """The pairs whose hash names few enough rows, and how many were left out: `n/a` is no account."""
    counts = Counter(pair >> 32 for pair in pairs)
    common = {value for value, count in counts.items() if count > exact.ROWS_OF_ONE}
    if not common:
        return pairs, 0
    kept = [pair for pair in pairs if pair >> 32 not in common]
    return kept, len(pairs) - len(kept)


def _bad(report: Report, what: str, line: int = 0) -> None:
    report.bad += 1
    if len(report.lines) < LINES:
        report.lines.append((line, what))


def _encoding(source: Path) -> str:
    """By the byte order mark; UTF-8 without one."""
    with _open(source) as stream:
        start = stream.read(4)
    return "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"


def _open(source: Path) -> BinaryIO:
    try:
        return source.open("rb")
    except OSError as e:
        raise Misconfigured(Problem(str(source), None, f"cannot be read: {e.strerror}")) from e


def _delimiter(source: Path, encoding: str) -> str:
    """Whichever of the usual ones stands most often in the first line."""
    head = _text_lines(source, encoding, lambda _: None)
    line = next(head, "")
    return max(",;\t|", key=line.count)


def _text_lines(source: Path, encoding: str, progress: Callable[[int], None]) -> Iterator[str]:
    """Lines with their ends; bytes that are not of the encoding become lone surrogates, which no cell may have."""
    with _open(source) as raw:
        try:
            errors = "replace" if "16" in encoding else "surrogateescape"
            lines = io.TextIOWrapper(raw, encoding=encoding, errors=errors, newline="")
        except LookupError:
            raise Misconfigured(Problem(str(source), None, f"there is no encoding `{encoding}`")) from None
        for number, line in enumerate(lines):
            if number % 4096 == 0:
                progress(raw.tell())
            yield line
        progress(raw.tell())


def _rows(
    source: Path, encoding: str, delimiter: str, report: Report, progress: Callable[[int], None]
) -> Iterator[list[str]]:
    """The rows below the heading that have as many fields as it; others are counted."""
    csv.field_size_limit(_FIELD)
    reader = csv.reader(_text_lines(source, encoding, progress), delimiter=delimiter)
    width = 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as e:
            _bad(report, f"not CSV: {e}", reader.line_num)
            continue
        if not width:
            width = len(cells)
        elif not cells:
            continue
        elif len(cells) != width:
            _bad(report, f"{len(cells)} fields instead of {width}", reader.line_num)
        elif any("\udc80" <= c <= "\udcff" or c == "\ufffd" for cell in cells if not cell.isascii() for c in cell):
            _bad(report, f"bytes that are not {encoding}", reader.line_num)
        else:
            before = report.bad
            yield cells
            if report.bad > before and report.lines and not report.lines[-1][0]:
                report.lines[-1] = (reader.line_num, report.lines[-1][1])


def _columns(source: Path, wanted: Wanted, encoding: str, delimiter: str) -> list[tuple[int, columns.Column]]:
    """The columns asked for: where each stands in a row, and its type, given or guessed. Raises `Misconfigured`."""

    def bad(what: str) -> Misconfigured:
        return Misconfigured(Problem(str(source), 1, what))

    reader = csv.reader(_text_lines(source, encoding, lambda _: None), delimiter=delimiter)
    try:
        heading = [cell.strip() for cell in next(reader, [])]
    except csv.Error as e:
        raise bad(f"its heading is not CSV: {e}") from None
    sample: list[list[str]] = []
    probe = Report()
    for cells in _rows(source, encoding, delimiter, probe, lambda _: None):
        sample.append(cells)
        if len(sample) >= SAMPLE:
            break
    out: list[tuple[int, columns.Column]] = []
    names = [column.rpartition(":")[0] or column for column in wanted.columns]
    for name, column in zip(names, wanted.columns, strict=True):
        kind = column.rpartition(":")[2] if ":" in column else ""
        if heading.count(name) != 1:
            raise bad(f"has {heading.count(name) or 'no'} column `{name}`; its heading has: {', '.join(heading)}")
        if kind and kind not in columns.TYPES:
            raise bad(f"column `{name}`: no type `{kind}`; there are {', '.join(columns.TYPES)}")
        at = heading.index(name)
        kind = kind or _guess(name, [cells[at] for cells in sample])
        out.append((at, columns.Column(name, kind, name in wanted.keys, frozenset())))
    for name in wanted.keys:
        if name not in names:
            raise bad(f"key column `{name}` is not among --columns")
    if not wanted.keys:
        raise bad("needs a key column: one that hardly two rows share, such as an account number")
    if not 1 <= wanted.require <= len(out):
        raise bad(f"--require {wanted.require}: there are {len(out)} columns")
    if any(c.key and c.type == "date" for _, c in out):
        raise bad("a date cannot be a key column: too many rows share one")
    return out


def _guess(name: str, values: Sequence[str]) -> str:
    """The type that the heading suggests, if most values are of it; else what most values look like."""
    filled = [value for value in values if value.strip()]
    for kind, word in _GUESS:
        if word in name.lower() and _most(kind, filled):
            return kind
    for kind in ("email", "date"):
        if _most(kind, filled):
            return kind
    if filled and all(not any(c.isalpha() for c in value) for value in filled) and _most("digits", filled):
        return "digits"
    return "code" if _most("code", filled) and not _most("text", filled, words=2) else "text"


def _most(kind: str, values: Sequence[str], words: int = 1) -> bool:
    good = sum((s := columns.normalise(kind, value)) is not None and s.count(" ") + 1 >= words for value in values)
    return bool(values) and good * 10 >= len(values) * 9
