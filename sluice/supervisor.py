"""`sluice-proxy`: checks everything, binds once, keeps workers, sealer, shipper and console running, ends in order.

Rules
1. Nothing listens before settings, rulebook, keys and CA are whole. Each problem is one line, and the exit code 78.
2. The listening socket is made here, once, and inherited: a worker that dies takes no connection queue with it, and
   one that is started again serves the same socket.
3. Workers stop first, then the sealer, and the shipper last, so that what they recorded while they stopped can still
   be sealed and shipped.
4. The console is for looking: it keeps nothing from being ready, and its failures end nothing.
5. No request passes through here: no mitmproxy, no content, nothing that a client can make slow.

Exit codes: 0 stopped as asked; 1 the appliance could not be kept running; 78 misconfigured.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.metadata
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sluice import accounts, config, instance, logs, selftest, startup
from sluice.child import Account, Child, Ending, Patience, State
from sluice.errors import Misconfigured
from sluice.ledger import segment
from sluice.notify import Notifier

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from sluice import health
    from sluice.selftest.running import SelfTest

log = logging.getLogger("sluice.supervisor")

OK, FAILED, MISCONFIGURED = 0, 1, 78
FAILURES = 5
"""Failed starts of one process within `Patience.window` that end an appliance which never was ready."""
LEDGER_FAILED = 75
DRAIN_MARGIN = 5.0
"""Seconds that a worker gets beyond `limits.drain_seconds`, which it keeps itself, before it is killed."""
SEALER_GRACE = 10.0
CONSOLE_GRACE = 5.0
SHIPPER_GRACE = 20.0
FORWARDER_GRACE = 12.0
PRUNE_SECONDS = 5.0
STATUS_SECONDS = 10.0
UNSEALED_ROUNDS = 3
"""Records that waited for a checkpoint this many times longer than they should are told as a trouble."""

# `-P` keeps the working directory off the import path: a file lying there must not become part of the gate.
WORKER = (sys.executable, "-P", "-m", "addons.worker")
SHIPPER = (sys.executable, "-P", "-m", "sluice.ship.shipper")
SEALER = (sys.executable, "-P", "-m", "sluice.seal.sealer")
PRUNER = (sys.executable, "-P", "-m", "sluice.pruning")
FORWARDER = (sys.executable, "-P", "-m", "sluice.forward.forwarder")
CONSOLE = (sys.executable, "-P", "-m", "sluice.console.process")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", "file", type=click.Path(path_type=Path), help="Settings file [default: deploy/sluice.toml].")
@click.option("--prepare", is_flag=True, help="As root: give the directories to the accounts of [accounts], and end.")
@click.version_option(importlib.metadata.version("sluice"), prog_name="sluice-proxy")
def main(file: Path | None, *, prepare: bool) -> None:
    """Run the appliance: proxy, inspection, evidence, admin listener. Stop it with Ctrl-C or SIGTERM."""
    logs.setup("supervisor")
    try:
        sys.exit(_prepare(file) if prepare else run(file))
    except Misconfigured as e:
        for problem in e.problems:
            _complain(str(problem))
        sys.exit(MISCONFIGURED)


def _prepare(file: Path | None) -> int:
    settings = config.load(file)
    startup.harden(settings)
    if (separate := accounts.resolve(settings)) is not None:
        startup.prepare(settings, separate)
    return OK


def run(
    file: Path | None,
    *,
    worker: Sequence[str] = WORKER,
    shipper: Sequence[str] = SHIPPER,
    sealer: Sequence[str] = SEALER,
    console: Sequence[str] = CONSOLE,
) -> int:
    """Check, bind, run until told to stop; the exit code. Raises `Misconfigured` before anything listens."""
    startup.refuse_key_logs()
    settings = config.load(file)
    file = config.locate(file)
    startup.harden(settings)
    _say(f"Sluice {importlib.metadata.version('sluice')}: checking settings, rules and detectors ...")
    separate = accounts.required(settings)
    startup.prepare(settings, separate)
    claim = instance.claim(settings.paths.var)
    try:
        startup.fresh_metrics(settings, separate)
        digest, warnings = startup.check(settings, file, separate)
        for warning in warnings:
            _say(f"warning: {warning}")
        proxy = startup.bind(settings.proxy.listen, settings.proxy.backlog, "proxy.listen")
        admin = startup.bind(settings.admin.listen, 64, "admin.listen")
        pages, untold = startup.bind_console(settings)
        with proxy, admin, pages or contextlib.nullcontext():
            at = startup.address(pages) if pages else ""
            instance.publish(settings.run_dir, startup.address(proxy), startup.address(admin), at)
            appliance = Appliance(
                settings,
                file,
                proxy=proxy,
                admin=admin,
                digest=digest,
                worker=worker,
                shipper=shipper,
                sealer=sealer,
                pages=pages,
                console=console,
                troubles=untold,
                separate=separate,
            )
            ending = asyncio.run(appliance.run())
    finally:
        claim.release()
    if ending.message:
        _complain(ending.message)
    return ending.code


@dataclass(frozen=True, slots=True)
class End:
    """Why the appliance ends: its exit code, and a line for the operator when it was not asked to."""

    code: int
    message: str = ""


class Appliance:
    """Workers, sealer, shipper and admin listener, from the first start to the last exit."""

    def __init__(
        self,
        settings: config.Settings,
        file: Path | None,
        *,
        proxy: socket.socket,
        admin: socket.socket,
        digest: str,
        worker: Sequence[str] = WORKER,
        shipper: Sequence[str] = SHIPPER,
        sealer: Sequence[str] = SEALER,
        pages: socket.socket | None = None,
        console: Sequence[str] = CONSOLE,
        troubles: Sequence[str] = (),
        separate: accounts.Accounts | None = None,
        patience: Patience | None = None,
    ) -> None:
        """`pages`: where the console is served, if it is. `troubles`: what the start already knows to be amiss.
        `separate`: the accounts of the children, where they have their own."""
        self._settings = settings
        self._proxy = proxy
        self._admin = admin
        self._pages = pages
        self._troubles = tuple(troubles)
        self._separate = separate
        self._digest = digest
        self._overdue = ""
        self._was_ready = False
        self._stopping = False
        self._changed = asyncio.Event()
        self._end: asyncio.Future[End] | None = None
        self._manager = Notifier()
        rest = ("--config", str(file.resolve())) if file else ()
        self._rest = rest[1:]
        listen = proxy.fileno()
        secret = selftest.new_secret()
        told = self._told = selftest.handed(secret)

        def keep(name: str, command: Callable[[int], Sequence[str]], fds: Sequence[int]) -> Child:
            return Child(
                name,
                command,
                fds=fds,
                account=Account(separate.of(name), separate.group) if separate else None,
                patience=patience,
                on_change=self._changed.set,
                on_end=self._on_child_end,
            )

        count = settings.proxy.workers or len(os.sched_getaffinity(0))
        # Each says in its start record which streams there are: one that is left names those that were taken away.
        beside = ("--beside", *(str(slot) for slot in (*range(count), segment.SEALER)))

        def worker_command(slot: int) -> Callable[[int], Sequence[str]]:
            own = (*worker, "--slot", str(slot), "--listen-fd", str(listen), "--selftest-fd", str(told), *beside)
            return lambda status: (*own, "--status-fd", str(status), *rest)

        self._workers = [keep(f"worker-{slot}", worker_command(slot), (listen, told)) for slot in range(count)]
        self._sealer = keep("sealer", lambda status: (*sealer, "--status-fd", str(status), *rest), ())
        self._selftest = self._self_test(secret)
        self._shipper = keep("shipper", lambda status: (*shipper, "--status-fd", str(status), *rest), ())
        self._forwarder = (
            keep("forwarder", lambda status: (*FORWARDER, "--status-fd", str(status), *rest), ())
            if settings.forward.to
            else None
        )
        self._console: Child | None = None
        if pages:
            served = (*console, "--listen-fd", str(pages.fileno()))
            at = (pages.fileno(),)
            self._console = keep("console", lambda status: (*served, "--status-fd", str(status), *rest), at)

    def _self_test(self, secret: str) -> SelfTest:
        from sluice import ca
        from sluice.selftest.running import SelfTest  # it imports metrics

        host, port, *_ = self._proxy.getsockname()
        ports = self._settings.tunnels.ports
        here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
        return SelfTest(
            self._settings.selftest.seconds,
            (here, port),
            self._settings.ledger_dir,
            lambda: ca.export(self._settings.ca_dir, "pem", "bundle"),
            self._changed.set,
            secret=secret,
            port=443 if 443 in ports else ports[0],
            greeting=startup.greeting(self._settings, here),
        )

    @property
    def _children(self) -> list[Child]:
        return [*self._needed, *(child for child in (self._forwarder, self._console) if child)]

    @property
    def _needed(self) -> list[Child]:
        """Those without which the appliance is not ready, and ends when they cannot start. Events outward and pages to
        look at are nobody's evidence: they never keep anyone from working."""
        return [*self._workers, self._sealer, self._shipper]

    async def run(self) -> End:
        """Start everything, say so, wait for the end, stop everything in order."""
        loop = asyncio.get_running_loop()
        logs.watch(loop)
        self._end = loop.create_future()
        loop.add_signal_handler(signal.SIGTERM, self._asked_to_stop)
        loop.add_signal_handler(signal.SIGINT, self._asked_to_stop)
        loop.add_signal_handler(signal.SIGHUP, log.warning, "SIGHUP is reserved for reloading; nothing was done")
        many = len(self._workers)
        _say(f"starting {many} worker{'s' if many > 1 else ''}, the sealer and the shipper ...")
        server = self._server()
        serving = asyncio.create_task(server.serve(sockets=[self._admin]), name="admin")
        await self._look()  # a worker that starts finds the line
        for child in self._children:
            child.start()
        announcing = asyncio.create_task(self._announce(), name="announce")
        living = asyncio.create_task(self._stay_alive(), name="service manager")
        looking = asyncio.create_task(self._keep_looking(), name="overdue")
        deleting = asyncio.create_task(self._keep_pruning(), name="pruning")
        keeping = [child.task for child in self._children if child.task]
        try:
            # A task that ends before the end was decided is a fault of ours, and takes the appliance with it.
            waited: set[asyncio.Future[Any]] = {self._end, serving, *keeping}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            end = self._end.result() if self._end.done() else End(FAILED, "a part of the supervisor itself failed")
            await self._drain()
        finally:
            for child in self._children:
                child.kill()
            announcing.cancel()
            living.cancel()
            looking.cancel()
            deleting.cancel()
            server.should_exit = True
            await asyncio.wait({serving}, timeout=3)
            os.close(self._told)
        return end

    def _asked_to_stop(self) -> None:
        if self._stopping:
            log.warning("asked twice to stop: requests in flight are cut")
            for child in self._children:
                child.kill()
            return
        self._stopping = True
        self._finish(End(OK))
        self._manager.say(STOPPING="1", STATUS="requests in flight finish")
        _say("stopping: requests in flight finish first (once more to stop at once) ...")

    def _finish(self, end: End) -> None:
        if self._end and not self._end.done():
            self._end.set_result(end)

    async def _drain(self) -> None:
        """Not ready at once, no new connections, workers to finish, then the sealer, shipper last."""
        self._stopping = True
        self._proxy.close()
        grace = self._settings.limits.drain_seconds + DRAIN_MARGIN
        console = [self._console.stop(CONSOLE_GRACE)] if self._console else []
        await asyncio.gather(*console, *(worker.stop(grace) for worker in self._workers))
        await self._sealer.stop(SEALER_GRACE)
        if self._forwarder is not None:
            await self._forwarder.stop(FORWARDER_GRACE)
        await self._shipper.stop(SHIPPER_GRACE)

    def _on_child_end(self, child: Child, ending: Ending) -> None:
        """Count a death, and decide whether it is the appliance's."""
        from prometheus_client import multiprocess  # after the directory was named

        from sluice import metrics

        metrics.WORKER_RESTARTS.labels(child.name.partition("-")[0]).inc()
        multiprocess.mark_process_dead(ending.pid, self._settings.run_dir / "metrics")  # type: ignore[no-untyped-call]
        if self._was_ready or child not in self._needed:
            return
        if ending.code == MISCONFIGURED:
            self._finish(End(MISCONFIGURED, f"{child.name}: {ending.reason or 'misconfigured'}"))
        elif ending.failures >= FAILURES:
            what = f"{child.name} failed {ending.failures} times in a row while starting; the last time: {ending}"
            if ending.code == LEDGER_FAILED:
                what += f". The ledger below {self._settings.ledger_dir} cannot be written"
            self._finish(End(FAILED, what))

    # ------------------------------------------------------------------------------------------ what others are told

    def missing(self) -> tuple[str, ...]:
        """What keeps the appliance from being ready, in words."""
        # A sealer that is lost later stops nothing: records wait unsealed, which is told as a trouble.
        found = [c.missing for c in self._needed if not (c is self._sealer and self._was_ready)]
        if self._was_ready and self._selftest.missing:
            found.append(self._selftest.missing)
        found += [
            f"{w.name}: too little free disk space for the ledger"
            for w in self._workers
            if w.facts.get("disk") == "low"
        ]
        if self._stopping:
            found.insert(0, "stopping")
        return tuple(what for what in found if what)

    @property
    def _store(self) -> object:
        return self._shipper.facts.get("store", "open")  # its first heartbeat says

    def _degraded(self) -> tuple[str, ...]:
        """What keeps nothing from being decided and recorded, and yet calls for a person."""
        found = list(self._troubles)
        if self._was_ready and self._console and (gone := self._console.missing):
            found.append(f"{gone}: there are no pages to look at")
        # Evidence is in the ledger, so a store that is down keeps nobody from working, from the first second on.
        if self._shipper.state is State.READY and self._store != "open":
            found.append(f"the event store is {self._store}: events wait in the ledger")
        if self._shipper.facts.get("sql") == "not served":
            found.append("the SQL interface of `clickhouse.http_listen` is not served: the shipper's log says why")
        if self._forwarder is not None:
            if self._forwarder.missing:
                found.append(f"{self._forwarder.missing}: events outward wait in the ledger")
            if down := self._forwarder.facts.get("down"):
                found.append(f"events are not taken by {down}: they wait in the ledger")
        found += self._unsealed()
        if self._overdue:
            found.append(f"requests to AI services are refused: {self._overdue}")
        others = [child.name for child in self._workers if child.facts.get("rulebook", self._digest) != self._digest]
        found += [f"{name} follows other rules than were checked: files changed since the start" for name in others]
        return tuple(found)

    async def _look(self) -> None:
        """Tell the workers when evidence waits longer than the site allows. What cannot be looked at is told, too."""
        from sluice import overdue

        self._overdue = await asyncio.to_thread(overdue.tell, self._settings)

    async def _keep_looking(self) -> None:
        from sluice.overdue import LOOK_SECONDS

        while self._settings.evidence.bounds_waiting:
            await asyncio.sleep(LOOK_SECONDS)
            await self._look()

    async def _keep_pruning(self) -> None:
        """Delete the segments that the shipper, which has no right to the ledger, says may go."""
        from sluice import pruning  # it imports metrics

        while (separate := self._separate) is not None:
            await asyncio.sleep(PRUNE_SECONDS)
            try:
                owners = {one.owner for one in await asyncio.to_thread(pruning.due, self._settings)}
                for owner in owners & (separate.users | {separate.supervisor}):
                    options = Account(owner, separate.group).options
                    done = await asyncio.create_subprocess_exec(*PRUNER, *self._rest, **options)
                    await done.wait()
            except Exception as e:  # what waits is kept, and tried again; nothing else stops for it
                log.error("segments whose time is over were not deleted", exc_info=e)

    def _unsealed(self) -> list[str]:
        """What is wrong with the sealing, by the sealer's word and by the files, which a dead sealer leaves too."""
        from sluice.seal import outages, standing  # it imports metrics

        sealer, found = self._sealer, []
        if self._was_ready and sealer.missing:
            found.append(f"{sealer.missing}: records wait unsealed")
        if stopped := sealer.facts.get("stopped"):
            found.append(f"not sealed any further: {stopped}; run `sluice verify`")
        if trouble := sealer.facts.get("trouble"):
            found.append(f"the sealer waits: {trouble}")
        try:
            lags = [s.lag or 0.0 for s in standing.standing(self._settings.ledger_dir, self._settings.seal_dir)]
        except OSError as e:
            return [*found, f"the seals cannot be read: {e.strerror}"]
        if max(lags, default=0.0) > UNSEALED_ROUNDS * self._settings.seal.seconds:
            found.append(f"records have waited {max(lags):.0f} s for a checkpoint")
        if self._settings.seal.witnesses:
            found += map(str, outages.read(self._settings.seal_dir))
        return found

    def _server(self) -> health.Server:
        from sluice import ca, gauges, health  # they import metrics
        from sluice.onboarding import routes

        measuring = gauges.Gauges(self._settings)

        def measure() -> Iterator[Metric]:
            store_open = self._shipper.missing is None and self._store == "open"
            return measuring.measure(
                self._children,
                ready=not self.missing(),
                troubles=len(self._degraded()),
                store_open=store_open,
                selftest=self._selftest if self._settings.selftest.seconds else None,
            )

        def status() -> health.Status:
            processes = {
                c.name: {"state": c.state, "pid": c.pid, "starts": c.starts, **c.facts} for c in self._children
            }
            return health.Status(self.missing(), processes, self._degraded())

        pages = routes.routes(
            self._settings, _table_hosts(self._settings), startup.address(self._proxy), startup.address(self._admin)
        )
        application = health.app(
            status=status,
            certificate=lambda form: ca.export(self._settings.ca_dir, form, "bundle" if form == "pem" else "current"),
            metrics=self._settings.run_dir / "metrics",
            listen=self._admin.getsockname()[0],
            measure=measure,
            more=pages,
            names=self._settings.admin.names,
        )
        return health.Server(application)

    async def _announce(self) -> None:
        """Say once, for a person, that everything is up and how to try it."""
        told: set[str] = set()
        while True:
            self._changed.clear()
            for child in self._children:
                if child.state is State.READY and child.name not in told:
                    told.add(child.name)
                    _say(f"  {child.name} is ready")
            if not self.missing():
                break
            await self._changed.wait()
        self._was_ready = True
        self._manager.say(READY="1", STATUS="ready")
        where = startup.address(self._pages) if self._pages else ""
        _say(startup.welcome(self._settings, startup.address(self._proxy), startup.address(self._admin), where))
        await self._selftest.run()

    async def _stay_alive(self) -> None:
        """Tell the service manager that this loop turns, and how things stand. A loop that hangs is killed by it."""
        while True:
            await asyncio.sleep(self._manager.watchdog / 3 or STATUS_SECONDS)
            troubles = (*self.missing(), *self._degraded())
            self._manager.say(WATCHDOG="1", STATUS="; ".join(troubles)[:400] or "ready")


def _table_hosts(settings: config.Settings) -> Callable[[], tuple[str, ...]]:
    """Host patterns of the destinations, read when they are first asked for: they are in force until the next start."""
    from sluice import targets

    @functools.cache
    def hosts() -> tuple[str, ...]:
        return targets.load(config.signatures_dir() / "targets.toml", settings.paths.targets).hosts()

    return hosts


def _say(text: str) -> None:
    """For a person, if one is there: a closed terminal or pipe must not keep the appliance from what it was doing."""
    try:
        print(text, flush=True)
    except OSError:
        _forget(1)


def _complain(text: str) -> None:
    try:
        print(f"sluice-proxy: {text}", file=sys.stderr, flush=True)
    except OSError:
        _forget(2)


def _forget(fd: int) -> None:
    """Nobody reads this stream any more: what is still buffered for it goes nowhere, at the exit too."""
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(nowhere, fd)
    os.close(nowhere)


if __name__ == "__main__":
    main()
