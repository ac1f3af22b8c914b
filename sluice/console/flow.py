"""A graph of flows as SVG: kinds as columns from left to right, nodes as boxes, edges as wide as their traffic.

Names are of clients' choosing: they become text of an SVG and nothing else, which the template escapes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sluice.posture.graph import Edge

KINDS = ("role", "agent", "tool", "data_class", "model", "provider")
COLUMN, NODE, HEIGHT, ROW, TOP = 200, 150, 24, 34, 30
LONGEST = 24


@dataclass(frozen=True, slots=True)
class Node:
    x: int
    y: int
    kind: str
    name: str
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    """`path` is an SVG path. `stopped`: nothing of it was let pass."""

    path: str
    width: float
    stopped: bool
    said: str


@dataclass(frozen=True, slots=True)
class Drawing:
    nodes: tuple[Node, ...]
    lines: tuple[Line, ...]
    heads: tuple[tuple[int, str], ...]
    width: int
    height: int
    box: tuple[int, int] = (NODE, HEIGHT)


def drawn(edges: Sequence[Edge]) -> Drawing:
    """Nodes in the order of their traffic; kinds that do not occur have no column."""
    weight: dict[tuple[str, str], int] = {}
    for edge in edges:
        for node in ((edge.from_kind, edge.from_id), (edge.to_kind, edge.to_id)):
            weight[node] = weight.get(node, 0) + edge.requests
    kinds = [kind for kind in KINDS if any(kind == k for k, _ in weight)]
    places: dict[tuple[str, str], Node] = {}
    for column, kind in enumerate(kinds):
        names = sorted((name for k, name in weight if k == kind), key=lambda n: (-weight[kind, n], n))
        for row, name in enumerate(names):
            said = name or "(unknown)"
            label = said if len(said) <= LONGEST else said[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"
            places[kind, name] = Node(column * COLUMN, TOP + row * ROW, kind, said, label)
    most = max((edge.requests for edge in edges), default=1)
    lines = []
    for edge in edges:
        one, two = places.get((edge.from_kind, edge.from_id)), places.get((edge.to_kind, edge.to_id))
        if not one or not two:
            continue
        x1, y1, x2, y2 = one.x + NODE, one.y + HEIGHT // 2, two.x, two.y + HEIGHT // 2
        bend = max(20, (x2 - x1) // 2)
        path = f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
        width = 1 + 5 * math.log1p(edge.requests) / math.log1p(most)
        said = f"{one.name} to {two.name}: {edge.requests} requests, {edge.allowed} let pass"
        lines.append(Line(path, round(width, 1), not edge.allowed, said))
    height = max((node.y for node in places.values()), default=TOP) + ROW
    heads = tuple((at * COLUMN, kind.replace("_", " ")) for at, kind in enumerate(kinds))
    return Drawing(tuple(places.values()), tuple(lines), heads, max(1, len(kinds)) * COLUMN - (COLUMN - NODE), height)
