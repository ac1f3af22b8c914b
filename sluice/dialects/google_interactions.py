"""Interactions of the Gemini API: a string, contents, or a list of steps, with tools declared as OpenAI does.

Source: google-genai 3.4.0, interactions types.
"""

from __future__ import annotations

from sluice.dialects import files, google
from sluice.dialects.collector import Collector, Handler, last_answered, role_handler, word
from sluice.dialects.openai import stream
from sluice.dialects.openai_tools import tools
from sluice.json_body import Json
from sluice.model import Role


def read(c: Collector, at: str, body: Json, operation: str) -> None:
    """The body of `/interactions`."""
    c.operation = operation
    c.walk(at, body, BODY)


def _input(c: Collector, at: str, value: Json, past: bool) -> None:
    """`input` of an interaction: a string, a content, a list of contents, or a list of steps."""
    if not isinstance(value, list):
        _step(c, at, value, past)
        return
    answered = last_answered([_step_role(item) for item in value])
    for index, item in enumerate(value):
        _step(c, f"{at}/{index}", item, past or index <= answered)


def _step_role(value: Json) -> Role:
    kind = word(value, "type")
    if kind in ("model_output", "thought") or kind.endswith("_call"):
        return Role.ASSISTANT
    return Role.TOOL_RESULT if kind.endswith("_result") else Role.USER


def _step(c: Collector, at: str, value: Json, past: bool) -> None:
    if not isinstance(value, dict):
        c.leaves(at, value, Role.USER, past)
        return
    kind = word(value, "type")
    spoken = Role.ASSISTANT if kind in ("model_output", "thought") else google.ROLES.get(word(value, "role"), Role.USER)

    def said(c: Collector, at: str, item: Json, past: bool) -> None:
        _pieces(c, at, item, spoken, past)

    def returned(c: Collector, at: str, item: Json, past: bool) -> None:
        _pieces(c, at, item, Role.TOOL_RESULT, past)

    if kind in _PIECES:
        _pieces(c, at, value, spoken, past)
        return
    handlers: dict[str, Handler] = {
        "content": said,
        "summary": said,
        "text": said,
        "arguments": role_handler(Role.TOOL_CALL),
        "code": role_handler(Role.TOOL_CALL),
        "queries": role_handler(Role.TOOL_CALL),
        "result": returned,
    }
    c.walk(at, value, handlers, past)


_PIECES = frozenset({"text", "image", "audio", "video", "document"})


def _pieces(c: Collector, at: str, value: Json, role: Role, past: bool) -> None:
    """Content of an interaction: `{type, text | data | uri, mime_type}`."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            _pieces(c, f"{at}/{index}", item, role, past)
        return
    if not isinstance(value, dict) or word(value, "type") not in _PIECES:
        c.leaves(at, value, role, past)
        return
    kind = word(value, "type")
    mime = word(value, "mime_type") or word(value, "mimeType") or None
    named = None if kind == "text" else kind

    def data(c: Collector, at: str, item: Json, past: bool) -> None:
        files.inline(c, at, item, kind=named, mime=mime, past=past)

    def uri(c: Collector, at: str, item: Json, past: bool) -> None:
        google.reference(c, at, item, mime, past, named)

    c.walk(at, value, {"text": role_handler(role), "data": data, "uri": uri}, past)


def _previous(c: Collector, at: str, value: Json, past: bool) -> None:
    c.server_state(at, value, 2, past)


BODY: dict[str, Handler] = {
    "model": google.model,
    "input": _input,
    "system_instruction": google.system,
    "systemInstruction": google.system,
    "previous_interaction_id": _previous,
    "tools": tools,
    "stream": stream,
    "response_format": role_handler(Role.TOOL_DEFINITION),
}
