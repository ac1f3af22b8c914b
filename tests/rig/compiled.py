"""The shipped detectors, compiled once for a whole run of tests: compiling takes seconds of CPU.

The first process of a run keeps what it compiled in a directory of that run (made and removed by `tests/conftest.py`),
the others read it back. Tests about compiling make their own engines.
"""

from __future__ import annotations

import os
from pathlib import Path

from sluice import config
from sluice.cache import Cache
from sluice.detect import packs
from sluice.detect.engine import Engine
from sluice.detect.evidence import Fingerprinter
from sluice.model import Detector

PLACE = "SLUICE_TESTS_COMPILED"
"""Names the directory of the run, as in `tests/conftest.py`."""


def shipped() -> tuple[Detector, ...]:
    """The shipped detectors."""
    signatures = config.signatures_dir()
    return packs.load([signatures / "packs"], signatures / "vocabulary.toml")


def engine(detectors: tuple[Detector, ...]) -> Engine:
    """An engine of these detectors, with a key of the tests."""
    store = Cache(Path(os.environ[PLACE]), b"c" * 32)
    return Engine(detectors, Fingerprinter(b"k" * 32, "test"), store=store)
