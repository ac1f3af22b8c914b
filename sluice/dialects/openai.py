"""The OpenAI wire family: chat, completions, responses, embeddings, images, assistants, and the many that copy them.

One table (`BODY`) serves every JSON endpoint of the family, since a key means the same wherever it appears; where it
does not (`input` of embeddings and of responses), the handler asks for the operation.
Sources: openai-python 3.54.0 types; the Azure, OpenRouter and Copilot additions are named where they are read.
"""

from __future__ import annotations

from sluice.dialects import files
from sluice.dialects import openai_messages as chat
from sluice.dialects.collector import Collector, Handler, role_handler, word
from sluice.dialects.openai_items import items
from sluice.dialects.openai_tools import secret, tool_choice, tools
from sluice.errors import Opacity
from sluice.json_body import Document, Json, parse, step
from sluice.model import Role

_WITH_ITEMS = frozenset({"responses", "count_tokens", "conversation", "agent_event", "agent_session"})


def read(c: Collector, at: str, body: Json, operation: str) -> None:
    """A JSON body of the family."""
    c.operation = operation
    if operation == "assistant_message" and isinstance(body, dict):
        chat.message(c, at, body)
    else:
        c.walk(at, body, BODY)


def prompts(c: Collector, at: str, value: Json, past: bool) -> None:
    """Text, a list of texts, token ids, or a list of lists of them. Token ids hold text that only the model's own
    vocabulary gives back."""
    if not isinstance(value, list):
        chat.content(c, at, value, Role.PROMPT, past)
        return
    count = _token_ids(value)
    if count:
        c.unseen(at, "token_ids", count, Opacity.TOKEN_IDS)
    chat.content(c, at, value, Role.PROMPT, past)


def _token_ids(value: list[Json]) -> int:
    """How many integers stand in a list, one level of lists included."""
    flat = (x for item in value for x in (item if isinstance(item, list) else (item,)))
    return sum(isinstance(x, int) and not isinstance(x, bool) for x in flat)


def _input(c: Collector, at: str, value: Json, past: bool) -> None:
    (items if c.operation in _WITH_ITEMS else prompts)(c, at, value, past)


def _prompt(c: Collector, at: str, value: Json, past: bool) -> None:
    """`prompt`: text (completions, images), or a stored template with `variables` (responses)."""
    if not isinstance(value, dict):
        prompts(c, at, value, past)
        return
    if word(value, "id"):
        c.unseen(f"{at}/id", "server_state", 0, Opacity.SERVER_STATE)
    c.walk(at, value, {"variables": _variables}, past)


def _variables(c: Collector, at: str, value: Json, past: bool) -> None:
    if not isinstance(value, dict):
        c.leaves(at, value, Role.USER, past)
        return
    for key, item in value.items():
        chat.content(c, f"{at}/{step(key)}", item, Role.USER, past)


def _instructions(c: Collector, at: str, value: Json, past: bool) -> None:
    items(c, at, value, past, Role.SYSTEM)


def stream(c: Collector, at: str, value: Json, past: bool) -> None:
    """`stream`: true asks for events instead of one answer."""
    c.stream = c.stream or value is True
    c.leaves(at, value, Role.UNKNOWN, past)


def model(c: Collector, at: str, value: Json, past: bool) -> None:
    """`model`."""
    c.name_model(at, value, past)


def _previous(c: Collector, at: str, value: Json, past: bool) -> None:
    c.server_state(at, value, 2, past)


def _conversation(c: Collector, at: str, value: Json, past: bool) -> None:
    if isinstance(value, dict):
        c.walk(at, value, {"id": _conversation}, past)
    else:
        c.server_state(at, value, 1, past)


def _cache_key(c: Collector, at: str, value: Json, past: bool) -> None:
    c.session(3, value)
    c.leaves(at, value, Role.METADATA, past)


def _plugins(c: Collector, at: str, value: Json, past: bool) -> None:
    """OpenRouter: `{id, search_prompt, ...}`; the prompt is put before the model as a system text."""
    for item in value if isinstance(value, list) else [value]:
        c.tool(word(item, "id"))
        c.hosted(word(item, "id"))
    chat.each(c, at, value, {"search_prompt": role_handler(Role.SYSTEM)}, past)


def _data_sources(c: Collector, at: str, value: Json, past: bool) -> None:
    """Azure "On Your Data": a search index with its key."""
    chat.each(c, at, value, {"parameters": _data_source}, past)


def _data_source(c: Collector, at: str, value: Json, past: bool) -> None:
    c.walk(at, value, {"role_information": role_handler(Role.SYSTEM), "authentication": _authentication}, past)


