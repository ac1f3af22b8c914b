"""The change that would close a finding, as text to paste.

Scope and facts of a finding may hold texts of a client's choosing: what goes into a quoted TOML string is escaped, so
that no value can become a rule of its own.
"""

from __future__ import annotations

import hashlib
import re

from sluice.posture.units import Finding

_PLACE = re.compile(r"\{([a-z_]+)\}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def keys(unit: Finding, scope: str) -> dict[str, str]:
    """A scope taken apart: `provider=openai model=gpt-5` by the finding's keys."""
    pattern = " ".join(f"{name}=(.*)" for name in unit.scope)
    found = re.fullmatch(pattern, scope, re.DOTALL)
    return dict(zip(unit.scope, found.groups(), strict=True)) if found else {}


def text(unit: Finding, scope: str, facts: str = "") -> str | None:
    """The proposed change for one scope; None where the finding has none."""
    if unit.fix is None:
        return None
    tag = hashlib.sha256(scope.encode()).hexdigest()[:6]
    values = {"finding": f"{unit.id.lower()}-{tag}", "title": unit.title, "scope": scope, "facts": facts}
    values |= keys(unit, scope)

    def put(place: re.Match[str]) -> str:
        if place[1] not in values:
            return place[0]
        return _CONTROL.sub(" ", values[place[1]]).replace("\\", "\\\\").replace('"', '\\"')

    return _PLACE.sub(put, unit.fix.text)
