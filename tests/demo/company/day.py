"""All of a day in the order in which it is sent: what people, agents and machines ask, mixed as on any day."""

from __future__ import annotations

from collections import defaultdict

from tests.demo.company import coding, office, services, trouble
from tests.demo.company.exchange import Exchange
from tests.demo.company.planning import Plan, Size


def day_of(size: Size, seed: int = 5) -> Plan:
    """The plan of a day. The same size and seed give the same plan, byte for byte."""
    plan = Plan(size, seed)
    for scene in (office, coding, services, trouble):
        scene.play(plan)
    return plan


def lines(plan: Plan) -> list[list[Exchange]]:
    """The requests by the connection that they go over, each in its order; the connections mixed."""
    found: defaultdict[str, list[Exchange]] = defaultdict(list)
    for exchange in plan.exchanges:
        found[exchange.line].append(exchange)
    mixed = list(found.values())
    type(plan.rng)(plan.seed).shuffle(mixed)
    return mixed
