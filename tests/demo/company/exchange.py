"""One request of the day, with the truth about it: everything that the counts at the end are made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tests.demo.company.catalogue import BESIDE, PROHIBITED, Product
from tests.demo.company.people import BRANCH_PROXY, Person

type Identity = Literal["ip_map", "header_trusted", "proxy_basic", "key_map", "none"]
PASSWORD = "day-at-nordhaven-{login}"
PROHIBITED_RULE, FORBIDDEN_TOOL_RULE = "prohibited-provider", "no-money-by-machine"
FORBIDDEN_TOOLS = ("transfer_funds",)
"""What the site's policy lets no agent offer."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who asks, and how the gate can know. `subject` is what the gate should find out; an address where it cannot."""

    subject: str
    address: str
    identity: Identity
    department: str = ""
    role: str = ""

    @property
    def login(self) -> str:
        return self.subject.partition(":")[2]


def of(person: Person) -> Sender:
    return Sender(person.subject, person.address, person.method, person.department, person.role)


@dataclass(frozen=True, slots=True)
class Key:
    """An API key. `owner` is the subject in the register of keys, empty where it is in none; `organisation` is what the
    provider's answers call the account. `place` is the vault; `age` is how many days ago it was made."""

    value: str
    provider: str
    owner: str = ""
    organisation: str = ""
    place: str = ""
    age: int = 40
    shared: bool = False
    kind: str = ""

    @property
    def registered(self) -> bool:
        return bool(self.owner)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider answers: the model that it names, tokens, the tools that it calls."""

    model: str = ""
    calls: tuple[str, ...] = ()
    tokens_in: int = 0
    tokens_out: int = 0
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Exchange:
    """`id` travels as `x-request-id`, so that the provider on loopback knows what to answer and counts what arrived.

    `client` is the name that the client's headers give it, `agent` the agent that asks (of the register or by that
    name). `line` groups what goes over one connection, in order. `kind` is what goes out: `request`, `tunnel` (opaque)
    or `websocket`. `classes` are the data classes that are in it, `values` what must be found nowhere.
    """

    id: str
    line: str
    sender: Sender
    product: Product | None
    host: str
    path: str
    body: bytes = field(default=b"", repr=False)
    headers: tuple[tuple[str, str], ...] = ()
    answer: Answer = Answer()
    kind: Literal["request", "tunnel", "websocket"] = "request"
    operation: str = "other"
    route: str = "opaque"
    model: str = ""
    client: str = ""
    agent: str = ""
    key: Key | None = None
    tools: tuple[str, ...] = ()
    hosted: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    classes: frozenset[str] = frozenset()
    values: tuple[str, ...] = field(default=(), repr=False)
    rule: str = ""
    """The rule that must stop it, as whoever wrote the request knows; empty where it may pass."""
    refused: str = ""
    """The reason code where it cannot be decided and is refused."""
    failed_open: bool = False
    """It cannot be decided, and the site lets it pass."""
    tool_result: bool = False
    unread: bool = False
    """It holds bytes that the gate does not read."""

    @property
    def decision(self) -> str:
        return "refuse" if self.refused else "block" if self.stopped_by else "allow"

    @property
    def stopped_by(self) -> str:
        """The first rule of the policy that stops it; empty where none does."""
        if self.product is not None and self.product.status == PROHIBITED:
            return PROHIBITED_RULE
        if self.rule:
            return self.rule
        return FORBIDDEN_TOOL_RULE if set(self.tools) & set(FORBIDDEN_TOOLS) else ""

    @property
    def arrives(self) -> bool:
        """Whether the provider gets to see it as a request."""
        return self.kind == "request" and self.decision == "allow"

    @property
    def decided(self) -> bool:
        """Whether it is a decision of the gate (a tunnel is a bypass record)."""
        return self.kind != "tunnel"

    @property
    def provider(self) -> str:
        """Who receives it; of tunnels the records name nobody."""
        return self.product.provider if self.product is not None and self.decided else ""


def is_branch(sender: Sender) -> bool:
    return sender.address == BRANCH_PROXY


__all__ = ["BESIDE", "PASSWORD", "Answer", "Exchange", "Key", "Sender", "is_branch", "of"]
