"""Coding agents through the running appliance: each completes a prompt, and each is refused one with our message.

They are the clients that punish a wrong status: a 403 is read as a failed login by one and sent six times by another.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.agents.agents import AGENTS, CLAUDE_CODE, CODEX, GEMINI_CLI, Agent
from tests.clients import planted
from tests.clients.watch import Row, Watch, said

pytestmark = [pytest.mark.agents, pytest.mark.timeout(300)]
agents = pytest.mark.parametrize("agent", AGENTS, ids=str)

QUESTIONS = {CLAUDE_CODE.name: 2}
"""Requests that carry the prompt: Claude Code sends a second one to get a title for the session. Others send one."""


def _prompts(rows: Sequence[Row], decision: str) -> list[Row]:
    """The rows of requests to a model that were decided so."""
    return [r for r in rows if r["method"] == "POST" and r["model_requested"] and r["decision"] == decision]


def _shown(rows: Sequence[Row], output: str) -> list[Row]:
    """The rows whose decision id an agent printed."""
    return [r for r in rows if f"Decision {r['decision_id']}" in output]


@agents
def test_agent_completes_a_prompt(agent: Agent, watch: Watch, tmp_path: Path) -> None:
    """The answer of the provider is what the agent prints, and the prompt that left has a decision."""
    run = agent.run("Say hello to the upstream", tmp_path, watch.appliance.environment)
    assert run.status == 0, run.output
    assert watch.upstream.answer in run.stdout
    prompts = watch.upstream.journal.posts(agent.path)
    assert prompts
    rows = watch.decisions(agent.host, lambda rows: len(_prompts(rows, "allow")) >= len(prompts))
    assert len(_prompts(rows, "allow")) == len(prompts)


@agents
def test_agent_is_refused_with_our_message(agent: Agent, watch: Watch, tmp_path: Path) -> None:
    """A number in the prompt ends the turn at once: the agent shows our message, and no byte of it left."""
    number = planted.ssn()
    prompt = f"Explain this log line to me please: customer ssn {number} was updated by the nightly job"
    run = agent.run(prompt, tmp_path, watch.appliance.environment)
    assert run.status != 0
    rows = watch.decisions(agent.host, lambda rows: bool(_shown(_prompts(rows, "block"), run.output)))
    blocked = _prompts(rows, "block")
    assert len(blocked) <= QUESTIONS.get(agent.name, 1), "it sent the same prompt again"
    assert said(_shown(blocked, run.output)[0]["data_classes"], run.output)
    assert not [r for r in watch.upstream.journal if number.encode() in r.body]


def test_side_traffic_is_recorded_and_holds_nobody_up(watch: Watch, tmp_path: Path) -> None:
    """Telemetry to a host that is no AI service is a bypass on record; that it goes nowhere does not stop the agent."""
    run = GEMINI_CLI.run("Say hello to the upstream", tmp_path, watch.appliance.environment)
    assert run.status == 0, run.output
    row = watch.bypasses("play.googleapis.com")[0]
    assert (row["method"], row["reason_code"]) == ("CONNECT", "NOT_AI")
    assert watch.outcome(row)["upstream_error"]


def test_codex_falls_back_from_websocket(watch: Watch, tmp_path: Path) -> None:
    """Codex asks for a WebSocket first; the gate answers 426, records it, and Codex posts its prompt at once."""
    run = CODEX.run("Say hello to the upstream", tmp_path, watch.appliance.environment)
    assert run.status == 0, run.output
    rows = watch.decisions(CODEX.host, lambda rows: bool(_prompts(rows, "allow")))
    upgrade, *posts = [r for r in rows if r["path_template"] == CODEX.path]
    assert (upgrade["method"], upgrade["decision"], upgrade["reason_code"]) == ("GET", "refuse", "WEBSOCKET")
    assert watch.outcome(upgrade)["client_status"] == 426
    assert [(r["method"], r["decision"]) for r in posts] == [("POST", "allow")]
    assert not [r for r in watch.upstream.journal if r.header("upgrade")]
