"""Recorded requests (HAR, flow files, request files) as the gate would see them: same decoding, same dialects.

A request to an AI destination becomes the parts that the gate would scan, with the key in its proper place left out as
the gate does. Any other request is not the gate's to read; its body is scanned as plain text.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from sluice import authentication, decode, dialects, recording
from sluice.cli.sources import Document, Item, Skipped, part
from sluice.cli.sources.flows import Malformed, flows, is_flows
from sluice.config import Limits
from sluice.errors import Misconfigured
from sluice.explain import EXPLAINED_ID, exchange_of
from sluice.model import Client, Destinations, Exchange

ENTRIES = 100_000
"""Requests of one file that are read."""


def looked_at(name: str, exchange: Exchange, table: Destinations, limits: Limits) -> Iterator[Item]:
    """The texts of one request, and what of it could not be read."""
    target = table.match(exchange.host, exchange.port, exchange.path)
    payload = decode.open_body(exchange.body, exchange.headers, limits, time.thread_time)
    if payload.opacity:
        yield Skipped(name, f"body: {payload.opacity}", payload.wire_size)
    if target is None:
        text = decode.text(payload)
        if isinstance(text, str) and "\0" not in text[:4096]:
            yield Document(name, (part(text, "body"),), len(exchange.body), whole=False)
        elif not payload.opacity:
            yield Skipped(name, "binary", payload.wire_size)
        return
    prompt = dialects.parse(target, exchange, payload, limits)
    parts = (*prompt.parts, *authentication.parts(prompt), recording.labels(exchange, prompt, payload))
    yield Document(name, parts, len(exchange.body), target, whole=False)
    for unread in prompt.unread:
        yield Skipped(f"{name} {unread.pointer}".rstrip(), unread.reason, unread.size)


type Request = tuple[str, Exchange] | Skipped
"""One recorded request and where it stands, or why there is none to read."""


def _each(found: Iterable[Request], table: Destinations, limits: Limits) -> Iterator[Item]:
    for one in found:
        if isinstance(one, Skipped):
            yield one
        else:
            yield from looked_at(one[0], one[1], table, limits)


def request_file(name: str, data: bytes, table: Destinations, limits: Limits) -> Iterator[Item]:
    """A request as `sluice explain` takes it."""
    yield from _each(request_exchanges(name, data), table, limits)


def request_exchanges(name: str, data: bytes) -> Iterator[Request]:
    """The request of a file as `sluice explain` takes it."""
    asked = _json(data)
    if not isinstance(asked, dict):
        yield Skipped(name, "not a request file: must hold a JSON object", len(data))
        return
    try:
        yield name, exchange_of(asked, file=name)
    except Misconfigured as e:
        yield Skipped(name, f"not a request file: {e.problems[0].what}", len(data))


def exchanges(name: str, data: bytes) -> Iterator[Request]:
    """The requests of a file, whatever it is of the three: told by what it holds, not by its name."""
    if is_flows(data):
        yield from flow_exchanges(name, data)
    elif is_har(_json(data)):
        yield from har_exchanges(name, data)
    else:
        yield from request_exchanges(name, data)


# ---------------------------------------------------------------------------------------------------------------- HAR


def is_har(value: object) -> bool:
    return (
        isinstance(value, dict) and isinstance(log := value.get("log"), dict) and isinstance(log.get("entries"), list)
    )


def har(name: str, data: bytes, table: Destinations, limits: Limits) -> Iterator[Item]:
    """Each entry's request (HAR 1.2; http://www.softwareishard.com/blog/har-12-spec/)."""
    yield from _each(har_exchanges(name, data), table, limits)


def har_exchanges(name: str, data: bytes) -> Iterator[Request]:
    """The requests of a HAR file."""
    archive = _json(data)
    if not is_har(archive):
        yield Skipped(name, "not a HAR file: must hold an object with log.entries", len(data))
        return
    entries = archive["log"]["entries"]
    for number, entry in enumerate(entries[:ENTRIES]):
        place = f"{name}!{number}"
        request = entry.get("request") if isinstance(entry, dict) else None
        exchange = _har_exchange(request) if isinstance(request, dict) else None
        if exchange is None:
            yield Skipped(place, "entry without a readable request")
        else:
            yield place, exchange
    if len(entries) > ENTRIES:
        yield Skipped(name, f"more than {ENTRIES} requests")


