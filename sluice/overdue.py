"""Evidence that is made, and does not get on: records that have waited too long for the sealer or for ClickHouse.

Neither costs evidence, so neither stops traffic as shipped: what waits is durable, and the disk is the bound. A site
that wants more says after how many minutes requests to AI services are refused (`evidence.unsealed_minutes`,
`evidence.unshipped_minutes`; failures F15 and F16 of the project's specification). The supervisor looks at the files,
which answer with a dead sealer and a dead shipper too, and leaves a line for the workers in `run/overdue`, empty while
all is well; they read it beside their heartbeat. Where there is a limit, a line that is missing or has not been touched
for `addons.worker.LINE_SECONDS` refuses too: who was to look has failed. Refusals are recorded like every other.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import msgspec

from sluice import durable
from sluice.config import Settings
from sluice.ledger import reader, segment
from sluice.ledger.segment import Damaged
from sluice.seal import standing
from sluice.ship.batches import State

log = logging.getLogger("sluice.overdue")

FILE = "overdue"
LOOK_SECONDS = 5.0
UNKNOWN = "whether evidence gets on cannot be told"


def tell(settings: Settings) -> str:
    """Look, and leave the line for the workers; the line. Without a limit an old one is taken away. Never raises."""
    path = settings.run_dir / FILE
    try:
        if not settings.evidence.bounds_waiting:
            path.unlink(missing_ok=True)
            return ""
        why = _seen(settings)
        if path.exists() and path.read_bytes() == why.encode():
            os.utime(path)
        else:
            durable.write(path, why.encode(), durable.SHARED)
    except OSError as e:  # the line grows old, and then the workers refuse
        log.error("the line about evidence cannot be left", extra={"facts": {"why": e.strerror or ""}})
        return UNKNOWN if settings.evidence.bounds_waiting else ""
    return why


def _seen(settings: Settings) -> str:
    try:
        return overdue(settings)
    except Exception as e:  # noqa: BLE001 - whatever keeps us from looking is no reason to go on
        log.error(UNKNOWN, extra={"facts": {"error": type(e).__name__}})
        return UNKNOWN


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
