"""A proxy where people log in, and what they say there."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sluice.identity import Resolver
from sluice.identity.login import Logins
from sluice.identity.users import User, hashed
from tests.rig import ObedientGate, Proxy
from tests.upstream import Upstream

PASSWORD = "correct: horse battery"
"""With a colon: only the first one may divide."""
CI_PASSWORD = "staple-\N{LATIN SMALL LETTER U WITH DIAERESIS}ber-all"
USERS = {
    "alice": User("alice", hashed(PASSWORD)),
    "ci": User("ci", hashed(CI_PASSWORD), kind="service"),
    "gone": User("gone", hashed(PASSWORD), expires=1),
}


def basic(name: str, password: str) -> str:
    """The value of `Proxy-Authorization`."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def field(name: str, password: str) -> str:
    """A header line for `connect`."""
    return f"Proxy-Authorization: {basic(name, password)}\r\n"


@contextmanager
def door(
    upstream: Upstream, directory: Path, *, gate: Any = None, resolver: Resolver | None = None, **logins: Any
) -> Iterator[Proxy]:
    """A proxy at which everybody has to log in, unless `resolver` says otherwise."""
    gate = gate or ObedientGate()
    if resolver is not None or isinstance(gate, ObedientGate):
        gate.resolver = resolver or Resolver(required=True)
    made = Logins(USERS, **logins)
    try:
        with Proxy(
            upstream.address,
            upstream.ca_pem,
            directory,
            gate=gate,
            prepare=lambda master: setattr(master.core, "logins", made),
        ) as proxy:
            yield proxy
    finally:
        made.close()
