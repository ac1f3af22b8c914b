"""Messages of the OpenAI family: who says what, tool calls, and files among the content parts.

Shared by chat completions, assistants, and messages among the items of the Responses API.
Source: openai-python 3.54.0, `chat_completion_message_param.py` and its relatives; formats of the compatible services.
"""

from __future__ import annotations

from sluice.dialects import files
from sluice.dialects.collector import Collector, Handler, last_answered, role_handler, word
from sluice.json_body import Json, step
from sluice.model import Role

ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.DEVELOPER,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "model": Role.ASSISTANT,
    "tool": Role.TOOL_RESULT,
    "function": Role.TOOL_RESULT,
}
_TEXT_PARTS = frozenset({"", "text", "input_text", "output_text", "refusal", "summary_text", "reasoning_text"})
_TEXT_KEYS = frozenset({"text", "refusal"})


def role_of(message: Json) -> Role:
    """The role that a message names; unknown when it names none of ours."""
    return ROLES.get(word(message, "role").lower(), Role.UNKNOWN)


def messages(c: Collector, at: str, value: Json, past: bool) -> None:
    """A conversation: list of messages, oldest first."""
    if not isinstance(value, list):
        message(c, at, value, past)
        return
    answered = last_answered([role_of(m) for m in value])
    for index, item in enumerate(value):
        message(c, f"{at}/{index}", item, past or index <= answered)


def message(c: Collector, at: str, value: Json, past: bool = False) -> None:
    """One message, by its role. A bare string is the person's."""
    if isinstance(value, str):
        c.text(at, value, Role.USER, past)
    else:
        c.walk(at, value, _MESSAGE[role_of(value)], past)


def content(c: Collector, at: str, value: Json, role: Role, past: bool) -> None:
    """A message's content: a string, a part, or a list of parts."""
    if isinstance(value, str):
        c.text(at, value, role, past)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            content(c, f"{at}/{index}", item, role, past)
    elif isinstance(value, dict):
        _part(c, at, value, role, past, word(value, "type"))
    else:
        c.leaves(at, value, role, past)


def _part(c: Collector, at: str, value: dict[str, Json], role: Role, past: bool, kind: str) -> None:
    """One content part. `{type: text, text}` and its relatives have the message's role; files become file rows."""
    plain = kind in _TEXT_PARTS
    for key, item in value.items():
        below = f"{at}/{step(key)}"
        if plain and key in _TEXT_KEYS:
            c.leaves(below, item, role, past)
        elif key in _FILES:
            _FILES[key](c, below, item, past)
        elif key == "file_data":
            files.inline(c, below, item, kind="document", name=word(value, "filename") or None, past=past)
        elif key == "file_url":
            files.remote(c, below, item, kind="document", named=True, past=past)
        elif key == "file_id":
            files.uploaded(c, below, item, kind="image" if "image" in kind else "document", past=past)
        elif key in ("filename", "file_name"):
            c.leaves(below, item, Role.FILE_NAME, past)
        elif key == "document":
            c.leaves(below, item, role if role is Role.TOOL_RESULT else Role.DOCUMENT, past)
        else:
            c.leaves(below, item, Role.UNKNOWN, past)


def _image(c: Collector, at: str, value: Json, past: bool) -> None:
    """`image_url`: a string, or `{url, detail}`."""
    if isinstance(value, dict):
        c.walk(at, value, {"url": _image}, past)
    else:
        files.remote(c, at, value, kind="image", named=True, past=past)


def _audio(c: Collector, at: str, value: Json, past: bool) -> None:
    """`input_audio`: `{data: base64, format: wav | mp3 ...}`."""
    form = word(value, "format")
    mime = f"audio/{form}" if form.isascii() and form.isalnum() and len(form) < 16 else None

    def data(c: Collector, at: str, item: Json, past: bool) -> None:
        files.inline(c, at, item, kind="audio", mime=mime, past=past)

    c.walk(at, value, {"data": data}, past)


def _file(c: Collector, at: str, value: Json, past: bool) -> None:
    """`file`: `{file_data, filename}` or `{file_id}`."""
    if isinstance(value, dict):
        _part(c, at, value, Role.UNKNOWN, past, "file")
    else:
        c.leaves(at, value, Role.UNKNOWN, past)


def _image_file(c: Collector, at: str, value: Json, past: bool) -> None:
    c.walk(at, value, {"file_id": _image_id}, past)


def _image_id(c: Collector, at: str, value: Json, past: bool) -> None:
    files.uploaded(c, at, value, kind="image", past=past)


_FILES: dict[str, Handler] = {"image_url": _image, "input_audio": _audio, "file": _file, "image_file": _image_file}


def file_id(c: Collector, at: str, value: Json, past: bool) -> None:
    """A file by its id."""
    files.uploaded(c, at, value, past=past)


def attachments(c: Collector, at: str, value: Json, past: bool) -> None:
    """`attachments` of a thread's message: files by id."""
    each(c, at, value, {"file_id": file_id}, past)


def each(c: Collector, at: str, value: Json, handlers: dict[str, Handler], past: bool) -> None:
    """Walk every object of a list, or the one object that stands in its place."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            c.walk(f"{at}/{index}", item, handlers, past)
    else:
        c.walk(at, value, handlers, past)


def _calls(c: Collector, at: str, value: Json, past: bool) -> None:
    """`tool_calls`: function calls (JSON in a string) and custom calls (free text)."""
    each(c, at, value, _CALL, past)


def _call(c: Collector, at: str, value: Json, past: bool) -> None:
    c.walk(at, value, _CALLED, past)


def _arguments(c: Collector, at: str, value: Json, past: bool) -> None:
    c.embedded(at, value, Role.TOOL_CALL, past)


def _images(c: Collector, at: str, value: Json, past: bool) -> None:
    """`images` of a message: bare base64 (Ollama and its relatives)."""
    for index, item in enumerate(value if isinstance(value, list) else [value]):
        files.inline(c, f"{at}/{index}", item, kind="image", past=past)


def _reasoning_details(c: Collector, at: str, value: Json, past: bool) -> None:
    each(c, at, value, {"text": said, "summary": said, "data": ciphertext}, past)


def ciphertext(c: Collector, at: str, value: Json, past: bool) -> None:
    """Reasoning that only the service can read."""
    c.encrypted(at, value, past)


said = role_handler(Role.ASSISTANT)
_CALLED: dict[str, Handler] = {"arguments": _arguments, "input": role_handler(Role.TOOL_CALL)}
_CALL: dict[str, Handler] = {"function": _call, "custom": _call, "arguments": _arguments}


def _content_as(role: Role) -> Handler:
    def handle(c: Collector, at: str, value: Json, past: bool) -> None:
        content(c, at, value, role, past)

    return handle


_MESSAGE: dict[Role, dict[str, Handler]] = {
    role: {
        "content": _content_as(role),
        "tool_calls": _calls,
        "function_call": _call,
        "refusal": said,
        "reasoning": said,
        "reasoning_content": said,
        "reasoning_details": _reasoning_details,
        "thinking": said,
        "tool_plan": said,
        "attachments": attachments,
        "images": _images,
        "name": role_handler(Role.METADATA),
    }
    for role in {*ROLES.values(), Role.UNKNOWN}
}
