"""Writes METRICS.md from the definitions in `sluice/metrics.py`: `python deploy/prometheus/metrics_page.py`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)  # this is no process of an appliance

import sluice.metrics  # noqa: F401 - the definitions are made by importing them
from sluice.tally import DEFINITIONS, Definition

PAGE = Path(__file__).with_name("METRICS.md")

HEAD = """# Metrics

What `/metrics` of the admin listener gives. Made from `sluice/metrics.py` by `make generate`; do not edit.

- Counters and histograms are the sum of all processes and outlive a killed one; they begin anew with the appliance.
- A gauge goes away with the process that measured it: write alerts on a process that is down (`sluice_process_up`), not
  on its last words.
- Labels hold values of closed lists only. Who and which key are questions for the events: RUNBOOK.md has the SQL.

| name | type | unit | labels | meaning |
|---|---|---|---|---|
"""


def page() -> str:
    """The whole file."""
    rows = [_row(DEFINITIONS[name]) for name in sorted(DEFINITIONS)]
    lists = [_list(name, label, values) for name, label, values in _long()]
    return HEAD + "\n".join(rows) + "\n\n## Values of labels\n\n" + "\n".join(lists) + "\n"


def _row(made: Definition) -> str:
    labels = ", ".join(f"`{label}`" for label in made.labels)
    return f"| `{made.exposed}` | {made.kind} | {made.unit} | {labels} | {made.help} |"


def _long() -> list[tuple[list[str], str, str]]:
    """Each closed list once, with the metrics that use it."""
    users: dict[tuple[str, str], list[str]] = {}
    for name in sorted(DEFINITIONS):
        for label, values in DEFINITIONS[name].labels.items():
            said = values if isinstance(values, str) else ", ".join(f"`{value}`" for value in values)
            users.setdefault((label, said), []).append(DEFINITIONS[name].exposed)
    return [(names, label, said) for (label, said), names in sorted(users.items())]


def _list(names: list[str], label: str, values: str) -> str:
    of = ", ".join(f"`{name}`" for name in names)
    return f"- `{label}` of {of}: {values}"


if __name__ == "__main__":
    text = page()
    if "--check" in sys.argv:
        sys.exit(0 if PAGE.read_text() == text else f"{PAGE} is not what sluice/metrics.py says: run `make generate`")
    PAGE.write_text(text)
