"""The proxy side of the house: everything that touches traffic, in the order in which it does. Start reading here.

Only this package imports mitmproxy. It translates flows into our types, enforces what the gate decided, and decides
nothing itself. One request's way:

    master.Listener      accepts a connection from the socket that the supervisor bound
    handler.GateHandler  sockets and hooks of that connection
    http_layer, http1, http2
                         HTTP from the client; `headcheck` and `chunks` judge it before a flow exists
    login                who holds the connection, where clients log in
    tunnel               CONNECT: decrypt, pass unread (`tunnel_layers`), or refuse
    tls                  TLS with the client (a certificate of the site's CA) and with the upstream (strict)
    guard                refused from its first byte on, until the gate gave a clearance; `flows` and `answers`
                         translate to and from our own types
    websocket            no protocol upgrade passes
    streams.GateStream   asks for that clearance once more, then contacts the upstream
    egress.GuardedLoop   judges the address at the moment of connecting
    outcome              streams the answer, and writes how it ended (`failure`: why it did not begin)

Beside the way: `dispatch` says what "refused" means when one of these fails; `state` is what is remembered per
connection and per request; `options` lists the mitmproxy options that this gate refuses to start with; `patches` is the
one place where mitmproxy itself is changed, `fields` a quicker header look-up; `worker` is the process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from addons.outcome import Outcomes
    from addons.state import Core
    from addons.tls import GateTls
    from sluice.gate import Gate


def chain(gate: Gate, core: Core, outcomes: Outcomes, tls: GateTls) -> tuple[object, ...]:
    """Every addon, in the order in which each hook runs through them. Order is behaviour: the guard is first."""
    # Here, so that the package imports without mitmproxy: its parts are used one by one.
    from addons.guard import GuardAddon
    from addons.outcome import OutcomeAddon
    from addons.tunnel import TunnelAddon
    from addons.websocket import WebSocketAddon

    return (
        GuardAddon(gate, core, outcomes),  # refuses everything; lifts for a clearance
        TunnelAddon(gate, core, outcomes),  # CONNECT: decrypt, pass, refuse
        tls,  # certificates for clients, verification of upstreams
        WebSocketAddon(),  # no upgrade passes
        OutcomeAddon(core, outcomes, tls.failure),  # last: sees what the others made of it
    )
