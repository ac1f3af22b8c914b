"""Rows as TOML: from a CSV file, or as a proposal of what was observed and nobody has declared.

Names in a proposal are of clients' choosing. They are written as basic strings with everything that is not plainly
printable escaped, and nothing of them stands in a comment.
"""

from __future__ import annotations

import datetime as dt
import json
import unicodedata
from collections.abc import Iterable, Mapping

import msgspec

from sluice.register.files import Entry

FIELDS: dict[str, dict[str, str]] = {
    "provider": {"provider_id": "id"},
    "model": {"model": "id", "provider_id": "provider"},
    "role": {"role": "id"},
    "agent": {"agent_id": "id", "subjects": "", "observed_tools": "tools", "observed_models": "models"},
    "agent_tool": {"agent_id": "agent", "tool": "tool"},
    "tool": {"tool": "id", "kind": "kind"},
    "mcp_server": {"server": "id"},
    "route": {"route_id": "id", "provider_id": "provider"},
    "application": {"app_id": "id"},
    "key": {"key_fp": "fingerprint", "ownership": "ownership"},
}
"""Of each inventory, the columns that become keys of a proposed row. Subjects are pseudonyms there, and a register
names people by their names: they are not proposed."""


def toml(entries: Iterable[Entry]) -> str:
    """Rows of a register as a file."""
    return "\n".join(_table(e.kind, _plain(msgspec.to_builtins(e.row, builtin_types=(dt.date,)))) for e in entries)


KEYS = {
    "model": ("id", "provider"),
    "route": ("id", "provider"),
    "agent_tool": ("agent", "tool"),
    "key": ("fingerprint",),
}
"""Keys that name a proposed row, where it is not the id alone."""
NO_NAME = ("(withheld)", "(+")
"""What records have where a name could not be kept, and where a list was cut: nothing that a register could name."""


def nameable(value: object) -> bool:
    """Whether it is a name that a register can hold."""
    return isinstance(value, str) and value != "" and not any(mark in value for mark in NO_NAME)


def proposed(kind: str, rows: Iterable[Mapping[str, object]]) -> str:
    """Observed rows of an inventory as rows of a register, each with what was seen of it in a comment. A row whose key
    is no name is left out, and what is none in a list of another."""
    out = []
    for row in rows:
        values = {key: row.get(column) for column, key in FIELDS[kind].items() if key}
        if not all(nameable(values[key]) for key in KEYS.get(kind, ("id",))):
            continue
        for key, value in values.items():
            if isinstance(value, list | tuple):
                values[key] = [one for one in value if nameable(one)]
            elif isinstance(value, str) and not nameable(value):
                values[key] = None
        if kind == "key" and values["ownership"] not in ("corporate", "personal"):
            values["ownership"] = None
        out.append(_comment(row) + _table(kind, _plain(values)))
    return "\n".join(out)


def text(value: str) -> str:
    """A basic string of TOML."""
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() or c == " " else _escape(c) for c in quoted)


def _escape(character: str) -> str:
    if unicodedata.category(character) == "Cs":  # no scalar value: TOML has no way to write it
        return "\\uFFFD"
    return f"\\u{ord(character):04X}" if ord(character) < 0x10000 else f"\\U{ord(character):08X}"


def _comment(row: Mapping[str, object]) -> str:
    """Times and a number, and nothing else: a comment has no quotes that could hold a name."""
    seen = [str(row.get(name) or "")[:10] for name in ("first_seen", "last_seen")]
    days = " to ".join(dict.fromkeys(day for day in seen if day.replace("-", "").isdigit()))
    number = row.get("requests", row.get("declared"))
    if not isinstance(number, int):
        return f"# observed {days}\n"
    return f"# observed {days}: {number} request{'' if number == 1 else 's'}\n"


def _plain(values: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in values.items() if value not in (None, "", [], ())}


def _table(kind: str, values: Mapping[str, object]) -> str:
    values = dict(values)
    evidence = values.pop("evidence", [])
    lines = [f"[[{kind}]]", *(f"{key} = {_value(value)}" for key, value in values.items())]
    for one in evidence if isinstance(evidence, list | tuple) else ():
        lines += [f"[[{kind}.evidence]]", *(f"{key} = {_value(value)}" for key, value in one.items())]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(one) for one in value)}]"
    return text(str(value))
