"""T22 in small, T28: ClickHouse is not there for a while. Traffic does not notice, and every row arrives once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.appliance import Appliance
from tests.e2e.traffic import Clients
from tests.faults.account import children, supervisor, take
from tests.faults.scale import times
from tests.upstream import Upstream


@pytest.mark.timeout(1800)
def test_a_shipper_that_hangs(tmp_path: Path, figures: Callable[[str], None]) -> None:
    """The shipper is frozen under load: no request is refused for it, and the backlog arrives once."""
    seconds = times(6, 120)
    with Upstream() as upstream:
        appliance = Appliance(tmp_path, upstream, workers=2)
        appliance.start()
        try:
            (shipper,) = [p for p, k in children(supervisor(appliance)).items() if k == "shipper"]
            with Clients(appliance.proxy, appliance.ca_file) as clients:
                time.sleep(1.0)
                os.kill(shipper, signal.SIGSTOP)
                time.sleep(seconds)
                if shipper in children(supervisor(appliance)):
                    os.kill(shipper, signal.SIGCONT)
                time.sleep(1.0)
            statuses = list(clients.sent.statuses.values())
            account = take(appliance, upstream, clients)
        finally:
            appliance.stop()
    figures(f"shipper frozen for {seconds} s: {account}")
    assert statuses.count(200) > 0.95 * len(statuses)
    assert account.clean, str(account)