def _authentication(c: Collector, at: str, value: Json, past: bool) -> None:
    c.walk(at, value, dict.fromkeys(("key", "api_key", "access_token", "encoded_api_key"), secret), past)


def _thread(c: Collector, at: str, value: Json, past: bool) -> None:
    c.walk(at, value, {"messages": chat.messages, "tool_resources": _resources, "metadata": metadata}, past)


def _resources(c: Collector, at: str, value: Json, past: bool) -> None:
    """`tool_resources`: tool name -> `{file_ids: [...]}`."""
    if not isinstance(value, dict):
        c.leaves(at, value, Role.UNKNOWN, past)
        return
    for key, item in value.items():
        c.walk(f"{at}/{step(key)}", item, {"file_ids": _file_ids}, past)


def _file_ids(c: Collector, at: str, value: Json, past: bool) -> None:
    for index, item in enumerate(value if isinstance(value, list) else [value]):
        files.uploaded(c, f"{at}/{index}", item, past=past)


def _tool_outputs(c: Collector, at: str, value: Json, past: bool) -> None:
    chat.each(c, at, value, {"output": role_handler(Role.TOOL_RESULT)}, past)


def _prediction(c: Collector, at: str, value: Json, past: bool) -> None:
    c.walk(at, value, {"content": _predicted}, past)


def _predicted(c: Collector, at: str, value: Json, past: bool) -> None:
    chat.content(c, at, value, Role.ASSISTANT, past)


def _extra(c: Collector, at: str, value: Json, past: bool) -> None:
    """Copilot completions: snippets of other files beside the prompt."""
    c.walk(at, value, {"context": role_handler(Role.DOCUMENT)}, past)


def _text_format(c: Collector, at: str, value: Json, past: bool) -> None:
    """`text`: an output format (responses), or a text to read (small endpoints)."""
    if isinstance(value, dict):
        c.walk(at, value, {"format": role_handler(Role.TOOL_DEFINITION)}, past)
    else:
        prompts(c, at, value, past)


metadata = role_handler(Role.METADATA)

BODY: dict[str, Handler] = {
    "model": model,
    "messages": chat.messages,
    "additional_messages": chat.messages,
    "input": _input,
    "inputs": prompts,
    "items": items,
    "events": items,
    "prompt": _prompt,
    "text": _text_format,
    "suffix": role_handler(Role.SUFFIX),
    "instructions": _instructions,
    "additional_instructions": _instructions,
    "query": role_handler(Role.QUERY),
    "documents": role_handler(Role.DOCUMENT),
    "extra": _extra,
    "prediction": _prediction,
    "thread": _thread,
    "tool_outputs": _tool_outputs,
    "tools": tools,
    "functions": tools,
    "plugins": _plugins,
    "tool_choice": tool_choice,
    "function_call": tool_choice,
    "tool_resources": _resources,
    "attachments": chat.attachments,
    "file_ids": _file_ids,
    "input_file_id": chat.file_id,
    "training_file": chat.file_id,
    "validation_file": chat.file_id,
    "file_id": chat.file_id,
    "data_sources": _data_sources,
    "response_format": role_handler(Role.TOOL_DEFINITION),
    "stream": stream,
    "previous_response_id": _previous,
    "conversation": _conversation,
    "prompt_cache_key": _cache_key,
    "client_metadata": metadata,
    "metadata": metadata,
    "user": metadata,
    "safety_identifier": metadata,
}
"""Every top-level key of the family that has a meaning of its own. Any other key is scanned as unknown."""


def batch_file(c: Collector, at: str, text: str) -> bool:
    """The JSON lines of a batch (`{custom_id, method, url, body}`) or of training data; False when they are not JSON.

    Each `body` is read as the endpoint that its `url` names. The file as a whole names no model.
    """
    found = parse(text, **c.bounds)
    if not isinstance(found, Document) or found.rest:
        return False
    c.take(found)
    operation, named = c.operation, c.model
    for index, line in enumerate(found.value if found.sequence else [found.value]):
        url = word(line, "url")
        c.operation = "embedding" if url.endswith("embeddings") else "responses" if "responses" in url else "chat"
        c.walk(f"{at}#jsonl/{index}", line, _LINE)
    c.operation, c.model = operation, named
    return True


def _body(c: Collector, at: str, value: Json, past: bool) -> None:
    c.walk(at, value, BODY, past)


_LINE: dict[str, Handler] = {
    **BODY,
    "body": _body,
    "completion": role_handler(Role.ASSISTANT),
    "preferred_output": chat.messages,
    "non_preferred_output": chat.messages,
}
