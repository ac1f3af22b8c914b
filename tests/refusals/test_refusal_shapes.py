"""Each client gets the error shape that it shows and does not send again, and nothing of its own request back."""

from __future__ import annotations

import json
from copy import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice import refusals
from sluice.errors import Cause, Reason
from sluice.model import Action, Answer, Client, Decision, Exchange, Mode, Refusal, Status, Target

ID = "01936f2e-0000-7000-8000-00000000abcd"
MARK = "cAnArY7f3e"
BLOCK = Decision(
    action=Action.BLOCK,
    reason=Reason.SECRET_FOUND,
    rule="secrets",
    message="Take the secret out.",
    classes=("secret.cloud-key", "contact.email"),
    blocked=("secret.cloud-key",),
)
REFUSE = Decision(
    action=Action.REFUSE, reason=Reason.SCAN_TIMEOUT, rule="failure.scan_timeout", cause=Cause.SCAN_TIMEOUT
)
TEXT = (
    "Sluice blocked this request: it contains a cloud access key. Nothing was sent. "
    f"Take the secret out. Decision {ID}."
)

REPEATED = frozenset({401, 403, 404, 407, 408, 409, 413, 425, 429, 451, *range(500, 600)})
"""Statuses that some shipped client sends again, or that hide the message from its user (measured November 2026)."""


def target(provider: str, dialect: str = "opaque", product: str = "") -> Target:
    return Target(
        row=provider,
        provider=provider,
        product=product or provider,
        kind="api",
        dialect=dialect,
        status=Status.UNREVIEWED,
        mode=Mode.ENFORCE,
        host="ai.example",
    )


def exchange(headers: dict[str, str] | None = None, body: bytes = b"{}", **changes: Any) -> Exchange:
    """A POST with a canary in every place that a client can fill."""
    given_headers = {"content-type": "application/json", "user-agent": MARK, "x-mark": MARK, **(headers or {})}
    plain = Exchange(
        id=ID,
        at=0,
        client=Client(MARK),
        method="POST",
        scheme="https",
        host=f"{MARK}.example",
        port=443,
        path=f"/v1/{MARK}",
        query=f"key={MARK}",
        headers=tuple(given_headers.items()),
        body=body,
        connect_host=MARK,
        sni=MARK,
        host_header=MARK,
    )
    return replace(plain, **changes)


def refused(to: Target | None, decision: Decision = BLOCK) -> Refusal:
    return Refusal(exchange_id=ID, decision=decision, target=to, receipt=None)


def header(answer: Answer, name: str) -> str | None:
    return next((v for k, v in answer.headers if k.lower() == name), None)


OPENAI = {"error": {"message": TEXT, "type": "invalid_request_error", "param": None, "code": "invalid_prompt"}}
ANTHROPIC = {
    "type": "error",
    "error": {"type": "invalid_request_error", "message": TEXT},
    "request_id": f"req_{ID}",
}
GOOGLE = {"error": {"code": 400, "message": TEXT, "status": "INVALID_ARGUMENT", "details": []}}
AWS = {"__type": "AccessDeniedException", "message": TEXT}


