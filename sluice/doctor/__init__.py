"""What is wrong with this machine or deployment, each finding with its fix; nothing is changed.

`run` asks one area after the other and never stops at the first fault: `here` looks at the machine and its files,
`outside` at ports, names, the way out and ClickHouse. A check that itself fails is a finding too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """`FAIL`: it does not work, or is not safe. `WARN`: it works, and somebody should look at it."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Found:
    """One finding. `fix` is what to do about it; empty where nothing is to be done."""

    area: str
    state: State
    what: str
    fix: str = ""


type Findings = Iterator[Found]


def ok(area: str, what: str) -> Found:
    return Found(area, State.OK, what)


def warn(area: str, what: str, fix: str) -> Found:
    return Found(area, State.WARN, what, fix)


def fail(area: str, what: str, fix: str) -> Found:
    return Found(area, State.FAIL, what, fix)
