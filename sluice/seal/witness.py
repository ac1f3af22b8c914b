"""Copies of checkpoints where this machine cannot change them: a directory, an HTTP server, a syslog collector.

Rules
1. A witness is never waited for: each has a thread, and sealing goes on whatever becomes of it.
2. What matters is the newest checkpoint of each stream. A witness that was away is given that, not everything between.
3. A copy is done when the other side said so (syslog over UDP never does). Until then it is pending, tried again with
   growing waits, and counted. After a restart everything newest is sent once more.

A directory holds `<stream>/checkpoint`, `<stream>/checkpoints` and `keys.json` as the seal directory does, so that
`sluice verify --witness` reads it; mount it from elsewhere, or it goes with the machine. HTTP: PUT of the note to
`<url>/<stream>/checkpoint` and of the keys to `<url>/keys.json`; a status of 200 to 299 is a yes. Syslog: RFC 5424, one
message with the note as base 64; TCP framed by octet counts (RFC 6587).
"""

from __future__ import annotations

import base64
import http.client
import logging
import os
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from sluice import durable, metrics
from sluice.ledger import checkpoint
from sluice.ledger.checkpoint import Checkpoint
from sluice.ledger.note import BadNote
from sluice.seal import keyring, store
from sluice.seal.keyring import Keyring
from sluice.seal.outages import Outage
from sluice.seal.store import Sealed

log = logging.getLogger("sluice.seal")

TIMEOUT_SECONDS = 10.0
WAITS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Wait after the first, second, ... failure in a row; the last one stays."""
_NOTICE = 13 * 8 + 5
"""Priority of a syslog message: facility 13 (log audit), severity notice."""


class Witness(ABC):
    """One place for copies. `kind` is its label in metrics, `name` what people are told: never a password or a path of
    an address."""

    kind: str
    name: str

    @abstractmethod
    def send(self, stream: str, sealed: Sealed) -> None:
        """Bring one checkpoint there. Raises OSError, `http.client.HTTPException` when that did not work."""

    def send_keys(self, keys: bytes) -> None:
        """Bring the list of public keys there (`keyring`), where there is a place for it. Raises as `send` does."""
        del keys

    def newest(self, stream: str, ring: Keyring) -> Checkpoint | None:
        """The newest checkpoint of ours that it holds, where it can be asked. Raises OSError."""
        del stream, ring
        return None


class Directory(Witness):
    """A directory, best on another machine."""

    kind = "directory"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)

    def send(self, stream: str, sealed: Sealed) -> None:
        place = self.path / stream
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        last = store.newest(place) if (place / store.HISTORY).exists() else None
        if last is None or last.note != sealed.note:
            durable.append(place / store.HISTORY, msgspec.json.encode(sealed) + b"\n")
        durable.write(place / store.LATEST, sealed.note.encode())

    def send_keys(self, keys: bytes) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        durable.write(self.path / keyring.FILE, keys, 0o644)

    def newest(self, stream: str, ring: Keyring) -> Checkpoint | None:
        try:
            note = (self.path / stream / store.LATEST).read_text("utf-8", "replace")
            return ring.checkpoint(note)
        except (FileNotFoundError, BadNote):
            return None  # what nobody of ours signed says nothing about us


class Http(Witness):
    """A server that takes PUT. No proxy of the environment is used: it may be this very gate."""

    kind = "http"

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        parts = urllib.parse.urlsplit(url)
        self.name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def send(self, stream: str, sealed: Sealed) -> None:
        self._put(f"{urllib.parse.quote(stream)}/checkpoint", sealed.note.encode(), "text/plain; charset=utf-8")

    def send_keys(self, keys: bytes) -> None:
        self._put(keyring.FILE, keys, "application/json")

    def _put(self, name: str, data: bytes, kind: str) -> None:
        request = urllib.request.Request(  # noqa: S310 - the operator's own http or https address
            f"{self._url}/{name}", data=data, method="PUT", headers={"content-type": kind}
        )
        with self._opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            answer.read(1024)


class Syslog(Witness):
    """A collector that speaks RFC 5424."""

    kind = "syslog"

    def __init__(self, host: str, port: int, *, stream: bool) -> None:
        self._to = (host, port)
        self._stream = stream
        self.name = f"syslog+{'tcp' if stream else 'udp'}://{host}:{port}"

    def send(self, stream: str, sealed: Sealed) -> None:
        message = self.message(stream, sealed)
        if self._stream:
            with socket.create_connection(self._to, timeout=TIMEOUT_SECONDS) as to:
                to.sendall(f"{len(message)} ".encode() + message)
                to.shutdown(socket.SHUT_WR)
                while to.recv(1024):
                    pass  # a collector that closes has taken it
            return
        family, kind, protocol, _, address = socket.getaddrinfo(*self._to, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as to:
            to.sendto(message, address)

    @staticmethod
    def message(stream: str, sealed: Sealed) -> bytes:
        """One line: who, which stream and size, and the whole note as base 64. No structured data of our own."""
        at = datetime.fromtimestamp(sealed.at / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        size = checkpoint.unverified(sealed.note).size
        note = base64.b64encode(sealed.note.encode()).decode()
        head = f"<{_NOTICE}>1 {at} {socket.gethostname() or '-'} sluice {os.getpid()} checkpoint -"
        return f"{head} stream={stream} size={size} note={note}".encode()


def make(text: str) -> Witness:
    """The witness of a setting's value."""
    if "://" not in text:
        return Directory(Path(text))
    parts = urllib.parse.urlsplit(text)
    if parts.scheme.startswith("syslog+"):
        return Syslog(parts.hostname or "", parts.port or 514, stream=parts.scheme == "syslog+tcp")
    return Http(text)


