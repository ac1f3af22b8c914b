"""Conversations in the providers' wire formats: what a client would write to each product."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tests.demo.company.catalogue import Product
from tests.demo.company.tools import McpServer, Tool

type Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation: somebody's words, a call of a tool by the model, or what the tool returned."""

    who: Literal["user", "model", "call", "result"]
    text: str
    tool: str = ""


PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(60)).decode()
"""Something that begins like a picture: no detector reads it."""


def body(product: Product, model: str, turns: Sequence[Turn], *, system: str = "", tools: Sequence[Tool] = (),
         hosted: Sequence[str] = (), servers: Sequence[McpServer] = (), stream: bool = False,
         picture: bool = False) -> bytes:  # fmt: skip
    """The JSON body of a request."""
    match product.wire:
        case "anthropic":
            made = _anthropic(model, turns, system, tools, servers, picture)
        case "google":
            made = _google(turns, system, tools)
        case "responses":
            made = _responses(model, turns, system, tools, hosted, servers)
        case "embeddings":
            made = {"model": model, "input": [turn.text for turn in turns], "encoding_format": "float"}
        case "web":
            made = {"conversation_mode": "default", "messages": [turn.text for turn in turns], "timezone_offset": -60}
        case _:
            made = _openai(model, turns, system, tools, picture)
    if stream and product.wire in ("openai", "anthropic", "responses"):
        made["stream"] = True
        if product.wire == "openai":
            made["stream_options"] = {"include_usage": True}
    return json.dumps(made, ensure_ascii=False).encode()


def path(product: Product, model: str, *, stream: bool = False) -> str:
    """Where it is sent: Google names the model there."""
    if product.wire != "google":
        return product.path
    return f"{product.path}/{model}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent")


def where(product: Product) -> tuple[str, str]:
    """Operation and route as the gate names them."""
    return {
        "openai": ("chat", "openai.chat"),
        "responses": ("responses", "openai.responses"),
        "embeddings": ("embedding", "openai.embeddings"),
        "anthropic": ("chat", "anthropic.messages"),
        "google": ("chat", "google.chat"),
        "web": ("other", "opaque"),
    }[product.wire]


def _schema(tool: Tool) -> dict[str, Any]:
    return {"type": "object", "properties": {"what": {"type": "string", "description": tool.about}}}


def _openai(model: str, turns: Sequence[Turn], system: str, tools: Sequence[Tool], picture: bool) -> dict[str, Any]:
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    for n, turn in enumerate(turns):
        match turn.who:
            case "user":
                messages.append({"role": "user", "content": turn.text})
            case "model":
                messages.append({"role": "assistant", "content": turn.text})
            case "call":
                function = {"name": turn.tool, "arguments": json.dumps({"what": turn.text})}
                call = {"id": f"call_{n}", "type": "function", "function": function}
                messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
            case "result":
                messages.append({"role": "tool", "tool_call_id": f"call_{n - 1}", "content": turn.text})
    if picture:
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
        messages[-1]["content"] = [{"type": "text", "text": messages[-1]["content"]}, image]
    made: dict[str, Any] = {"model": model, "messages": messages}
    if tools:
        functions = [{"name": t.name, "description": t.about, "parameters": _schema(t)} for t in tools]
        made["tools"] = [{"type": "function", "function": f} for f in functions]
    return made


def _responses(model: str, turns: Sequence[Turn], system: str, tools: Sequence[Tool], hosted: Sequence[str],
               servers: Sequence[McpServer]) -> dict[str, Any]:  # fmt: skip
    items: list[Message] = []
    for n, turn in enumerate(turns):
        match turn.who:
            case "user":
                items.append({"role": "user", "content": turn.text})
            case "model":
                items.append({"role": "assistant", "content": turn.text})
            case "call":
                call = {"type": "function_call", "call_id": f"call_{n}", "name": turn.tool}
                items.append(call | {"arguments": json.dumps({"what": turn.text})})
            case "result":
                items.append({"type": "function_call_output", "call_id": f"call_{n - 1}", "output": turn.text})
    offered: list[dict[str, Any]] = [
        {"type": "function", "name": t.name, "description": t.about, "parameters": _schema(t)} for t in tools
    ]
    offered += [{"type": kind} for kind in hosted]
    for server in servers:
        tool = {"type": "mcp", "server_label": server.label, "server_url": server.url}
        token = {"authorization": server.token} if server.token else {}
        offered.append(tool | {"require_approval": server.approval} | token)
    return {"model": model, "instructions": system, "input": items, "tools": offered, "store": False}


def _anthropic(model: str, turns: Sequence[Turn], system: str, tools: Sequence[Tool], servers: Sequence[McpServer],
               picture: bool) -> dict[str, Any]:  # fmt: skip
    messages: list[Message] = []
    for n, turn in enumerate(turns):
        match turn.who:
            case "user":
                messages.append({"role": "user", "content": turn.text})
            case "model":
                messages.append({"role": "assistant", "content": turn.text})
            case "call":
                use = {"type": "tool_use", "id": f"toolu_{n}", "name": turn.tool, "input": {"what": turn.text}}
                messages.append({"role": "assistant", "content": [use]})
            case "result":
                result = {"type": "tool_result", "tool_use_id": f"toolu_{n - 1}", "content": turn.text}
                messages.append({"role": "user", "content": [result]})
    if picture:
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        content = [{"type": "image", "source": source}, {"type": "text", "text": messages[-1]["content"]}]
        messages[-1]["content"] = content
    made: dict[str, Any] = {"model": model, "max_tokens": 1024, "messages": messages}
    if system:
        made["system"] = system
    if tools:
        made["tools"] = [{"name": t.name, "description": t.about, "input_schema": _schema(t)} for t in tools]
    if servers:
        made["mcp_servers"] = [
            {"type": "url", "url": s.url, "name": s.label}
            | ({"authorization_token": s.token} if s.token else {})
            for s in servers
        ]  # fmt: skip
    return made


def _google(turns: Sequence[Turn], system: str, tools: Sequence[Tool]) -> dict[str, Any]:
    contents: list[Message] = []
    for turn in turns:
        match turn.who:
            case "user" | "model":
                contents.append({"role": turn.who, "parts": [{"text": turn.text}]})
            case "call":
                call = {"functionCall": {"name": turn.tool, "args": {"what": turn.text}}}
                contents.append({"role": "model", "parts": [call]})
            case "result":
                answer = {"functionResponse": {"name": turn.tool, "response": {"output": turn.text}}}
                contents.append({"role": "user", "parts": [answer]})
    made: dict[str, Any] = {"contents": contents}
    if system:
        made["systemInstruction"] = {"parts": [{"text": system}]}
    if tools:
        declared = [{"name": t.name, "description": t.about, "parameters": _schema(t)} for t in tools]
        made["tools"] = [{"functionDeclarations": declared}]
    return made
