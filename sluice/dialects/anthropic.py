"""The Anthropic wire family: messages, token counts, batches, files, managed agents.

Also behind Vertex and Bedrock, where the model stands in the path. Source: anthropic-python 2.12.0 types; Claude Code
2.1.197 for `metadata.user_id`.
"""

from __future__ import annotations

from sluice.dialects import files
from sluice.dialects.collector import Collector, Handler, last_answered, role_handler, word
from sluice.dialects.openai_messages import each
from sluice.dialects.openai_tools import address, carries_secret, secret, tool_choice
from sluice.errors import Opacity
from sluice.json_body import Document, Json, parse, step
from sluice.model import Role

_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}
_TEXT_OF_TYPE = {
    "text": ("text", None),
    "thinking": ("thinking", Role.ASSISTANT),
    "compaction": ("content", Role.ASSISTANT),
}
"""Block type -> the key of its text, and the role when it is not the message's."""


def read(c: Collector, at: str, body: Json, operation: str) -> None:
    """A JSON body of the family. Tools come first in the list, then servers that no tool names."""
    c.operation = operation
    c.walk(at, body, BODY)
    for server in c.servers:
        c.tool(f"mcp:{server.label}")


# ------------------------------------------------------------------------------------------------------------ messages


def _role_of(message: Json) -> Role:
    return _ROLES.get(word(message, "role"), Role.UNKNOWN)


def messages(c: Collector, at: str, value: Json, past: bool) -> None:
    """`messages`, oldest first; `system` may come between turns."""
    if not isinstance(value, list):
        c.leaves(at, value, Role.UNKNOWN, past)
        return
    answered = last_answered([_role_of(m) for m in value])
    for index, item in enumerate(value):
        c.walk(f"{at}/{index}", item, _MESSAGE[_role_of(item)], past or index <= answered)


def content(c: Collector, at: str, value: Json, role: Role, past: bool) -> None:
    """A string, a block, or a list of blocks."""
    if isinstance(value, str):
        c.text(at, value, role, past)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            content(c, f"{at}/{index}", item, role, past)
    elif isinstance(value, dict):
        _block(c, at, value, role, past)
    else:
        c.leaves(at, value, role, past)


def _block(c: Collector, at: str, value: dict[str, Json], role: Role, past: bool) -> None:
    """One content block, by type. A type that is not known here is scanned as unknown, leaf by leaf."""
    kind = word(value, "type")
    text_key, own = _TEXT_OF_TYPE.get(kind, ("", None))
    result = kind.endswith("tool_result")
    for key, item in value.items():
        below = f"{at}/{step(key)}"
        if key == text_key:
            c.leaves(below, item, own or role, past)
        elif key == "content" and result:
            _result(c, below, item, past)
        elif key == "input" and kind.endswith("tool_use"):
            c.leaves(below, item, Role.TOOL_CALL, past)
        elif key == "source" and kind in ("image", "document"):
            _source(c, below, item, kind, word(value, "title") or None, past)
        elif key in ("title", "context") and kind == "document":
            c.leaves(below, item, Role.DOCUMENT, past)
        elif kind == "search_result" and key in ("title", "content"):
            content(c, below, item, Role.TOOL_RESULT if role is Role.TOOL_RESULT else Role.DOCUMENT, past)
        elif key == "file_id" and kind == "container_upload":
            files.uploaded(c, below, item, past=past)
        elif key in ("data", "encrypted_content") and kind in ("redacted_thinking", "compaction"):
            c.encrypted(below, item, past)
        elif key == "tool" and kind == "tool_addition":
            _tool(c, below, item, past)
        else:
            c.leaves(below, item, Role.UNKNOWN, past)


def _result(c: Collector, at: str, value: Json, past: bool) -> None:
    """What a tool gave back: text, blocks, or an object of the server tools (`{stdout, stderr}`, a web document)."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            _result(c, f"{at}/{index}", item, past)
    elif isinstance(value, dict) and word(value, "type") in _BLOCKS_IN_RESULT:
        _block(c, at, value, Role.TOOL_RESULT, past)
    elif isinstance(value, dict):
        c.walk(at, value, _RESULT, past)
    else:
        c.leaves(at, value, Role.TOOL_RESULT, past)


_BLOCKS_IN_RESULT = frozenset({"text", "image", "document", "search_result"})


def _encrypted(c: Collector, at: str, value: Json, past: bool) -> None:
    c.encrypted(at, value, past)


_returned = role_handler(Role.TOOL_RESULT)
_RESULT: dict[str, Handler] = {
    "content": _result,
    "title": _returned,
    "stdout": _returned,
    "stderr": _returned,
    "output": _returned,
    "text": _returned,
    "url": address,
    "encrypted_content": _encrypted,
    "encrypted_index": _encrypted,
}


def _source(c: Collector, at: str, value: Json, kind: str, name: str | None, past: bool) -> None:
    """`source` of an image or document: base64, plain text, nested blocks, a URL, or an uploaded file."""
    form = word(value, "type")
    mime = word(value, "media_type") or None

    def data(c: Collector, at: str, item: Json, past: bool) -> None:
        if form == "text" and isinstance(item, str):
            files.attach(c, at, kind, "inline-text", mime, name=name)
            c.text(at, item, Role.DOCUMENT, past)
        else:
            files.inline(c, at, item, kind=kind, mime=mime, name=name, past=past)

    def nested(c: Collector, at: str, item: Json, past: bool) -> None:
        content(c, at, item, Role.DOCUMENT, past)

    def remote(c: Collector, at: str, item: Json, past: bool) -> None:
        files.remote(c, at, item, kind=kind, past=past)

    def by_id(c: Collector, at: str, item: Json, past: bool) -> None:
        files.uploaded(c, at, item, kind=kind, past=past)

    c.walk(at, value, {"data": data, "content": nested, "url": remote, "file_id": by_id}, past)


def _content_as(role: Role) -> Handler:
    def handle(c: Collector, at: str, value: Json, past: bool) -> None:
        content(c, at, value, role, past)

    return handle


_MESSAGE: dict[Role, dict[str, Handler]] = {
    role: {"content": _content_as(role)} for role in (Role.USER, Role.ASSISTANT, Role.SYSTEM, Role.UNKNOWN)
}


# ------------------------------------------------------------------------------------------------ the rest of the body


def _tools(c: Collector, at: str, value: Json, past: bool) -> None:
    if not isinstance(value, list):
        c.leaves(at, value, Role.TOOL_DEFINITION, past)
        return
    for index, item in enumerate(value):
        _tool(c, f"{at}/{index}", item, past)


def _tool(c: Collector, at: str, value: Json, past: bool) -> None:
    """`{name, description, input_schema}`, a server tool, or all tools of an MCP server."""
    kind = word(value, "type")
    if kind not in ("", "custom"):
        c.hosted(kind)
    if kind == "mcp_toolset":
        c.tool(f"mcp:{word(value, 'mcp_server_name')}")
    else:
        c.tool(word(value, "name") or kind)
    c.leaves(at, value, Role.TOOL_DEFINITION, past)


def _servers(c: Collector, at: str, value: Json, past: bool) -> None:
    """`mcp_servers`: the token there lets the service in at the third party; it is no leak."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            c.server(word(item, "name"), word(item, "url") or None, token=carries_secret(item))
    each(c, at, value, {"authorization_token": secret, "url": address}, past)


