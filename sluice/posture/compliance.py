"""Clauses of laws, standards and contracts, the evidence that the records give for each, and what stands against it.

    gap         a finding of high or critical severity is open that bears on the clause
    attention   one of lower severity is open
    accepted    somebody has accepted what stands against it, until a day
    no records  nothing is on record in the span: neither evidence nor a finding means anything
    supported   evidence is on record and nothing is open; `in part` where the clause asks for more than traffic shows

Evidence supports; nothing here makes anyone compliant, and no status says so. What a clause rests on stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from sluice.config import posture_dir
from sluice.errors import Misconfigured, Problem
from sluice.posture import coverage, question, units
from sluice.posture.question import Ask, Cell, Table
from sluice.posture.report import Answered

STANDING = """
SELECT finding, scope, toString(severity) AS severity, toString(status) AS status
FROM findings
WHERE status != 'fixed' AND opened < {until} + INTERVAL 1 MINUTE
ORDER BY finding, scope
"""
COLUMNS = (
    units.Column("framework", "Law, standard or contract"),
    units.Column("clause", "Clause"),
    units.Column("asks", "What it asks, in short"),
    units.Column("status", "gap, attention, accepted, no records, supported, supported in part"),
    units.Column("evidence", "Reports that show it: `sluice report`"),
    units.Column("open", "Findings that stand against it, with the number of scopes"),
    units.Column("accepted", "Findings that were accepted"),
    units.Column("watched", "Findings that bear on the clause"),
    units.Column("basis", "What the reading rests on"),
    units.Column("note", "What the records do not show"),
)


class Control(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One clause. `partial`: it asks for more than records of traffic can show; `note` says what."""

    id: str
    framework: str
    clause: str
    asks: str
    basis: str
    reports: tuple[str, ...] = ()
    partial: bool = False
    note: str = ""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    control: tuple[Control, ...]


@dataclass(frozen=True, slots=True)
class Against:
    """What stands against a clause: finding -> scopes, by severity and acceptance."""

    grave: Mapping[str, int]
    other: Mapping[str, int]
    accepted: Mapping[str, int]


def controls(directory: Path | None = None) -> tuple[Control, ...]:
    """The clauses. Raises `Misconfigured` with every problem, also where one names what is not there."""
    path = (directory or posture_dir()) / "controls.toml"
    try:
        found = msgspec.toml.decode(path.read_bytes(), type=_File).control
    except (OSError, msgspec.DecodeError) as e:
        raise Misconfigured(Problem(str(path), None, str(e))) from e
    known, reports = {c.id for c in found}, units.reports(directory)
    problems = [
        Problem(str(path), None, f"{c.id}: there is no report `{name}`")
        for c in found
        for name in c.reports
        if name not in reports
    ]
    problems += [
        Problem(str(path), None, f"finding {unit.id} names `{name}`, which is no control here")
        for unit in units.findings(directory).values()
        for name in unit.controls
        if name not in known
    ]
    problems += [
        Problem(str(path), None, f"{c.id}: basis must begin with one of {', '.join(units.BASES)}")
        for c in found
        if c.basis.partition(":")[0] not in units.BASES
    ]
    if len(known) != len(found):
        problems.append(Problem(str(path), None, "an id is there twice"))
    if problems:
        raise Misconfigured(problems)
    return found


def frameworks() -> list[str]:
    return list(dict.fromkeys(c.framework for c in controls()))


def status(control: Control, against: Against, requests: int) -> str:
    """How a clause stands."""
    if against.grave:
        return "gap"
    if against.other:
        return "attention"
    if not requests:
        return "no records"
    if against.accepted:
        return "accepted"
    return "supported in part" if control.partial else "supported"


def answered(asked: Ask, chosen: Sequence[Control], since: datetime, until: datetime) -> Answered:
    """The clauses as a report. Raises what `asked` raises."""
    sql = question.filled(STANDING, {"until": until})
    standing = question.ask(asked, sql)
    seen = coverage.measured(asked, since, until)
    made = units.Report(
        id="compliance",
        title="Clauses, their evidence and what stands against them",
        asks="Auditor, DPO, CISO",
        question="Which clause is supported by what evidence, and what stands against it?",
        basis=tuple(dict.fromkeys(c.basis for c in chosen)),
        sql=STANDING,
        columns=COLUMNS,
        note="Evidence supports; it does not make anyone compliant.",
    )
    table = told(chosen, standing, seen.requests)
    return Answered(made, since, until, {}, sql, question.digest(sql), seen, table)


def told(chosen: Sequence[Control], standing: Table, requests: int) -> Table:
    """The clauses as rows, from the answer to `STANDING` and the number of requests in the span."""
    bearing: dict[str, list[str]] = {}
    for unit in units.findings().values():
        for name in unit.controls:
            bearing.setdefault(name, []).append(unit.id)
    rows: list[tuple[Cell, ...]] = []
    for control in chosen:
        watched = bearing.get(control.id, [])
        against = _against([row for row in standing.rows if row[0] in watched])
        stands = {**against.grave, **against.other}
        rows.append(
            (
                control.framework,
                control.clause,
                control.asks,
                status(control, against, requests),
                ", ".join(control.reports),
                ", ".join(f"{name} ({number})" for name, number in sorted(stands.items())),
                ", ".join(f"{name} ({number})" for name, number in sorted(against.accepted.items())),
                ", ".join(watched),
                control.basis,
                control.note,
            )
        )
    names = tuple(c.name for c in COLUMNS)
    return Table(names, tuple(False for _ in names), tuple(rows))


def _against(rows: Sequence[tuple[Cell, ...]]) -> Against:
    grave: dict[str, int] = {}
    other: dict[str, int] = {}
    accepted: dict[str, int] = {}
    for finding, _, severity, state in rows:
        into = accepted if state == "accepted" else grave if severity in ("high", "critical") else other
        into[str(finding)] = into.get(str(finding), 0) + 1
    return Against(grave, other, accepted)
