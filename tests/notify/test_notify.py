"""What systemd is told: by datagram to its socket, and nothing where it did not ask."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A service manager's socket, and what it puts into NOTIFY_SOCKET."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@sluice-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name[1:] if name.startswith("@") else name)
        listening.settimeout(5)
        yield listening, name


def test_states_go_to_the_socket_that_was_named(manager: tuple[socket.socket, str]) -> None:
    """One datagram, a line for each state; a line end in a value cannot add one."""
    listening, name = manager
    environ = {"NOTIFY_SOCKET": name, "PATH": "/bin"}
    Notifier(environ).say(READY="1", STATUS="all well\nMAINPID=1")
    assert listening.recv(4096) == b"READY=1\nSTATUS=all well MAINPID=1"
    assert environ == {"PATH": "/bin"}


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
        ({}, 0.0),
    ],
)
def test_the_watchdog_is_ours_only_when_it_says_so(told: dict[str, str], seconds: float) -> None:
    """A time limit that was set for another process, or is none, is not kept."""
    assert Notifier(told | {"NOTIFY_SOCKET": "/nowhere"}).watchdog == seconds


def test_nobody_listens(tmp_path: Path) -> None:
    """Without a manager, or with one that is gone, nothing is said and nothing breaks."""
    quiet = Notifier({})
    quiet.say(READY="1")
    assert quiet.watchdog == 0.0
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).say(READY="1")
