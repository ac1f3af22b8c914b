"""Reading an operator's TOML: strict shapes, unknown keys refused, every complaint with its file and line.

`tomllib` gives values without positions, and `msgspec` names the path of a fault (`$.rules[3].action`). `line_of`
joins the two: it finds the line on which that path begins, so that an error is something one can jump to.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec

from sluice.errors import Misconfigured, Problem

_HEADER = re.compile(r"^\s*(\[\[|\[)\s*([^\[\]]+?)\s*(\]\]|\])\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*(?:"([^"]+)"|'([^']+)'|([A-Za-z0-9_-]+))\s*(?:\.|=)""")
_STEP = re.compile(r"\.([A-Za-z0-9_-]+)|\[(\d+)\]|\[\.\.\.\]")
LARGEST_BYTES = 16 * 1024 * 1024
"""The largest file of ours has a quarter of a megabyte."""
MOST_PARTS = 32
"""Parts of one dotted key. The parser's time grows with their square: 50,000 cost it half a minute."""
MOST_DEEP = 50_000
"""Dots of one file that stand in keys of three parts and more: the parser spends some microseconds on each."""
_STRING = (
    r'"""(?:[^"\\]|\\.|"(?!""))*+"{3,5}'
    r"|'''(?:[^']|'(?!''))*+'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*+"'
    r"|'[^'\n]*+'"
)
_TOKEN = re.compile(rf"(?P<part>{_STRING}|[A-Za-z0-9_-]++)|(?P<dot>\.)|#[^\n]*+|[ \t]++|(?P<other>.)", re.DOTALL)
_PATH = re.compile(r" - at `([^`]+)`")


def read(path: Path) -> dict[str, object]:
    """Parse a TOML file. Raises `Misconfigured` with the line when it cannot be read, is not TOML, or is larger or more
    deeply nested than any file of ours: such a one may cost the parser minutes."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_BYTES + 1)
        if len(data) > LARGEST_BYTES:
            raise Misconfigured(Problem(str(path), None, f"is larger than {LARGEST_BYTES >> 20} MiB; split it"))
        text = data.decode("utf-8").replace("\r\n", "\n")
        if (line := overlong_key(text)) is not None:
            what = f"a key of more than {MOST_PARTS} dotted parts, or too many keys of many; make the tables flatter"
            raise Misconfigured(Problem(str(path), line, what))
        return tomllib.loads(text)
    except OSError as e:
        raise Misconfigured(Problem(str(path), None, f"cannot be read: {e.strerror}")) from e
    except UnicodeDecodeError as e:
        line = e.object[: e.start].count(b"\n") + 1
        raise Misconfigured(Problem(str(path), line, f"is not UTF-8 (byte {e.start})")) from e
    except tomllib.TOMLDecodeError as e:
        found = re.search(r"at line (\d+)", str(e))
        raise Misconfigured(Problem(str(path), int(found[1]) if found else None, f"not valid TOML: {e}")) from e
    except ValueError as e:  # a number of more digits than Python reads, and times that no calendar has
        raise Misconfigured(Problem(str(path), None, f"not valid TOML: {e}")) from e
    except RecursionError as e:  # the parser calls itself for every level
        raise Misconfigured(Problem(str(path), None, "lists or tables are nested too deeply; make them flatter")) from e


def overlong_key(text: str) -> int | None:
    """The line (from 1) of a key of too many dotted parts, or where all of them are too many for one file; what stands
    inside of strings and comments is no key, and a number has one dot."""
    if text.count(".") <= MOST_DEEP and all(line.count(".") < MOST_PARTS for line in text.split("\n")):
        return None
    parts = deep = 0
    for token in _TOKEN.finditer(text):
        if token["dot"]:
            parts += 1
            deep += parts > 1
            if parts >= MOST_PARTS or deep > MOST_DEEP:
                return text.count("\n", 0, token.start()) + 1
        elif token["other"]:
            parts = 0
    return None


def convert[T](data: object, shape: type[T], *, file: Path, text: str | None = None, under: str = "$") -> T:
    """Turn parsed TOML into a typed value. `under` is where `data` sits in the file (`$.rules[3]`).

    Raises `Misconfigured` naming file, line, path and fault.
    """
    try:
        return msgspec.convert(data, shape, strict=True)
    except msgspec.ValidationError as e:
        raise Misconfigured(complaint(e, file=file, text=text, under=under)) from e


def complaint(error: msgspec.ValidationError, *, file: Path, text: str | None = None, under: str = "$") -> Problem:
    """The msgspec error as a problem an operator can act on."""
    message = str(error)
    found = _PATH.search(message)
    path = under + (found[1].removeprefix("$") if found else "")
    what = _PATH.sub("", message)
    unknown = re.search(r"contains unknown field `([^`]+)`", what)
    if unknown:
        path = f"{path}.{unknown[1]}"
        what = f"unknown key `{unknown[1]}`"
    text = text if text is not None else (file.read_text("utf-8") if file.is_file() else "")
    place = "" if path == "$" else f"{path.removeprefix('$.')}: "
    return Problem(str(file), line_of(text, path), f"{place}{what[:1].lower()}{what[1:]}")


def line_of(text: str, path: str) -> int | None:
    """The line (from 1) where `path` begins in TOML `text`; the nearest enclosing table when the key is not there.

    A list of inline tables is followed too, when each of them begins on a line of its own.
    """
    steps: list[str | int] = [m[1] if m[1] else int(m[2]) for m in _STEP.finditer(path) if m[1] or m[2]]
    best: tuple[int, int] | None = None
    where: list[str | int] = []
    counts: dict[str, int] = {}
    inside: str | None = None
    listing: list[str | int] | None = None
    index = depth = 0
    for number, line in enumerate(text.split("\n"), 1):
        if inside:
            if inside in line:
                inside = None
            continue
        if listing is not None:
            if line.lstrip().startswith("{") and depth == 1:
                best = _better(best, [*listing, index], steps, number)
                index += 1
            depth += _depth(line)
            if depth <= 0:
                listing = None
            continue
        if header := _HEADER.match(line):
            where = _resolve(_names(header[2]), counts, is_array=header[1] == "[[")
            best = _better(best, where, steps, number)
            continue
        if _KEY.match(line):
            name, _, rest = _halves(line)
            here = [*where, *_names(name)]
            best = _better(best, here, steps, number)
            inside = next((quote for quote in ('"""', "'''") if rest.count(quote) == 1), None)
            if inside is None and rest.lstrip().startswith("[") and (depth := _depth(rest)) > 0:
                listing, index = here, 0
    return best[1] if best else None


