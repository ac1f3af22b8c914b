"""What reached the upstream: the proof that tests stand on. In memory always, and one fsynced JSON line each on demand.

A line is written before the answer is sent, so that after any crash of the proxy the file still says what left it.
Bodies and header values stay in memory: a file of test secrets would make every search for a leaked one useless.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it arrived. `complete` is False when the connection ended inside it.

    `at` is seconds since the epoch, `connection` counts from 1, `path` includes the query, `host` is the Host header
    or `:authority`, `body` holds the wire bytes (content codings not undone; empty when bodies are not kept).
    """

    at: float
    connection: int
    method: str
    host: str
    path: str
    http_version: str
    sni: str | None
    headers: tuple[tuple[str, str], ...]
    size: int
    sha256: str
    complete: bool = True
    body: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> str | None:
        """The first value of a header, name compared without case."""
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)

    @property
    def request_id(self) -> str | None:
        """The identifier a test gave this request (`x-request-id`), to count how often it arrived."""
        return self.header("x-request-id")


class Journal:
    """Connections and requests in order of arrival. Thread-safe: the server writes on its loop, tests read anywhere."""

    def __init__(self, log: Path | None = None, *, keep: int | None = None, keep_bodies: bool = True) -> None:
        self._lock = threading.Condition()
        self._requests: list[Received] = []
        self._keep = keep
        self.keep_bodies = keep_bodies
        self.connections = 0
        """TCP connections accepted, whether or not anything followed."""
        self.handshakes = 0
        """TLS handshakes completed (equals `connections` for a server without TLS)."""
        self.total = 0
        """Requests ever received, also those that `keep` has dropped."""
        self._file = log.open("ab", buffering=0) if log else None

    def connected(self) -> int:
        """Count one accepted connection; returns its number."""
        with self._lock:
            self.connections += 1
            self._line({"event": "connection", "connection": self.connections, "at": time.time()})
            return self.connections

    def shook_hands(self) -> None:
        with self._lock:
            self.handshakes += 1

    def received(self, request: Received) -> None:
        with self._lock:
            self.total += 1
            self._requests.append(request)
            if self._keep is not None:
                del self._requests[: max(0, len(self._requests) - self._keep)]
            self._line(
                {
                    "event": "request",
                    "at": request.at,
                    "connection": request.connection,
                    "method": request.method,
                    "host": request.host,
                    "path": request.path,
                    "http_version": request.http_version,
                    "sni": request.sni,
                    "request_id": request.request_id,
                    "user_agent": request.header("user-agent"),
                    "size": request.size,
                    "sha256": request.sha256,
                    "complete": request.complete,
                }
            )
            self._lock.notify_all()

    def _line(self, entry: dict[str, object]) -> None:
        if self._file:
            self._file.write(json.dumps(entry).encode() + b"\n")
            os.fsync(self._file.fileno())

    @property
    def requests(self) -> tuple[Received, ...]:
        """Everything kept so far, oldest first."""
        with self._lock:
            return tuple(self._requests)

    def __iter__(self) -> Iterator[Received]:
        return iter(self.requests)

    def __len__(self) -> int:
        return len(self.requests)

    def posts(self, path: str = "") -> tuple[Received, ...]:
        """POST requests whose path begins with `path`."""
        return tuple(r for r in self.requests if r.method == "POST" and r.path.startswith(path))

    def wait_for(self, wanted: Callable[[tuple[Received, ...]], bool], timeout: float = 10.0) -> bool:
        """True as soon as the predicate holds over the requests; False when `timeout` seconds pass first."""
        with self._lock:
            return self._lock.wait_for(lambda: wanted(tuple(self._requests)), timeout)

    def clear(self) -> None:
        """Forget everything so far, counters too."""
        with self._lock:
            self._requests.clear()
            self.connections = self.handshakes = self.total = 0

    def close(self) -> None:
        with self._lock:
            if self._file:
                self._file.close()
                self._file = None


@dataclass(slots=True)
class Arriving:
    """A request whose head is here and whose body may still come."""

    connection: int
    method: str
    host: str
    path: str
    http_version: str
    sni: str | None
    headers: tuple[tuple[str, str], ...]
    body: bytearray = field(default_factory=bytearray, repr=False)

    def enter(self, journal: Journal, *, complete: bool) -> Received:
        """Write it into the journal, with size and digest of the body so far."""
        body = bytes(self.body)
        received = Received(
            at=time.time(),
            connection=self.connection,
            method=self.method,
            host=self.host,
            path=self.path,
            http_version=self.http_version,
            sni=self.sni,
            headers=self.headers,
            size=len(body),
            sha256=hashlib.sha256(body).hexdigest(),
            complete=complete,
            body=body if journal.keep_bodies else b"",
        )
        journal.received(received)
        return received
