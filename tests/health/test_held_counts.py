"""A worker's counts wait in memory: all of them arrive in its file, once."""

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


def test_held_counts_arrive_once(tmp_path: Path) -> None:
    """Counts from many threads, zeros among them, come through a flush whole; the next flush adds nothing."""
    code = """
import threading
m.hold()
def work():
    for n in range(2000):
        m.INSPECTED_BYTES.inc(0)
        m.INSPECTED_BYTES.inc(3)
        m.REFUSALS.labels("internal").inc()
        m.REQUEST_BYTES.observe(1000)
        if n % 100 == 0:
            m.flush()
threads = [threading.Thread(target=work) for _ in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
assert m.INSPECTED_BYTES._value.get() == 24000
m.flush()
m.flush()
os._exit(0)
"""
    run(tmp_path, code)
    assert scraped(tmp_path, "sluice_inspected_bytes_total") == 24_000
    assert scraped(tmp_path, "sluice_refusals_total", cause="internal") == 8000
    assert scraped(tmp_path, "sluice_request_bytes_bucket", le="1024.0") == 8000
    assert scraped(tmp_path, "sluice_request_bytes_sum") == 8_000_000


def test_what_waits_at_the_end_is_written(tmp_path: Path) -> None:
    """A process that ends in the usual way loses no count; gauges never wait."""
    run(tmp_path, "m.hold(); m.INSPECTED_BYTES.inc(5); m.SHIP_PENDING.set(7)")
    assert scraped(tmp_path, "sluice_inspected_bytes_total") == 5
    assert scraped(tmp_path, "sluice_ship_pending_records") == 7


def test_nothing_waits_unasked(tmp_path: Path) -> None:
    """A process that never said `hold` counts in its file at once, even if it is killed then."""
    run(tmp_path, "m.INSPECTED_BYTES.inc(5); os._exit(0)")
    assert scraped(tmp_path, "sluice_inspected_bytes_total") == 5
