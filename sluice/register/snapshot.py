"""Everything declared, as rows for the event store: what `register_rows` holds, under one digest."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from sluice import config, keys
from sluice.detect.evidence import Fingerprinter
from sluice.register import elsewhere, files
from sluice.register.shapes import PATTERNS

TABLE = "register_rows"
SUBJECTS = ("subject", "subjects")
"""Keys of rows that hold names of subjects."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One row as it is inserted. `row` is JSON: the views of the store give its fields their types."""

    loaded_at: str = ""
    digest: str = ""
    kind: str
    id: str
    origin: str
    row: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is declared at one time. `digest` names exactly these rows."""

    lines: tuple[Line, ...]
    digest: str

    def encode(self, at: dt.datetime) -> bytes:
        """As JSONEachRow, loaded at a time (UTC)."""
        moment = at.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        made = (msgspec.structs.replace(line, loaded_at=moment, digest=self.digest) for line in self.lines)
        return b"\n".join(map(msgspec.json.encode, made))


def take(settings: config.Settings) -> Snapshot:
    """What the files declare now. Raises `Misconfigured` with every problem."""
    versions = [Fingerprinter(secret, name) for name, secret in keys.secrets_by_name(settings).items()]

    def pseudonyms(name: str) -> list[str]:
        subject = elsewhere.real_subject(name)
        return [sealed.fingerprint("subject", subject) for sealed in reversed(versions)]

    def pseudonym(name: str) -> str:
        return pseudonyms(name)[0]

    rows = [*_registers(settings, pseudonyms), *elsewhere.rows(settings, pseudonym)]
    lines = sorted(
        (
            Line(kind=kind, id=key, origin=origin, row=msgspec.json.encode(_said(fields), order="sorted").decode())
            for kind, key, origin, fields in rows
        ),
        key=lambda line: (line.kind, line.id),
    )
    digest = hashlib.sha256(b"\n".join(map(msgspec.json.encode, lines))).hexdigest()
    return Snapshot(tuple(lines), digest)


def watched(settings: config.Settings) -> tuple[Path, ...]:
    """The files and directories whose change makes a new snapshot while the appliance runs."""
    found = [settings.identity.keys, settings.identity.people]
    for directory in (config.registers_dir(), settings.paths.registers):
        if directory is not None:
            found += [directory, *sorted((*directory.glob("*.toml"), *directory.glob("*.csv")))]
    return tuple(path for path in found if path is not None)


def _registers(
    settings: config.Settings, pseudonyms: Callable[[str], list[str]]
) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    for entry in files.load(config.registers_dir(), settings.paths.registers):
        fields = msgspec.to_builtins(entry.row)
        for name in SUBJECTS:
            named = fields.get(name)
            if isinstance(named, str):
                fields[name] = pseudonyms(named)[0]
            elif named:  # of every version of the key, so that records from before a rotation are known as well
                fields[name] = [made for one in named for made in pseudonyms(one)]
        for name in PATTERNS.get(entry.kind, ()):
            value = fields.get(name)
            if value is not None:
                fields[f"{name}_like"] = like(value) if isinstance(value, str) else [like(one) for one in value]
        yield entry.kind, entry.key, entry.origin, fields


def like(pattern: str) -> str:
    """A pattern with `*` as LIKE has it."""
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%")


def _said(fields: dict[str, Any]) -> dict[str, Any]:
    """Without what is unknown."""
    return {name: value for name, value in fields.items() if value is not None and value != ()}
