"""The people of the organisation: names that nobody has, departments, roles, sites, and how the gate knows them."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

type Method = Literal["ip_map", "header_trusted", "proxy_basic"]

BRANCH_PROXY = "127.30.0.1"
"""The proxy of the branch in Boston: it names its people in a header, and the gate believes it."""


@dataclass(frozen=True, slots=True)
class Department:
    """`share`: people out of 400."""

    name: str
    role: str
    share: int


DEPARTMENTS = (
    Department("Engineering", "engineer", 72),
    Department("Data", "data-scientist", 28),
    Department("IT Operations", "administrator", 24),
    Department("Security", "security-analyst", 14),
    Department("Finance", "accountant", 32),
    Department("Legal", "counsel", 14),
    Department("People", "recruiter", 20),
    Department("Marketing", "marketer", 30),
    Department("Sales", "account-manager", 44),
    Department("Support", "support-agent", 58),
    Department("Clinical Services", "care-coordinator", 42),
    Department("Logistics", "planner", 22),
)
MANAGER = "manager"
SITES = (("Lisbon", "PT"), ("Utrecht", "NL"), ("Leipzig", "DE"), ("Boston", "US"))

_FIRST = str.split(
    """
    Anna Ben Clara David Elena Felix Grace Hugo Ines Jonas Karin Luis Maria Nils Olga Paul Rosa Simon Teresa Viktor
    Alice Bruno Carmen Daniel Emma Frank Gloria Henrik Irene Jack Laura Marco Nora Oscar Petra Robert Sofia Thomas
    Ursula Walter
    """
)
_SURNAME = str.split(
    "Fern Marsh Lark Stone Birch Heron Sedge Thorn Rowan Alder Moss Wren Flint Reed Brook Hazel Linden Amber"
)
_ENDING = str.split("wick holm vale more gate mere stead firth combe well")


@dataclass(frozen=True, slots=True)
class Person:
    """`login` is the name in the user files; `address` where the connections come from, of the loopback network."""

    login: str
    name: str
    department: str
    role: str
    site: str
    country: str
    address: str
    method: Method

    @property
    def subject(self) -> str:
        return f"user:{self.login}"

    @property
    def groups(self) -> str:
        return self.department.lower().replace(" ", "-")


def people(count: int, rng: Random) -> tuple[Person, ...]:
    """So many people, spread over the departments as 400 would be, at least one in each."""
    names = [f"{first} {start}{end}" for first in _FIRST for start in _SURNAME for end in _ENDING]
    found: list[Person] = []
    taken = iter(rng.sample(names, count))
    for number, department in enumerate(DEPARTMENTS):
        for place in range(_heads(department, count)):
            name = next(taken)
            site = rng.choices(range(len(SITES)), (5, 3, 2, 2))[0]
            method: Method = "ip_map"
            address = f"127.{20 + site}.{number}.{place + 1}"
            if SITES[site][0] == "Boston":
                method, address = "header_trusted", BRANCH_PROXY
            elif place % 24 == 11:  # contractors log in at the gate itself
                method, address = "proxy_basic", f"127.21.{number}.{200 + place // 24}"
            found.append(
                Person(
                    login=name.lower().replace(" ", "."),
                    name=name,
                    department=department.name,
                    role=MANAGER if place % 12 == 3 else department.role,
                    site=SITES[site][0],
                    country=SITES[site][1],
                    address=address,
                    method=method,
                )
            )
    return tuple(found)


def _heads(department: Department, count: int) -> int:
    """People of a department among `count`; the largest one takes what rounding leaves."""
    shares = {d.name: max(1, d.share * count // 400) for d in DEPARTMENTS}
    largest = max(DEPARTMENTS, key=lambda d: d.share).name
    shares[largest] += count - sum(shares.values())
    return shares[department.name]
