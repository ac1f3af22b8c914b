"""The plan of a day while it is being made: the seed, the people, the keys, and the requests in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.demo.company import values, wire
from tests.demo.company.catalogue import SERVED, Product
from tests.demo.company.exchange import Answer, Exchange, Key, Sender
from tests.demo.company.people import DEPARTMENTS, Person, people
from tests.demo.company.tools import McpServer, Tool
from tests.demo.company.wire import Turn

OURS = {
    "openai": "org-nordhaven",
    "anthropic": "00000000-0000-4000-8000-00000000a0a0",
}
"""The organisation's accounts, as answers name them."""


@dataclass(frozen=True, slots=True)
class Size:
    """How big the day is: people, requests of each, sessions of coding agents, runs of each of our own agents."""

    people: int = 400
    chats: int = 7
    sessions: int = 110
    turns: int = 9
    runs: int = 26
    records: int = 60

    @classmethod
    def small(cls) -> Size:
        return cls(people=40, chats=3, sessions=11, turns=5, runs=2, records=6)

    @classmethod
    def of(cls, people: int) -> Size:
        """The whole size for so many people: agents and jobs shrink with them."""
        whole = cls()
        sessions, runs = max(11, whole.sessions * people // 400), max(2, whole.runs * people // 400)
        return cls(people, whole.chats, sessions, whole.turns, runs, max(6, whole.records * people // 400))


@dataclass(slots=True)
class Plan:
    """`seed` makes everything. The lists only grow."""

    size: Size
    seed: int = 5
    rng: Random = field(init=False)
    people: tuple[Person, ...] = field(init=False)
    exchanges: list[Exchange] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    team_keys: dict[tuple[str, str], Key] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)
        self.people = people(self.size.people, self.rng)

    def key(self, prefix: str, provider: str, **more: Any) -> Key:
        """A new key; those of the organisation are answered with its account."""
        more.setdefault("organisation", OURS.get(provider, ""))
        more.setdefault("value", values.api_key(prefix or "nh_", self.rng))
        made = Key(provider=provider, **more)
        self.keys.append(made)
        return made

    def team_key(self, department: str, product: Product) -> Key:
        """The key that a department shares for a product. Marketing never said that it shares its own."""
        place = (department, product.provider)
        if place not in self.team_keys:
            team = f"team:{department.lower().replace(' ', '-')}"
            age = 420 if department == "Logistics" else 20 + 9 * [d.name for d in DEPARTMENTS].index(department)
            self.team_keys[place] = self.key(
                product.key,
                product.provider,
                owner=team,
                place=f"vault/{product.provider}/{team.partition(':')[2]}",
                shared=department != "Marketing",
                age=age,
            )
        return self.team_keys[place]

    def of(self, *departments: str) -> list[Person]:
        return [p for p in self.people if p.department in departments]

    def ask(
        self,
        sender: Sender,
        product: Product,
        turns: Sequence[Turn],
        *,
        model: str = "",
        line: str = "",
        system: str = "",
        key: Key | None = None,
        tools: Sequence[Tool] = (),
        hosted: Sequence[str] = (),
        servers: Sequence[McpServer] = (),
        headers: Sequence[tuple[str, str]] = (),
        picture: bool = False,
        calls: Sequence[str] = (),
        **truth: Any,
    ) -> Exchange:
        """Add a request in the product's wire format, with an answer of a provider's size."""
        rng = self.rng
        model = model or (product.models[0] if product.models else "")
        stream = product.wire in ("openai", "anthropic", "google") and not tools and rng.random() < 0.25
        body = wire.body(
            product, model, turns, system=system, tools=tools, hosted=hosted, servers=servers, stream=stream,
            picture=picture,
        )  # fmt: skip
        operation, route = wire.where(product)
        reads = not product.is_web
        answer = Answer(
            model=SERVED.get(model, model) if reads else "",
            calls=tuple(calls),
            tokens_in=(len(body) // 4 + 1) if reads else 0,
            tokens_out=rng.randrange(20, 600) if reads and product.wire != "embeddings" else 0,
            stream=stream,
        )
        return self.add(
            sender=sender,
            product=product,
            host=product.host,
            line=line or f"{sender.subject} {product.host}",
            path=wire.path(product, model, stream=stream),
            body=body,
            headers=(*_credential(product, key), *headers, ("content-type", "application/json")),
            answer=answer,
            operation=operation,
            route=route,
            model=model,
            key=key,
            tools=tuple(t.name for t in tools),
            hosted=tuple(hosted),
            servers=tuple(s.label for s in servers),
            unread=picture,
            tool_result=any(t.who == "result" for t in turns),
            **truth,
        )

    def add(self, **facts: Any) -> Exchange:
        made = Exchange(id=f"day{self.seed}-{len(self.exchanges):05}", **facts)
        self.exchanges.append(made)
        return made


def _credential(product: Product, key: Key | None) -> tuple[tuple[str, str], ...]:
    """Where the provider's clients put the key."""
    if key is None:
        return ()
    match product.provider:
        case "anthropic":
            return (("x-api-key", key.value), ("anthropic-version", "2023-06-01"))
        case "google":
            return (("x-goog-api-key", key.value),)
        case "azure-openai":
            return (("api-key", key.value),)
    return (("authorization", f"Bearer {key.value}"),)
