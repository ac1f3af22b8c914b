"""One appliance per `var`: a lock that the running supervisor holds, and where to reach it.

Two supervisors on one `var` would write the same ledger streams and open the same embedded ClickHouse. The kernel
drops the lock with its holder, however that ended, so a stale file never stands in the way. What is written beside
it (`endpoints.json`) may be lost: it is made again at each start.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from sluice.errors import Misconfigured, Problem

LOCK = "sluice.pid"


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run on a `var`. Held until `release`, or until the process ends."""

    fd: int

    def release(self) -> None:
        os.ftruncate(self.fd, 0)
        os.close(self.fd)


def claim(var: Path) -> Claim:
    """Take the lock of `var`. Raises `Misconfigured` naming the process that has it."""
    file = var / LOCK
    try:
        fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as e:
        raise Misconfigured(Problem(str(file), None, f"cannot be opened: {e.strerror}")) from e
    if not _locked(fd):
        holder = os.read(fd, 20).decode("ascii", "replace").strip() or "unknown"
        os.close(fd)
        what = f"in use by another sluice-proxy (pid {holder}); stop it, or give this one its own `paths.var`"
        raise Misconfigured(Problem(str(var), None, what))
    os.ftruncate(fd, 0)
    os.write(fd, f"{os.getpid()}\n".encode())
    return Claim(fd)


def _locked(fd: int) -> bool:
    """Try for a moment: a tool that asks `running` holds the lock for an instant."""
    for attempt in range(5):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.1 if attempt < 4 else 0)
        else:
            return True
    return False


def running(var: Path) -> int | None:
    """The pid of the appliance that runs on `var`, or None."""
    try:
        with (var / LOCK).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = file.read(20).strip()
                return int(text) if text.isdigit() else 0
    except OSError:
        return None
    return None


def publish(run_dir: Path, proxy: str, admin: str, console: str = "") -> None:
    """Write where this appliance listens (`host:port`), for tools and tests that let the system choose a port."""
    where = {"proxy": proxy, "admin": admin} | ({"console": console} if console else {})
    draft = run_dir / "endpoints.json.new"
    draft.write_text(json.dumps({"pid": os.getpid(), **where}) + "\n", "utf-8")
    draft.replace(run_dir / "endpoints.json")
