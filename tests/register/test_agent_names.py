"""One name of an agent: the gate's policy, a simulation over records and the inventory's SQL call it the same."""

from __future__ import annotations

from collections.abc import Iterator
from copy import replace
from pathlib import Path

import pytest

from sluice import config, keys, recording, rulebook
from sluice.cli.policy import _candidate
from sluice.config import Settings
from sluice.detect.evidence import Fingerprinter
from sluice.errors import Misconfigured
from sluice.explain import exchange_of
from sluice.gate import inspect
from sluice.identity import Resolver
from sluice.model import Action, Record, Rulebook
from sluice.register import agents
from sluice.simulate import simulate

AT = 1_795_000_000_000_000_000
KEY = "sk-proj-" + "Ab3dEf6hIj9" * 5
REGISTER = """
[[agent]]
id       = "release-bot"
subjects = ["service:release"]
[[agent]]
id   = "invoice-bot"
keys = ["{key}"]
"""
POLICY = """
id      = "names"
version = "1"
[failure]
partial_inspection = "allow"
[[rule]]
id     = "named"
when   = {{ agent = "{agent}", tool = "bash" }}
action = "block"
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Path]]:
    """A site with two agents in its register, one by its subject and one by its key."""
    directory = tmp_path_factory.mktemp("site")
    (directory / "registers").mkdir()
    paths = config.Paths(var=directory / "var", registers=directory / "registers", policy=directory / "policy.toml")
    identity = config.Identity(trusted_proxies=("192.0.2.1/32",))
    settings = replace(Settings(), paths=paths, identity=identity)
    (directory / "policy.toml").write_text('id = "plain"\nversion = "1"\n')
    _, first = asked(settings, rulebook.load(settings), {"authorization": f"Bearer {KEY}"})
    (directory / "registers" / "agents.toml").write_text(REGISTER.format(key=first.key_fp))
    yield settings, directory


def rules(site: tuple[Settings, Path], agent: str) -> Rulebook:
    settings, directory = site
    (directory / "policy.toml").write_text(POLICY.format(agent=agent))
    return rulebook.load(settings)


def asked(settings: Settings, book: Rulebook, headers: dict[str, str]) -> tuple[Action, Record]:
    """What becomes of a request that offers a shell, and its record."""
    tool = {"type": "function", "function": {"name": "bash", "parameters": {"type": "object"}}}
    body = {"model": "gpt-5", "messages": [{"role": "user", "content": "hello"}], "tools": [tool]}
    request = {"host": "api.openai.com", "path": "/v1/chat/completions", "body": body, "headers": headers}
    exchange = exchange_of(request, at=AT)
    seen = inspect(exchange, book, settings.limits, Resolver.load(settings))
    return seen.decision.action, recording.decision_record(exchange, seen, book, settings.evidence)


CLIENT = {"user-agent": "OpenAI/Python 3.54.0"}


@pytest.mark.timeout(120)
def test_a_rule_may_call_an_agent_as_the_inventory_does(site: tuple[Settings, Path]) -> None:
    """By the register's name for its key, by client and pseudonym where nobody declared it, and by the client's name;
    a simulation over the record finds what the gate decides."""
    settings, directory = site
    book = rules(site, "nobody-at-all")
    with_key = CLIENT | {"authorization": f"Bearer {KEY}"}
    _, unnamed = asked(settings, book, CLIENT)
    undeclared = agents.undeclared(unnamed.agent_id, unnamed.subject_id)
    assert undeclared.startswith("openai-python of ")
    cases = (("invoice-bot", with_key, True), ("invoice-bot", CLIENT, False), ("release-bot", with_key, False),
             (undeclared, CLIENT, True), (undeclared, with_key, True), ("openai-python", with_key, True))  # fmt: skip
    for agent, headers, blocked in cases:
        _, recorded = asked(settings, book, headers)
        action, _ = asked(settings, rules(site, agent), headers)
        assert (action is Action.BLOCK) is blocked, (agent, headers)
        candidate, known = _candidate(settings, directory / "policy.toml")
        assert simulate([recorded], candidate, known).changed == int(blocked), agent


def test_an_agent_is_known_by_its_subject(site: tuple[Settings, Path]) -> None:
    """As the gate names the subject, and by its pseudonym in records, under every version of the key; a key outranks
    it."""
    settings, _ = site
    rules(site, "x")
    known = agents.load(settings)
    secrets = keys.secrets_by_name(settings)
    printed = [
        Fingerprinter(secret, name).fingerprint("subject", "service:release") for name, secret in secrets.items()
    ]
    assert known.names(None, "service:release", None)[0] == "release-bot"
    assert known.names(None, "service:other", None) != known.names(None, "service:release", None)
    assert [known.recorded(None, one, None)[0] for one in printed] == ["release-bot"] * len(printed)
    (key,) = known._by_key
    assert known.names(None, "service:release", key)[0] == "invoice-bot"


def test_registers_are_read_for_a_policy_that_asks_for_an_agent_alone(site: tuple[Settings, Path]) -> None:
    """Without such a rule the gate knows no register, and one that cannot be read stops nothing; with it, it does."""
    settings, directory = site
    bad = directory / "registers" / "bad.toml"
    bad.write_text('[[agent]]\nname = "without an id"\n')
    try:
        with pytest.raises(Misconfigured, match=r"bad\.toml"):
            rules(site, "release-bot")
        (directory / "policy.toml").write_text('id = "plain"\nversion = "1"\n')
        assert rulebook.load(settings).agents is None
    finally:
        bad.unlink()
