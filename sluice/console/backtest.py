"""A policy that somebody pastes, tried on what is recorded: `sluice policy simulate` in a process of its own.

It decides nothing and keeps nothing: the text lies in a private file for as long as the process runs. One at a time,
with a time limit, so that nobody's trial slows anybody's pages.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sluice.config import Settings

LONGEST_POLICY = 256 * 1024
SECONDS = 120.0
SPANS = ("1d", "7d", "30d", "90d")
UNSOUND, NOT_RUNNING = 2, 3


class Busy(Exception):
    """Another policy is being tried."""


class Change(msgspec.Struct, frozen=True):
    """Decisions that would change in the same way. `example` is the id of the latest."""

    before: str
    after: str
    rule_before: str
    rule_after: str
    decisions: int
    subjects: int
    providers: dict[str, int]
    classes: dict[str, int]
    example: str


class Told(msgspec.Struct, frozen=True):
    """What came of it. `undetermined`: decisions that hang on something that no record holds, by what that is."""

    decisions: int
    changed: int
    same: int
    not_policy: int
    undetermined: dict[str, int]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Tried:
    """The outcome, or what is wrong with the policy, line by line."""

    told: Told | None
    problems: tuple[str, ...] = ()


class Backtest:
    """Tries policies for one console. `file` is the settings file that the appliance runs on."""

    def __init__(self, settings: Settings, file: Path | None) -> None:
        self._settings = settings
        self._file = file
        self._turn = asyncio.Lock()

    async def run(self, text: str, since: str) -> Tried:
        """Raises `Busy`, and OSError when the private file cannot be written."""
        if self._turn.locked():
            raise Busy
        async with self._turn:
            (place := self._settings.run_dir / "console").mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=place, prefix="candidate-") as directory:
                candidate = Path(directory) / "candidate.toml"
                candidate.write_text(text, "utf-8")
                return await self._ran(candidate, since)

    async def _ran(self, candidate: Path, since: str) -> Tried:
        command = [sys.executable, "-P", "-m", "sluice.cli", "policy", "simulate"]
        command += ["--policy", str(candidate), "--since", since, "--json"]
        if self._file:
            command += ["--config", str(self._file)]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), SECONDS)
        except TimeoutError:
            return Tried(None, (f"It took longer than {SECONDS:.0f} s. Try a shorter span.",))
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode in (0, 1) and out:
            return Tried(msgspec.json.decode(out, type=Told))
        lines = err.decode("utf-8", "replace").replace(str(candidate), "candidate.toml").splitlines()
        return Tried(None, tuple(line for line in lines if line.strip())[:50] or ("It could not be tried.",))
