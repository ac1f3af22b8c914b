"""What the supervisor measures at a scrape is true now: no stale number, and CPU time that never goes backwards."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from sluice import config
from sluice.child import Child
from sluice.gauges import Gauges, _Cpu


@dataclass
class Told:
    """As much of a child as is looked at."""

    name: str
    pid: int | None
    missing: str | None = None
    facts: dict[str, object] = field(default_factory=dict)


class Kernel:
    """As much of a process as is looked at."""

    def __init__(self, started: float, cpu: float) -> None:
        self.started, self.cpu = started, cpu


def measured(gauges: Gauges, *children: Told) -> dict[tuple[str, ...], float]:
    """Samples by name and label values."""
    families = gauges.measure(cast("list[Child]", children), ready=True, troubles=2, store_open=False)
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def settings(tmp_path: Path) -> config.Settings:
    made = config.Settings(paths=config.Paths(var=tmp_path))
    (made.ledger_dir / "n-w0").mkdir(parents=True)
    return made


def test_a_dead_process_leaves_no_gauge(tmp_path: Path) -> None:
    """While it lives: up, memory, files, connections. Once it is gone: 0 for up, and nothing else but its CPU time."""
    gauges = Gauges(settings(tmp_path))
    alive = Told("worker-0", os.getpid(), facts={"connections": 3, "rulebook": "ab" * 32})
    got = measured(gauges, alive, Told("shipper", None, "shipper is down"))
    assert got["sluice_process_up", "worker-0"] == 1
    assert got["sluice_process_up", "shipper"] == 0
    assert got["sluice_process_resident_bytes", "worker-0"] > 1_000_000
    assert got["sluice_process_open_files", "worker-0"] > 2
    assert got["sluice_worker_connections", "worker-0"] == 3
    assert got["sluice_rulebook_workers", "abababababababab"] == 1
    assert (got["sluice_ready",], got["sluice_troubles",], got["sluice_store_open",]) == (1, 2, 0)
    spent = got["sluice_process_cpu_seconds_total", "worker-0"]
    assert spent > 0
    after = measured(gauges, Told("worker-0", None, "worker-0 is down", alive.facts))
    assert [key[0] for key in after if key[1:] == ("worker-0",)] == [
        "sluice_process_up",
        "sluice_process_cpu_seconds_total",
    ]
    assert after["sluice_process_cpu_seconds_total", "worker-0"] == spent
    assert not any(key[0] == "sluice_rulebook_workers" for key in after)


def test_cpu_time_goes_on_with_the_next_process() -> None:
    """A worker that was replaced three times has used what all of them used."""
    cpu = _Cpu()
    seen = []
    for started, spent in ((1.0, 2.0), (1.0, 5.0), (9.0, 0.5), (20.0, 0.0), (20.0, 1.0)):
        cpu.saw(cast("Any", Kernel(started, spent)))
        seen.append(cpu.seconds)
    assert seen == [2.0, 5.0, 5.5, 5.5, 6.5]


def test_the_ledger_is_measured_on_disk(tmp_path: Path) -> None:
    """Bytes and files of the segments, what is left on the disk, and no word about seals that do not exist yet."""
    made = settings(tmp_path)
    (made.ledger_dir / "n-w0" / "1-0.seg").write_bytes(b"x" * 1000)
    (made.ledger_dir / "n-w0" / "1-9.seg").write_bytes(b"x" * 500)
    got = measured(Gauges(made))
    assert got["sluice_ledger_bytes",] == 1500
    assert got["sluice_ledger_segments",] == 2
    assert got["sluice_ledger_disk_free_bytes",] > 0
    assert got["sluice_ledger_disk_low_bytes",] == made.evidence.disk_low_bytes
    assert ("sluice_seal_checkpoint_age_seconds",) not in got
