"""The request around the body: credentials in their places, texts everywhere else, agent and session."""

from __future__ import annotations

import pytest
from wire_samples import understand

from sluice.model import Client, Exchange, PartKind, Prompt, Provenance, Role

SIGNED = (
    "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261101/us-east-1/bedrock/aws4_request, "
    "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date, Signature=" + "0a" * 32
)


def prompt(*headers: tuple[str, str], path: str = "/v1/models", query: str = "") -> Prompt:
    sent = Exchange("id", 0, Client("::1"), "GET", "https", "h", 443, path, query, "HTTP/1.1", headers, (), b"")
    return understand(sent, "openai")


@pytest.mark.parametrize(
    ("headers", "query", "location", "value"),
    [
        ((("Authorization", "Bearer sk-a1"),), "", "header:authorization:bearer", "sk-a1"),
        ((("authorization", "Bearer tid=a;exp=1;sku=b"),), "", "header:authorization:bearer", "tid=a;exp=1;sku=b"),
        ((("Authorization", "Basic dTpw"),), "", "header:authorization:basic", "dTpw"),
        ((("Authorization", "sk-bare"),), "", "header:authorization", "sk-bare"),
        ((("X-Api-Key", "sk-a1"),), "", "header:x-api-key", "sk-a1"),
        ((("api-key", "a1"),), "", "header:api-key", "a1"),
        ((("x-goog-api-key", "AIza1"),), "", "header:x-goog-api-key", "AIza1"),
        ((("Ocp-Apim-Subscription-Key", "a1"),), "", "header:ocp-apim-subscription-key", "a1"),
        (
            (("Authorization", SIGNED),),
            "",
            "sigv4:authorization",
            "AKIAIOSFODNN7EXAMPLE",
        ),
        ((), "key=AIza1", "query:key", "AIza1"),
        ((), "a=1&access_token=ey.J", "query:access_token", "ey.J"),
        ((), "accessToken=t%2Bk", "query:accessToken", "t+k"),
        ((("Cookie", "a=1; sessionKey=sk-1; b=2"),), "", "cookie:sessionKey", "sk-1"),
        ((("Cookie", "__Secure-next-auth.session-token.0=e"),), "", "cookie:__Secure-next-auth.session-token.0", "e"),
        (
            (("Sec-WebSocket-Protocol", "realtime, openai-insecure-api-key.sk-1"),),
            "",
            "header:sec-websocket-protocol",
            "sk-1",
        ),
    ],
)
def test_credentials(headers: tuple[tuple[str, str], ...], query: str, location: str, value: str) -> None:
    """Each place of a credential gives its location and value, and no part holds the value."""
    found = prompt(*headers, query=query)
    assert [(c.location, c.value) for c in found.credentials] == [(location, value)]
    assert not [p for p in found.parts if value in p.text and len(value) > 2]


def test_the_key_of_the_request_comes_first() -> None:
    """Header before query before cookie before body: the gate takes the first as the key of the request."""
    found = prompt(("Cookie", "sso=c1"), ("X-Api-Key", "h1"), query="key=q1")
    assert [c.location for c in found.credentials] == ["header:x-api-key", "query:key", "cookie:sso"]


def test_protocol_headers_are_no_parts() -> None:
    """Headers that hold nothing but what the protocol fixes make no work; the same headers with text in them do."""
    fixed = (
        ("Host", "api.openai.com"),
        ("Content-Length", "120"),
        ("Connection", "keep-alive"),
        ("Accept", "application/json, text/event-stream"),
        ("Accept-Encoding", "gzip, deflate, br;q=0.8"),
        ("Content-Type", "application/json; charset=utf-8"),
    )
    assert prompt(*fixed).parts == ()
    texts = {p.pointer for p in prompt(("Accept-Encoding", "gzip, a secret"), ("Content-Length", "twelve")).parts}
    assert texts == {"header:accept-encoding", "header:content-length"}


def test_parts_of_the_envelope() -> None:
    """Texts of header, cookie, query and path have their own roles, pointers and the provenance `request`."""
    found = prompt(
        ("Referer", "https://example.org/a"),
        ("Cookie", "theme=dark%20red"),
        path="/v1/models/my model",
        query="a=b%20c",
    )
    assert [(p.pointer, p.role, p.kind, p.provenance, p.text) for p in found.parts] == [
        ("header:referer", Role.HEADER, PartKind.TEXT, Provenance.REQUEST, "https://example.org/a"),
        ("query:a", Role.URL_QUERY, PartKind.URL, Provenance.REQUEST, "a=b c"),
        ("cookie:theme", Role.HEADER, PartKind.TEXT, Provenance.REQUEST, "theme=dark red"),
        ("path", Role.URL_QUERY, PartKind.URL, Provenance.REQUEST, "/v1/models/my model"),
    ]


