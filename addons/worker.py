"""One worker process: `python -m addons.worker --slot N --listen-fd FD --status-fd FD [--config PATH]`.

Started by the supervisor, which bound the socket, and which hands over what its self-test is known by
(`--selftest-fd FD`) and the slots of the ledger streams that the appliance keeps (`--beside SLOT...`), for the start
record. Says what it is doing on the status pipe, one JSON object a line: `starting`, `ready`, then `alive` with facts
every second, `failed` with a reason before it ends on purpose.

SIGTERM drains: nothing new is accepted, what is under way finishes, every outcome is written, exit code 0.
Exit code 75: the ledger failed and this process must not decide another request. 78: settings or files are wrong.
When the supervisor is gone (its pipe breaks) a worker drains as well: nobody would notice if it hung.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from itertools import chain
from pathlib import Path

from addons.egress import GuardedLoop
from addons.master import GateMaster, Listener
from addons.options import refuse_key_logs
from addons.outcome import now
from addons.state import Lines
from addons.tls import GateTls
from sluice import config, inforce, logs, metrics, rulebook, selftest
from sluice import keys as fingerprints
from sluice.ca import Authority
from sluice.errors import Misconfigured, Unavailable
from sluice.gate import Gate
from sluice.heartbeat import Status
from sluice.identity import Known
from sluice.identity.login import Logins
from sluice.identity.watch import Watch
from sluice.keyuse import KnownKeys
from sluice.ledger import acted
from sluice.ledger.writer import Writer, open_stream
from sluice.subjects import Subjects

log = logging.getLogger("sluice.worker")

OK = 0
LEDGER_FAILED = 75
MISCONFIGURED = 78

HEARTBEAT_SECONDS = 1.0
OVERDUE = "overdue"
"""File below `run` in which the supervisor says that evidence waits too long (`sluice.overdue`)."""
LINE_SECONDS = 30.0
"""A line that was not touched for so long is kept by nobody: the supervisor looks every 5 s."""
LEDGER_DRAIN_SECONDS = 1.0
"""After the ledger failed every request is refused anyway; this is for the answers that are on their way."""

SWITCH_SECONDS = 0.0005
"""How long the event loop may keep the interpreter from the committer, which has a flushed batch in hand. Python's
5 ms would be most of the slowest commits' time."""
GC_THRESHOLD = (2000, 5, 4)
"""A full collection after some 40,000 objects, or 150 connections: 10 MB of closed sessions at the most."""

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4


def main(argv: Sequence[str] | None = None) -> int:
    """The process. Returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m addons.worker")
    parser.add_argument("--slot", type=int, required=True)
    parser.add_argument("--listen-fd", type=int, required=True)
    parser.add_argument("--status-fd", type=int, required=True)
    parser.add_argument("--selftest-fd", type=int, default=None)
    parser.add_argument("--beside", type=int, nargs="*", default=[], metavar="SLOT")
    parser.add_argument("--config", type=Path, default=None)
    given = parser.parse_args(argv)
    logs.setup(f"worker-{given.slot}")
    harden()
    status = Status(given.status_fd)
    status.say("starting")
    try:
        mark = selftest.Mark(selftest.taken(given.selftest_fd))
        return run(config.load(given.config), given.slot, given.listen_fd, status, mark, given.beside)
    except Misconfigured as e:
        log.error("misconfigured", extra={"facts": {"problems": str(e)}})
        status.say("failed", reason=str(e))
        return MISCONFIGURED
    except Unavailable as e:
        log.error("the ledger cannot be opened", extra={"facts": {"why": str(e)}})
        status.say("failed", reason=str(e))
        return LEDGER_FAILED


def harden() -> None:
    """No core dump and no reading of this process's memory by others of its user; ends with its parent."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


