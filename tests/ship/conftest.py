"""Fixtures of the shipper's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.ship.clickhouse import Embedded


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Embedded]:
    """The real embedded engine on a fresh directory, its schema applied."""
    opened = Embedded(tmp_path / "clickhouse", "sluice")
    opened.migrate()
    yield opened
    opened.close()
