"""Evidence that waits too long is told to the workers, where the site has said how long is too long."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from addons.worker import LINE_SECONDS
from addons.worker import _overdue as read
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


def read_by_a_worker(of: Settings) -> str:
    return read(of, time.time())


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
    assert read_by_a_worker(of) == ""


def test_records_that_wait_for_clickhouse(var: Path) -> None:
    """The oldest record that is not acknowledged counts, also where nothing was ever shipped; the line reaches workers,
    and goes when the rows have arrived."""
    assert overdue.tell(settings(var, unshipped_minutes=30)) == ""
    of = settings(var, unshipped_minutes=AT_ONCE)
    said = overdue.tell(of)
    assert "wait for ClickHouse for more than" in said
    assert read_by_a_worker(of) == said
    shipped(var, 3)
    assert overdue.tell(of) == said
    shipped(var, 10)
    assert overdue.tell(of) == ""
    assert read_by_a_worker(of) == ""
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


@pytest.mark.parametrize("trouble", ["never written", "unreadable", "no text", "grown old"])
def test_a_line_that_tells_nothing_is_a_reason(tmp_path: Path, trouble: str) -> None:
    """Where there is a limit, a worker that cannot tell whether evidence gets on says so, and refuses."""
    of = settings(tmp_path, unshipped_minutes=30)
    line = of.run_dir / overdue.FILE
    if trouble == "unreadable":
        line.mkdir()
    elif trouble == "no text":
        line.write_bytes(b"\xff")
    elif trouble == "grown old":
        (tmp_path / "ledger").mkdir()
        assert overdue.tell(of) == ""
        assert read_by_a_worker(of) == ""
        old = time.time() - LINE_SECONDS - 1
        os.utime(line, (old, old))
    assert read_by_a_worker(of) == overdue.UNKNOWN
    assert read_by_a_worker(settings(tmp_path)) == "", "without a limit nobody asks"


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), ValueError("x"), RuntimeError("x")])
def test_a_look_that_fails_is_a_reason(var: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Whatever keeps the supervisor from looking reaches the workers as a reason to refuse, and the next look cures."""
    of = settings(var, unshipped_minutes=30)
    with monkeypatch.context() as patch:
        patch.setattr(overdue, "overdue", lambda _: (_ for _ in ()).throw(error))
        assert overdue.tell(of) == overdue.UNKNOWN
        assert read_by_a_worker(of) == overdue.UNKNOWN
    assert overdue.tell(of) == ""
    assert read_by_a_worker(of) == ""


def test_a_line_that_cannot_be_left_is_told(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk: the supervisor says so itself, and does not fall over."""
    of = settings(var, unshipped_minutes=30)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(overdue.durable, "write", full)
    assert overdue.tell(of) == overdue.UNKNOWN
    assert read_by_a_worker(of) == overdue.UNKNOWN


def test_a_line_that_is_kept_stays_young(var: Path) -> None:
    """Each look touches the line, also when it says the same."""
    of = settings(var, unshipped_minutes=30)
    overdue.tell(of)
    line = of.run_dir / overdue.FILE
    os.utime(line, (1, 1))
    overdue.tell(of)
    assert time.time() - line.stat().st_mtime < LINE_SECONDS
