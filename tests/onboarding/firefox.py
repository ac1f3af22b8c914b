"""Firefox ESR as a fleet gets it: the program with a `policies.json` beside it, driven over its own remote protocol.

Firefox reads `distribution/policies.json` beside the program, and where Debian puts the program only root may write. So
a directory of links stands in for it, with a copy of the small launcher, by whose place Firefox finds the rest.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Self

PATIENCE = 60.0
PREFERENCES = (
    'user_pref("marionette.port", 0);',  # a free one; it stands in MarionetteActivePort
    'user_pref("browser.shell.checkDefaultBrowser", false);',
    'user_pref("datareporting.policy.dataSubmissionEnabled", false);',
    'user_pref("network.dns.disableIPv6", true);',
)


class Unopened(Exception):
    """A page that Firefox would not show; `error` is WebDriver's name for why."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class Firefox:
    """One running browser without a window. A context; its profile is new and lies below `directory`."""

    def __init__(self, directory: Path, policies: Path) -> None:
        found = shutil.which("firefox-esr")
        assert found is not None
        home = Path(found).resolve().parent
        place = directory / "firefox"
        (place / "distribution").mkdir(parents=True)
        for part in home.iterdir():
            if part.name not in ("distribution", "firefox-esr", "firefox-bin"):
                (place / part.name).symlink_to(part)
        shutil.copy(home / "firefox-esr", place / "firefox-esr")
        (place / "firefox-bin").symlink_to(place / "firefox-esr")
        shutil.copy(policies, place / "distribution" / "policies.json")
        self._profile = directory / "profile"
        self._profile.mkdir()
        (self._profile / "user.js").write_text("\n".join(PREFERENCES))
        self._said = (directory / "firefox.log").open("wb")
        self._process = subprocess.Popen(
            [place / "firefox-esr", "--headless", "--no-remote", "--marionette", "--profile", self._profile],
            env={"HOME": str(directory), "PATH": os.environ["PATH"], "MOZ_CRASHREPORTER_DISABLE": "1"},
            stdout=self._said,
            stderr=subprocess.STDOUT,
        )
        self._number = 0

    def __enter__(self) -> Self:
        try:
            deadline = time.monotonic() + PATIENCE
            port = self._profile / "MarionetteActivePort"
            while not (port.exists() and port.read_text()):
                assert self._process.poll() is None, "firefox ended"
                assert time.monotonic() < deadline, "firefox does not listen"
                time.sleep(0.05)
            self._socket = socket.create_connection(("127.0.0.1", int(port.read_text())), PATIENCE)
            self._reader = self._socket.makefile("rb")
            self._message()
            self._ask("WebDriver:NewSession", {"capabilities": {"alwaysMatch": {"acceptInsecureCerts": False}}})
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._said.close()
        if hasattr(self, "_socket"):
            self._reader.close()
            self._socket.close()

    def text(self, url: str) -> str:
        """What a page says. Raises `Unopened`."""
        self._ask("WebDriver:Navigate", {"url": url})
        script = {"script": "return document.body.innerText", "args": []}
        return str(self._ask("WebDriver:ExecuteScript", script)["value"])

    def _ask(self, command: str, parameters: dict[str, Any]) -> Any:
        self._number += 1
        asked = json.dumps([0, self._number, command, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(asked), asked))
        _, _, error, result = self._message()
        if error:
            raise Unopened(str(error["error"]))
        return result

    def _message(self) -> Any:
        length = b""
        while (byte := self._reader.read(1)) != b":":
            assert byte, "firefox hung up"
            length += byte
        return json.loads(self._reader.read(int(length)))
