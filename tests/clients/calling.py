"""What the client tests ask of every client alike: send one prompt, give the answer piece by piece, or say why not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

type Ask = Callable[[str, bool, Sent], Iterator[str]]
"""prompt, stream, sent -> pieces of the answer."""


@dataclass(frozen=True, slots=True)
class Client:
    """One way to reach a provider. `ask(prompt, stream, sent)` yields the pieces of the answer as they arrive; it puts
    the SHA-256 of each body that it sends into `sent`, and raises `Refused` for an error answer."""

    name: str
    host: str
    ask: Ask

    def __str__(self) -> str:
        return self.name


@dataclass(slots=True)
class Sent:
    """What a client handed to its transport: one digest for each attempt."""

    digests: list[str] = field(default_factory=list)

    def body(self, body: bytes) -> None:
        self.digests.append(hashlib.sha256(body).hexdigest())


class Refused(Exception):
    """The client's own error, as its user sees it: class name, HTTP status, text."""

    def __init__(self, kind: str, status: int, message: str) -> None:
        self.kind = kind
        self.status = status
        self.message = message
        super().__init__(f"{kind} {status}: {message}")
