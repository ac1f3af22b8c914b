"""Traffic whose every request can be recognised again: at the upstream by its id, in the ledger by its body's HMAC."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from sluice.detect.evidence import Fingerprinter
from tests.bench.load import connect, exchange

KEY_FILE = "fingerprint-k1.key"


@dataclass
class Sent:
    """What the clients sent and what they were told: request id -> status (None: the connection broke)."""

    statuses: dict[str, int | None] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


def body_of(request_id: str, text: str) -> bytes:
    """A chat request that holds its own id."""
    messages = [{"role": "user", "content": f"request {request_id}: {text}"}]
    return json.dumps({"model": "gpt-5.5", "messages": messages}).encode()


def body_hmac(var: Path, body: bytes) -> str:
    """The fingerprint that the appliance of this `var` gives to a body."""
    return Fingerprinter((var / "keys" / KEY_FILE).read_bytes(), "k1").fingerprint("body", body)


class Clients:
    """Threads that post until told to stop, over keep-alive connections that they open anew when one breaks."""

    def __init__(self, proxy: str, ca: Path, *, count: int = 4, rate: float = 120.0, text: str = "hello") -> None:
        parts = urlsplit(proxy)
        self._proxy = (parts.hostname or "127.0.0.1", parts.port or 8080)
        self._ca, self._text, self._gap = str(ca), text, count / rate
        self.sent = Sent()
        self.refused_connections = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self) -> None:
        sock: ssl.SSLSocket | None = None
        while not self._stop.is_set():
            if sock is None:
                try:
                    sock = connect(self._proxy, "api.openai.com:443", self._ca)
                except OSError:
                    with self.sent.lock:
                        self.refused_connections += 1
                    time.sleep(0.05)
                    continue
            request_id = str(uuid.uuid4())
            body = body_of(request_id, self._text)
            with self.sent.lock:
                self.sent.statuses[request_id] = None
                self.sent.bodies[request_id] = body
            head = (
                "POST /v1/chat/completions HTTP/1.1\r\nHost: api.openai.com\r\nContent-Type: application/json\r\n"
                f"X-Request-Id: {request_id}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            try:
                status = exchange(sock, head.encode() + body)
                with self.sent.lock:
                    self.sent.statuses[request_id] = status
            except (OSError, ValueError):
                with contextlib.suppress(OSError):
                    sock.close()
                sock = None
            time.sleep(self._gap)