def _halves(line: str) -> tuple[str, str, str]:
    """A line with a key, split at its equals sign: one inside a quoted key does not count."""
    for found in re.finditer(r"""\"[^\"]*\"|'[^']*'|=""", line):
        if found[0] == "=":
            return line[: found.start()], "=", line[found.end() :]
    return line, "", ""


def _depth(line: str) -> int:
    """Brackets opened less brackets closed on a line, outside strings and comments."""
    bare = re.sub(r"""\"(?:\\.|[^\"\\])*\"|'[^']*'""", "", line).partition("#")[0]
    return bare.count("[") - bare.count("]")


def _names(dotted: str) -> list[str]:
    return [a or b or c for a, b, c in re.findall(r"""\s*(?:"([^"]*)"|'([^']*)'|([^.\s"']+))\s*\.?""", dotted)]


def _resolve(names: list[str], counts: dict[str, int], *, is_array: bool) -> list[str | int]:
    """The full path of a table header, with the indexes of the arrays of tables it lies in."""
    path: list[str | int] = []
    for i, name in enumerate(names):
        path.append(name)
        key = ".".join(map(str, path))
        last = i == len(names) - 1
        if last and is_array:
            counts[key] = counts.get(key, -1) + 1
            path.append(counts[key])
        elif key in counts:
            path.append(counts[key])
    return path


def _better(
    best: tuple[int, int] | None, here: list[str | int], steps: list[str | int], number: int
) -> tuple[int, int] | None:
    """Keep the deepest place that lies on the way to `steps`, the first one among equals."""
    if here != steps[: len(here)]:
        return best
    if best is None or len(here) > best[0]:
        return (len(here), number)
    return best