def _har_exchange(request: Mapping[str, Any]) -> Exchange | None:
    found = request.get("headers")
    headers = [
        (str(h.get("name", "")), str(h.get("value", "")))
        for h in (found if isinstance(found, list) else [])
        if isinstance(h, dict)
    ]
    post = request.get("postData")
    body = b""
    if isinstance(post, dict):
        text = post.get("text")
        if isinstance(text, str) and post.get("encoding") == "base64":
            try:
                body = base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                return None
        else:
            # a HAR holds text: what was compressed on the wire is written down as it was before
            headers = [(k, v) for k, v in headers if k.lower() not in ("content-encoding", "transfer-encoding")]
            body = (text if isinstance(text, str) else _form(post.get("params"))).encode("utf-8", "surrogatepass")
        if not any(k.lower() == "content-type" for k, _ in headers) and isinstance(post.get("mimeType"), str):
            headers.append(("content-type", post["mimeType"]))
    return _exchange(str(request.get("method", "POST")), str(request.get("url", "")), headers, body)


def _form(params: object) -> str:
    pairs = [
        (str(p.get("name", "")), str(p.get("value", "")))
        for p in (params if isinstance(params, list) else [])
        if isinstance(p, dict)
    ]
    return urlencode(pairs, errors="surrogatepass")


# --------------------------------------------------------------------------------------------------------- flow files


def flow_file(name: str, data: bytes, table: Destinations, limits: Limits) -> Iterator[Item]:
    """Each HTTP flow's request, as `mitmdump -w` writes them."""
    yield from _each(flow_exchanges(name, data), table, limits)


def flow_exchanges(name: str, data: bytes) -> Iterator[Request]:
    """The requests of a flow file."""
    number = 0
    try:
        for number, flow in enumerate(flows(data)):
            place = f"{name}!{number}"
            request = flow.get("request")
            if flow.get("type") not in ("http", b"http") or not isinstance(request, dict):
                yield Skipped(place, "no HTTP flow")
                continue
            exchange = _flow_exchange(request)
            if exchange is None:
                yield Skipped(place, "flow without a readable request")
                continue
            if flow.get("websocket"):
                yield Skipped(place, "WebSocket messages")
            yield place, exchange
            if number >= ENTRIES:
                yield Skipped(name, f"more than {ENTRIES} requests")
                return
    except Malformed as e:
        yield Skipped(f"{name}!{number}", f"damaged flow file: {e}", len(data))


def _flow_exchange(request: Mapping[str, Any]) -> Exchange | None:
    headers = [(_text(h[0]), _text(h[1])) for h in request.get("headers") or () if isinstance(h, list) and len(h) == 2]
    content = request.get("content")
    scheme, path = _text(request.get("scheme")) or "https", _text(request.get("path")) or "/"
    host = _text(request.get("host")) or _text(request.get("authority")).partition(":")[0]
    port = request.get("port")
    shown = f"[{host}]" if ":" in host else host
    url = f"{scheme}://{shown}:{port}{path}" if isinstance(port, int) and port else f"{scheme}://{shown}{path}"
    return _exchange(_text(request.get("method")), url, headers, content if isinstance(content, bytes) else b"")


def _text(value: object) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value or "")


# --------------------------------------------------------------------------------------------------------------- both


def _exchange(method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes) -> Exchange | None:
    try:
        address = urlsplit(url)
        host, port = address.hostname, address.port
    except ValueError:
        return None
    if not host or address.scheme not in ("http", "https", "ws", "wss"):
        return None
    return Exchange(
        id=EXPLAINED_ID,
        at=0,
        client=Client("127.0.0.1"),
        method=method,
        scheme=address.scheme,
        host=host,
        port=port or (443 if address.scheme in ("https", "wss") else 80),
        path=address.path or "/",
        query=address.query,
        headers=tuple(headers),
        body=body,
    )


def _json(data: bytes) -> Any:
    """A JSON value, or None when it is none that can be read."""
    try:
        return json.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        return None
