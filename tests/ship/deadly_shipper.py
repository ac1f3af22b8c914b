"""A shipper that kills itself with SIGKILL at the nth time it reaches a step of delivery, or some seconds behind it.

    python -m tests.ship.deadly_shipper VAR STEP NTH [SECONDS]

Prints `drained` when nothing waits any more, and then goes on until it is stopped.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from sluice.heartbeat import Status
from sluice.ship.shipper import Shipper
from tests.ship.ship_rig import settings_in


def main(var: Path, step: str, nth: int, behind: float = 0.0) -> None:
    left = nth

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def at(name: str) -> None:
        nonlocal left
        if name == step:
            left -= 1
            if left == 0:
                threading.Timer(behind, die).start() if behind else die()

    shipper = Shipper(settings_in(var, batch_rows=20, batch_seconds=0.05), Status(None), step=at)
    signal.signal(signal.SIGTERM, lambda *_: shipper.stopping.set())

    def watch() -> None:
        while not shipper.stopping.is_set():
            time.sleep(0.05)
            if shipper.delivery.standing.rows and shipper.delivery.standing.pending == 0:
                os.write(1, b"drained\n")
                return

    threading.Thread(target=watch, daemon=True).start()
    shipper.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), *map(float, sys.argv[4:]))
