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
        "mistral": 2, "cohere": 8, "perplexity": 7, "grammarly": 3, "deepseek-chat": 2, "deepseek": 4, "xai": 6,
        "groq": 4, "huggingface": 5, "together": 2, "elevenlabs": 5, "midjourney": 6, "otter": 4}  # fmt: skip
"""How often people ask whom, out of about a hundred."""
_TECHNICAL = ("Engineering", "Data")
FOUND = {
    "cohere": ("Data",),
    "xai": ("Marketing",),
    "groq": _TECHNICAL,
    "together": _TECHNICAL,
    "huggingface": ("Data",),
    "deepseek": ("Engineering",),
    "elevenlabs": ("Marketing",),
    "midjourney": ("Marketing",),
    "otter": ("Sales", "People"),
    "perplexity": ("Legal", "Finance", "Sales", "Security"),
}
"""Products that only some departments use; the others are asked by everybody."""
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
        person = plan.rng.choice(plan.of(*FOUND.get(product, ("Marketing",))))
        _ask(plan, person, BY_ID[product], texts.plain(person.department, plan.rng))


def _chat(plan: Plan, person: Person) -> None:
    rng = plan.rng
    fitting = [what for what in texts.CARRIED if person.department in what.departments]
    if fitting and rng.random() < CARRIES:
        _carry(plan, person, rng.choices(fitting, [what.often for what in fitting])[0])
        return
    _ask(plan, person, _product(plan, person), texts.plain(person.department, rng))


def _product(plan: Plan, person: Person) -> Product:
    """Whom somebody asks: what is offered to everybody, and what people of some departments found for themselves."""
    names = [name for name in DESK if person.department in FOUND.get(name, (person.department,))]
    return BY_ID[plan.rng.choices(names, [DESK[name] for name in names])[0]]


def _carry(plan: Plan, person: Person, what: texts.Carried) -> None:
    text, planted = texts.carried(what, plan.rng)
    product = _product(plan, person)
    if what.id == "chart":
        product = BY_ID[plan.rng.choices(CLINICAL, [DESK[name] for name in CLINICAL])[0]]
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
