"""Answers of the three families as the vendors' references show them, and what is to be read of each."""

from __future__ import annotations

import json
from copy import replace
from dataclasses import dataclass, field

from sluice.model import Answered

SECRET = 'the text of an answer \N{EM DASH} \\ " { [ } ] , : and more'


@dataclass(frozen=True, slots=True)
class Sample:
    """`path` of the request at a destination of `dialect`, the answer's bytes, what is read of it."""

    name: str
    dialect: str
    path: str
    body: bytes = field(repr=False)
    told: Answered


def events(*values: object, named: bool = False, end: str = "\n\n") -> bytes:
    out = ""
    for value in values:
        data = value if isinstance(value, str) else json.dumps(value)
        line = end[: len(end) // 2]
        out += (f"event: {value['type']}{line}" if named and isinstance(value, dict) else "") + f"data: {data}{end}"
    return out.encode()


def chat_chunk(delta: dict[str, object], finish: str | None = None, usage: object = None) -> dict[str, object]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    head = {"id": "chatcmpl-B9MBs8C", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5.5-2026-04-23"}
    return head | {"choices": [choice] if usage is None else [], "usage": usage}


CHAT_USAGE = {
    "prompt_tokens": 19,
    "completion_tokens": 10,
    "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 4, "audio_tokens": 0},
}
CALLS = [
    {"index": n, "id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": json.dumps(SECRET)}}
    for n, name in enumerate(("get_weather", "get_weather", "send_mail"))
]
CHAT = {
    "id": "chatcmpl-B9MBs8C",
    "object": "chat.completion",
    "model": "gpt-5.5-2026-04-23",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": SECRET, "tool_calls": CALLS},
            "finish_reason": "tool_calls",
        }
    ],
    "usage": CHAT_USAGE,
}
RESPONSE_USAGE = {
    "input_tokens": 36,
    "input_tokens_details": {"cached_tokens": 3},
    "output_tokens": 87,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 123,
}
OUTPUT = [
    {"type": "reasoning", "id": "rs_1", "summary": [{"text": SECRET}]},
    {"type": "web_search_call", "id": "ws_1", "status": "completed"},
    {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "shell", "arguments": json.dumps(SECRET)},
    {"type": "message", "content": [{"type": "output_text", "text": SECRET}]},
]
RESPONSE = {
    "id": "resp_67ccd2bed1ec8190",
    "object": "response",
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "instructions": SECRET,
    "model": "gpt-5.5-2026-04-23",
    "output": OUTPUT,
    "tools": [{"type": "function", "name": "shell", "parameters": {"model": "not this one", "id": "nor this"}}],
    "usage": RESPONSE_USAGE,
}
EARLY = RESPONSE | {"status": "in_progress", "output": [], "usage": None}
MESSAGE = {
    "id": "msg_013Zva2CMHLNnXjNJJKqJ2EF",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-5-20260301",
    "content": [
        {"type": "text", "text": SECRET},
        {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"name": SECRET, "model": SECRET}},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 2095, "cache_read_input_tokens": 1800, "output_tokens": 503},
}
START = MESSAGE | {
    "content": [],
    "stop_reason": None,
    "usage": {"input_tokens": 2095, "cache_read_input_tokens": 1800, "output_tokens": 1},
}
GENERATED = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [{"text": SECRET}, {"functionCall": {"name": "lookup", "args": {"name": SECRET}}}],
            },
            "finishReason": "STOP",
            "index": 0,
        }
    ],
    "usageMetadata": {
        "promptTokenCount": 8,
        "candidatesTokenCount": 12,
        "cachedContentTokenCount": 2,
        "thoughtsTokenCount": 30,
        "totalTokenCount": 50,
    },
    "modelVersion": "gemini-2.5-pro",
    "responseId": "nDcbaOKgAdyT",
}
PIECE = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": SECRET}]}}],
    "usageMetadata": {"promptTokenCount": 8},
    "modelVersion": "gemini-2.5-pro",
    "responseId": "nDcbaOKgAdyT",
}

CHAT_TOLD = Answered(
    model="gpt-5.5-2026-04-23",
    id="chatcmpl-B9MBs8C",
    finish="tool_calls",
    tokens_in=19,
    tokens_out=10,
    tokens_cached=8,
    tokens_reasoning=4,
    calls=("get_weather", "get_weather", "send_mail"),
)
RESPONSE_TOLD = Answered(
    model="gpt-5.5-2026-04-23",
    id="resp_67ccd2bed1ec8190",
    finish="completed",
    tokens_in=36,
    tokens_out=87,
    tokens_cached=3,
    tokens_reasoning=5,
    calls=("web_search_call", "shell"),
)
MESSAGE_TOLD = Answered(
    model="claude-opus-5-20260301",
    id="msg_013Zva2CMHLNnXjNJJKqJ2EF",
    finish="tool_use",
    tokens_in=2095,
    tokens_out=503,
    tokens_cached=1800,
    calls=("Bash", "web_search"),
)
GENERATED_TOLD = Answered(
    model="gemini-2.5-pro",
    id="nDcbaOKgAdyT",
    finish="STOP",
    tokens_in=8,
    tokens_out=12,
    tokens_cached=2,
    tokens_reasoning=30,
    calls=("lookup",),
)

