"""Fixtures of the ledger's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sluice.ledger import appender, writer
from sluice.ledger.writer import Writer
from tests.ledger.ledger_rig import SEGMENT_BYTES, Open, Seam


@pytest.fixture
def seam(monkeypatch: pytest.MonkeyPatch) -> Seam:
    """The appender's and the writer's `os`, under control."""
    fake = Seam()
    monkeypatch.setattr(appender, "os", fake)
    monkeypatch.setattr(writer, "os", fake)
    return fake


@pytest.fixture
def open_writer(tmp_path: Path) -> Iterator[Open]:
    """Opens a writer below `tmp_path`; whatever is still open at the end of the test is closed."""
    opened: list[Writer] = []

    def start(**options: Any) -> Writer:
        defaults = {"node": "n", "slot": 0, "segment_bytes": SEGMENT_BYTES, "disk_low_bytes": 0}
        made = writer.open_stream(tmp_path, **(defaults | options))
        opened.append(made)
        return made

    yield start
    for made in opened:
        made.close()
