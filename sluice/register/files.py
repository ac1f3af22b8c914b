"""Register files into rows: the shipped ones, and a site's layered over them key by key.

A register is a directory. Each `*.toml` in it may hold rows of every kind (`[[provider]]`, `[[tier]]`, ...), so that a
team can keep one file a provider or one a kind. `KIND.csv` holds rows of one flat kind: a heading with the keys, lists
split by `;`, empty cells unknown.

A site's row with the key of a shipped one changes what it names and leaves the rest. Every problem of every file is
reported at once, with its line.
"""

from __future__ import annotations

import csv
import difflib
import functools
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sluice import tomlfile
from sluice.errors import Misconfigured, Problem
from sluice.register.shapes import KINDS, Row

MOST_ROWS = 50_000
LARGEST = 16 * 1024 * 1024
"""Bytes of one file."""
MOST_HINTS, MOST_COMPARED = 50, 50_000
"""Problems that are told with the very line and the nearest name. Looking for both costs a pass over the file and over
the register (so many names at most), and the process that delivers records to the store waits for it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row and where it came from: `shipped`, `site`, or `both` where the site changed a shipped row."""

    kind: str
    row: Row
    origin: str
    file: str
    line: int | None

    @property
    def key(self) -> str:
        return key_of(self.row)


@dataclass(frozen=True, slots=True)
class _Raw:
    kind: str
    values: dict[str, object]
    file: Path
    line: int | None


