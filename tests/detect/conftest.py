"""One engine with the shipped packs for the whole directory: compiling it takes most of a second."""

from __future__ import annotations

import pytest

from sluice import config
from sluice.detect import packs
from sluice.detect.engine import Engine
from sluice.detect.evidence import Fingerprinter
from sluice.model import Detector


@pytest.fixture(scope="session")
def detectors() -> tuple[Detector, ...]:
    """The shipped detectors."""
    signatures = config.signatures_dir()
    return packs.load([signatures / "packs"], signatures / "vocabulary.toml")


@pytest.fixture(scope="session")
def engine(detectors: tuple[Detector, ...]) -> Engine:
    """An engine of the shipped detectors, with a key of this test run."""
    return Engine(detectors, Fingerprinter(b"k" * 32, "test"))
