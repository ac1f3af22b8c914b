"""The official Python SDKs, used as their documentation shows. They find the proxy in HTTPS_PROXY and our CA in
SSL_CERT_FILE; nothing else is set, and no base URL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
from google import genai
from google.genai import errors, types

from tests.clients.calling import Client, Refused, Sent

PATIENCE = 30.0
"""Seconds until a client gives up: only a test that fails waits that long."""

API_KEY = "local-test-key"


def _hooks(sent: Sent) -> dict[str, list[Any]]:
    return {"request": [lambda request: sent.body(request.read())]}


def _openai(sent: Sent) -> openai.OpenAI:
    return openai.OpenAI(
        api_key=API_KEY, timeout=PATIENCE, http_client=openai.DefaultHttpxClient(event_hooks=_hooks(sent))
    )


def openai_chat(prompt: str, stream: bool, sent: Sent) -> Iterator[str]:
    with _openai(sent) as client:
        messages: Any = [{"role": "user", "content": prompt}]
        try:
            if not stream:
                yield (
                    client.chat.completions.create(model="gpt-5.5", messages=messages).choices[0].message.content or ""
                )
                return
            for chunk in client.chat.completions.create(model="gpt-5.5", messages=messages, stream=True):
                yield chunk.choices[0].delta.content or ""
        except openai.APIStatusError as e:
            raise Refused(type(e).__name__, e.status_code, str(e)) from e


def openai_responses(prompt: str, stream: bool, sent: Sent) -> Iterator[str]:
    with _openai(sent) as client:
        try:
            if not stream:
                yield client.responses.create(model="gpt-5.5", input=prompt).output_text
                return
            for event in client.responses.create(model="gpt-5.5", input=prompt, stream=True):
                if event.type == "response.output_text.delta":
                    yield event.delta
        except openai.APIStatusError as e:
            raise Refused(type(e).__name__, e.status_code, str(e)) from e


def openai_async(prompt: str, stream: bool, sent: Sent) -> Iterator[str]:
    """The asynchronous client, driven step by step so that its pieces arrive here one at a time."""

    async def pieces() -> Any:
        async def note(request: Any) -> None:
            sent.body(await request.aread())

        transport = openai.DefaultAsyncHttpxClient(event_hooks={"request": [note]})
        messages: Any = [{"role": "user", "content": prompt}]
        async with openai.AsyncOpenAI(api_key=API_KEY, timeout=PATIENCE, http_client=transport) as client:
            try:
                if not stream:
                    answer = await client.chat.completions.create(model="gpt-5.5", messages=messages)
                    yield answer.choices[0].message.content or ""
                    return
                async for chunk in await client.chat.completions.create(
                    model="gpt-5.5", messages=messages, stream=True
                ):
                    yield chunk.choices[0].delta.content or ""
            except openai.APIStatusError as e:
                raise Refused(type(e).__name__, e.status_code, str(e)) from e

    with asyncio.Runner() as runner:
        source = pieces()
        while True:
            try:
                yield runner.run(anext(source))
            except StopAsyncIteration:
                return


def anthropic_messages(prompt: str, stream: bool, sent: Sent) -> Iterator[str]:
    transport = anthropic.DefaultHttpxClient(event_hooks=_hooks(sent))
    with anthropic.Anthropic(api_key=API_KEY, timeout=PATIENCE, http_client=transport) as client:
        messages: Any = [{"role": "user", "content": prompt}]
        try:
            if not stream:
                answer = client.messages.create(model="claude-sonnet-5", max_tokens=64, messages=messages)
                yield "".join(block.text for block in answer.content if block.type == "text")
                return
            with client.messages.stream(model="claude-sonnet-5", max_tokens=64, messages=messages) as events:
                yield from events.text_stream
        except anthropic.APIStatusError as e:
            raise Refused(type(e).__name__, e.status_code, str(e)) from e


def google_genai(prompt: str, stream: bool, sent: Sent) -> Iterator[str]:
    options = types.HttpOptions(timeout=int(PATIENCE * 1000), client_args={"event_hooks": _hooks(sent)})
    with genai.Client(api_key=API_KEY, http_options=options) as client:
        try:
            if not stream:
                yield client.models.generate_content(model="gemini-2.5-flash", contents=prompt).text or ""
                return
            for chunk in client.models.generate_content_stream(model="gemini-2.5-flash", contents=prompt):
                yield chunk.text or ""
        except errors.APIError as e:
            raise Refused(type(e).__name__, e.code, str(e)) from e


CLIENTS = (
    Client("python-openai-chat", "api.openai.com", openai_chat),
    Client("python-openai-responses", "api.openai.com", openai_responses),
    Client("python-openai-async", "api.openai.com", openai_async),
    Client("python-anthropic", "api.anthropic.com", anthropic_messages),
    Client("python-google-genai", "generativelanguage.googleapis.com", google_genai),
)
