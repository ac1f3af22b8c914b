"""Witnesses that take no checkpoints: what the sealer last knew of each, for whoever asks while it runs and after.

`var/seal/outages.json`, written when that changes. A witness is named by what it is and its host (`https://w.example`):
neither password nor path nor query of its address.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from sluice import durable

FILE = "outages.json"


class Outage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One witness that does not answer as it should: since when (Unix seconds), why, and how many streams' newest
    checkpoints wait for it."""

    witness: str
    since: int
    error: str
    pending: int

    def __str__(self) -> str:
        at = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(self.since))
        return f"the witness {self.witness} has taken no checkpoint since {at} ({self.error}); {self.pending} wait"


def read(seal: Path) -> tuple[Outage, ...]:
    """What is known; nothing where there is no file, or none that can be read."""
    try:
        return msgspec.json.decode((seal / FILE).read_bytes(), type=tuple[Outage, ...])
    except (OSError, msgspec.MsgspecError):
        return ()


def write(seal: Path, outages: Iterable[Outage]) -> None:
    """Replace it, durably. Raises OSError."""
    durable.write(seal / FILE, msgspec.json.encode(tuple(outages)) + b"\n", durable.SHARED)
