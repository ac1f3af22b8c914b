"""The address that tells a client whether it is inspected: the gate itself answers, and nothing is sent anywhere.

A request to `HOST` goes the whole way (certificate of the site's CA, inspection, policy, record) up to the point where
it would be forwarded. Without the gate in between the name does not exist: `.internal` is kept for private use (ICANN,
2024), so nobody else can answer for it.
"""

from __future__ import annotations

import json

from sluice.model import Answer, Clearance, Exchange
from sluice.refusals import page

ROW = "sluice-probe"
"""The row of the destination table; `guard` answers what matches it."""
HOST = "probe.sluice.internal"
TITLE = "This connection is inspected"
_WORDS = "The gate opened this connection, looked at the request, and recorded its decision before it answered."


def answer(exchange: Exchange, clearance: Clearance) -> Answer:
    """What an inspected client gets: JSON, or a page where it asks for one. Nothing of the request but its address."""
    common = (("cache-control", "no-store"),)
    if "text/html" in (exchange.header("accept") or ""):
        body = page.render(TITLE, _WORDS, exchange.id, str(clearance.decision.reason), good=True)
        return Answer(200, (("content-type", "text/html; charset=utf-8"), *page.HEADERS, *common), body, "")
    told = {
        "inspected": True,
        "gate": clearance.receipt.node,
        "decision_id": exchange.id,
        "decision": str(clearance.decision.action),
        "rule": clearance.decision.rule,
        "your_address": exchange.client.address,
        "tls": exchange.client.tls_version,
        "http": exchange.http_version,
    }
    return Answer(200, (("content-type", "application/json"), *common), json.dumps(told).encode() + b"\n", "")
