"""The one place where a decision becomes evidence: append, flush, and only then a receipt.

Rules
1. A `Receipt` is made here alone, and only behind the flush that covers its record.
2. Order is fixed when `commit` is called: sequence number, previous hash and canonical bytes are set under one lock.
   A caller who stops waiting changes nothing: the record is written, once.
3. One committer thread, which writes and flushes and does nothing else: each time it wants the interpreter back it
   stops the event loop. What was committed in one turn of the loop goes to it together, and whoever waits when it
   looks is flushed together, by one write and one fdatasync; nobody is made to wait for company.
4. An I/O error ends the writer for good: everyone who waits and everyone who comes later gets `Unavailable`, and the
   file is never flushed again. After a failed fsync Linux holds the pages for clean, so that trying again would
   succeed without writing anything (the lesson of PostgreSQL's "fsyncgate", 2018). The process has to be replaced.
5. Below the low-water mark of free space nothing is taken in, and nothing is broken by that: space returns, commits do.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from sluice import metrics
from sluice.errors import Cause, Misconfigured, Problem, Unavailable
from sluice.ledger.appender import Appender
from sluice.ledger.record import leaf_hash, seal
from sluice.ledger.recovery import Found, recover
from sluice.ledger.segment import LARGEST_BYTES
from sluice.model import Receipt, Record, RecordType

log = logging.getLogger("sluice.ledger")

SMALLEST_SEGMENT = 256 * 1024
FLUSH_RECORDS = 512
"""Most records of one flush."""
FLUSH_BYTES = 1024 * 1024
"""A flush takes no further record above this size (or a quarter of a segment)."""
CLOSE_SECONDS = 10.0
"""How long closing waits for the disk."""
NOTE_SECONDS = 0.02
"""How long a record that nobody waits for looks for a flush to share."""
NOTE_RECORDS = 64
"""So many of them have a flush of their own at once."""
CHECK_COMMITS = 64
CHECK_SECONDS = 0.25
"""Free space is looked at after this many commits or this long, whichever is first."""

_RECORDS = {kind: metrics.LEDGER_RECORDS.labels(kind) for kind in RecordType}
_COMMIT = metrics.COMMIT_SECONDS.labels()
_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class _Waiting:
    """A record on its way to the disk, and who waits for it."""

    __slots__ = ("began", "body", "future", "hurry", "kind", "leaf", "loop", "seq")

    def __init__(
        self,
        seq: int,
        body: bytes,
        leaf: bytes,
        kind: RecordType,
        loop: asyncio.AbstractEventLoop | None,
        future: asyncio.Future[Receipt] | None,
        hurry: bool,
    ) -> None:
        self.hurry = hurry
        self.seq = seq
        self.body = body
        self.leaf = leaf
        self.kind = kind
        self.loop = loop
        self.future = future
        self.began = time.perf_counter()


def open_stream(
    directory: Path,
    *,
    node: str,
    slot: int,
    segment_bytes: int,
    disk_low_bytes: int,
    on_failure: Callable[[Exception], None] | None = None,
    facts: Mapping[str, object] | None = None,
    events: Iterable[tuple[str, Mapping[str, object]]] = (),
    clock: Callable[[], int] = time.time_ns,
) -> Writer:
    """Open the stream `<node>-w<slot>` below a ledger directory for writing: recover it, begin a new epoch.

    `facts` (versions, rulebook digest, `slots`: which streams there are beside) go into the `start` record, `events`
    are control records (kind, facts) that follow it in the same flush. `on_failure` is called once, on the committer's
    thread, when the writer has failed. Raises `Unavailable` when another process holds the stream or the disk fails,
    `Misconfigured` for settings that cannot work.
    """
    problems = []
    if not SMALLEST_SEGMENT <= segment_bytes <= LARGEST_BYTES:
        what = f"evidence.segment_bytes: must be {SMALLEST_SEGMENT} to {LARGEST_BYTES}, not {segment_bytes}"
        problems.append(Problem("settings", None, what))
    if not _NODE.fullmatch(node):
        what = f"evidence.node: `{node}` must be 1 to 200 letters, digits, dots, hyphens and underscores"
        problems.append(Problem("settings", None, what))
    if problems:
        raise Misconfigured(problems)
    writer = Writer(
        directory / f"{node}-w{slot}", node, slot, segment_bytes, disk_low_bytes, on_failure or _nobody, clock
    )
    try:
        writer._open(facts or {}, events)
    except OSError as e:
        writer._files.release()
        raise Unavailable(Cause.AUDIT_UNAVAILABLE, f"{writer.stream} cannot be opened: {e.strerror}") from e
    except BaseException:
        writer._files.release()
        raise
    return writer


def _nobody(_: Exception) -> None:
    """The default of `on_failure`."""


class Writer:
    """One open stream. Made by `open_stream`; implements `model.Ledger`. `failed` says what ended it, or is None."""

    def __init__(
        self,
        stream: Path,
        node: str,
        slot: int,
        segment_bytes: int,
        disk_low_bytes: int,
        on_failure: Callable[[Exception], None],
        clock: Callable[[], int],
    ) -> None:
        self.stream = stream
        self.node = node
        self.slot = slot
        self.epoch = 0
        self.failed: Exception | None = None
        self._disk_low = disk_low_bytes
        self._on_failure = on_failure
        self._clock = clock
        # Guarded by the lock: the order of records.
        self._lock = threading.Lock()
        self._closed = False
        self._seq = 0
        self._prev = bytes(32)
        self._unchecked = 0
        self._next_check = 0.0
        self._low = False
        self._held: list[_Waiting] = []
        """Placed and not yet handed over: they go at the end of this turn of the loop that committed one of them; what
        `note` alone placed goes with the next record that somebody waits for."""
        self._turn: asyncio.AbstractEventLoop | None = None
        """The loop that will hand over at the end of its turn."""
        self._timer: asyncio.AbstractEventLoop | None = None
        """The loop that will hand over what `note` placed, when nobody comes by."""
        # The committer's own.
        self._queue: queue.SimpleQueue[list[_Waiting] | None] = queue.SimpleQueue()
        self._flush_bytes = min(FLUSH_BYTES, segment_bytes // 4)
        self._files = Appender(stream, segment_bytes=segment_bytes, disk_low_bytes=disk_low_bytes, clock=clock)
        self._thread = threading.Thread(target=self._run, name=f"ledger-w{slot}", daemon=True)

    async def commit(self, record: Record) -> Receipt:
        """Append and flush one record; its receipt once it is on disk. Raises `Unavailable` when that is not known."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Receipt] = loop.create_future()
        self._append(record, loop, future)
        return await future

    async def note(self, record: Record) -> Receipt:
        """Like `commit`, without hurry: the record shares the next flush, or has its own after `NOTE_SECONDS`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Receipt] = loop.create_future()
        self._append(record, loop, future, hurry=False)
        if self._timer is not loop:
            self._timer = loop
            loop.call_later(NOTE_SECONDS, self._release)
        return await future

    @property
    def has_room(self) -> bool:
        """False while free disk space is below the low-water mark: every commit is refused then."""
        with self._lock:
            return self._has_room()

    def close(self) -> None:
        """Flush what waits, write the `stop` record, give the stream free. Safe to call twice. Never raises."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._hand_over()
            self._queue.put(None)
        self._thread.join(timeout=CLOSE_SECONDS)
        if self._thread.is_alive():
            return  # the disk does not answer; the thread holds the file, and the end of the process frees the lock
        if self.failed is None:
            try:
                self._control([("stop", {})])
                self._files.finish()
            except OSError as e:
                self._fail(e, [])
        self._files.release()

    # ------------------------------------------------------------------------------------------------ the order

    def _append(
        self,
        record: Record,
        loop: asyncio.AbstractEventLoop,
        future: asyncio.Future[Receipt],
        *,
        hurry: bool = True,
    ) -> None:
        """Place a record behind all others, and see to it that it is handed over."""
        with self._lock:
            if self.failed is not None or self._closed:
                metrics.LEDGER_FAILURES.labels("failed" if self.failed else "closed").inc()
                why = f"the ledger failed: {type(self.failed).__name__}" if self.failed else "the ledger is closed"
                raise Unavailable(Cause.AUDIT_UNAVAILABLE, why)
            if not self._has_room():
                metrics.LEDGER_FAILURES.labels("disk_low").inc()
                raise Unavailable(Cause.AUDIT_UNAVAILABLE, "too little free disk space for the ledger")
            self._held.append(self._place(record, loop, future, hurry=hurry))
            if hurry:
                if self._turn is not loop:
                    self._turn = loop
                    loop.call_soon(self._end_turn)
            elif len(self._held) >= NOTE_RECORDS:
                self._hand_over()

    def _end_turn(self) -> None:
        """Hand over what this turn of the event loop has brought."""
        with self._lock:
            self._turn = None
            self._hand_over()

    def _release(self) -> None:
        """Hand over what `note` left, for nobody came by."""
        with self._lock:
            self._timer = None
            self._hand_over()

    def _hand_over(self) -> None:
        """Give what is placed to the committer, in order. The caller holds the lock."""
        if self._held:
            self._queue.put(self._held)
            self._held = []

    def _place(
        self,
        record: Record,
        loop: asyncio.AbstractEventLoop | None = None,
        future: asyncio.Future[Receipt] | None = None,
        *,
        hurry: bool = True,
    ) -> _Waiting:
        """Give a record its place in the stream: from here on it will be written, or the writer fails."""
        seq = self._seq
        body = seal(
            record, node=self.node, epoch=self.epoch, seq=seq, prev_hash=self._prev.hex(), chain=self.stream.name
        )
        self._prev = leaf_hash(body)
        self._seq = seq + 1
        return _Waiting(seq, body, self._prev, record.record_type, loop, future, hurry)

    def _has_room(self) -> bool:
        self._unchecked += 1
        now = time.monotonic()
        if self._unchecked >= CHECK_COMMITS or now >= self._next_check:
            self._unchecked = 0
            self._next_check = now + CHECK_SECONDS
            try:
                disk = os.statvfs(self.stream)
                free = disk.f_bavail * disk.f_frsize
            except OSError:
                free = 0
            low = free < self._disk_low
            if low is not self._low:
                self._low = low
                log.log(
                    logging.ERROR if low else logging.INFO,
                    "free disk space below the low-water mark: nothing is forwarded" if low else "disk space is back",
                    extra={"facts": {"free_bytes": free, "low_bytes": self._disk_low}},
                )
        return not self._low

    # -------------------------------------------------------------------------------------------- the committer

    def _run(self) -> None:
        """The committer's thread: take all who wait, flush once, tell them."""
        while True:
            batch, ending = self._take()
            if batch:
                try:
                    self._flush(batch)
                except Exception as e:  # noqa: BLE001 - whatever it was, these records are not known to be durable
                    self._fail(e, batch)
                    return
            if ending:
                return

    def _take(self) -> tuple[list[_Waiting], bool]:
        """Wait for a record, then take what else is there, within the bounds of one flush; True at the end."""
        batch: list[_Waiting] = []
        size = 0
        while not batch or (len(batch) < FLUSH_RECORDS and size < self._flush_bytes and not self._queue.empty()):
            waiting = self._queue.get()
            if waiting is None:
                return batch, True
            batch += waiting
            size += sum(len(w.body) for w in waiting)
        return batch, False

    def _flush(self, batch: list[_Waiting]) -> None:
        self._files.append([w.body for w in batch], first_seq=batch[0].seq, last_hash=batch[-1].leaf)
        self._settle(batch)

    def _settle(self, batch: list[_Waiting]) -> None:
        """Receipts for a flushed batch, one wake-up per event loop."""
        now, done = self._clock() // 1000, time.perf_counter()
        for loop in {w.loop for w in batch}:
            mine = [w for w in batch if w.loop is loop]
            if loop is None or not _call(loop, self._deliver, mine, now, done):
                _count(mine, done)

    def _deliver(self, batch: list[_Waiting], durable_at: int, done: float) -> None:
        for w in batch:
            if w.future is not None and not w.future.done():
                waited = int((done - w.began) * 1e6)
                w.future.set_result(Receipt(self.node, self.epoch, w.seq, w.leaf, durable_at, waited))
        _count(batch, done)

    def _fail(self, error: Exception, batch: list[_Waiting]) -> None:
        """End of this writer. Nothing that waits is answered with anything but `Unavailable`, now and later."""
        with self._lock:
            self.failed = error
            lost = list(batch)
            while not self._queue.empty():
                lost += self._queue.get() or []
            lost += self._held
            self._held = []
        metrics.LEDGER_FAILURES.labels("io").inc()
        number = error.errno if isinstance(error, OSError) else None
        log.critical(
            "the ledger failed; this process forwards nothing any more",
            extra={"facts": {"stream": self.stream.name, "error": type(error).__name__, "errno": number}},
        )
        for loop in {w.loop for w in lost if w.loop is not None}:
            _call(loop, _reject, [w for w in lost if w.loop is loop], f"the ledger failed: {type(error).__name__}")
        self._on_failure(error)

    # ------------------------------------------------------------------------------------------ opening, closing

    def _open(self, facts: Mapping[str, object], events: Iterable[tuple[str, Mapping[str, object]]]) -> None:
        self._files.lock()
        found = recover(self.stream)
        self.epoch = found.epoch + 1
        self._seq = found.next_seq
        self._prev = found.last_hash
        self._files.begin(
            node=self.node, slot=self.slot, epoch=self.epoch, next_seq=found.next_seq, last_hash=found.last_hash
        )
        self._control([*_opening(found, facts), *events])
        self._thread.start()

    def _control(self, events: Iterable[tuple[str, Mapping[str, object]]]) -> None:
        """Records of the ledger's own life, written in the calling thread while no committer runs."""
        at = self._clock() // 1000
        batch = [
            self._place(
                Record(
                    record_type=RecordType.CONTROL,
                    decision_id="",
                    ts_received=at,
                    control_kind=kind,
                    control_detail=msgspec.json.encode(detail, order="sorted").decode(),
                )
            )
            for kind, detail in events
        ]
        self._flush(batch)


