"""T58: many users on one hop. Whoever a request names is who it is of, and nobody else's request."""

from __future__ import annotations

import ipaddress
import random
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from sluice.identity import Resolver
from sluice.model import Exchange
from tests.rig import Client, ObedientGate, Proxy
from tests.upstream import Upstream

AI = "api.openai.com"
REQUESTS = 10_000
CONNECTIONS = 8
TRUSTING = Resolver([ipaddress.ip_network("127.0.0.0/8")])
HAPROXY = """
global
    maxconn 256
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend people
    bind 127.0.0.1:{listen}
    http-request set-header X-Authenticated-User %[req.hdr(X-Said-At-The-Door)]
    http-request del-header X-Said-At-The-Door
    default_backend gate
backend gate
    http-reuse always
    server gate {address} maxconn 3 pool-max-conn 3
"""
HOPS = ["shared connections", *(["haproxy"] if shutil.which("haproxy") else [])]
"""The real HAProxy where there is one; connections on which users take turns, as it makes them, everywhere."""


class Witness(ObedientGate):
    """Refuses everything, and compares who the sender is with whom the body says."""

    def __init__(self) -> None:
        super().__init__(self._compare)  # type: ignore[arg-type]
        self.resolver = TRUSTING
        self.right = 0
        self.wrong: list[str] = []

    def _compare(self, _: ObedientGate, exchange: Exchange) -> object:
        if self.resolver.resolve(exchange).id == f"user:{exchange.body.decode()}":
            self.right += 1
        else:
            self.wrong.append(exchange.body.decode())
        return self.block(exchange)


@contextmanager
def haproxy(address: tuple[str, int], directory: Path) -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        listen = probe.getsockname()[1]
    config = directory / "haproxy.cfg"
    config.write_text(HAPROXY.format(listen=listen, address=f"{address[0]}:{address[1]}"))
    process = subprocess.Popen(["haproxy", "-db", "-f", str(config)], stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", listen), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield "127.0.0.1", listen
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("hop", HOPS)
def test_identity_never_crosses_on_one_hop(hop: str, tmp_path: Path) -> None:
    """10,000 interleaved requests of 50 users over a few connections to the gate: not one is taken for another's."""
    gate = Witness()
    with Upstream() as upstream, Proxy(upstream.address, upstream.ca_pem, tmp_path / "proxy", gate=gate) as proxy:
        real = hop == "haproxy"
        header = "X-Said-At-The-Door" if real else "X-Authenticated-User"
        with haproxy(proxy.address, tmp_path) if real else nullcontext(proxy.address) as address:
            failures: list[BaseException] = []

            def talk(number: int) -> None:
                users = random.Random(number)
                try:
                    with Client(socket.create_connection(address, timeout=30), AI) as client:
                        for _ in range(REQUESTS // CONNECTIONS):
                            name = f"person-{users.randrange(50)}"
                            said = ((header, name), ("Content-Type", "text/plain"))
                            answer = client.request("POST", f"http://{AI}/v1/x", name.encode(), headers=said, host=AI)
                            assert answer.status == 400
                except BaseException as e:
                    failures.append(e)

            threads = [threading.Thread(target=talk, args=(n,)) for n in range(CONNECTIONS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert not failures, failures[0]
        assert (gate.right, gate.wrong) == (REQUESTS, [])
