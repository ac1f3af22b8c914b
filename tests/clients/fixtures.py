"""Fixtures of the tests with real clients and agents: one upstream and one appliance for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.appliance import Appliance
from tests.clients.watch import Watch
from tests.upstream import Upstream


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.fixture(scope="session")
def appliance(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    running = Appliance(tmp_path_factory.mktemp("appliance"), upstream)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
def watch(appliance: Appliance, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Watch:
    """The environment of a client behind the gate, and a view of rows and upstream from now on."""
    for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "https_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in appliance.environment.items():
        monkeypatch.setenv(name, value)
    return Watch(appliance, upstream)