@pytest.mark.parametrize(
    ("to", "headers", "body", "code"),
    [
        (target("openai", "openai"), {}, OPENAI, "invalid_prompt"),
        (target("openai", "openai"), {"accept": "text/event-stream"}, OPENAI, "invalid_prompt"),
        (target("groq", "openai"), {}, OPENAI, "invalid_prompt"),
        (target("azure-openai", "openai"), {}, OPENAI, "invalid_prompt"),
        (target("openrouter", "openai"), {}, OPENAI, "invalid_prompt"),
        (target("huggingface", "openai"), {}, OPENAI, "invalid_prompt"),
        (target("github-copilot", "openai"), {}, OPENAI, "invalid_prompt"),
        (target("anthropic", "anthropic"), {}, ANTHROPIC, "invalid_request_error"),
        (target("deepseek", "anthropic"), {}, ANTHROPIC, "invalid_request_error"),
        (target("openrouter", "openai"), {"anthropic-version": "2023-06-01"}, ANTHROPIC, "invalid_request_error"),
        (target("anthropic"), {}, ANTHROPIC, "invalid_request_error"),
        (target("google", "google"), {}, GOOGLE, "INVALID_ARGUMENT"),
        (target("google"), {}, GOOGLE, "INVALID_ARGUMENT"),
        (target("house"), {"x-goog-api-key": "k"}, GOOGLE, "INVALID_ARGUMENT"),
        (target("aws"), {}, AWS, "AccessDeniedException"),
        (target("amazon-q"), {}, AWS, "AccessDeniedException"),
        (target("house"), {"authorization": "AWS4-HMAC-SHA256 Credential=x"}, AWS, "AccessDeniedException"),
        (target("aws", "openai"), {"authorization": "AWS4-HMAC-SHA256 Credential=x"}, OPENAI, "invalid_prompt"),
        (target("cohere"), {}, {"message": TEXT}, "blocked_by_policy"),
        (target("jetbrains-ai"), {}, {"message": TEXT}, "blocked_by_policy"),
        (
            target("mistral", "openai"),
            {},
            {"object": "error", "message": TEXT, "type": "invalid_request_error", "code": "blocked_by_policy"},
            "blocked_by_policy",
        ),
        (
            target("openrouter", "openai"),
            {"user-agent": "speakeasy-sdk/python 1 2 3 openrouter"},
            {"error": {"code": 400, "message": TEXT, "metadata": {}}},
            "400",
        ),
        (target("huggingface", "openai"), {"user-agent": "x; hf_hub/2"}, {"error": TEXT}, "blocked_by_policy"),
        (target("replicate"), {}, {"title": "Blocked", "detail": TEXT, "status": 400}, "blocked_by_policy"),
        (target("ollama"), {}, {"error": TEXT}, "blocked_by_policy"),
        (target("openai", product="chatgpt"), {}, {"detail": TEXT}, "blocked_by_policy"),
        (target("house"), {}, {**OPENAI, "message": TEXT, "detail": TEXT}, "invalid_prompt"),
        (None, {}, {**OPENAI, "message": TEXT, "detail": TEXT}, "invalid_prompt"),
    ],
)
def test_json_shapes(to: Target | None, headers: dict[str, str], body: object, code: str) -> None:
    """The body is the provider's own error object with our text where its clients show it, under status 400."""
    answer = refusals.answer(refused(to), exchange(headers))
    assert json.loads(answer.body) == body
    assert (answer.status, answer.error_code) == (400, code)
    assert header(answer, "content-type") == "application/json"
    assert header(answer, "content-length") == str(len(answer.body))
    assert header(answer, "x-should-retry") == "false"
    assert header(answer, "cache-control") == "no-store"
    assert header(answer, "x-sluice-decision") == ID
    assert header(answer, "x-sluice-reason") == "SECRET_FOUND"
    assert header(answer, "www-authenticate") is None
    assert header(answer, "retry-after") is None


def test_headers_that_a_client_reads() -> None:
    """boto3 reads the exception from a header, huggingface_hub the text, SDKs the id of the request."""
    aws = refusals.answer(refused(target("aws")), exchange())
    assert header(aws, "x-amzn-errortype") == "AccessDeniedException"
    message = replace(BLOCK, message="Bitte \u00e4ndern \u2603.")
    hub = refusals.answer(refused(target("huggingface"), message), exchange({"user-agent": "hf_hub/2"}))
    said = header(hub, "x-error-message")
    assert said is not None
    assert said.isascii()
    assert "Bitte andern ?." in said
    assert header(refusals.answer(refused(target("openai", "openai")), exchange()), "x-request-id") == ID
    assert header(refusals.answer(refused(target("anthropic")), exchange()), "request-id") == f"req_{ID}"


@pytest.mark.parametrize("headers", [{"editor-version": "vscode/1"}, {"user-agent": "GitHubCopilotChat/0.40"}])
def test_copilot_in_an_editor(headers: dict[str, str]) -> None:
    """The editor shows the text of a 422 and forgets its token at a 403; it wants GitHub's request id."""
    answer = refusals.answer(refused(target("github-copilot", "openai")), exchange(headers))
    assert (answer.status, answer.body.decode()) == (422, TEXT)
    assert header(answer, "x-github-request-id") == ID


def test_grpc_is_answered_in_headers_alone() -> None:
    """gRPC reads its status from headers: 7 is final, the message is percent-encoded, there is no body."""
    asked = exchange({"content-type": "application/grpc+proto"})
    answer = refusals.answer(refused(target("xai"), replace(BLOCK, message="100% \u00fc")), asked)
    assert (answer.status, answer.body) == (200, b"")
    assert header(answer, "content-type") == "application/grpc"
    assert header(answer, "grpc-status") == "7"
    assert "100%25 %C3%BC" in (header(answer, "grpc-message") or "")


