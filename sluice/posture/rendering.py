"""A report as text, CSV, JSON, Markdown or HTML. Every cell may hold a text that a client chose: each format escapes.

CSV: a text that a spreadsheet would take for a formula (`=`, `+`, `-`, `@`, tab, carriage return first) begins with an
apostrophe (OWASP, CSV Injection), also behind blanks, which some take away. Lines before the table begin with `#`.
HTML: one file without script, font, image or link that is fetched; a policy in it forbids them; light and dark, and
made to be printed. PDF: `sluice.posture.pdf`.
"""

from __future__ import annotations

import csv
import html
import io
import json
import re

from sluice.posture.question import Cell
from sluice.posture.report import Answered

FORMATS = ("table", "html", "csv", "json", "md", "pdf")
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_DIVIDED = re.compile(r"([,;]\s*)(?=[=+\-@＝＋－＠])")
"""Where a spreadsheet that divides a line of the head into cells would find a formula."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+.!|~<>&-])")


def shown(cell: Cell) -> str:
    """A cell as people read it: no control or direction characters, lists joined."""
    match cell:
        case None:
            return ""
        case bool():
            return "yes" if cell else "no"
        case float():
            return f"{cell:.6g}"
        case list():
            return ", ".join(shown(one) for one in cell)
        case dict():
            return ", ".join(f"{shown(name)}: {shown(one)}" for name, one in cell.items())
        case _:
            return _CONTROL.sub(" ", str(cell))


def as_csv(report: Answered) -> str:
    out = io.StringIO()
    for name, value in report.head():
        out.write(f"# {name}: {_DIVIDED.sub(r"\1'", shown(value))}\r\n")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(report.table.columns)
    for row in report.table.rows:
        writer.writerow([harmless(cell, number) for cell, number in zip(row, report.table.numeric, strict=True)])
    return out.getvalue()


def harmless(cell: Cell, number: bool) -> str:
    """A cell for CSV: no text that a spreadsheet would take for a formula."""
    said = shown(cell)
    return f"'{said}" if said.lstrip().startswith(_FORMULA) and not number else said


def as_json(report: Answered) -> str:
    seen = report.coverage
    value = {
        "report": report.unit.id,
        "title": report.unit.title,
        "question": report.unit.question,
        "asks": report.unit.asks,
        "since": report.since.isoformat(),
        "until": report.until.isoformat(),
        "filters": report.filters,
        "coverage": {
            "requests": seen.requests,
            "inspected": seen.inspected,
            "partly": seen.partly,
            "unread": seen.unread,
            "undecided": seen.undecided,
            "tunnelled": seen.tunnelled,
            "body_bytes": seen.body_bytes,
            "uninspected_bytes": seen.uninspected_bytes,
            "reasons": [{"reason": r, "requests": n, "bytes": b} for r, n, b in seen.reasons],
        },
        "basis": report.unit.basis,
        "note": report.unit.note,
        "sql": report.sql,
        "sha256": report.sha256,
        "columns": [{"name": c.name, "comment": c.comment} for c in report.unit.columns],
        "rows": report.table.dicts(),
    }
    return json.dumps(value, indent=2, ensure_ascii=True) + "\n"


def as_markdown(report: Answered) -> str:
    lines = [f"# {_plain(report.unit.id)} {_plain(report.unit.title)}", ""]
    lines += [f"- **{name}**: {_plain(value)}" for name, value in report.head()[1:]]
    lines += ["", f"| {' | '.join(_plain(name) for name in report.table.columns)} |"]
    lines.append(f"|{'|'.join('---:' if number else '---' for number in report.table.numeric)}|")
    lines += [f"| {' | '.join(_plain(shown(cell)) for cell in row)} |" for row in report.table.rows]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", shown(text)).replace("\\.", ".").replace("\\-", "-")


_STYLE = """
:root { color-scheme: light dark; --line: #c9ced6; --quiet: #57606a; --ground: #fff; --ink: #1b1f24; --band: #f3f5f8 }
@media (prefers-color-scheme: dark) {
  :root { --line: #3b424c; --quiet: #9aa4b0; --ground: #14171b; --ink: #e4e8ee; --band: #1c2127 }
}
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem; background: var(--ground); color: var(--ink) }
h1 { font-size: 1.4rem; margin: 0 0 .75rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 0 0 1.5rem; max-width: 75rem }
dt { color: var(--quiet) } dd { margin: 0; overflow-wrap: anywhere }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums }
th, td { text-align: left; vertical-align: top; padding: .3rem .7rem; border-bottom: 1px solid var(--line) }
th { border-bottom-width: 2px; white-space: nowrap } tbody tr:nth-child(even) { background: var(--band) }
td { overflow-wrap: anywhere; max-width: 32rem } .n { text-align: right }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .8rem; color: var(--quiet) }
@media print {
  :root { color-scheme: light; --line: #999; --quiet: #444; --ground: #fff; --ink: #000; --band: #fff }
  @page { size: A4 landscape; margin: 12mm }
  body { margin: 0; font-size: 9pt } thead { display: table-header-group } tr { break-inside: avoid }
  .wide { overflow: visible }
}
"""


def as_html(report: Answered) -> str:
    table = report.table
    comments = {column.name: column.comment for column in report.unit.columns}
    marks = [' class="n"' if number else "" for number in table.numeric]
    title = html.escape(f"{report.unit.id} {report.unit.title}")
    head = "".join(f"<dt>{html.escape(k)}</dt><dd>{html.escape(shown(v))}</dd>\n" for k, v in report.head()[1:])
    names = "".join(
        f'<th scope="col"{mark} title="{html.escape(comments.get(name, ""))}">{html.escape(name)}</th>'
        for name, mark in zip(table.columns, marks, strict=True)
    )
    rows = "".join(
        f"<tr>{''.join(f'<td{m}>{html.escape(shown(c))}</td>' for c, m in zip(row, marks, strict=True))}</tr>\n"
        for row in table.rows
    )
    legend = "".join(f"<dt>{html.escape(c.name)}</dt><dd>{html.escape(c.comment)}</dd>\n" for c in report.unit.columns)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<dl>
{head}</dl>
<div class="wide" role="region" aria-label="Rows" tabindex="0">
<table>
<thead><tr>{names}</tr></thead>
<tbody>
{rows}</tbody>
</table>
</div>
<h2>Columns</h2>
<dl>
{legend}</dl>
<h2>Query</h2>
<pre>{html.escape(report.sql)}</pre>
</main>
</body>
</html>
"""


def rendered(report: Answered, form: str) -> str:
    """The report as text, in one of `FORMATS` but `table` and `pdf`."""
    return {"html": as_html, "csv": as_csv, "json": as_json, "md": as_markdown}[form](report)


def file(report: Answered, form: str) -> bytes:
    """The report as a file, in one of `FORMATS` but `table`."""
    if form == "pdf":
        from sluice.posture import pdf  # its libraries take most of a second to load

        return pdf.as_pdf(report, shown)
    return rendered(report, form).encode()