class Copies:
    """All witnesses at work: `offer` a checkpoint and go on."""

    def __init__(self, witnesses: Sequence[Witness], waits: Sequence[float] = WAITS) -> None:
        self.witnesses = tuple(witnesses)
        self._desks = [_Desk(w, waits) for w in witnesses]

    def start(self) -> None:
        for desk in self._desks:
            desk.start()

    def offer(self, stream: str, sealed: Sealed) -> None:
        for desk in self._desks:
            desk.offer(stream, sealed)

    def offer_keys(self, keys: bytes) -> None:
        """The list of public keys goes the same way: a witness's copies can be checked after a rotation too."""
        for desk in self._desks:
            desk.offer(keyring.FILE, keys)

    @property
    def pending(self) -> int:
        """Newest checkpoints that a witness does not have yet."""
        return sum(desk.pending for desk in self._desks)

    @property
    def outages(self) -> tuple[Outage, ...]:
        """The witnesses that do not take what they are given, though they were asked more than once."""
        return tuple(outage for desk in self._desks if (outage := desk.outage))  # each is another thread's

    def close(self, seconds: float) -> None:
        """Give what is pending one last chance of so many seconds."""
        until = time.monotonic() + seconds
        for desk in self._desks:
            desk.close(max(0.0, until - time.monotonic()))


class _Desk:
    """The thread of one witness."""

    def __init__(self, witness: Witness, waits: Sequence[float]) -> None:
        self._witness = witness
        self._waits = waits
        self._changed = threading.Condition()
        self._newest: dict[str, Sealed | bytes] = {}
        self._closing = False
        self.outage: Outage | None = None
        """Set from the second failure in a row on, until something is taken."""
        self._thread = threading.Thread(target=self._run, name=f"witness-{witness.kind}", daemon=True)
        self.start: Callable[[], None] = self._thread.start

    @property
    def pending(self) -> int:
        return len(self._newest)

    def offer(self, stream: str, sealed: Sealed | bytes) -> None:
        with self._changed:
            self._newest[stream] = sealed
            self._changed.notify()

    def close(self, seconds: float) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        failures, since = 0, 0.0
        while True:
            with self._changed:
                while not self._newest and not self._closing:
                    self._changed.wait()
                if not self._newest:
                    return
                stream, sealed = next(iter(self._newest.items()))
            try:
                if isinstance(sealed, bytes):
                    self._witness.send_keys(sealed)
                else:
                    self._witness.send(stream, sealed)
            except (OSError, ValueError, http.client.HTTPException) as e:
                failures += 1
                since = since if failures > 1 else time.time()
                metrics.SEAL_WITNESS_FAILURES.labels(self._witness.kind).inc()
                if failures == 1:
                    facts = {"witness": self._witness.name, "error": _why(e), "pending": self.pending}
                    log.warning("a witness does not take checkpoints; it is tried again", extra={"facts": facts})
                else:
                    self.outage = Outage(self._witness.name, int(since), _why(e), self.pending)
                with self._changed:
                    if self._closing:
                        return
                    self._changed.wait_for(
                        lambda: self._closing, timeout=self._waits[min(failures, len(self._waits)) - 1]
                    )
                continue
            if failures:
                log.info("a witness takes checkpoints again", extra={"facts": {"witness": self._witness.name}})
            failures, self.outage = 0, None
            with self._changed:
                if self._newest.get(stream) is sealed:
                    del self._newest[stream]


def _why(error: BaseException) -> str:
    """Why a copy was not taken, in words that hold nothing of the witness's address: the library's may."""
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    reason = getattr(error, "reason", None)
    inner = reason if isinstance(reason, BaseException) else error
    return inner.strerror if isinstance(inner, OSError) and inner.strerror else type(inner).__name__
