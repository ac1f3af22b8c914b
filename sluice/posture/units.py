"""Reading the files below `deploy/posture`: one report or one finding each. Whatever is wrong is said at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import replace
from pathlib import Path
from typing import Literal

import msgspec

from sluice.config import posture_dir
from sluice.errors import Misconfigured, Problem

BASES = ("law", "standard", "contract", "vendor", "own", "draft")
"""What a statement rests on. `vendor`: a vendor's reading of a text; `own`: our design; `draft`: proposed only."""
FILTERS = ("keys", "subjects", "providers", "classes", "fingerprints", "sessions", "agents")
"""Parameters besides `since` and `until`; each is a list, empty for no restriction."""

Severity = Literal["critical", "high", "medium", "low"]
_EXPRESSION = re.compile(r"<<([a-z_]+)>>")
RANKS: dict[str, int] = {"low": 1, "medium": 2, "high": 3, "critical": 4}


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One column of a report, in the order of its SELECT."""

    name: str
    comment: str


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question that somebody has, and the SQL that answers it from the records.

    `span`: how far back it looks unless told otherwise, as in `90d`. `filters`: restrictions that it takes.
    `required`: filters without which it has no meaning. `note`: what the answer does not say.
    """

    id: str
    title: str
    asks: str
    question: str
    basis: tuple[str, ...]
    sql: str
    columns: tuple[Column, ...]
    span: str = "30d"
    filters: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    defaults: dict[str, tuple[str, ...]] = {}
    note: str = ""


class Fix(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change that would close a finding, as text to paste: `file` says where. What is put in: `proposal`.

    `where`: an expression that the facts have to fit; without that no change is proposed, since none would do anything.
    """

    kind: Literal["policy", "register", "target", "setting", "application", "command", "key", "coverage"]
    file: str
    text: str
    where: str = ""


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What should not be so, and the SQL that shows it, one row per scope.

    The SQL has the columns `scope` (keys as `provider=openai agent=cline`), `hits` (violations), `grave` (those that
    raise it to `severity_grave`), `seen` (what could have been one: traffic in that scope, hits included),
    `first_seen`, `last_seen` (of the hits) and `facts`. A scope without hits is clean only when something was seen.

    `daily`: the SQL adds up over days, so a day that is over is evaluated once. `days`: the window. `clean_days`: how
    long it must be clean to be closed. `needs`: what has to be fed for it to see anything, beside the records; `feeds`:
    commands that do, each with a word on what goes in.
    """

    id: str
    version: int
    title: str
    severity: Severity
    scope: tuple[str, ...]
    sql: str
    remediation: str
    controls: tuple[str, ...]
    basis: tuple[str, ...]
    severity_grave: Severity | None = None
    escalation: str = ""
    daily: bool = False
    days: int = 30
    clean_days: int = 7
    needs: str = ""
    feeds: tuple[str, ...] = ()
    note: str = ""
    fix: Fix | None = None

    def graded(self, grave: int) -> str:
        """The severity of a finding with so many grave hits."""
        return self.severity_grave if grave and self.severity_grave else self.severity


def reports(directory: Path | None = None) -> dict[str, Report]:
    """The reports by id, in their order. Raises `Misconfigured` with every problem."""
    found, problems = _read((directory or posture_dir()) / "reports", Report)
    for path, report in found:
        for name in (*report.filters, *report.required, *report.defaults):
            if name not in FILTERS:
                problems.append(Problem(str(path), None, f"`{name}` is no filter: {', '.join(FILTERS)}"))
        problems += _basis(path, report.basis)
    _raise(problems)
    return {r.id: r for _, r in sorted(found, key=lambda one: _number(one[1].id))}


def findings(directory: Path | None = None) -> dict[str, Finding]:
    """The findings by id, in their order. Raises `Misconfigured` with every problem."""
    found, problems = _read((directory or posture_dir()) / "findings", Finding)
    for path, finding in found:
        problems += _basis(path, finding.basis)
        if finding.severity_grave and not finding.escalation:
            problems.append(Problem(str(path), None, "`severity_grave` without `escalation`: say when"))
    _raise(problems)
    return {f.id: f for _, f in sorted(found, key=lambda one: one[1].id)}


def expressions(directory: Path | None = None) -> dict[str, str]:
    """SQL that the units name as `<<name>>`: a thing that several of them ask has one definition. Raises
    `Misconfigured`."""
    path = (directory or posture_dir()) / "expressions.toml"
    try:
        found = msgspec.toml.decode(path.read_bytes(), type=dict[str, _Expression])
    except (OSError, msgspec.DecodeError) as e:
        raise Misconfigured(Problem(str(path), None, str(e))) from e
    return {name: one.sql.strip() for name, one in found.items()}


class _Expression(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sql: str


def _whole(sql: str, known: Mapping[str, str], path: Path, problems: list[Problem]) -> str:
    """A unit's SQL with the expressions that it names."""

    def put(named: re.Match[str]) -> str:
        if named[1] not in known:
            problems.append(Problem(str(path), None, f"`<<{named[1]}>>` is no expression of expressions.toml"))
        return known.get(named[1], named[0])

    return _EXPRESSION.sub(put, sql)


def _read[T: (Report, Finding)](directory: Path, kind: type[T]) -> tuple[list[tuple[Path, T]], list[Problem]]:
    found: list[tuple[Path, T]] = []
    problems: list[Problem] = []
    known = expressions(directory.parent)
    for path in sorted(directory.glob("*.toml")):
        try:
            unit = msgspec.toml.decode(path.read_bytes(), type=kind)
        except (OSError, msgspec.DecodeError) as e:
            problems.append(Problem(str(path), None, str(e)))
            continue
        if unit.id != path.stem:
            problems.append(Problem(str(path), None, f"its id is `{unit.id}`, and the file is named otherwise"))
        found.append((path, replace(unit, sql=_whole(unit.sql, known, path, problems))))
    if not found and not problems:
        problems.append(Problem(str(directory), None, "holds no *.toml"))
    return found, problems


def _basis(path: Path, basis: tuple[str, ...]) -> list[Problem]:
    bad = [text for text in basis if text.partition(":")[0] not in BASES]
    if not basis:
        return [Problem(str(path), None, "`basis` is empty: say what the question rests on")]
    return [Problem(str(path), None, f"basis `{text}` must begin with one of {', '.join(BASES)}") for text in bad]


def _raise(problems: list[Problem]) -> None:
    if problems:
        raise Misconfigured(problems)


def _number(name: str) -> tuple[int, str]:
    digits = re.sub(r"\D", "", name)
    return int(digits or 0), name
