"""One engine with the shipped packs for the whole directory."""

from __future__ import annotations

import pytest

from sluice.detect.engine import Engine
from sluice.model import Detector
from tests.rig import compiled


@pytest.fixture(scope="session")
def detectors() -> tuple[Detector, ...]:
    """The shipped detectors."""
    return compiled.shipped()


@pytest.fixture(scope="session")
def engine(detectors: tuple[Detector, ...]) -> Engine:
    """An engine of the shipped detectors, with a key of this test run."""
    return compiled.engine(detectors)
