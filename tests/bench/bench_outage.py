"""T22: the store is away for long while traffic goes on at a steady rate. What clients notice, and what arrives after.

Three loads of the same rate, one after the other: with the store there, with the store held by another process (the
shipper cannot open it), and with it back. Printed: the latency of the first and the second as a ratio, the rows a
second of the backlog beside the third, and the account at the end: requests answered = decisions = outcomes in the
store, each once.

    python -m tests.bench.bench_outage [--rate 300] [--seconds 1800] [--before 120]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sluice import config
from sluice.config import Settings
from tests.bench.bench_gate import ROOT, load, nginx, sluice
from tests.bench.bench_lag import LOOK_SECONDS, rows, shipper

HOLDER = """
import sys
import chdb.session
session = chdb.session.Session(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
session.close()
"""
"""Opens the store and keeps it, so that nobody else can."""
HOLD_SECONDS = 60.0


def hold(store: Path, supervisor: int) -> subprocess.Popen[bytes]:
    """Take the store away from the shipper: it is killed, and the holder is quicker than the next one.

    Raises: TimeoutError after `HOLD_SECONDS`.
    """
    deadline = time.monotonic() + HOLD_SECONDS
    while time.monotonic() < deadline:
        os.kill(shipper(supervisor), 9)
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(store)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert holder.stdout
        if holder.stdout.readline() == b"held\n":
            return holder
        holder.kill()
        holder.wait()
    raise TimeoutError("the shipper was always the first to open the store")


def count(settings: Settings) -> tuple[int, int, int]:
    """(decisions, outcomes, rows that are there more than once) of the load; zeros while nobody answers."""
    which = "FROM events WHERE record_type IN ('decision', 'outcome') AND provider_id = 'openai'"
    found = rows(
        settings,
        "SELECT countIf(record_type = 'decision'), countIf(record_type = 'outcome'), "
        f"count() - uniqExact(chain_id, epoch, seq) {which}",
    )
    return (int(found[0][0]), int(found[0][1]), int(found[0][2])) if found else (0, 0, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=300.0, help="requests a second, in all three loads")
    parser.add_argument("--seconds", type=float, default=1800.0, help="how long the store is away")
    parser.add_argument("--before", type=float, default=120.0, help="how long the first load is")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with (
            nginx(directory) as (upstream, ca),
            sluice(directory, upstream, ca, options.workers) as (port, supervisor, own, _),
        ):
            settings = config.load(directory / "sluice.toml", environ={})
            answered = 0

            def paced(seconds: float) -> dict[str, float]:
                nonlocal answered
                figures = load(port, "api.openai.com:443", own, rate=options.rate, requests=int(options.rate * seconds))
                answered += int(figures["requests"])
                return figures

            paced(20)
            there = paced(options.before)
            print(f"with the store: {there}; load {os.getloadavg()[0]:.1f}", flush=True)
            holder = hold(directory / "var" / "clickhouse", supervisor)
            try:
                away = paced(options.seconds)
            finally:
                holder.communicate(b"")
            print(f"without it:     {away}; load {os.getloadavg()[0]:.1f}", flush=True)
            for name_of in ("p50_ms", "p99_ms"):
                print(f"  {name_of[:3]} {away[name_of] / there[name_of]:.2f}x", flush=True)
            command = [sys.executable, "-m", "tests.bench.load", "--proxy", f"127.0.0.1:{port}", "--ca", str(own)]
            command += ["--authority", "api.openai.com:443", "--rate", str(options.rate), "--requests", "100000000"]
            waiting = int(options.rate * options.seconds) * 2
            with subprocess.Popen(command, cwd=ROOT) as beside:
                try:
                    while not (first := count(settings))[0]:
                        time.sleep(LOOK_SECONDS)
                    began = time.perf_counter()
                    last = first
                    while sum(last[:2]) < 2 * answered:
                        time.sleep(LOOK_SECONDS)
                        last = count(settings)
                    took = time.perf_counter() - began
                    assert beside.poll() is None, "the load ended early"
                finally:
                    beside.kill()
            moved = sum(last[:2]) - sum(first[:2])
            print(f"back: {moved:,} rows in {took:.1f} s, {moved / took:,.0f} rows/s beside traffic", flush=True)
            print(f"  (the backlog was {waiting:,} rows; {sum(last[:2]):,} rows were there at the end)", flush=True)
            print(f"doubled: {last[2]}", flush=True)


if __name__ == "__main__":
    main()