def settle_memory() -> None:
    """Rules, detectors and code live as long as the process: the collector need not look at them any more.

    What is left is small, so that collecting all of it is cheap, and it is done often: a closed connection is a knot of
    references that only the collector unties, with two TLS sessions (60 KB) in it.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # so that the collector counts from what is left, and not from what was frozen
    gc.set_threshold(*GC_THRESHOLD)


def run(
    settings: config.Settings,
    slot: int,
    listen_fd: int,
    status: Status,
    mark: selftest.Mark,
    beside: Sequence[int] = (),
) -> int:
    """Load everything, then serve until told to stop. Raises `Misconfigured` or `Unavailable` before it serves."""
    refuse_key_logs()
    os.umask(settings.umask)
    rules = rulebook.load(settings)
    held = fingerprints.use(settings, rules.detectors.key_id)
    known = Known.load(settings)
    subjects = Subjects(settings, slot)
    keys = KnownKeys()
    authority = Authority.load_or_create(settings.ca_dir, settings.ca, node=settings.node)
    tls = GateTls(settings, authority)
    memory = settings.run_dir / "workers" / f"in-force-w{slot}.json"
    memory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    current = inforce.now(rules, authority.sha256, rules.loaded_at)
    failures: list[Callable[[], object]] = []

    def ledger_failed(_: Exception) -> None:
        for tell in failures:
            tell()

    ledger = open_stream(
        settings.ledger_dir,
        node=settings.node,
        slot=slot,
        segment_bytes=settings.evidence.segment_bytes,
        disk_low_bytes=settings.evidence.disk_low_bytes,
        on_failure=ledger_failed,
        facts={
            "version": metadata.version("sluice"),
            "mitmproxy": metadata.version("mitmproxy"),
            "rules": rules.digest,
            **({"slots": beside} if beside else {}),
        },
        events=chain(
            inforce.events(current, inforce.remembered(memory), rules),
            [("identity_load", known.facts)] if known.facts else (),
            acted.events(settings.ledger_dir / f"{settings.node}-w{slot}"),  # read when the stream is ours
        ),
    )
    inforce.remember(memory, current)
    acts = acted.Count(ledger.stream, ledger.epoch)
    gate = Gate(settings, rules, ledger, known.resolver, keys=keys, subjects=subjects, acted=acts.add, mark=mark)
    gate.withheld = _overdue(settings, time.time())
    try:
        with asyncio.Runner(loop_factory=lambda: GuardedLoop(settings)) as runner:
            listening = socket.socket(fileno=listen_fd)
            identity = Identity(settings, known, subjects, keys)
            return runner.run(Worker(settings, gate, tls, status, ledger, identity).serve(listening, failures))
    finally:
        gate.close()
        subjects.keep()
        ledger.close()
        acts.close()
        metrics.flush()
        os.close(held)


class Identity:
    """What a worker knows of senders, kept up to date once a second."""

    def __init__(self, settings: config.Settings, known: Known, subjects: Subjects, keys: KnownKeys) -> None:
        of = settings.identity
        self._watch = Watch(settings)
        self._subjects = subjects
        self._keys = keys
        self._directory = settings.paths.var / "identity"
        self.logins: Logins | None = None
        if known.users is not None:
            self.logins = Logins(
                known.users,
                failures=of.login_failures,
                lock_seconds=of.login_lock_seconds,
                cache_seconds=of.login_cache_seconds,
            )

    def keep(self) -> None:
        """Write and read the small files beside the records. Runs in a thread: a disk may be slow."""
        self._subjects.keep()
        try:
            self._keys.exchange(self._directory)
        except OSError as e:
            log.error("keys seen working could not be shared", extra={"facts": {"why": e.strerror or ""}})

    async def refresh(self, gate: Gate, lines: Lines) -> inforce.Event | None:
        """Put changed files in force, whole; the control record of that."""
        change = await self._watch.look()
        if change is None:
            return None
        if change.known is None:
            gate.know(gate.resolver.outdated())
            return "identity_stale", change.facts
        gate.know(change.known.resolver)
        if self.logins is not None and change.known.users is not None:
            self.logins.replace(change.known.users)
            for line in lines:  # what is decrypted is asked again with its next request, what is opaque never is
                if line.opaque is not None and line.login and not self.logins.holds(line.login, time.time_ns()):
                    line.close()
        return "identity_load", change.facts


class Worker:
    """The event loop's side of the process."""

    def __init__(
        self,
        settings: config.Settings,
        gate: Gate,
        tls: GateTls,
        status: Status,
        ledger: Writer,
        identity: Identity,
    ) -> None:
        self._identity = identity
        self._ledger = ledger
        self._settings = settings
        self._gate = gate
        self._tls = tls
        self._status = status
        self._stop = asyncio.Event()
        self._code = OK

    async def serve(self, listening: socket.socket, failures: list[Callable[[], object]]) -> int:
        """Accept until told to stop, drain, and return the exit code."""
        loop = asyncio.get_running_loop()
        logs.watch(loop)
        loop.set_task_factory(asyncio.eager_task_factory)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        failures.append(lambda: loop.call_soon_threadsafe(self._ledger_failed))
        master = GateMaster(self._settings, self._gate, self._tls, logins=self._identity.logins)
        listener = Listener(master)
        settle_memory()
        sys.setswitchinterval(SWITCH_SECONDS)
        await listener.start(listening)
        self._status.say("ready")
        beating = loop.create_task(self._beat(master, listener))
        knowing = loop.create_task(self._know(master))
        await self._stop.wait()
        seconds = self._settings.limits.drain_seconds if self._code == OK else LEDGER_DRAIN_SECONDS
        await listener.drain(seconds)
        beating.cancel()
        knowing.cancel()
        if self._identity.logins is not None:
            self._identity.logins.close()
        if self._code == LEDGER_FAILED:
            self._status.say("failed", reason="the ledger failed")
        return self._code

    async def _note(self, event: inforce.Event) -> None:
        """A control record. That it cannot be written ends the worker, through the ledger's own alarm."""
        try:
            await self._ledger.note(inforce.record(event, now()))
        except Unavailable:
            log.error("a change was not recorded", extra={"facts": {"kind": event[0]}})

    def _ledger_failed(self) -> None:
        self._code = LEDGER_FAILED
        self._stop.set()

    async def _know(self, master: GateMaster) -> None:
        """Once a second: changed identity files, names of new subjects, keys seen working. Beside the heartbeat, which
        must not wait for a large file."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            try:
                self._gate.withheld = _overdue(self._settings, time.time())  # first: what fails below must not hide it
                await loop.run_in_executor(None, self._identity.keep)
                if event := await self._identity.refresh(self._gate, master.core.lines):
                    await self._note(event)
            except Exception as e:
                log.error("identity could not be refreshed", exc_info=e)

    async def _beat(self, master: GateMaster, listener: Listener) -> None:
        """Once a second: the metrics, and a sign of life. How late this runs is the loop's lag."""
        loop = asyncio.get_running_loop()
        deadlines = inforce.Deadlines(self._gate.rulebook, time.time_ns())
        due = loop.time() + HEARTBEAT_SECONDS
        body_us = int(self._settings.limits.body_seconds * 1_000_000)
        while True:
            await asyncio.sleep(max(0.0, due - loop.time()))
            lag = loop.time() - due
            due = max(due + HEARTBEAT_SECONDS, loop.time())
            inflight = master.core.inflight
            for event in deadlines.passed(time.time_ns()):
                await self._note(event)
            if slow := master.core.lines.end_slow_bodies(now() - body_us):
                metrics.BAD_REQUESTS.labels("slow_body").inc(slow)
            metrics.LOOP_LAG_SECONDS.observe(max(0.0, lag))
            metrics.INFLIGHT_REQUESTS.set(inflight.requests)
            metrics.INFLIGHT_BYTES.set(inflight.bytes)
            metrics.CONNECTIONS.set(listener.connections)
            metrics.flush()
            self._status.say(
                "alive",
                connections=listener.connections,
                inflight=inflight.requests,
                lag_ms=round(lag * 1000, 1),
                rulebook=self._gate.rulebook.digest,
                disk="ok" if self._ledger.has_room else "low",
            )
            if self._status.gone and not self._stop.is_set():
                log.error("the supervisor is gone; draining")
                self._stop.set()


def _overdue(settings: config.Settings, at: float) -> str:
    """The line of `sluice.overdue`, which this side of the wall only reads, at a time in seconds since the epoch. Where
    the site has a limit, a line that cannot be read, or that nobody keeps, is a reason, too."""
    if not settings.evidence.bounds_waiting:
        return ""
    try:
        line = settings.run_dir / OVERDUE
        if at - line.stat().st_mtime < LINE_SECONDS:
            return line.read_text("utf-8")
    except (OSError, ValueError):
        pass  # refused, as a line that has grown old
    return "whether evidence gets on cannot be told"


if __name__ == "__main__":
    sys.exit(main())
