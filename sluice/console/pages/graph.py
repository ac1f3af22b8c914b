"""Where data flows: tool, data class, model, provider, by agent and role."""

from __future__ import annotations

from sluice.config import Settings
from sluice.console import flow
from sluice.console.given import Given
from sluice.console.page import Answers, Context, Page, Question
from sluice.posture import graph

EDGES = 80


def view(given: Given, _: Settings) -> Page:
    agent, role, data_class = (given.text(name) for name in ("agent", "role", "class"))
    span = given.span("90d") if given.has_span else None
    sql = graph.sql(agent=agent, role=role, data_class=data_class, span=span, limit=EDGES)

    def fill(answers: Answers) -> Context:
        edges = graph.told(answers["edges"])
        return {"edges": edges, "drawing": flow.drawn(edges), "cut": len(edges) == EDGES, "span": span}

    return Page("graph.html", "Data flow", {"edges": Question("Edges of the flow, the busiest first", sql)}, fill)
