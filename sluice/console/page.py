"""A page: which questions it asks, and what is made of the answers. Pages ask nothing themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sluice.config import Settings
from sluice.console.given import Given
from sluice.posture import question
from sluice.posture.question import Table

type Context = dict[str, object]
type Answers = Mapping[str, Table]


@dataclass(frozen=True, slots=True)
class Question:
    """One question to the store. `title` says for people what its answer is. `asked`: its answer is on the page; else
    it is only shown, as what is behind a number that was computed before."""

    title: str
    sql: str
    asked: bool = True

    @property
    def sha256(self) -> str:
        return question.digest(self.sql)


@dataclass(frozen=True, slots=True)
class Page:
    """What a page needs and how it is filled. `pinned`: fields that make a link to this page mean the same later.

    `looks`: it shows records of single requests, people or keys, so that looking is recorded.
    """

    template: str
    title: str
    questions: Mapping[str, Question]
    fill: Callable[[Answers], Context]
    pinned: Mapping[str, str] = field(default_factory=dict)
    looks: bool = True


type View = Callable[[Given, Settings], Page]


class Missing(Exception):
    """There is no such page, or nothing of that id on record."""