@functools.cache
def _fields(shape: type[Row]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """The fields of a shape; msgspec reads its annotations anew each time, a millisecond that a long file has a row."""
    return msgspec.structs.fields(shape)


def key_of(row: Row) -> str:
    """What names the row within its kind."""
    return "/".join(str(getattr(row, part)) for part in type(row).KEY)


def load(shipped: Path, site: Path | None = None) -> tuple[Entry, ...]:
    """Every row in force. Raises `Misconfigured` with every problem of every file."""
    problems: list[Problem] = []
    found: dict[tuple[str, str], tuple[_Raw, str]] = {}
    for directory, origin in ((shipped, "shipped"), (site, "site")):
        if directory is not None:
            _layer(found, directory, origin, problems)
    if len(found) > MOST_ROWS:
        problems.append(Problem(str(site or shipped), None, f"more than {MOST_ROWS} rows"))
    entries: list[Entry] = []
    for raw, origin in found.values():
        row = _typed(raw, problems)
        if row is not None:
            entries.append(Entry(raw.kind, row, origin, str(raw.file), raw.line))
    problems += _loose_ends(entries)
    if problems:
        raise Misconfigured(sorted({str(p): p for p in problems}.values(), key=lambda p: (p.file, p.line or 0)))
    return tuple(entries)


def read(file: Path, kind: str | None = None) -> tuple[Entry, ...]:
    """The rows of one file by itself; of a CSV file of a kind, whatever its name. Raises `Misconfigured` with every
    problem."""
    problems: list[Problem] = []
    entries = []
    for raw in csv_rows(file, kind, problems) if kind else _raw(file, problems):
        row = _typed(raw, problems)
        if row is not None:
            entries.append(Entry(raw.kind, row, "site", str(file), raw.line))
    if problems:
        raise Misconfigured(problems)
    return tuple(entries)


def _layer(
    found: dict[tuple[str, str], tuple[_Raw, str]], directory: Path, origin: str, problems: list[Problem]
) -> None:
    """Put the rows of a directory over those that are there."""
    if not directory.is_dir():
        problems.append(Problem(str(directory), None, "is not a directory of registers"))
        return
    here: dict[tuple[str, str], _Raw] = {}
    for file in sorted((*directory.glob("*.toml"), *directory.glob("*.csv"))):
        for raw in _raw(file, problems):
            key = (raw.kind, _key(raw))
            if key in here:
                first = here[key]
                what = f"`{key[1]}` is there twice: also in {first.file}:{first.line}"
                problems.append(Problem(str(file), raw.line, f"{raw.kind}: {what}"))
                continue
            here[key] = raw
    for key, raw in here.items():
        below = found.get(key)
        if below is None:
            found[key] = (raw, origin)
            continue
        if _typed(raw, problems) is not None:  # said about the site's own file, before the two are one
            found[key] = (_Raw(raw.kind, below[0].values | raw.values, raw.file, raw.line), "both")


def _key(raw: _Raw) -> str:
    """As `key_of`, of a row that nobody has checked yet."""
    fields = {f.encode_name: f.default for f in _fields(KINDS[raw.kind])}
    return "/".join(str(raw.values.get(part, fields[part])) for part in KINDS[raw.kind].KEY)


def _raw(file: Path, problems: list[Problem]) -> Iterator[_Raw]:
    """The rows of a file, with their lines."""
    try:
        if file.stat().st_size > LARGEST:
            raise Misconfigured(Problem(str(file), None, f"is larger than {LARGEST // 1024**2} MiB"))
        yield from _csv(file, problems) if file.suffix == ".csv" else _toml(file, problems)
    except Misconfigured as e:
        problems += e.problems
    except OSError as e:
        problems.append(Problem(str(file), None, f"cannot be read: {e.strerror}"))


def _toml(file: Path, problems: list[Problem]) -> Iterator[_Raw]:
    data = tomlfile.read(file)
    text = file.read_text("utf-8")
    lines = _headers(text)
    for kind, rows in data.items():
        at = lines.get(kind, [])
        if kind not in KINDS:
            close = difflib.get_close_matches(kind, KINDS, n=1)
            meant = f"did you mean `[[{close[0]}]]`?" if close else f"known: {', '.join(KINDS)}"
            line = at[0] if at else tomlfile.line_of(text, f"$.{kind}")
            problems.append(Problem(str(file), line, f"unknown table `{kind}`; {meant}"))
        elif not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            problems.append(Problem(str(file), tomlfile.line_of(text, f"$.{kind}"), f"`{kind}` must be `[[{kind}]]`"))
        else:
            for n, row in enumerate(rows):
                yield _Raw(kind, row, file, at[n] if n < len(at) else tomlfile.line_of(text, f"$.{kind}[{n}]"))


def _headers(text: str) -> dict[str, list[int]]:
    """Lines of the `[[kind]]` headings: looking for each row by itself would read a long file once a row."""
    found: dict[str, list[int]] = {}
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.partition("#")[0].strip()
        if stripped.startswith("[[") and stripped.endswith("]]"):
            found.setdefault(stripped[2:-2].strip().strip("\"'"), []).append(number)
    return found


def _csv(file: Path, problems: list[Problem]) -> Iterator[_Raw]:
    kind = file.name.removesuffix(".csv").replace("-", "_")
    kind = kind if kind in KINDS else kind.removesuffix("s")
    if kind not in KINDS:
        raise Misconfigured(Problem(str(file), None, f"must be named for what it holds: {', '.join(KINDS)}"))
    yield from csv_rows(file, kind, problems)


def csv_rows(file: Path, kind: str, problems: list[Problem]) -> Iterator[_Raw]:
    """The rows of a CSV file of one kind, whatever its name. Blank lines and `#` lines are passed over."""
    try:
        text = file.read_text("utf-8-sig")
    except UnicodeDecodeError as e:
        raise Misconfigured(Problem(str(file), None, f"is not UTF-8 (byte {e.start})")) from e
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    heading: list[str] = []
    known = {f.encode_name: f.type for f in _fields(KINDS[kind]) if f.name != "evidence"}
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells) or cells[0].startswith("#"):
                continue
            if not heading:
                heading = cells
                unknown = [name for name in heading if name not in known]
                if unknown:
                    what = f"unknown column{'s' if len(unknown) > 1 else ''} {', '.join(unknown)}"
                    raise Misconfigured(Problem(str(file), reader.line_num, f"{what}; known: {', '.join(known)}"))
            elif len(cells) != len(heading):
                what = f"has {len(cells)} columns instead of {len(heading)}"
                problems.append(Problem(str(file), reader.line_num, what))
            else:
                given = {name: cell for name, cell in zip(heading, cells, strict=True) if cell}
                values = {name: _cell(known[name], cell) for name, cell in given.items()}
                yield _Raw(kind, values, file, reader.line_num)
    except csv.Error as e:
        raise Misconfigured(Problem(str(file), reader.line_num, f"not valid CSV: {e}")) from e


