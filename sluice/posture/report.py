"""One report: asked, with everything that a reader needs to judge it and to have it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sluice.posture import coverage, question, units
from sluice.posture.coverage import Coverage
from sluice.posture.question import Ask, BadQuestion, Table


@dataclass(frozen=True, slots=True)
class Answered:
    """A report with its rows. `sql` is the text that was asked, `sha256` its digest."""

    unit: units.Report
    since: datetime
    until: datetime
    filters: Mapping[str, tuple[str, ...]]
    sql: str
    sha256: str
    coverage: Coverage
    table: Table

    def head(self) -> list[tuple[str, str]]:
        """What stands above the rows, in the order of reading."""
        unit = self.unit
        scope = f"{self.since:%Y-%m-%dT%H:%MZ} to {self.until:%Y-%m-%dT%H:%MZ} (end excluded)"
        scope += "".join(f"; {name}: {', '.join(values)}" for name, values in self.filters.items())
        out = [
            ("report", f"{unit.id} {unit.title}"),
            ("question", f"{unit.question} ({unit.asks})"),
            ("scope", scope),
            ("coverage", self.coverage.said()),
            ("basis", "; ".join(unit.basis)),
        ]
        if unit.note:
            out.append(("note", unit.note))
        return [*out, ("rows", str(len(self.table.rows))), ("query sha256", self.sha256)]


type Filters = Mapping[str, Sequence[str]]


def sql(
    unit: units.Report, since: datetime, until: datetime, filters: Filters
) -> tuple[str, dict[str, tuple[str, ...]]]:
    """The query of a report with its parameters, and the filters in force. Raises `BadQuestion` for a filter that it
    does not take or cannot do without."""
    given = {name: tuple(values) for name, values in filters.items() if values}
    for name in given:
        if name not in unit.filters:
            takes = ", ".join(unit.filters) or "none"
            raise BadQuestion(f"{unit.id} cannot be restricted by {name}; it takes: {takes}")
    for name in unit.required:
        if name not in given:
            raise BadQuestion(f"{unit.id} needs {name}: {unit.question}")
    in_force = {**unit.defaults, **given}
    values: dict[str, datetime | int | str | Sequence[str]] = {"since": since, "until": until}
    values |= {name: in_force.get(name, ()) for name in unit.filters}
    return question.filled(unit.sql, values), in_force


def ask(asked: Ask, unit: units.Report, since: datetime, until: datetime, filters: Filters) -> Answered:
    """Ask a report. Raises as `sql` does, and what `asked` raises."""
    text, in_force = sql(unit, since, until, filters)
    return Answered(
        unit=unit,
        since=since,
        until=until,
        filters=in_force,
        sql=text,
        sha256=question.digest(text),
        coverage=coverage.measured(asked, since, until),
        table=question.ask(asked, text),
    )
