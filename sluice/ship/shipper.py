"""The shipper's process: tails the ledgers, fills ClickHouse, answers questions. `python -m sluice.ship.shipper`.

It owns the embedded engine. Traffic never waits for it: without a store it keeps trying, and the ledgers keep.
SIGTERM: the batch in hand is finished, what waits is shipped once more, the store is closed, exit 0.
Exit 78: the settings cannot work. When the supervisor goes away, so does this process.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sluice import accounts, config, logs, metrics
from sluice.config import Settings
from sluice.errors import Misconfigured
from sluice.heartbeat import Status
from sluice.ship.allowance import Allowance
from sluice.ship.answers import Answers
from sluice.ship.assessing import Assessing
from sluice.ship.clickhouse import Embedded, Store, StoreError, open_store
from sluice.ship.delivery import Delivery
from sluice.ship.http import interface
from sluice.ship.http.listener import Listener
from sluice.ship.keeping import Keeping
from sluice.ship.query import NOT_OPEN, bind
from sluice.ship.registers import Registers
from sluice.ship.sqlgate import SqlError

log = logging.getLogger("sluice.ship")

OPEN_SECONDS = 5.0
"""The longest wait before a store that could not be opened is tried again: trying costs nothing, and rows pile up."""
POLL_SECONDS = 0.5
"""Between two looks for new records: rows wait a few seconds for a full batch anyway, and each look costs CPU."""
BEAT_SECONDS = 1.0
STUCK_SECONDS = 120.0
"""A round that takes longer than this, and than the insert's own time limit, is a hang: the heartbeat stops."""
NICENESS = 5
"""How far this process stands back when the processors are all in use: questions run in it, and four large ones at once
made every request ten times as slow. A third of a worker's share stays for it, so that records keep coming."""
LAST_ROUND_SECONDS = 3.0
ANSWER_SECONDS = 3.0
ANSWER_ROUNDS = 10
MISCONFIGURED = 78