def test_empty_body_is_a_read() -> None:
    """A request without a body is an empty prompt, whatever its path says."""
    found = prompt(path="/v1/chat/completions")
    assert (found.operation, found.dialect, found.model, found.stream) == ("read", "opaque", None, False)


@pytest.mark.parametrize(
    ("headers", "agent"),
    [
        ({"user-agent": "AsyncOpenAI/Python 3.54.0"}, "openai-python"),
        ({"user-agent": "AzureOpenAI/Python 3.54.0"}, "openai-python"),
        ({"user-agent": "OpenAI/JS 6.49.0"}, "openai-node"),
        ({"user-agent": "Anthropic/JS 1.12.0"}, "anthropic-node"),
        ({"user-agent": "claude-cli/2.1.197 (external, cli)"}, "claude-code"),
        ({"user-agent": "codex-mcp-client/0.169.0"}, "codex-cli"),
        ({"user-agent": "x", "originator": "codex_vscode"}, "codex-cli"),
        ({"user-agent": "GeminiCLI/0.61.0/gemini-3-pro (linux; x64)"}, "gemini-cli"),
        ({"user-agent": "google-genai-sdk/3.4.0 gl-python/3.12"}, "google-genai-python"),
        ({"x-goog-api-client": "google-genai-sdk/2.32.0 gl-node/v22"}, "google-genai-node"),
        ({"user-agent": "OpenAI/JS 6.49.0", "x-title": "Roo Code"}, "roo-code"),
        ({"user-agent": "litellm/1.109.1", "http-referer": "https://aider.chat/"}, "aider"),
        ({"user-agent": "ai/6.0.326 ai-sdk/provider-utils/4 runtime/node.js/22"}, "vercel-ai-sdk"),
        ({"user-agent": "opencode/1.0 ai-sdk/provider-utils/4"}, "opencode"),
        ({"user-agent": "Mozilla/5.0 (X11)"}, "browser"),
        ({"origin": "https://app.example.org"}, "browser"),
        ({"user-agent": "curl/8.5.0"}, "curl"),
        ({"user-agent": "something of my own"}, None),
        ({}, None),
    ],
)
def test_agents(headers: dict[str, str], agent: str | None) -> None:
    """Clients are named from a closed list, by the markers they set; free text never becomes a name."""
    assert prompt(*headers.items()).agent == agent


def test_session_of_headers() -> None:
    """Agents that name their session in a header are believed before anything in the body."""
    assert prompt(("X-Claude-Code-Session-Id", "s1")).session == "s1"
    assert prompt(("session-id", "s2"), ("mcp-session-id", "s3")).session == "s2"


@pytest.mark.parametrize(
    "value",
    [
        "AWS4-HMAC-SHA256 Credential=AAAABBBBCCCCDDDD/ my card is 4111 1111 1111 1111",
        SIGNED + " and 4111 1111 1111 1111",
        SIGNED.replace("bedrock", "4111 1111 1111 1111"),
        SIGNED.replace("content-type;", "4111-1111-1111-1111;"),
        SIGNED.replace("0a" * 32, "4111 1111 1111 1111"),
    ],
)
def test_what_only_begins_like_a_signature_is_scanned(value: str) -> None:
    """A SigV4 header is a credential when it is one from end to end, and text when it is not."""
    found = prompt(("Authorization", value))
    assert any("4111" in p.text for p in found.parts)


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ((("Authorization", "Bearer first"), ("authorization", "Basic second")), ""),
        ((("Authorization", SIGNED), ("Authorization", "Bearer second")), ""),
        ((("X-Api-Key", "first"), ("x-api-key", "second")), ""),
        ((("X-CSRF-Token", "first"), ("X-CSRF-Token", "second")), ""),
        ((), "key=first&KEY=second"),
        ((), "sig=first&sig=second"),
        ((("Cookie", "session=first; session=second"),), ""),
        ((("Cookie", "session=first"), ("Cookie", "session=second")), ""),
        ((("Sec-WebSocket-Protocol", "openai-insecure-api-key.first, openai-insecure-api-key.second"),), ""),
    ],
)
def test_only_the_first_of_a_name_is_a_credential(headers: tuple[tuple[str, str], ...], query: str) -> None:
    """A name that comes twice has one credential; what the second holds is text and is scanned."""
    found = prompt(*headers, query=query)
    assert len(found.credentials) == 1
    assert "second" not in found.credentials[0].value
    assert any("second" in p.text for p in found.parts)


@pytest.mark.parametrize("name", ["AKIAIOSFODNN7EXAMPLE", "X-Note-AKIAIOSFODNN7EXAMPLE", "X-Amz-AKIAIOSFODNNEXAMPLEA"])
def test_header_names_are_scanned_in_their_case(name: str) -> None:
    """HTTP/1.1 forwards a name as it was written, so a key in it is seen as it was written."""
    assert name in [p.text for p in prompt((name, "1")).parts]
