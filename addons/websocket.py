"""Protocol upgrades: none passes. WebSocket gets 426, so that clients fall back to POST, where prompts are inspected.

Codex and others send their prompts in WebSocket frames when they can. A 426 on the upgrade made Codex 0.169 go on with
POST at once, without a retry; a 403 cost seven upgrades. Every other upgrade (h2c above all) is refused as well: it
would carry bytes in a protocol that nothing here reads.
"""

from __future__ import annotations

from mitmproxy import http

from addons.state import Objection, passage_of
from sluice import metrics
from sluice.errors import Cause, Reason

WEBSOCKET = Objection(Reason.WEBSOCKET, Cause.WEBSOCKET, "websocket")
UPGRADE = Objection(Reason.UPGRADE, Cause.BAD_REQUEST, "upgrade")


class WebSocketAddon:
    """Objects to upgrades while the head is judged."""

    name = "websocket"

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        passage = passage_of(flow)
        upgrade = passage.head.upgrade
        if upgrade is None or passage.objection is not None:
            return
        if upgrade == "websocket":
            passage.objection = WEBSOCKET
            metrics.WEBSOCKETS.labels("refused").inc()
        else:
            passage.objection = UPGRADE

    def websocket_start(self, flow: http.HTTPFlow) -> None:
        """Belt: there is no way here."""
        raise AssertionError("WebSocket is off")

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        raise AssertionError("WebSocket is off")
