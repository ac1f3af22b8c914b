"""Paths: which format they mean, on which host, and what shape of them a record may keep."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.dialects import path_template
from sluice.dialects.routes import find

ROUTES = [
    ("/v1/chat/completions", "opaque", "openai.chat", "chat", None),
    ("/api/v1/chat/completions/", "openai", "openai.chat", "chat", None),
    ("/v1/Chat/Completions", "opaque", "openai.chat", "chat", None),
    ("/v1/chat%2Fcompletions", "opaque", "openai.chat", "chat", None),
    ("/openai/deployments/gpt%205/chat/completions", "openai", "openai.chat", "chat", "gpt 5"),
    ("/v1/engines/copilot-codex/completions", "openai", "openai.completions", "completion", "copilot-codex"),
    ("/v1/agents/completions", "opaque", "openai.chat", "chat", None),
    ("/v1/responses", "opaque", "openai.responses", "responses", None),
    ("/backend-api/codex/responses/compact", "openai", "openai.responses.compact", "responses", None),
    ("/v1/responses/input_tokens", "openai", "openai.responses.input_tokens", "count_tokens", None),
    ("/v1/embeddings", "opaque", "openai.embeddings", "embedding", None),
    ("/v1/images/edits", "openai", "openai.image", "image", None),
    ("/openai/v1/audio/translations", "openai", "openai.transcription", "transcription", None),
    ("/v1/uploads/u1/parts", "openai", "openai.file_upload", "file_upload", None),
    ("/v1/threads/t1/messages", "openai", "openai.assistant_message", "assistant_message", None),
    ("/v1/threads/t1/runs/r1/submit_tool_outputs", "openai", "openai.assistant_run", "assistant_run", None),
    ("/v1/moderations", "openai", "openai.moderation", "moderation", None),
    ("/v1/moderations", "opaque", "opaque", "other", None),
    ("/v1/messages", "openai", "anthropic.messages", "chat", None),
    ("/anthropic/v1/messages", "opaque", "anthropic.messages", "chat", None),
    ("/v1/messages/count_tokens", "anthropic", "anthropic.count_tokens", "count_tokens", None),
    ("/v1/messages/batches", "anthropic", "anthropic.batches", "batch", None),
    ("/messages", "opaque", "opaque", "other", None),
    ("/v1/files", "anthropic", "anthropic.file_upload", "file_upload", None),
    ("/v1/files", "openai", "openai.file_upload", "file_upload", None),
    ("/v1beta/models/gemini-3-pro:generateContent", "opaque", "google.chat", "chat", "gemini-3-pro"),
    ("/v1/models/gemini-3-pro%3AstreamGenerateContent", "google", "google.chat", "chat", "gemini-3-pro"),
    ("/v1beta/tunedModels/x:generateContent", "google", "google.chat", "chat", "x"),
    ("/v1beta/models/m:countTokens", "google", "google.count_tokens", "count_tokens", "m"),
    ("/v1internal:streamGenerateContent", "google", "google.cloudcode.chat", "chat", None),
    ("/v1internal:loadCodeAssist", "google", "google.cloudcode.other", "other", None),
    (
        "/v1/projects/p/locations/l/publishers/anthropic/models/c@1:rawPredict",
        "google",
        "anthropic.messages",
        "chat",
        "c@1",
    ),
    (
        "/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict",
        "google",
        "anthropic.count_tokens",
        "count_tokens",
        None,
    ),
    ("/v1/projects/p/locations/l/publishers/meta/models/m:rawPredict", "google", "google.raw", "chat", "m"),
    ("/v1/projects/p/locations/l/endpoints/openapi/chat/completions", "google", "openai.chat", "chat", None),
    ("/v1beta/cachedContents", "google", "google.cache", "cache", None),
    ("/backend-api/f/conversation", "opaque", "opaque", "other", None),
    ("", "opaque", "opaque", "other", None),
    ("/:", "google", "google.other", "other", None),
]


@pytest.mark.parametrize(("path", "dialect", "route", "operation", "model"), ROUTES)
def test_route(path: str, dialect: str, route: str, operation: str, model: str | None) -> None:
    """Each path means the format that its service serves there; the host's own dialect decides shared paths alone."""
    found = find(path, dialect)
    assert (found.id, found.operation, found.model) == (route, operation, model)


