"""One child process under watch: started, listened to, killed when it hangs, started again when it ends.

The child is given a pipe (`--status-fd`) and writes one JSON object a line: `{"state": "starting"}`,
`{"state": "ready"}`, then `{"state": "alive", ...facts}` every second, and `{"state": "failed", "reason": "..."}`
before it ends on purpose. Silence is the sign of a hang: a stopped or looping process cannot say so itself.

Rules
1. A child is restarted for ever; whether its failures end the appliance is for the supervisor to say.
2. A child that served and died is started again at once. One that fails while it starts waits longer each time.
3. A child has its own process group, so that Ctrl-C in a terminal reaches the supervisor alone and drains in order.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sluice import logs

log = logging.getLogger("sluice.child")

LINE_LIMIT = 64 * 1024


class State(StrEnum):
    """Where a child is in its life, as the supervisor sees it."""

    DOWN = "down"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a child may take (seconds). Tests use shorter ones."""

    start: float = 90.0
    """To become ready: the detectors are compiled, the embedded ClickHouse opens its tables."""
    stale: float = 3.0
    """Without a heartbeat: no longer counted as ready."""
    silence: float = 5.0
    """Without a heartbeat: hung, killed."""
    settle: float = 1.0
    """In service for this long: what happens next is not a failed start."""
    backoff: tuple[float, ...] = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
    """Wait before the next start, by the number of failed starts in the window."""
    window: float = 30.0
    """Failed starts older than this are forgotten."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a child ended. `code` is the exit code, negative for a signal; `failures` the failed starts in the window."""

    pid: int
    code: int
    reason: str
    failures: int

    def __str__(self) -> str:
        how = f"killed by {signal.Signals(-self.code).name}" if self.code < 0 else f"exit code {self.code}"
        return f"{self.reason} ({how})" if self.reason else how


@dataclass(frozen=True, slots=True)
class Account:
    """The user and group a child runs as, when the supervisor is root; without any other group, or any capability."""

    user: int
    group: int

    @property
    def options(self) -> dict[str, Any]:
        """For `subprocess`: it sets groups, group and user before the program begins, or the start fails."""
        return {"user": self.user, "group": self.group, "extra_groups": ()}


