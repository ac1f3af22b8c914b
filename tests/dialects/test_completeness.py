"""Every known key of every format, in every wrong place: a walk through the dialects that leaves no branch untried.

Random bodies seldom reach `messages[].tool_calls[].function.arguments`; these bodies are built to. Each leaf is a text
of its own, so that a lost one cannot hide behind another.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from wire_samples import understand

from sluice.config import Limits
from sluice.dialects import anthropic, google, google_interactions, openai
from sluice.dialects.words import listed
from sluice.model import Client, Exchange

FIELDS = sorted(
    listed(
        """
        action args arguments attachments audioTranscription authentication authorization authorization_token
        body brand_new bytesBase64Encoded code codeExecutionResult container content context custom data
        deny_message displayName document encrypted_content executableCode file file_data file_id file_ids
        file_url fileData filename fileUri format function function_call functionCall functionCallingConfig
        functionDeclarations functionResponse headers id image image_file image_url images inlineData input
        input_audio key mcpServers media_type messages metadata mime_type mimeType mode name output outputs
        parameters params parts previous_message_id queries reasoning_details refusal request requests response
        result results role role_information search_prompt server_url source stdout streamableHttpTransport
        summary text thinking thought thread title tool tool_calls toolCall tools type uri url user_id variables
        """
    )
)
STRUCTURAL = sorted(
    listed(
        """
        base64 compaction container_upload content custom document file function function_call
        function_call_output function_result image image_generation_call image_url input_audio input_file
        input_text item_reference local_shell_call_output mcp mcp_toolset message model_output namespace new
        reasoning redacted_thinking search_result text thinking tool_addition tool_result tool_use
        user.tool_result web_search_tool_result
        """
    )
)
INNER = sorted(
    listed(
        """
        args arguments authentication authorization bytesBase64Encoded content context data encrypted_content
        file_data file_id fileUri
        file_url filename function headers image_url input key name output parts response text title tool_calls type
        uri url user_id variables brand_new streamableHttpTransport
        """
    )
)
"""Keys that mean something below another one."""
DEEP = (
    "tool_calls",
    "function_call",
    "source",
    "content",
    "input_audio",
    "functionResponse",
    "fileData",
    "action",
    "mcpServers",
)
PATHS = {
    "openai": "/v1/chat/completions",
    "responses": "/v1/responses",
    "thread": "/v1/threads/runs",
    "anthropic": "/v1/messages",
    "events": "/v1/sessions/s/events",
    "google": "/v1beta/models/m:generateContent",
    "interactions": "/v1beta/interactions",
}
TOPS = {
    "openai": openai.BODY,
    "responses": openai.BODY,
    "thread": openai.BODY,
    "anthropic": anthropic.BODY,
    "events": anthropic.BODY,
    "google": google.BODY,
    "interactions": google_interactions.BODY,
}

SLOTS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "chat message": ("openai", lambda x: {"messages": x}),
    "chat part": ("openai", lambda x: {"messages": [{"role": "user", "content": x}]}),
    "tool result part": ("openai", lambda x: {"messages": [{"role": "tool", "content": x}]}),
    "chat tool": ("openai", lambda x: {"tools": x}),
    "responses item": ("responses", lambda x: {"input": x}),
    "responses part": ("responses", lambda x: {"input": [{"role": "user", "content": x}]}),
    "responses output": ("responses", lambda x: {"input": [{"type": "function_call_output", "output": x}]}),
    "anthropic message": ("anthropic", lambda x: {"messages": x}),
    "anthropic block": ("anthropic", lambda x: {"messages": [{"role": "user", "content": x}]}),
    "anthropic result": ("anthropic", lambda x: {"messages": [{"content": [{"type": "tool_result", "content": x}]}]}),
    "anthropic event": ("events", lambda x: {"events": x}),
    "anthropic server": ("anthropic", lambda x: {"mcp_servers": x, "tools": x}),
    "gemini content": ("google", lambda x: {"contents": x}),
    "gemini part": ("google", lambda x: {"contents": [{"parts": x}]}),
    "gemini tool": ("google", lambda x: {"tools": x}),
    "interaction step": ("interactions", lambda x: {"input": x}),
    "interaction piece": ("interactions", lambda x: {"input": [{"type": "user_input", "content": x}]}),
}


class Leaves:
    """Texts that are all different."""

    def __init__(self) -> None:
        self.given: list[str] = []

    def one(self) -> str:
        self.given.append(f"leaf {len(self.given)} é")
        return self.given[-1]

    def forms(self) -> Iterator[Any]:
        """A leaf in the shapes that a value can have: bare, in a list, under each key, typed in a list."""
        yield self.one()
        yield [self.one(), [self.one()]]
        yield {key: self.one() for key in INNER}
        yield [{"type": "text", **{key: self.one() for key in INNER if key != "type"}}]

    def deep(self) -> Any:
        """Two levels of every key."""
        return {key: {inner: self.one() for inner in INNER} for key in FIELDS}


def missing(bodies: list[Any], path: str, given: list[str]) -> list[str]:
    """The leaves that no part holds when the bodies are sent, one a line."""
    headers = (("content-type", "application/json"),)
    data = "\n".join(json.dumps(body, ensure_ascii=False) for body in bodies).encode()
    sent = Exchange("id", 0, Client("::1"), "POST", "https", "h", 443, path, "", "HTTP/1.1", headers, (), data)
    dialect = "google" if "v1beta" in path else "anthropic" if "sessions" in path else "openai"
    limits = Limits(json_nodes=10**7, decoded_bytes=10**9)
    texts = {part.text for part in understand(sent, dialect, limits).parts}
    return [leaf for leaf in given if leaf not in texts]


@pytest.mark.parametrize("slot", SLOTS)
def test_no_leaf_is_lost_in_a_typed_object(slot: str) -> None:
    """Objects of every type with every key, each holding text, a list, an object or a typed list."""
    leaves = Leaves()
    family, wrap = SLOTS[slot]
    objects = [
        {"type": kind, "role": "user", key: form}
        for kind, key in itertools.product(STRUCTURAL, FIELDS)
        if key not in ("type", "role")
        for form in leaves.forms()
    ]
    assert missing([wrap(objects)], PATHS[family], leaves.given) == []


@pytest.mark.parametrize("slot", SLOTS)
def test_no_leaf_is_lost_far_down(slot: str) -> None:
    """The keys that lead deeper, followed two levels on, with and without a list between."""
    leaves = Leaves()
    family, wrap = SLOTS[slot]
    objects: list[Any] = []
    for key in DEEP:
        objects += [{key: leaves.deep()}, {"type": "function", key: [leaves.deep()]}]
    assert missing([wrap(objects)], PATHS[family], leaves.given) == []


@pytest.mark.parametrize("family", PATHS)
def test_no_leaf_is_lost_at_the_top(family: str) -> None:
    """Every top-level key with every sort of value, two levels down, as object and as list."""
    for key in [*TOPS[family], "brand_new"]:
        leaves = Leaves()
        values = [*leaves.forms(), leaves.deep(), [leaves.deep()]]
        assert missing([{key: value} for value in values], PATHS[family], leaves.given) == [], key
