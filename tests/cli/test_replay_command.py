"""`sluice replay`: recorded requests against a policy, nothing sent."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.rig.command import run

pytestmark = pytest.mark.usefixtures("elsewhere")

CARD = "5425233430109903"
OPENAI = "https://api.openai.com/v1/chat/completions"


def chat(text: str) -> str:
    return json.dumps({"model": "gpt-5", "messages": [{"role": "user", "content": text}]})


def har(*requests: dict[str, object]) -> bytes:
    return json.dumps({"log": {"entries": [{"request": request} for request in requests]}}).encode()


def posted(url: str, text: str, **more: object) -> dict[str, object]:
    headers = [{"name": "content-type", "value": "application/json"}]
    return {"method": "POST", "url": url, "headers": headers, "postData": {"text": chat(text)}} | more


def tnet(value: object) -> bytes:
    """A tnetstring as mitmproxy writes it."""
    match value:
        case dict():
            body, kind = b"".join(tnet(k) + tnet(v) for k, v in value.items()), b"}"
        case list():
            body, kind = b"".join(map(tnet, value)), b"]"
        case int():
            body, kind = str(value).encode(), b"#"
        case bytes():
            body, kind = value, b","
        case _:
            body, kind = str(value).encode(), b";"
    return b"%d:" % len(body) + body + kind


def test_each_kind_of_file_is_told_by_what_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    """A HAR file (compressed), a flow file and a request file: each request with decision, rule, reason and classes."""
    Path("a.har.gz").write_bytes(
        gzip.compress(har(posted(OPENAI, f"card {CARD}"), posted("https://example.org/x", "hi")))
    )
    request = {
        "method": b"POST", "scheme": b"https", "host": "api.openai.com", "port": 443, "path": b"/v1/chat/completions",
        "headers": [[b"content-type", b"application/json"]], "content": chat("hello").encode(),
    }  # fmt: skip
    Path("b").write_bytes(tnet({"type": "http", "request": request}))
    Path("c.json").write_text(json.dumps({"host": "api.openai.com", "path": "/v1/chat/completions", "body": {}}))
    assert run("replay", "--json", "a.har.gz", "b", "c.json") == 1
    told = json.loads(capsys.readouterr().out)
    assert [(r["request"], r["decision"]) for r in told["requests"]] == [
        ("a.har.gz!0", "block"),
        ("a.har.gz!1", "tunnel"),
        ("b!0", "allow"),
        ("c.json", "allow"),
    ]
    blocked = told["requests"][0]
    assert (blocked["rule"], blocked["classes"], blocked["model"]) == ("payment-cards", ["financial.card"], "gpt-5")
    assert told["totals"] == {"allow": 2, "block": 1, "tunnel": 1}
    assert CARD not in json.dumps(told)


def test_a_candidate_in_the_place_of_the_policy(capsys: pytest.CaptureFixture[str]) -> None:
    """--policy decides instead of the policy in force; --only-stopped hides what passes; all pass: exit code 0."""
    Path("open.toml").write_text('id = "open"\nversion = "1"\n')
    Path("a.har").write_bytes(har(posted(OPENAI, f"card {CARD}")))
    assert run("replay", "--policy", "open.toml", "--only-stopped", "--json", "a.har") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["policy"], told["requests"], told["totals"]) == ("open 1", [], {"allow": 1})


def test_what_cannot_be_read_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged file and a request without a host: one line each, exit code 2, and the rest is decided all the same."""
    Path("a.har").write_bytes(har({"method": "GET", "url": "nonsense"}, posted(OPENAI, "hello")))
    Path("b.json").write_text("[]")
    assert run("replay", "a.har", "b.json") == 2
    shown = capsys.readouterr()
    assert "sluice: a.har!0: entry without a readable request" in shown.err
    assert "sluice: b.json: not a request file" in shown.err
    assert "openai" in shown.out


def test_a_websocket_is_refused_as_the_gate_refuses_it(capsys: pytest.CaptureFixture[str]) -> None:
    """An upgrade to an AI service is what the proxy answers 426: replay says `refuse`, and why."""
    upgrade = posted(OPENAI, "hello", headers=[{"name": "Upgrade", "value": "websocket"}])
    Path("a.har").write_bytes(har(upgrade))
    assert run("replay", "--json", "a.har") == 1
    (told,) = json.loads(capsys.readouterr().out)["requests"]
    assert (told["decision"], told["reason"]) == ("refuse", "WEBSOCKET")
