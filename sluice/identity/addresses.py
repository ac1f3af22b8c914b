"""Who sits behind an address: networks with the time for which they are somebody's.

Among the rows that hold at the time of the exchange the most specific network wins. A row that has run out makes room
for the wider one around it; where there is none, the sender is nobody, and it is known that he was somebody.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sluice.errors import Misconfigured, Problem
from sluice.identity import tables
from sluice.identity.names import NAME_FAULT, group_names, subject_id
from sluice.model import Assurance, Subject

type Network = ipaddress.IPv4Network | ipaddress.IPv6Network
type Address = ipaddress.IPv4Address | ipaddress.IPv6Address

COLUMNS = ("network", "subject", "groups", "valid_from", "valid_to")


@dataclass(frozen=True, slots=True)
class Lease:
    """One row. From `start` on and before `end`, nanoseconds since the epoch; an `end` of 0 never comes."""

    network: Network
    subject: Subject
    start: int = 0
    end: int = 0

    def holds(self, at: int) -> bool:
        return self.start <= at and not (self.end and self.end <= at)


class AddressMap:
    """The rows, ready to be asked. Immutable."""

    def __init__(self, leases: Iterable[Lease] = ()) -> None:
        self._rows: dict[tuple[int, int, int], tuple[Lease, ...]] = {}
        for lease in leases:
            n = lease.network
            key = (n.version, n.prefixlen, int(n.network_address))
            self._rows[key] = (*self._rows.get(key, ()), lease)
        self._lengths = sorted({key[:2] for key in self._rows}, reverse=True)
        self._around = lru_cache(4096)(self._search)

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))

    def at(self, address: str, moment: int) -> Subject:
        """Who sends from an address at a time (nanoseconds since the epoch). Never raises."""
        known, nobody = self._around(address)
        for lease in known:
            if lease.holds(moment):
                return lease.subject
        return nobody

    def _search(self, text: str) -> tuple[tuple[Lease, ...], Subject]:
        """Every row around an address, most specific first, and what it is when none of them holds."""
        ip = address(text)
        found: list[Lease] = []
        if ip is not None:
            value, width = int(ip), ip.max_prefixlen
            for version, length in self._lengths:
                if version == ip.version:
                    start = value >> (width - length) << (width - length)
                    found += self._rows.get((version, length, start), ())
        return tuple(found), Subject(str(ip or text), "address", "none", Assurance.NONE, expired=bool(found))


def read_map(path: Path) -> list[Lease]:
    """An address map: CSV `network,subject[,groups[,valid_from,valid_to]]`, groups split by `;`.

    A subject is a name (`alice`) or says what it is (`service:ci`, `device:till-7`, `team:finance`). Times are ISO
    8601, UTC unless they say otherwise; a date is its beginning; `valid_to` is the first moment that is not meant.
    Raises `Misconfigured` with every bad line.
    """
    problems: list[Problem] = []
    found: dict[Network, list[Lease]] = {}
    for number, cells in tables.rows(path, (COLUMNS[:3], COLUMNS[:2], COLUMNS)):
        try:
            lease = _lease(cells)
            others = found.setdefault(lease.network, [])
            if any(_overlap(lease, other) for other in others):
                raise ValueError(f"`{lease.network}` is mapped already for this time")
            others.append(lease)
        except ValueError as e:
            problems.append(Problem(str(path), number, str(e)))
    if problems:
        raise Misconfigured(problems)
    return [lease for leases in found.values() for lease in leases]


def _lease(cells: Sequence[str]) -> Lease:
    if len(cells) not in (2, 3, 5):
        raise ValueError(f"has {len(cells)} columns instead of {', '.join(COLUMNS)}")
    try:
        network = ipaddress.ip_network(cells[0])
    except ValueError:
        raise ValueError(f"`{cells[0]}` is not a network such as `10.1.2.0/24`, or has bits below its mask") from None
    name = subject_id(cells[1])
    if name is None:
        raise ValueError(f"the subject {NAME_FAULT}")
    start, end = (tables.moment(cells[3]), tables.moment(cells[4])) if len(cells) == 5 else (0, 0)
    if end and end <= start:
        raise ValueError("`valid_to` is not after `valid_from`")
    groups = group_names(cells[2:3])
    return Lease(network, Subject(name, name.partition(":")[0], "ip_map", Assurance.MAPPED, groups), start, end)


def _overlap(one: Lease, other: Lease) -> bool:
    return not ((one.end and one.end <= other.start) or (other.end and other.end <= one.start))


def address(text: str) -> Address | None:
    """An address as the rows know it: without zone, IPv4 inside IPv6 taken out; None when it is none."""
    try:
        ip = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (ip.ipv4_mapped or ip) if isinstance(ip, ipaddress.IPv6Address) else ip
