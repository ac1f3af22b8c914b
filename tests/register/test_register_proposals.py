"""Rows that are proposed from what was observed: names alone, whatever stands where one could not be kept."""

from __future__ import annotations

import tomllib

import pytest

from sluice.register import proposals

SEEN = {"first_seen": "2026-11-20 10:00:00", "last_seen": "2026-11-21 10:00:00", "requests": 3}


@pytest.mark.parametrize("kind", list(proposals.FIELDS))
@pytest.mark.parametrize("nothing", ["(withheld)", "(withheld) of 1a2b3c4d", "(+12 more)", "", None])
def test_what_is_no_name_is_never_proposed(kind: str, nothing: str | None) -> None:
    """A row named by it is left out, whichever part of its key it is."""
    columns = {column: "name" for column, key in proposals.FIELDS[kind].items() if key}
    good = tomllib.loads(proposals.proposed(kind, [SEEN | columns]))
    assert len(good[kind]) == 1
    keys = {key: column for column, key in proposals.FIELDS[kind].items()}
    for key in proposals.KEYS.get(kind, ("id",)):
        assert proposals.proposed(kind, [SEEN | columns | {keys[key]: nothing}]) == ""


def test_a_list_keeps_the_names_that_there_are() -> None:
    """An agent that offered a tool whose name was withheld is proposed with the others."""
    row = SEEN | {"agent_id": "cline", "observed_tools": ["bash", "(withheld)", "(+3 more)"], "observed_models": []}
    (made,) = tomllib.loads(proposals.proposed("agent", [row]))["agent"]
    assert made == {"id": "cline", "tools": ["bash"]}
