"""The official Node SDKs, each call a process of its own. The CA comes from NODE_EXTRA_CA_CERTS; the proxy has to be
handed over as an undici ProxyAgent, because Node's fetch ignores HTTPS_PROXY (see `node/call.mjs`)."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.clients.calling import Client, Refused, Sent

DIRECTORY = Path(__file__).parent / "node"
MISSING = f"Node packages are not installed: run `npm ci` in {DIRECTORY.relative_to(Path(__file__).parents[2])}"


def installed() -> bool:
    """Whether `npm ci` has run."""
    return (DIRECTORY / "node_modules" / "openai").is_dir()


def _ask(sdk: str, prompt: str, stream: bool, sent: Sent) -> Iterator[str]:
    if not installed():
        raise FileNotFoundError(MISSING)
    question = json.dumps({"sdk": sdk, "prompt": prompt, "stream": stream})
    environment = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "HTTPS_PROXY", "NODE_EXTRA_CA_CERTS"}}
    process = subprocess.Popen(
        ["node", "call.mjs", question], cwd=DIRECTORY, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        for line in process.stdout:
            match json.loads(line):
                case {"sent": str(digest)}:
                    sent.digests.append(digest)
                case {"piece": str(piece)}:
                    yield piece
                case {"error": {"kind": kind, "status": status, "message": message}}:
                    raise Refused(kind, status, message)
                case {"done": True}:
                    return
        raise AssertionError(f"node ended without a result (exit status {process.wait()})")
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


CLIENTS = (
    Client("node-openai-chat", "api.openai.com", partial(_ask, "openai-chat")),
    Client("node-openai-responses", "api.openai.com", partial(_ask, "openai-responses")),
    Client("node-anthropic", "api.anthropic.com", partial(_ask, "anthropic")),
)
