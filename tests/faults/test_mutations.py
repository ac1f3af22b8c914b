"""T31: one record edited, deleted, swapped or doubled anywhere in a large log is found, every time, at its number."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sluice.ledger import segment
from sluice.ledger.segment import Fault
from sluice.proof import trust, verify
from tests.faults.scale import FULL
from tests.proof import attacks
from tests.seal import seal_rig as rig

STREAMS, RECORDS, MUTATIONS = (10, 100_000, 100) if FULL else (2, 1_500, 15)
EXPECTED = {"edit": Fault.EDIT, "delete": Fault.GAP, "swap": Fault.REORDER, "duplicate": Fault.DUPLICATE}


@pytest.mark.timeout(3000)
def test_random_mutations(tmp_path: Path, figures: Callable[[str], None]) -> None:
    """Each kind so many times: the stream that was touched is checked each time, the whole log at the end of each kind.

    The mutated records have right checksums: only the chain can show them.
    """
    settings = rig.deployment(tmp_path)
    for slot in range(STREAMS):
        rig.write(settings, RECORDS, slot)
        rig.seal(settings, f"n-w{slot}")
    believed = trust.load(settings.seal_dir)
    rng = random.Random(31)
    found, slowest = 0, 0.0
    for kind, change in attacks.CHANGES.items():
        for turn in range(MUTATIONS):
            stream = settings.ledger_dir / f"n-w{rng.randrange(STREAMS)}"
            path = stream / rng.choice(segment.segments(stream))
            original = path.read_bytes()
            records = [f.body for f in segment.frames(original)]
            at = attacks.anywhere(records, rng)
            changed = b"".join(segment.frame(b, first=True) for b in change(records, at))
            path.write_bytes(original[: segment.HEADER_BYTES] + changed)
            whole = turn == MUTATIONS - 1
            began = time.monotonic()
            first = verify.ledger(settings.ledger_dir if whole else stream, believed).first
            slowest = max(slowest, time.monotonic() - began if whole else 0.0)
            assert first
            place = (first.stream, first.fault, first.seq)
            assert place == (stream.name, EXPECTED[kind], attacks.number(records[at])), str(first)
            found += 1
            path.write_bytes(original)
    assert verify.ledger(settings.ledger_dir, believed).sound
    total = STREAMS * (RECORDS + 2)
    figures(f"T31: {found} of {4 * MUTATIONS} mutations found in {total:,} records; whole log in {slowest:.1f} s")
