"""What is read of an answer, format by format: names and numbers, never a text.

Sources: openai-python 3.54, anthropic-python 2.12, google-genai 3.4 response types. Numbers are the provider's own, not
made comparable: Anthropic's `input_tokens` are without those read from the cache, everybody else's with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from sluice.answers.prune import Tree, tree_of

MOST_CALLS = 200
"""Tool calls that are kept of one answer; more are counted nowhere."""


@dataclass(slots=True)
class Found:
    """**P** What was read so far. Texts are the provider's own words and have not been looked at yet."""

    model: str | None = None
    id: str | None = None
    finish: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_cached: int | None = None
    tokens_reasoning: int | None = None
    calls: dict[object, str] = field(default_factory=dict)
    """By their place in the answer, so that a call which is told in pieces counts once."""

    def name(self, model: Any, identity: Any) -> None:
        """The first name counts: later events repeat it."""
        self.model = self.model or _text(model)
        self.id = self.id or _text(identity)

    def count(self, taken: Any, given: Any, cached: Any, reasoning: Any) -> None:
        """The last numbers count: those of a stream are running totals."""
        self.tokens_in = _number(taken, self.tokens_in)
        self.tokens_out = _number(given, self.tokens_out)
        self.tokens_cached = _number(cached, self.tokens_cached)
        self.tokens_reasoning = _number(reasoning, self.tokens_reasoning)

    def call(self, place: object, name: Any) -> None:
        if isinstance(name, str) and name and len(self.calls) < MOST_CALLS:
            self.calls.setdefault(place, name)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: Any, before: int | None) -> int | None:
    return value if type(value) is int and 0 <= value < 2**53 else before


class Shape(msgspec.Struct, gc=False):
    """A struct of this page: keys that it does not name are passed over."""


# -------------------------------------------------------------------------------------------------------------- OpenAI


class Name(Shape):
    name: Any = None


class ToolCall(Shape):
    index: Any = None
    type: Any = None
    function: Name | None = None
    custom: Name | None = None


class Message(Shape):
    tool_calls: list[ToolCall] | None = None
    function_call: Name | None = None


class Choice(Shape):
    index: Any = None
    finish_reason: Any = None
    message: Message | None = None
    delta: Message | None = None


class Cached(Shape):
    cached_tokens: Any = None


class Reasoned(Shape):
    reasoning_tokens: Any = None


class OpenAIUsage(Shape):
    prompt_tokens: Any = None
    completion_tokens: Any = None
    prompt_tokens_details: Cached | None = None
    completion_tokens_details: Reasoned | None = None
    input_tokens: Any = None
    output_tokens: Any = None
    input_tokens_details: Cached | None = None
    output_tokens_details: Reasoned | None = None


class Item(Shape):
    """An output item of the Responses API."""

    type: Any = None
    name: Any = None


class Incomplete(Shape):
    reason: Any = None


class Response(Shape):
    id: Any = None
    model: Any = None
    status: Any = None
    usage: OpenAIUsage | None = None
    output: list[Item] | None = None
    incomplete_details: Incomplete | None = None


class OpenAI(Response):
    """Chat, completions, embeddings, responses, and the events of the first two and of the last."""

    type: Any = None
    choices: list[Choice] | None = None
    response: Response | None = None
    item: Item | None = None
    output_index: Any = None


def openai(found: Found, told: OpenAI) -> None:
    """One answer or event. Mistral, Groq, Azure and the many others differ in nothing that is read here."""
    for at, choice in enumerate(told.choices or ()):
        place = choice.index if type(choice.index) is int else at
        if place == 0:
            found.finish = _text(choice.finish_reason) or found.finish
        for message in (choice.message, choice.delta):
            if message is None:
                continue
            for order, call in enumerate(message.tool_calls or ()):
                named = call.function or call.custom
                found.call((place, call.index if type(call.index) is int else order), named and named.name)
            if message.function_call is not None:
                found.call((place, "function_call"), message.function_call.name)
    if told.response is not None:
        _response(found, told.response)
    elif told.item is not None:
        _item(found, told.output_index if type(told.output_index) is int else -1, told.item)
    else:
        _response(found, told)


def _response(found: Found, told: Response) -> None:
    found.name(told.model, told.id)
    if told.usage is not None:
        _openai_usage(found, told.usage)
    for place, item in enumerate(told.output or ()):
        _item(found, place, item)
    if told.incomplete_details is not None and told.incomplete_details.reason:
        found.finish = _text(told.incomplete_details.reason)
    elif told.status not in (None, "in_progress", "queued"):
        found.finish = _text(told.status) or found.finish


def _item(found: Found, place: int, item: Item) -> None:
    """`function_call`, `custom_tool_call`, `mcp_call`, `web_search_call` ...: by name, or by kind where it has none."""
    if isinstance(item.type, str) and item.type.endswith("_call"):
        found.call(place, item.name if isinstance(item.name, str) else item.type)


