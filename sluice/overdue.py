"""Evidence that is made, and does not get on: records that have waited too long for the sealer or for ClickHouse.

Neither costs evidence, so neither stops traffic as shipped: what waits is durable, and the disk is the bound. A site
that wants more says after how many minutes requests to AI services are refused (`evidence.unsealed_minutes`,
`evidence.unshipped_minutes`; failures F15 and F16 of the project's specification). The supervisor looks at the files,
which answer with a dead sealer and a dead shipper too, and leaves a line for the workers in `run/overdue`; they read it
beside their heartbeat. Refusals are recorded like every other.
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from sluice import durable
from sluice.config import Settings
from sluice.ledger import reader, segment
from sluice.ledger.segment import Damaged
from sluice.seal import standing
from sluice.ship.batches import State

FILE = "overdue"
LOOK_SECONDS = 5.0


def limited(settings: Settings) -> bool:
    """Whether the site has set either limit."""
    return settings.evidence.unsealed_minutes > 0 or settings.evidence.unshipped_minutes > 0


def said(run: Path) -> str:
    """The line that was left. Raises OSError."""
    try:
        return (run / FILE).read_text("utf-8")
    except FileNotFoundError:
        return ""


def tell(settings: Settings) -> str:
    """Look, and leave the line for the workers, or take it away; the line. Raises OSError."""
    why = overdue(settings) if limited(settings) else ""
    path = settings.run_dir / FILE
    if not why:
        path.unlink(missing_ok=True)
    elif said(settings.run_dir) != why:
        durable.write(path, why.encode())
    return why


def overdue(settings: Settings) -> str:
    """What has waited too long, in words; nothing when all is well. Raises OSError."""
    of = settings.evidence
    if of.unsealed_minutes > 0:
        lags = [s.lag or 0.0 for s in standing.standing(settings.ledger_dir, settings.seal_dir)]
        if max(lags, default=0.0) > of.unsealed_minutes * 60:
            return f"records wait unsealed for more than {of.unsealed_minutes:g} minutes"
    if of.unshipped_minutes > 0:
        streams = segment.streams(settings.ledger_dir)
        if any(_unshipped(s, settings.paths.var / "ship") > of.unshipped_minutes * 60 for s in streams):
            return f"records wait for ClickHouse for more than {of.unshipped_minutes:g} minutes"
    return ""


def _unshipped(stream: Path, directory: Path) -> float:
    """The age of the oldest record of a stream that ClickHouse has not acknowledged, in seconds."""
    try:
        cursor = msgspec.json.decode((directory / f"{stream.name}.json").read_bytes(), type=State).cursor
    except FileNotFoundError:
        cursor = None
    except msgspec.MsgspecError:
        return float("inf")  # nobody knows how far it is: the shipper says what to do about it
    try:
        first = next((e.at for e in reader.read(stream, cursor)), None)
    except Damaged:
        return 0.0  # delivery steps over it, and says so
    return 0.0 if first is None else time.time() - first / 1e6
