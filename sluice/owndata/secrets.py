"""An environment file or a vault's export -> an index of secrets (`sluice.detect.own.secrets`).

Most values of such a file are no secrets: `true`, `localhost`, a path, an address. Each would be found in every second
prompt, so what could be said by chance is left out and listed by its name with the reason, never by value.
"""

from __future__ import annotations

import json
import math
import re
import secrets as random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sluice.detect import passwords
from sluice.detect.own import index, secrets, table
from sluice.errors import Misconfigured, Problem
from sluice.owndata.rows import write

FORMATS = ("env", "json", "yaml-lines")
LARGEST = 64 * 1024 * 1024
SHORTEST = 8
BITS = 20.0
"""Least information of a value, bits: its length times the entropy of its characters."""
_ENV = re.compile(r"\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*=\s*(.*)")
_YAML = re.compile(r"\s*(?:-\s+)?[\"']?([\w./-]+)[\"']?\s*:\s+(.*)")
_HOST = r"(?:[a-z0-9-]{1,40}\.)+[a-z]{2,10}(?::\d+)?"
_IS_HOST = re.compile(_HOST)
_IS_MAIL = re.compile(r"[A-Za-z0-9._+-]{1,40}@" + _HOST)
_NUMBER = re.compile(r"[+v]?\(?\d[\d().:/ _-]*(?:T[\d:.]+)?(?:-?(?:rc|beta|alpha|dev|post)\.?\d{0,3}|[A-Za-z%]{1,3})?")
_VARIABLE = re.compile(r"\$\{?[A-Za-z_][\w.:-]*\}?|\{\{.*\}\}|%[A-Z_]+%|<[^<>]*>")
_WORDS = re.compile(r"(?:[A-Za-z]{1,19}|\d{1,4})(?:[-_ ,./:](?:[A-Za-z]{1,19}|\d{1,4}))*")


@dataclass(frozen=True, slots=True)
class Skipped:
    """A name whose value is not indexed, and why."""

    name: str
    why: str


def build(source: Path, out: Path, kind: str, key_id: str, secret: bytes, made: str) -> tuple[int, list[Skipped]]:
    """Write the index; returns how many values are in it, and what was left out. Raises `Misconfigured`."""
    salt = random.token_bytes(index.SALT)
    keyed = index.Keyed(secret, salt, secrets.KIND.encode())
    skipped: list[Skipped] = []
    values: set[str] = set()
    for name, value in read(source, kind):
        for piece in _pieces(value):
            why = unfit(piece)
            if why:
                skipped.append(Skipped(name, why))
            else:
                values.add(piece)
    if not values:
        what = f"has no value that could be told from ordinary text ({len(skipped)} left out)"
        raise Misconfigured(Problem(str(source), None, what))
    entries: list[bytes] = []
    pairs: list[int] = []
    for number, value in enumerate(sorted(values)):
        run = max(secrets.RUNS.finditer(value), key=lambda m: m.end() - m.start())
        length = run.end() - run.start()
        entries.append(secrets.ENTRY.pack(run.start(), length, len(value), secrets.value_hash(keyed, value)))
        pairs.append(secrets.run_hash(keyed, run[0]) << 32 | number)
    sections = {"entries": b"".join(entries)} | index.table_sections("runs", table.build(pairs))
    write(out, secrets.KIND, key_id, secret, salt, made, {"values": len(values)}, sections)
    return len(values), skipped


def read(source: Path, kind: str) -> Iterator[tuple[str, str]]:
    """(name, value)s of a file. Raises `Misconfigured` with the line that cannot be read."""
    try:
        if source.stat().st_size > LARGEST:
            raise Misconfigured(Problem(str(source), None, f"has more than {LARGEST >> 20} MiB"))
        text = source.read_bytes().decode("utf-8-sig")
    except OSError as e:
        raise Misconfigured(Problem(str(source), None, f"cannot be read: {e.strerror}")) from e
    except UnicodeDecodeError as e:
        raise Misconfigured(Problem(str(source), e.object.count(b"\n", 0, e.start) + 1, "is not UTF-8")) from None
    if kind == "json":
        try:
            yield from _json(json.loads(text), "")
        except json.JSONDecodeError as e:
            raise Misconfigured(Problem(str(source), e.lineno, f"is not JSON: {e.msg}")) from None
        except RecursionError:
            raise Misconfigured(Problem(str(source), None, "is nested too deeply")) from None
        return
    yield from _assignments(text, source, _ENV if kind == "env" else _YAML)


