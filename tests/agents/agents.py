"""Three coding agents as their users start them, headless: proxy and CA from the environment, no base URL, and a home
directory of their own, so that nothing of the developer's own configuration takes part."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PACKAGES = Path(__file__).parent / "node_modules"
MISSING = "the agents are not installed: run `npm ci` in tests/agents (make test-agents does)"
PATIENCE = 90.0
"""Seconds for one prompt; a healthy run needs one to three."""

_CPU = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
_CODEX = f"@openai/codex-linux-{_CPU}/vendor/{platform.machine()}-unknown-linux-musl/bin/codex"


@dataclass(frozen=True, slots=True)
class Run:
    """What an agent did with a prompt: exit status, and everything it printed."""

    status: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


@dataclass(frozen=True, slots=True)
class Agent:
    """`command` takes the prompt as its last argument; `path` is where the prompt is sent (POST)."""

    name: str
    host: str
    path: str
    command: tuple[str, ...]
    variables: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return self.name

    def run(self, prompt: str, home: Path, gate: Mapping[str, str]) -> Run:
        """Run it to its end. `gate` is the environment of a client behind the gate."""
        if not PACKAGES.is_dir():
            raise FileNotFoundError(MISSING)
        work, temporary = home / "work", home / "tmp"
        for directory in (work, temporary, home / ".codex", home / ".claude"):
            directory.mkdir()
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(temporary), "TERM": "dumb"}
        environment |= {name: value.format(home=home) for name, value in self.variables}
        done = subprocess.run(
            [*self.command, prompt],
            cwd=work,
            env=environment | dict(gate),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        return Run(done.returncode, done.stdout, done.stderr)


CLAUDE_CODE = Agent(
    name="claude-code",
    host="api.anthropic.com",
    path="/v1/messages",
    command=(str(PACKAGES / f"@anthropic-ai/claude-code-linux-{_CPU}" / "claude"), "-p"),
    variables=(("ANTHROPIC_API_KEY", "local-test-key"), ("CLAUDE_CONFIG_DIR", "{home}/.claude")),
)
CODEX = Agent(
    name="codex",
    host="api.openai.com",
    path="/v1/responses",
    command=(
        str(PACKAGES / _CODEX),
        *("exec", "--skip-git-repo-check", "--ephemeral", "--sandbox", "read-only", "--model", "gpt-5.5-codex"),
    ),
    variables=(("CODEX_API_KEY", "local-test-key"), ("CODEX_HOME", "{home}/.codex")),
)
GEMINI_CLI = Agent(
    name="gemini-cli",
    host="generativelanguage.googleapis.com",
    path="/v1beta/models/gemini-2.5-flash:streamGenerateContent",
    # Without a model it asks another model which one to use, and wants that answer in a form of its own.
    command=(
        "node",
        str(PACKAGES / "@google/gemini-cli/bundle/gemini.js"),
        *("--skip-trust", "--model", "gemini-2.5-flash", "--prompt"),
    ),
    variables=(("GEMINI_API_KEY", "local-test-key"),),
)
AGENTS = (CLAUDE_CODE, CODEX, GEMINI_CLI)
