"""Anthropic's wire format: messages and count_tokens, with the side calls of Claude Code (docs.claude.com)."""

from __future__ import annotations

from typing import Any

from tests.upstream.reply import Call, Reply, json_reply, sse

HEADERS = (("request-id", "req_local_upstream"), ("anthropic-organization-id", "00000000-0000-4000-8000-000000000001"))


def answer(call: Call) -> Reply | None:
    """The answer to a path of this API, or None when the path is not one."""
    match call.method, call.path:
        case "POST", "/v1/messages":
            return _stream(call) if call.stream else json_reply(_message(call), headers=HEADERS)
        case "POST", "/v1/messages/count_tokens":
            return json_reply({"input_tokens": 1 + len(call.body) // 4}, headers=HEADERS)
        case _, path if path.startswith("/api/"):  # settings, limits, telemetry: nothing is configured here
            return json_reply(_error("not_found_error", "Not found"), 404, HEADERS)
    return None


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_local_upstream"}


def _message(call: Call, *, done: bool = True) -> dict[str, Any]:
    return {
        "id": "msg_local",
        "type": "message",
        "role": "assistant",
        "model": call.model,
        "content": [{"type": "text", "text": call.answer}] if done else [],
        "stop_reason": "end_turn" if done else None,
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": len(call.words) if done else 0},
    }


def _stream(call: Call) -> Reply:
    text = {"type": "text", "text": ""}
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    steps: list[dict[str, Any]] = [
        {"type": "message_start", "message": _message(call, done=False)},
        {"type": "content_block_start", "index": 0, "content_block": text},
        {"type": "ping"},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
            for word in call.words
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": len(call.words)}},
        {"type": "message_stop"},
    ]
    return sse([(step["type"], step) for step in steps], HEADERS)
