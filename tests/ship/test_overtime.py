"""A question that the engine cannot end costs the shipper its process, and nobody the SQL."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sluice.ship.clickhouse import Embedded
from sluice.ship.overtime import Overtime
from sluice.ship.query import ask
from sluice.ship.reading import Question
from sluice.ship.sqlgate import SqlError
from tests.ship.ship_rig import settings_in

ROOT = Path(__file__).resolve().parents[2]
IMPATIENT = """
import pathlib, sys, time
from sluice.heartbeat import Status
from sluice.ship import clickhouse, overtime
from sluice.ship.shipper import Shipper
from tests.ship.ship_rig import settings_in
clickhouse.READ_SETTINGS["max_execution_time"] = 1
overtime.Overtime.__init__.__defaults__ = (time.monotonic, 1.0)
Shipper(settings_in(pathlib.Path(sys.argv[1])), Status(1)).run()
"""
ENDLESS = "SELECT hasAll(range(1000000), range(1, 1000001))"


def test_only_what_goes_on_after_time_and_grace_is_too_much() -> None:
    """A question that ended, or has its grace yet, is none; a slow reader's time is not the question's."""
    now = 0.0
    waiting = True
    counted = Overtime(lambda: now, 30)
    end = counted.begin(30)
    now = 60.0
    assert not counted.exceeded()
    now = 60.1
    assert counted.exceeded()
    end()
    assert not counted.exceeded()
    counted.begin(10, lambda: waiting)
    now = 500.0
    assert not counted.exceeded()
    waiting = False
    now = 530.0
    assert not counted.exceeded()
    now = 530.1
    assert counted.exceeded()


def test_a_reading_waits_while_its_pipe_is_not_empty(store: Embedded) -> None:
    """What nobody has read yet holds the engine up; a question that is over waits for nobody."""
    store.overtime = Overtime(lambda: 0.0)
    reading = store.read(Question("SELECT number FROM numbers(1000000)"), {})
    assert not reading.waits()
    running = threading.Thread(target=reading.run)
    running.start()
    with os.fdopen(reading.source, "rb", buffering=0) as source:
        first = source.read(1)
        assert first == b"0"
        assert reading.waits()
        while source.read(1 << 20):
            pass
    running.join()
    assert not reading.waits()
    reading.close()
    assert not store.overtime.exceeded()


@pytest.mark.parametrize("name", ["arrayLevenshteinDistance", "arraySimilarity", "arrayLevenshteinDistanceWeighted"])
def test_distances_of_arrays_are_not_offered(store: Embedded, name: str) -> None:
    """They take hours of one row, and are of no use on records."""
    with pytest.raises(SqlError, match=f"function '{name}' is not allowed"):
        store.select(f"SELECT {name}([1], [2])", "TSV")
    assert store.select("SELECT hasAll([1, 2], [2]), hasAny([1], [2])", "TSV") == b"1\t0\n"


def test_a_question_without_end_ends_the_shipper(tmp_path: Path) -> None:
    """The engine does not end it; the process does, by itself, cleanly, and says why. Another one then answers."""
    settings = settings_in(tmp_path / "var")
    command = [sys.executable, "-c", IMPATIENT, str(settings.paths.var)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as shipper:
        assert shipper.stdout
        try:
            while b'"ready"' not in (line := shipper.stdout.readline()):
                assert line
            with pytest.raises(SqlError, match=r"ended before it answered|did not answer"):
                list(ask(settings, ENDLESS, "TSV"))
            assert shipper.wait(30) == 0
            assert b"would not end" in shipper.stdout.read()
        finally:
            shipper.kill()
    assert b"".join(ask(settings, "SELECT 1", "TSV")) == b"1\n"
