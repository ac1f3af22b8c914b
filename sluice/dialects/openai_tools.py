"""Tools that a request of the OpenAI family declares, and the secrets that travel with them.

Names go to the tool list as `name`, the type of a built-in tool, `mcp:label` or `mcp:label/tool`. Descriptions and
schemas are text that a developer wrote. An MCP server's token authenticates the service to that server: a credential.
"""

from __future__ import annotations

from sluice.dialects.collector import Collector, Handler, word
from sluice.json_body import Json, step
from sluice.model import Role

_SECRET_HEADERS = ("authorization", "key", "token", "secret", "cookie", "credential")


def tools(c: Collector, at: str, value: Json, past: bool) -> None:
    """`tools`, `functions`, and the tools inside a `namespace`."""
    if not isinstance(value, list):
        c.leaves(at, value, Role.TOOL_DEFINITION, past)
        return
    for index, item in enumerate(value):
        _tool(c, f"{at}/{index}", item, past)


def _tool(c: Collector, at: str, value: Json, past: bool) -> None:
    if not isinstance(value, dict):
        c.tool(value)
        c.leaves(at, value, Role.TOOL_DEFINITION, past)
        return
    kind = word(value, "type")
    inner = value.get(kind) if kind in ("function", "custom") else None
    if kind not in ("", "function", "custom", "namespace"):
        c.hosted("mcp" if kind == "mcp_server" else kind)
    if kind in ("mcp", "mcp_server"):
        _mcp(c, value)
    elif kind != "namespace":
        c.tool(word(inner, "name") or word(value, "name") or kind)
    for key, item in value.items():
        handler = _TOOL.get(key)
        if handler is not None:
            handler(c, f"{at}/{key}", item, past)
        else:
            c.leaves(f"{at}/{step(key)}", item, Role.TOOL_DEFINITION, past)


def _mcp(c: Collector, value: dict[str, Json]) -> None:
    label = word(value, "server_label") or word(value, "name")
    c.server(label, word(value, "server_url") or word(value, "url") or None, _approval(value), carries_secret(value))
    c.tool(f"mcp:{label}")
    allowed = value.get("allowed_tools")
    names = allowed.get("tool_names") if isinstance(allowed, dict) else allowed
    for name in names if isinstance(names, list) else []:
        if isinstance(name, str):
            c.tool(f"mcp:{label}/{name}")


def _approval(value: dict[str, Json]) -> str | None:
    """`require_approval`: always, never, or an object that says it for some tools. The service's default is always."""
    said = value.get("require_approval")
    if isinstance(said, dict):
        return "some"
    return said if said in ("always", "never") else None


def carries_secret(value: Json) -> bool:
    """Whether a credential for the server stands beside its address."""
    if not isinstance(value, dict):
        return False
    headers = value.get("headers")
    names = headers if isinstance(headers, dict) else {}
    return any(value.get(key) for key in ("authorization", "authorization_token")) or any(
        mark in name.lower() for name in names for mark in _SECRET_HEADERS
    )


def secret_headers(c: Collector, at: str, value: Json, past: bool) -> None:
    """Headers that the service shall send to a third party; those that carry credentials are not text."""
    if not isinstance(value, dict):
        c.leaves(at, value, Role.UNKNOWN, past)
        return
    for key, item in value.items():
        below = f"{at}/{step(key)}"
        if any(mark in key.lower() for mark in _SECRET_HEADERS):
            c.body_credential(below, item, past)
        else:
            c.leaves(below, item, Role.UNKNOWN, past)


def secret(c: Collector, at: str, value: Json, past: bool) -> None:
    """A credential by the name of its key."""
    c.body_credential(at, value, past)


def address(c: Collector, at: str, value: Json, past: bool) -> None:
    """The address of a server that the service shall call."""
    c.url(at, value, past)


def tool_choice(c: Collector, at: str, value: Json, past: bool) -> None:
    """`auto`, `none`, `required`, or an object that names a tool."""
    chosen = value if isinstance(value, str) else word(value, "name") or word(value, "type")
    if isinstance(value, dict):
        chosen = word(value.get("function"), "name") or chosen
    c.tool_choice = chosen or None
    c.leaves(at, value, Role.UNKNOWN, past)


_TOOL: dict[str, Handler] = {
    "authorization": secret,
    "authorization_token": secret,
    "headers": secret_headers,
    "server_url": address,
    "tools": tools,
}
