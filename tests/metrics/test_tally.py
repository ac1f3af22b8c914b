"""Counts wait in memory: all of them arrive in the files of their process, once, whatever threads do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector


def run(directory: Path, code: str) -> None:
    """Run a process that counts into `directory`."""
    done = subprocess.run(
        [sys.executable, "-c", f"import os\nfrom sluice import metrics as m\n{code}"],
        env={"PROMETHEUS_MULTIPROC_DIR": str(directory)},
        check=False,
        capture_output=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr


def scraped(directory: Path, name: str, **labels: str) -> float | None:
    """What the admin listener would say of one series."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(directory))  # type: ignore[no-untyped-call]
    return registry.get_sample_value(name, labels)


def test_counts_of_many_threads_arrive_once(tmp_path: Path) -> None:
    """Threads that change all the time, series made by several at once, flushes in between: not a count is lost or told
    twice, and the next flush adds nothing."""
    code = """
import sys, threading
sys.setswitchinterval(1e-6)
read = m.INSPECTED_BYTES.labels()
def work():
    for n in range(5000):
        read.count += 3
        m.REFUSALS["internal",].count += 1
        m.FINDINGS["a.b", "high", str(n % 50)].inc()
        m.REQUEST_BYTES.observe(1000)
        if n % 100 == 0:
            m.flush()
threads = [threading.Thread(target=work) for _ in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
m.flush()
m.flush()
os._exit(0)
"""
    run(tmp_path, code)
    assert scraped(tmp_path, "sluice_inspected_bytes_total") == 60_000
    assert scraped(tmp_path, "sluice_refusals_total", cause="internal") == 20_000
    assert scraped(tmp_path, "sluice_findings_total", data_class="a.b", severity="high", novelty="7") == 400
    assert scraped(tmp_path, "sluice_request_bytes_bucket", le="1024.0") == 20_000
    assert scraped(tmp_path, "sluice_request_bytes_bucket", le="256.0") == 0
    assert scraped(tmp_path, "sluice_request_bytes_count") == 20_000
    assert scraped(tmp_path, "sluice_request_bytes_sum") == 20_000_000


def test_a_value_on_a_bound_belongs_to_it(tmp_path: Path) -> None:
    """Buckets hold what is less than or equal to their bound, and what is above all bounds is in the last one."""
    run(tmp_path, "for v in (1, 2, 2.5, 10_000): m.FLUSH_RECORDS.observe(v)")
    assert [scraped(tmp_path, "sluice_ledger_flush_records_bucket", le=le) for le in ("1.0", "2.0", "4.0", "+Inf")] == [
        1,
        2,
        3,
        4,
    ]


def test_what_waits_at_the_end_is_written(tmp_path: Path) -> None:
    """A process that ends in the usual way loses no count; gauges never wait."""
    run(tmp_path, "m.INSPECTED_BYTES.inc(5); m.SHIP_PENDING.set(7)")
    assert scraped(tmp_path, "sluice_inspected_bytes_total") == 5
    assert scraped(tmp_path, "sluice_ship_pending_records") == 7


def test_closed_lists_begin_at_zero(tmp_path: Path) -> None:
    """Before anything happened the series of a closed label are there as 0, so that the first event is an increase."""
    run(tmp_path, "pass")
    assert scraped(tmp_path, "sluice_fail_open_total", cause="scan_timeout") == 0
    assert scraped(tmp_path, "sluice_ship_batches_total", outcome="failed") == 0
    assert scraped(tmp_path, "sluice_chain_gap_total") == 0
    assert scraped(tmp_path, "sluice_stage_seconds_count", stage="parse") == 0
    assert scraped(tmp_path, "sluice_ship_lag_seconds") is None  # nobody has measured it
