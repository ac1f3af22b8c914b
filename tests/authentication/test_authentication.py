"""A key in its proper place passes; the place hides nothing else. Real detectors, shipped policy, real parsing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sluice import config, rulebook
from sluice.explain import explain
from sluice.model import Rulebook
from tests.clients.planted import aws_access_key, card_number, github_token, ssn

BODY = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> config.Settings:
    return config.load(environ={"SLUICE_PATHS__VAR": str(tmp_path_factory.mktemp("var"))})


@pytest.fixture(scope="module")
def rules(settings: config.Settings) -> Rulebook:
    return rulebook.load(settings)


def decide(settings: config.Settings, rules: Rulebook, host: str, headers: dict[str, object], query: str = "") -> str:
    request: dict[str, object] = {
        "method": "POST",
        "host": host,
        "path": "/v1/chat/completions" + query,
        "headers": {"content-type": "application/json", **headers},
        "body": BODY,
    }
    decision = explain(request, settings, rules)["decision"]
    assert isinstance(decision, dict)
    return str(decision["action"])


def own_keys() -> list[tuple[str, dict[str, object]]]:
    """Hosts with the keys that belong there; nothing in them is real."""
    return [
        ("api.openai.com", {"authorization": "Bearer sk-proj-" + "aB3" * 40}),
        ("api.anthropic.com", {"x-api-key": "sk-ant-api03-" + "aB3_" * 23 + "AA"}),
        ("generativelanguage.googleapis.com", {"x-goog-api-key": "AIza" + "aB3-_" * 7}),
        ("api.githubcopilot.com", {"authorization": "Bearer " + github_token()}),
        ("openrouter.ai", {"authorization": "Bearer sk-or-v1-" + "0af9" * 16}),
        ("api.groq.com", {"authorization": "Bearer gsk_" + "aB3x" * 13}),
        ("api.openai.com", {"authorization": "Bearer gsk_" + "aB3x" * 13}),
    ]


@pytest.mark.parametrize(("host", "headers"), own_keys(), ids=[f"{h}-{next(iter(k))}" for h, k in own_keys()])
def test_a_key_in_its_place_is_no_leak(
    settings: config.Settings, rules: Rulebook, host: str, headers: dict[str, object]
) -> None:
    """Requests that authenticate as they should are not blocked for it; gateways take each other's AI keys."""
    assert decide(settings, rules, host, headers) == "allow"


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {github_token()}"},
        {"x-api-key": aws_access_key()},
        {"x-api-key": f"card:{card_number()}"},
        {"x-api-key": f"ssn:{ssn()}"},
        {"authorization": ["Bearer sk-x", f"Bearer {github_token()}"]},
        {"cookie": f"session=card:{card_number()}"},
    ],
    ids=["github token", "aws key", "card", "ssn", "second header", "cookie"],
)
def test_the_place_hides_nothing(settings: config.Settings, rules: Rulebook, headers: dict[str, object]) -> None:
    """Cards, identity numbers and keys that authenticate nothing here are blocked in a credential header too."""
    assert decide(settings, rules, "api.openai.com", headers) == "block"


def test_the_place_hides_nothing_in_the_query(settings: config.Settings, rules: Rulebook) -> None:
    """The same holds for keys in the query string."""
    assert decide(settings, rules, "api.openai.com", {}, f"?key=card:{card_number()}") == "block"


def test_samples_of_real_clients_are_not_blocked_for_their_keys(settings: config.Settings, rules: Rulebook) -> None:
    """No wire sample has a finding in a credential position: a false block there would stop a whole service."""
    for file in sorted(Path("tests/wire/samples").glob("*.request.json")):
        request = json.loads(file.read_text("utf-8"))
        if "ws_messages" in request:
            continue
        findings = explain(request, settings, rules)["findings"]
        assert isinstance(findings, list)
        assert not [f for f in findings if str(f["pointer"]).startswith("credential:")], file.name
