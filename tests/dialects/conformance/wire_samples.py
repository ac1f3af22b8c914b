"""The wire samples as exchanges, and their paths as the pointers of `model.Part`."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluice.config import Limits
from sluice.decode import open_body
from sluice.dialects import parse
from sluice.model import Client, Exchange, Mode, Prompt, Status, Target

SAMPLES = Path(__file__).resolve().parents[2] / "wire" / "samples"
_FAMILIES = {
    "openai": ("F01", "F02", "F03", "F04", "F05", "F06", "F07", "F08", "F10", "F24", "F25", "F26", "F31", "F51"),
    "anthropic": ("F12", "F13", "F14", "F15", "F16"),
    "google": ("F17", "F18", "F19", "F20", "F21", "F22", "F23"),
}
_STEP = re.compile(
    r'\.([A-Za-z_$][\w$-]*)(?:\{\d+\})?|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]|(#(?:jsonl|json|b64text|dataurltext))(?:\[(\d+)\])?'
)


@dataclass(frozen=True)
class Sample:
    """One pair of files."""

    name: str
    request: dict[str, Any]
    expected: dict[str, Any]

    @property
    def dialect(self) -> str:
        """The destination's dialect, as the table of targets would have it."""
        if "msgpack" in self.request["headers"].get("content-type", ""):
            return "opaque"
        return next((d for d, routes in _FAMILIES.items() if self.expected["route"] in routes), "opaque")

    @property
    def is_websocket(self) -> bool:
        return "ws_messages" in self.request


def load() -> list[Sample]:
    """Every sample, in order of its number."""
    return [
        Sample(
            path.name.removesuffix(".request.json"),
            json.loads(path.read_text("utf-8")),
            json.loads(path.with_name(path.name.replace(".request.", ".expected.")).read_text("utf-8")),
        )
        for path in sorted(SAMPLES.glob("*.request.json"))
    ]


def exchange_of(request: dict[str, Any]) -> Exchange:
    """The exchange that a request file describes."""
    path, _, query = request["path"].partition("?")
    host, _, port = request["host"].partition(":")
    if "body_base64" in request:
        body = base64.b64decode(request["body_base64"])
    else:
        body = json.dumps(request["body"], ensure_ascii=False).encode() if "body" in request else b""
    return Exchange(
        id="00000000-0000-7000-8000-000000000000",
        at=0,
        client=Client("127.0.0.1"),
        method=request["method"],
        scheme=request.get("scheme", "https"),
        host=host,
        port=int(port) if port else 443,
        path=path,
        query=query,
        http_version=f"HTTP/{request['http_version']}",
        headers=tuple(request["headers"].items()),
        body=body,
    )


def understand(exchange: Exchange, dialect: str, limits: Limits | None = None) -> Prompt:
    """Decode and parse, as the gate does."""
    limits = limits or Limits()
    target = Target("row", "provider", "product", "api", dialect, Status.UNREVIEWED, Mode.ENFORCE, exchange.host)
    return parse(target, exchange, open_body(exchange.body, exchange.headers, limits, lambda: 0.0), limits)


def pointer(path: str) -> str:
    """A sample's path as a pointer: `$.a[0].b#json.c` -> `/a/0/b#json/c`, `multipart(x)` -> `multipart:x`."""
    found = re.match(r"\$|(form|multipart)\(([^)]*)\)(\.filename)?", path)
    assert found is not None, path
    out = f"{found[1]}:{found[2]}{'#filename' if found[3] else ''}" if found[1] else ""
    position = found.end()
    while position < len(path):
        step = _STEP.match(path, position)
        assert step is not None, path
        name, index, quoted, opened, line = step.groups()
        if opened:
            out += opened + (f"/{line}" if line else "")
        else:
            key = json.loads(f'"{quoted}"') if quoted is not None else name or index
            out += "/" + key.replace("~", "~0").replace("/", "~1")
        position = step.end()
    return out
