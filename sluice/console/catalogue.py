"""The shipped reports, findings, clauses and measures: read once, since they change with the program alone."""

from __future__ import annotations

from functools import cache

from sluice.posture import compliance, score, units
from sluice.posture.compliance import Control
from sluice.posture.score import Measure
from sluice.posture.units import Finding, Report


@cache
def reports() -> dict[str, Report]:
    return units.reports()


@cache
def findings() -> dict[str, Finding]:
    return units.findings()


@cache
def expressions() -> dict[str, str]:
    return units.expressions()


@cache
def controls() -> tuple[Control, ...]:
    return compliance.controls()


@cache
def measures() -> tuple[Measure, ...]:
    return score.measures()
