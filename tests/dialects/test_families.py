"""Shapes of the three families that the samples do not hold: batches, Vertex, Copilot, repeated keys, history."""

from __future__ import annotations

import json
from typing import Any

import pytest
from wire_samples import understand

from sluice.errors import Opacity
from sluice.model import Client, Exchange, Prompt, Provenance, Role

JSON = (("content-type", "application/json"),)


def read(path: str, body: Any, dialect: str = "openai", query: str = "") -> Prompt:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = Exchange("id", 0, Client("::1"), "POST", "https", "h", 443, path, query, "HTTP/1.1", JSON, (), data)
    return understand(sent, dialect)


def said(prompt: Prompt, *roles: Role) -> list[tuple[str, str]]:
    """Pointer and text of the parts with these roles."""
    return [(p.pointer, p.text) for p in prompt.parts if p.role in roles]


def provenance(prompt: Prompt) -> dict[str, str]:
    return {p.pointer: str(p.provenance) for p in prompt.parts}


def test_repeated_keys_keep_their_roles() -> None:
    """Both values of a repeated key are read as what the key means, not only swept up as unknown."""
    body = b'{"model":"m","messages":[{"role":"user","content":"one"}],"messages":[{"role":"user","content":"two"}]}'
    assert [text for _, text in said(read("/v1/chat/completions", body), Role.USER)] == ["one", "two"]


def test_two_models_are_ambiguous() -> None:
    """Which of two different models a service takes is not known, so the request does not count as understood."""
    found = read("/v1/chat/completions", b'{"model":"allowed","model":"forbidden","messages":[]}')
    assert [(u.pointer, u.kind) for u in found.unread] == [("/model", "ambiguous")]
    assert not read("/v1/chat/completions", b'{"model":"same","model":"same"}').unread


def test_batch_file_is_read_line_by_line() -> None:
    """The lines of an uploaded batch are requests: each is read by the endpoint that it names."""
    lines = [
        {
            "custom_id": "a",
            "url": "/v1/chat/completions",
            "body": {"model": "m", "messages": [{"role": "user", "content": "q"}]},
        },
        {"custom_id": "b", "url": "/v1/responses", "body": {"model": "n", "instructions": "s", "input": "r"}},
        {"custom_id": "c", "url": "/v1/embeddings", "body": {"model": "o", "input": ["e"]}},
    ]
    file = "\n".join(map(json.dumps, lines)).encode()
    head = 'Content-Disposition: form-data; name="{}"'
    body = (
        (
            f"--b\r\n{head.format('purpose')}\r\n\r\nbatch\r\n"
            f'--b\r\n{head.format("file")}; filename="x.jsonl"\r\nContent-Type: application/jsonl\r\n\r\n'
        ).encode()
        + file
        + b"\r\n--b--\r\n"
    )
    headers = (("content-type", "multipart/form-data; boundary=b"),)
    sent = Exchange("id", 0, Client("::1"), "POST", "https", "h", 443, "/v1/files", "", "HTTP/1.1", headers, (), body)
    found = understand(sent, "openai")
    assert (found.operation, found.model) == ("file_upload", None)
    assert said(found, Role.USER, Role.SYSTEM, Role.PROMPT) == [
        ("multipart:file#jsonl/0/body/messages/0/content", "q"),
        ("multipart:file#jsonl/1/body/instructions", "s"),
        ("multipart:file#jsonl/1/body/input", "r"),
        ("multipart:file#jsonl/2/body/input/0", "e"),
    ]
    assert [(f.kind, f.name, f.size, f.transport) for f in found.files] == [
        ("document", "x.jsonl", len(file), "multipart")
    ]


def test_anthropic_batch() -> None:
    """Every request of a batch is read as a whole body; the first model stands for it."""
    params = {"model": "claude", "system": "be brief", "messages": [{"role": "user", "content": "q"}], "stream": True}
    found = read(
        "/v1/messages/batches",
        {"requests": [{"custom_id": "a", "params": params}, {"custom_id": "b", "params": params}]},
        "anthropic",
    )
    assert (found.operation, found.model, found.stream) == ("batch", "claude", False)
    assert len(said(found, Role.USER)) == len(said(found, Role.SYSTEM)) == 2


def test_claude_on_vertex() -> None:
    """The Anthropic body on Google's path: the model stands in the path, the verb says that it streams."""
    path = "/v1/projects/p/locations/l/publishers/anthropic/models/claude-opus-5@20260101:streamRawPredict"
    body = {"anthropic_version": "vertex-2023-10-16", "system": "s", "messages": [{"role": "user", "content": "q"}]}
    found = read(path, body, "google")
    assert (found.dialect, found.operation, found.model, found.stream) == (
        "anthropic",
        "chat",
        "claude-opus-5@20260101",
        True,
    )
    assert said(found, Role.SYSTEM, Role.USER) == [("/system", "s"), ("/messages/0/content", "q")]


