"""One console for the tests of a file: its engine takes seconds to open and fill, and a process has one at a time."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.console.console_rig import Served


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    one = Served(tmp_path_factory.mktemp("console"))
    yield one
    one.close()


@pytest.fixture(scope="module")
def http(served: Served) -> Iterator[httpx.Client]:
    """Somebody who is logged in."""
    with served.client() as client:
        yield client