def _cell(kind: object, text: str) -> object:
    """A cell as the value that TOML would have given for it; as it is where it is not one."""
    try:
        return msgspec.convert([part.strip() for part in text.split(";") if part.strip()], kind)
    except msgspec.ValidationError:
        pass
    try:
        return msgspec.convert(text.lower() if text.lower() in ("true", "false") else text, kind, strict=False)
    except msgspec.ValidationError:
        return text


def _typed(raw: _Raw, problems: list[Problem]) -> Row | None:
    """The row, or None and everything that is wrong with it."""
    shape, hinted = KINDS[raw.kind], len(problems) < MOST_HINTS
    fields = {f.encode_name: f.type for f in _fields(shape)}
    wrong: list[tuple[str, str]] = []
    for name, value in raw.values.items():
        if name not in fields:
            close = difflib.get_close_matches(name, fields, n=1) if hinted else []
            meant = f"did you mean `{close[0]}`?" if close else f"known: {', '.join(fields)}"
            wrong.append((name, f"unknown key `{name}`; {meant}"))
            continue
        try:
            msgspec.convert(value, fields[name])
        except msgspec.ValidationError as e:
            what, _, inside = str(e).partition(" - at `$")
            wrong.append((name, f"{name}{inside.removesuffix('`')}: {what[:1].lower()}{what[1:]}"))
    if not wrong:
        try:
            return msgspec.convert(raw.values, shape)
        except msgspec.ValidationError as e:
            wrong.append(("", str(e).lower().replace("object", "row")))
    at = [_line(raw, name) if hinted else raw.line for name, _ in wrong]
    problems += [Problem(str(raw.file), n, f"{raw.kind}: {what}") for n, (_, what) in zip(at, wrong, strict=True)]
    return None


def _line(raw: _Raw, name: str) -> int | None:
    """The line of a key within its row; of the row, where it cannot be told."""
    if raw.line is None or raw.file.suffix != ".toml" or not name:
        return raw.line
    for number, line in enumerate(raw.file.read_text("utf-8", "replace").split("\n")[raw.line :], raw.line + 1):
        text = line.strip()
        if text.startswith("[[") and text.partition("]]")[0][2:].strip() in KINDS:
            break
        if text.partition("=")[0].strip().strip("\"'") == name:
            return number
        if text.startswith("[") and text.strip("[] ").endswith(f".{name}"):
            return number
    return raw.line


def _loose_ends(entries: Iterable[Entry]) -> Iterator[Problem]:
    """Rows that name another row of the register which is not there, and claims' evidence for keys that are not."""
    listed: dict[str, set[str]] = {kind: set() for kind in KINDS}
    entries = tuple(entries)
    for entry in entries:
        listed[entry.kind].add(entry.key)
    references: Mapping[str, tuple[tuple[str, str], ...]] = {
        "tier": (("provider", "provider"),),
        "agent_tool": (("agent", "agent"),),
        "tool": (("server", "mcp_server"),),
        "agent": (("system", "system"),),
    }
    left = MOST_COMPARED
    for entry in entries:
        for name, kind in references.get(entry.kind, ()):
            value = getattr(entry.row, name)
            if value is not None and value not in listed[kind]:
                left -= max(len(listed[kind]), MOST_COMPARED // MOST_HINTS)
                close = difflib.get_close_matches(value, listed[kind], n=1) if left >= 0 else []
                meant = f"; did you mean `{close[0]}`?" if close else ""
                what = f"{entry.kind} `{entry.key}`: {name} `{value}` is not in the register{meant}"
                yield Problem(entry.file, entry.line, what)
        names = {f.encode_name for f in _fields(type(entry.row))}
        for evidence in entry.row.evidence:
            for name in evidence.of:
                if name not in names:
                    what = f"{entry.kind} `{entry.key}`: evidence is for `{name}`, which is no key of it"
                    yield Problem(entry.file, entry.line, what)
