"""The shipper as it runs: a real process, the real engine, real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from clickhouse_connect.driver.exceptions import OperationalError

from sluice.config import ClickHouse, Paths, Settings
from sluice.ledger import reader
from sluice.ship.clickhouse import StoreError, _errors
from sluice.ship.query import SOCKET, ask
from sluice.ship.shipper import NICENESS
from sluice.ship.sqlgate import SqlError
from tests.ship.ship_rig import decision, settings_in, write

ROOT = Path(__file__).resolve().parents[2]


def rows(settings: Settings, sql: str) -> list[dict[str, object]]:
    data = b"".join(ask(settings, sql, "JSONEachRow"))
    return [json.loads(line) for line in data.splitlines()]


def in_ledger(settings: Settings) -> int:
    return sum(1 for stream in reader.streams(settings.ledger_dir) for _ in reader.read(stream))


class Running:
    """A shipper process as the supervisor starts it."""

    def __init__(self, var: Path, **clickhouse: object) -> None:
        self.config = var.parent / "sluice.toml"
        dsn = f'dsn = "{clickhouse["dsn"]}"\n' if "dsn" in clickhouse else ""
        self.config.write_text(
            f'[paths]\nvar = "{var}"\n[evidence]\nnode = "n"\n[clickhouse]\nbatch_rows = 50\nbatch_seconds = 0.1\n{dsn}'
        )
        out, into = os.pipe()
        command = [sys.executable, "-m", "sluice.ship.shipper", "--status-fd", str(into), "--config", str(self.config)]
        self.process = subprocess.Popen(command, pass_fds=[into], cwd=ROOT, stderr=subprocess.PIPE)
        os.close(into)
        self.status: IO[bytes] = os.fdopen(out, "rb")
        self.said: list[dict[str, object]] = []

    def wait_for(self, state: str, **facts: object) -> dict[str, object]:
        """Read the status pipe up to a line with this state and these facts."""
        for line in self.status:
            self.said.append(json.loads(line))
            if self.said[-1]["state"] == state and facts.items() <= self.said[-1].items():
                return self.said[-1]
        raise AssertionError(f"ended before it said {state}: {self.said[-3:]} {self.errors()[-2000:]}")

    def errors(self) -> str:
        assert self.process.stderr
        return self.process.stderr.read().decode()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextmanager
def running(var: Path, **clickhouse: object) -> Iterator[Running]:
    shipper = Running(var, **clickhouse)
    try:
        yield shipper
    finally:
        if shipper.process.poll() is None:
            shipper.process.kill()
            shipper.process.wait()
        shipper.status.close()
        if shipper.process.stderr:
            shipper.process.stderr.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path / "var")


def test_records_are_in_the_table_seconds_later(settings: Settings) -> None:
    """Ledger in, SQL out, while the process runs and after it has stopped; heartbeat and exit as agreed."""
    write(settings.ledger_dir, [decision(n) for n in range(120)])
    with running(settings.paths.var) as shipper:
        shipper.wait_for("ready")
        shipper.wait_for("alive", pending=0, rows=122)
        assert [s["state"] for s in shipper.said[:2]] == ["starting", "ready"]
        assert shipper.said[-1]["store"] == "open"
        assert rows(settings, "SELECT count() AS n, uniqExact(seq) AS u FROM events") == [{"n": 122, "u": 122}]
        write(settings.ledger_dir, [decision(1000)])
        shipper.wait_for("alive", pending=0, rows=125)
        with pytest.raises(SqlError, match="file"):
            list(ask(settings, "SELECT file('/etc/hostname')"))
        assert oct((settings.run_dir / SOCKET).stat().st_mode)[-3:] == "600"
        until = time.monotonic() + 30
        while rows(settings, "SELECT count() AS n FROM register_provider") == [{"n": 0}]:
            assert time.monotonic() < until, "what is declared is there too, soon after the start"
            time.sleep(0.2)
        assert shipper.stop() == 0
        lines = [json.loads(line) for line in shipper.errors().splitlines() if line.startswith("{")]
        assert not [line for line in lines if line["level"] in ("ERROR", "CRITICAL")]
    assert rows(settings, "SELECT count() AS n FROM events") == [{"n": 125}]
    with pytest.raises(SqlError, match="not allowed"):
        list(ask(settings, "SELECT file('/etc/hostname')"))


def test_a_stop_ships_what_waits(settings: Settings) -> None:
    """Records written just before the stop are in the table after it. While it runs, every thread of it stands back
    behind the workers, so that questions cost no request its time."""
    write(settings.ledger_dir, [decision(1)])
    with running(settings.paths.var) as shipper:
        shipper.wait_for("ready")
        ours = min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)
        threads = [int(task.name) for task in Path(f"/proc/{shipper.process.pid}/task").iterdir()]
        found = [os.getpriority(os.PRIO_PROCESS, thread) for thread in threads]
        assert {level for level in found if level >= 0} == {ours}  # the engine raises a watching thread, where it may
        assert len(threads) > 2
        write(settings.ledger_dir, [decision(n) for n in range(2, 30)])
        assert shipper.stop() == 0
    assert rows(settings, "SELECT count() AS n FROM events") == [{"n": in_ledger(settings)}]


@pytest.mark.parametrize("step", ["frozen", "inserted", "advanced"])
def test_kill_9_at_any_step_is_exactly_once(settings: Settings, step: str) -> None:
    """Killed before the insert, between insert and cursor, and after the cursor: no row twice, none missing."""
    write(settings.ledger_dir, [decision(n) for n in range(100)])
    write(settings.ledger_dir, [decision(n) for n in range(200, 240)], slot=1)
    for nth in (1, 2, 3):
        command = [sys.executable, "-m", "tests.ship.deadly_shipper", str(settings.paths.var), step, str(nth)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    command = [sys.executable, "-m", "tests.ship.deadly_shipper", str(settings.paths.var), "none", "1"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"drained\n"
        process.terminate()
        assert process.wait(30) == 0
    found = rows(settings, "SELECT chain_id, count() AS n, uniqExact(seq) AS u FROM events GROUP BY 1 ORDER BY 1")
    assert found == [{"chain_id": "n-w0", "n": 102, "u": 102}, {"chain_id": "n-w1", "n": 42, "u": 42}]


def test_an_unreachable_server_stops_nothing(settings: Settings) -> None:
    """With ClickHouse down the process is up, says so, counts what waits, and ends when told to."""
    write(settings.ledger_dir, [decision(n) for n in range(10)])
    with running(settings.paths.var, dsn="clickhouse://u:hunter2@127.0.0.1:9/") as shipper:
        shipper.wait_for("ready")
        assert shipper.wait_for("alive", pending=12)["store"] == "closed"
        assert shipper.stop() == 0
        assert "hunter2" not in shipper.errors()


def test_settings_that_cannot_work(settings: Settings) -> None:
    """A mistake of the operator ends the process with code 78 and the reason."""
    with running(settings.paths.var, dsn="nonsense") as shipper:
        said = shipper.wait_for("failed")
        assert "clickhouse.dsn" in str(said["reason"])
        assert shipper.process.wait(30) == 78


def test_without_its_supervisor_it_ends(settings: Settings) -> None:
    """Nobody reads the status pipe any more: the process does not linger and keep the engine locked."""
    with running(settings.paths.var) as shipper:
        shipper.wait_for("ready")
        shipper.status.close()
        assert shipper.process.wait(30) == 0


def test_a_running_question_does_not_hold_up_the_stop(settings: Settings) -> None:
    """A question that would run for half a minute is ended, the engine is closed, the exit is clean."""
    write(settings.ledger_dir, [decision(1)])
    with running(settings.paths.var) as shipper:
        shipper.wait_for("ready")
        code = (
            "import pathlib, sys; from sluice.ship.query import ask; from tests.ship.ship_rig import settings_in\n"
            "list(ask(settings_in(pathlib.Path(sys.argv[1])), 'SELECT sum(sipHash64(number)) FROM numbers(1e12)'))"
        )
        command = [sys.executable, "-c", code, str(settings.paths.var)]
        asking = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        running_now = "SELECT count() AS n FROM system.processes WHERE query LIKE 'SELECT sum(sip%' AND elapsed > 0.2"
        for _ in range(200):
            if rows(settings, running_now) == [{"n": 1}]:
                break
            time.sleep(0.1)
        assert rows(settings, running_now) == [{"n": 1}]
        began = time.monotonic()
        assert shipper.stop() == 0
        assert asking.wait(30) != 0
        assert time.monotonic() - began < 25


def test_asking_before_there_is_anything(settings: Settings) -> None:
    """No appliance and no events: the answer says how to get some."""
    with pytest.raises(SqlError, match="start the appliance with `sluice-proxy`"):
        list(ask(settings, "SELECT 1"))


def test_asking_an_unreachable_server() -> None:
    """With a server configured, the server is asked, and its absence is named."""
    configured = Settings(clickhouse=ClickHouse(dsn="clickhouse://127.0.0.1:9/"), paths=Paths(var=Path("nowhere")))
    with pytest.raises(SqlError, match=r"127\.0\.0\.1 cannot be reached"):
        list(ask(configured, "SELECT 1"))


def test_a_server_that_goes_away_is_one_plain_sentence() -> None:
    """What the driver says of a broken connection (addresses of objects, retries, its own class) is not repeated."""
    dump = "HTTPConnectionPool(host='h', port=9): Max retries exceeded with url: /? (object at 0x7f00)"
    with pytest.raises(StoreError) as e, _errors():
        raise OperationalError(f"Unexpected Http Driver Exception: {dump}") from ConnectionRefusedError(111, "refused")
    assert str(e.value) == "ClickHouse: refused"
    with pytest.raises(StoreError) as e, _errors():
        raise OperationalError(f"Error {dump}")
    assert str(e.value) == "ClickHouse: no answer"


def test_a_stale_socket_is_no_answer(settings: Settings) -> None:
    """A socket that a killed shipper left behind is not mistaken for one that answers."""
    write(settings.ledger_dir, [decision(1)])
    with running(settings.paths.var) as shipper:
        shipper.wait_for("alive", pending=0, rows=3)
        shipper.process.kill()
        shipper.process.wait()
    assert (settings.run_dir / SOCKET).exists()
    assert rows(settings, "SELECT count() AS n FROM events") == [{"n": 3}]


def test_a_second_shipper_waits_for_the_first(settings: Settings) -> None:
    """Two processes never have the engine open; the later one keeps trying and takes over."""
    write(settings.ledger_dir, [decision(1)])
    with running(settings.paths.var) as first:
        first.wait_for("alive", pending=0)
        with running(settings.paths.var) as second:
            second.wait_for("ready")
            assert second.wait_for("alive")["store"] == "closed"
            assert first.stop() == 0
            second.wait_for("alive", store="open")
            assert second.stop() == 0
