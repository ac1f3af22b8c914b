"""The files of this room while the appliance runs: noticed when they change, read whole, put in force whole.

A file that cannot be read changes nothing: what was in force stays, and that it is out of date is a metric, a log line,
a control record and a note on every decision until the file is whole again.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

from sluice import metrics
from sluice.config import Settings
from sluice.errors import Misconfigured
from sluice.identity.known import Facts, Known, files

log = logging.getLogger("sluice.identity")

type _Marks = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """What a look found: something new, or files that cannot be read (`known` None)."""

    known: Known | None
    facts: Facts


class Watch:
    """Looks at the files of one worker."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._paths = tuple(files(settings).values())
        self._seen = self._marks()

    async def look(self) -> Change | None:
        """What has changed since the last look; None for nothing. Reading happens off the event loop."""
        if not self._paths or (marks := self._marks()) == self._seen:
            return None
        try:
            known = await asyncio.get_running_loop().run_in_executor(None, Known.load, self._settings)
        except Misconfigured as e:
            self._seen = marks
            metrics.IDENTITY_STALE.set(1)
            metrics.IDENTITY_LOADS.labels("failed").inc()
            log.error("identity files cannot be read; the ones before stay in force", extra={"facts": {"why": str(e)}})
            return Change(None, {"problems": len(e.problems), "first": e.problems[0].file})
        if self._marks() != marks:
            return None  # it was written while it was read: the next look reads it again
        self._seen = marks
        metrics.IDENTITY_STALE.set(0)
        metrics.IDENTITY_LOADS.labels("loaded").inc()
        return Change(known, known.facts)

    def _marks(self) -> _Marks:
        return tuple(map(_mark, self._paths))


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
