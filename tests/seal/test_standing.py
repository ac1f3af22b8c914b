"""How far the evidence is sealed is read from the files, so that a dead sealer cannot keep it secret."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from sluice.ledger.writer import SMALLEST_SEGMENT, open_stream
from sluice.model import Record, RecordType
from sluice.seal import standing, store
from tests.seal import seal_rig as rig


def test_a_killed_sealer_is_seen(tmp_path: Path) -> None:
    """kill -9 of the sealer: what waits is counted, the newest checkpoint grows older, the lag is told."""
    settings = rig.deployment(tmp_path)
    rig.write(settings, 10)
    with rig.sealing(tmp_path) as process:
        rig.until(lambda: rig.sealed_size(settings) == 12)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(20)
    writer = open_stream(settings.ledger_dir, node="n", slot=0, segment_bytes=SMALLEST_SEGMENT, disk_low_bytes=1)
    writer.close()
    found = {s.stream: s for s in standing.standing(settings.ledger_dir, settings.seal_dir)}["n-w0"]
    assert (found.size, found.durable, found.unsealed) == (12, 14, 2)
    newest = store.newest(settings.seal_dir / "n-w0")
    assert newest
    assert found.age is not None
    assert found.lag is not None
    assert abs(time.time() - newest.at / 1e6 - found.age) < 5
    assert 0 <= found.lag <= found.age


def test_the_age_of_the_oldest_unsealed_record(tmp_path: Path) -> None:
    """The lag is that of the first record that no checkpoint covers, also where nothing was sealed yet."""
    import asyncio

    settings = rig.deployment(tmp_path)
    old = int((time.time() - 100) * 1e6)
    writer = open_stream(
        settings.ledger_dir,
        node="n",
        slot=0,
        segment_bytes=SMALLEST_SEGMENT,
        disk_low_bytes=1,
        clock=lambda: old * 1000,
    )
    record = Record(record_type=RecordType.DECISION, decision_id="d", ts_received=old)
    asyncio.run(writer.commit(record))
    writer.close()
    (found,) = standing.standing(settings.ledger_dir, settings.seal_dir)
    assert (found.size, found.age, found.unsealed) == (0, None, 3)
    assert found.lag is not None
    assert 99 < found.lag < 160
    rig.seal(settings)
    found, _ = standing.standing(settings.ledger_dir, settings.seal_dir)
    assert (found.size, found.unsealed, found.lag) == (3, 0, None)


def test_broken_seals_hide_nothing(tmp_path: Path) -> None:
    """A history that cannot be read counts as nothing sealed, not as an error nobody sees."""
    settings = rig.deployment(tmp_path)
    rig.write(settings, 10)
    rig.seal(settings)
    (settings.seal_dir / "n-w0" / store.HISTORY).write_bytes(b"garbage\n")
    found, _ = standing.standing(settings.ledger_dir, settings.seal_dir)
    assert (found.size, found.unsealed) == (0, 12)
