"""One embedded engine for all of these tests: it takes a second to open, and each test has a database of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.posture.posture_rig import Rig


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """The real embedded engine on a directory of this module's, its schema applied."""
    opened = Rig(tmp_path_factory.mktemp("engine") / "clickhouse")
    yield opened
    opened.close()
