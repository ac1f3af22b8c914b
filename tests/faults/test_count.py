"""T13: counted from the outside. Every request that reached the upstream has an outcome that says so, and none else."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.appliance import Appliance
from tests.e2e.traffic import Clients
from tests.faults.account import settle, take
from tests.faults.scale import times
from tests.upstream import Upstream


@pytest.mark.timeout(3600)
def test_the_upstream_counts_what_the_outcomes_say(tmp_path: Path, figures: Callable[[str], None]) -> None:
    """The number of outcomes that say `forwarded` is the number of requests that the upstream received."""
    wanted = times(600, 100_000)
    with Upstream() as upstream:
        appliance = Appliance(tmp_path, upstream, workers=2)
        appliance.start()
        try:
            began = time.monotonic()
            with Clients(appliance.proxy, appliance.ca_file, count=8, rate=2_000) as clients:
                while len(clients.sent.statuses) < wanted:
                    time.sleep(0.1)
            seconds = time.monotonic() - began
            settle(appliance)
            outcomes = appliance.sql(
                "select d.body_hmac as body, o.forwarded as forwarded from sluice.events o "
                "inner join sluice.events d on d.decision_id = o.decision_id "
                "where o.record_type = 'outcome' and d.record_type = 'decision'"
            )
            account = take(appliance, upstream, clients)
        finally:
            appliance.stop()
    said = Counter(str(o["body"]) for o in outcomes if o["forwarded"])
    figures(
        f"counted from outside: sent {len(clients.sent.statuses)} in {seconds:.0f} s, outcomes that say forwarded "
        f"{said.total()}, received {account.forwarded}; {account}"
    )
    assert said.total() == account.forwarded
    assert max(said.values()) == 1
    assert account.clean, str(account)