class Child:
    """A process that is kept running. `command` makes its arguments from the number of its status pipe."""

    def __init__(
        self,
        name: str,
        command: Callable[[int], Sequence[str]],
        *,
        fds: Sequence[int] = (),
        account: Account | None = None,
        patience: Patience | None = None,
        on_change: Callable[[], None] = lambda: None,
        on_end: Callable[[Child, Ending], None] = lambda _child, _ending: None,
    ) -> None:
        self.name = name
        self.state = State.DOWN
        self.facts: dict[str, object] = {}
        self.reason = ""
        self.starts = 0
        self._command = command
        self._fds = tuple(fds)
        self._account = account
        self._patience = patience or Patience()
        self._on_change = on_change
        self._on_end = on_end
        self._process: asyncio.subprocess.Process | None = None
        self.task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._heard_at = 0.0
        self._ready_at: float | None = None
        self._failed_starts: deque[float] = deque()

    @property
    def pid(self) -> int | None:
        """The running process, or None between two."""
        return self._process.pid if self._process and self._process.returncode is None else None

    @property
    def missing(self) -> str | None:
        """What keeps this child from counting as ready, in words; None when it is."""
        if self.state is not State.READY:
            return f"{self.name} is {self.state}" + (f": {self.reason}" if self.reason else "")
        silent = asyncio.get_running_loop().time() - self._heard_at
        return f"{self.name} has been silent for {silent:.0f} s" if silent > self._patience.stale else None

    def start(self) -> None:
        """Begin to keep the process running. Returns at once."""
        self.task = asyncio.create_task(self._keep(), name=self.name)

    async def stop(self, grace: float) -> None:
        """SIGTERM, up to `grace` seconds to end, then SIGKILL. Returns when the process is gone."""
        self._stopping.set()
        self._become(State.STOPPING)
        if self.task is None:
            return
        self._signal(signal.SIGTERM)
        done, _ = await asyncio.wait({self.task}, timeout=grace)
        if not done:
            log.error("killed: did not end in time", extra={"facts": {"process": self.name, "seconds": grace}})
            self.kill()
            await asyncio.wait({self.task})
        self.task.result()

    def kill(self) -> None:
        """SIGKILL, which a stopped process cannot put off either."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.pid is not None:
            os.killpg(self.pid, number)

    async def _keep(self) -> None:
        """Start and watch, again and again."""
        while not self._stopping.is_set():
            ending = await self._once()
            if self._stopping.is_set():
                break
            self._become(State.DOWN)
            facts = {"process": self.name, "pid": ending.pid, "how": str(ending), "failed_starts": ending.failures}
            log.error("a process ended and is started again", extra={"facts": facts})
            self._on_end(self, ending)
            waits = self._patience.backoff
            await self._pause(waits[min(ending.failures, len(waits) - 1)])
        self._become(State.STOPPED)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    async def _once(self) -> Ending:
        """One life of the process, from its start to its end."""
        loop = asyncio.get_running_loop()
        read_end, write_end = os.pipe()
        self.facts, self._ready_at, began = {}, None, loop.time()
        self._heard_at = began
        self.starts += 1
        self._become(State.STARTING)
        pipe = os.fdopen(read_end, "rb", buffering=0)
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command(write_end),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(write_end, *self._fds),
                process_group=0,
                **(self._account.options if self._account else {}),
            )
        except OSError as e:
            pipe.close()
            self.reason = f"cannot be started: {e.strerror}"
            return Ending(0, 127, self.reason, self._count_failure(loop.time()))
        finally:
            os.close(write_end)
        self._process = process
        self.reason = ""
        status = _Status(self._heard)
        transport, _ = await loop.connect_read_pipe(lambda: status, pipe)
        if self._stopping.is_set():  # asked to stop while the process was being made
            self._signal(signal.SIGTERM)
        watchdog = asyncio.create_task(self._watch(began))
        try:
            code = await process.wait()
            await asyncio.wait({status.ended}, timeout=1.0)  # its last words may still be in the pipe
        finally:
            watchdog.cancel()
            transport.close()
        now = loop.time()
        served = self._ready_at is not None and now - self._ready_at >= self._patience.settle
        if served:
            self._failed_starts.clear()
        return Ending(process.pid, code, self.reason, 0 if served else self._count_failure(now))

    def _count_failure(self, now: float) -> int:
        self._failed_starts.append(now)
        while now - self._failed_starts[0] > self._patience.window:
            self._failed_starts.popleft()
        return len(self._failed_starts)

    async def _watch(self, began: float) -> None:
        """Kill the process when it says nothing for too long."""
        clock = asyncio.get_running_loop().time
        tick = self._patience.silence / 20
        while True:
            asleep = clock()
            await asyncio.sleep(tick)
            now = clock()
            if now - asleep > tick + self._patience.silence / 5:
                continue  # it was we who slept (a suspended or crowded machine): what the pipe holds comes first
            if self.state is State.STARTING and now - began > self._patience.start:
                self.reason = f"not ready within {self._patience.start:g} s"
            elif self.state is State.READY and now - self._heard_at > self._patience.silence:
                self.reason = f"no heartbeat for {self._patience.silence:g} s"
            else:
                continue
            self.kill()
            return

    def _heard(self, line: bytes) -> None:
        """Take in one line of the status pipe. What is not a JSON object is not a sign of life either."""
        try:
            said = json.loads(line)
        except ValueError:
            return
        if not isinstance(said, dict):
            return
        now = asyncio.get_running_loop().time()
        self._heard_at = now
        match said.pop("state", None):
            case "ready":
                if self.state is State.STARTING:
                    self._ready_at = now
                    self._become(State.READY)
            case "failed":
                self.reason = logs.safe(str(said.get("reason", "")), 2000) or "failed"
                return
            case _:
                pass
        kept = {k: v for k, v in said.items() if v is None or isinstance(v, bool | int | float | str)}
        self.facts |= {logs.safe(k, 60): logs.safe(v) if isinstance(v, str) else v for k, v in kept.items()}
        self._on_change()

    def _become(self, state: State) -> None:
        if self._stopping.is_set() and state is not State.STOPPED:
            state = State.STOPPING
        if self.state is not State.STOPPED and state is not self.state:
            self.state = state
            self._on_change()


class _Status(asyncio.Protocol):
    """Splits what comes through a status pipe into lines. `ended` is done when the other end is closed."""

    def __init__(self, heard: Callable[[bytes], None]) -> None:
        self._heard = heard
        self._buffer = bytearray()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        *lines, rest = bytes(self._buffer).split(b"\n")
        self._buffer = bytearray(rest if len(rest) <= LINE_LIMIT else b"")
        for line in lines:
            self._heard(line)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
