"""What must hold for any input at all: parse never raises, and no string of a JSON body is missing from the parts."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from wire_samples import understand

from sluice.config import Limits
from sluice.decode import read_text
from sluice.dialects import anthropic, google, google_interactions, openai
from sluice.dialects.words import KEYS, WORDS, listed
from sluice.errors import Opacity
from sluice.json_body import Document, parse
from sluice.model import Client, Exchange, Prompt

PATHS = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/threads/runs",
    "/v1/threads/t1/messages",
    "/v1/moderations",
    "/v1/messages",
    "/v1/messages/batches",
    "/v1/sessions/s1/events",
    "/v1beta/models/m:generateContent",
    "/v1beta/models/m:batchEmbedContents",
    "/v1beta/interactions",
    "/v1internal:generateContent",
    "/v1/projects/p/locations/l/publishers/anthropic/models/m:rawPredict",
    "/v1/projects/p/locations/l/publishers/google/models/m:predict",
    "/anything/else",
]
DIALECTS = ["openai", "anthropic", "google", "opaque", "no-such-dialect"]
FIELDS = sorted(
    listed(
        """
    text refusal image_url input_audio file file_data file_url file_id filename image_file document tool_calls
    function_call function custom arguments input content parts source data url title context output action summary
    result results outputs encrypted_content thinking name tools headers authorization server_url variables id metadata
    user_id functionCall args functionResponse response inlineData fileData fileUri mimeType executableCode code
    codeExecutionResult thought uri mime_type image bytesBase64Encoded params body request requests thread container
    search_prompt parameters authentication key role_information reasoning_details attachments images format
    functionDeclarations mcpServers streamableHttpTransport authorization_token media_type payload brand_new
    """
    )
)
TOP = sorted({*openai.BODY, *anthropic.BODY, *google.BODY, *google_interactions.BODY})
TYPES = sorted(
    listed(
        """
    text input_text output_text refusal image_url input_audio file input_file image_file image document search_result
    tool_use server_tool_use tool_result web_search_tool_result redacted_thinking thinking compaction container_upload
    message reasoning function_call function_call_output local_shell_call local_shell_call_output mcp_call
    image_generation_call item_reference user_input model_output function_result audio video base64 url content mcp
    mcp_toolset namespace function custom user.message user.tool_result tool_addition thought new
    """
    )
)
ROLES = ["user", "assistant", "system", "developer", "tool", "model", "function", "nobody"]

unique = st.integers(0, 10**12).map(lambda n: f"leaf {n} é")
odd = st.text(max_size=12) | st.sampled_from(
    ["data:", '{"a":"b\\n"}', "[1,", "{", "A" * 30, "YWJj" * 8, "user", "\ud800"]
)
strings = unique | unique | odd
scalars = strings | strings | st.integers() | st.floats() | st.none() | st.booleans()
keys = st.sampled_from(FIELDS) | st.sampled_from(FIELDS) | st.text(max_size=6)


def objects(below: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects of the protocols' own keys in any place, most of them with a type and a role."""
    pairs = st.lists(st.tuples(keys, below), max_size=5)
    kind = st.sampled_from(TYPES).map(lambda t: [("type", t)]) | st.just([])
    role = st.sampled_from(ROLES).map(lambda r: [("role", r)]) | st.just([])
    return st.tuples(kind, role, pairs).map(lambda t: Pairs([*t[0], *t[1], *t[2]]))


values = st.recursive(scalars, lambda below: st.lists(below, max_size=4) | objects(below), max_leaves=12)
bodies = st.lists(
    st.tuples(st.sampled_from(TOP), st.lists(objects(values), min_size=1, max_size=3) | values), max_size=4
).map(lambda found: Pairs(found))


class Pairs(list[tuple[str, Any]]):
    """A JSON object that may repeat a key."""


def dump(value: Any) -> str:
    """JSON text, repeated keys and half surrogates included."""
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{json.dumps(k)}:{dump(v)}" for k, v in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dump, value)) + "]"
    return json.dumps(value)


def leaves(value: Any) -> list[str]:
    """Every string of a value and every key."""
    if isinstance(value, Pairs):
        return [s for k, v in value for s in (k, *leaves(v))]
    if isinstance(value, list):
        return [s for v in value for s in leaves(v)]
    return [value] if isinstance(value, str) else []


