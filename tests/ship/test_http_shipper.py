"""The SQL interface in the process that owns the engine: beside shipping, beside `sluice sql`, and gone with it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import pytest

from sluice import config
from sluice.config import Settings
from sluice.errors import Misconfigured
from sluice.ship.http import credentials
from sluice.ship.http.app import Engine
from sluice.ship.http.listener import Listener
from sluice.ship.query import ask
from tests.ship.ship_rig import decision, settings_in, write

ROOT = Path(__file__).resolve().parents[2]


class Running:
    """A shipper with the interface on."""

    def __init__(self, var: Path, listen: str) -> None:
        file = var.parent / "sluice.toml"
        file.write_text(
            f'[paths]\nvar = "{var}"\n[evidence]\nnode = "n"\n'
            f'[clickhouse]\nbatch_rows = 50\nbatch_seconds = 0.1\nhttp_listen = "{listen}"\n'
        )
        out, into = os.pipe()
        command = [sys.executable, "-m", "sluice.ship.shipper", "--status-fd", str(into), "--config", str(file)]
        self.process = subprocess.Popen(command, pass_fds=[into], cwd=ROOT, stderr=subprocess.PIPE)
        os.close(into)
        self.status: IO[bytes] = os.fdopen(out, "rb")

    def wait_for(self, **facts: object) -> dict[str, object]:
        for line in self.status:
            said: dict[str, object] = json.loads(line)
            if facts.items() <= said.items():
                return said
        raise AssertionError("the shipper ended")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextmanager
def running(settings: Settings, listen: str = "127.0.0.1:0") -> Iterator[Running]:
    shipper = Running(settings.paths.var, listen)
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


def over_http(url: object, settings: Settings, sql: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(str(url)).netloc, timeout=30)
    keys = {"X-ClickHouse-User": credentials.USER, "X-ClickHouse-Key": credentials.password(settings)}
    connection.request("POST", "/", sql, keys)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_both_ways_of_asking_while_records_are_shipped(settings: Settings) -> None:
    """Rows arrive, HTTP and the socket answer the same, and the password is in the log by its path alone."""
    write(settings.ledger_dir, [decision(n) for n in range(60)])
    with running(settings) as shipper:
        alive = shipper.wait_for(state="alive", pending=0, rows=62)
        assert over_http(alive["sql"], settings, "SELECT count() FROM events") == (200, b"62\n")
        assert b"".join(ask(settings, "SELECT count() FROM events", "TSV")) == b"62\n"
        write(settings.ledger_dir, [decision(1000)])
        shipper.wait_for(state="alive", pending=0, rows=65)
        assert over_http(alive["sql"], settings, "SELECT count() FROM events") == (200, b"65\n")
        assert over_http(alive["sql"], settings, "SELECT file('/etc/hostname')")[0] == 403
        assert shipper.stop() == 0
        assert shipper.process.stderr
        log = shipper.process.stderr.read().decode()
    assert str(credentials.password_file(settings)) in log
    assert credentials.password(settings) not in log
    assert "hostname" not in log
    assert not [line for line in log.splitlines() if '"ERROR"' in line]


@pytest.mark.parametrize(
    "sql",
    ["SELECT sum(sipHash64(number)) FROM numbers(1e12)", "SELECT number, repeat('x', 100) FROM numbers(9000000)"],
)
def test_a_question_over_http_does_not_hold_up_the_stop(settings: Settings, sql: str) -> None:
    """Computing for half a minute, or streaming to a client that does not read: the exit is clean and soon."""
    write(settings.ledger_dir, [decision(1)])
    with running(settings) as shipper:
        alive = shipper.wait_for(state="alive", pending=0)
        where = urlsplit(str(alive["sql"]))
        with socket.create_connection((where.hostname, where.port or 0)) as connection:
            head = "POST / HTTP/1.1\r\nHost: x\r\nX-ClickHouse-User: sluice\r\nX-ClickHouse-Key: "
            head += f"{credentials.password(settings)}\r\nContent-Length: {len(sql)}\r\n\r\n"
            connection.sendall(head.encode() + sql.encode())
            busy = "SELECT count() FROM system.processes WHERE query NOT LIKE '%processes%' AND query LIKE '%numbers%'"
            for _ in range(200):
                if b"".join(ask(settings, busy, "TSV")) == b"1\n":
                    break
                time.sleep(0.05)
            else:
                raise AssertionError("the question did not begin")
            began = time.monotonic()
            assert shipper.stop() == 0
            assert time.monotonic() - began < 20
        with running(settings) as again:
            again.wait_for(state="alive", store="open")
            assert again.stop() == 0


def test_an_address_that_is_taken_keeps_nothing_from_shipping(settings: Settings) -> None:
    """Another program has the port: the log and the heartbeat say so, records are shipped all the same."""
    write(settings.ledger_dir, [decision(1)])
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        with running(settings, listen) as shipper:
            alive = shipper.wait_for(state="alive", pending=0, rows=3)
            assert alive["sql"] == "not served"
            assert shipper.stop() == 0
            assert shipper.process.stderr
            log = shipper.process.stderr.read().decode()
    assert listen in log
    assert "its address cannot be had" in log


def test_an_interface_that_ends_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong inside it ends its thread and nothing else, and the listener says that it serves no more."""

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("made to fail")

    monkeypatch.setattr("sluice.ship.http.listener._Server.serve", broken)
    listener = Listener("127.0.0.1:0", Engine(_nothing, _nothing, "sluice"), "a password of some length")
    listener.start()
    assert listener.close(10)
    assert not listener.serving


def _nothing(*_: object) -> Any:
    raise AssertionError("nobody asks")


def test_off_unless_asked_for(settings: Settings) -> None:
    """As shipped there is no listener and no password."""
    with running(settings, "") as shipper:
        assert "sql" not in shipper.wait_for(state="alive", store="open")
        assert shipper.stop() == 0
    assert not credentials.password_file(settings).exists()


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('http_listen = "0.0.0.0:8123"', "this machine alone"),
        ('http_listen = "10.0.0.1:8123"', "this machine alone"),
        ('http_listen = "localhost:8123"', "this machine alone"),
        ('http_listen = "8123"', "this machine alone"),
        ('http_listen = "127.0.0.1:8123"\ndsn = "clickhouse://u:p@h:8123/"', "embedded engine"),
    ],
)
def test_settings_that_cannot_work(tmp_path: Path, lines: str, words: str) -> None:
    """Not loopback, not an address, or beside a server: an error that names the key."""
    file = tmp_path / "sluice.toml"
    file.write_text(f"[clickhouse]\n{lines}\n")
    with pytest.raises(Misconfigured, match=r"clickhouse\.http_listen") as e:
        config.load(file, {})
    assert words in str(e.value)
