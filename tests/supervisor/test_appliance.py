"""The supervisor keeps its children running, knows which are well, and ends them in order. The children are stubs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import msgspec
import pytest

from sluice import ca, config, startup, supervisor
from sluice.child import Patience
from sluice.config import Seal
from sluice.seal import outages
from sluice.selftest.running import Result
from sluice.supervisor import Appliance, End

STUB = Path(__file__).with_name("stub.py")
QUICK = Patience(start=10.0, stale=0.5, silence=1.0, settle=0.2, backoff=(0.0, 0.05, 0.1))


class Rig:
    """A running appliance of stubs. `orders` tells a stub what to do; `events` is what they did."""

    def __init__(
        self,
        directory: Path,
        patience: Patience = QUICK,
        forward: config.Forward | None = None,
        pages: socket.socket | None = None,
        **limits: float,
    ) -> None:
        self.directory = directory
        var = directory / "var"
        (directory / "stubs").mkdir()
        self.settings = config.Settings(
            proxy=config.Proxy(workers=2),
            paths=config.Paths(var=var),
            forward=forward or config.Forward(),
            limits=config.Limits(**limits),  # type: ignore[arg-type]
            selftest=config.SelfTest(seconds=0),
        )
        self.patience = patience
        startup.prepare(self.settings)
        (self.settings.run_dir / "metrics").mkdir()
        ca.Authority.load_or_create(self.settings.ca_dir, self.settings.ca)
        self.proxy = startup.bind("127.0.0.1:0", 64, "proxy.listen")
        self.admin = startup.bind("127.0.0.1:0", 64, "admin.listen")
        self.port = self.proxy.getsockname()[1]
        self.admin_url = f"http://127.0.0.1:{self.admin.getsockname()[1]}"
        command = (sys.executable, str(STUB), str(directory / "stubs"))
        self.appliance = Appliance(
            self.settings,
            None,
            proxy=self.proxy,
            admin=self.admin,
            digest="d",
            worker=command,
            shipper=command,
            sealer=(*command, "--role", "sealer"),
            pages=pages,
            console=(*command, "--role", "console"),
            patience=patience,
        )
        self.running: asyncio.Task[End] | None = None

    def orders(self, name: str, text: str) -> None:
        (self.directory / "stubs" / name).write_text(text)

    @property
    def events(self) -> list[tuple[str, int, str]]:
        file = self.directory / "stubs" / "events"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(name, int(pid), event) for name, pid, event in (line.split(" ") for line in lines)]

    def pid(self, name: str) -> int:
        """The newest process of that name that became ready."""
        return next(pid for n, pid, event in reversed(self.events) if n == name and event == "ready")

    async def start(self) -> None:
        self.running = asyncio.create_task(self.appliance.run())

    async def until(self, true: Callable[[], bool], seconds: float = 15.0) -> None:
        async with asyncio.timeout(seconds):
            while not true():
                assert self.running
                assert not self.running.done(), f"the appliance ended: {self.running.result()}"
                await asyncio.sleep(0.02)

    async def ready(self) -> None:
        await self.until(lambda: not self.appliance.missing() and self._told() >= {"worker-0", "worker-1"})

    def _told(self) -> set[str]:
        """Whose own note of being ready is in the file: it comes a moment after the word to the supervisor."""
        return {name for name, _, event in self.events if event == "ready"}

    async def ended(self, seconds: float = 20.0) -> End:
        assert self.running
        return await asyncio.wait_for(self.running, seconds)

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient() as http:
            return await http.get(self.admin_url + path)

    async def ask(self) -> str:
        """Connect to the proxy's socket; which stub answered, with its pid."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            return (await reader.read()).decode()
        finally:
            writer.close()


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Callable[..., Rig]]:
    """Makes rigs, and leaves no process behind."""
    made: list[Rig] = []

    def make(**options: object) -> Rig:
        made.append(Rig(tmp_path, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        if each.running and not each.running.done():
            each.running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await each.running
        each.proxy.close()
        each.admin.close()
        for _, pid, event in each.events:
            if event == "start":
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


async def test_ready_when_all_are(rig: Callable[..., Rig], capsys: pytest.CaptureFixture[str]) -> None:
    """Not ready while one is starting, with its name; ready when all are; then a person is told where everything is."""
    r = rig()
    r.orders("shipper", "lag 1")
    await r.start()
    await r.until(lambda: len(r.appliance.missing()) == 1)
    answer = await r.get("/readyz")
    assert (answer.status_code, answer.json()["missing"]) == (503, ["shipper is starting"])
    await r.ready()
    answer = await r.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["processes"]["worker-1"]["state"] == "ready"
    await asyncio.sleep(0.1)
    told = capsys.readouterr().out
    assert "starting 2 workers, the sealer and the shipper" in told
    assert f"http://127.0.0.1:{r.port}" in told
    assert r.admin_url in told
    assert str(r.settings.ca_dir / "ca.pem") in told
    assert (r.settings.ca_dir / "ca.pem").is_file()


async def test_a_store_that_is_down_keeps_nobody_from_working(rig: Callable[..., Rig]) -> None:
    """Ready without a store, from the start on and later: evidence is in the ledger. That it is down is told."""
    r = rig()
    r.orders("shipper", "store closed")
    await r.start()
    await r.ready()
    await r.until(lambda: r.appliance._degraded() == ("the event store is closed: events wait in the ledger",))
    assert (await r.get("/readyz")).status_code == 200
    r.orders("shipper", "")
    os.kill(r.pid("shipper"), signal.SIGKILL)
    await r.until(lambda: r.appliance._shipper.facts.get("store") == "open" and r.appliance._degraded() == ())
    await r.until(lambda: r.appliance._was_ready)
    r.orders("shipper", "store failing")
    os.kill(r.pid("shipper"), signal.SIGKILL)
    await r.until(lambda: r.appliance._degraded() == ("the event store is failing: events wait in the ledger",))
    answer = await r.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["degraded"][0].startswith("the event store is failing")


async def test_a_witness_that_is_away_is_told(rig: Callable[..., Rig]) -> None:
    """Ready all the same: a witness is never waited for. `degraded` names it until it takes checkpoints again."""
    r = rig()
    seal = Seal(witnesses=("https://w.example:8443/x",))
    r.settings = r.appliance._settings = msgspec.structs.replace(r.settings, seal=seal)
    r.settings.seal_dir.mkdir(parents=True, exist_ok=True)
    outages.write(r.settings.seal_dir, [outages.Outage("https://w.example:8443", 1_795_000_000, "HTTP 503", 4)])
    await r.start()
    await r.ready()
    told = "the witness https://w.example:8443 has taken no checkpoint since 2026-11-18 11:06:40Z (HTTP 503); 4 wait"
    await r.until(lambda: told in r.appliance._degraded())
    answer = await r.get("/readyz")
    assert answer.status_code == 200
    assert told in answer.json()["degraded"]
    outages.write(r.settings.seal_dir, [])
    await r.until(lambda: r.appliance._degraded() == ())


async def test_an_sql_interface_that_is_not_served_is_told(rig: Callable[..., Rig]) -> None:
    """Its port was taken or it has ended: ready all the same, and `degraded` says so."""
    r = rig()
    r.orders("shipper", "sql not-served")
    await r.start()
    await r.ready()
    await r.until(lambda: any("clickhouse.http_listen" in told for told in r.appliance._degraded()))
    assert (await r.get("/readyz")).status_code == 200


async def test_both_workers_serve_the_one_socket(rig: Callable[..., Rig]) -> None:
    """The socket is bound once and inherited: any worker takes a connection, and both are seen to."""
    r = rig()
    await r.start()
    await r.ready()
    async with asyncio.timeout(20):
        seen = set()
        while len(seen) < 2:
            answers = await asyncio.gather(*(r.ask() for _ in range(20)))
            seen |= {answer.split()[0] for answer in answers}
    assert seen == {"worker-0", "worker-1"}


async def test_a_killed_worker_comes_back_and_no_connection_is_lost(rig: Callable[..., Rig]) -> None:
    """kill -9 of a worker, the shipper, both workers: each comes back, and whoever connects meanwhile is served."""
    r = rig()
    await r.start()
    await r.ready()
    for victims in (["worker-0"], ["shipper"], ["worker-0", "worker-1"]):
        before = {name: r.pid(name) for name in victims}
        await asyncio.sleep(QUICK.settle + 0.1)  # in service long enough not to be a failed start
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        assert (await asyncio.wait_for(r.ask(), 10)).startswith("worker-")
        await r.until(lambda before=before: all(r.pid(name) != pid for name, pid in before.items()))  # type: ignore[misc]
        await r.ready()


async def test_restarts_are_counted_and_live_gauges_go(rig: Callable[..., Rig]) -> None:
    """The restart counter goes up by one, and the live gauges of the dead process are no longer added up."""
    from sluice import metrics

    r = rig()
    await r.start()
    await r.ready()
    counter = metrics.WORKER_RESTARTS.labels("worker")
    before, pid = counter.count, r.pid("worker-0")
    directory = r.settings.run_dir / "metrics"
    live, total = directory / f"gauge_livesum_{pid}.db", directory / f"counter_{pid}.db"
    live.touch()
    total.touch()
    os.kill(pid, signal.SIGKILL)
    await r.until(lambda: r.pid("worker-0") != pid)
    assert counter.count == before + 1
    assert not live.exists()
    assert total.exists()


async def test_a_stopped_process_is_found_and_replaced(rig: Callable[..., Rig]) -> None:
    """SIGSTOP: first no longer ready, then killed and replaced, while the other worker serves."""
    r = rig()
    await r.start()
    await r.ready()
    pid = r.pid("worker-0")
    os.kill(pid, signal.SIGSTOP)
    await r.until(lambda: any("worker-0 has been silent" in what for what in r.appliance.missing()))
    await r.until(lambda: r.pid("worker-0") != pid)
    await r.ready()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_process_that_says_nothing_is_hung(rig: Callable[..., Rig]) -> None:
    """Alive and ending connections, yet no heartbeat: killed, and named as the reason."""
    r = rig()
    r.orders("worker-1", "mute 0.5")
    await r.start()
    await r.ready()
    first = r.pid("worker-1")
    await r.until(lambda: r.pid("worker-1") != first)


async def test_noise_on_the_status_pipe_is_harmless(rig: Callable[..., Rig]) -> None:
    """Lines that are not JSON objects, bytes that are not text and endless lines change nothing; facts are scalars."""
    r = rig()
    r.orders("worker-0", "noise")
    await r.start()
    await r.ready()
    await r.until(lambda: "seen" in r.appliance._workers[0].facts)
    facts = (await r.get("/readyz")).json()["processes"]["worker-0"]
    assert "nested" not in facts
    assert "\x1b" not in facts["text"]


async def test_a_console_that_cannot_start_keeps_nobody_from_working(rig: Callable[..., Rig]) -> None:
    """It fails again and again, before the rest is ready and after: ready all the same, and `degraded` says that there
    are no pages; once it can start, that is over."""
    with socket.create_server(("127.0.0.1", 0)) as pages:
        r = rig(pages=pages)
        r.orders("console", "fail 78 console.password is readable by others")
        r.orders("shipper", "lag 0.5")
        await r.start()
        await r.ready()
        await r.until(lambda: sum((n, e) == ("console", "start") for n, _, e in r.events) > 5)
        assert (await r.get("/readyz")).status_code == 200
        assert any("console is" in trouble and "no pages" in trouble for trouble in r.appliance._degraded())
        r.orders("console", "")
        await r.until(lambda: not any("console" in trouble for trouble in r.appliance._degraded()))
        assert r.appliance.missing() == ()


def test_a_taken_port_leaves_the_appliance_without_pages() -> None:
    """The console's address is somebody else's, or not wanted: no socket, and of the first a word to the operator."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        made, told = startup.bind_console(config.Settings(console=config.Console(listen=listen)))
    assert made is None
    assert len(told) == 1
    assert f"console.listen: cannot listen on {listen}" in told[0]
    assert startup.bind_console(config.Settings(console=config.Console(listen=""))) == (None, ())


async def test_a_forwarder_that_cannot_start_keeps_nobody_from_working(
    rig: Callable[..., Rig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged cursor or a token that is gone ends the forwarder with 78, again and again: the appliance becomes ready
    all the same, and says what is amiss."""
    stub = (sys.executable, str(STUB), str(tmp_path / "stubs"), "--role", "forwarder")
    monkeypatch.setattr(supervisor, "FORWARDER", stub)
    r = rig(forward=config.Forward(to=(config.ForwardTo(name="siem", url="file:///dev/null"),)))
    r.orders("forwarder", "fail 78 siem.json: is no cursor")
    r.orders("shipper", "lag 0.5")  # the forwarder ends before everybody else is ready
    await r.start()
    await r.until(lambda: ("forwarder", "start") in {(name, event) for name, _, event in r.events})
    await r.ready()
    assert any("forwarder" in trouble for trouble in (await r.get("/readyz")).json()["degraded"])


async def test_a_misconfigured_child_ends_the_appliance(rig: Callable[..., Rig]) -> None:
    """Exit code 78 while starting: the appliance stops with the child's own words and the same code."""
    r = rig()
    r.orders("worker-1", "fail 78 policy.toml:3: unknown action `alow`")
    await r.start()
    end = await r.ended()
    assert end == End(78, "worker-1: policy.toml:3: unknown action `alow`")
    assert {name for name, _, event in r.events if event == "exit"} <= {"worker-0", "sealer", "shipper"}


async def test_five_failed_starts_end_the_appliance(rig: Callable[..., Rig]) -> None:
    """A worker that cannot start is tried five times, then the appliance stops and says why."""
    r = rig()
    r.orders("worker-0", "fail 3 no such thing")
    await r.start()
    end = await r.ended()
    assert end.code == 1
    assert "worker-0 failed 5 times" in end.message
    assert "no such thing (exit code 3)" in end.message
    assert sum(1 for name, _, event in r.events if (name, event) == ("worker-0", "start")) == 5


async def test_a_ledger_that_cannot_be_written_is_named(rig: Callable[..., Rig]) -> None:
    """Exit code 75 at every start: the message names the ledger's directory."""
    r = rig()
    r.orders("worker-0", "fail 75 ENOSPC")
    await r.start()
    end = await r.ended()
    assert end.code == 1
    assert str(r.settings.ledger_dir) in end.message


async def test_a_self_test_that_fails_is_no_readiness(rig: Callable[..., Rig]) -> None:
    """Everything runs, and a secret passes: /readyz says so and why, and the metrics with it, until it is over."""
    r = rig()
    await r.start()
    await r.ready()
    r.appliance._selftest.failed = Result.NOT_FOUND
    answer = await r.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["missing"] == ["the self-test failed: the detectors did not find a made-up secret"]
    assert "\nsluice_ready 0.0\n" in (await r.get("/metrics")).text
    r.appliance._selftest.failed = None
    assert (await r.get("/readyz")).status_code == 200


async def test_a_child_that_never_becomes_ready_is_given_up(rig: Callable[..., Rig]) -> None:
    """Heartbeats without ever being ready are not enough: killed after the time to start, five times."""
    r = rig(patience=Patience(start=0.3, silence=1.0, backoff=(0.0,)))
    r.orders("shipper", "never")
    await r.start()
    end = await r.ended()
    assert end.code == 1
    assert "shipper failed 5 times" in end.message
    assert "not ready within 0.3 s (killed by SIGKILL)" in end.message


async def test_failures_after_being_ready_do_not_end_the_appliance(rig: Callable[..., Rig]) -> None:
    """Once in service, a worker that can no longer start leaves the others serving: not ready, and tried again."""
    r = rig()
    await r.start()
    await r.ready()
    await asyncio.sleep(0.1)
    r.orders("worker-0", "fail 78 the file was broken since")
    os.kill(r.pid("worker-0"), signal.SIGKILL)
    starts = lambda: sum(1 for n, _, e in r.events if (n, e) == ("worker-0", "start"))  # noqa: E731
    await r.until(lambda: starts() > 8)
    assert (await r.ask()).startswith("worker-1")
    answer = await r.get("/readyz")
    assert answer.status_code == 503
    assert "worker-0" in answer.json()["missing"][0]
    r.orders("worker-0", "")
    await r.ready()


async def test_a_worker_with_other_rules_is_told(rig: Callable[..., Rig]) -> None:
    """A worker that was started again after the rule files changed enforces valid rules, yet not the checked ones."""
    r = rig()
    await r.start()
    await r.ready()
    r.appliance._workers[0].facts["rulebook"] = "other"
    assert r.appliance.missing() == ()
    assert "worker-0 follows other rules" in r.appliance._degraded()[0]


async def test_a_lost_sealer_is_told_and_stops_nothing(rig: Callable[..., Rig]) -> None:
    """The signing process is needed to start and is not needed to forward: without it records wait, which is said."""
    r = rig()
    await r.start()
    await r.ready()
    r.orders("sealer", "never")
    os.kill(r.pid("sealer"), signal.SIGKILL)
    await r.until(lambda: "sealer is starting: records wait unsealed" in r.appliance._degraded())
    answer = await r.get("/readyz")
    assert (answer.status_code, answer.json()["missing"]) == (200, [])
    assert "sealer is starting" in " ".join(answer.json()["degraded"])
    assert (await r.ask()).startswith("worker-")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_drain_order(rig: Callable[..., Rig], number: signal.Signals) -> None:
    """On SIGTERM or Ctrl-C: not ready and no new connections at once; workers, sealer, shipper end in order, exit 0."""
    r = rig()
    for worker in ("worker-0", "worker-1"):
        r.orders(worker, "slow 1")
    await r.start()
    await r.ready()
    os.kill(os.getpid(), number)
    await r.until(lambda: any(event == "term" for _, _, event in r.events))
    answer = await r.get("/readyz")
    assert (answer.status_code, answer.json()["missing"][0]) == (503, "stopping")
    assert r.proxy.fileno() == -1
    assert await r.ended() == End(0)
    order = [f"{name} {event}" for name, _, event in r.events if event in ("term", "exit")]
    assert set(order[:4]) == {f"worker-{i} {event}" for i in (0, 1) for event in ("term", "exit")}
    assert order[4:] == ["sealer term", "sealer exit", "shipper term", "shipper exit"]


async def test_a_deaf_worker_is_killed_when_its_time_is_up(
    rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that ignores SIGTERM, or was stopped, is killed after the grace, and the rest ends in order."""
    monkeypatch.setattr("sluice.supervisor.DRAIN_MARGIN", 0.5)
    r = rig(drain_seconds=0.5)
    r.orders("worker-0", "deaf")
    await r.start()
    await r.ready()
    os.kill(r.pid("worker-1"), signal.SIGSTOP)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await r.ended() == End(0)
    assert r.events[-1][0::2] == ("shipper", "exit")
    for name in ("worker-0", "worker-1"):
        with pytest.raises(ProcessLookupError):
            os.kill(r.pid(name), 0)


async def test_asking_twice_ends_at_once(rig: Callable[..., Rig]) -> None:
    """A second signal cuts what is in flight: nothing waits for a worker that takes its time."""
    r = rig()
    r.orders("worker-0", "slow 60")
    await r.start()
    await r.ready()
    os.kill(os.getpid(), signal.SIGTERM)
    await r.until(lambda: ("worker-0", r.pid("worker-0"), "term") in r.events)
    os.kill(os.getpid(), signal.SIGTERM)
    await r.ended(10)


async def test_stopping_during_the_start_leaves_nothing(rig: Callable[..., Rig]) -> None:
    """A signal right after the start, before anything is ready, ends every process."""
    r = rig()
    await r.start()
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await r.ended() == End(0)
    for _, pid, event in r.events:
        if event == "start":
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


async def test_sighup_changes_nothing(rig: Callable[..., Rig]) -> None:
    """SIGHUP is reserved for reloading: the appliance goes on."""
    r = rig()
    await r.start()
    await r.ready()
    os.kill(os.getpid(), signal.SIGHUP)
    await asyncio.sleep(0.2)
    assert (await r.get("/readyz")).status_code == 200


async def test_a_command_that_does_not_exist_ends_the_appliance(tmp_path: Path, rig: Callable[..., Rig]) -> None:
    """An interpreter that cannot be started is a failed start like any other."""
    r = rig()
    r.appliance._workers[0]._command = lambda status: [str(tmp_path / "missing")]
    await r.start()
    end = await r.ended()
    assert (end.code, "cannot be started: No such file" in end.message) == (1, True)


def test_listening_where_another_listens_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port in use is a problem that names the setting and the address."""
    monkeypatch.setattr(startup, "BIND_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(startup.Misconfigured, match=rf"proxy.listen: cannot listen on 127.0.0.1:{port}"):
            startup.bind(f"127.0.0.1:{port}", 64, "proxy.listen")


async def test_status_of_processes_is_json(rig: Callable[..., Rig]) -> None:
    """/readyz names each process with pid and number of starts."""
    r = rig()
    await r.start()
    await r.ready()
    shipper = json.loads((await r.get("/readyz")).text)["processes"]["shipper"]
    assert shipper["pid"] == r.pid("shipper")
    assert shipper["starts"] == 1


async def test_the_service_manager_is_told(
    rig: Callable[..., Rig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """sd_notify: READY once everything serves and not before, then signs of life, STOPPING at the end; no child hears
    of the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "300000")
        one = rig()
        assert "NOTIFY_SOCKET" not in os.environ
        await one.start()
        loop = asyncio.get_running_loop()
        said = b""
        async with asyncio.timeout(15):
            while b"READY=1" not in said:
                said = await loop.sock_recv(manager, 4096)
            assert not one.appliance.missing()
            while not said.startswith(b"WATCHDOG=1"):
                said = await loop.sock_recv(manager, 4096)
            os.kill(os.getpid(), signal.SIGTERM)
            while b"STOPPING=1" not in said:
                said = await loop.sock_recv(manager, 4096)
        assert (await one.ended()).code == 0
