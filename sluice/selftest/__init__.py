"""The self-test: does the gate still block a secret, right now, on the way that every client takes?

Once a minute the supervisor sends a made-up secret through the listening socket, as a client would (`running`):
CONNECT, TLS under the site's CA, a chat request, inspection, the site's own policy, the ledger. It has to come back
blocked, and its record has to be there. Should it be allowed, the gate itself answers (as for `sluice.probe`): nothing
is sent anywhere, whatever goes wrong.

What marks it: the destination row `ROW`, whose record is of the kind `control`, `control_kind` = `selftest`, with no
subject, client or key in it. Every view, report and inventory reads decisions, so none of them sees it. Whoever sends
something to `HOST` himself is treated alike: it goes nowhere.
"""

from __future__ import annotations

import secrets
import string

import msgspec

from sluice.model import Decision, Exchange, Record, RecordType

ROW = "sluice-selftest"
"""The row of the destination table."""
HOST = "selftest.sluice.internal"
"""`.internal` is kept for private use (ICANN, 2024): nobody else can answer for it."""
KIND = "selftest"
CLASS = "secret.ai-key"

_LETTERS = string.ascii_letters + string.digits


class Told(msgspec.Struct, frozen=True):
    """What the record says: `control_detail` as JSON."""

    decision: str
    would: str | None
    rule: str
    reason: str
    classes: tuple[str, ...]
    rulebook: str


def record(exchange: Exchange, decision: Decision, rulebook: str) -> Record:
    """The control record of one self-test."""
    told = Told(
        decision=str(decision.action),
        would=str(decision.would) if decision.would else None,
        rule=decision.rule,
        reason=str(decision.reason),
        classes=decision.classes,
        rulebook=rulebook,
    )
    return Record(
        record_type=RecordType.CONTROL,
        decision_id=exchange.id,
        ts_received=exchange.at // 1000,
        control_kind=KIND,
        control_detail=msgspec.json.encode(told).decode(),
    )


def made_up_secret() -> str:
    """A key of an AI provider that nobody ever had; another one each time, so that nothing remembers it."""
    return "sk-ant-api03-" + "".join(secrets.choice(_LETTERS) for _ in range(93)) + "AA"