def test_gemini_in_snake_case() -> None:
    """Every name in snake_case, one object where a list is due, and the key in the query."""
    body = {
        "system_instruction": {"parts": {"text": "s"}},
        "contents": {
            "parts": [{"text": "q"}, {"inline_data": {"mime_type": "text/plain", "data": "aGVsbG8gd29ybGQ="}}]
        },
        "tools": {"function_declarations": [{"name": "f"}]},
        "tool_config": {"function_calling_config": {"mode": "ANY"}},
    }
    found = read("/v1beta/models/gemini-3:streamGenerateContent", body, "google", "alt=sse&key=AIzaX")
    assert (found.model, found.stream, found.tools, found.tool_choice) == ("gemini-3", True, ("f",), "any")
    assert said(found, Role.SYSTEM, Role.USER, Role.DOCUMENT) == [
        ("/system_instruction/parts/text", "s"),
        ("/contents/parts/0/text", "q"),
        ("/contents/parts/1/inline_data/data#b64text", "hello world"),
    ]
    assert [c.location for c in found.credentials] == ["query:key"]


def test_gemini_token_count_and_cache() -> None:
    """A token count holds a whole request, and a cache holds contents: both are read with their roles."""
    contents = [{"role": "user", "parts": [{"text": "q"}]}]
    count = read("/v1/models/m:countTokens", {"generateContentRequest": {"contents": contents}}, "google")
    assert said(count, Role.USER) == [("/generateContentRequest/contents/0/parts/0/text", "q")]
    cache = read("/v1beta/cachedContents", {"model": "models/m", "contents": contents}, "google")
    assert (cache.operation, cache.model, len(said(cache, Role.USER))) == ("cache", "m", 1)


def test_vertex_predict() -> None:
    """`instances` of `:predict` are prompts and titles."""
    body = {"instances": [{"content": "c", "title": "t"}, {"prompt": "p"}]}
    found = read("/v1/projects/p/locations/l/publishers/google/models/m:predict", body, "google")
    assert said(found, Role.PROMPT, Role.TITLE) == [
        ("/instances/0/content", "c"),
        ("/instances/0/title", "t"),
        ("/instances/1/prompt", "p"),
    ]


def test_copilot_completions() -> None:
    """Code before and after the cursor, and snippets of other files; the model stands in the path."""
    body = {"prompt": "a", "suffix": "b", "stream": True, "extra": {"language": "go", "context": ["other file"]}}
    found = read("/v1/engines/gpt-41-copilot/completions", body)
    assert (found.operation, found.model, found.stream) == ("completion", "gpt-41-copilot", True)
    assert said(found, Role.PROMPT, Role.SUFFIX, Role.DOCUMENT) == [
        ("/prompt", "a"),
        ("/suffix", "b"),
        ("/extra/context/0", "other file"),
    ]


def test_thread_message_and_tool_outputs() -> None:
    """The legacy assistants: a message by itself, and the results of a run's tools; the thread names the session."""
    message = read("/v1/threads/t1/messages", {"role": "user", "content": [{"type": "text", "text": "q"}]})
    assert (message.operation, message.session, said(message, Role.USER)) == (
        "assistant_message",
        "t1",
        [("/content/0/text", "q")],
    )
    outputs = read("/v1/threads/t1/runs/r1/submit_tool_outputs", {"tool_outputs": [{"output": "o"}]})
    assert said(outputs, Role.TOOL_RESULT) == [("/tool_outputs/0/output", "o")]


@pytest.mark.parametrize("path", ["/ai/run/model", "/serving-endpoints/x/invocations", "/v1/whatever"])
def test_conversations_on_unknown_paths_have_roles(path: str) -> None:
    """Hundreds of services serve the shape of a chat under paths of their own."""
    body = {
        "model": "m",
        "stream": True,
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}],
    }
    found = read(path, body, "opaque")
    assert (found.dialect, found.operation, found.model, found.stream) == ("opaque", "chat", "m", True)
    assert said(found, Role.SYSTEM, Role.USER) == [("/messages/0/content", "s"), ("/messages/1/content", "q")]


def test_history_of_chat() -> None:
    """Up to the last answered turn all is history; system text stays system, new turns do not age."""
    turns = [("system", "s"), ("user", "old"), ("assistant", "answer"), ("tool", "result"), ("user", "new")]
    found = read("/v1/chat/completions", {"messages": [{"role": r, "content": t} for r, t in turns]})
    assert list(provenance(found).values()) == ["system", "history", "history", "tool_result", "user"]


