"""One upstream and one proxy for all tests here that need nothing special; others make their own."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rig import ObedientGate, Proxy
from tests.upstream import Upstream
from tests.upstream.pki import server_context


@pytest.fixture(scope="session")
def _upstream() -> Iterator[Upstream]:
    with Upstream(delay=0.0) as upstream:
        yield upstream


@pytest.fixture(scope="session")
def _proxy(_upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with Proxy(_upstream.address, _upstream.ca_pem, tmp_path_factory.mktemp("proxy")) as proxy:
        yield proxy


@pytest.fixture
def upstream(_upstream: Upstream) -> Upstream:
    """The shared upstream, its journal empty."""
    _upstream.forget()
    _upstream.override = None
    return _upstream


@pytest.fixture
def proxy(_proxy: Proxy, upstream: Upstream) -> Proxy:
    """The shared proxy with a gate that allows everything and remembers nothing yet; no test before left it work."""
    deadline = time.monotonic() + 10
    while _proxy.listener.connections and time.monotonic() < deadline:
        time.sleep(0.005)
    upstream.forget()
    gate: ObedientGate = _proxy.gate
    gate.reset()
    return _proxy


@pytest.fixture
def make_proxy(upstream: Upstream, tmp_path: Path) -> Iterator[Callable[..., Proxy]]:
    """Starts a proxy of a test's own, with any setting of `Proxy`; stopped at the end."""
    running: list[Proxy] = []

    def start(**options: Any) -> Proxy:
        made = Proxy(upstream.address, upstream.ca_pem, tmp_path / f"proxy{len(running)}", **options)
        running.append(made.__enter__())
        return made

    yield start
    for one in running:
        one.__exit__()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Logged errors are expected here; what they may say is tested in test_silence.py."""
    ours = logging.getLogger("sluice")
    kept = ours.level
    ours.setLevel(os.environ.get("SLUICE_TEST_LOG", "CRITICAL"))
    yield
    ours.setLevel(kept)


@pytest.fixture
def raw_upstream(upstream: Upstream) -> Iterator[Callable[[Proxy, str, bytes], None]]:
    """Points one host of a proxy at a TLS server that answers every read with the same bytes, whatever they are; with
    none it hangs up."""
    stop = threading.Event()
    sockets: list[socket.socket] = []

    def serve(proxy: Proxy, host: str, reply: bytes) -> None:
        context = server_context(*upstream.authority.leaf([host]), ("http/1.1",))
        listening = socket.create_server(("127.0.0.1", 0))
        sockets.append(listening)

        def accept() -> None:
            while not stop.is_set():
                try:
                    sock, _ = listening.accept()
                    threading.Thread(target=answer, args=(sock,), daemon=True).start()
                except OSError:
                    return

        def answer(sock: socket.socket) -> None:
            try:
                with context.wrap_socket(sock, server_side=True) as tls:
                    while tls.recv(65536) and reply:
                        tls.sendall(reply)
            except OSError:
                return

        threading.Thread(target=accept, daemon=True).start()
        hosts = proxy.loop._hosts  # type: ignore[attr-defined]
        hosts[host] = (hosts[host][0], listening.getsockname()[1])

    yield serve
    stop.set()
    for one in sockets:
        one.close()
