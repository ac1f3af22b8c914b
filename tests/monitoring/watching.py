"""Debian's Prometheus and Alertmanager beside a running appliance, with the files that ship.

Only addresses and times are other ones, so that a test need not wait for minutes.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from ruamel.yaml import YAML

from tests.rig.ports import free_port

HERE = Path(__file__).parents[2] / "deploy" / "prometheus"
PATIENCE = 60.0


def until[T](found: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """Ask until there is an answer."""
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < deadline, f"{what} after {seconds} s"
        time.sleep(0.2)
    return answer


class Pager:
    """Who is called: takes what Alertmanager posts, as (receiver, alert)."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        pager = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                said = json.loads(self.rfile.read(int(self.headers["content-length"])))
                pager.calls += [(said["receiver"], alert) for alert in said["alerts"]]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


class Watch:
    """Both programs, for the admin listener at `admin` (`127.0.0.1:port`)."""

    def __init__(self, directory: Path, admin: str) -> None:
        self.pager = Pager()
        self._ports = free_port(), free_port()
        prometheus, alertmanager = self._ports
        settings = YAML(typ="safe").load((HERE / "prometheus.yml").read_text())
        settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        settings["rule_files"] = [str(HERE / name) for name in settings["rule_files"]]
        settings["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{alertmanager}"]
        settings["scrape_configs"][0]["static_configs"][0]["targets"] = [admin]
        (directory / "prometheus.yml").write_text(json.dumps(settings))  # JSON is YAML
        routing = YAML(typ="safe").load((HERE / "alertmanager.yml").read_text())
        for route in (routing["route"], *routing["route"]["routes"]):
            route["group_wait"] = "0s"
        for receiver in routing["receivers"]:
            receiver["webhook_configs"][0]["url"] = f"http://127.0.0.1:{self.pager.port}/"
        (directory / "alertmanager.yml").write_text(json.dumps(routing))
        self._log = (directory / "watch.log").open("wb")
        self._running = [
            self._start(
                "prometheus-alertmanager",
                f"--config.file={directory}/alertmanager.yml",
                f"--storage.path={directory}/alerts",
                f"--web.listen-address=127.0.0.1:{alertmanager}",
                "--cluster.listen-address=",
            ),
            self._start(
                "prometheus",
                f"--config.file={directory}/prometheus.yml",
                f"--storage.tsdb.path={directory}/series",
                f"--web.listen-address=127.0.0.1:{prometheus}",
            ),
        ]

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._log.close()
        self.pager.close()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The answer to an instant query: a list of series, a scalar as a series without labels. Raises on an error."""
        asked = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"http://127.0.0.1:{self._ports[0]}/api/v1/query?{asked}", timeout=20) as answer:
            data = json.load(answer)["data"]
        return list(data["result"]) if data["resultType"] == "vector" else [{"metric": {}, "value": data["result"]}]

    @property
    def scraped(self) -> bool:
        """Whether the appliance has been scraped."""
        try:
            return any(series["value"][1] == "1" for series in self.query("up"))
        except OSError:
            return False