class Shipper:
    """Delivery, questions and heartbeat of one process."""

    def __init__(
        self,
        settings: Settings,
        status: Status,
        *,
        open_store: Callable[[Settings, Allowance], Store] = open_store,
        step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._status = status
        self._open_store = open_store
        self._store: Store | None = None
        self._memory = Allowance(settings.clickhouse.questions_memory_mb * 1024**2)
        self._http: Listener | None = None
        self._trouble = "it is being opened"
        self.stopping = threading.Event()
        self._moved = time.monotonic()
        self.delivery = Delivery(
            settings.ledger_dir,
            directory(settings),
            batch_rows=settings.clickhouse.batch_rows,
            batch_seconds=settings.clickhouse.batch_seconds,
            step=step,
        )
        self._keeping = Keeping(settings, self.delivery, directory(settings))
        self._registers = Registers(settings)
        self._assessing = Assessing(settings, directory(settings), self.delivery)

    def run(self) -> None:
        """Until `stopping` is set. Raises `Misconfigured`."""
        self._status.say("starting")
        tempfile.tempdir = str(_scratch(self._settings))  # what libraries leave in files stays below `var`
        self._open()
        answers = self._answers()
        answers.start()
        self._http = interface.opened(self._settings, lambda: self._store, self._select)
        self._status.say("ready")
        beating = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        beating.start()
        try:
            self._ship()
        finally:
            self.stopping.set()
            self._close(answers)

    def _answers(self) -> Answers:
        """Questions come from this account; with accounts of their own, from the console's and root as well."""
        separate = accounts.resolve(self._settings)
        if separate is None:
            return Answers(bind(self._settings.run_dir), self._select, self._memory)
        allowed = {accounts.ROOT, os.geteuid(), separate.console}
        return Answers(bind(self._settings.run_dir, 0o660), self._select, self._memory, allowed)

    def _ship(self) -> None:
        retry_at, wait = 0.0, 1.0
        while not self.stopping.is_set():
            self._moved = time.monotonic()
            if self._store is None:
                self.delivery.observe()
                if time.monotonic() >= retry_at and not self._open():
                    retry_at, wait = time.monotonic() + wait, min(OPEN_SECONDS, wait * 2)
                self.stopping.wait(POLL_SECONDS)
            else:
                shipped = self.delivery.round(self._store)
                self._keeping.turn(self._store)
                self._registers.turn(self._store)
                if not self._assessing.turn(self._store) and not shipped:
                    self.stopping.wait(POLL_SECONDS)
        until = time.monotonic() + LAST_ROUND_SECONDS
        while self._store is not None and time.monotonic() < until and self.delivery.round(self._store, flush=True):
            self._moved = time.monotonic()

    def _open(self) -> bool:
        """Open the store and bring its schema up to date. False when it cannot be had now."""
        try:
            store = self._open_store(self._settings, self._memory)
            try:
                applied = store.migrate()
            except BaseException:
                store.close()
                raise
        except StoreError as e:
            self._trouble = str(e)
            log.warning("the event store cannot be opened", extra={"facts": {"code": e.code, "error": str(e)}})
            return False
        if applied:
            log.info("the event store's schema was brought up to date", extra={"facts": {"migrations": len(applied)}})
        self._store = store
        return True

    def _select(self, sql: str, form: str) -> bytes:
        store = self._store
        if store is None:
            raise SqlError(NOT_OPEN, f"the event store is not open: {self._trouble}")
        return store.select(sql, form)

    def _beat(self) -> None:
        patience = max(STUCK_SECONDS, 2 * self._settings.clickhouse.insert_timeout_seconds)
        while not self.stopping.wait(BEAT_SECONDS):
            if isinstance(self._store, Embedded) and self._store.overtime.exceeded():
                why = "a question would not end long after its time; the shipper ends, to be started again"
                log.error(why)
                self._status.say("failed", reason=why)
                self.stopping.set()
                return
            standing = self.delivery.standing
            metrics.flush()
            alive = time.monotonic() - self._moved < patience
            facts: dict[str, object] = {
                "store": "closed" if self._store is None else ("failing" if standing.failures else "open"),
                "pending": standing.pending,
                "lag_seconds": round(standing.lag_seconds, 3),
                "rows": standing.rows,
            }
            if self._settings.clickhouse.http_listen and not self._settings.clickhouse.dsn:
                facts["sql"] = self._http.url if self._http and self._http.serving else "not served"
            if alive and not self._status.say("alive", **facts):
                log.warning("the supervisor is gone; the shipper ends")
                self.stopping.set()

    def _close(self, answers: Answers) -> None:
        """Close the engine while nobody uses it: it must not be open when the interpreter ends."""
        over_http = self._http is None or self._http.close(ANSWER_SECONDS)
        if self._store is None:
            answers.close(ANSWER_SECONDS)
            return
        for _ in range(ANSWER_ROUNDS):
            self._store.interrupt()  # again each time: what has not begun yet cannot be ended yet
            if answers.close(ANSWER_SECONDS / ANSWER_ROUNDS) and over_http:
                self._store.close()
                return
        log.warning("a question would not end; the store is left to its own recovery")
        sys.stderr.flush()
        os._exit(0)


def directory(settings: Settings) -> Path:
    """Where cursors and dead letters lie."""
    return settings.ship_dir


def _scratch(settings: Settings) -> Path:
    """An empty directory for files that live as long as one insert."""
    path = directory(settings) / "scratch"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for leftover in path.iterdir():
        leftover.unlink()
    return path


def main() -> int:
    """The process. Its exit code."""
    parser = argparse.ArgumentParser(prog="sluice.ship.shipper", description=__doc__.splitlines()[0])
    parser.add_argument("--status-fd", type=int, help="pipe to the supervisor")
    parser.add_argument("--config", type=Path, help="settings file")
    arguments = parser.parse_args()
    logs.setup("shipper")
    with contextlib.suppress(OSError):  # a system call filter may forbid it
        os.nice(NICENESS)  # before there are threads: each has a priority of its own
    status = Status(arguments.status_fd)
    try:
        shipper = Shipper(config.load(arguments.config), status)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: shipper.stopping.set())
        shipper.run()
    except Misconfigured as e:
        status.say("failed", reason=str(e))
        log.error("the settings cannot work", extra={"facts": {"problems": str(e)}})
        return MISCONFIGURED
    return 0


if __name__ == "__main__":
    sys.exit(main())
