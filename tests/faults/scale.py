"""How much of each fault test runs: the short form belongs to `make test`, the full one to `make test-faults`."""

from __future__ import annotations

import os

FULL = os.environ.get("SLUICE_FAULTS") == "full"


def times(short: int, full: int) -> int:
    """The number of rounds of this run."""
    return full if FULL else short