def _opening(found: Found, facts: Mapping[str, object]) -> list[tuple[str, Mapping[str, object]]]:
    """The records with which an epoch begins."""
    events: list[tuple[str, Mapping[str, object]]] = []
    for damage in found.damage[:FLUSH_RECORDS]:
        metrics.CHAIN_GAPS.inc()
        log.error("the ledger is damaged", extra={"facts": {"stream": damage.stream, "place": str(damage)}})
        events.append(("damage", {"segment": damage.segment, "offset": damage.offset, "seq": damage.seq}))
    if found.cut_bytes:
        log.warning("a torn tail was cut from the ledger", extra={"facts": {"bytes": found.cut_bytes}})
        events.append(("recovered", {"cut_bytes": found.cut_bytes, "epoch": found.epoch, "next_seq": found.next_seq}))
    events.append(("start", {**facts, "clean": found.clean}))
    return events


def _count(batch: list[_Waiting], done: float) -> None:
    """Metrics of durable records."""
    for w in batch:
        if w.hurry:
            _COMMIT.observe(done - w.began)
        _RECORDS[w.kind].count += 1


def _reject(batch: list[_Waiting], why: str) -> None:
    for w in batch:
        if w.future is not None and not w.future.done():
            w.future.set_exception(Unavailable(Cause.AUDIT_UNAVAILABLE, why))


def _call(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: object) -> bool:
    """Call a function on an event loop's thread; False when that loop is closed, and nobody waits there any more."""
    try:
        loop.call_soon_threadsafe(function, *arguments)
    except RuntimeError:
        log.warning("an event loop ended before its records were flushed")
        return False
    return True
