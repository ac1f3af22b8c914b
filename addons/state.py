"""What the proxy remembers while a connection lives: one `Line` per client connection, one `Passage` per request.

Rules of this room
- Nothing here decides. The guard writes a clearance or a refusal into a passage; the layers and the outcome read it.
- A passage ends exactly once (`ended`), and whoever ends it gives back the bytes that it held.
- A line that is `broken` never carries another byte upstream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import cast

from mitmproxy import connection, http
from mitmproxy.proxy import commands
from mitmproxy.proxy.context import Context

from addons.headcheck import Head
from sluice.answers import Reader
from sluice.config import Limits, Settings
from sluice.errors import Cause, Reason
from sluice.identity.login import Logins
from sluice.identity.users import User
from sluice.model import Answer, Clearance, Exchange, Refusal, Subject, Target

_KEY = "sluice"

type Address = tuple[str, int]


class Tunnel(StrEnum):
    """What became of a client's CONNECT."""

    NONE = "none"
    ASKED = "asked"
    DECRYPTED = "decrypted"
    OPAQUE = "opaque"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Peer:
    """What is known of an upstream connection once TLS stands."""

    tls_version: str | None
    certificate: str | None
    """SHA-256 of the leaf, hex."""
    verified: bool


@dataclass(frozen=True, slots=True)
class Objection:
    """Why the proxy itself refuses a request, before the gate is asked. `detail` never quotes the request.

    `recorded`: False for what a flood repeats (further logins while locked out): it is counted, and its lock recorded.
    """

    reason: Reason
    cause: Cause | None = None
    detail: str = ""
    recorded: bool = True


@dataclass(slots=True, eq=False)
class Passage:
    """**P** (exchange, credential) The way of one request through the proxy. Times are microseconds since the epoch."""

    head: Head
    received_at: int
    exchange: Exchange | None = field(default=None, repr=False)
    target: Target | None = None
    clearance: Clearance | None = None
    refusal: Refusal | None = None
    answer: Answer | None = field(default=None, repr=False)
    credential: str | None = field(default=None, repr=False)
    """What a plain request brought to log in with, from its head to its judgement."""
    objection: Objection | None = None
    """Set while the head is judged: the answer is given at once, and the body is dropped as it arrives."""
    overflow: Objection | None = None
    """The body passed a limit while it arrived; what there was of it is gone."""
    held: int = 0
    """Bytes of the body that count against the worker's budget."""
    complete_at: int = 0
    decided_at: int | None = None
    forwarded_at: int | None = None
    """Set once the connection to the upstream stands (its TLS too), before the first byte of the request leaves."""
    first_byte_at: int | None = None
    line: Line | None = None
    server: connection.Server | None = None
    peer: Peer | None = None
    upstream_status: int | None = None
    upstream_error: str | None = None
    reason: str | None = None
    response_bytes: int = 0
    reader: Reader | None = field(default=None, repr=False)
    """Reads the answer as it passes; None where there is nothing to read."""
    organisation: str | None = None
    project: str | None = None
    client_gone: bool = False
    deciding: bool = False
    """The gate has it: nobody else may end it meanwhile, so that the two records keep their order."""
    ended: bool = False

    def count(self, chunk: bytes) -> bytes:
        """The stream function of the response: counts, lets the reader see, and passes on, one chunk for one chunk."""
        self.response_bytes += len(chunk)
        if self.reader is not None:
            self.reader.feed(chunk)
        return chunk

    @property
    def cleared(self) -> bool:
        """True when a clearance for exactly this exchange is in hand and nothing was refused since."""
        return (
            self.clearance is not None
            and self.exchange is not None
            and self.clearance.exchange_id == self.exchange.id
            and self.refusal is None
        )


@dataclass(slots=True, eq=False)
class Opaque:
    """An opaque tunnel: the exchange its bypass record is about, and what went through."""

    exchange: Exchange
    clearance: Clearance
    last_at: float
    """When a byte last passed, on the event loop's clock."""
    up: int = 0
    down: int = 0
    server: connection.Server | None = None
    """Set once the connection stands."""
    error: str | None = None
    reason: str | None = None
    ended: bool = False


@dataclass(slots=True, eq=False)
class Line:
    """One client connection. `close` ends it; `permits` are the addresses that it may have connections to."""

    client: connection.Client
    close: Callable[[], None]
    tunnel: Tunnel = Tunnel.NONE
    connect_host: str | None = None
    connect_port: int = 0
    sni: str | None = None
    agreed: str | None = None
    """The Host header that was last found to agree with the tunnel: clients send the same one every time."""
    permits: set[Address] = field(default_factory=set)
    passages: set[Passage] = field(default_factory=set)
    opaque: Opaque | None = None
    subject: Subject | None = None
    """Who was proven, or named by a trusted proxy, on CONNECT."""
    login: User | None = None
    """The line of the user file by which that was proven."""
    deadline: asyncio.TimerHandle | None = None
    broken: bool = False
    gone: bool = False

    def expect(self, seconds: float) -> None:
        """Close the connection unless `arrived` is called in time."""
        self.arrived()
        self.deadline = asyncio.get_running_loop().call_later(seconds, self.close)

    def arrived(self) -> None:
        """What the deadline was for is here."""
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None


class Lines:
    """Every open client connection of this worker, by the id that mitmproxy gave it."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}

    def open(self, line: Line) -> None:
        self._lines[line.client.id] = line

    def of(self, client: connection.Client) -> Line:
        """Raises KeyError for a connection that is gone: whoever asks on its behalf must not go on."""
        return self._lines[client.id]

    def close(self, client: connection.Client) -> None:
        if line := self._lines.pop(client.id, None):
            line.arrived()
            line.gone = True

    def end_slow_bodies(self, before: int) -> int:
        """Close every connection on which a request that began before (microseconds since the epoch) is still
        sending its body; how many requests that were. Nothing was decided of them, so nothing of them is recorded."""
        slow = 0
        for line in self:
            waiting = [p for p in line.passages if not (p.complete_at or p.ended) and p.received_at < before]
            if waiting:
                slow += len(waiting)
                line.close()
        return slow

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[Line]:
        return iter(tuple(self._lines.values()))


@dataclass(slots=True)
class Inflight:
    """What this worker has in inspection right now."""

    requests: int = 0
    bytes: int = 0

    def release(self, passage: Passage) -> None:
        """Give back what a passage held. Harmless a second time."""
        self.bytes -= passage.held
        passage.held = 0


@dataclass(slots=True)
class Core:
    """What the protocol layers need to know of the house. `run_hook` runs a hook in place and says True, or says False
    when it has to await; the master puts the dispatcher's in."""

    settings: Settings
    lines: Lines = field(default_factory=Lines)
    inflight: Inflight = field(default_factory=Inflight)
    logins: Logins | None = None
    run_hook: Callable[[commands.StartHook], bool] = lambda _: False

    @property
    def limits(self) -> Limits:
        return self.settings.limits


def core_of(context: Context) -> Core:
    """The core that `master.frozen` put beside the options of every layer."""
    return cast("Core", context.options.core)


def attach(flow: http.HTTPFlow, passage: Passage) -> None:
    """Give a flow its passage. Called once, by the layer that read the head."""
    flow.metadata[_KEY] = passage


def passage_of(flow: http.HTTPFlow) -> Passage:
    """Raises KeyError for a flow that no layer of ours has read: such a flow must not go on."""
    return cast("Passage", flow.metadata[_KEY])
