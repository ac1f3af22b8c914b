"""T24: the shipper dies by SIGKILL at every step of a delivery, again and again, while the ledger grows."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sluice.ledger import reader
from sluice.ship.query import ask
from tests.faults.scale import times
from tests.ship.ship_rig import decision, settings_in, write

ROOT = Path(__file__).resolve().parents[2]
STEPS = ("frozen", "part", "inserted", "advanced")


@pytest.mark.timeout(3600)
def test_a_shipper_that_dies_at_any_step(tmp_path: Path, figures: Callable[[str], None]) -> None:
    """Before the insert, behind it, before and behind the cursor: no row is missing at the end, and none is doubled."""
    kills = times(2, 200)
    settings, chance, written = settings_in(tmp_path / "var"), random.Random(24), 0

    def shipper(step: str, nth: int) -> list[str]:
        return [sys.executable, "-m", "tests.ship.deadly_shipper", str(settings.paths.var), step, str(nth)]

    for turn in range(kills):
        write(settings.ledger_dir, [decision(written + n) for n in range(60)], slot=turn % 2)
        written += 60
        command = shipper(chance.choice(STEPS), chance.randrange(1, 4))
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    with subprocess.Popen(shipper("none", 1), cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"drained\n"
        process.terminate()
        assert process.wait(60) == 0
    kept = sum(1 for stream in reader.streams(settings.ledger_dir) for _ in reader.read(stream))
    sql = "SELECT count() AS n, uniqExact(chain_id, epoch, seq) AS u FROM events"
    (found,) = map(json.loads, b"".join(ask(settings, sql, "JSONEachRow")).splitlines())
    figures(f"kill -9 of the shipper at a step x {kills}: records {kept}, rows {found['n']}, different {found['u']}")
    assert int(found["n"]) == int(found["u"]) == kept
