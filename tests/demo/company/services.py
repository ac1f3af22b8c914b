"""The organisation's own agents, and the jobs that put records into vector stores. Their API keys say who they are."""

from __future__ import annotations

from tests.demo.company import values
from tests.demo.company.agents import OWN, Agent
from tests.demo.company.catalogue import BY_ID, EMBEDDINGS
from tests.demo.company.exchange import Key, Sender
from tests.demo.company.planning import Plan
from tests.demo.company.texts import CARDS
from tests.demo.company.wire import Turn

SERVERS = "127.60.0"
"""The network that machines ask from: no address there belongs to anybody."""
_MAIL, _CHART = frozenset({"contact.email"}), frozenset(
    {"health.record-number", "health.condition", "health.medication", "health.clinical", "phi.record"}
)  # fmt: skip
READS = {
    "read_ticket": ("Ticket: the card for the clinic did not arrive, answer to {mail}", _MAIL),
    "read_crm": ("Customer since spring, 40 drivers, answer to {mail}", _MAIL),
    "list_appointments": ("Tomorrow at nine, room 4, {mail}", _MAIL),
    "read_application": ("Applies as a planner, has led a depot, {mail}", _MAIL),
    "read_chart": ("Patient MRN: {mrn}, diagnosed with type 2 diabetes, metformin 500 mg twice daily", _CHART),
    "read_invoice": ("Cleaning in the Utrecht building, pay to {iban}", frozenset({"financial.iban"})),
}
"""What these tools return; the others say that it is done."""


def play(plan: Plan) -> None:
    for place, agent in enumerate(OWN):
        key = plan.key(agent.product.key, agent.product.provider, owner=agent.subject, place=f"vault/{agent.id}",
                       age=230 if agent.id == "board-briefer" else 35)  # fmt: skip
        sender = Sender(agent.subject, f"{SERVERS}.{place + 1}", "key_map", agent.department, "service")
        for run in range(plan.size.runs * plan.rng.choice((1, 2, 2, 3)) // 2):
            _run(plan, sender, agent, key, f"{agent.id} {run % 4}")
    _records(plan)


def _run(plan: Plan, sender: Sender, agent: Agent, key: Key, line: str) -> None:
    """One piece of work: the model asks for a tool, gets what it returned, and is done."""
    rng = plan.rng
    tool = agent.tools[0]
    text, classes = READS.get(tool.name, ("done", frozenset()))
    mrn, mail, iban = values.record_number(rng), values.email(f"hugo.wrenmore{rng.randrange(90)}"), values.iban(rng)
    shown = text.format(mrn=mrn, mail=mail, iban=iban)
    planted = tuple(v for v in (mrn, mail, iban) if v in shown)
    first = [Turn("user", f"Work on item {rng.randrange(1000, 9999)} of the queue.")]
    second = [*first, Turn("call", "the item", tool.name), Turn("result", shown)]
    after = rng.choice(agent.acts).name if agent.acts else tool.name
    for turns, found, held, call in ((first, frozenset[str](), (), tool.name), (second, classes, planted, after)):
        plan.ask(
            sender,
            agent.product,
            turns,
            line=line,
            model=agent.model,
            system=f"You are an agent of Nordhaven. {agent.purpose}.",
            key=key,
            tools=agent.tools,
            hosted=agent.hosted,
            servers=agent.servers,
            headers=tuple(agent.headers.items()),
            calls=(call,),
            client=agent.client,
            agent=agent.id,
            classes=found,
            values=held,
        )


def _records(plan: Plan) -> None:
    """Rows on their way into vector stores: members' addresses, and once in a while a card number that is stopped."""
    key = plan.key("sk-proj-", "openai", owner="service:indexer", place="vault/indexer", age=12)
    other = plan.key("", "voyage", owner="service:indexer", place="vault/indexer-voyage", age=12)
    sender = Sender("service:indexer", f"{SERVERS}.90", "key_map", "Data", "service")
    for number in range(plan.size.records):
        product, used = (BY_ID["voyage"], other) if number % 3 == 2 else (EMBEDDINGS, key)
        mail = values.email(f"nora.mossgate{plan.rng.randrange(90)}")
        rows = [f"member {number}; answers to {mail}", f"member {number}; likes to be called in the morning"]
        planted: tuple[str, ...] = (mail,)
        classes, rule = _MAIL, ""
        if number % 6 == 5:
            card = values.card(plan.rng)
            rows.append(f"member {number}; card {card}; expires 09/29")
            planted, classes, rule = (mail, card), _MAIL | {"financial.card", "financial.card-detail"}, CARDS
        turns = [Turn("user", row) for row in rows]
        plan.ask(sender, product, turns, line=f"indexer {product.host}", key=used, classes=classes, values=planted,
                 rule=rule, headers=(("user-agent", "python-httpx/0.28.1"),), client="httpx")  # fmt: skip
