"""Any other body: every string is a part, whatever the format; what cannot be read is `Unread` with a reason.

A JSON body that is shaped like a conversation gets its roles from the family that it is shaped like, since hundreds of
services serve those shapes under paths of their own.
"""

from __future__ import annotations

from sluice.config import Limits
from sluice.dialects import anthropic, files, google, media, openai, protobuf
from sluice.dialects.collector import Collector
from sluice.errors import Opacity
from sluice.json_body import Json
from sluice.model import Payload

_FRAMED = ("application/grpc", "application/connect+")
_PROTOBUF = ("application/proto", "application/x-protobuf", "application/vnd.google.protobuf")
_TEXTS = ("text/", "application/x-www-form-urlencoded", "application/json")
_PACKED = ("application/vnd.msgpack", "application/msgpack", "application/x-msgpack", "application/cbor")


def read(c: Collector, at: str, body: Json, operation: str) -> None:
    """A JSON body of no known route: its shape decides, else every leaf is unknown."""
    messages = body.get("messages") if isinstance(body, dict) else None
    contents = body.get("contents") if isinstance(body, dict) else None
    if _roles(messages, "role"):
        family = anthropic if isinstance(body, dict) and ("anthropic_version" in body or "system" in body) else openai
        family.read(c, at, body, "chat" if operation == "other" else operation)
    elif _roles(contents, "parts"):
        google.read(c, at, body, "chat" if operation == "other" else operation)
    else:
        c.operation = operation
        if isinstance(body, dict):
            c.walk(at, body, {"model": openai.model, "stream": openai.stream})
        else:
            c.leaves(at, body)


def _roles(value: Json, key: str) -> bool:
    """Whether `value` is a list of objects that each have `key`."""
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) and key in item for item in value)


def binary(c: Collector, payload: Payload, limits: Limits) -> None:
    """Bytes that are no text: unread, and the text that shows in them scanned."""
    data = payload.data
    known = media.magic(data, payload.media_type)
    if known is not None and (known[1] is Opacity.ARCHIVE or not payload.media_type.startswith(_TEXTS)):
        c.unseen("", known[0], len(data), known[1])
    else:
        c.unseen("", "body", len(data), Opacity.BINARY)  # a form or JSON is decoded by whoever gets it: no image
    if payload.media_type.startswith(_FRAMED):
        for index, message in enumerate(protobuf.envelopes(data, limits)):
            files.fragments(c, f"#message/{index}", protobuf.texts(message))
    elif payload.media_type.startswith(_PROTOBUF):
        files.fragments(c, "#message/0", protobuf.texts(data))
    else:
        files.known(c, "#runs", data, payload.media_type)


def is_binary(payload: Payload) -> bool:
    """Whether the body is bytes and not text, by its type or by its bytes."""
    if payload.media_type.startswith((*_FRAMED, *_PROTOBUF, *_PACKED)):
        return True
    if media.plain(payload.data, payload.charset) is None:
        return True
    if media.magic(payload.data, payload.media_type) is None:
        return False
    return not (payload.media_type.startswith(_TEXTS) and media.readable(payload.data))
