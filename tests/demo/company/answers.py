"""The providers on loopback: each request is answered as its plan says, in the wire format that it came in."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tests.demo.company.exchange import Answer, Exchange
from tests.upstream import Received, Reply, json_reply, sse

TEXT = "Here is a draft. Read it before you use it."


class Providers:
    """Answers by the id that a request carries. `arrived` are the ids that came, in order: the proof of what left."""

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        self._planned = {x.id: x for x in exchanges}
        self.arrived: list[str] = []

    def answer(self, request: Received) -> Reply | None:
        """None for what is in no plan: the upstream answers it in its own way. Runs on the upstream's loop."""
        planned = self._planned.get(request.request_id or "")
        if planned is None or planned.product is None:
            return None
        self.arrived.append(planned.id)
        if planned.failed_open:
            error = {"error": {"message": "We could not parse the JSON body of your request.", "code": None}}
            return json_reply(error, 400, _account(planned))
        match planned.product.wire:
            case "openai":
                return _openai(planned.answer, _account(planned))
            case "responses":
                return _responses(planned.answer, _account(planned))
            case "anthropic":
                return _anthropic(planned.answer, _account(planned))
            case "google":
                return _google(planned.answer)
            case "embeddings":
                usage = {"prompt_tokens": planned.answer.tokens_in, "total_tokens": planned.answer.tokens_in}
                rows = [{"object": "embedding", "index": 0, "embedding": [0.25, 0.5, -0.125]}]
                made = {"object": "list", "data": rows, "model": planned.answer.model, "usage": usage}
                return json_reply(made, headers=_account(planned))
        return json_reply({"text": TEXT})


def _account(planned: Exchange) -> tuple[tuple[str, str], ...]:
    """Whose account the key belongs to, as OpenAI and Anthropic say it in headers."""
    if planned.key is None or not planned.key.organisation:
        return ()
    name = "anthropic-organization-id" if planned.provider == "anthropic" else "openai-organization"
    return ((name, planned.key.organisation),)


def _openai(answer: Answer, account: tuple[tuple[str, str], ...]) -> Reply:
    usage = {
        "prompt_tokens": answer.tokens_in,
        "completion_tokens": answer.tokens_out,
        "total_tokens": answer.tokens_in + answer.tokens_out,
    }
    head = {"id": "chatcmpl-day", "created": 1, "model": answer.model}
    if answer.stream:
        chunk = head | {"object": "chat.completion.chunk"}

        def delta(said: dict[str, str], finish: str | None) -> dict[str, Any]:
            return chunk | {"choices": [{"index": 0, "delta": said, "finish_reason": finish}]}

        pieces: list[tuple[str | None, object]] = [(None, delta({"role": "assistant", "content": TEXT}, None))]
        pieces += [(None, delta({}, "stop")), (None, chunk | {"choices": [], "usage": usage}), (None, "[DONE]")]
        return sse(pieces, account)
    message: dict[str, Any] = {"role": "assistant", "content": None if answer.calls else TEXT}
    if answer.calls:
        message["tool_calls"] = [
            {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": '{"what": "it"}'}}
            for n, name in enumerate(answer.calls)
        ]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if answer.calls else "stop"}
    return json_reply(head | {"object": "chat.completion", "choices": [choice], "usage": usage}, headers=account)


def _responses(answer: Answer, account: tuple[tuple[str, str], ...]) -> Reply:
    content = [{"type": "output_text", "text": TEXT, "annotations": []}]
    output: list[dict[str, Any]] = [
        {"type": "function_call", "id": f"fc_{n}", "call_id": f"call_{n}", "name": name, "arguments": "{}"}
        for n, name in enumerate(answer.calls)
    ] or [{"type": "message", "id": "msg_day", "role": "assistant", "status": "completed", "content": content}]
    usage = {
        "input_tokens": answer.tokens_in,
        "output_tokens": answer.tokens_out,
        "total_tokens": answer.tokens_in + answer.tokens_out,
    }
    made = {"id": "resp_day", "object": "response", "created_at": 1, "model": answer.model, "status": "completed"}
    return json_reply(made | {"output": output, "usage": usage}, headers=account)


def _anthropic(answer: Answer, account: tuple[tuple[str, str], ...]) -> Reply:
    usage = {"input_tokens": answer.tokens_in, "output_tokens": answer.tokens_out}
    message = {"id": "msg_day", "type": "message", "role": "assistant", "model": answer.model}
    if answer.stream:
        opened: dict[str, Any] = message | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 0}}
        said = {"type": "text_delta", "text": TEXT}
        steps: list[dict[str, Any]] = [
            {"type": "message_start", "message": opened},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": said},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"},
             "usage": {"output_tokens": answer.tokens_out}},
            {"type": "message_stop"},
        ]  # fmt: skip
        return sse([(step["type"], step) for step in steps], account)
    content: list[dict[str, Any]] = [
        {"type": "tool_use", "id": f"toolu_{n}", "name": name, "input": {"what": "it"}}
        for n, name in enumerate(answer.calls)
    ] or [{"type": "text", "text": TEXT}]
    reason = "tool_use" if answer.calls else "end_turn"
    return json_reply(message | {"content": content, "stop_reason": reason, "usage": usage}, headers=account)


def _google(answer: Answer) -> Reply:
    parts: list[dict[str, Any]] = [
        {"functionCall": {"name": name, "args": {"what": "it"}}} for name in answer.calls
    ] or [{"text": TEXT}]
    candidate = {"content": {"role": "model", "parts": parts}, "index": 0, "finishReason": "STOP"}
    usage = {
        "promptTokenCount": answer.tokens_in,
        "candidatesTokenCount": answer.tokens_out,
        "totalTokenCount": answer.tokens_in + answer.tokens_out,
    }
    made = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": answer.model, "responseId": "day"}
    if answer.stream:
        data = f"data: {json.dumps(made)}\n\n".encode()
        return Reply(200, (("content-type", "text/event-stream"),), events=(data,))
    return json_reply(made)
