"""The real appliance as a child process: own settings, own `var`, ports that the system chooses, stopped by its pid.

Tests, the agents' tests and the demonstration all start it here, so that they see what an operator sees: `sluice-proxy`
from its settings file, the CA from the admin listener, and answers from `sluice sql`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.rig.warm import warm
from tests.upstream import AI_HOSTS, Upstream

BIN = Path(sys.executable).parent
START_SECONDS = 90.0
SIDE_HOSTS = ("ab.chatgpt.com", "api.github.com", "github.com", "play.googleapis.com")
"""Where coding agents connect to beside their provider (telemetry, updates), as seen in November 2026."""

SHIP_SOON = "[clickhouse]\nbatch_seconds = 0.2\n"
SHIP_SECONDS = 30.0
"""Until a committed record must be queryable. Seconds are promised; a busy test machine gets more."""


class Appliance:
    """`sluice-proxy` below `directory`, with every host of `hosts` mapped to the upstream, and every host of `closed`
    to a port where nobody listens, so that a test behaves alike with and without a network.

    `settings` is TOML that is put before our own (for sections that this class does not write). `console` is where the
    console is served, `127.0.0.1:0` for any port; not at all when empty.
    """

    def __init__(
        self,
        directory: Path,
        upstream: Upstream,
        *,
        hosts: Sequence[str] = AI_HOSTS,
        closed: Sequence[str] = SIDE_HOSTS,
        workers: int = 1,
        settings: str = SHIP_SOON,
        port: int = 0,
        console: str = "",
    ) -> None:
        self.directory = directory
        self.var = directory / "var"
        self.config = directory / "sluice.toml"
        self.log = directory / "sluice.log"
        self.ca_file = directory / "sluice-ca.pem"
        self.proxy = self.admin = self.console = ""
        self._process: subprocess.Popen[bytes] | None = None
        warm(self.var)
        (directory / "upstream-ca.pem").write_bytes(upstream.ca_pem)
        addresses = dict.fromkeys(hosts, upstream.address) | dict.fromkeys(closed, "127.0.0.1:1")
        mapping = "\n".join(f'"{host}" = "{address}"' for host, address in addresses.items())
        self.config.write_text(
            f'{settings}\n[proxy]\nlisten = "127.0.0.1:{port}"\nworkers = {workers}\n'
            f'[admin]\nlisten = "127.0.0.1:0"\n[console]\nlisten = "{console}"\n'
            f'[upstream]\ntrusted_ca = "upstream-ca.pem"\n[upstream.hosts]\n{mapping}\n'
        )

    def start(self, waiting: Callable[[str], None] = lambda _: None) -> None:
        """Start and wait until it is ready; `waiting` is told now and then what is still missing.

        Raises RuntimeError with the end of its log when it is not ready in time or ends.
        """
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [BIN / "sluice-proxy", "--config", self.config], stdout=log, stderr=log, env=self._own_environment()
            )
        endpoints = self.var / "run" / "endpoints.json"
        deadline = time.monotonic() + START_SECONDS
        missing = "not started"
        while time.monotonic() < deadline:
            if (code := self._process.poll()) is not None:
                raise RuntimeError(f"sluice-proxy ended with {code}:\n{self._log_tail()}")
            if endpoints.is_file() and not missing:
                break
            if endpoints.is_file():
                said = json.loads(endpoints.read_text())
                self.proxy, self.admin = f"http://{said['proxy']}", f"http://{said['admin']}"
                self.console = f"http://{said['console']}" if "console" in said else ""
                missing = self._missing()
                waiting(missing)
            if missing:
                time.sleep(0.1)
        if missing:
            self.stop()
            raise RuntimeError(f"sluice-proxy is not ready after {START_SECONDS} s ({missing}):\n{self._log_tail()}")
        with self._admin("/ca.pem") as answer:
            self.ca_file.write_bytes(answer.read())

    def stop(self) -> int | None:
        """SIGTERM to this process alone, wait for the drain; the exit code."""
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.wait(40)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def reap(self) -> None:
        """Wait for a process that was killed from outside, and forget it."""
        if self._process is not None:
            self._process.wait(10)
            self._process = None

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs to go through the gate and to trust it."""
        return {
            "HTTPS_PROXY": self.proxy,
            "HTTP_PROXY": self.proxy,
            "SSL_CERT_FILE": str(self.ca_file),
            "REQUESTS_CA_BUNDLE": str(self.ca_file),
            "NODE_EXTRA_CA_CERTS": str(self.ca_file),
        }

    def sluice(self, *arguments: str) -> str:
        """Output of the `sluice` command with this appliance's settings. Raises RuntimeError with what it complains."""
        done = subprocess.run(
            [BIN / "sluice", *arguments], capture_output=True, text=True, timeout=60, env=self._own_environment()
        )
        if done.returncode:
            raise RuntimeError(f"sluice {arguments[0]} ended with {done.returncode}: {done.stderr}{done.stdout}")
        return done.stdout

    def sql(self, query: str) -> list[dict[str, Any]]:
        """Rows of a query, asked as an operator would."""
        lines = self.sluice("sql", "--format", "JSONEachRow", query).splitlines()
        return [json.loads(line) for line in lines if line]

    def rows_when(self, query: str, enough: Callable[[Sequence[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """The rows of a query once `enough` of them are there. Raises AssertionError when they never come."""
        deadline = time.monotonic() + SHIP_SECONDS
        while True:
            rows = self.sql(query)
            if enough(rows):
                return rows
            if time.monotonic() > deadline:
                raise AssertionError(f"after {SHIP_SECONDS} s the query still gives {rows}\n{self._log_tail()}")
            time.sleep(0.3)

    def _own_environment(self) -> dict[str, str]:
        """The caller's, less its Sluice settings and its own proxy."""
        mine = {k: v for k, v in os.environ.items() if not k.startswith("SLUICE_") and not k.lower().endswith("_proxy")}
        return mine | {"SLUICE_CONFIG": str(self.config)}

    def _admin(self, path: str) -> Any:
        # The admin listener is on loopback and never behind a proxy of the environment.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        return opener.open(self.admin + path, timeout=5)

    def _missing(self) -> str:
        """What keeps it from being ready, in its own words; empty when it is ready."""
        try:
            with self._admin("/readyz"):
                return ""
        except urllib.error.HTTPError as e:
            return ", ".join(json.loads(e.read()).get("missing", [])) or "not ready"
        except OSError as e:
            return f"admin listener: {e}"

    def _log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
