"""HAProxy, run for real in front of two nodes: one client stays with one, a node that drains gets nothing new."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
CONFIG = Path(__file__).parents[2] / "deploy" / "haproxy" / "haproxy.cfg"


class Node:
    """Stands in for an appliance: a proxy port that says its name to whoever connects, an admin port with /readyz."""

    def __init__(self, name: str) -> None:
        self.name, self.ready, self.asked = name, True, 0
        self._proxy = socket.create_server(("127.0.0.1", 0))
        self.proxy: int = self._proxy.getsockname()[1]
        node = self

        class Admin(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = self.path == "/readyz" and self.headers["host"] == "localhost"
                node.asked += known
                self.send_response(200 if known and node.ready else 503)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self._admin = ThreadingHTTPServer(("127.0.0.1", 0), Admin)
        self._admin.daemon_threads = True
        self.admin: int = self._admin.server_address[1]
        threading.Thread(target=self._admin.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._proxy.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            head = connection.recv(16, socket.MSG_WAITALL)
            if head[:12] == SIGNATURE:  # as a node with proxy.protocol_from reads it
                connection.recv(int.from_bytes(head[14:]), socket.MSG_WAITALL)
            while said := connection.recv(1024):
                connection.sendall(f"{self.name}:".encode() + said)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it may be gone already
            self._proxy.shutdown(socket.SHUT_RDWR)
        self._proxy.close()
        self._admin.shutdown()
        self._admin.server_close()


@pytest.fixture(scope="module")
def program() -> str:
    found = shutil.which("haproxy") or "/usr/sbin/haproxy"
    if not Path(found).exists():
        pytest.skip("haproxy is not installed")
    return found


@pytest.fixture
def front(program: str, tmp_path: Path) -> Iterator[tuple[int, dict[str, Node]]]:
    """HAProxy with the shipped file, its addresses put in the place of the example's; its port and the two nodes."""
    nodes = {name: Node(name) for name in ("node1", "node2")}
    with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as other:
        port, stats = free.getsockname()[1], other.getsockname()[1]
    text = CONFIG.read_text("utf-8").replace("10.20.0.10:8080", f"127.0.0.1:{port}").replace(":8404", f":{stats}")
    for name, address in (("node1", "10.20.0.11:8080 port 8081"), ("node2", "10.20.0.12:8080 port 8081")):
        text = text.replace(address, f"127.0.0.1:{nodes[name].proxy} port {nodes[name].admin}")
    text = text.replace("inter 1s", "inter 50ms").replace("maxconn 8000", "maxconn 200")
    if os.geteuid() != 0:  # only root can become somebody
        text = text.replace("    user haproxy", "    # user").replace("    group haproxy", "    # group")
    file = tmp_path / "haproxy.cfg"
    file.write_text(text)
    process = subprocess.Popen([program, "-db", "-f", file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: ask(port) in nodes)
        yield port, nodes
    finally:
        process.terminate()
        process.wait(10)
        for node in nodes.values():
            node.close()


def ask(port: int) -> str:
    """Which node answers a new connection; empty when none does."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(b"hello")
            return connection.recv(1024).decode().partition(":")[0]
    except OSError:
        return ""


def until(true: object, seconds: float = 15.0) -> None:
    assert callable(true)
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_file_is_valid(program: str) -> None:
    """`haproxy -c` takes the shipped file without a warning."""
    done = subprocess.run([program, "-c", "-f", CONFIG], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


def test_a_node_that_drains_gets_nothing_new_and_keeps_what_it_has(front: tuple[int, dict[str, Node]]) -> None:
    """/readyz 503: new connections go to the other node, the open one goes on; ready again: the client comes back."""
    port, nodes = front
    first = ask(port)
    assert {ask(port) for _ in range(5)} == {first}
    with socket.create_connection(("127.0.0.1", port), 5) as open_:
        open_.sendall(b"one")
        assert open_.recv(1024).decode() == f"{first}:one"
        nodes[first].ready = False
        other = "node2" if first == "node1" else "node1"
        until(lambda: ask(port) == other)
        open_.sendall(b"two")
        assert open_.recv(1024).decode() == f"{first}:two"
    nodes[first].ready = True
    until(lambda: ask(port) == first)
    assert all(node.asked for node in nodes.values())


def test_a_node_that_is_gone_is_left_out(front: tuple[int, dict[str, Node]]) -> None:
    """A dead node: every new connection reaches the other."""
    port, nodes = front
    dead = ask(port)
    nodes[dead].close()
    other = "node2" if dead == "node1" else "node1"
    until(lambda: ask(port) == other)
    assert {ask(port) for _ in range(5)} == {other}
