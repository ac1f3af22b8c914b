"""Where data flows: tool, data class, model, provider, by agent and role; as JSON, DOT or Mermaid.

Names in it are of clients' choosing. In DOT and Mermaid they stand in quoted labels alone, with every character that
could end one written as an entity; nodes are numbered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from sluice.posture import within
from sluice.posture.inventory import Span
from sluice.posture.question import Ask, Table, ask, text

FORMATS = ("json", "dot", "mermaid")
_PLAIN = re.compile(r"[A-Za-z0-9 ._:/@-]")
_LONGEST = 80
_SHAPES = {"role": "house", "agent": "component", "tool": "box", "data_class": "note", "model": "ellipse",
           "provider": "cylinder"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Edge:
    """One step of the flow. `through_tools`: of the requests, those whose class lay in a tool's call or result."""

    from_kind: str
    from_id: str
    to_kind: str
    to_id: str
    requests: int
    allowed: int
    through_tools: int


def edges(
    asked: Ask, *, agent: str = "", role: str = "", data_class: str = "", least: int = 1, span: Span | None = None
) -> list[Edge]:
    """The graph, all agents and roles added up unless one is named; the busiest edges first. Raises a `SluiceError`."""
    return told(ask(asked, sql(agent=agent, role=role, data_class=data_class, least=least, span=span)))


def sql(
    *, agent: str = "", role: str = "", data_class: str = "", least: int = 1, limit: int = 0, span: Span | None = None
) -> str:
    """The question behind `edges`; of the requests of a span, or of all on record."""
    conditions = [f"{name} = {text(value)}" for name, value in (("agent_id", agent), ("role", role)) if value]
    if data_class:
        conditions.append(f"({text(data_class)} IN (from_id, to_id) OR 'data_class' NOT IN (from_kind, to_kind))")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    columns = "from_kind, from_id, to_kind, to_id, sum(f.requests) AS n, sum(f.allowed) AS a, sum(f.through_tools) AS t"
    order = "ORDER BY n DESC, from_kind, from_id, to_kind, to_id"
    of = within.view("flow_graph", *span) if span else "flow_graph"
    most = f" LIMIT {int(limit)}" if limit else ""
    return f"SELECT {columns} FROM {of} AS f{where} GROUP BY ALL HAVING n >= {int(least)} {order}{most}"  # noqa: S608 - quoted


def told(found: Table) -> list[Edge]:
    """The edges in an answer to `sql`."""
    return [Edge(*map(str, row[:4]), *(int(str(n)) for n in row[4:])) for row in found.rows]  # type: ignore[arg-type]


def as_json(found: Iterable[Edge]) -> str:
    """Edges as a list, nodes by kind and name."""
    listed = list(found)
    nodes = [{"kind": kind, "id": name} for kind, name in _nodes(listed)]
    return json.dumps({"nodes": nodes, "edges": [asdict(e) for e in listed]}, indent=2, ensure_ascii=True)


def as_dot(found: Iterable[Edge]) -> str:
    """For Graphviz."""
    listed = list(found)
    numbers = {node: n for n, node in enumerate(_nodes(listed))}
    lines = ["digraph flow {", "  rankdir=LR;", '  node [fontname="sans-serif"];']
    for (kind, name), n in numbers.items():
        lines.append(f'  n{n} [shape={_SHAPES.get(kind, "box")}, label="{_entities(kind, name, "&#{};")}"];')
    for e in listed:
        ends = numbers[e.from_kind, e.from_id], numbers[e.to_kind, e.to_id]
        style = "" if e.allowed else ', style=dashed, color="gray"'
        lines.append(f'  n{ends[0]} -> n{ends[1]} [label="{e.requests}"{style}];')
    return "\n".join([*lines, "}", ""])


def as_mermaid(found: Iterable[Edge]) -> str:
    """For Mermaid."""
    listed = list(found)
    numbers = {node: n for n, node in enumerate(_nodes(listed))}
    lines = ["flowchart LR"]
    lines += [f'  n{n}["{_entities(kind, name, "#{};")}"]' for (kind, name), n in numbers.items()]
    for e in listed:
        ends = numbers[e.from_kind, e.from_id], numbers[e.to_kind, e.to_id]
        lines.append(f"  n{ends[0]} {'-->' if e.allowed else '-.->'}|{e.requests}| n{ends[1]}")
    return "\n".join([*lines, ""])


def _nodes(found: list[Edge]) -> list[tuple[str, str]]:
    ends = ((node) for e in found for node in ((e.from_kind, e.from_id), (e.to_kind, e.to_id)))
    return list(dict.fromkeys(ends))


def _entities(kind: str, name: str, form: str) -> str:
    """Kind and name as a label: every character that is not plain as a numbered entity."""
    said = f"{kind.replace('_', ' ')}: {name or '(unknown)'}"
    said = said if len(said) <= _LONGEST else f"{said[:_LONGEST]}..."
    return "".join(c if _PLAIN.match(c) else form.format(ord(c)) for c in said)
