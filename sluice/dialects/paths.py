"""The shape of a path for records: what the endpoint is, without any name, id or text that a client put there."""

from __future__ import annotations

import re

from sluice.dialects.words import listed

_ROUTE_WORD = re.compile(r"[A-Za-z]{1,24}(?:[-_.][A-Za-z]{1,24}){0,2}")
"""Letters only. Ids hold digits, so a segment with a digit stays only when `_KNOWN` has it."""
_KNOWN = re.compile(
    r"v\d{1,2}(?:(?:alpha|beta|internal|p)\d{0,2}(?:alpha|beta)?\d?)?|m365copilot|agent\.v1\.AgentService|f|c"
)
_NAMED = {
    "models": "{model}",
    "tunedmodels": "{model}",
    "model": "{model}",
    "engines": "{model}",
    "deployments": "{model}",
    "projects": "{project}",
}
"""Collections whose next segment is a name of the client's choosing, and what stands for it."""
_COLLECTIONS = listed(
    """
    threads runs files uploads assistants batches sessions agents conversations responses organizations
    chat_conversations locations publishers endpoints vector_stores containers skills vaults credentials environments
    messages completions items evals jobs operations cachedcontents corpora documents users accounts applications
    knowledgebases flows aliases agentaliases runtimes prompts reasoningengines memory_stores memories
    """
)
_AFTER_COLLECTION = listed(
    """
    runs batches count_tokens compact input_tokens google anthropic openapi chat completions responses embeddings
    generations edits variations search upload events messages items files stream cancel complete parts new global
    us meta mistralai files new prepare
    """
)
"""Words that follow a collection and are no member of it."""
_LONGEST = 256


def path_template(path: str) -> str:
    """`/v1/threads/thread_abc/runs` -> `/v1/threads/{id}/runs`; no query; at most 256 characters."""
    out: list[str] = []
    before = ""
    for segment in path.partition("?")[0].split("/"):
        if not segment:
            if not out:
                out.append("")
            continue
        out.append(_shape(segment, before))
        before = segment.lower()
    return ("/".join(out) or "/")[:_LONGEST]


def _shape(segment: str, before: str) -> str:
    name, colon, verb = segment.partition(":")
    suffix = f":{verb}" if colon and verb.isascii() and verb.isalpha() and len(verb) <= 32 else ""
    if suffix and _KNOWN.fullmatch(name):
        return segment
    if before in _NAMED:
        return _NAMED[before] + suffix
    if before in _COLLECTIONS and name.lower() not in _AFTER_COLLECTION:
        return "{id}" + suffix
    if not colon and (_KNOWN.fullmatch(segment) or _ROUTE_WORD.fullmatch(segment)):
        return segment
    if suffix and _ROUTE_WORD.fullmatch(name):
        return segment
    return "{id}" + suffix
