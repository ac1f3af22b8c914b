"""What is in use, kind by kind: declared against observed."""

from __future__ import annotations

from sluice.config import Settings
from sluice.console.given import Given
from sluice.console.page import Answers, Context, Missing, Page, Question
from sluice.posture import inventory, question
from sluice.posture.inventory import KINDS, SOURCES, Inventory
from sluice.posture.question import BadQuestion, Table

ROWS = 200
LINKS = {
    "provider_id": "/decisions?since=30d&provider=",
    "model": "/decisions?since=30d&model=",
    "agent_id": "/decisions?since=30d&agent=",
    "tool": "/decisions?since=30d&tool=",
    "key_fp": "/decisions?since=30d&key=",
    "subject_id": "/decisions?since=30d&subject=",
    "data_class": "/decisions?since=30d&class=",
    "rule_id": "/decisions?since=30d&rule=",
    "host": "/decisions?since=30d&host=",
}
ALSO = {
    "model": {"model": ("provider", "provider_id")},
    "agent_tool": {"tool": ("agent", "agent_id")},
}
"""Of kinds whose rows two columns name: what a link of one column says of the other, so that it leads to as many."""
COMMENTS = """
SELECT
    name,
    comment
FROM system.columns
WHERE database = currentDatabase() AND table = {view}
"""
LIVE = """
SELECT *
FROM live_keys_in_prompts
LIMIT 200
"""


def listed(_: Given, __: Settings) -> Page:
    return Page("inventories.html", "Inventory", {}, lambda _: {"kinds": KINDS.values()}, looks=False)


def view(given: Given, _: Settings) -> Page:
    kind = KINDS.get(given.parts.get("kind", ""))
    if kind is None:
        raise Missing("There is no inventory of this kind.")
    return _page(kind, given)


def keys(given: Given, _: Settings) -> Page:
    """API keys, and those of them that were found in prompts."""
    return _page(KINDS["key"], given, {"live": Question("Keys in prompts, and whether they work", LIVE.strip())})


def _page(kind: Inventory, given: Given, more: dict[str, Question] | None = None) -> Page:
    source = given.text("source")
    if source not in ("", "all", *SOURCES):
        raise BadQuestion(f"`source` is one of all, {', '.join(SOURCES)}")
    span = given.span("90d") if given.has_span else None
    of = source if source in SOURCES else ""
    used = not source and kind.kind != "exception"  # declared alone: when asked for; an exception is all declaration
    sql = inventory.sql(kind, source=of, used=used, limit=ROWS + 1, span=span)
    questions = {
        "rows": Question(f"Inventory: {kind.what}", sql),
        "comments": Question("What the columns mean", question.filled(COMMENTS, {"view": kind.view})),
    }

    def fill(answers: Answers) -> Context:
        found = answers["rows"]
        whole = bool(given.text("all"))
        named = list(dict.fromkeys((*kind.key, "source", *kind.shown, "last_seen")))
        return {
            "kind": kind,
            "table": _narrowed(found, list(found.columns) if whole else [n for n in named if n in found.columns]),
            "cut": len(found.rows) > ROWS,
            "source": source,
            "sources": ("", "all", *SOURCES),
            "links": LINKS,
            "also": ALSO.get(kind.kind, {}),
            "comments": {str(name): str(comment) for name, comment in answers["comments"].rows},
            "live": answers.get("live"),
            "whole": whole,
            "span": span,
        }

    return Page("inventory.html", f"Inventory: {kind.what}", questions | (more or {}), fill)


def _narrowed(table: Table, names: list[str]) -> Table:
    places = [table.columns.index(name) for name in names]
    rows = tuple(tuple(row[at] for at in places) for row in table.rows[:ROWS])
    return Table(tuple(names), tuple(table.numeric[at] for at in places), rows)