def covered(text: str, prompt: Prompt) -> bool:
    """The text is in a part, or is a credential, or is JSON whose strings are all covered."""
    clean = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if any(clean in p.text for p in prompt.parts) or any(text == c.value for c in prompt.credentials):
        return True
    inner = parse(text, depth=64, nodes=1000)
    return isinstance(inner, Document) and all(covered(s, prompt) for s in plain_leaves(inner.value))


def plain_leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [s for v in value.values() for s in plain_leaves(v)]
    if isinstance(value, list):
        return [s for v in value for s in plain_leaves(v)]
    return [value] if isinstance(value, str) else []


def exchange(path: str, body: bytes, headers: tuple[tuple[str, str], ...] = (), query: str = "") -> Exchange:
    return Exchange("id", 0, Client("::1"), "POST", "https", "h", 443, path, query, "HTTP/1.1", headers, (), body)


@given(body=bodies | values, path=st.sampled_from(PATHS), dialect=st.sampled_from(DIALECTS))
@settings(max_examples=500, deadline=None)
def test_every_string_of_a_json_body_is_in_a_part(body: Any, path: str, dialect: str) -> None:
    """Any JSON, with the protocols' own keys in any wrong place and keys repeated: no string and no key is lost. Only
    the protocol's own words are left out, and they hold nothing."""
    sent = exchange(path, dump(body).encode(), (("content-type", "application/json"),))
    prompt = understand(sent, dialect)
    missing = [s for s in leaves(body) if s and s not in WORDS and s not in KEYS and not covered(s, prompt)]
    assert not missing


@given(
    body=st.binary(max_size=200),
    path=st.sampled_from(PATHS) | st.text(max_size=40),
    query=st.text(max_size=30),
    headers=st.lists(
        st.tuples(
            st.sampled_from(
                ["Content-Type", "Content-Encoding", "Cookie", "Authorization", "X-Api-Key", "Sec-WebSocket-Protocol"]
            )
            | st.text(max_size=12),
            st.sampled_from(
                [
                    "application/json",
                    "multipart/form-data; boundary=b",
                    "application/grpc",
                    "gzip",
                    "a=b",
                    "Bearer x",
                    "text/x",
                ]
            )
            | st.text(max_size=30),
        ),
        max_size=5,
    ),
    dialect=st.sampled_from(DIALECTS),
)
@settings(max_examples=500, deadline=None)
def test_parse_never_raises(body: bytes, path: str, query: str, headers: list[tuple[str, str]], dialect: str) -> None:
    """Any bytes, path, query and headers give a prompt whose texts UTF-8 can carry."""
    prompt = understand(exchange(path, body, tuple(headers), query), dialect)
    for part in prompt.parts:
        assert part.text.encode()


@given(
    body=st.binary(min_size=1, max_size=400),
    media_type=st.sampled_from(
        [
            "application/grpc",
            "application/connect+proto",
            "application/x-protobuf",
            "application/octet-stream",
            "text/plain",
            "application/vnd.msgpack",
        ]
    ),
)
@settings(max_examples=250, deadline=None)
def test_no_body_is_silently_empty(body: bytes, media_type: str) -> None:
    """A body that gives no text is unread with a reason; it is never simply clean."""
    prompt = understand(exchange("/x", body, (("content-type", media_type),)), "opaque")
    texts = [p for p in prompt.parts if not p.pointer.startswith(("header", "path"))]
    assert texts or prompt.unread or body.strip() in (b"", b"{}", b"[]", b"0", b"1") or _scalar(body)


def _scalar(body: bytes) -> bool:
    """JSON without any string (numbers, booleans, null), in whatever character set the bytes are."""
    text = read_text(body)
    inner = parse(text if not isinstance(text, Opacity) else "", depth=64, nodes=1000)
    return isinstance(inner, Document) and not plain_leaves(inner.value)


@given(depth=st.integers(0, 200), path=st.sampled_from(PATHS))
@settings(max_examples=60, deadline=None)
def test_nesting_is_read_or_refused(depth: int, path: str) -> None:
    """Objects nested in the protocol's own lists, as deep as one likes: read up to the limit, unread beyond."""
    body = '{"content":[' * depth + '"bottom"' + "]}" * depth
    prompt = understand(exchange(path, f'{{"messages":[{body}]}}'.encode()), "openai", Limits(json_depth=64))
    assert any("bottom" in p.text for p in prompt.parts)
    assert bool(prompt.unread) is (2 * depth + 3 > 65)
