"""The Google wire family: Gemini, Vertex AI, and Cloud Code's envelope around them.

Every name exists in camelCase and snake_case, and lenient clients send one object where a list is due; both are read.
Source: google-genai 3.4.0 types; gemini-cli `code_assist/converter.ts`.
"""

from __future__ import annotations

import re

from sluice.dialects import files
from sluice.dialects.collector import Collector, Handler, last_answered, role_handler, word
from sluice.dialects.openai_messages import each
from sluice.dialects.openai_tools import address, carries_secret, secret, secret_headers
from sluice.errors import Opacity
from sluice.json_body import Json, step
from sluice.model import Role

ROLES = {
    "": Role.USER,
    "user": Role.USER,
    "model": Role.ASSISTANT,
    "function": Role.TOOL_RESULT,
    "tool": Role.TOOL_RESULT,
    "system": Role.SYSTEM,
}
_UPLOADED = re.compile(r"(?:https://[a-z.-]*googleapis\.com/v1(?:beta|alpha)?/)?(files/[A-Za-z0-9_-]{1,64})")


def read(c: Collector, at: str, body: Json, operation: str) -> None:
    """A JSON body of the family."""
    c.operation = operation
    c.walk(at, body, BODY)


# ------------------------------------------------------------------------------------------------------------ contents


def _role_of(value: Json) -> Role:
    return ROLES.get(word(value, "role"), Role.UNKNOWN)


def _from(value: Json) -> Role:
    """Role for telling history: a model's turn may hold its own tool results."""
    return Role.USER if isinstance(value, str) else _role_of(value)


def contents(c: Collector, at: str, value: Json, past: bool) -> None:
    """`contents`, oldest first; in an embedding request the text has the role `prompt`."""
    if not isinstance(value, list):
        _content(c, at, value, past)
        return
    answered = last_answered([_from(item) for item in value])
    for index, item in enumerate(value):
        _content(c, f"{at}/{index}", item, past or index <= answered)


def _content(c: Collector, at: str, value: Json, past: bool) -> None:
    if isinstance(value, dict) and "parts" not in value:
        _part(c, at, value, Role.PROMPT if c.operation == "embedding" else Role.USER, past)
        return
    role = Role.PROMPT if c.operation == "embedding" else _from(value)
    _said(c, at, value, role, past)


def _said(c: Collector, at: str, value: Json, role: Role, past: bool) -> None:
    """A content object `{role, parts}`, a list of parts, or a string."""
    if isinstance(value, str):
        c.text(at, value, role, past)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _said(c, f"{at}/{index}", item, role, past)
    elif isinstance(value, dict) and "parts" in value:

        def parts(c: Collector, at: str, item: Json, past: bool) -> None:
            _said(c, at, item, role, past)

        c.walk(at, value, {"parts": parts}, past)
    elif isinstance(value, dict):
        _part(c, at, value, role, past)
    else:
        c.leaves(at, value, role, past)


def _part(c: Collector, at: str, value: dict[str, Json], role: Role, past: bool) -> None:
    """One part: text, a thought of the model, a call, a response, code and its output, or a file."""
    spoken = Role.ASSISTANT if value.get("thought") is True else role
    for key, item in value.items():
        below = f"{at}/{step(key)}"
        if key == "text":
            c.leaves(below, item, spoken, past)
        elif key == "audioTranscription":
            c.leaves(below, item, role, past)
        elif key in _PART:
            _PART[key](c, below, item, past)
        else:
            c.leaves(below, item, Role.UNKNOWN, past)


def _inline_data(c: Collector, at: str, value: Json, past: bool) -> None:
    mime = word(value, "mimeType") or word(value, "mime_type") or None
    name = word(value, "displayName") or word(value, "display_name") or None

    def data(c: Collector, at: str, item: Json, past: bool) -> None:
        files.inline(c, at, item, mime=mime, name=name, past=past)

    c.walk(at, value, {"data": data, "displayName": _file_name, "display_name": _file_name}, past)


def _file_data(c: Collector, at: str, value: Json, past: bool) -> None:
    mime = word(value, "mimeType") or word(value, "mime_type") or None

    def uri(c: Collector, at: str, item: Json, past: bool) -> None:
        reference(c, at, item, mime, past)

    c.walk(at, value, {"fileUri": uri, "file_uri": uri}, past)


def reference(c: Collector, at: str, value: Json, mime: str | None, past: bool, kind: str | None = None) -> None:
    """A file of the Files API by its URI, or any other address that the service will fetch."""
    top = (mime or "").partition("/")[0]
    kind = kind or (top if top in ("image", "audio", "video") else "document" if mime else "other")
    uploaded = _UPLOADED.fullmatch(value) if isinstance(value, str) else None
    if uploaded is not None:
        files.attach(c, at, kind, "file_id", mime, file_id=uploaded[1])
        c.unseen(at, kind, 0, Opacity.FILE_ID)
        c.url(at, value, past)
    else:
        files.remote(c, at, value, kind=kind, mime=mime, past=past)


def _function_call(c: Collector, at: str, value: Json, past: bool) -> None:
    c.walk(at, value, {"args": _called, "arguments": _called}, past)


def _function_response(c: Collector, at: str, value: Json, past: bool) -> None:
    c.walk(at, value, {"response": _returned, "parts": _response_parts}, past)


def _response_parts(c: Collector, at: str, value: Json, past: bool) -> None:
    _said(c, at, value, Role.TOOL_RESULT, past)


def _executable(c: Collector, at: str, value: Json, past: bool) -> None:
    c.walk(at, value, {"code": _called}, past)


