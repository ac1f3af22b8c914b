"""The change that would close a finding, as text to paste.

Put into a template: `{finding}` (an id of its own), `{title}`, `{scope}` and each key of it, `{facts}`, `{today}`,
`{next_year}`; out of the facts `{classes}` and `{tools}` as lists of the policy, `{seen}` and `{header}` (the word
behind that one), and `{each}`: a table with it is repeated for every item that the facts list, in a `[table]` its line.

Scope and facts of a finding may hold texts of a client's choosing: what goes into a quoted TOML string is escaped, so
that no value can become a rule of its own. What stands for a name that no record may keep proposes nothing: no rule and
no row could name it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime

from sluice.dialects import tool_kinds
from sluice.posture.inventory import UNNAMED
from sluice.posture.units import Finding

_PLACE = re.compile(r"\{([a-z_]+)\}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_BRACKETS = re.compile(r"[\[\]{}]")
_LISTS = ("classes", "tools")


def keys(unit: Finding, scope: str) -> dict[str, str]:
    """A scope taken apart: `provider=openai model=gpt-5` by the finding's keys."""
    pattern = " ".join(f"{name}=(.*)" for name in unit.scope)
    found = re.fullmatch(pattern, scope, re.DOTALL)
    return dict(zip(unit.scope, found.groups(), strict=True)) if found else {}


def text(unit: Finding, scope: str, facts: str = "", today: date | None = None) -> str | None:
    """The proposed change for one scope; None where the finding has none that would do anything."""
    if unit.fix is None or not re.search(unit.fix.where, facts) or UNNAMED in scope:
        return None
    items = _items(facts)
    template = _repeated(unit.fix.text, [item for item in items if UNNAMED not in item and "(+" not in item])
    if template is None or any(f"{{{name}}}" in template and not items for name in _LISTS):
        return None
    day = today or datetime.now(UTC).date()
    tag = hashlib.sha256(scope.encode()).hexdigest()[:6]
    values = {"finding": f"{unit.id.lower()}-{tag}", "title": unit.title, "scope": scope, "facts": facts}
    values |= {"today": str(day), "next_year": str(date(day.year + 1, day.month, min(day.day, 28)))}
    values |= {name: _behind(name, facts) for name in ("seen", "header")} | keys(unit, scope)
    policy = unit.fix.kind == "policy"
    quoted = {name: _quoted(value, policy) for name, value in values.items()}
    quoted["classes"] = _listed(items, policy)
    quoted["tools"] = _listed([made for item in items for made in tool_kinds.patterns(item)], policy)
    return _put(template, quoted)


def _put(template: str, values: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda place: values.get(place[1], place[0]), template)


def _quoted(value: str, policy: bool) -> str:
    """As it may stand in a quoted string; of a policy, where brackets are no part of a pattern."""
    value = _CONTROL.sub(" ", value)
    if policy:
        value = _BRACKETS.sub("?", value).strip()
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _listed(items: list[str], policy: bool) -> str:
    return f"[{', '.join(f'"{_quoted(item, policy)}"' for item in dict.fromkeys(items))}]"


def _items(facts: str) -> list[str]:
    """What the facts list: behind their last `; ` and `: `, between commas."""
    last = facts.rpartition("; ")[2].rpartition(": ")[2]
    return [item for item in (part.strip() for part in last.split(",")) if item]


def _behind(word: str, facts: str) -> str:
    found = re.search(rf"\b{word} ([^\s,;]+)", facts)
    return found[1] if found else ""


def _repeated(template: str, items: list[str]) -> str | None:
    """The template with `{each}` written out; None when it asks for items and there are none."""
    if "{each}" not in template:
        return template
    if not items:
        return None
    out = []
    for table in template.strip().split("\n\n"):
        each = [_quoted(item, policy=False) for item in items]
        if "{each}" not in table:
            out.append(table)
        elif "[[" in table:
            out += [table.replace("{each}", item) for item in each]
        else:
            lines = table.split("\n")
            made = [[line.replace("{each}", i) for i in each] if "{each}" in line else [line] for line in lines]
            out.append("\n".join(line for some in made for line in some))
    return "\n\n".join(out) + "\n"
