"""The console's process: serves the pages on a socket that the supervisor bound. `python -m sluice.console.process`.

It holds no key of the appliance and opens no store: what it shows, it asks for. When it ends, nothing else does.
SIGTERM: no more requests, exit 0. 78: the password file cannot be used. 75: its ledger stream cannot be written, and
without it nobody's reading could be recorded. When the supervisor goes away, so does this process.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Generator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from sluice import config, logs
from sluice.config import Settings
from sluice.console import app
from sluice.errors import Misconfigured, Unavailable
from sluice.heartbeat import Status
from sluice.ship.http.credentials import secret_in

log = logging.getLogger("sluice.console")

BEAT_SECONDS = 1.0
CONNECTIONS = 64
LEDGER_FAILED, MISCONFIGURED = 75, 78


class _Server(uvicorn.Server):
    """uvicorn without signals of its own and without a log."""

    def __init__(self, application: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                http="h11",
                ws="none",
                proxy_headers=False,
                limit_concurrency=CONNECTIONS,
                timeout_keep_alive=30,
                timeout_graceful_shutdown=2,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def serve(settings: Settings, listening: socket.socket, status: Status, file: Path | None = None) -> None:
    """Until SIGTERM, or until the supervisor is gone. Raises `Misconfigured`, `Unavailable`."""
    status.say("starting")
    if not settings.console.users:
        secret_in(settings.console_password)  # made now when there is none, so that it can be read before a login
    async with app.opened(settings, listening.getsockname()[0], file) as application:
        server = _Server(application)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, setattr, server, "should_exit", True)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        state = "ready"
        while not serving.done():
            if not status.say(state):
                server.should_exit = True
            state = "alive"
            await asyncio.wait({serving}, timeout=BEAT_SECONDS)
        await serving


def main() -> int:
    """The process. Its exit code."""
    parser = argparse.ArgumentParser(prog="sluice.console.process", description=__doc__.splitlines()[0])
    parser.add_argument("--listen-fd", type=int, required=True, help="listening socket")
    parser.add_argument("--status-fd", type=int, help="pipe to the supervisor")
    parser.add_argument("--config", type=Path, help="settings file")
    arguments = parser.parse_args()
    logs.setup("console")
    status = Status(arguments.status_fd)
    try:
        with socket.socket(fileno=arguments.listen_fd) as listening:
            asyncio.run(serve(config.load(arguments.config), listening, status, arguments.config))
    except Misconfigured as e:
        status.say("failed", reason=str(e))
        log.error("the settings cannot work", extra={"facts": {"problems": str(e)}})
        return MISCONFIGURED
    except Unavailable as e:
        status.say("failed", reason=str(e))
        log.error("the console's own stream cannot be written", extra={"facts": {"why": str(e)}})
        return LEDGER_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
