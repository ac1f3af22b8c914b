"""What becomes of a CONNECT: decrypted, passed on unread, or refused.

The destination of a tunnel is what CONNECT named, and the TLS server name must be the same host: a client that names
one host and asks for another gets nothing (a domain-fronting client would otherwise choose what we see). `judge` is
the whole table. Decided once, on the ClientHello, before a connection to anywhere exists.

| CONNECT   | first bytes            | becomes                                  |
|-----------|------------------------|------------------------------------------|
| AI        | TLS, same server name  | decrypted                                |
| AI        | TLS, another or none   | refused                                  |
| AI        | not TLS                | refused                                  |
| not AI    | TLS, same server name  | opaque                                   |
| not AI    | TLS, another           | refused (AI or not)                      |
| not AI    | TLS, none              | `tunnels.missing_sni`                    |
| not AI    | not TLS                | `tunnels.non_tls`                        |
"""

from __future__ import annotations

import time
from copy import replace
from dataclasses import dataclass

from mitmproxy import http, tls
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy import layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import ClientTLSLayer
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.layers.tls import parse_client_hello
from mitmproxy.tls import ClientHello

from addons import answers, egress, flows
from addons.http_layer import GateHttpLayer
from addons.login import Door
from addons.outcome import Outcomes
from addons.state import Core, Line, Objection, Opaque, Passage, Tunnel, passage_of
from addons.tunnel_layers import OpaqueTunnel, Refused
from sluice import metrics
from sluice.config import Tunnels
from sluice.errors import Cause, Reason
from sluice.gate import Gate
from sluice.model import Clearance, Exchange, Refusal
from sluice.targets import normalise_host

HELLO_BYTES = 64 * 1024
"""Longest ClientHello. Post-quantum key shares make 2 KB usual."""

_HANDSHAKE = 0x16
_SNI_EXTENSION = 0
_NOBODY = ""
"""Stands for a server name that is none: it agrees with nothing."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What `judge` says. `reason` and `cause` are set for a refusal."""

    tunnel: Tunnel
    reason: Reason | None = None
    cause: Cause | None = None
    detail: str = ""


def judge(connect: str, sni: str | None, *, tls: bool, ai: bool, rules: Tunnels) -> Fate:
    """The table above. `connect` and `sni` are normalised host names; `sni` None = the hello named nobody."""
    if not tls:
        if not ai and rules.non_tls == "pass":
            return Fate(Tunnel.OPAQUE, detail="not TLS")
        return Fate(Tunnel.REFUSED, Reason.NON_HTTP, Cause.NON_HTTP, "not TLS inside CONNECT")
    if sni is None:
        if not ai and rules.missing_sni == "pass":
            return Fate(Tunnel.OPAQUE, detail="no server name")
        return Fate(Tunnel.REFUSED, Reason.NO_SNI, Cause.NO_SNI, "no TLS server name")
    if sni != connect:
        return Fate(Tunnel.REFUSED, Reason.HOST_MISMATCH, Cause.HOST_MISMATCH, "CONNECT and TLS server name differ")
    return Fate(Tunnel.DECRYPTED if ai else Tunnel.OPAQUE)


def server_name(hello: ClientHello) -> str | None:
    """The one server name of a ClientHello, normalised; None when it has none.

    Raises ValueError for a hello that names more than one, or something that is not a host name: what another parser
    would make of it is anyone's guess.
    """
    named = sum(1 for kind, _ in hello.extensions if kind == _SNI_EXTENSION)
    if named == 0:
        return None
    if named > 1 or hello.sni is None:
        raise ValueError("ambiguous server name")
    return normalise_host(hello.sni)


