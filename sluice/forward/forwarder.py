"""The forwarder's process: a thread for each destination, none of which waits for another. `python -m
sluice.forward.forwarder`.

SIGTERM: the batch in hand is finished or given up after its time limit; what was not taken is sent by the next start.
Exit 78: the settings cannot work. When the supervisor goes away, so does this process.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sluice import config, logs, metrics
from sluice.config import ForwardTo, Settings
from sluice.errors import Misconfigured, Problem
from sluice.forward import cursors, events, sinks
from sluice.forward.sinks import Rejected, Sink
from sluice.heartbeat import Status
from sluice.ledger import reader
from sluice.ledger.reader import Entry, Position
from sluice.ledger.record import BadRecord
from sluice.ledger.segment import Damage
from sluice.model import Record

log = logging.getLogger("sluice.forward")

BATCH = 500
POLL_SECONDS = 0.5
BEAT_SECONDS = 1.0
WAITS = (0.5, 1.0, 2.0, 5.0, 15.0, 60.0)
"""Wait after the first, second, ... failure in a row; the last one stays."""
GRACE_SECONDS = 5.0
ASIDE_BYTES = 8 * 1024 * 1024
"""Size at which the file of rejected events is put away, over the one before it: a receiver that rejects everything
must not fill the disk that evidence is written to."""
MISCONFIGURED = 78


def directory(settings: Settings) -> Path:
    """Cursors, and what was rejected."""
    return settings.paths.var / "forward"


class Destination:
    """One receiver: its place in the ledger, and the loop that moves it on."""

    def __init__(
        self, settings: Settings, to: ForwardTo, *, sink: Sink | None = None, waits: Sequence[float] = WAITS
    ) -> None:
        """Raises `Misconfigured`."""
        self.name = to.name
        self._to = to
        self._ledger = settings.ledger_dir
        self._file = directory(settings) / f"{to.name}.json"
        self._format = events.FORMATS[to.format]
        self._waits = waits
        self.stopping = threading.Event()
        self.trouble = ""
        self._turns = 0
        self.behind_since: float | None = None
        self._aside = sinks.RotatingFile(self._file.with_name(f"{to.name}.rejected"), ASIDE_BYTES, 1)
        try:
            self._sink = sink or sinks.make(to)
        except (OSError, ValueError) as e:
            what = f"{getattr(e, 'filename', None) or to.shown}: {getattr(e, 'strerror', None) or e}"
            raise Misconfigured(Problem(f"forward.to `{to.name}`", None, what)) from e
        self.cursor = cursors.load(self._file) or self._begin()
        for counted in (
            metrics.FORWARD_EVENTS,
            metrics.FORWARD_FAILURES,
            metrics.FORWARD_REJECTED,
            metrics.FORWARD_MISSED,
        ):
            counted.labels(self.name).inc(0)  # there from the start: what first appears as 1 was no increase

    def _begin(self) -> cursors.Cursor:
        cursor = cursors.begin(self._ledger, from_start=self._to.from_start)
        try:
            self._file.parent.mkdir(mode=0o700, exist_ok=True)
            cursors.save(self._file, cursor)  # at once: a restart must not begin at a later end
        except OSError as e:
            raise Misconfigured(Problem(str(self._file), None, f"cannot be written: {e.strerror}")) from e
        return cursor

    def run(self) -> None:
        """Until `stopping` is set. Whatever fails is tried again; nothing here ends the process."""
        failures = 0
        while not self.stopping.is_set():
            try:
                moved = self.turn()
            except (OSError, ValueError) as e:  # ValueError: a certificate that does not fit comes as one
                failures += 1
                self.trouble = type(e).__name__
                metrics.FORWARD_FAILURES.labels(self.name).inc()
                if failures == 1:
                    facts = {"destination": self.name, "error": logs.safe(str(e), 120)}
                    log.warning("events are not taken; they wait in the ledger", extra={"facts": facts})
                self.stopping.wait(self._waits[min(failures, len(self._waits)) - 1])
                continue
            if failures:
                log.info("events are taken again", extra={"facts": {"destination": self.name, "failures": failures}})
            failures, self.trouble = 0, ""
            if not moved:
                self.stopping.wait(POLL_SECONDS)
        self._sink.close()

    def turn(self) -> int:
        """Read a batch, send it, remember it. Records passed by, those that are not wanted too. Raises OSError."""
        batch: list[bytes] = []
        oldest: int | None = None
        after = dict(self.cursor.streams)
        passed = missed = 0
        for entry in self._entries(after):
            if entry.stream in after:
                missed += max(0, entry.seq - after[entry.stream].seq)
            after[entry.stream] = entry.after
            passed += 1
            record = _read(entry)
            if record is not None and self._wanted(record):
                batch.append(self._formatted(record, entry))
                oldest = min(oldest or record.ts_received, record.ts_received)
            if len(batch) >= BATCH or passed >= 20 * BATCH or self.stopping.is_set():
                break
        if batch:
            self.behind_since = (oldest or 0) / 1e6
            self._send(batch)
            self.cursor.sent += len(batch)
        self.behind_since = None
        if missed > 0:
            self.cursor.missed += missed
            metrics.FORWARD_MISSED.labels(self.name).inc(missed)
        if passed:
            self.cursor.streams = after
            cursors.save(self._file, self.cursor)
        return passed

    @property
    def lag(self) -> float:
        """Age of the oldest event in hand, seconds; 0 when nothing waits."""
        return max(0.0, time.time() - self.behind_since) if self.behind_since else 0.0

    def _entries(self, after: dict[str, Position]) -> Iterator[Entry]:
        streams = list(reader.streams(self._ledger))
        self._turns += 1
        first = self._turns % max(1, len(streams))  # a busy stream must not keep the others waiting
        for stream in (*streams[first:], *streams[:first]):
            yield from reader.read(stream, after.get(stream.name), on_damage=self._damaged)

    def _damaged(self, damage: Damage) -> None:
        """Records that are not there any more: pruned while it was away, or damaged. `turn` counts them."""
        facts = {"destination": self.name, "stream": damage.stream, "from": damage.seq, "what": damage.detail}
        log.error("records were gone before they could be sent", extra={"facts": facts})

    def _formatted(self, record: Record, entry: Entry) -> bytes:
        """The event of a record. One that cannot be put into this form goes as the record itself: it must neither hold
        up the others nor be lost."""
        try:
            return self._format(record, entry.body)
        except Exception as e:
            log.error("an event has no form", exc_info=e)
            return events.plain(record, entry.body)

    def _wanted(self, record: Record) -> bool:
        to = self._to
        return str(record.record_type) in to.records and (record.decision is None or record.decision in to.decisions)

    def _send(self, batch: Sequence[bytes]) -> None:
        """All of it; what the receiver will never take is found by halves and set aside."""
        try:
            self._sink.send(batch)
            metrics.FORWARD_EVENTS.labels(self.name).inc(len(batch))
        except Rejected as e:
            if len(batch) > 1:
                middle = len(batch) // 2
                self._send(batch[:middle])
                self._send(batch[middle:])
                return
            self._aside.send(batch)
            self.cursor.rejected += 1
            metrics.FORWARD_REJECTED.labels(self.name).inc()
            facts = {"destination": self.name, "why": str(e)}
            log.error("an event was rejected and set aside", extra={"facts": facts})


def _read(entry: Entry) -> Record | None:
    """None for a record of a newer kind: it has a position all the same."""
    try:
        return entry.record
    except BadRecord:
        return None


class Forwarder:
    """All destinations of one process, and its heartbeat."""

    def __init__(self, settings: Settings, say: Callable[..., bool]) -> None:
        """Raises `Misconfigured` with the problems of all."""
        self._say = say
        self.stopping = threading.Event()
        problems: list[Problem] = []
        self.destinations: list[Destination] = []
        for to in settings.forward.to:
            try:
                self.destinations.append(Destination(settings, to))
            except Misconfigured as e:
                problems += e.problems
        if problems:
            raise Misconfigured(problems)

    def run(self) -> None:
        """Until `stopping` is set, or nobody listens to the heartbeat."""
        threads = [threading.Thread(target=d.run, name=f"forward-{d.name}", daemon=True) for d in self.destinations]
        for thread in threads:
            thread.start()
        self._say("ready")
        while not self.stopping.wait(BEAT_SECONDS):
            metrics.FORWARD_LAG_SECONDS.set(max(d.lag for d in self.destinations))
            metrics.flush()
            down = ", ".join(d.name for d in self.destinations if d.trouble)
            dead = [thread.name for thread in threads if not thread.is_alive()]
            if dead:
                log.error("a destination's thread ended", extra={"facts": {"threads": ", ".join(dead)}})
                break
            if not self._say("alive", down=down, sent=sum(d.cursor.sent for d in self.destinations)):
                break
        for d in self.destinations:
            d.stopping.set()
        until = time.monotonic() + GRACE_SECONDS
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))


def main() -> int:
    """The process. Its exit code."""
    parser = argparse.ArgumentParser(prog="sluice.forward.forwarder", description=__doc__.splitlines()[0])
    parser.add_argument("--status-fd", type=int, help="pipe to the supervisor")
    parser.add_argument("--config", type=Path, help="settings file")
    arguments = parser.parse_args()
    logs.setup("forwarder")

    say = Status(arguments.status_fd).say
    say("starting")
    try:
        forwarder = Forwarder(config.load(arguments.config), say)
    except Misconfigured as e:
        say("failed", reason=str(e))
        log.error("the settings cannot work", extra={"facts": {"problems": str(e)}})
        return MISCONFIGURED
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: forwarder.stopping.set())
    forwarder.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
