"""T14, T16, T17: the disk under the ledger of a running appliance is slow, full, or broken."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sluice.ledger import reader
from tests.clients.appliance import SHIP_SOON, Appliance
from tests.e2e.traffic import Clients
from tests.faults.account import children, supervisor, take
from tests.faults.scale import times
from tests.upstream import Upstream

STRACE = shutil.which("strace")


@pytest.mark.timeout(600)
def test_a_disk_that_fills(tmp_path: Path, figures: Callable[[str], None]) -> None:
    """T16: below the low-water mark nothing is forwarded, and everyone is told; with the space service comes back."""
    disk = os.statvfs(tmp_path)
    free = disk.f_bavail * disk.f_frsize
    settings = f"{SHIP_SOON}[evidence]\ndisk_low_bytes = {free - (3 << 30)}\n"
    ballast = tmp_path / "ballast"
    with Upstream() as upstream:
        appliance = Appliance(tmp_path, upstream, workers=1, settings=settings)
        appliance.start()
        try:
            with Clients(appliance.proxy, appliance.ca_file) as clients:
                time.sleep(1.5)
                with ballast.open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, 6 << 30)
                time.sleep(1.0)
                full = len(upstream.journal)
                time.sleep(1.5)
                assert len(upstream.journal) == full, "a request was forwarded although no record can be kept"
                refused = [s for s in clients.sent.statuses.values() if s not in (200, None)]
                ballast.unlink()
                appeared = time.monotonic()
                while len(upstream.journal) == full:
                    assert time.monotonic() - appeared < 10, "no service although there is space again"
                    time.sleep(0.05)
                back = time.monotonic() - appeared
                time.sleep(0.5)
            account = take(appliance, upstream, clients)
        finally:
            ballast.unlink(missing_ok=True)
            appliance.stop()
    figures(f"disk below the mark: refused {len(refused)}, back after {back:.2f} s; {account}")
    assert refused
    assert account.clean, str(account)


def slowed(pid: int, what: str) -> subprocess.Popen[bytes]:
    """strace on every thread of a process, with an injection."""
    inject = f"inject=fdatasync:{what}"
    return subprocess.Popen(
        [str(STRACE), "-f", "-q", "-o", os.devnull, "-e", "trace=fdatasync", "-e", inject, "-p", str(pid)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.skipif(STRACE is None, reason="strace is not installed; tests/ledger holds the same promise by a seam")
@pytest.mark.timeout(600)
def test_a_disk_that_answers_too_late(tmp_path: Path, figures: Callable[[str], None]) -> None:
    """T17: when a flush takes longer than the deadline of evidence, requests are refused and not forwarded."""
    with Upstream() as upstream:
        appliance = Appliance(tmp_path, upstream, workers=1)
        appliance.start()
        try:
            (worker,) = [p for p, k in children(supervisor(appliance)).items() if k == "worker"]
            with Clients(appliance.proxy, appliance.ca_file, count=24, rate=400) as clients:
                time.sleep(1.0)
                tracer = slowed(worker, "delay_enter=50000")
                time.sleep(2.0)
                before = sum(s == 200 for s in clients.sent.statuses.values())
                time.sleep(2.0)
                slow = sum(s == 200 for s in clients.sent.statuses.values()) - before
                tracer.send_signal(signal.SIGINT)
                tracer.wait(10)
                tracer = slowed(worker, "delay_enter=2500000")
                time.sleep(4.0)
                refused = sum(s not in (200, None) for s in clients.sent.statuses.values())
                tracer.send_signal(signal.SIGINT)
                tracer.wait(10)
                time.sleep(1.0)
            account = take(appliance, upstream, clients)
        finally:
            appliance.stop()
    figures(f"flush of 50 ms: {slow / 2:.0f} answered/s; of 2.5 s: refused {refused}; {account}")
    assert slow > 0, "group commit carries traffic over a slow disk"
    assert refused > 0
    assert account.clean, str(account)


@pytest.mark.skipif(STRACE is None, reason="strace is not installed; tests/ledger holds the same promise by a seam")
@pytest.mark.timeout(1800)
def test_a_flush_that_fails(tmp_path: Path, figures: Callable[[str], None]) -> None:
    """T14: the nth flush of a worker fails: it forwards nothing more, ends, and its successor recovers every record."""
    rounds = times(3, 50)
    with Upstream() as upstream:
        appliance = Appliance(tmp_path, upstream, workers=1)
        appliance.start()
        try:
            with Clients(appliance.proxy, appliance.ca_file) as clients:
                for n in range(rounds):
                    (worker,) = [p for p, k in children(supervisor(appliance)).items() if k == "worker"]
                    tracer = slowed(worker, f"error=EIO:when={n + 1}+")
                    until = time.monotonic() + 20
                    while worker in children(supervisor(appliance)):
                        assert time.monotonic() < until, "the worker went on after a failed flush"
                        time.sleep(0.02)
                    tracer.wait(10)
                    answered = sum(s == 200 for s in clients.sent.statuses.values())
                    while sum(s == 200 for s in clients.sent.statuses.values()) <= answered + 5:
                        assert time.monotonic() < until, "no successor serves"
                        time.sleep(0.05)
            account = take(appliance, upstream, clients)
            epochs = max(e.epoch for s in reader.streams(appliance.var / "ledger") for e in reader.read(s))
        finally:
            appliance.stop()
    figures(f"fdatasync error x {rounds}: {account}; epochs {epochs}")
    assert epochs > rounds
    assert account.clean, str(account)
