"""T13: what the provider received is what the outcomes call forwarded, request by request.

`SLUICE_T13_REQUESTS=100000` is the whole run (about ten minutes); a tenth of a minute's traffic by default.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import pytest

from sluice.config import load
from sluice.ledger import reader
from sluice.ledger.record import decode
from tests.clients.appliance import Appliance
from tests.e2e.traffic import Clients, body_hmac
from tests.upstream import Upstream

REQUESTS = int(os.environ.get("SLUICE_T13_REQUESTS", "600"))
CARD = "card number 4111 1111 1111 1111, exp 12/29, cvv 123"


@pytest.mark.timeout(120 + REQUESTS // 20)
def test_the_provider_received_what_the_outcomes_say(tmp_path: Path) -> None:
    """Every id that arrived has one decision `allow` and one outcome `forwarded`, and there is no other; none of the
    blocked ones arrived."""
    with Upstream(delay=0, keep_bodies=False) as upstream:
        appliance = Appliance(tmp_path, upstream, workers=2)
        appliance.start()
        try:
            with (
                Clients(appliance.proxy, appliance.ca_file, count=8, rate=2000) as allowed,
                Clients(appliance.proxy, appliance.ca_file, count=2, rate=40, text=CARD) as blocked,
            ):
                while len(allowed.sent.statuses) < REQUESTS:
                    time.sleep(0.05)
            received = Counter(r.request_id for r in upstream.journal if r.complete)
        finally:
            appliance.stop()
    settings = load(appliance.config, environ={})
    decisions: dict[str, tuple[str, str]] = {}
    outcomes: Counter[str] = Counter()
    latencies: list[int] = []
    for stream in reader.streams(settings.ledger_dir):
        for entry in reader.read(stream):
            record = decode(entry.body)
            if record.record_type == "decision" and record.body_hmac:
                decisions[record.decision_id] = (record.body_hmac, record.decision or "")
            elif record.record_type == "outcome" and record.forwarded:
                outcomes[record.decision_id] += 1
                latencies.append(record.latency_added_us or 0)
    ids = {body_hmac(appliance.var, body): name for c in (allowed, blocked) for name, body in c.sent.bodies.items()}
    forwarded = Counter(ids[decisions[d][0]] for d in outcomes)
    print(
        f"\nreceived {len(received)}, forwarded {len(forwarded)}, blocked {len(blocked.sent.statuses)}, "
        f"only received {len(received - forwarded)}, only forwarded {len(forwarded - received)}, "
        f"doubled {sum(n > 1 for n in (received + outcomes).values())}"
    )
    assert len(received) >= REQUESTS
    assert forwarded == received
    assert set(received.values()) == set(outcomes.values()) == {1}
    assert {decisions[d][1] for d in outcomes} == {"allow"}
    assert blocked.sent.statuses
    assert set(blocked.sent.statuses.values()) == {400}
    assert not received.keys() & blocked.sent.statuses.keys()
    assert min(latencies) >= 0
