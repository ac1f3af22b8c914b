"""The posture of this deployment, evaluated by the process that owns the store: findings, facts, snapshots.

Between two rounds of delivery, one finding at a time: each takes a fraction of a second, so records wait no longer for
it. Every quarter of an hour, and when `sluice findings evaluate` asks. An error stops nothing and is not tried again at
once: neither a note that cannot be placed nor an evaluation that fails may keep the shipper busy.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

from sluice import accounts, durable
from sluice.config import Settings, signatures_dir
from sluice.errors import SluiceError
from sluice.posture import evaluation, score, units
from sluice.posture.evaluation import Evaluated
from sluice.seal import store as seals
from sluice.seal.keys import sizes
from sluice.ship import notes, retention
from sluice.ship.clickhouse import Store
from sluice.ship.delivery import Delivery

log = logging.getLogger("sluice.ship")

_REVISED = re.compile(r"^# Revised (\d{4}-\d{2}-\d{2})", re.MULTILINE)
EVERY_SECONDS = 900.0
FIRST_SECONDS = 60.0
AGAIN_SECONDS = 15.0
"""After an error, before notes are placed or an evaluation is asked for again."""


class Assessing:
    """The evaluations of one shipper."""

    def __init__(
        self,
        settings: Settings,
        directory: Path,
        delivery: Delivery | None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._directory = directory
        separate = accounts.resolve(settings)
        self._users = {accounts.ROOT, os.geteuid(), separate.console} if separate else None
        self._delivery = delivery
        self._monotonic = monotonic
        self._now = now
        self._due = monotonic() + FIRST_SECONDS
        self._notes_at = self._asked_at = 0.0
        self._running: Iterator[str] | None = None

    def turn(self, store: Store) -> bool:
        """Do the next step, if one is due; whether one was done. Never raises for a store, a disk or a file."""
        self._place(store)
        try:
            if self._running is None and not self._is_due():
                return False
            if self._running is None:
                self._running = self._evaluation(store)
            if next(self._running, None) is None:
                self._running = None
        except (SluiceError, OSError, ValueError, msgspec.MsgspecError) as e:  # the last two: an answer that is none
            self._running = None
            self._due = self._monotonic() + EVERY_SECONDS
            self._asked_at = self._monotonic() + AGAIN_SECONDS
            log.warning("the posture was not evaluated", extra={"facts": {"why": str(e)[:500]}})
            return False
        return True

    def _place(self, store: Store) -> None:
        if self._monotonic() < self._notes_at:
            return
        try:
            notes.place(store, self._directory, self._users)
        except (SluiceError, OSError) as e:
            self._notes_at = self._monotonic() + AGAIN_SECONDS
            log.warning("notes could not be placed; they wait", extra={"facts": {"why": str(e)[:500]}})

    def whole(self, store: Store) -> Evaluated:
        """Everything at once, for a store that no shipper owns now. Raises `SluiceError`, OSError."""
        notes.place(store, self._directory, self._users)
        for _ in self._evaluation(store, fresh=True):
            pass
        return self._out

    def _is_due(self) -> bool:
        now = self._monotonic()
        return now >= self._due or (now >= self._asked_at and (notes.inbox(self._directory) / notes.REQUEST).exists())

    def _evaluation(self, store: Store, *, fresh: bool = False) -> Iterator[str]:
        request = notes.inbox(self._directory) / notes.REQUEST
        asked_at = request.stat().st_mtime_ns if request.exists() else None
        at = self._now()
        self._due = self._monotonic() + EVERY_SECONDS
        self._out = Evaluated(at)
        self._facts(store, at)
        yield "facts"
        known = list(units.findings().values())
        yield from evaluation.steps(store.own, store.add, known, at, self._out, fresh=fresh or asked_at is not None)
        if score.is_due(store.own, at):
            score.keep(store.own, store.add, at)
        self._tell(asked_at, request)

    def _tell(self, asked_at: int | None, request: Path) -> None:
        out = self._out
        box = notes.inbox(self._directory)
        box.mkdir(mode=0o700, parents=True, exist_ok=True)
        durable.write(box / notes.RESULT, msgspec.json.encode(out))
        if asked_at is not None and request.exists() and request.stat().st_mtime_ns == asked_at:
            request.unlink()
        facts = {"findings": out.units, "scopes": out.scopes, "days": out.days, "events": str(out.events)}
        log.info("the posture was evaluated", extra={"facts": facts})
        for name, why in out.failed.items():
            log.warning("a finding could not be evaluated", extra={"facts": {"finding": name, "why": why}})

    def _facts(self, store: Store, at: datetime) -> None:
        """What the shipper knows beside the traffic: lag, seals, retention, the age of the destination table."""
        rows: list[dict[str, str | float]] = [
            {"kind": "retention", "name": name, "number": months, "text": "months"}
            for name, months in retention.MONTHS.items()
        ]
        if (age := _age(at)) is not None:
            rows.append({"kind": "targets", "name": "targets.toml", "number": age, "text": "days"})
        if self._delivery is not None:
            standing = self._delivery.standing
            told = f"{standing.pending} records wait"
            rows.append({"kind": "shipping", "name": self._settings.node, "number": standing.lag_seconds, "text": told})
            rows += self._seals(at.timestamp())
        moment = f"{at:%Y-%m-%d %H:%M:%S.%f}"
        lines = [msgspec.json.encode({"at": moment, "by": "shipper", **row}) for row in rows]
        store.add("posture_facts", b"\n".join(lines), f"facts {moment}")

    def _seals(self, now: float) -> list[dict[str, str | float]]:
        assert self._delivery is not None
        sealed = sizes(self._settings.seal_dir)
        rows: list[dict[str, str | float]] = []
        for name, box in self._delivery.outboxes.items():
            waits = box.delivered - sealed.get(name, 0)
            seconds = 0.0
            if waits > 0:
                history = self._settings.seal_dir / name / seals.HISTORY
                newest = history if history.exists() else box.stream
                seconds = max(0.0, now - newest.stat().st_mtime)
            rows.append({"kind": "seal", "name": name, "number": seconds, "text": f"{max(0, waits)} records"})
        return rows


def _age(at: datetime) -> float | None:
    """Days since the list of destinations was revised, as its head says: a file's own times tell when it was copied."""
    with (signatures_dir() / "targets.toml").open(encoding="utf-8") as file:
        found = _REVISED.search(file.read(1000))
    return float((at.date() - date.fromisoformat(found[1])).days) if found else None