def test_session_and_stream_of_the_path() -> None:
    """Thread and session ids, and the verbs that stream."""
    assert find("/v1/threads/thread_1/runs", "openai").session == "thread_1"
    assert find("/v1/threads/runs", "openai").session is None
    assert find("/v1/sessions/sess_1/events", "anthropic").session == "sess_1"
    assert find("/v1/models/m:streamGenerateContent", "google").stream is True
    assert find("/v1/p/publishers/anthropic/models/m:streamRawPredict", "google").stream is True


@given(st.text(max_size=60), st.sampled_from(["openai", "anthropic", "google", "opaque"]))
def test_find_never_raises(path: str, dialect: str) -> None:
    """Any path has a route."""
    assert find(path, dialect).dialect in ("openai", "anthropic", "google", "opaque")


TEMPLATES = [
    ("/v1/chat/completions", "/v1/chat/completions"),
    ("/v1/threads/thread_abc123/runs", "/v1/threads/{id}/runs"),
    ("/v1/threads/runs", "/v1/threads/runs"),
    ("/v1/threads/abcdef/messages", "/v1/threads/{id}/messages"),
    ("/v1/messages/batches/msgbatch_01/results", "/v1/messages/batches/{id}/results"),
    ("/v1/files/file-Ab12", "/v1/files/{id}"),
    ("/openai/deployments/contoso/chat/completions", "/openai/deployments/{model}/chat/completions"),
    ("/v1beta/models/gemini-3-pro:generateContent", "/v1beta/models/{model}:generateContent"),
    ("/v1internal:streamGenerateContent", "/v1internal:streamGenerateContent"),
    (
        "/v1/projects/acme-prod/locations/europe-west4/publishers/anthropic/models/claude@1:rawPredict",
        "/v1/projects/{project}/locations/{id}/publishers/anthropic/models/{model}:rawPredict",
    ),
    ("/model/anthropic.claude%3A0/invoke", "/model/{model}/invoke"),
    (
        "/api/organizations/1111-22/chat_conversations/3333/completion",
        "/api/organizations/{id}/chat_conversations/{id}/completion",
    ),
    ("/v1/files/my%20secret%20plan", "/v1/files/{id}"),
    ("/x/AKIAIOSFODNN7EXAMPLE", "/{other}/{id}"),
    ("/files/x/4111111111111111?q=1", "/files/{id}/{id}"),
    ("/agent.v1.AgentService/Run", "/agent.v1.AgentService/run"),
    ("/the/merger/with/Contoso/is/off", "/{other}/{other}/{other}/{other}/{other}/{other}"),
    ("/v1/Chat/COMPLETIONS", "/v1/chat/completions"),
    ("/v1/models/gemini:theMergerIsOff", "/v1/models/{model}"),
    ("/v1/chat:theMergerIsOff", "/v1/{id}"),
    ("/", "/"),
    ("", "/"),
]


@pytest.mark.parametrize(("path", "template"), TEMPLATES)
def test_path_template(path: str, template: str) -> None:
    """Endpoints keep their shape; ids, models and projects are named by what they are."""
    assert path_template(path) == template


@given(st.text(alphabet="ab1/-_%: é", max_size=80))
def test_template_holds_no_digits_of_the_client(path: str) -> None:
    """Keys, ids and numbers hold digits; no segment with one stays, but for API versions."""
    for segment in path_template("/x/" + path).split("/"):
        assert not any(c.isdigit() for c in segment) or segment.startswith("v1")
    assert len(path_template(path * 50)) <= 256