def test_connect_stream_is_one_envelope() -> None:
    """A Connect stream ends with an envelope of flag 2 that holds the error."""
    answer = refusals.answer(refused(target("cursor")), exchange({"content-type": "application/connect+proto"}))
    assert (answer.status, header(answer, "content-type")) == (200, "application/connect+proto")
    assert answer.body[0] == 2
    assert int.from_bytes(answer.body[1:5]) == len(answer.body) - 5
    assert json.loads(answer.body[5:]) == {"error": {"code": "permission_denied", "message": TEXT}}


@pytest.mark.parametrize("headers", [{"content-type": "application/proto"}, {"connect-protocol-version": "1"}])
def test_connect_unary_is_json(headers: dict[str, str]) -> None:
    """A Connect unary call reads code and message from JSON."""
    answer = refusals.answer(refused(target("cursor")), exchange(headers))
    assert json.loads(answer.body) == {"code": "permission_denied", "message": TEXT}


UUID = "0b0a6f7e-1234-4321-9999-abcdefabcdef"


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (1, 1),
        (0, 0),
        (UUID, UUID),
        (None, None),
        (MARK, None),
        (4111111111111111, None),
        (True, None),
        (1.5, None),
        ([1], None),
        ({"a": MARK}, None),
    ],
)
def test_json_rpc_is_answered_in_kind(sent: object, answered: object) -> None:
    """An MCP client reads only JSON-RPC; the id comes back when it is a small number or a UUID, and is null else."""
    call = {"method": "tools/call", "params": {"text": MARK}, "jsonrpc": "2.0", "id": sent}
    answer = refusals.answer(refused(target("notion")), exchange(body=json.dumps(call).encode()))
    assert answer.status == 400
    assert json.loads(answer.body) == {"jsonrpc": "2.0", "id": answered, "error": {"code": -32001, "message": TEXT}}


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages":[{"role":"user","content":"\\"jsonrpc\\": \\"2.0\\""}]}',
        b'{"messages":[{"jsonrpc":"2.0"}]}',
        b'{"jsonrpc":"1.0","id":1}',
        b'{"jsonrpc":2,"id":1}',
        b'["jsonrpc"]',
        b'{"jsonrpc":"2.0"',
        b'"jsonrpc"' + b"[" * 100_000,
    ],
)
def test_what_only_mentions_json_rpc_is_not(body: bytes) -> None:
    """A chat about JSON-RPC is a chat."""
    answer = refusals.answer(refused(target("openai", "openai")), exchange(body=body))
    assert json.loads(answer.body) == OPENAI


