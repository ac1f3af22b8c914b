"""The self-test: does the gate still block a secret, right now, on the way that every client takes?

Once a minute the supervisor sends a made-up secret through the listening socket, as a client would (`running`):
CONNECT, TLS under the site's CA, a chat request, inspection, the site's own policy, the ledger. It has to come back
blocked, and its record has to be there. Should it be allowed, the gate itself answers (as for `sluice.probe`): nothing
is sent anywhere, whatever goes wrong.

What marks it: the destination row `ROW`, whose record is of the kind `control`, `control_kind` = `selftest`, with no
subject, client or key in it. Every view, report and inventory reads decisions, so none of them sees it. That is for the
supervisor's own requests alone: each start of the appliance makes a secret that they carry in `HEADER` (`Mark`), which
is handed to the workers in memory and stands in no file, argument or environment. Whoever else sends something to
`HOST` is judged, recorded and refused like anybody who asks for a place where nothing is.
"""

from __future__ import annotations

import hmac
import os
import secrets
import string
from collections.abc import Iterable

import msgspec

from sluice.model import Decision, Exchange, Record, RecordType

ROW = "sluice-selftest"
"""The row of the destination table."""
HOST = "selftest.sluice.internal"
"""`.internal` is kept for private use (ICANN, 2024): nobody else can answer for it."""
KIND = "selftest"
CLASS = "secret.ai-key"
HEADER = "x-sluice-selftest"
SECRET_BYTES = 32

_LETTERS = string.ascii_letters + string.digits


class Told(msgspec.Struct, frozen=True):
    """What the record says: `control_detail` as JSON."""

    decision: str
    would: str | None
    rule: str
    reason: str
    classes: tuple[str, ...]
    rulebook: str


class Mark:
    """Tells the supervisor's own requests from everybody else's. Without a secret there are none."""

    def __init__(self, secret: str = "") -> None:
        self._secret = secret.encode()

    def on(self, headers: Iterable[tuple[str, str]]) -> bool:
        """Whether they carry the secret, once."""
        found = [value for name, value in headers if name.lower() == HEADER]
        if len(found) != 1 or not self._secret:
            return False
        return hmac.compare_digest(found[0].encode("utf-8", "surrogatepass"), self._secret)


def new_secret() -> str:
    """Another one for each start of the appliance."""
    return secrets.token_hex(SECRET_BYTES)


def handed(secret: str) -> int:
    """A descriptor from which workers read the secret, however often they start. Raises OSError."""
    fd = os.memfd_create("selftest", os.MFD_CLOEXEC)
    os.write(fd, secret.encode())
    return fd


def taken(fd: int | None) -> str:
    """What the supervisor handed over, once; nothing without a descriptor. Raises OSError."""
    if fd is None:
        return ""
    try:
        return os.pread(fd, 2 * SECRET_BYTES, 0).decode("ascii")
    finally:
        os.close(fd)


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
