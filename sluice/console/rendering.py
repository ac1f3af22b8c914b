"""Templates. What is put into one is escaped, and a cell of the store loses its control characters before that."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sluice.posture.question import Cell
from sluice.posture.rendering import shown

HERE = Path(__file__).parent
STYLESHEET = "console.css"
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?", re.ASCII)
_ID = re.compile(r"[0-9a-f-]{12,36}")
_ONE = re.compile(r"(?<![\w.,])1 (subject|key|time|request|node|month)s\b")
_HASH = re.compile(r"[0-9a-f]{37,128}")
SHORT, WORD, LONG = 9, 24, 40
"""Characters up to which a word is kept on one line, and from which a text gets room for its lines."""
CLIPPED = 120
"""Characters of a cell in a table; the whole of it is on the page of the decision."""


def stylesheet() -> tuple[bytes, str]:
    """The stylesheet, and a digest for its address, so that a browser may keep it."""
    data = (HERE / "static" / STYLESHEET).read_bytes()
    return data, hashlib.sha256(data).hexdigest()[:16]


def cell(value: Cell) -> str:
    """A cell in a table: short, and numbers with thin groups."""
    if isinstance(value, int) and not isinstance(value, bool):
        return number(value)
    said = shown(value)
    if _TIME.fullmatch(said):
        return said[:19]
    return said if len(said) <= CLIPPED else said[: CLIPPED - 1] + "\N{HORIZONTAL ELLIPSIS}"


def shape(value: Cell) -> str:
    """The class of a cell: what must not be broken over lines is kept on one."""
    if isinstance(value, list) and any(len(str(one)) > SHORT for one in value):
        return "list"
    if isinstance(value, str):
        if _TIME.fullmatch(value):
            return "nowrap"
        if len(value) > LONG and " " in value:
            return "text"
        if _ID.fullmatch(value):
            return "code id"
        if _HASH.fullmatch(value):
            return "code hash"
        if len(value) <= WORD and not value.split()[1:]:
            return "word"
    return ""


def facts(value: Cell) -> str:
    """What a query says of a finding, with one of a thing in the singular: `1 subjects` comes from a count in SQL."""
    return _ONE.sub(r"1 \1", cell(value))


def detail(value: Cell) -> str:
    """The detail of a control or access record, which is JSON, as words; any other text as it is."""
    try:
        found = json.loads(str(value))
    except ValueError:
        return cell(value)
    if not isinstance(found, dict):
        return cell(value)
    return cell(", ".join(f"{name}: {shown(one)}" for name, one in found.items() if one not in (None, "", [])))


def number(value: object) -> str:
    """1234567 as 1,234,567."""
    return f"{value:,}" if isinstance(value, int) else shown(value)  # type: ignore[arg-type]


def share(part: object, whole: object) -> str:
    """A percentage, or a dash where there is nothing to share."""
    if not isinstance(part, int | float) or not isinstance(whole, int | float) or not whole:
        return "\N{EN DASH}"
    return f"{100 * part / whole:.1f}%"


def bytes_said(value: object) -> str:
    size = float(value) if isinstance(value, int | float) else 0.0
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def moment(value: object) -> str:
    """A time of the store to the second."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return shown(value)[:19]  # type: ignore[arg-type]


class Templates:
    """The templates of the console."""

    def __init__(self, **common: object) -> None:
        self._env = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._env.filters |= {
            "cell": cell,
            "shown": shown,
            "number": number,
            "shape": shape,
            "facts": facts,
            "detail": detail,
            "bytes": bytes_said,
            "moment": moment,
            "segment": lambda text: quote(shown(text), safe=""),
        }
        self._env.globals |= {"share": share, **common}

    def page(self, template: str, context: dict[str, Any]) -> str:
        return self._env.get_template(template).render(context)
