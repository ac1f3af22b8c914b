"""What the organisation says of a subject beside its name: groups, one role, one department."""

from __future__ import annotations

from collections.abc import Mapping
from copy import replace
from dataclasses import dataclass
from pathlib import Path

from sluice.errors import Misconfigured, Problem
from sluice.identity import tables
from sluice.identity.names import MAX_NAME, NAME_FAULT, group_names, subject_id
from sluice.model import Subject

COLUMNS = ("subject", "groups", "role", "department")


@dataclass(frozen=True, slots=True)
class Person:
    """One row."""

    groups: tuple[str, ...] = ()
    role: str | None = None
    department: str | None = None


type People = Mapping[str, Person]
"""By subject id."""


def read_people(path: Path) -> dict[str, Person]:
    """CSV `subject,groups,role,department`, groups split by `;`. Raises `Misconfigured` with every bad line."""
    problems: list[Problem] = []
    found: dict[str, Person] = {}
    for number, cells in tables.rows(path, (COLUMNS,)):
        name = subject_id(cells[0])
        if len(cells) != len(COLUMNS):
            what = f"has {len(cells)} columns instead of {', '.join(COLUMNS)}"
        elif name is None:
            what = f"the subject {NAME_FAULT}"
        elif name in found:
            what = f"`{name}` is listed already"
        elif not all(len(c) <= MAX_NAME and c.isprintable() for c in cells[2:]):
            what = f"role and department {NAME_FAULT}, or are empty"
        else:
            found[name] = Person(group_names(cells[1:2]), cells[2] or None, cells[3] or None)
            continue
        problems.append(Problem(str(path), number, what))
    if problems:
        raise Misconfigured(problems)
    return found


def described(subject: Subject, people: People) -> Subject:
    """The subject with what is known of it. Groups that came with the subject stay."""
    person = people.get(subject.id)
    if person is None:
        return subject
    groups = tuple(dict.fromkeys((*subject.groups, *person.groups)))
    return replace(subject, groups=groups, role=person.role, department=person.department)
