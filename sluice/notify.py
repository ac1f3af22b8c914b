"""What systemd is told of the appliance: ready, alive, stopping (sd_notify(3)); nothing where systemd did not ask.

The protocol is a datagram to the socket that `NOTIFY_SOCKET` names. The variable is taken out of the environment, so
that no child can speak for the supervisor.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping


class Notifier:
    """Speaks to systemd, if it listens. Never raises: a service manager that is gone stops nothing."""

    def __init__(self, environ: MutableMapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        path = environ.pop("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        asked = environ.pop("WATCHDOG_USEC", "")
        mine = environ.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog = int(asked) / 1e6 if asked.isdigit() and mine and path else 0.0
        """Seconds within which a sign of life is wanted; 0 = none."""

    def say(self, **state: str) -> None:
        """`say(READY="1", STATUS="serving")`: each a line; line ends within a value are blanks."""
        if not self._address:
            return
        text = "\n".join(f"{key}={' '.join(value.split())}" for key, value in state.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
                to.settimeout(1.0)
                to.sendto(text.encode("utf-8", "replace"), self._address)
        except OSError:
            return