def _metadata(c: Collector, at: str, value: Json, past: bool) -> None:
    c.walk(at, value, {"user_id": _user_id}, past)


def _user_id(c: Collector, at: str, value: Json, past: bool) -> None:
    """Claude Code puts `{device_id, account_uuid, session_id}` here as JSON text."""
    if isinstance(value, str) and value[:1] == "{" and len(value) < 2048:
        inner = parse(value, **c.bounds)
        if isinstance(inner, Document):
            c.session(1, word(inner.value, "session_id"))
    c.leaves(at, value, Role.METADATA, past)


def _thread(c: Collector, at: str, value: Json, past: bool) -> None:
    c.walk(at, value, {"previous_message_id": _previous}, past)


def _previous(c: Collector, at: str, value: Json, past: bool) -> None:
    c.server_state(at, value, 2, past)


def _container(c: Collector, at: str, value: Json, past: bool) -> None:
    if isinstance(value, dict):
        c.walk(at, value, {"id": _container}, past)
    else:
        c.session(3, value)
        c.leaves(at, value, Role.UNKNOWN, past)


def _requests(c: Collector, at: str, value: Json, past: bool) -> None:
    """`requests` of a batch: each `params` is a whole body. The first model stands for the batch."""
    items = value if isinstance(value, list) else [value]
    named: str | None = None
    for index, item in enumerate(items):
        c.model = None
        c.walk(f"{at}/{index}", item, {"params": _params}, past)
        named = named or c.model
    c.model = named
    c.stream = False


def _params(c: Collector, at: str, value: Json, past: bool) -> None:
    c.walk(at, value, BODY, past)


def _events(c: Collector, at: str, value: Json, past: bool) -> None:
    """`events` of a managed agent's session: `{type: user.message | system.message | user.*tool_result, content}`."""
    for index, item in enumerate(value if isinstance(value, list) else [value]):
        kind = word(item, "type")
        role = Role.SYSTEM if kind.startswith("system") else Role.USER if kind.startswith("user") else Role.UNKNOWN
        if kind.endswith("tool_result"):
            role = Role.TOOL_RESULT
        handler = _result if role is Role.TOOL_RESULT else _content_as(role)
        handlers: dict[str, Handler] = {"content": handler, "deny_message": role_handler(Role.USER)}
        c.walk(f"{at}/{index}", item, handlers, past)


def _stream(c: Collector, at: str, value: Json, past: bool) -> None:
    c.stream = c.stream or value is True
    c.leaves(at, value, Role.UNKNOWN, past)


def _model(c: Collector, at: str, value: Json, past: bool) -> None:
    """A name; the definition of an agent may give an object."""
    c.name_model(at, value, past)


def _prefill(c: Collector, at: str, value: Json, past: bool) -> None:
    c.leaves(at, value, Role.PROMPT, past)


def _state(c: Collector, at: str, value: Json, past: bool) -> None:
    if isinstance(value, str) and value:
        c.unseen(at, "server_state", 0, Opacity.SERVER_STATE)
    c.leaves(at, value, Role.UNKNOWN, past)


BODY: dict[str, Handler] = {
    "model": _model,
    "system": _content_as(Role.SYSTEM),
    "messages": messages,
    "tools": _tools,
    "mcp_servers": _servers,
    "tool_choice": tool_choice,
    "metadata": _metadata,
    "thread": _thread,
    "container": _container,
    "output_config": role_handler(Role.TOOL_DEFINITION),
    "output_format": role_handler(Role.TOOL_DEFINITION),
    "prompt": _prefill,
    "stream": _stream,
    "requests": _requests,
    "events": _events,
    "agent": _state,
}
"""Top-level keys with a meaning of their own; any other key is scanned as unknown."""