def test_a_browser_sees_a_page() -> None:
    """A navigation gets a page of its own: no script, nothing fetched, every text escaped."""
    decision = replace(BLOCK, message='<script>alert(1)</script> & "you"')
    asked = exchange({"accept": "text/html,*/*", "sec-fetch-mode": "navigate"}, method="GET")
    answer = refusals.answer(refused(target("openai"), decision), asked)
    page = answer.body.decode()
    assert (answer.status, header(answer, "content-type")) == (400, "text/html; charset=utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;you&quot;" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert ID in page
    policy = header(answer, "content-security-policy") or ""
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert 'lang="en"' in page
    assert "prefers-color-scheme:dark" in page


@pytest.mark.parametrize(
    ("headers", "method", "page"),
    [
        ({"accept": "text/html"}, "GET", True),
        ({"accept": "text/html", "sec-fetch-mode": "navigate"}, "POST", True),
        ({"accept": "text/html"}, "POST", False),
        ({"accept": "text/html", "sec-fetch-mode": "cors"}, "GET", False),
        ({"accept": "*/*"}, "GET", False),
        ({"accept": "application/json"}, "GET", False),
    ],
)
def test_only_a_navigation_gets_the_page(headers: dict[str, str], method: str, page: bool) -> None:
    """A script that fetches gets JSON, a person who follows a link gets the page."""
    answer = refusals.answer(refused(target("openai", "openai")), exchange(headers, method=method))
    assert (header(answer, "content-type") or "").startswith("text/html") is page


def test_a_head_has_no_body() -> None:
    """The answer to HEAD has no body and says so."""
    answer = refusals.answer(refused(target("anthropic", "anthropic")), exchange(method="HEAD"))
    assert (answer.body, header(answer, "content-length")) == (b"", "0")


@pytest.mark.parametrize("decision", [BLOCK, REFUSE, replace(REFUSE, reason=Reason.WEBSOCKET, cause=Cause.WEBSOCKET)])
def test_a_websocket_is_sent_back_to_plain_requests(decision: Decision) -> None:
    """An upgrade is answered 426, at which Codex falls back to POST at once, and says what does work."""
    asked = exchange({"upgrade": "WebSocket", "connection": "Upgrade"}, method="GET", body=b"")
    answer = refusals.answer(refused(target("openai", "openai"), decision), asked)
    assert answer.status == 426
    assert (header(answer, "upgrade"), header(answer, "connection")) == ("HTTP/1.1", "upgrade")


def test_no_connection_header_on_http2() -> None:
    """RFC 9113 8.2.2: HTTP/2 has no Upgrade and no Connection field."""
    asked = exchange({"upgrade": "websocket"}, http_version="HTTP/2")
    answer = refusals.answer(refused(target("openai", "openai")), asked)
    assert answer.status == 400
    assert header(answer, "connection") is None


@pytest.mark.parametrize("reason", list(Reason))
def test_statuses_that_nobody_sends_again(reason: Reason) -> None:
    """Every reason gives a status that no measured client repeats, but for an upstream that failed: that is 502."""
    for decision in (replace(BLOCK, reason=reason, blocked=()), replace(REFUSE, reason=reason)):
        answer = refusals.answer(refused(target("openai", "openai"), decision), exchange())
        if reason in (Reason.UPSTREAM_TLS, Reason.UPSTREAM_UNREACHABLE):
            assert answer.status == 502
        else:
            assert answer.status not in REPEATED
            assert header(answer, "x-should-retry") == "false"
    assert header(answer, "x-sluice-reason") == reason


def test_a_certificate_that_fails_is_final_an_outage_is_not() -> None:
    """A client may try an unreachable service again; a certificate that does not verify stays what it is."""
    unreachable, untrusted = (replace(REFUSE, reason=r) for r in (Reason.UPSTREAM_UNREACHABLE, Reason.UPSTREAM_TLS))
    openai, google = target("openai", "openai"), target("google", "google")
    assert header(refusals.answer(refused(openai, unreachable), exchange()), "x-should-retry") is None
    assert header(refusals.answer(refused(openai, untrusted), exchange()), "x-should-retry") == "false"
    assert json.loads(refusals.answer(refused(google, untrusted), exchange()).body)["error"]["code"] == 502


PROVIDERS = [
    "openai",
    "anthropic",
    "google",
    "aws",
    "cohere",
    "mistral",
    "huggingface",
    "replicate",
    "github-copilot",
    "x",
]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("dialect", ["openai", "anthropic", "google", "opaque"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"accept": f"text/html, {MARK}"},
        {"content-type": f"application/grpc+{MARK}"},
        {"content-type": f"application/connect+{MARK}"},
        {"content-type": f"application/proto; {MARK}"},
        {"upgrade": "websocket", "sec-websocket-protocol": MARK},
        {"editor-version": MARK},
        {"user-agent": f"hf_hub speakeasy {MARK}", "anthropic-version": MARK},
    ],
    ids=lambda h: "-".join(h) or "plain",
)
def test_nothing_of_the_request_comes_back(provider: str, dialect: str, headers: dict[str, str]) -> None:
    """No place that a client can fill is repeated in any answer (T60)."""
    body = json.dumps({"jsonrpc": "2.0", "id": MARK, "method": MARK, "messages": [MARK]}).encode()
    for decision in (BLOCK, REFUSE):
        for asked in (exchange(headers, body), exchange(headers, body, method="GET")):
            answer = refusals.answer(refused(target(provider, dialect), decision), asked)
            assert MARK not in repr(answer)


@given(
    headers=st.lists(st.tuples(st.text(max_size=20), st.text(max_size=40)), max_size=6),
    media=st.text(max_size=30),
    body=st.binary(max_size=60),
    method=st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", ""]),
)
def test_no_request_breaks_it(headers: list[tuple[str, str]], media: str, body: bytes, method: str) -> None:
    """Whatever the request looks like, there is an answer, and its headers are one line of visible characters each."""
    asked = exchange(body=body, method=method)
    asked = replace(asked, headers=(*asked.headers[1:], *headers, ("content-type", media)))
    answer = refusals.answer(refused(target("openai", "openai")), asked)
    assert answer.status in (200, 400, 422, 426)
    for name, value in answer.headers:
        assert name.isascii()
        assert value.isascii()
        assert value.isprintable()