def _openai_usage(found: Found, usage: OpenAIUsage) -> None:
    before = usage.prompt_tokens_details or usage.input_tokens_details
    after = usage.completion_tokens_details or usage.output_tokens_details
    found.count(
        usage.input_tokens if usage.prompt_tokens is None else usage.prompt_tokens,
        usage.output_tokens if usage.completion_tokens is None else usage.completion_tokens,
        before and before.cached_tokens,
        after and after.reasoning_tokens,
    )


# ----------------------------------------------------------------------------------------------------------- Anthropic


class AnthropicUsage(Shape):
    input_tokens: Any = None
    output_tokens: Any = None
    cache_read_input_tokens: Any = None


class Block(Shape):
    type: Any = None
    name: Any = None


class Ended(Shape):
    stop_reason: Any = None


class AnthropicMessage(Ended):
    id: Any = None
    model: Any = None
    usage: AnthropicUsage | None = None
    content: list[Block] | None = None


class Anthropic(AnthropicMessage):
    """A message, a count, or one event of a stream."""

    index: Any = None
    message: AnthropicMessage | None = None
    content_block: Block | None = None
    delta: Ended | None = None
    input_tokens: Any = None


def anthropic(found: Found, told: Anthropic) -> None:
    """One message or event: names in `message_start`, calls in `content_block_start`, the rest in `message_delta`."""
    for message in (told, told.message):
        if message is None:
            continue
        found.name(message.model, message.id)
        found.finish = _text(message.stop_reason) or found.finish
        if (usage := message.usage) is not None:
            found.count(usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens, None)
        for place, block in enumerate(message.content or ()):
            _block(found, place, block)
    if told.content_block is not None:
        _block(found, told.index if type(told.index) is int else -1, told.content_block)
    if told.delta is not None:
        found.finish = _text(told.delta.stop_reason) or found.finish
    found.count(told.input_tokens, None, None, None)


def _block(found: Found, place: int, block: Block) -> None:
    """`tool_use`, `server_tool_use`, `mcp_tool_use`."""
    if isinstance(block.type, str) and block.type.endswith("tool_use"):
        found.call(place, block.name)


# -------------------------------------------------------------------------------------------------------------- Google


class GooglePart(Shape, rename="camel"):
    function_call: Name | None = None


class Content(Shape):
    parts: list[GooglePart] | None = None


class Candidate(Shape, rename="camel"):
    index: Any = None
    finish_reason: Any = None
    content: Content | None = None


class GoogleUsage(Shape, rename="camel"):
    prompt_token_count: Any = None
    candidates_token_count: Any = None
    cached_content_token_count: Any = None
    thoughts_token_count: Any = None


class Generated(Shape, rename="camel"):
    candidates: list[Candidate] | None = None
    usage_metadata: GoogleUsage | None = None
    model_version: Any = None
    response_id: Any = None
    total_tokens: Any = None


class Google(Generated):
    """`generateContent`, a piece of `streamGenerateContent`, `countTokens`; Cloud Code wraps them in `response`."""

    response: Generated | None = None


def google(found: Found, told: Google) -> None:
    """One answer, or one piece of it; every piece brings its own calls."""
    for piece in (told, told.response):
        if piece is None:
            continue
        found.name(piece.model_version, piece.response_id)
        if (usage := piece.usage_metadata) is not None:
            found.count(
                usage.prompt_token_count,
                usage.candidates_token_count,
                usage.cached_content_token_count,
                usage.thoughts_token_count,
            )
        found.count(piece.total_tokens, None, None, None)
        for candidate in piece.candidates or ():
            if candidate.index in (None, 0):
                found.finish = _text(candidate.finish_reason) or found.finish
            for part in (candidate.content and candidate.content.parts) or ():
                if part.function_call is not None:
                    found.call(len(found.calls), part.function_call.name)


# ---------------------------------------------------------------------------------------------------------------- all


@dataclass(frozen=True, slots=True)
class Format:
    """How one family's answers are read. `dull` stands near the beginning of the events that only carry text."""

    decode: Callable[[bytes], Any]
    decode_all: Callable[[bytes], Iterable[Any]]
    note: Callable[[Found, Any], None]
    tree: Tree
    dull: tuple[bytes, ...] = ()

    def is_dull(self, event: bytes) -> bool:
        head = event[:96]
        return any(word in head for word in self.dull)


def _format[T: msgspec.Struct](kind: type[T], note: Callable[[Found, T], None], *dull: bytes) -> Format:
    many = msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]
    return Format(msgspec.json.Decoder(kind).decode, many.decode, note, tree_of(kind), dull)


FORMATS = {
    "openai": _format(OpenAI, openai, b'.delta"'),
    "anthropic": _format(Anthropic, anthropic, b'"content_block_delta"', b'"ping"'),
    "google": _format(Google, google),
}
"""By the dialect of the route. Anything else is not read."""
