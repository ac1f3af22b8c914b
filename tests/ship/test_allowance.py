"""Questions share one bound of memory: what does not fit waits, is told in the end, and delays no insert."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sluice.config import Settings
from sluice.ledger.record import encode
from sluice.ship import allowance, query
from sluice.ship.allowance import Allowance
from sluice.ship.answers import Answers
from sluice.ship.clickhouse import Embedded
from sluice.ship.reading import Question, Reading
from sluice.ship.sqlgate import SqlError
from tests.ship.ship_rig import decision

MIB = 1024**2
TOTAL = 256 * MIB
LARGE = "SELECT length(groupArray(number)) FROM numbers(8000000)"
"""Needs some 130 MB."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Embedded]:
    opened = Embedded(tmp_path / "clickhouse", "sluice", Allowance(TOTAL))
    opened.migrate()
    yield opened
    opened.close()


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def over(reading: Reading) -> None:
    os.close(reading.source)
    reading.close()


def run(reading: Reading) -> None:
    try:
        reading.run()
    finally:
        over(reading)


def test_claims_wait_for_each_other_and_are_told() -> None:
    """What fits runs at once; the rest waits until something is given back, or hears how much is taken."""
    shared = Allowance(100 * MIB)
    first, second = shared.claim(60 * MIB), shared.claim(40 * MIB)
    with pytest.raises(SqlError, match=r"may use 100 of the 100 MiB .* asks for 10 MiB") as told:
        shared.claim(10 * MIB, 0)
    assert told.value.code == 241
    taken = threading.Thread(target=lambda: shared.claim(50 * MIB, 20))
    taken.start()
    second.release()
    second.release()
    assert shared.used == 60 * MIB, "given back once"
    first.release()
    taken.join(20)
    assert shared.used == 50 * MIB
    with pytest.raises(SqlError), shared.held(60 * MIB, 0):
        raise AssertionError
    with shared.held(10 * MIB, 0):
        assert shared.used == 60 * MIB
    assert shared.used == 50 * MIB


def test_the_one_that_would_exceed_it_is_told_and_an_insert_is_not(
    engine: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One question holds all there is: the next one, over either way, gets code 241 in words; records keep coming."""
    monkeypatch.setattr(allowance, "WAIT_SECONDS", 0.0)
    reading = engine.read(Question("SELECT 1"), {"max_memory_usage": 512 * MIB})
    for ask in (lambda: engine.select("SELECT 1", "TSV"), lambda: engine.read(Question("SELECT 1"), {})):
        with pytest.raises(SqlError, match="256 of the 256 MiB that all of them share") as told:
            ask()
        assert told.value.code == 241
    engine.insert([encode(decision(1, seq=1))], "a")
    assert engine.own("SELECT count() FROM events", "TSV") == b"1\n"
    over(reading)
    assert engine.select("SELECT count() FROM events", "TSV") == b"1\n"


def test_what_asks_for_less_leaves_room_for_others(engine: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lower `max_memory_usage` is a smaller claim; a statement that is refused, or fails, keeps nothing."""
    monkeypatch.setattr(allowance, "WAIT_SECONDS", 0.0)
    small = Question("SELECT 1", settings={"max_memory_usage": str(64 * MIB)})
    readings = [engine.read(small, {}) for _ in range(4)]
    with pytest.raises(SqlError, match="MEMORY_LIMIT_EXCEEDED"):
        engine.read(small, {})
    for reading in readings:
        over(reading)
    for sql in ("SELECT file('/etc/passwd')", "SELECT nothing_of_that_name", "SELECT throwIf(1)", "SELECT 1/"):
        with pytest.raises(SqlError):
            run(engine.read(Question(sql), {}))
        with pytest.raises(SqlError):
            engine.select(sql, "TSV")
    with pytest.raises(SqlError, match="memory limit exceeded"):
        engine.select("SELECT groupArray(number) FROM numbers(200000000)", "Null")
    assert engine.select("SELECT 1", "TSV") == b"1\n"


def test_eight_large_questions_at_once_stay_within_it(engine: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each within its own bound, together four times the memory that there is: all are answered, one after the other,
    the process grows by little more than the bound, and a record that comes meanwhile is stored."""
    monkeypatch.setattr(allowance, "WAIT_SECONDS", 60.0)
    engine.select("SELECT 1", "TSV")
    before, most, done = resident(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            most[0] = max(most[0], resident())

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(engine.select, LARGE, "TSV") for _ in range(8)]
            engine.insert([encode(decision(1, seq=1))], "a")
            answers = [a.result() for a in asked]
    finally:
        done.set()
        watching.join()
    assert answers == [b"8000000\n"] * 8
    assert engine.select("SELECT count() FROM events", "TSV") == b"1\n"
    assert most[0] - before < 2 * TOTAL


def test_an_answer_that_nobody_reads_counts_until_it_is_sent(tmp_path: Path) -> None:
    """Whoever is slow to read holds his answer in the memory that all share: the next large one is refused in words."""
    shared = Allowance(10 * MIB)
    answers = Answers(query.bind(tmp_path), lambda sql, form: b"x" * (8 * MIB), shared)
    answers.start()
    slow = query.connect(tmp_path)
    try:
        slow.sendall(json.dumps({"sql": "a"}).encode() + b"\n")
        assert slow.recv(1) == b"{"
        with pytest.raises(SqlError, match="may use 8 of the 10 MiB"):
            list(query.asked(tmp_path, "b", "TSV"))
        while slow.recv(MIB):
            pass
        assert sum(map(len, query.asked(tmp_path, "c", "TSV"))) == 8 * MIB
    finally:
        slow.close()
        answers.close(5)
    assert shared.used == 0


@pytest.mark.parametrize(
    ("group", "files", "limit"),
    [
        ("0::/\n", {"sys/fs/cgroup/memory.max": "536870912\n"}, 512),
        ("0::/a/b\n", {"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "1073741824\n"}, 1024),
        (
            "3:cpu:/x\n2:memory,x:/a\n",
            {
                "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "268435456\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            256,
        ),
    ],
)
def test_the_limit_of_a_control_group_is_the_memory(
    tmp_path: Path, group: str, files: dict[str, str], limit: int
) -> None:
    """In a container, or under systemd's MemoryMax, the machine's memory is not what there is."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(group)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert allowance.memory(tmp_path) == limit * MIB


def test_without_a_number_it_is_a_share_of_the_machine(tmp_path: Path) -> None:
    """A third, between bounds: an appliance needs no setting for it."""
    assert Settings().clickhouse.questions_memory_mb == 0
    assert Allowance().total == max(128 * MIB, min(4096 * MIB, allowance.memory() // 3))
    assert allowance.memory(tmp_path) >= allowance.memory()
