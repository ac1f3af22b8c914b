"""Shippers that die at a step, and the count when one was left to finish."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from sluice.config import Settings
from sluice.ledger import reader
from sluice.ship.query import ask

ROOT = Path(__file__).resolve().parents[2]


def _command(settings: Settings, step: str, nth: int, behind: float) -> list[str]:
    return [sys.executable, "-m", "tests.ship.deadly_shipper", str(settings.paths.var), step, str(nth), str(behind)]


def killed_at(settings: Settings, step: str, nth: int = 1, behind: float = 0.0) -> None:
    """Run a shipper that kills itself there, or so many seconds behind it; fails when it ends otherwise."""
    done = subprocess.run(
        _command(settings, step, nth, behind), cwd=ROOT, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]


def counted(settings: Settings) -> tuple[int, int, int]:
    """Ship what is left, and stop: records in the ledgers, rows, different rows."""
    with subprocess.Popen(_command(settings, "none", 1, 0.0), cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"drained\n"
        process.terminate()
        assert process.wait(60) == 0
    kept = sum(1 for stream in reader.streams(settings.ledger_dir) for _ in reader.read(stream))
    sql = "SELECT count() AS n, uniqExact(chain_id, epoch, seq) AS u FROM events"
    (found,) = map(json.loads, b"".join(ask(settings, sql, "JSONEachRow")).splitlines())
    return kept, int(found["n"]), int(found["u"])
