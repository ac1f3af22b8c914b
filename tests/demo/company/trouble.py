"""What should not be so: keys of one's own, keys that travel, guests, tunnels, bodies that nobody can read."""

from __future__ import annotations

from dataclasses import replace

from tests.demo.company import texts, values
from tests.demo.company.catalogue import BESIDE, BY_ID, UNREAD
from tests.demo.company.exchange import Sender, of
from tests.demo.company.office import APP, BROWSER
from tests.demo.company.planning import Plan
from tests.demo.company.texts import SECRETS
from tests.demo.company.wire import Turn

GUESTS = "127.50.0"
"""The network of visitors: nobody knows who they are."""
_PICTURE = "What is wrong with the layout in this picture of our page?"


def play(plan: Plan) -> None:
    _own_keys(plan)
    _odd_keys(plan)
    _guests(plan)
    _unread(plan)
    _tunnels(plan)


def _own_keys(plan: Plan) -> None:
    """Some people pay for themselves: the answers name an account that is not ours. One of them asks why his key does
    not work, and pastes it."""
    openai = BY_ID["openai"]
    count = max(2, len(plan.people) // 50)
    for number, person in enumerate(plan.rng.sample(plan.of("Engineering", "Data", "Marketing", "Sales"), count)):
        value = values.ai_key(plan.rng) if number == 0 else values.api_key("sk-proj-", plan.rng)
        key = plan.key("", "openai", value=value, organisation=f"user-{person.login.partition('.')[0]}")
        line = f"own key {number}"
        for _ in range(4):
            text = texts.plain(person.department, plan.rng)
            plan.ask(of(person), openai, [Turn("user", text)], key=key, line=line, headers=APP)
        if number == 0:
            text = f"The console says that OPENAI_API_KEY={value} is not valid, but it works here. Why?"
            plan.ask(of(person), openai, [Turn("user", text)], key=key, line=line, headers=APP, values=(value,),
                     classes=frozenset({"secret.ai-key"}), rule=SECRETS)  # fmt: skip


def _odd_keys(plan: Plan) -> None:
    """An administrator's key at work, a legacy key, a key that is used from six networks, one that nobody uses."""
    openai = BY_ID["openai"]
    operators = plan.of("IT Operations")
    for prefix, place in (("sk-admin-", "vault/openai/admin"), ("sk-", "")):
        owner = "team:it-operations" if place else ""
        key = plan.key(prefix, "openai", owner=owner, place=place, age=600, shared=True)
        for person in operators[:2]:
            text = texts.plain("IT Operations", plan.rng)
            plan.ask(of(person), openai, [Turn("user", text)], key=key, line=f"{prefix} {person.login}", headers=APP)
    travelling = plan.key("sk-proj-", "openai", owner="service:kiosk", place="vault/kiosk", age=90)
    for network in range(6):
        sender = Sender("service:kiosk", f"127.{70 + network}.0.9", "key_map", "Support", "service")
        for _ in range(2):
            text = texts.plain("Support", plan.rng)
            plan.ask(sender, openai, [Turn("user", text)], key=travelling, line=f"kiosk {network}", headers=APP)
    plan.key("sk-proj-", "openai", owner="service:pilot-2025", place="vault/pilot", age=300)


def _guests(plan: Plan) -> None:
    for number in range(max(3, len(plan.people) // 40)):
        address = f"{GUESTS}.{number + 1}"
        sender = Sender(address, address, "none")
        for _ in range(3):
            text = texts.plain(plan.rng.choice(("Marketing", "Sales")), plan.rng)
            plan.ask(sender, BY_ID["chatgpt"], [Turn("user", text)], headers=BROWSER, client="browser")
    anonymous = replace(BY_ID["chatgpt"], path="/backend-anon/conversation")
    for person in plan.rng.sample(plan.people, 2):
        text = texts.plain(person.department, plan.rng)
        plan.ask(of(person), anonymous, [Turn("user", text)], headers=BROWSER, client="browser")


def _unread(plan: Plan) -> None:
    """Pictures, a body that ends too early, a compression that nobody knows, and a WebSocket."""
    openai, claude = BY_ID["openai"], BY_ID["anthropic"]
    people = plan.rng.sample(plan.of("Marketing", "Support", "Clinical Services", "Engineering"), 6)
    for number in range(max(4, len(plan.people) // 20)):
        person, product = people[number % len(people)], (openai, claude)[number % 2]
        key = plan.team_key(person.department, product)
        plan.ask(of(person), product, [Turn("user", _PICTURE)], key=key, picture=True, headers=APP)
    for number in range(3):
        key = plan.team_key(people[number].department, openai)
        plain = plan.ask(of(people[number]), openai, [Turn("user", "A body that ends")], key=key, headers=APP,
                         failed_open=True, line=f"broken {number}")  # fmt: skip
        plan.exchanges[-1] = replace(plain, body=plain.body[:-30], model="", answer=replace(plain.answer, stream=False))
    key = plan.team_key(people[0].department, openai)
    coding = (("content-encoding", "lzma"),)
    plan.ask(of(people[0]), openai, [Turn("user", "?")], key=key, headers=(*APP, *coding), line="odd coding",
                   refused="UNKNOWN_ENCODING")  # fmt: skip
    for person in people[:2]:
        plan.add(
            sender=of(person), product=openai, host=openai.host, line=f"socket {person.login}", path="/v1/realtime",
            kind="websocket", refused="WEBSOCKET", operation="realtime", route="openai.realtime",
        )  # fmt: skip


def _tunnels(plan: Plan) -> None:
    engineers = plan.of("Engineering", "Data")
    for number, person in enumerate(engineers[: max(4, len(plan.people) // 12)]):
        hosts = (UNREAD.host, BESIDE[1]) if number % 4 else (UNREAD.host, *BESIDE)
        for host in hosts:
            product = UNREAD if host == UNREAD.host else None
            plan.add(sender=of(person), product=product, host=host, line=f"tunnel {person.login} {host}", path="/",
                     kind="tunnel")  # fmt: skip
