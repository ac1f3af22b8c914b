"""T11: workers killed with SIGKILL under load. What left is on record, what is on record is in ClickHouse, once."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from sluice.ledger import reader
from sluice.model import RecordType
from tests.clients.appliance import Appliance
from tests.e2e.traffic import Clients, body_hmac
from tests.upstream import Upstream

KILLS = 5


def workers(supervisor: int) -> list[int]:
    """Pids of the worker processes of this supervisor."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return [int(p) for p in children if b"addons.worker" in Path(f"/proc/{p}/cmdline").read_bytes()]


@pytest.mark.timeout(300)
def test_killed_workers_forward_nothing_without_a_record(tmp_path: Path) -> None:
    """Five SIGKILLs under load: forwarded without a durable allow 0, rows lost 0, rows doubled 0, chain sound."""
    with Upstream() as upstream:
        appliance = Appliance(tmp_path, upstream, workers=2)
        appliance.start()
        supervisor = int((appliance.var / "sluice.pid").read_text())
        comebacks: list[float] = []
        rng = random.Random(11)
        try:
            with Clients(appliance.proxy, appliance.ca_file) as clients:
                time.sleep(1.5)
                for _ in range(KILLS):
                    before = workers(supervisor)
                    assert len(before) == 2, "both workers must be up before the next kill"
                    victim = rng.choice(before)
                    os.kill(victim, signal.SIGKILL)
                    killed = time.monotonic()
                    while len(set(workers(supervisor)) - {victim}) < 2 or victim in workers(supervisor):
                        assert time.monotonic() - killed < 15, "the worker did not come back"
                        time.sleep(0.02)
                    comebacks.append(time.monotonic() - killed)
                    time.sleep(2.0)
            appliance.rows_when(
                "select count() as n from sluice.events where record_type = 'decision'",
                lambda rows: int(rows[0]["n"]) >= len([s for s in clients.sent.statuses.values() if s]),
            )
            time.sleep(1.5)
            shipped = appliance.sql(
                "select record_type, count() as n, uniqExact(chain_id, seq) as u from sluice.events group by 1"
            )
        finally:
            assert appliance.stop() == 0

        allowed: set[str] = set()
        in_ledger = 0
        streams = list(reader.streams(appliance.var / "ledger"))
        for stream in streams:
            for entry in reader.read(stream):
                in_ledger += 1
                record = entry.record
                if record.record_type is RecordType.DECISION and record.decision == "allow" and record.body_hmac:
                    allowed.add(record.body_hmac)
        forwarded = {r.request_id: r.body for r in upstream.journal.posts("/v1/chat/completions") if r.complete}
        without_record = [i for i, body in forwarded.items() if body_hmac(appliance.var, body) not in allowed]
        answered = [i for i, status in clients.sent.statuses.items() if status == 200]
        verdict = reader.verify(appliance.var / "ledger")

    print(
        f"\nkills {KILLS}, sent {len(clients.sent.statuses)}, answered {len(answered)}, "
        f"reached upstream {len(forwarded)}, "
        f"forwarded without record {len(without_record)}, records {in_ledger}, "
        f"doubled {sum(int(r['n']) - int(r['u']) for r in shipped)}, "
        f"worker back after {max(comebacks):.2f} s at worst, connections refused {clients.refused_connections}"
    )
    assert len(answered) > 100, "the load must have been real"
    assert without_record == []
    assert set(answered) <= set(forwarded)
    assert all(r["n"] == r["u"] for r in shipped)
    assert verdict.sound, str(verdict)