def test_prefill_makes_nothing_old() -> None:
    """An assistant turn at the end is a prefill: the question before it is new, or policy could be fooled."""
    turns = [{"role": "user", "content": "new"}, {"role": "assistant", "content": "Sure:"}]
    assert list(provenance(read("/v1/messages", {"messages": turns}, "anthropic")).values()) == ["user", "assistant"]
    assert list(provenance(read("/v1/chat/completions", {"messages": turns})).values()) == ["user", "assistant"]


def test_history_of_responses() -> None:
    """Items: calls of the model are turns, their newest outputs are new."""
    items = [
        {"role": "user", "content": "old"},
        {"type": "function_call", "name": "f", "arguments": '{"a":"arg"}'},
        {"type": "function_call_output", "output": "new result"},
    ]
    found = provenance(read("/v1/responses", {"input": items}))
    assert found["/input/0/content"] == found["/input/1/arguments#json/a"] == Provenance.HISTORY
    assert found["/input/2/output"] == Provenance.TOOL_RESULT


def test_history_of_gemini() -> None:
    """Contents: the model's turn is the border."""
    contents = [
        {"role": "user", "parts": [{"text": "old"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"a": "arg"}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"r": "new"}}}]},
    ]
    found = provenance(read("/v1beta/models/m:generateContent", {"contents": contents}, "google"))
    assert found["/contents/0/parts/0/text"] == found["/contents/1/parts/0/functionCall/args/a"] == Provenance.HISTORY
    assert found["/contents/2/parts/0/functionResponse/response/r"] == Provenance.TOOL_RESULT


def test_server_state_and_ciphertext_are_unread() -> None:
    """What the service keeps or encrypted is not in the body; it is listed, and names the conversation."""
    body = {"previous_response_id": "resp_1", "input": [{"type": "reasoning", "encrypted_content": "gAAAA"}]}
    found = read("/v1/responses", body)
    assert found.session == "resp_1"
    assert [(u.pointer, u.reason) for u in found.unread] == [
        ("/previous_response_id", Opacity.SERVER_STATE),
        ("/input/0/encrypted_content", Opacity.ENCRYPTED),
    ]


def test_tools_of_every_kind() -> None:
    """Functions, custom tools, built-in tools, namespaces and MCP servers by name."""
    tools = [
        {"type": "function", "function": {"name": "a"}},
        {"type": "function", "name": "b"},
        {"type": "custom", "custom": {"name": "c"}},
        {"type": "web_search"},
        {"type": "namespace", "name": "ns", "tools": [{"type": "function", "name": "d"}]},
        {"type": "mcp", "server_label": "e", "server_url": "https://e", "allowed_tools": {"tool_names": ["f"]}},
    ]
    found = read("/v1/responses", {"input": "x", "tools": tools, "tool_choice": {"type": "function", "name": "b"}})
    assert found.tools == ("a", "b", "c", "web_search", "d", "mcp:e", "mcp:e/f")
    assert [(s.label, s.url) for s in found.mcp_servers] == [("e", "https://e")]
    assert found.tool_choice == "b"


def test_agent_by_its_system_prompt() -> None:
    """Behind a gateway that replaced the headers, the first words of the system prompt still tell."""
    body = {"system": "You are Claude Code, Anthropic's CLI.", "messages": []}
    assert read("/v1/messages", body, "anthropic").agent == "claude-code"


def test_numbers_where_text_is_due() -> None:
    """A long number in the place of a message's text is scanned like the text."""
    card = 4111111111111111
    claude = read("/v1/messages", {"messages": [{"role": "user", "content": card}]}, "anthropic")
    gemini = read("/v1beta/models/m:generateContent", {"contents": [{"role": "user", "parts": card}]}, "google")
    assert said(claude, Role.USER) == [("/messages/0/content", str(card))]
    assert said(gemini, Role.USER) == [("/contents/0/parts", str(card))]


def test_address_of_an_uploaded_file_is_text() -> None:
    """The id in a file's address is the client's to choose."""
    data = {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/AKIAIOSFODNN7EXAMPLE"}
    found = read("/v1beta/models/m:generateContent", {"contents": [{"parts": [{"fileData": data}]}]}, "google")
    assert [p.text for p in found.parts if p.pointer.endswith("/fileUri")] == [data["fileUri"]]
    assert found.files[0].file_id == "files/AKIAIOSFODNN7EXAMPLE"
