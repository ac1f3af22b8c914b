"""What kind of client a User-Agent speaks of, from a closed list: fit for a label of a metric, no proof of anything."""

from __future__ import annotations

from functools import lru_cache

NONE, OTHER = "none", "other"

_SIGNS = (  # the first that is contained wins: an editor calls itself a browser, an agent runs in Node
    ("claude", "agent"),
    ("codex", "agent"),
    ("gemini-cli", "agent"),
    ("geminicli", "agent"),
    ("aider", "agent"),
    ("opencode", "agent"),
    ("electron/", "electron"),
    ("vscode", "electron"),
    ("code/", "electron"),
    ("cursor", "electron"),
    ("jetbrains", "jetbrains"),
    ("intellij", "jetbrains"),
    ("powershell", "powershell"),
    ("docker", "docker"),
    ("containerd", "docker"),
    ("git/", "git"),
    ("curl/", "curl"),
    ("wget/", "curl"),
    ("python", "python"),
    ("aiohttp", "python"),
    ("node", "node"),
    ("undici", "node"),
    ("axios", "node"),
    ("bun/", "node"),
    ("go-http-client", "go"),
    ("okhttp", "java"),
    ("apache-httpclient", "java"),
    ("java", "java"),
    ("reqwest", "rust"),
    ("hyper/", "rust"),
    ("rust", "rust"),
    (".net", "dotnet"),
    ("dotnet", "dotnet"),
    ("mozilla/", "browser"),
)
KINDS = tuple(sorted({kind for _, kind in _SIGNS} | {NONE, OTHER}))
MAX = 200
"""Characters that are looked at."""


@lru_cache(maxsize=256)
def kind_of(user_agent: str | None) -> str:
    """One of `KINDS`."""
    if not user_agent:
        return NONE
    said = user_agent[:MAX].lower()
    return next((kind for sign, kind in _SIGNS if sign in said), OTHER)
