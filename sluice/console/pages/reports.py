"""Reports: the list, one of them as a page, and as a file."""

from __future__ import annotations

import asyncio

from sluice.config import Settings
from sluice.console import catalogue
from sluice.console.file import File
from sluice.console.given import Given, stamp
from sluice.console.page import Answers, Context, Missing, Page, Question
from sluice.console.store import Asker
from sluice.posture import coverage, question, rendering, report, units
from sluice.posture.report import Answered

ROWS = 200
"""Rows on a page; a file has all of them."""
MEDIA = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "md": "text/markdown; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "pdf": "application/pdf",
}
FILTERS = {
    "keys": "API key (fingerprint)",
    "subjects": "Subject (pseudonym)",
    "providers": "Provider",
    "classes": "Data class",
    "fingerprints": "Value (fingerprint)",
    "sessions": "Session, conversation, trace or decision",
    "agents": "Agent",
}


def listed(_: Given, __: Settings) -> Page:
    def fill(_: Answers) -> Context:
        return {"reports": catalogue.reports().values()}

    return Page("reports.html", "Reports", {}, fill, looks=False)


def view(given: Given, _: Settings) -> Page:
    unit = _unit(given)
    since, until = given.span(unit.span)
    lacking = [name for name in unit.required if not given.text(name)]
    common: Context = {"unit": unit, "since": since, "until": until, "lacking": lacking, "labels": FILTERS}
    pinned = {"since": stamp(since), "until": stamp(until)}
    if lacking:
        return Page("report.html", f"{unit.id} {unit.title}", {}, lambda _: {**common, "report": None}, looks=False)
    sql, in_force = report.sql(unit, since, until, _filters(unit, given))
    shares, reasons = coverage.questions(since, until)

    def fill(answers: Answers) -> Context:
        seen = coverage.told(answers["coverage"], answers["reasons"])
        whole = Answered(unit, since, until, in_force, sql, question.digest(sql), seen, answers["rows"])
        first = question.Table(whole.table.columns, whole.table.numeric, whole.table.rows[:ROWS])
        return {
            **common,
            "report": whole,
            "first": first,
            "comments": {column.name: column.comment for column in unit.columns},
            "formats": MEDIA,
            "download": {form: given.link(f"/reports/{unit.id}/file", form=form, **pinned) for form in MEDIA},
        }

    return Page(
        "report.html",
        f"{unit.id} {unit.title}",
        {
            "rows": Question(unit.question, sql),
            "coverage": Question("How much of the traffic was inspected", shares),
            "reasons": Question("Why the rest was not", reasons),
        },
        fill,
        pinned,
    )


async def file(given: Given, _: Settings, asker: Asker) -> File:
    """A report as it comes from `sluice report`."""
    unit = _unit(given)
    since, until = given.span(unit.span)
    form = given.text("form")
    if form not in MEDIA:
        raise Missing(f"A report can be had as {', '.join(MEDIA)}.")

    def made() -> File:
        answered = report.ask(asker.ask, unit, since, until, _filters(unit, given))
        body = rendering.file(answered, form)
        name = f"{unit.id}-{since:%Y%m%d}-{until:%Y%m%d}.{form}"
        return File(name, MEDIA[form], body, answered.sha256, len(answered.table.rows))

    return await asyncio.to_thread(made)


def _unit(given: Given) -> units.Report:
    found = catalogue.reports().get(given.parts.get("name", "").upper())
    if found is None:
        raise Missing("There is no report of this name.")
    return found


def _filters(unit: units.Report, given: Given) -> dict[str, tuple[str, ...]]:
    """What a report is restricted to: several values are separated by spaces."""
    return {name: tuple(given.text(name).split()) for name in unit.filters if given.text(name)}
