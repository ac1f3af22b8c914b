"""Coding agents on engineers' machines: every turn sends the whole conversation again, and what a tool once showed."""

from __future__ import annotations

import uuid

from tests.demo.company import values
from tests.demo.company.agents import CODING, Agent
from tests.demo.company.exchange import Sender, of
from tests.demo.company.planning import Plan
from tests.demo.company.texts import SECRETS
from tests.demo.company.wire import Turn

SYSTEM = {
    "claude-code": "You are Claude Code, Anthropic's official CLI for Claude.",
    "codex-cli": "You are a coding agent running in the Codex CLI, a terminal-based coding assistant.",
    "cline": "You are Cline, a highly skilled software engineer.",
}
RUNS = {"claude-code": "x-claude-code-session-id", "codex-cli": "session_id", "opencode": "x-opencode-session"}
"""Agents that say which run a request belongs to, and the header that they say it in."""
TASKS = (
    "The tour planner puts a clinic into two tours when a depot is closed. Find out why, and add a test.",
    "Make the export of appointments stop with a clear message when the folder is missing.",
    "Rename the module that decides on reminders, and everything that speaks of it.",
    "The nightly job takes an hour since last week. Measure where the time goes before you change anything.",
)
STEPS = ("look at the planner", "run the tests", "read the notes on releases", "search for the name", "run them again")
CODE = (
    "def nearest(depots, place):\n    best = None\n    for depot in depots:\n"
    "        if best is None or depot.far(place)"
    " < best.far(place):\n            best = depot\n    return best\n"
)
SHOWN = ("12 passed, 1 failed: test_closed_depot", "3 files changed", "no such folder: exports", "found in 7 places")
POPULAR = dict(zip((a.id for a in CODING), (20, 22, 7, 14, 6, 7, 3, 2, 9, 3, 3), strict=True))
"""How many sessions out of about a hundred each agent has."""
LEAKS_IN = 5
"""One session out of so many meets a secret."""


def play(plan: Plan) -> None:
    engineers = plan.of("Engineering", "Data", "IT Operations")
    for number in range(plan.size.sessions):
        once = number < len(CODING)
        agent = CODING[number] if once else plan.rng.choices(CODING, tuple(POPULAR.values()))[0]
        person = plan.rng.choice(engineers)
        leaks = number % LEAKS_IN == 2 and bool(agent.tools)
        length = plan.rng.randrange(plan.size.turns - 2, 2 * plan.size.turns - 3)
        _session(plan, of(person), person.department, agent, f"session {number}", length, leaks=leaks)


def _session(plan: Plan, sender: Sender, department: str, agent: Agent, line: str, length: int, *, leaks: bool) -> None:
    """One conversation: the task, then calls and results, each turn with everything before it.

    Where a tool shows a secret, that turn and the two after it are stopped; then somebody begins anew.
    """
    rng = plan.rng
    turns = [Turn("user", rng.choice(TASKS))]
    classes: frozenset[str] = frozenset()
    planted: tuple[str, ...] = ()
    stopped = 0
    run = [(RUNS[agent.id], str(uuid.uuid5(uuid.NAMESPACE_URL, line)))] if agent.id in RUNS else []
    leak_at = rng.randrange(1, max(2, length - 3)) if leaks else -1
    code_at = rng.randrange(1, length)
    for n in range(length):
        if n and agent.tools:
            shown = rng.choice(SHOWN)
            if n == leak_at:
                planted = (values.cloud_key(rng), values.cloud_secret(rng))
                shown = f"[default]\naws_access_key_id = {planted[0]}\naws_secret_access_key = {planted[1]}\n"
                classes |= {"secret.cloud-key"}
            elif n == code_at:
                shown = CODE
                classes |= {"source_code.python"}
            turns += [Turn("call", rng.choice(STEPS), rng.choice(agent.tools).name), Turn("result", shown)]
        elif n:
            turns += [
                Turn("model", "I have changed the planner; run the tests, please."),
                Turn("user", rng.choice(SHOWN)),
            ]
        last = n == length - 1
        plan.ask(
            sender,
            agent.product,
            turns,
            model=agent.model,
            line=line,
            system=SYSTEM.get(agent.id, "You help with code."),
            key=plan.team_key(department, agent.product),
            tools=agent.tools,
            headers=(*agent.headers.items(), *run),
            calls=() if last or not agent.tools else (rng.choice(agent.tools).name,),
            client=agent.client,
            agent=agent.id,
            classes=classes,
            values=planted,
            rule=SECRETS if planted else "",
        )
        if planted:
            stopped += 1
            if stopped == 3:
                turns, classes, planted, leak_at = turns[:1], frozenset(), (), -1
