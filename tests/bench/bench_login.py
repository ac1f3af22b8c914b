"""What bad logins cost whoever is logged in: `python -m tests.bench.bench_login [--seconds 20] [--rate 200]`.

Two quiet and two loud rounds by turns, on one worker's proxy core; the figure is the ratio of the 99th percentiles of
requests in a tunnel. Every bad login is a CONNECT on a connection of its own; the names and passwords are always new,
and the addresses too (loopback has many), so that locks help as little as they can.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.identity.doors import PASSWORD, basic, door, field
from tests.rig import Client
from tests.upstream import Upstream

HOST = "api.openai.com"


def bad(address: tuple[str, int], rate: float, seconds: float) -> None:
    """The attacker's process: prints how many logins it tried, by answer."""
    answers = collections.Counter[str]()

    async def attempt() -> None:
        source = f"127.{random.randrange(1, 255)}.{random.randrange(1, 255)}.{random.randrange(1, 255)}"
        said = basic(f"n{random.random()}", f"p{random.random()}")
        head = f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\nProxy-Authorization: {said}\r\n\r\n"
        try:
            reader, writer = await asyncio.open_connection(*address, local_addr=(source, 0))
            writer.write(head.encode())
            answers[(await reader.read(64))[9:12].decode()] += 1
            writer.close()
        except OSError:
            answers["none"] += 1

    async def attack() -> None:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for n in range(int(rate * seconds)):
                await asyncio.sleep(max(0.0, began + n / rate - time.perf_counter()))
                tasks.create_task(attempt())

    asyncio.run(attack())
    print(json.dumps(answers))


def attacker(address: tuple[str, int], rate: float, seconds: float) -> subprocess.Popen[str]:
    code = f"from tests.bench.bench_login import bad; bad({address!r}, {rate}, {seconds})"
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def measured(client: Client, seconds: float) -> list[float]:
    took, until = [], time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        assert client.request("POST", "/v1/chat/completions", b"{}").status == 200
        took.append(time.perf_counter() - began)
        time.sleep(0.005)
    return sorted(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=200.0)
    given = parser.parse_args()
    rounds: dict[str, list[float]] = {"quiet": [], "loud": []}
    answers = collections.Counter[str]()
    with (
        tempfile.TemporaryDirectory() as directory,
        Upstream(delay=0.0) as upstream,
        door(upstream, Path(directory)) as proxy,
    ):
        sock = proxy.connect(f"{HOST}:443", headers=field("alice", PASSWORD))
        client = Client(proxy.trusting("http/1.1").wrap_socket(sock, server_hostname=HOST), HOST)
        measured(client, 2)
        for name in ("quiet", "loud", "quiet", "loud"):
            loud = [attacker(proxy.address, given.rate, given.seconds / 2 + 4)] if name == "loud" else []
            time.sleep(3)
            rounds[name] += measured(client, given.seconds / 2)
            for process in loud:
                answers.update(json.loads(process.communicate()[0] or "{}"))
        client.close()
    for name, took in rounds.items():
        took.sort()
        p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
        print(f"{name:6} {len(took):6} requests  p50 {p50 * 1e3:6.2f} ms  p99 {p99 * 1e3:6.2f} ms")
    tried = answers.total() / (given.seconds + 8)
    print(f"bad logins: {tried:.0f}/s, answers {dict(answers)}")


if __name__ == "__main__":
    main()
