"""The worker as the supervisor runs it: a process with an inherited socket, a status pipe, and a real ledger."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sluice import keys
from sluice.config import Paths, Settings
from sluice.errors import Misconfigured
from sluice.ledger.reader import read, streams
from tests.rig import Client, connect
from tests.rig.warm import warm
from tests.upstream import Upstream

AI = "api.openai.com"
CARD = b'{"model":"gpt-5","messages":[{"role":"user","content":"my card is 4111 1111 1111 1111, exp 09/29"}]}'
CHAT = b'{"model":"gpt-5","messages":[{"role":"user","content":"What is the tallest tree?"}]}'


class Worker:
    """One `python -m addons.worker`, its socket, and what it says on the status pipe."""

    def __init__(
        self,
        directory: Path,
        upstream: Upstream,
        extra: str = "",
        environ: dict[str, str] | None = None,
        prepare: Callable[[Path], None] = lambda _: None,
    ) -> None:
        self.directory = directory
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self.listening.getsockname()
        directory.mkdir()
        warm(directory / "var")
        prepare(directory)
        (directory / "upstream.pem").write_bytes(upstream.ca_pem)
        self.config = directory / "sluice.toml"
        self.config.write_text(
            f'[upstream]\ntrusted_ca = "upstream.pem"\n[upstream.hosts]\n"{AI}" = "{upstream.address}"\n{extra}'
        )
        status, told = os.pipe()
        self._status = os.fdopen(status, "rb", buffering=0)
        self.log = directory / "worker.log"
        command = [sys.executable, "-P", "-m", "addons.worker", "--slot", "0", "--config", str(self.config)]
        command += ["--listen-fd", str(self.listening.fileno()), "--status-fd", str(told)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                pass_fds=(self.listening.fileno(), told),
                stderr=log,
                env=os.environ | (environ or {}),
                cwd=Path(__file__).parents[2],
            )
        os.close(told)
        self._buffer = b""

    def line(self, timeout: float = 60.0) -> dict[str, Any] | None:
        """The next thing it says; None when it has closed the pipe."""
        until = time.monotonic() + timeout
        os.set_blocking(self._status.fileno(), False)
        while b"\n" not in self._buffer:
            assert time.monotonic() < until, self.log.read_text()
            piece = self._status.read(65536)
            if piece == b"":
                return None
            if piece is None:
                time.sleep(0.01)
                continue
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        return json.loads(line)  # type: ignore[no-any-return]

    def until(self, state: str) -> dict[str, Any]:
        while (said := self.line()) is not None:
            if said["state"] == state:
                return said
        raise AssertionError(f"it never said {state}: {self.log.read_text()}")

    def tunnel(self) -> Client:
        context = ssl.create_default_context(cafile=str(self.directory / "var" / "ca" / "ca.pem"))
        return Client(context.wrap_socket(connect(self.address, f"{AI}:443"), server_hostname=AI), AI)

    def hang_up(self) -> None:
        self._status.close()

    def records(self) -> list[Any]:
        return [e.record for stream in streams(self.directory / "var" / "ledger") for e in read(stream)]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        with contextlib.suppress(OSError):
            self._status.close()
        self.listening.close()


@pytest.fixture
def start(tmp_path: Path, upstream: Upstream) -> Iterator[Callable[..., Worker]]:
    running: list[Worker] = []

    def make(**options: Any) -> Worker:
        running.append(Worker(tmp_path / f"w{len(running)}", upstream, **options))
        return running[-1]

    yield make
    for one in running:
        one.close()


def test_life_of_a_worker(start: Callable[..., Worker], upstream: Upstream) -> None:
    """Starting, ready, alive; a prompt is forwarded and another blocked, both with a decision and an outcome in the
    ledger; SIGTERM lets a stream under way finish, and ends with code 0."""
    worker = start()
    assert worker.line() == {"state": "starting"}
    worker.until("ready")
    settings = Settings(paths=Paths(var=worker.directory / "var"))
    keys.rotate(settings)  # what it writes carries the key that it began with, which cannot be destroyed therefore
    assert [(k.id, k.in_force) for k in keys.versions(settings)] == [("k1", True), ("k2", False)]
    with pytest.raises(Misconfigured, match="running workers"):
        keys.destroy(settings, "k1")
    with worker.tunnel() as client:
        assert client.request("POST", "/v1/chat/completions", CHAT).status == 200
        blocked = client.request("POST", "/v1/chat/completions", CARD)
        assert blocked.status == 400
        assert b"4111" not in blocked.body
    alive = worker.until("alive")
    assert {"connections", "inflight", "lag_ms", "rulebook"} <= alive.keys()
    with upstream.hold(after=1) as release, worker.tunnel() as client:
        client.send(f"GET /_/events/3 HTTP/1.1\r\nHost: {AI}\r\n\r\n".encode())
        got = client.sock.recv(65536)
        worker.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert worker.process.poll() is None
        release()
        while b'"n": 2' not in got:
            got += client.sock.recv(65536)
    assert worker.process.wait(20) == 0
    kinds = [(str(r.record_type), r.decision, r.reason_code, r.forwarded) for r in worker.records()]
    decisions = [k for k in kinds if k[0] == "decision"]
    outcomes = [k for k in kinds if k[0] == "outcome"]
    assert [d[1] for d in decisions] == ["allow", "block", "allow"]
    assert sorted(o[3] for o in outcomes) == [False, True, True]
    assert "4111" not in worker.log.read_text()
    assert kinds[0][0] == kinds[-1][0] == "control"


@pytest.mark.timeout(60)
def test_a_body_that_drips_is_ended(start: Callable[..., Worker], upstream: Upstream) -> None:
    """A client that keeps its request alive with a byte now and then is disconnected; others are not disturbed."""
    worker = start(extra="[limits]\nbody_seconds = 1.5\n")
    worker.until("ready")
    with worker.tunnel() as slow, worker.tunnel() as other:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {AI}\r\nContent-Type: application/json\r\n"
        slow.send(head.encode() + b"Content-Length: 1000\r\n\r\n{")
        until = time.monotonic() + 30
        with pytest.raises(OSError):
            while time.monotonic() < until:
                slow.send(b" ")
                time.sleep(0.2)
        assert other.request("POST", "/v1/chat/completions", CHAT).status == 200


def test_a_failing_ledger_ends_the_worker(start: Callable[..., Worker], upstream: Upstream) -> None:
    """When the disk refuses a record nothing is forwarded any more and the process ends with code 75."""
    worker = start()
    worker.until("ready")
    with worker.tunnel() as client:
        assert client.request("POST", "/v1/chat/completions", CHAT).status == 200
        received = len(upstream.journal)
        resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (0, 0))
        with contextlib.suppress(OSError):
            assert client.request("POST", "/v1/chat/completions", CHAT).status == 400
    assert worker.until("failed")["reason"]
    assert worker.process.wait(20) == 75
    assert len(upstream.journal) == received


def test_an_orphan_ends(start: Callable[..., Worker]) -> None:
    """A worker whose supervisor is gone notices by its pipe and ends by itself."""
    worker = start()
    worker.until("ready")
    worker.hang_up()
    assert worker.process.wait(20) == 0


BAD = {
    "key log": ("", {"SSLKEYLOGFILE": "/tmp/keys"}, "SSLKEYLOGFILE"),
    "unknown setting": ("[proxy]\nrawtcp = true\n", {}, "rawtcp"),
    "bad policy": ('[paths]\npolicy = "no-such-policy.toml"\n', {}, "no-such-policy.toml"),
}


@pytest.mark.parametrize("name", BAD)
def test_misconfigured(name: str, start: Callable[..., Worker]) -> None:
    """T10: settings that cannot be meant stop the start: code 78, one reason on the pipe, never ready."""
    extra, environ, word = BAD[name]
    worker = start(extra=extra, environ=environ)
    said = []
    while (line := worker.line()) is not None:
        said.append(line)
    assert worker.process.wait(20) == 78
    assert [s["state"] for s in said] == ["starting", "failed"]
    assert word in said[-1]["reason"]


def spoil_authority(directory: Path) -> None:
    ca = directory / "var" / "ca"
    ca.mkdir(parents=True, mode=0o700)
    for name in ("ca.pem", "ca.key"):
        (ca / name).write_text("not PEM")
        (ca / name).chmod(0o600)


def spoil_ledger(directory: Path) -> None:
    (directory / "var").mkdir(exist_ok=True)
    (directory / "var" / "ledger").write_text("a file where a directory should be")


@pytest.mark.parametrize(("spoil", "code"), [(spoil_authority, 78), (spoil_ledger, 75)])
def test_what_it_needs_and_cannot_have(spoil: Callable[[Path], None], code: int, start: Callable[..., Worker]) -> None:
    """T10: a CA that cannot be read, a ledger that cannot be written: one reason, never ready, its own exit code."""
    worker = start(prepare=spoil)
    said = []
    while (line := worker.line()) is not None:
        said.append(line)
    assert worker.process.wait(20) == code, worker.log.read_text()
    assert [s["state"] for s in said] == ["starting", "failed"]
    assert said[-1]["reason"]
