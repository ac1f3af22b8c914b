"""Real receivers: a syslog collector over TCP or TLS and a webhook, which can be told to be slow, deaf or choosy."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

FRAME = re.compile(rb"(\d+) ")
MESSAGE = re.compile(
    r"<(?P<pri>\d{1,3})>1 (?P<at>\S+) (?P<host>\S+) (?P<app>\S+) (?P<proc>\S+) (?P<id>\S+) "
    r"\[(?P<sd>(?:[^\\\]]|\\.)*)\] (?P<text>.*)",
    re.S,
)
PARAM = re.compile(r'(\w+)="((?:[^"\\\]]|\\.)*)"')


def parsed(message: bytes) -> dict[str, str]:
    """An RFC 5424 message taken apart; its structured data too. Raises AssertionError for one that is none."""
    found = MESSAGE.fullmatch(message.decode("ascii"))
    assert found, message
    params = {name: re.sub(r"\\(.)", r"\1", value) for name, value in PARAM.findall(found["sd"])}
    return {k: v for k, v in found.groupdict().items() if v is not None} | params


class Collector:
    """Reads frames by their length. `deaf`: takes connections and reads nothing."""

    def __init__(self, context: ssl.SSLContext | None = None, *, port: int = 0, deaf: bool = False) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._context, self._deaf = context, deaf
        self.messages: list[bytes] = []
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gone, connections and all."""
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # a close alone would let the other thread's call go on
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
                if self._context is not None:
                    connection = self._context.wrap_socket(connection, server_side=True)
            except ssl.SSLError:
                continue
            except OSError:
                return
            self._open.append(connection)
            if not self._deaf:
                threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        data = b""
        while True:
            try:
                chunk = connection.recv(65536)
            except OSError:
                return
            if not chunk:
                return
            data += chunk
            while (found := FRAME.match(data)) and len(data) >= found.end() + int(found[1]):
                end = found.end() + int(found[1])
                self.messages.append(data[found.end() : end])
                data = data[end:]


class Hook:
    """An HTTP endpoint. `answer` gives the status for a list of events."""

    def __init__(self, answer: Callable[[list[dict[str, Any]]], int] = lambda _: 200) -> None:
        self.events: list[dict[str, Any]] = []
        self.requests: list[tuple[dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.requests.append(({k.lower(): v for k, v in self.headers.items()}, body))
                events = json.loads(body)
                status = answer(events)
                if status == 200:
                    outer.events += events
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook?x=1"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def lines(file: Path) -> list[dict[str, Any]]:
    """Every whole line; one that was cut off, by a crash or because it is just being written, is passed over."""
    found = []
    for line in file.read_bytes().split(b"\n") if file.exists() else []:
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found
