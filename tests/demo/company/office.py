"""People at their desks: questions to the assistants that the organisation offers, and to those that it does not."""

from __future__ import annotations

from typing import Any

from tests.demo.company import texts
from tests.demo.company.catalogue import BY_ID, Product
from tests.demo.company.exchange import of
from tests.demo.company.people import Person
from tests.demo.company.planning import Plan
from tests.demo.company.wire import Turn

DESK = {"openai": 100, "azure": 5, "anthropic": 9, "google": 4, "chatgpt": 12, "claude": 3, "ms-copilot": 4,
        "mistral": 2, "cohere": 2, "perplexity": 3, "grammarly": 3, "deepseek-chat": 2, "deepseek": 1, "xai": 1,
        "groq": 1, "huggingface": 1, "together": 1, "elevenlabs": 1, "midjourney": 1, "otter": 1}  # fmt: skip
"""How often people ask whom, out of about a hundred."""
APP = (("user-agent", "NordhavenAssistant/4.2"),)
BROWSER = (("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"),)
CARRIES = 0.11
"""Share of texts that carry something."""
CLINICAL = ("anthropic", "openai")
"""Where charts go: one of the two has signed for it."""
MEMBER = "teresa.fernvale47@fernwick-post.net"
"""A member whose data is asked for at the end (R6): an address that stands in letters of several departments."""


def play(plan: Plan) -> None:
    for person in plan.people:
        for _ in range(plan.rng.choice((plan.size.chats - 1, plan.size.chats, plan.size.chats + 1))):
            _chat(plan, person)
    for what in texts.CARRIED:  # each of them at least once, whatever the seed says
        _carry(plan, plan.rng.choice(plan.of(*what.departments)), what)
    for department in ("Support", "Sales", "Marketing", "Support", "People"):
        person = plan.rng.choice(plan.of(department))
        asked = f"The member {MEMBER} asks when our clinic opens on Saturday. Write two sentences."
        _ask(plan, person, BY_ID["openai"], asked, classes=frozenset({"contact.email"}), values=(MEMBER,))
    for product in DESK:  # and each product too
        _ask(plan, plan.rng.choice(plan.people), BY_ID[product], texts.plain("Marketing", plan.rng))


def _chat(plan: Plan, person: Person) -> None:
    rng = plan.rng
    fitting = [what for what in texts.CARRIED if person.department in what.departments]
    if fitting and rng.random() < CARRIES:
        _carry(plan, person, rng.choice(fitting))
        return
    product = BY_ID[rng.choices(tuple(DESK), tuple(DESK.values()))[0]]
    _ask(plan, person, product, texts.plain(person.department, rng))


def _carry(plan: Plan, person: Person, what: texts.Carried) -> None:
    text, planted = texts.carried(what, plan.rng)
    names = CLINICAL if what.id == "chart" else tuple(DESK)
    product = BY_ID[plan.rng.choices(names, tuple(DESK[n] for n in names))[0]]
    _ask(plan, person, product, text, classes=what.classes, values=planted, rule=what.stops)


def _ask(plan: Plan, person: Person, product: Product, text: str, **truth: Any) -> None:
    model = plan.rng.choices(product.models, range(len(product.models) + 2, 2, -1))[0] if product.models else ""
    plan.ask(
        of(person),
        product,
        [Turn("user", text)],
        model=model,
        key=None if product.is_web else plan.team_key(person.department, product),
        headers=BROWSER if product.is_web else APP,
        client="browser" if product.is_web else "",
        **truth,
    )
