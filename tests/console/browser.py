"""A real Chromium, driven over its DevTools protocol: one page that is made narrow or dark, looked at, and measured."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import connect

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
WIDE, NARROW = (1280, 900), (390, 844)


def program() -> str | None:
    """A Chromium of this machine."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One tab. `errors` is what the page complained of in its console: policy violations, missing files."""

    def __init__(self, path: str, profile: Path) -> None:
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-proxy-server"]
        arguments += ["--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
        # A group of its own: the program may be a script that starts the browser and does not become it.
        self._process = subprocess.Popen(
            [path, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
        )
        self._open = ExitStack()
        self._open.callback(self._end)
        self._number = 0
        self.errors: list[str] = []
        self._events: list[str] = []
        try:
            port = self._port(profile / "DevToolsActivePort")
            answer = httpx.put(f"http://127.0.0.1:{port}/json/new?about:blank", trust_env=False)
            address = answer.json()["webSocketDebuggerUrl"]
            self._socket = self._open.enter_context(connect(address, max_size=None, proxy=None))
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def _port(self, file: Path) -> int:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            if file.exists() and (text := file.read_text()).count("\n"):
                return int(text.split()[0])
            assert self._process.poll() is None, "the browser ended"
            time.sleep(0.02)
        raise AssertionError("the browser opened no port")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            said = self._receive()
            if said.get("id") == self._number:
                assert "error" not in said, (method, said["error"])
                return said["result"]

    def _receive(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self._socket.recv(timeout=30))
        method, parameters = said.get("method", ""), said.get("params", {})
        self._events.append(method)
        if method == "Log.entryAdded":
            self.errors.append(parameters["entry"]["text"])
        if method == "Runtime.exceptionThrown":
            self.errors.append(str(parameters["exceptionDetails"]["text"]))
        if method == "Page.javascriptDialogOpening":
            self.errors.append(f"a dialog: {parameters['message']}")
        return said

    def look(self, size: tuple[int, int], *, dark: bool) -> None:
        width, height = size
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)

    def cookie(self, url: str, name: str, value: str) -> None:
        self.call("Network.setCookie", url=url, name=name, value=value, httpOnly=True, sameSite="Strict")

    def go(self, url: str) -> None:
        """Open a page and wait until it is loaded."""
        self._events.clear()
        self.call("Page.navigate", url=url)
        while "Page.loadEventFired" not in self._events:
            self._receive()

    def log_in(self, password: str) -> None:
        """Fill in the form as a person does, and wait for the page behind it."""
        self.run("document.getElementById('password').focus()")
        self.call("Input.insertText", text=password)
        self._events.clear()
        self.run("document.querySelector('button').click()")
        while "Page.loadEventFired" not in self._events:
            self._receive()

    def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def shot(self, file: Path) -> None:
        """A picture of the whole page."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 4000), "scale": 1}
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"]
        file.write_bytes(base64.b64decode(data))

    def close(self) -> None:
        """Nothing of it is left: browser, its helpers, the script that started it."""
        self._open.close()

    def _end(self) -> None:
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(10)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
