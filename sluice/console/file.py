"""What a download sends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sluice.config import Settings
from sluice.console.given import Given
from sluice.console.store import Asker


@dataclass(frozen=True, slots=True)
class File:
    """A file. `sha256` is of the question behind it, `rows` how many rows came back."""

    name: str
    media_type: str
    body: bytes
    sha256: str
    rows: int


type Download = Callable[[Given, Settings, Asker], Awaitable[File]]
