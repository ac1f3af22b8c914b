"""T24: the shipper dies by SIGKILL at every step of a delivery, again and again, while the ledger grows."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.scale import times
from tests.faults.shipping import counted, killed_at
from tests.ship.ship_rig import decision, settings_in, write

STEPS = ("frozen", "part", "inserted", "advanced")


@pytest.mark.timeout(3600)
def test_a_shipper_that_dies_at_any_step(tmp_path: Path, figures: Callable[[str], None]) -> None:
    """Before the insert, behind it, before and behind the cursor: no row is missing at the end, and none is doubled."""
    kills = times(2, 200)
    settings, chance, written = settings_in(tmp_path / "var"), random.Random(24), 0

    for turn in range(kills):
        write(settings.ledger_dir, [decision(written + n) for n in range(60)], slot=turn % 2)
        written += 60
        killed_at(settings, chance.choice(STEPS), chance.randrange(1, 4))
    kept, rows, different = counted(settings)
    figures(f"kill -9 of the shipper at a step x {kills}: records {kept}, rows {rows}, different {different}")
    assert rows == different == kept
