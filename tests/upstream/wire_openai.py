"""OpenAI's wire format: chat completions, completions, responses, embeddings, models (platform.openai.com/docs)."""

from __future__ import annotations

import time
from typing import Any

from tests.upstream.reply import Call, Reply, json_reply, sse

HEADERS = (
    ("x-request-id", "req_local_upstream"),
    ("openai-organization", "org-local-upstream"),
    ("openai-project", "proj_local_upstream"),
    ("openai-processing-ms", "1"),
)
MODELS = ("gpt-5.5", "gpt-5.5-codex", "gpt-4o-mini", "text-embedding-3-small")


def answer(call: Call) -> Reply | None:
    """The answer to a path of this API, or None when the path is not one."""
    path = call.path.removeprefix("/backend-api/codex").removeprefix("/v1")
    match call.method, path:
        case "POST", "/chat/completions":
            return _chat_stream(call) if call.stream else json_reply(_chat(call), headers=HEADERS)
        case "POST", "/completions":
            choice = {"index": 0, "text": call.answer, "finish_reason": "stop", "logprobs": None}
            return json_reply(_envelope("text_completion", "cmpl-local", call) | {"choices": [choice]}, headers=HEADERS)
        case "POST", "/responses":
            return _responses_stream(call) if call.stream else json_reply(_response(call, done=True), headers=HEADERS)
        case "POST", "/embeddings":
            return json_reply(_embeddings(call), headers=HEADERS)
        case "GET", "/models":
            models = [{"id": m, "object": "model", "created": 1, "owned_by": "local"} for m in MODELS]
            return json_reply({"object": "list", "data": models, "models": []}, headers=HEADERS)
    return None


def _envelope(kind: str, identity: str, call: Call) -> dict[str, Any]:
    return {"id": identity, "object": kind, "created": int(time.time()), "model": call.model}


def _chat(call: Call) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": call.answer, "refusal": None, "annotations": []}
    usage = {"prompt_tokens": 1, "completion_tokens": len(call.words), "total_tokens": 1 + len(call.words)}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return _envelope("chat.completion", "chatcmpl-local", call) | {"choices": [choice], "usage": usage}


def _chat_stream(call: Call) -> Reply:
    def chunk(delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return _envelope("chat.completion.chunk", "chatcmpl-local", call) | {"choices": [choice]}

    events: list[tuple[str | None, object]] = [(None, chunk({"role": "assistant", "content": ""}))]
    events += [(None, chunk({"content": word})) for word in call.words]
    events += [(None, chunk({}, "stop")), (None, "[DONE]")]
    return sse(events, HEADERS)


def _message(call: Call, *, done: bool) -> dict[str, Any]:
    content = [{"type": "output_text", "text": call.answer, "annotations": [], "logprobs": []}] if done else []
    status = "completed" if done else "in_progress"
    return {"id": "msg_local", "type": "message", "role": "assistant", "status": status, "content": content}


def _response(call: Call, *, done: bool) -> dict[str, Any]:
    words = len(call.words)
    usage = {
        "input_tokens": 1,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": words,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 1 + words,
    }
    return {
        "id": "resp_local",
        "object": "response",
        "created_at": int(time.time()),
        "model": call.model,
        "status": "completed" if done else "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "output": [_message(call, done=True)] if done else [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": usage if done else None,
    }


def _responses_stream(call: Call) -> Reply:
    place = {"item_id": "msg_local", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    full = {**part, "text": call.answer}
    steps: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": _response(call, done=False)}),
        ("response.in_progress", {"response": _response(call, done=False)}),
        ("response.output_item.added", {"output_index": 0, "item": _message(call, done=False)}),
        ("response.content_part.added", {**place, "part": part}),
        *(("response.output_text.delta", {**place, "delta": word, "logprobs": []}) for word in call.words),
        ("response.output_text.done", {**place, "text": call.answer, "logprobs": []}),
        ("response.content_part.done", {**place, "part": full}),
        ("response.output_item.done", {"output_index": 0, "item": _message(call, done=True)}),
        ("response.completed", {"response": _response(call, done=True)}),
    ]
    return sse([(kind, {"type": kind, "sequence_number": n, **body}) for n, (kind, body) in enumerate(steps)], HEADERS)


def _embeddings(call: Call) -> dict[str, Any]:
    given = call.json.get("input")
    count = len(given) if isinstance(given, list) and given and not isinstance(given[0], int) else 1
    vectors = [{"object": "embedding", "index": n, "embedding": [0.25, 0.5, -0.125]} for n in range(count)]
    if call.json.get("encoding_format") == "base64":  # three little-endian float32: what the Python SDK asks for
        vectors = [{**v, "embedding": "AACAPgAAAD8AAAC+"} for v in vectors]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return {"object": "list", "data": vectors, "model": call.model, "usage": usage}
