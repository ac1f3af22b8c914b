"""Form bodies: url-encoded fields and multipart parts. Field names decide roles where an endpoint defines them."""

from __future__ import annotations

from urllib.parse import unquote_plus

from sluice.config import Limits
from sluice.decode import read_text
from sluice.dialects import files, openai
from sluice.dialects.collector import Collector
from sluice.errors import Opacity
from sluice.model import Payload, Role
from sluice.multipart_body import FormPart, split

_ROLES = {
    "prompt": Role.PROMPT,
    "input": Role.PROMPT,
    "text": Role.PROMPT,
    "instructions": Role.SYSTEM,
    "query": Role.QUERY,
    "user": Role.METADATA,
    "safety_identifier": Role.METADATA,
}
_LINES = frozenset({"batch", "fine-tune"})
"""Values of `purpose` for which an uploaded file is JSON lines of requests or training data."""


def multipart(c: Collector, payload: Payload, limits: Limits, operation: str) -> bool:
    """A multipart body: fields as texts, files as files. False when it cannot be taken apart for certain."""
    parts = split(payload.data, payload.boundary, parts=limits.multipart_parts)
    if isinstance(parts, Opacity):
        c.unseen("", "multipart", len(payload.data), parts)
        return False
    c.operation = operation
    purpose = next((part.data for part in parts if part.name == "purpose"), b"").decode("utf-8", "replace")
    for part in parts:
        at = f"multipart:{part.name}"
        c.keys[part.name] = None
        if part.extra:
            c.text(f"{at}#header", part.extra, Role.UNKNOWN)
        if part.filename is None and _is_text(part):
            _field(c, at, part)
        else:
            _file(c, at, part, lines=purpose in _LINES)
    return True


def _is_text(part: FormPart) -> bool:
    return part.media_type is None or part.media_type.startswith("text/") or part.media_type == "application/json"


def _field(c: Collector, at: str, part: FormPart) -> None:
    value = read_text(part.data, part.charset)
    if isinstance(value, Opacity):
        c.unseen(at, "text", len(part.data), value)
        return
    if part.name == "model":
        c.name_model(at, value)
    elif part.name == "stream":
        c.stream = value == "true"
        c.leaves(at, value)
    elif part.name in _ROLES:
        c.leaves(at, value, _ROLES[part.name])
    else:
        c.embedded(at, value, Role.UNKNOWN)


def _file(c: Collector, at: str, part: FormPart, *, lines: bool) -> None:
    if part.filename:
        c.text(f"{at}#filename", part.filename, Role.FILE_NAME)
    mime = part.media_type if part.media_type != "application/octet-stream" else None
    before = len(c.parts)
    text = files.content(c, at, part.data, "multipart", mime=mime, name=part.filename or None, charset=part.charset)
    if lines and text is not None:
        after = len(c.parts)
        if openai.batch_file(c, at, text):
            del c.parts[before:after]  # every leaf of it is a part of its own now


def urlencoded(c: Collector, text: str, limits: Limits) -> None:
    """An `application/x-www-form-urlencoded` body: every name and value, JSON in values opened."""
    if text.count("&") >= limits.json_nodes:
        c.unseen("", "form", len(text), Opacity.NODE_LIMIT)
        c.text("", text, Role.UNKNOWN)
        return
    for pair in text.split("&"):
        name, _, value = pair.partition("=")
        name, value = unquote_plus(name), unquote_plus(value)
        c.keys[name] = None
        c.embedded(f"form:{name}", value, Role.UNKNOWN)
