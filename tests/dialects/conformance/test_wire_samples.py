"""Every wire sample parses to what a perfect parser extracts, role by role and place by place."""

from __future__ import annotations

import pytest
from wire_samples import Sample, exchange_of, load, pointer, understand

from sluice.dialects import names
from sluice.errors import Opacity
from sluice.model import Role

ALL = load()
FAMILIES = [s for s in ALL if s.dialect != "opaque" and not s.is_websocket]
OTHERS = [s for s in ALL if s.dialect == "opaque" and not s.is_websocket]
BINARY = frozenset({"46-cursor-agent-connect-protobuf", "51-xai-grpc-chat", "54-cerebras-msgpack-gzip"})
ROLES_OF_NO_ONE = frozenset(
    {Role.UNKNOWN, Role.HEADER, Role.URL_QUERY, Role.FILE_NAME, Role.METADATA, Role.TOOL_DEFINITION}
)


def by_name(sample: Sample) -> str:
    return sample.name


def test_every_family_has_samples() -> None:
    """The samples are there: a directory that was not copied would make every other test here pass."""
    assert len(ALL) == 52
    assert {s.dialect for s in FAMILIES} == {"openai", "anthropic", "google"}
    assert len(FAMILIES) == 28


@pytest.mark.parametrize("sample", FAMILIES, ids=by_name)
def test_texts_with_role_and_place(sample: Sample) -> None:
    """Each expected text is a part with its role at its pointer, and no other part claims to be someone's words."""
    prompt = understand(exchange_of(sample.request), sample.dialect)
    found = {(p.pointer, str(p.role), p.text) for p in prompt.parts}
    for text in sample.expected["texts"]:
        assert (pointer(text["path"]), text["role"], text["text"]) in found
    known = {(t["role"], t["text"]) for t in sample.expected["texts"] + sample.expected["optional_texts"]}
    assert {(str(p.role), p.text) for p in prompt.parts if p.role not in ROLES_OF_NO_ONE} <= known


@pytest.mark.parametrize("sample", FAMILIES, ids=by_name)
def test_facts(sample: Sample) -> None:
    """Model, operation, stream flag, tools, MCP servers, agent, session and place of the key are the expected ones."""
    prompt, expected = understand(exchange_of(sample.request), sample.dialect), sample.expected
    assert (prompt.dialect, prompt.model, prompt.operation) == (
        sample.dialect,
        expected["model"],
        expected["operation"],
    )
    assert prompt.stream is expected["stream"]
    assert list(prompt.tools) == expected["tools"]
    assert [(s.label, s.url) for s in prompt.mcp_servers] == [(s["label"], s["url"]) for s in expected["mcp_servers"]]
    assert (prompt.agent, prompt.session) == (expected["agent"], expected["session"])
    assert prompt.credentials[0].location == expected["api_key_location"]


def test_names_and_types_are_recorded() -> None:
    """No model, tool, server or media type of a sample is withheld from a record for its shape."""
    for sample in FAMILIES:
        prompt = understand(exchange_of(sample.request), sample.dialect)
        found = [prompt.model, prompt.tool_choice, *prompt.tools, *(s.label for s in prompt.mcp_servers)]
        assert [text for text in found if text and not names.is_name(text)] == [], sample.name
        assert [f.mime for f in prompt.files if names.media_type(f.mime) != f.mime] == [], sample.name


@pytest.mark.parametrize("sample", FAMILIES, ids=by_name)
def test_files(sample: Sample) -> None:
    """Each file is listed with kind, type, name, transport and size; what is no text is unread with a reason."""
    prompt = understand(exchange_of(sample.request), sample.dialect)
    found = [(f.pointer, f.kind, f.mime, f.name, f.transport, f.url, f.file_id) for f in prompt.files]
    assert found == [
        (pointer(f["path"]), f["kind"], f["mime"], f["name"], f["transport"], f.get("url"), f.get("file_id"))
        for f in sample.expected["files"]
    ]
    sizes = {f.pointer: f.size for f in prompt.files}
    assert all(sizes[pointer(f["path"])] == f["size"] for f in sample.expected["files"] if "size" in f)
    unread = {u.pointer for u in prompt.unread}
    readable = {p.pointer.partition("#")[0] for p in prompt.parts if p.role is Role.DOCUMENT}
    assert {f.pointer for f in prompt.files} <= unread | readable


@pytest.mark.parametrize("sample", FAMILIES + OTHERS, ids=by_name)
def test_secrets_of_the_request_are_no_parts(sample: Sample) -> None:
    """A key in its proper place, header or body, is a credential and never a text to scan."""
    prompt = understand(exchange_of(sample.request), sample.dialect)
    places = {c.location for c in prompt.credentials}
    for server in sample.expected["mcp_servers"]:
        if "authorization_in" in server:
            assert f"body:{pointer(server['authorization_in'])}" in places
    values = {c.value for c in prompt.credentials if len(c.value) > 12}
    assert not [p.pointer for p in prompt.parts if any(value in p.text for value in values)]


@pytest.mark.parametrize("sample", OTHERS, ids=by_name)
def test_other_formats_lose_no_text(sample: Sample) -> None:
    """Formats without a dialect of their own still give every text to the detectors; binary ones are unread as well."""
    prompt = understand(exchange_of(sample.request), sample.dialect)
    texts = [p.text for p in prompt.parts]
    for text in sample.expected["texts"]:
        assert any(text["text"] in found for found in texts), text["path"]
    assert (Opacity.BINARY in {u.reason for u in prompt.unread}) is (sample.name in BINARY)
    found = prompt.credentials[0].location if prompt.credentials else "none"
    assert found == sample.expected["api_key_location"]
    assert prompt.agent == sample.expected["agent"]


@pytest.mark.parametrize("sample", [s for s in ALL if s.is_websocket], ids=by_name)
def test_upgrade_has_an_envelope_and_no_body(sample: Sample) -> None:
    """The request that opens a WebSocket is read as far as it goes: key, agent, header texts, no prompt."""
    prompt = understand(exchange_of(sample.request), "openai")
    assert prompt.operation == "read"
    assert prompt.credentials[0].location == sample.expected["api_key_location"]
    assert {p.role for p in prompt.parts} <= {Role.HEADER, Role.URL_QUERY}


def test_token_ids_are_not_reported_as_clean() -> None:
    """Embeddings sent as token ids hold text that cannot be read: unread, with their number."""
    prompt = understand(exchange_of(next(s for s in ALL if s.name.startswith("08-")).request), "openai")
    assert [(u.pointer, u.reason, u.size) for u in prompt.unread] == [("/input", Opacity.TOKEN_IDS, 7)]


def test_history_and_new_turn_are_told_apart() -> None:
    """In the agent's request, what was answered before is history; the newest words and the system text are not."""
    prompt = understand(exchange_of(next(s for s in ALL if s.name.startswith("14-")).request), "anthropic")
    provenance = {p.pointer: str(p.provenance) for p in prompt.parts}
    assert provenance["/messages/0/content"] == "history"
    assert provenance["/messages/3/content/0/input/name"] == "history"
    assert provenance["/messages/5/content/0/text"] == "user"
    assert provenance["/messages/4/content"] == "system"
