"""Evidence that waits too long is told to the workers, where the site has said how long is too long."""

from __future__ import annotations

from pathlib import Path

import pytest

from addons.worker import _overdue as read_by_a_worker
from sluice import overdue
from sluice.config import Evidence, Paths, Settings
from sluice.seal import keys
from sluice.seal.chain import Chain
from sluice.ship.batches import Outbox
from tests.ship.ship_rig import decision, write

AT_ONCE = 1e-6
"""Minutes: whatever waits is overdue."""


def settings(var: Path, **evidence: float) -> Settings:
    made = Settings(paths=Paths(var=var), evidence=Evidence(node="n", **evidence))  # type: ignore[arg-type]
    made.run_dir.mkdir(parents=True, exist_ok=True)
    return made


@pytest.fixture
def var(tmp_path: Path) -> Path:
    """A ledger that is neither sealed nor shipped."""
    write(tmp_path / "ledger", [decision(n) for n in range(5)])
    return tmp_path


def shipped(var: Path, upto: int) -> None:
    """As the shipper leaves it: so many records are acknowledged."""
    (var / "ship").mkdir(exist_ok=True)
    box = Outbox(var / "ledger" / "n-w0", var / "ship", lambda _: None)
    box.begin(0)
    box.fill(upto)
    box.acknowledge(box.freeze(upto))
    box.settle()


def test_as_shipped_nothing_is_overdue(var: Path) -> None:
    """Without a limit records may wait for ever, and a line that an earlier start left is taken away."""
    of = settings(var)
    (of.run_dir / overdue.FILE).write_text("an old line")
    assert overdue.tell(of) == ""
    assert not (of.run_dir / overdue.FILE).exists()
    assert read_by_a_worker(of.run_dir) == ""


def test_records_that_wait_for_clickhouse(var: Path) -> None:
    """The oldest record that is not acknowledged counts, also where nothing was ever shipped; the line reaches workers,
    and goes when the rows have arrived."""
    assert overdue.tell(settings(var, unshipped_minutes=30)) == ""
    of = settings(var, unshipped_minutes=AT_ONCE)
    said = overdue.tell(of)
    assert "wait for ClickHouse for more than" in said
    assert read_by_a_worker(of.run_dir) == said
    shipped(var, 3)
    assert overdue.tell(of) == said
    shipped(var, 10)
    assert overdue.tell(of) == ""
    assert read_by_a_worker(of.run_dir) == ""
    (var / "ship" / "n-w0.json").write_text("{")
    assert overdue.tell(of) == said, "what cannot be told is no reason to go on"


def test_records_that_wait_for_the_sealer(var: Path) -> None:
    """The same for what no checkpoint covers."""
    assert overdue.tell(settings(var, unsealed_minutes=30)) == ""
    of = settings(var, unsealed_minutes=AT_ONCE)
    assert "unsealed" in overdue.tell(of)
    with keys.locked(of):
        ring, signer, _ = keys.load_or_create(of)
    assert Chain(of.ledger_dir / "n-w0", of.seal_dir / "n-w0", ring).seal(signer)
    assert overdue.tell(of) == ""


def test_a_line_that_cannot_be_read_is_a_reason(tmp_path: Path) -> None:
    """A worker that cannot tell whether evidence gets on says so, and refuses."""
    (tmp_path / overdue.FILE).mkdir()
    assert "cannot be told" in read_by_a_worker(tmp_path)
