"""T11, T12, T13, T24: SIGKILL for each process of the appliance, and for all of them, while clients post."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.appliance import SHIP_SOON, Appliance
from tests.e2e.traffic import Clients
from tests.faults.account import children, kill_everything, kill_one, supervisor, take
from tests.faults.scale import times
from tests.rig.ports import free_port
from tests.upstream import Upstream


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["worker", "shipper", "sealer"])
def test_a_killed_process_costs_no_record(kind: str, tmp_path: Path, figures: Callable[[str], None]) -> None:
    """One kind of process is killed again and again under load: nothing forwarded without record, lost or doubled."""
    kills = times(3, 20)
    with Upstream() as upstream:
        appliance = Appliance(tmp_path, upstream, workers=2)
        appliance.start()
        try:
            assert kind in children(supervisor(appliance)).values()
            with Clients(appliance.proxy, appliance.ca_file) as clients:
                time.sleep(1.0)
                back = [_kill(appliance, kind, n) for n in range(kills)]
            account = take(appliance, upstream, clients)
        finally:
            appliance.stop()
    figures(f"kill -9 {kind} x {kills}: {account}; back after {max(back):.2f} s at worst")
    assert account.answered > 100, "the load must have been real"
    assert account.clean, str(account)


def _kill(appliance: Appliance, kind: str, n: int) -> float:
    back = kill_one(appliance, kind, nth=n)
    time.sleep(1.5 + 0.13 * (n % 5))  # the successor starts, works, and dies at another point of its work
    return back


@pytest.mark.timeout(3600)
def test_killing_everything_costs_no_record(tmp_path: Path, figures: Callable[[str], None]) -> None:
    """T12: supervisor and children die at once, several times; after each start the ledgers are sound and complete."""
    kills = times(3, 20)
    port = free_port()
    with Upstream() as upstream:
        appliance = Appliance(tmp_path, upstream, workers=2, settings=SHIP_SOON, port=port)
        appliance.start()
        try:
            with Clients(appliance.proxy, appliance.ca_file) as clients:
                for n in range(kills):
                    time.sleep(1.5 + 0.17 * (n % 4))
                    kill_everything(appliance)
                    appliance.start()
                time.sleep(1.5)
            recovered = appliance.sql(
                "select chain_id, epoch, count() as n from sluice.events where control_kind = 'recovered' group by 1, 2"
            )
            account = take(appliance, upstream, clients)
        finally:
            appliance.stop()
    figures(f"kill -9 of everything x {kills}: {account}; torn tails cut and told {len(recovered)}")
    assert account.answered > 100, "the load must have been real"
    assert account.clean, str(account)
    assert all(int(r["n"]) == 1 for r in recovered), "at most one torn tail for each worker and kill"
