"""CPU per request of the proxy core alone: our master with a gate that allows everything, against `mitmdump -q`.

Both proxy to the same nginx (TLS, keep-alive), from the same load client, in turns, one process each. What the gate,
the ledger and the shipper cost is not in here (`bench_gate.py` has the whole). Loopback only; needs nginx.

    python -m tests.bench.bench_core [--quick] [--profile FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import cProfile
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from addons.egress import GuardedLoop
from addons.master import GateMaster, Listener
from addons.tls import GateTls
from addons.worker import settle_memory
from sluice import ca, logs
from sluice.model import Exchange
from tests.bench.bench_gate import cpu_seconds, load, mitmdump, nginx, running, tree, wait_port
from tests.rig.gate import ObedientGate
from tests.rig.ports import free_port
from tests.rig.proxy import settings_for


class Allow(ObedientGate):
    """Allows everything, keeps nothing, and suspends once as a real commit does."""

    async def clear(self, exchange: Exchange) -> object:  # type: ignore[override]
        await asyncio.sleep(0)
        return self.allow(exchange)

    async def outcome(self, outcome: object) -> None:  # type: ignore[override]
        await asyncio.sleep(0)


def serve(directory: Path, port: int, upstream: str, upstream_ca: Path, profile: Path | None) -> None:
    """The core as a process, until SIGTERM."""
    logs.setup("bench")
    settings = settings_for(directory, upstream, upstream_ca.read_bytes(), hosts=("api.openai.com",))

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)
        stop = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        authority = ca.Authority.load_or_create(settings.ca_dir, settings.ca)
        master = GateMaster(settings, Allow(), GateTls(settings, authority))  # type: ignore[arg-type]
        listener = Listener(master)
        settle_memory()
        with socket.create_server(("127.0.0.1", port)) as listening:
            await listener.start(listening)
            await stop.wait()
            listener.refuse()

    profiler = cProfile.Profile() if profile else None
    with asyncio.Runner(loop_factory=lambda: GuardedLoop(settings)) as runner:
        if profiler:
            profiler.enable()
        runner.run(run())
    if profiler and profile:
        profiler.disable()
        profiler.dump_stats(profile)


@contextlib.contextmanager
def core(directory: Path, upstream: int, ca_file: Path, profile: Path | None) -> Iterator[tuple[int, int, Path]]:
    """The core as a child process; (port, pid, CA file)."""
    port = free_port()
    home = directory / "core"
    home.mkdir()
    command = [sys.executable, "-m", "tests.bench.bench_core", "--serve", str(home), str(port), str(upstream)]
    command += [str(ca_file), *(["--profile", str(profile)] if profile else [])]
    with running(command, log=directory / "core.log") as process:
        wait_port(port)
        yield port, process.pid, home / "var" / "ca" / "ca.pem"


def compare(size: int, requests: int, rounds: int, profile: Path | None) -> float:
    """Print one row and return the ratio core / mitmdump."""
    with tempfile.TemporaryDirectory() as tmp:
        directory = Path(tmp)
        with (
            nginx(directory) as (upstream, ca_file),
            mitmdump(directory, ca_file) as (m_port, m_pid, m_ca),
            core(directory, upstream, ca_file, profile) as (c_port, c_pid, c_ca),
        ):
            warm = max(64, requests // 5)
            load(m_port, f"localhost:{upstream}", m_ca, size=size, requests=warm)
            load(c_port, "api.openai.com:443", c_ca, size=size, requests=warm)
            m_ms: list[float] = []
            c_ms: list[float] = []
            for _ in range(rounds):
                for port, pid, name, trust, into in (
                    (m_port, m_pid, f"localhost:{upstream}", m_ca, m_ms),
                    (c_port, c_pid, "api.openai.com:443", c_ca, c_ms),
                ):
                    before = cpu_seconds(tree(pid))
                    load(port, name, trust, size=size, requests=requests)
                    into.append((cpu_seconds(tree(pid)) - before) / requests * 1000)
    m, c = min(m_ms), min(c_ms)
    print(f"{size / 1024:8.0f} KB   mitmdump -q {m:7.3f} ms   core {c:7.3f} ms   ratio {c / m:5.2f}x", flush=True)
    return c / m


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer requests: a look, not a measurement")
    parser.add_argument("--profile", type=Path, help="write a cProfile of the core (its figures then mean nothing)")
    parser.add_argument("--serve", nargs=4, metavar=("DIR", "PORT", "UPSTREAM", "CA"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        directory, port, upstream, ca_file = args.serve
        serve(Path(directory), int(port), f"127.0.0.1:{upstream}", Path(ca_file), args.profile)
        return
    print("CPU per request of the proxy core, keep-alive, 8 connections, best of the rounds:", flush=True)
    compare(4096, 800 if args.quick else 4000, 2 if args.quick else 3, args.profile)
    compare(1024 * 1024, 48 if args.quick else 160, 1 if args.quick else 3, None)


if __name__ == "__main__":
    main()
