"""Google's wire format: generateContent, streamGenerateContent, embedContent, countTokens (ai.google.dev/api), and the
Cloud Code variant `/v1internal:verb` that wraps a request and its answer once more (used by gemini-cli with a login).
"""

from __future__ import annotations

import json
from typing import Any

from tests.upstream.reply import Call, Reply, json_reply, sse

MODELS = ("gemini-2.5-flash", "gemini-2.5-pro")


def answer(call: Call) -> Reply | None:
    """The answer to a path of this API, or None when the path is not one."""
    cloud_code = call.path.startswith("/v1internal:")
    version, _, rest = call.path.strip("/").partition("/")
    if not cloud_code and (
        version not in {"v1", "v1beta", "v1alpha"} or not rest.startswith(("models", "tunedModels"))
    ):
        return None
    if call.method == "GET":
        models = [{"name": f"models/{m}", "version": "1", "displayName": m} for m in MODELS]
        return json_reply({"models": models}) if rest == "models" else json_reply(models[0])
    resource, _, verb = call.path.rpartition(":")
    model = resource.rpartition("/")[2] or call.model

    def wrap(value: dict[str, Any]) -> dict[str, Any]:
        return {"response": value} if cloud_code else value

    match verb:
        case "generateContent":
            return json_reply(wrap(_candidate(call.answer, model, "STOP")))
        case "streamGenerateContent":
            last = len(call.words) - 1
            pieces = [wrap(_candidate(w, model, "STOP" if n == last else None)) for n, w in enumerate(call.words)]
            if call.query.get("alt") == ["sse"]:
                return sse([(None, piece) for piece in pieces])
            texts = [
                ("[" if n == 0 else ",") + json.dumps(p) + ("]" if n == last else "") for n, p in enumerate(pieces)
            ]
            return Reply(200, (("content-type", "application/json"),), events=tuple(t.encode() for t in texts))
        case "countTokens":
            return json_reply({"totalTokens": 1 + len(call.body) // 4})
        case "embedContent":
            return json_reply({"embedding": {"values": [0.25, 0.5, -0.125]}})
        case "batchEmbedContents":
            count = len(call.json.get("requests", []))
            return json_reply({"embeddings": [{"values": [0.25, 0.5, -0.125]}] * count})
        case "loadCodeAssist":
            return json_reply({"currentTier": {"id": "standard-tier"}, "cloudaicompanionProject": "local-project"})
        case "onboardUser":
            return json_reply({"done": True, "response": {"cloudaicompanionProject": {"id": "local-project"}}})
    return None


def _candidate(text: str, model: str, finish: str | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    value: dict[str, Any] = {"candidates": [candidate], "modelVersion": model, "responseId": "local-response"}
    if finish:
        candidate["finishReason"] = finish
        value["usageMetadata"] = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    return value
