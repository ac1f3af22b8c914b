"""A sealer that is killed (SIGKILL) right before or right behind its nth step to the disk: `nth before|behind`."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from sluice import durable
from sluice.seal import sealer, store

NTH, WHEN = int(sys.argv[1]), sys.argv[2]
del sys.argv[1:3]
STEPS = ("write", "fsync")
count = 0
lock = threading.Lock()


def step(function: Any, *arguments: Any) -> Any:
    global count
    with lock:
        count += 1
        mine = count
    if mine == NTH and WHEN == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    result = function(*arguments)
    if mine == NTH:
        os.kill(os.getpid(), signal.SIGKILL)
    return result


class Deadly:
    """Stands in for `os` where seals are written."""

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        return (lambda *arguments: step(real, *arguments)) if name in STEPS else real


class DeadlyPath(type(Path())):  # type: ignore[misc]
    """A path whose renaming counts as a step."""

    def replace(self, target: Any) -> Any:
        return step(super().replace, target)


store.os = durable.os = Deadly()  # type: ignore[assignment]
_with_name = Path.with_name
Path.with_name = lambda self, name: DeadlyPath(_with_name(self, name))  # type: ignore[method-assign]
sys.exit(sealer.main())