def _json(value: object, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _json(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _json(inner, f"{name}[{i}]")
    elif isinstance(value, str):
        yield name, value


def _assignments(text: str, source: Path, pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Lines `NAME=value` or `name: value`, quoted or not; a quoted value may span lines (a key in PEM form)."""
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = pattern.fullmatch(line)
        if match is None:
            if pattern is _ENV:
                raise Misconfigured(Problem(str(source), number, "is not of the form NAME=value"))
            continue  # headings and lists of YAML
        name, value = match[1], match[2].strip()
        if value[:1] in ('"', "'"):
            mark, rest = value[0], value[1:]
            while (end := _closing(rest, mark)) < 0:
                _, more = next(lines, (0, None))
                if more is None:
                    raise Misconfigured(Problem(str(source), number, f"`{name}`: a quote is opened and never closed"))
                rest += "\n" + more
            value = rest[:end]
            if mark == '"':
                value = re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t", "r": "\r"}.get(m[1], m[1]), value)
        else:
            value = re.split(r"\s+#", value, maxsplit=1)[0].rstrip()
        yield name, value


def _closing(text: str, mark: str) -> int:
    """Where the quote ends, or -1."""
    at = 0
    while at < len(text):
        if text[at] == "\\" and mark == '"':
            at += 1
        elif text[at] == mark:
            return at
        at += 1
    return -1


def _pieces(value: str) -> list[str]:
    """What of a value is to be found: the password of an address, each line of a key, otherwise all of it."""
    value = value.strip()
    if "-----BEGIN" in value or value.count("\n") > 1:
        return [line.strip() for line in value.splitlines() if not line.strip().startswith("-----") and line.strip()]
    try:
        password = urlsplit(value).password if "://" in value and "\n" not in value else None
    except ValueError:
        password = None
    if password:
        return [password] if unquote(password) == password else [password, unquote(password)]
    return [value]


def unfit(value: str) -> str | None:
    """Why a value is not indexed, or None when nobody says it by chance."""
    runs = [len(m[0]) for m in secrets.RUNS.finditer(value)]
    if len(value) < SHORTEST:
        return f"shorter than {SHORTEST} characters"
    if len(value) > secrets.LONGEST:
        return f"longer than {secrets.LONGEST} characters"
    if max(runs, default=0) < secrets.RUN:
        return f"has no {secrets.RUN} letters or digits in a row"
    if passwords.placeholder(value):
        return "a placeholder"
    for pattern, why in _ORDINARY:
        if pattern(value):
            return why
    if entropy(value) < BITS:
        return "repeats itself"
    return None


def _path(value: str) -> bool:
    return value.startswith(("/", "./", "../", "~/", "C:\\")) and " " not in value and value.count("/") > 1


def _address(value: str) -> bool:
    return "://" in value and " " not in value and not re.search(r"[?&#][^=]*=[^&]{16,}", value)


def _number(value: str) -> bool:
    return _NUMBER.fullmatch(value) is not None and sum(c.isdigit() for c in value) < 16


_ORDINARY = (
    (_address, "an address without a password"),
    (_path, "a path"),
    (_IS_MAIL.fullmatch, "an e-mail address"),
    (_IS_HOST.fullmatch, "a host name"),
    (_number, "a number, a version or a date"),
    (_VARIABLE.fullmatch, "a variable, not a value"),
    (_WORDS.fullmatch, "words and short numbers alone"),
)


def entropy(value: str) -> float:
    """Bits: length times the entropy of the characters' frequencies."""
    counts = Counter(value)
    return -sum(n * math.log2(n / len(value)) for n in counts.values())
