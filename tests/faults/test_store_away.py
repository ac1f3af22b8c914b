"""T22 in small, T28: ClickHouse is not there for a while. Traffic does not notice, and every row arrives once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.appliance import Appliance
from tests.e2e.traffic import Clients
from tests.faults.account import children, supervisor, take
from tests.faults.scale import times
from tests.upstream import Upstream

HOLDER = """
import sys
import chdb.session
session = chdb.session.Session(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
session.close()
"""


@pytest.mark.timeout(1800)
def test_a_store_that_another_process_holds(tmp_path: Path, figures: Callable[[str], None]) -> None:
    """The store cannot be opened from the start: requests are decided and recorded all the same, and shipped later."""
    seconds = times(3, 120)
    with Upstream() as upstream:
        appliance = Appliance(tmp_path, upstream, workers=2)
        store = appliance.var / "clickhouse"
        store.mkdir(parents=True, mode=0o700)
        appliance.var.chmod(0o700)
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            assert holder.stdout and holder.stdout.readline() == b"held\n"
            appliance.start()
            with Clients(appliance.proxy, appliance.ca_file) as clients:
                time.sleep(seconds)
                holder.communicate(b"")
                time.sleep(1.0)
            statuses = list(clients.sent.statuses.values())
            account = take(appliance, upstream, clients)
        finally:
            holder.kill()
            holder.wait()
            appliance.stop()
    figures(f"store held by another process for {seconds} s: {account}")
    assert statuses.count(200) > 0.95 * len(statuses), "traffic must not wait for the store"
    assert account.clean, str(account)


@pytest.mark.timeout(1800)
def test_a_shipper_that_hangs(tmp_path: Path, figures: Callable[[str], None]) -> None:
    """The shipper is frozen under load: no request is refused for it, and the backlog arrives once."""
    seconds = times(3, 120)
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
