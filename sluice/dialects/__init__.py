"""Wire formats of AI traffic: a `Payload` in, a `Prompt` out. One module per family, and `opaque` for the rest.

Rules that hold for every family: known keys decide the role, any other string of the body is still a part; what cannot
be read is listed with its reason; a credential in its proper place is not text, and in any other place it is.
Pure: no clock, file or socket, so that a decision replays exactly. Never raises on any input.
"""

from __future__ import annotations

from collections.abc import Callable

from sluice import decode
from sluice.config import Limits
from sluice.dialects import (
    agents,
    anthropic,
    envelope,
    files,
    forms,
    google,
    google_interactions,
    opaque,
    openai,
    protobuf,
    routes,
)
from sluice.dialects.collector import Collector
from sluice.dialects.paths import path_template
from sluice.errors import Opacity
from sluice.json_body import Document, Json
from sluice.json_body import parse as parse_json
from sluice.model import Exchange, Payload, Prompt, Role, Target

__all__ = ["parse", "path_template"]

_READERS: dict[str, Callable[[Collector, str, Json, str], None]] = {
    "openai": openai.read,
    "anthropic": anthropic.read,
    "google": google.read,
    "google.interactions": google_interactions.read,
    "opaque": opaque.read,
}
"""By dialect, or by route id where an endpoint differs from its family."""


def parse(target: Target, exchange: Exchange, payload: Payload, limits: Limits) -> Prompt:
    """Read one request. `target.dialect` is the host's usual format; the path and the bytes outrank it."""
    c = Collector(limits)
    envelope.read(c, exchange)
    if not payload.data:
        c.operation = "read"
        return c.prompt("opaque", "read")
    route = routes.find(exchange.path, target.dialect)
    c.model, c.model_fixed, c.stream = route.model, route.model is not None, route.stream
    c.session(0, route.session)
    if payload.opacity is None:
        _body(c, payload, limits, route)
    else:
        _damaged(c, payload, limits, route)
    if c.agent is None:
        first = next((part.text for part in c.parts if part.role in (Role.SYSTEM, Role.DEVELOPER)), "")
        c.agent = agents.from_system_text(first)
    return c.prompt(route.dialect, route.id)


def _damaged(c: Collector, payload: Payload, limits: Limits, route: routes.Route) -> None:
    """A body that the gate refuses anyway. What is legible is read all the same: in observe mode it counts."""
    c.operation = route.operation
    if not opaque.is_binary(payload):
        _body(c, payload, limits, route)


def _body(c: Collector, payload: Payload, limits: Limits, route: routes.Route) -> None:
    """By media type where the type fixes the framing, by the bytes everywhere else."""
    if payload.media_type.startswith("multipart/"):
        if forms.multipart(c, payload, limits, route.operation):
            return
        text = decode.text(payload)
        if isinstance(text, str):
            c.text("", text, Role.UNKNOWN)
        return
    text = decode.text(payload)
    document = Opacity.BAD_JSON if isinstance(text, Opacity) else parse_json(text, **c.bounds)
    if isinstance(text, str) and isinstance(document, Document):
        _json(c, document, route)
        return
    c.operation = route.operation
    if isinstance(text, Opacity) and payload.charset is not None:
        c.unseen("", "text", len(payload.data), text)
        files.fragments(c, "#runs", protobuf.runs(payload.data))
    elif opaque.is_binary(payload) or isinstance(text, Opacity):
        opaque.binary(c, payload, limits)
    elif payload.media_type == "application/x-www-form-urlencoded":
        forms.urlencoded(c, text, limits)
    else:
        _text(c, text, payload, route, document if isinstance(document, Opacity) else Opacity.BAD_JSON)


def _json(c: Collector, document: Document, route: routes.Route) -> None:
    """One document, or several in a row, each read as the route says."""
    reader = _READERS.get(route.id, _READERS[route.dialect])
    c.take(document)
    if not document.sequence:
        reader(c, "", document.value, route.operation)
        return
    for index, value in enumerate(document.value):
        reader(c, f"#jsonl/{index}", value, route.operation)
    if document.rest:
        c.unseen("", "text", len(document.rest), Opacity.BAD_JSON)
        c.text("#rest", document.rest, Role.UNKNOWN)


def _text(c: Collector, text: str, payload: Payload, route: routes.Route, reason: Opacity) -> None:
    """Text that is not JSON. Where JSON was due, a lenient service may read more in it than a scan of the raw text."""
    if route.operation == "file_upload":
        c.text("", text, Role.DOCUMENT)
        return
    due = route.dialect != "opaque" or "json" in payload.media_type or text.lstrip()[:1] in ("{", "[")
    if due or reason is not Opacity.BAD_JSON:
        c.unseen("", "text", len(text), reason)
    c.text("", text, Role.UNKNOWN)