def _executed(c: Collector, at: str, value: Json, past: bool) -> None:
    c.walk(at, value, {"output": _returned}, past)


_called = role_handler(Role.TOOL_CALL)
_returned = role_handler(Role.TOOL_RESULT)
_file_name = role_handler(Role.FILE_NAME)
_PART: dict[str, Handler] = {
    "inlineData": _inline_data,
    "inline_data": _inline_data,
    "fileData": _file_data,
    "file_data": _file_data,
    "functionCall": _function_call,
    "function_call": _function_call,
    "functionResponse": _function_response,
    "function_response": _function_response,
    "executableCode": _executable,
    "executable_code": _executable,
    "codeExecutionResult": _executed,
    "code_execution_result": _executed,
    "toolCall": _called,
    "toolResponse": _returned,
}


# ------------------------------------------------------------------------------------------------ the rest of the body


def system(c: Collector, at: str, value: Json, past: bool) -> None:
    _said(c, at, value, Role.SYSTEM, past)


def _tools(c: Collector, at: str, value: Json, past: bool) -> None:
    """`tools`: declared functions by name, built-in tools by their key, MCP servers as `mcp:name`."""
    for item in value if isinstance(value, list) else [value]:
        for key, below in item.items() if isinstance(item, dict) else ():
            listed = below if isinstance(below, list) else [below]
            if key in ("functionDeclarations", "function_declarations"):
                for function in listed:
                    c.tool(word(function, "name"))
            elif key in ("mcpServers", "mcp_servers"):
                for server in listed:
                    transport = server.get("streamableHttpTransport") if isinstance(server, dict) else None
                    c.server(word(server, "name"), word(transport, "url") or None, token=carries_secret(transport))
                    c.tool(f"mcp:{word(server, 'name')}")
                    c.hosted("mcp")
            else:
                c.tool(key)
                c.hosted(key)
    each(c, at, value, _TOOL, past)


def _mcp_servers(c: Collector, at: str, value: Json, past: bool) -> None:
    each(c, at, value, {"streamableHttpTransport": _transport, "streamable_http_transport": _transport}, past)


def _transport(c: Collector, at: str, value: Json, past: bool) -> None:
    c.walk(at, value, {"url": address, "headers": secret_headers, "authorization": secret}, past)


_defined = role_handler(Role.TOOL_DEFINITION)
_TOOL: dict[str, Handler] = {
    "functionDeclarations": _defined,
    "function_declarations": _defined,
    "mcpServers": _mcp_servers,
    "mcp_servers": _mcp_servers,
}


def _tool_config(c: Collector, at: str, value: Json, past: bool) -> None:
    config = (
        value.get("functionCallingConfig", value.get("function_calling_config")) if isinstance(value, dict) else None
    )
    c.tool_choice = word(config, "mode").lower() or None
    c.leaves(at, value, Role.UNKNOWN, past)


def _cached(c: Collector, at: str, value: Json, past: bool) -> None:
    """`cachedContent`: earlier text, kept by the service. Many conversations share one, so it names no session."""
    if isinstance(value, str) and value:
        c.unseen(at, "server_state", 0, Opacity.SERVER_STATE)
    c.leaves(at, value, Role.UNKNOWN, past)


def _nested(c: Collector, at: str, value: Json, past: bool) -> None:
    """A whole body inside another: Cloud Code's `request`, `generateContentRequest` of a token count."""
    c.walk(at, value, BODY, past)


def _requests(c: Collector, at: str, value: Json, past: bool) -> None:
    """A list of bodies (embeddings, batches), or an object that holds one under the same name."""
    each(c, at, value, BODY, past)


def model(c: Collector, at: str, value: Json, past: bool) -> None:
    c.name_model(at, value, past)


def _session(c: Collector, at: str, value: Json, past: bool) -> None:
    c.session(1, value)
    c.leaves(at, value, Role.METADATA, past)


def _generation(c: Collector, at: str, value: Json, past: bool) -> None:
    schema = ("responseSchema", "response_schema", "responseJsonSchema", "response_json_schema")
    c.walk(at, value, dict.fromkeys(schema, _defined), past)


def _instances(c: Collector, at: str, value: Json, past: bool) -> None:
    """`instances` of Vertex `:predict`: text to embed, or a prompt for an image."""
    each(c, at, value, _INSTANCE, past)


def _image(c: Collector, at: str, value: Json, past: bool) -> None:
    c.walk(at, value, {"bytesBase64Encoded": _image_bytes}, past)


def _image_bytes(c: Collector, at: str, value: Json, past: bool) -> None:
    files.inline(c, at, value, kind="image", past=past)


_prompt = role_handler(Role.PROMPT)
_INSTANCE: dict[str, Handler] = {
    "content": _prompt,
    "prompt": _prompt,
    "text": _prompt,
    "title": role_handler(Role.TITLE),
    "image": _image,
}

BODY: dict[str, Handler] = {
    "contents": contents,
    "content": contents,
    "systemInstruction": system,
    "system_instruction": system,
    "tools": _tools,
    "toolConfig": _tool_config,
    "tool_config": _tool_config,
    "title": role_handler(Role.TITLE),
    "model": model,
    "cachedContent": _cached,
    "cached_content": _cached,
    "generationConfig": _generation,
    "generation_config": _generation,
    "request": _nested,
    "generateContentRequest": _nested,
    "generate_content_request": _nested,
    "batch": _nested,
    "inputConfig": _nested,
    "input_config": _nested,
    "requests": _requests,
    "instances": _instances,
    "session_id": _session,
    "sessionId": _session,
    "prompt": _prompt,
}
"""Top-level keys with a meaning of their own; any other key is scanned as unknown."""
