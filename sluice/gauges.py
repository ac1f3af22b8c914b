"""What is measured while the admin listener is scraped: true of the whole appliance, whichever process is dead.

Nothing is kept between two scrapes but the CPU time of processes that ended, so that no number here can be stale. What
cannot be measured now is left out of the scrape: a gap in a graph is the truth then, and alerts know it.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from sluice import metrics
from sluice.child import Child
from sluice.config import Settings
from sluice.seal import standing
from sluice.selftest.running import SelfTest
from sluice.tally import Definition

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
DIGEST = 16
"""Digits of a digest that a label shows: enough to tell two rulebooks apart."""


def gauge(what: Definition, value: float) -> Metric:
    return GaugeMetricFamily(what.name, what.help, value=value)


def family(what: Definition, values: Mapping[tuple[str, ...], float]) -> Metric:
    """One metric with labels, in the order of its definition."""
    kind = CounterMetricFamily if what.kind == "counter" else GaugeMetricFamily
    made = kind(what.name, what.help, labels=list(what.labels))
    for labels, value in values.items():
        made.add_metric(labels, value)
    return made


class Gauges:
    """Measures one appliance. Used from the supervisor, which knows the processes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._build = (metadata.version("sluice"), metadata.version("mitmproxy"), platform.python_version())
        self._cpu: dict[str, _Cpu] = {}

    def measure(
        self,
        children: Iterable[Child],
        *,
        ready: bool,
        troubles: int,
        store_open: bool,
        selftest: SelfTest | None = None,
    ) -> Iterator[Metric]:
        """Every `measured` metric, as far as it can be measured now."""
        children = tuple(children)
        yield family(metrics.BUILD, {self._build: 1})
        yield gauge(metrics.READY, ready)
        yield gauge(metrics.TROUBLES, troubles)
        yield gauge(metrics.STORE_OPEN, store_open)
        if selftest is not None:
            yield gauge(metrics.SELFTEST_OK, selftest.failed is None)
            yield gauge(metrics.SELFTEST_PASSED, selftest.passed_at)
            if selftest.leaf_not_after is not None:
                yield gauge(metrics.LEAF_NOT_AFTER, selftest.leaf_not_after)
        yield from self._processes(children)
        yield from self._ledger()
        yield from self._seals()

    def _processes(self, children: tuple[Child, ...]) -> Iterator[Metric]:
        yield family(metrics.PROCESS_UP, {(c.name,): c.missing is None for c in children})
        seen = {(c.name,): found for c in children if c.pid and (found := _process(c.pid))}
        yield family(metrics.PROCESS_RESIDENT, {name: p.resident for name, p in seen.items()})
        yield family(metrics.PROCESS_STARTED, {name: p.started for name, p in seen.items()})
        yield family(metrics.PROCESS_FILES, {name: p.files for name, p in seen.items() if p.files is not None})
        for (name,), process in seen.items():
            self._cpu.setdefault(name, _Cpu()).saw(process)
        yield family(metrics.PROCESS_CPU, {(name,): cpu.seconds for name, cpu in self._cpu.items()})
        workers = [c for c in children if c.pid and "connections" in c.facts]
        yield family(metrics.WORKER_CONNECTIONS, {(c.name,): _number(c.facts["connections"]) for c in workers})
        follow: dict[tuple[str, ...], float] = {}
        for digest in (str(c.facts["rulebook"])[:DIGEST] for c in children if c.pid and "rulebook" in c.facts):
            follow[(digest,)] = follow.get((digest,), 0) + 1
        yield family(metrics.RULEBOOK, follow)

    def _ledger(self) -> Iterator[Metric]:
        directory = self._settings.ledger_dir
        sizes = [size for path in directory.glob("*/*.seg") if (size := _size(path)) is not None]
        yield gauge(metrics.LEDGER_BYTES, sum(sizes))
        yield gauge(metrics.LEDGER_SEGMENTS, len(sizes))
        yield gauge(metrics.LEDGER_DISK_LOW, self._settings.evidence.disk_low_bytes)
        try:
            disk = os.statvfs(directory)
        except OSError:
            return
        yield gauge(metrics.LEDGER_DISK_FREE, disk.f_bavail * disk.f_frsize)

    def _seals(self) -> Iterator[Metric]:
        """Measured here and not in the sealer, to be right when it is dead."""
        try:
            now = standing.standing(self._settings.ledger_dir, self._settings.seal_dir)
        except OSError:
            return  # `/readyz` says why
        yield gauge(metrics.SEAL_UNSEALED, sum(s.unsealed for s in now))
        yield gauge(metrics.SEAL_LAG_SECONDS, max((s.lag or 0.0 for s in now), default=0.0))
        if ages := [s.age for s in now if s.age is not None]:
            yield gauge(metrics.SEAL_AGE_SECONDS, min(ages))


class _Cpu:
    """CPU time under one name, over the processes that had it: it never goes backwards."""

    def __init__(self) -> None:
        self._ended = 0.0
        self._process: tuple[float, float] = (0.0, 0.0)
        """Start and CPU time of the process that has the name now."""

    @property
    def seconds(self) -> float:
        return self._ended + self._process[1]

    def saw(self, process: _Process) -> None:
        started, before = self._process
        if process.started != started:
            self._ended += before
        self._process = (process.started, process.cpu)


class _Process:
    """What the kernel says of a process: /proc/PID/stat, statm and fd (proc(5))."""

    def __init__(self, pid: int) -> None:
        """Raises OSError, ValueError when it is gone."""
        here = Path("/proc") / str(pid)
        fields = (here / "stat").read_text().rpartition(")")[2].split()
        self.cpu = (int(fields[11]) + int(fields[12])) / _TICKS
        self.started = _booted() + int(fields[19]) / _TICKS
        self.resident = int((here / "statm").read_text().split()[1]) * _PAGE
        try:
            self.files: int | None = sum(1 for _ in (here / "fd").iterdir())
        except OSError:
            self.files = None  # a worker cannot be looked into by others of its user, unless they are root


def _process(pid: int) -> _Process | None:
    try:
        return _Process(pid)
    except (OSError, ValueError, IndexError):
        return None


@lru_cache
def _booted() -> float:
    """Unix time of the machine's start, worked out once: the clock may be set, and a process has one start."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
