"""The pages, by path; and what can be downloaded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sluice.config import Settings
from sluice.console.given import Given
from sluice.console.page import View
from sluice.console.pages import decision, decisions, overview
from sluice.console.store import Asker

NAV = (
    ("/", "Overview"),
    ("/decisions", "Decisions"),
)

VIEWS: dict[str, View] = {
    "/": overview.view,
    "/decisions": decisions.view,
    "/decisions/{id}": decision.view,
}


@dataclass(frozen=True, slots=True)
class File:
    """What a download sends. `sha256` is of the question, `rows` how many came back."""

    name: str
    media_type: str
    body: bytes
    sha256: str
    rows: int


type Download = Callable[[Given, Settings, Asker], Awaitable[File]]

DOWNLOADS: dict[str, Download] = {}
