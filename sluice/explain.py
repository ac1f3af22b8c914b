"""Why a request would be allowed or blocked: the gate's own pipeline over a request file, nothing sent or recorded.

A request file is JSON: `{method, host, path, http_version, headers, scheme?, body | body_base64 | ws_messages}`;
`body` is a JSON value sent as UTF-8, `body_base64` the exact bytes. `path` may hold a query.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import cast

from sluice.config import Settings
from sluice.errors import Misconfigured, Problem
from sluice.gate import inspect
from sluice.identity import Resolver
from sluice.model import Client, Exchange, Rulebook
from sluice.recording import Inspection

EXPLAINED_ID = "00000000-0000-7000-8000-000000000000"


def exchange_of(request: dict[str, object], *, file: str = "request", at: int = 0) -> Exchange:
    """The exchange that a request file describes. Raises `Misconfigured` naming the field that is wrong."""

    def text(name: str, default: str | None = None) -> str:
        value = request.get(name, default)
        if not isinstance(value, str):
            raise Misconfigured(Problem(file, None, f"`{name}` must be text"))
        return value

    headers = request.get("headers", {})
    if not isinstance(headers, dict):
        raise Misconfigured(Problem(file, None, "`headers` must be an object of name to text (or list of texts)"))
    pairs: list[tuple[str, str]] = []
    for name, value in cast("dict[str, object]", headers).items():
        pairs.extend((name, str(one)) for one in (value if isinstance(value, list) else [value]))
    scheme = text("scheme", "https")
    host, _, port = text("host").partition(":")
    path, _, query = text("path", "/").partition("?")
    if port and not port.isdigit():
        raise Misconfigured(Problem(file, None, f"`host` has no valid port: `{port}`"))
    return Exchange(
        id=EXPLAINED_ID,
        at=at,
        client=Client("127.0.0.1"),
        method=text("method", "POST"),
        scheme=scheme,
        host=host,
        port=int(port) if port else (443 if scheme in ("https", "wss") else 80),
        path=path,
        query=query,
        http_version="HTTP/" + text("http_version", "1.1").removeprefix("HTTP/"),
        headers=tuple(pairs),
        body=_body(request, file),
        connect_host=host,
        sni=host,
        host_header=host,
    )


def _body(request: dict[str, object], file: str) -> bytes:
    if "body_base64" in request:
        try:
            return base64.b64decode(str(request["body_base64"]), validate=True)
        except binascii.Error as e:
            raise Misconfigured(Problem(file, None, "`body_base64` is not base64")) from e
    if "body" in request:
        return json.dumps(request["body"], ensure_ascii=False).encode("utf-8", "surrogatepass")
    if "ws_messages" in request:
        raise Misconfigured(
            Problem(file, None, "`ws_messages` cannot be explained: WebSocket upgrades to AI destinations are refused")
        )
    return b""


def explain(
    request: dict[str, object],
    settings: Settings,
    rulebook: Rulebook,
    *,
    show_text: bool = False,
    file: str = "request",
    at: int = 0,
) -> dict[str, object]:
    """The inspection of a request file as plain data. Part texts are included only with `show_text`."""
    exchange = exchange_of(request, file=file, at=at)
    seen = inspect(exchange, rulebook, settings.limits, Resolver.load(settings))
    return describe(seen, show_text=show_text)


def describe(seen: Inspection, *, show_text: bool = False) -> dict[str, object]:
    """An inspection as plain data, for people and for `--json`."""
    target, prompt, scan, decision = seen.target, seen.prompt, seen.scan, seen.decision
    parts: list[dict[str, object]] = []
    for part in prompt.parts if prompt else ():
        entry: dict[str, object] = {
            "pointer": part.pointer,
            "role": str(part.role),
            "kind": str(part.kind),
            "provenance": str(part.provenance),
        }
        if show_text:
            entry["text"] = part.text
        parts.append(entry)
    return {
        "target": {
            "row": target.row,
            "provider": target.provider,
            "product": target.product,
            "kind": target.kind,
            "dialect": prompt.dialect if prompt else target.dialect,
            "status": str(target.status),
            "mode": str(target.mode),
        }
        if target
        else None,
        "operation": prompt.operation if prompt else None,
        "route": prompt.route if prompt else None,
        "model": prompt.model if prompt else None,
        "stream": prompt.stream if prompt else False,
        "agent": prompt.agent if prompt else None,
        "session": prompt.session if prompt and show_text else None,
        "credential": {
            "location": seen.credential.location,
            "kind": seen.credential.kind,
            "hint": seen.credential.hint,
            "fingerprint": seen.credential.fingerprint,
        }
        if seen.credential
        else None,
        "parts": parts,
        "tools": list(prompt.tools) if prompt else [],
        "mcp_servers": [{"label": s.label, "url": s.url if show_text else None} for s in prompt.mcp_servers]
        if prompt
        else [],
        "files": [
            {"kind": f.kind, "mime": f.mime, "name": f.name, "transport": f.transport, "size": f.size}
            for f in prompt.files
        ]
        if prompt
        else [],
        "unread": [
            {"pointer": u.pointer, "kind": u.kind, "size": u.size, "reason": u.reason}
            for u in (*(prompt.unread if prompt else ()), *(scan.unread if scan else ()))
        ],
        "findings": [
            {
                "detector": f.detector,
                "class": f.data_class,
                "severity": str(f.severity),
                "pointer": f.pointer,
                "start": f.start,
                "end": f.end,
                "validated": f.validated,
                "confidence": f.confidence,
                "provenance": str(f.provenance),
                "example": f.example,
                "fingerprint": f.fingerprint,
            }
            for f in (scan.findings if scan else ())
        ],
        "decision": {
            "action": str(decision.action),
            "would": str(decision.would) if decision.would else None,
            "rule": decision.rule,
            "reason": decision.reason,
            "cause": decision.cause,
            "mode": str(decision.mode),
            "classes": list(decision.classes),
            "rules_evaluated": decision.rules_evaluated,
            "message": decision.message,
        },
        "coverage": {
            "completeness": str(seen.coverage.completeness),
            "wire_bytes": seen.coverage.wire_bytes,
            "scanned_bytes": seen.coverage.scanned_bytes,
            "unread_bytes": seen.coverage.unread_bytes,
            "reasons": list(seen.coverage.reasons),
        }
        if seen.coverage
        else None,
    }
