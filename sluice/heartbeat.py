"""What a process of the appliance tells the supervisor: one JSON object a line, through the pipe that it was given.

The other end is `child.Child`. A line is lost rather than waited for: nobody hangs because the supervisor does.
"""

from __future__ import annotations

import json
import os


class Status:
    """The pipe to the supervisor; without one (a process that was started by hand) everything is said to nobody."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd
        self.gone = False
        """True once nobody reads the pipe any more."""
        if fd is not None:
            os.set_blocking(fd, False)

    def say(self, state: str, **facts: object) -> bool:
        """One line; False when nobody listens any more. Never blocks and never raises: a full pipe loses the line."""
        if self._fd is None:
            return True
        try:
            os.write(self._fd, json.dumps({"state": state, **facts}).encode() + b"\n")
        except BlockingIOError:
            return True
        except OSError:
            self.gone = True
        return not self.gone