_CHAT_STREAM = (
    chat_chunk({"role": "assistant", "content": ""}),
    chat_chunk({"content": SECRET}),
    *(chat_chunk({"tool_calls": [call]}) for call in CALLS),
    chat_chunk({"tool_calls": [{"index": 2, "function": {"arguments": "{"}}]}),
    chat_chunk({}, "tool_calls"),
    chat_chunk({}, usage=CHAT_USAGE),
    "[DONE]",
)
_RESPONSE_STREAM = (
    {"type": "response.created", "sequence_number": 0, "response": EARLY},
    *(
        {"type": "response.output_item.added", "output_index": n, "item": {**item, "status": "in_progress"}}
        for n, item in enumerate(OUTPUT)
    ),
    {"type": "response.output_text.delta", "delta": SECRET, "item_id": "msg_1", "output_index": 3},
    {"type": "response.function_call_arguments.done", "arguments": SECRET, "output_index": 2},
    {"type": "response.completed", "sequence_number": 9, "response": RESPONSE},
)
_MESSAGE_STREAM = (
    {"type": "message_start", "message": START},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": SECRET}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "name": "Bash", "input": {}}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": SECRET}},
    {"type": "content_block_start", "index": 2, "content_block": {"type": "server_tool_use", "name": "web_search"}},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 503}},
    {"type": "message_stop"},
)
_LONG = [{"type": "message", "content": [{"type": "output_text", "text": SECRET * 2000}]}]

SAMPLES = (
    Sample("chat", "openai", "/v1/chat/completions", json.dumps(CHAT).encode(), CHAT_TOLD),
    Sample("chat-stream", "openai", "/v1/chat/completions", events(*_CHAT_STREAM), CHAT_TOLD),
    Sample("chat-stream-crlf", "openai", "/v1/chat/completions", events(*_CHAT_STREAM, end="\r\n\r\n"), CHAT_TOLD),
    Sample("chat-stream-cr", "openai", "/v1/chat/completions", events(*_CHAT_STREAM, end="\r\r"), CHAT_TOLD),
    Sample(
        "chat-stream-comments",
        "openai",
        "/api/v1/chat/completions",
        b": OPENROUTER PROCESSING\n\n" + events(*_CHAT_STREAM),
        CHAT_TOLD,
    ),
    Sample(
        "chat-pretty",
        "openai",
        "/openai/deployments/x/chat/completions",
        b"\xef\xbb\xbf" + json.dumps(CHAT, indent=2, ensure_ascii=False).encode(),
        CHAT_TOLD,
    ),
    Sample(
        "completion",
        "openai",
        "/v1/completions",
        json.dumps(
            {
                "id": "cmpl-1",
                "model": "davinci-002",
                "choices": [{"text": SECRET, "index": 0, "finish_reason": "length"}],
                "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
            }
        ).encode(),
        Answered(model="davinci-002", id="cmpl-1", finish="length", tokens_in=5, tokens_out=7),
    ),
    Sample("responses", "openai", "/v1/responses", json.dumps(RESPONSE).encode(), RESPONSE_TOLD),
    Sample(
        "responses-stream",
        "openai",
        "/backend-api/codex/responses",
        events(*_RESPONSE_STREAM, named=True),
        RESPONSE_TOLD,
    ),
    Sample(
        "responses-long",
        "openai",
        "/v1/responses",
        json.dumps(RESPONSE | {"output": OUTPUT + _LONG}).encode(),
        RESPONSE_TOLD,
    ),
    Sample(
        "responses-stream-long",
        "openai",
        "/v1/responses",
        events(
            {"type": "response.created", "response": EARLY | {"instructions": SECRET * 900}},
            {"type": "response.completed", "response": RESPONSE | {"output": OUTPUT + _LONG}},
            named=True,
        ),
        RESPONSE_TOLD,
    ),
    Sample(
        "responses-cut-off",
        "openai",
        "/v1/responses",
        json.dumps(RESPONSE | {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}).encode(),
        replace(RESPONSE_TOLD, finish="max_output_tokens"),
    ),
    Sample(
        "embeddings",
        "openai",
        "/v1/embeddings",
        json.dumps(
            {
                "object": "list",
                "data": [{"object": "embedding", "index": n, "embedding": [0.25, -1e-3] * 768} for n in range(16)],
                "model": "text-embedding-3-small",
                "usage": {"prompt_tokens": 8, "total_tokens": 8},
            }
        ).encode(),
        Answered(model="text-embedding-3-small", tokens_in=8),
    ),
    Sample("messages", "anthropic", "/v1/messages", json.dumps(MESSAGE).encode(), MESSAGE_TOLD),
    Sample("messages-stream", "anthropic", "/v1/messages", events(*_MESSAGE_STREAM, named=True), MESSAGE_TOLD),
    Sample("count", "anthropic", "/v1/messages/count_tokens", b'{"input_tokens": 2095}', Answered(tokens_in=2095)),
    Sample("generate", "google", "/v1beta/models/x:generateContent", json.dumps(GENERATED).encode(), GENERATED_TOLD),
    Sample(
        "generate-array",
        "google",
        "/v1beta/models/x:streamGenerateContent",
        json.dumps([PIECE, PIECE, GENERATED], indent=1).encode(),
        GENERATED_TOLD,
    ),
    Sample(
        "generate-long-array",
        "google",
        "/v1beta/models/x:streamGenerateContent",
        json.dumps([PIECE] * 400 + [GENERATED]).encode(),
        GENERATED_TOLD,
    ),
    Sample(
        "generate-stream",
        "google",
        "/v1beta/models/x:streamGenerateContent",
        events(PIECE, PIECE, GENERATED, end="\r\n\r\n"),
        GENERATED_TOLD,
    ),
    Sample(
        "cloud-code-stream",
        "google",
        "/v1internal:streamGenerateContent",
        events({"response": PIECE, "traceId": "x"}, {"response": GENERATED}),
        GENERATED_TOLD,
    ),
)
