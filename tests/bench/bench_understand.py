"""CPU time of decode and parse, against `json.loads` of the same body: `python tests/bench/bench_understand.py`.

Bodies are made here: one chat question (4 KB), a short conversation (64 KB), and a coding agent's request with tools,
calls and results (1 MB), as OpenAI chat, OpenAI responses and Anthropic messages. The decoded tree of `json.loads`
alone is the floor that no Python parser of JSON gets below. Printed: milliseconds of CPU, and the ratio to the floor.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sluice.config import Limits
from sluice.decode import open_body
from sluice.dialects import parse
from sluice.model import Client, Exchange, Mode, Status, Target

_CODE = Path(__file__).with_suffix(".py").read_text("utf-8") * 20
_PROSE = "The quarterly report of the northern branch shows a modest rise in orders, and the board asks why. " * 400
_TOOLS = [
    {
        "name": f"tool_{i}",
        "description": _PROSE[:800],
        "schema": {
            "type": "object",
            "properties": {f"p{j}": {"type": "string", "description": _PROSE[:60]} for j in range(8)},
            "required": ["p1"],
        },
    }
    for i in range(24)
]


def _turns(size: int) -> list[tuple[str, str]]:
    """Who says what, until `size` bytes are full: question, call, result, answer."""
    turns: list[tuple[str, str]] = []
    total, i = 0, 0
    while total < size:
        kind = ("user", "call", "result", "assistant")[i % 4]
        text = {"user": _PROSE[i : i + 600], "call": "", "assistant": _PROSE[:300]}.get(kind, _CODE[i : i + 2400])
        turns.append((kind, text))
        total += len(text) + 150
        i += 1
    return turns


def chat(size: int) -> tuple[str, dict[str, Any]]:
    if size < 10_000:
        messages = [{"role": "system", "content": _PROSE[:600]}, {"role": "user", "content": _PROSE[: size - 800]}]
        return "/v1/chat/completions", {"model": "gpt-5.5", "stream": True, "messages": messages}
    messages = [{"role": "system", "content": _PROSE[:6000]}]
    for i, (kind, text) in enumerate(_turns(size - 60_000)):
        if kind == "call":
            arguments = json.dumps({"path": "/srv/app/main.py", "limit": 200})
            call = {"id": f"call_{i}", "type": "function", "function": {"name": "tool_1", "arguments": arguments}}
            messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        elif kind == "result":
            messages.append({"role": "tool", "tool_call_id": f"call_{i - 1}", "content": text})
        else:
            messages.append({"role": kind, "content": text})
    tools = [
        {
            "type": "function",
            "function": {"name": t["name"], "description": t["description"], "parameters": t["schema"]},
        }
        for t in _TOOLS
    ]
    return "/v1/chat/completions", {"model": "gpt-5.5", "stream": True, "messages": messages, "tools": tools}


def responses(size: int) -> tuple[str, dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for i, (kind, text) in enumerate(_turns(size)):
        if kind == "call":
            arguments = json.dumps({"command": ["bash", "-lc", "ls"]})
            items.append({"type": "function_call", "call_id": f"c{i}", "name": "shell", "arguments": arguments})
        elif kind == "result":
            items.append({"type": "function_call_output", "call_id": f"c{i - 1}", "output": text})
        else:
            part = {"type": "output_text" if kind == "assistant" else "input_text", "text": text}
            items.append({"type": "message", "role": kind, "content": [part]})
    return "/v1/responses", {"model": "gpt-5.5-codex", "stream": True, "input": items}


def messages(size: int) -> tuple[str, dict[str, Any]]:
    turns: list[dict[str, Any]] = []
    for i, (kind, text) in enumerate(_turns(size)):
        block: dict[str, Any] = {"type": "text", "text": text}
        if kind == "call":
            block = {"type": "tool_use", "id": f"toolu_{i:020}", "name": "tool_1", "input": {"path": "/srv/app"}}
        elif kind == "result":
            block = {"type": "tool_result", "tool_use_id": f"toolu_{i - 1:020}", "content": text}
        role = "assistant" if kind in ("call", "assistant") else "user"
        turns.append({"role": role, "content": [block]})
    tools = [{"name": t["name"], "description": t["description"], "input_schema": t["schema"]} for t in _TOOLS]
    system = [{"type": "text", "text": _PROSE[:6000]}]
    body = {"model": "claude", "max_tokens": 32000, "system": system, "messages": turns, "tools": tools}
    return "/v1/messages", body


HEADERS = (
    ("host", "api.example.com"),
    ("authorization", "Bearer sk-proj-0000000000000000000000000000"),
    ("content-type", "application/json"),
    ("accept", "application/json"),
    ("accept-encoding", "gzip, deflate"),
    ("user-agent", "OpenAI/Python 3.54.0"),
    ("x-stainless-lang", "python"),
    ("x-stainless-package-version", "3.54.0"),
    ("x-stainless-os", "Linux"),
    ("x-stainless-arch", "x64"),
    ("x-stainless-runtime", "CPython"),
    ("x-stainless-runtime-version", "3.13.0"),
    ("x-stainless-async", "false"),
    ("x-stainless-retry-count", "0"),
)


def cpu(work: Callable[[], object], seconds: float = 0.6) -> float:
    """Milliseconds of CPU of one call: the best of five rounds."""
    once = time.process_time()
    work()
    rounds = max(1, int(seconds / 5 / max(time.process_time() - once, 1e-6)))
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        for _ in range(rounds):
            work()
        best = min(best, (time.process_time() - began) / rounds)
    return best * 1000


def main() -> None:
    limits = Limits()
    target = Target("row", "provider", "product", "api", "openai", Status.UNREVIEWED, Mode.ENFORCE, "api.example.com")
    print(f"{'body':<28}{'bytes':>10}{'parts':>7}{'json.loads ms':>15}{'understand ms':>15}{'ratio':>7}")
    for name, make, size in (
        ("chat 4 KB", chat, 4_096),
        ("chat 64 KB", chat, 65_536),
        ("chat 1 MB", chat, 1_048_576),
        ("responses 1 MB", responses, 1_000_000),
        ("messages 1 MB", messages, 1_000_000),
    ):
        path, body = make(size)
        data = json.dumps(body).encode()
        for coding in ("", "gzip") if name == "chat 1 MB" else ("",):
            wire = gzip.compress(data) if coding else data
            headers = HEADERS + ((("content-encoding", coding),) if coding else ())
            exchange = Exchange(
                "id",
                0,
                Client("127.0.0.1"),
                "POST",
                "https",
                "api.example.com",
                443,
                path,
                "",
                "HTTP/1.1",
                headers,
                (),
                wire,
            )

            def understand(exchange: Exchange = exchange) -> object:
                payload = open_body(exchange.body, exchange.headers, limits, time.thread_time)
                return parse(target, exchange, payload, limits)

            parts = len(parse(target, exchange, open_body(wire, headers, limits, time.thread_time), limits).parts)
            floor, ours = cpu(lambda data=data: json.loads(data)), cpu(understand)
            title = f"{name} {coding}".strip()
            print(f"{title:<28}{len(data):>10}{parts:>7}{floor:>15.4f}{ours:>15.4f}{ours / floor:>7.1f}")


if __name__ == "__main__":
    main()
