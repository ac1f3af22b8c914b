"""What the demonstration sends: everyday requests of real clients, some clean, some with what must not leave."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import anthropic
import openai

from tests.clients import curl, planted, python_sdks
from tests.clients.calling import Refused, Sent


@dataclass(frozen=True, slots=True)
class Scene:
    """One call. `asks` is what the audience reads, with the planted value described and not shown; `planted` holds the
    values, so that the end can prove that none of them is in a row."""

    client: str
    asks: str
    act: Callable[[], Iterator[str]]
    planted: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        return not self.planted


def scenes() -> Iterator[Scene]:
    """The whole programme, in order. Secrets are made up anew in each run."""
    chat, google, claude = python_sdks.openai_chat, python_sdks.google_genai, python_sdks.anthropic_messages
    yield Scene("openai (Python)", "Explain TLS in one sentence.", _ask(chat, "Explain TLS in one sentence.", False))
    yield Scene("openai (Python), streaming", "Write a haiku about rivers.", _ask(chat, "A haiku on rivers.", True))

    key, secret = planted.aws_access_key(), planted.aws_secret_key()
    log = f"ERROR boto3: denied\n[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
    yield Scene(
        "openai (Python)",
        "Why does my deployment fail?\n<a log file, with an AWS key pair in the middle>",
        _ask(chat, f"Why does my deployment fail?\n{log * 3}", False),
        (key, secret),
    )

    yield Scene("anthropic (Python), streaming", "Summarise RFC 9110.", _ask(claude, "Summarise RFC 9110.", True))
    pem = planted.private_key()
    yield Scene(
        "anthropic (Python)",
        "<an agent returns the result of its read_file tool: ~/.ssh/id_rsa, a private key>",
        partial(_tool_result, pem),
        tuple(line for line in pem.splitlines() if "-----" not in line)[:3],
    )

    yield Scene(
        "google-genai (Python)", "Name three alpine flowers.", _ask(google, "Name three alpine flowers.", False)
    )
    number = planted.ssn()
    yield Scene(
        "google-genai (Python), streaming",
        "Draft a letter to our employee.\n<with a US social security number>",
        _ask(google, f"Draft a letter to our employee Jane Roe, SSN {number}, on her new salary.", True),
        (number,),
    )

    card = planted.card_number()
    yield Scene(
        "openai (Python), embeddings",
        "<a row of the customer table, with a payment card number, on its way into a vector store>",
        partial(_embedding, f"customer 4711; J. Roe; card {card}; expires 09/29"),
        (card,),
    )
    if shutil.which("curl"):
        yield Scene("curl, HTTP/2, zstd body", "What is 6 x 7?", _ask(curl.CLIENTS[-1].ask, "What is 6 x 7?", False))
        token = planted.github_token()
        yield Scene(
            "curl, HTTP/2, gzip body",
            "Review this CI script.\n<with a GitHub token; the body is compressed>",
            _ask(curl.CLIENTS[-2].ask, f"Review this CI script: git clone https://{token}@github.com/a/b", False),
            (token,),
        )


def _ask(client: Callable[[str, bool, Sent], Iterator[str]], prompt: str, stream: bool) -> Callable[[], Iterator[str]]:
    return partial(client, prompt, stream, Sent())


def _tool_result(content: str) -> Iterator[str]:
    conversation: Any = [
        {"role": "user", "content": "Set up deployment for this repository."},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "tool_1", "name": "read_file", "input": {"path": "~/.ssh/id_rsa"}}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "tool_1", "content": content}]},
    ]
    with anthropic.Anthropic(api_key=python_sdks.API_KEY, timeout=python_sdks.PATIENCE) as client:
        try:
            answer = client.messages.create(model="claude-sonnet-5", max_tokens=64, messages=conversation)
            yield "".join(block.text for block in answer.content if block.type == "text")
        except anthropic.APIStatusError as e:
            raise Refused(type(e).__name__, e.status_code, str(e)) from e


def _embedding(text: str) -> Iterator[str]:
    with openai.OpenAI(api_key=python_sdks.API_KEY, timeout=python_sdks.PATIENCE) as client:
        try:
            answer = client.embeddings.create(model="text-embedding-3-small", input=text)
            yield f"a vector of {len(answer.data[0].embedding)} numbers"
        except openai.APIStatusError as e:
            raise Refused(type(e).__name__, e.status_code, str(e)) from e