class TunnelAddon:
    """Answers `http_connect` and `next_layer`."""

    name = "tunnel"

    def __init__(self, gate: Gate, core: Core, outcomes: Outcomes) -> None:
        self._gate = gate
        self._core = core
        self._outcomes = outcomes
        self._door = Door(gate, core)
        self._rules = core.settings.tunnels

    async def http_connect(self, flow: http.HTTPFlow) -> None:
        """Judge what CONNECT asks for, by name and port alone."""
        line = self._core.lines.of(flow.client_conn)
        passage = passage_of(flow)
        if line.tunnel is not Tunnel.NONE or line.broken:
            raise AssertionError("a second CONNECT on one connection")
        # `data.host` went through Python's idna codec; the authority is what the client sent.
        host, port = flow.request.data.authority.decode("ascii", "replace").rpartition(":")[0], flow.request.port
        try:
            host = normalise_host(host)
        except ValueError:
            host = ""
        if not host or port not in self._rules.ports:
            exchange = flows.connect_exchange(line, host, port, passage.received_at)
            detail = "port" if host else "host name"
            refusal = await self._gate.refuse(exchange, Reason.DESTINATION_FORBIDDEN, Cause.DESTINATION, detail)
            passage.exchange = exchange
            answers.give(flow, passage, refusal)
            metrics.TUNNELS.labels(Tunnel.REFUSED).inc()
            return
        exchange = flows.connect_exchange(line, host, port, passage.received_at)
        if (objection := await self._door.connect(flow, passage, line, exchange)) is not None:
            await self._turn_away(flow, passage, replace(exchange, subject=line.subject), objection)
            line.subject = line.login = None
            return
        flow.request.data.host = host
        line.connect_host, line.connect_port, line.tunnel = host, port, Tunnel.ASKED
        line.expect(self._core.limits.head_seconds)

    async def _turn_away(self, flow: http.HTTPFlow, passage: Passage, exchange: Exchange, objection: Objection) -> None:
        """No tunnel for whoever did not say who he is."""
        passage.exchange = exchange
        metrics.TUNNELS.labels(Tunnel.REFUSED).inc()
        if objection.recorded:
            refusal = await self._gate.refuse(exchange, objection.reason, objection.cause, objection.detail)
            answers.give(flow, passage, refusal)
        else:
            answers.unrecorded(flow, passage, objection)

    async def next_layer(self, nextlayer: layer.NextLayer) -> None:
        """The first bytes inside a tunnel are here, or some of them."""
        line = self._core.lines.of(nextlayer.context.client)
        host, port = line.connect_host, line.connect_port
        if line.tunnel is not Tunnel.ASKED or line.broken or host is None:
            raise AssertionError("no tunnel was asked for")
        data = nextlayer.data_client()
        if not data or (len(data) < 3 and data[0] == _HANDSHAKE):
            return
        sni: str | None = None
        if is_tls := starts_like_tls_record(data):
            try:
                hello = parse_client_hello(data)
                if hello is None and len(data) <= HELLO_BYTES:
                    return
                sni = server_name(hello) if hello is not None else _NOBODY
            except ValueError:
                sni = _NOBODY
        line.sni = sni or None
        ai = self._gate.rulebook.targets.decrypts(host, port)
        fate = judge(host, sni, tls=is_tls, ai=ai, rules=self._rules)
        if fate.reason is None and (why := egress.literal_denial(host)) is not None:
            fate = Fate(Tunnel.REFUSED, Reason.DESTINATION_FORBIDDEN, Cause.DESTINATION, why)
        exchange = flows.connect_exchange(line, host, port, time.time_ns() // 1000)
        match fate.tunnel:
            case Tunnel.DECRYPTED:
                nextlayer.layer = decrypting(nextlayer.context, host)
            case Tunnel.OPAQUE:
                fate = await self._pass(nextlayer, line, exchange, fate, tls=is_tls)
            case _:
                nextlayer.layer = Refused(nextlayer.context, tls=is_tls)
                refusal = await self._gate.refuse(exchange, fate.reason or Reason.INTERNAL, fate.cause, fate.detail)
                self._outcomes.refused(exchange, refusal)
        line.tunnel = fate.tunnel
        metrics.TUNNELS.labels(fate.tunnel).inc()

    async def _pass(self, nextlayer: layer.NextLayer, line: Line, exchange: Exchange, fate: Fate, *, tls: bool) -> Fate:
        """An opaque tunnel, if its bypass record is durable: not a byte leaves before."""
        verdict = await self._gate.bypass(exchange, fate.detail)
        if not isinstance(verdict, Clearance) or verdict.exchange_id != exchange.id:
            nextlayer.layer = Refused(nextlayer.context, tls=tls)
            if isinstance(verdict, Refusal) and verdict.receipt is not None:
                self._outcomes.refused(exchange, verdict)
            return Fate(Tunnel.REFUSED)
        line.opaque = Opaque(exchange=exchange, clearance=verdict, last_at=time.monotonic())
        line.permits.add((exchange.host, exchange.port))
        line.arrived()
        nextlayer.layer = OpaqueTunnel(nextlayer.context, line.opaque, self._rules.idle_seconds)
        return fate

    def tls_clienthello(self, hello: tls.ClientHelloData) -> None:
        """Belt: only a tunnel that was judged may begin TLS with us, and none is handed through from here."""
        hello.ignore_connection = False
        hello.establish_server_tls_first = False
        if self._core.lines.of(hello.context.client).tunnel is not Tunnel.DECRYPTED:
            raise AssertionError("TLS in a tunnel that is not to be decrypted")

    def tls_established_client(self, data: tls.TlsData) -> None:
        self._core.lines.of(data.context.client).arrived()


def decrypting(context: Context, host: str) -> layer.Layer:
    """TLS with the client, and HTTP inside it. The upstream's own TLS is made when a request is cleared; until then
    the layers only have to know that there will be one, and under which name."""
    context.server.tls = True
    context.server.sni = host
    outer = ClientTLSLayer(context)
    outer.child_layer = GateHttpLayer(context, HTTPMode.transparent)
    return outer
