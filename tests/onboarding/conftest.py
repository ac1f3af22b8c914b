"""One appliance for all tests here: pages, PAC file, probe, the steps of every platform, events outward."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.appliance import SHIP_SOON, Appliance
from tests.clients.fixtures import upstream
from tests.upstream import Upstream

__all__ = ["upstream"]


@pytest.fixture(scope="session")
def appliance(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    directory = tmp_path_factory.mktemp("appliance")
    forward = (
        f'[[forward.to]]\nname = "archive"\nurl = "file://{directory}/events.jsonl"\nformat = "json"\n'
        '[[forward.to]]\nname = "dead"\nurl = "syslog+tcp://127.0.0.1:1"\nformat = "syslog"\n'
    )
    running = Appliance(directory, upstream, settings=SHIP_SOON + forward)
    try:
        running.start()
        yield running
    finally:
        running.stop()
