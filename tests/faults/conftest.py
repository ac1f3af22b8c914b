"""The figures of every fault test, printed together at the end: forwarded without record, lost, doubled."""

from __future__ import annotations

from collections.abc import Callable

import pytest

_FIGURES: list[str] = []


@pytest.fixture
def figures() -> Callable[[str], None]:
    """Takes one line of figures for the summary."""
    return _FIGURES.append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _FIGURES:
        terminalreporter.section("figures of the fault tests")
        for line in _FIGURES:
            terminalreporter.write_line(line)
