"""A state directory in which the shipped detectors are compiled already, as at every start but the first.

Compiling takes seconds of CPU, and most tests that start an appliance are about something else.
"""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path

from sluice import rulebook
from sluice.config import Paths, Settings


@cache
def _template() -> tempfile.TemporaryDirectory[str]:
    """Made once in a process; removed when the process ends."""
    made = tempfile.TemporaryDirectory(prefix="sluice-warm-")
    rulebook.load(Settings(paths=Paths(var=Path(made.name) / "var")))
    return made


def warm(var: Path) -> None:
    """Give a new state directory the fingerprint key and the compiled detectors of another one."""
    var.mkdir(mode=0o700, exist_ok=True)
    for name in ("keys", "cache"):
        if (var / name).exists():  # a second start on the same state has its own
            continue
        shutil.copytree(Path(_template().name) / "var" / name, var / name)
