"""Items of the OpenAI Responses API: messages, reasoning, calls and their outputs, in one list.

An item's `type` says who made it; its keys say what they hold, the same across types (`arguments` is always a call's,
`output` always a result), so one table of keys reads all forty types and those to come.
Source: openai-python 3.54.0, `responses/response_input_item_param.py`.
"""

from __future__ import annotations

from sluice.dialects import files
from sluice.dialects import openai_messages as chat
from sluice.dialects.collector import Collector, Handler, last_answered, word
from sluice.dialects.openai_tools import tools
from sluice.errors import Opacity
from sluice.json_body import Json, step
from sluice.model import Role

_BY_MODEL = frozenset({"reasoning", "compaction", "program", "output_text", "computer_call", "image_generation_call"})


def _role(item: Json) -> Role:
    """Who an item comes from, for telling history from the new turn."""
    if isinstance(item, str):
        return Role.USER
    kind = word(item, "type")
    if kind in ("", "message"):
        return chat.role_of(item)
    if kind.endswith(("_output", "_response")) or kind.startswith("input_"):
        return Role.TOOL_RESULT
    if kind.endswith("_call") or kind in _BY_MODEL:
        return Role.ASSISTANT
    if kind in ("item_reference", "additional_tools", "mcp_list_tools"):
        return Role.SYSTEM  # says nothing about turns
    return Role.UNKNOWN


def items(c: Collector, at: str, value: Json, past: bool, plain: Role = Role.USER) -> None:
    """`input`: a string, or a list of items. A string has the role `plain`."""
    if isinstance(value, str):
        c.text(at, value, plain, past)
    elif isinstance(value, list):
        answered = last_answered([_role(item) for item in value])
        for index, item in enumerate(value):
            _item(c, f"{at}/{index}", item, past or index <= answered, plain)
    else:
        _item(c, at, value, past, plain)


def _item(c: Collector, at: str, value: Json, past: bool, plain: Role) -> None:
    if not isinstance(value, dict):
        c.leaves(at, value, plain if isinstance(value, str) else Role.UNKNOWN, past)
        return
    kind = word(value, "type")
    if kind.startswith(("input_", "output_text")):  # a content part without a message around it
        chat.content(c, at, value, plain, past)
        return
    if kind in ("", "message") and "role" in value:
        chat.message(c, at, value, past)
        return
    if kind == "item_reference":
        c.unseen(at, "server_state", 0, Opacity.SERVER_STATE)
    handlers = _LOCAL_SHELL_OUTPUT if kind == "local_shell_call_output" else _ITEM
    c.walk(at, value, handlers, past)


def _content(c: Collector, at: str, value: Json, past: bool) -> None:
    chat.content(c, at, value, Role.ASSISTANT, past)


def _arguments(c: Collector, at: str, value: Json, past: bool) -> None:
    c.embedded(at, value, Role.TOOL_CALL, past)


def _result(c: Collector, at: str, value: Json, past: bool) -> None:
    """An output: text, content parts, or rows (`{stdout, stderr}`, `{logs}`) whose every leaf is a result."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            _result(c, f"{at}/{index}", item, past)
    elif isinstance(value, dict) and word(value, "type").startswith(("input_", "output_text", "text", "computer_")):
        chat.content(c, at, value, Role.TOOL_RESULT, past)
    else:
        _returned(c, at, value, past)


def _json_result(c: Collector, at: str, value: Json, past: bool) -> None:
    c.embedded(at, value, Role.TOOL_RESULT, past)


def _generated(c: Collector, at: str, value: Json, past: bool) -> None:
    """`image_generation_call.result`: an image as bare base64."""
    if isinstance(value, str):
        files.inline(c, at, value, kind="image", past=past)
    else:
        c.leaves(at, value, Role.TOOL_RESULT, past)


def _rows(role: Role) -> Handler:
    """Every leaf has the role, but for the words that say what kind of row it is."""

    def handle(c: Collector, at: str, value: Json, past: bool) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                c.leaves(f"{at}/{step(key)}", item, Role.UNKNOWN if key in _ABOUT else role, past)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                handle(c, f"{at}/{index}", item, past)
        else:
            c.leaves(at, value, role, past)

    return handle


_ABOUT = frozenset({"type", "outcome", "status"})
_called = _rows(Role.TOOL_CALL)
_returned = _rows(Role.TOOL_RESULT)
_ITEM: dict[str, Handler] = {
    "content": _content,
    "summary": _content,
    "encrypted_content": chat.ciphertext,
    "arguments": _arguments,
    "input": _called,
    "action": _called,
    "actions": _called,
    "operation": _called,
    "code": _called,
    "queries": _called,
    "output": _result,
    "outputs": _result,
    "results": _result,
    "error": _result,
    "result": _generated,
    "tools": tools,
}
_LOCAL_SHELL_OUTPUT: dict[str, Handler] = {**_ITEM, "output": _json_result}
"""`local_shell_call_output.output` is JSON text by definition."""
