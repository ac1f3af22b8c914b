"""Why a request would be allowed or blocked: the gate's own pipeline over a request file, nothing sent or recorded.

A request file is JSON:
`{method, host, path, http_version, headers, scheme?, client?, body | body_base64 | ws_messages}`.
`body` is a JSON value sent as UTF-8, `body_base64` the exact bytes. `path` may hold a query. `client` is the address
that the request comes from (127.0.0.1 when left out).
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
from collections.abc import Iterable, Sequence
from copy import replace
from typing import cast, override

from sluice.config import Settings
from sluice.errors import Misconfigured, Problem
from sluice.gate import inspect
from sluice.identity import Resolver
from sluice.model import Client, Exchange, Rulebook, Subject
from sluice.recording import Inspection

EXPLAINED_ID = "00000000-0000-7000-8000-000000000000"
BODIES = ("body", "body_base64", "ws_messages")
KEYS = ("method", "scheme", "host", "path", "http_version", "headers", "client", *BODIES)


def exchange_of(request: dict[str, object], *, file: str = "request", at: int = 0) -> Exchange:
    """The exchange that a request file describes. Raises `Misconfigured` naming the field that is wrong."""

    def text(name: str, default: str | None = None) -> str:
        value = request.get(name, default)
        if not isinstance(value, str):
            raise Misconfigured(Problem(file, None, f"`{name}` must be text"))
        return value

    if unknown := [key for key in request if key not in KEYS]:
        what = f"unknown key `{unknown[0]}`; known: {', '.join(KEYS)}"
        raise Misconfigured(Problem(file, None, what))
    client = text("client", "127.0.0.1")
    try:
        ipaddress.ip_address(client)
    except ValueError:
        raise Misconfigured(Problem(file, None, f"`client` must be an IP address, not `{client}`")) from None
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
        client=Client(client),
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


class _Supposed(Resolver):
    """Takes the sender to be who the operator says, as if a trusted proxy had said so."""

    def __init__(self, real: Resolver, name: str | None, groups: Sequence[str]) -> None:
        everywhere = [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]
        super().__init__(
            everywhere, None, "user", "groups", owners=real.owners, in_tunnels=True, required=real.required
        )
        self._real = real
        self._said = (("user", "anyone" if name is None else name), ("groups", ";".join(groups)))
        self._named = name is not None
        self._grouped = bool(groups)

    @override
    def resolve(self, exchange: Exchange) -> Subject:
        real = self._real.resolve(exchange)
        supposed = super().resolve(replace(exchange, headers=self._said))
        if supposed.method == "none":
            raise Misconfigured("the subject must be a name of printable characters, such as `alice` or `service:ci`")
        groups = supposed.groups if self._grouped else real.groups
        return replace(supposed if self._named else real, groups=groups)

    @override
    def strip(self, headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        return self._real.strip(headers)


def explain(
    request: dict[str, object],
    settings: Settings,
    rulebook: Rulebook,
    *,
    show_text: bool = False,
    file: str = "request",
    at: int = 0,
    subject: str | None = None,
    groups: Sequence[str] = (),
) -> dict[str, object]:
    """The inspection of a request file as plain data. Part texts are included only with `show_text`.

    `subject` and `groups` stand in for those that the address map or a trusted proxy would give.
    """
    exchange = exchange_of(request, file=file, at=at)
    resolver = Resolver.load(settings)
    if subject is not None or groups:
        resolver = _Supposed(resolver, subject, groups)
    seen = inspect(exchange, rulebook, settings.limits, resolver)
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
                "suppressed": f.suppressed,
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
