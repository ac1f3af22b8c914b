"""Who is asking, and how far that can be believed.

Three ways to know, in this order:
- a proxy in front of this one, whose address is in `identity.trusted_proxies`, names the person in a header:
  assurance `asserted`. The same header from anyone else is only something a client wrote: it is not believed.
- the address map (`identity.address_map`) says who sits behind an address; the longest prefix wins: `mapped`.
- otherwise the address itself is the subject: `none`.

Identity headers never travel on, whoever sent them: an AI provider has no business with our user names (`strip`).

`Subject.id` holds the real name (`user:alice`, `service:ci`, or the address), because policy conditions on `subject`
and `group` are written with real names. It must not reach a record as it is: the gate keys it first (a fingerprint
under the purpose `subject`), so that the records alone name nobody.
"""

from __future__ import annotations

import csv
import ipaddress
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from sluice.config import Settings
from sluice.errors import Misconfigured, Problem
from sluice.model import Assurance, Exchange, Subject

type Network = ipaddress.IPv4Network | ipaddress.IPv6Network
type Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_NAME = 128
KINDS = ("user", "service", "device", "team")
"""What a subject may be: the part of an id before the colon. A name without one is a user."""

_COLUMNS = ["network", "subject", "groups"]


class Resolver:
    """Resolves the sender of an exchange. Immutable; a changed map is another resolver."""

    def __init__(
        self,
        trusted: Sequence[Network],
        mapped: Mapping[Network, Subject],
        user_header: str = "x-authenticated-user",
        groups_header: str = "x-authenticated-groups",
    ) -> None:
        self._trusted = tuple(trusted)
        self._user_header = user_header.lower()
        self._groups_header = groups_header.lower()
        self._own = frozenset(map(_folded, (user_header, groups_header)))
        self._lengths = sorted({(n.version, n.prefixlen) for n in mapped}, reverse=True)
        self._mapped = {(n.version, n.prefixlen, int(n.network_address)): s for n, s in mapped.items()}
        self._trusts = lru_cache(4096)(self._is_trusted)
        self._behind = lru_cache(4096)(self._sits_behind)

    @classmethod
    def load(cls, settings: Settings) -> Resolver:
        """The resolver that the settings describe. Raises `Misconfigured` with every bad line of the address map."""
        identity = settings.identity
        return cls(
            [ipaddress.ip_network(n) for n in identity.trusted_proxies],
            read_map(identity.address_map) if identity.address_map else {},
            identity.user_header,
            identity.groups_header,
        )

    def resolve(self, exchange: Exchange) -> Subject:
        """The subject of an exchange. Never raises: what cannot be known is an address with assurance none."""
        address = exchange.client.address
        if self._trusts(address):
            named = exchange.header_values(self._user_header)
            name = _name(named[0]) if len(named) == 1 else None
            if name is not None:
                groups = _groups(exchange.header_values(self._groups_header))
                return Subject(name, name.partition(":")[0], "header_trusted", Assurance.ASSERTED, groups)
        return self._behind(address)

    def strip(self, headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        """The headers without those that name a person to us, in any spelling a server could take for them."""
        return tuple((k, v) for k, v in headers if _folded(k) not in self._own)

    def _is_trusted(self, address: str) -> bool:
        ip = _address(address)
        return ip is not None and any(ip in network for network in self._trusted)

    def _sits_behind(self, address: str) -> Subject:
        ip = _address(address)
        if ip is not None:
            value, width = int(ip), ip.max_prefixlen
            for version, length in self._lengths:
                if version != ip.version:
                    continue
                start = value >> (width - length) << (width - length)
                if subject := self._mapped.get((version, length, start)):
                    return subject
        return Subject(str(ip or address), "address", "none", Assurance.NONE)


def read_map(path: Path) -> dict[Network, Subject]:
    """An address map: CSV with the header `network,subject,groups`, groups split by `;`, `#` begins a comment line.

    A subject is a name (`alice`) or says what it is (`service:ci`, `device:till-7`, `team:finance`).
    Raises `Misconfigured` with every bad line.
    """
    problems: list[Problem] = []
    found: dict[Network, Subject] = {}
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        what = e.strerror if isinstance(e, OSError) else "it is not UTF-8"
        raise Misconfigured(Problem(str(path), None, f"cannot be read: {what}")) from e
    rows = [(n, line) for n, line in enumerate(lines, 1) if line.strip() and not line.lstrip().startswith("#")]
    head = [c.strip() for c in next(csv.reader([rows[0][1]]))] if rows else []
    if head not in (_COLUMNS, _COLUMNS[:2]):
        raise Misconfigured(Problem(str(path), rows[0][0] if rows else 1, "must begin with `network,subject,groups`"))
    for number, line in rows[1:]:
        cells = [c.strip() for c in next(csv.reader([line]))]
        try:
            network, subject = _row(cells)
        except ValueError as e:
            problems.append(Problem(str(path), number, str(e)))
            continue
        if network in found:
            problems.append(Problem(str(path), number, f"`{network}` is mapped already"))
        found[network] = subject
    if problems:
        raise Misconfigured(problems)
    return found


def _row(cells: Sequence[str]) -> tuple[Network, Subject]:
    if len(cells) not in (2, 3):
        raise ValueError(f"has {len(cells)} columns instead of network, subject, groups")
    try:
        network = ipaddress.ip_network(cells[0])
    except ValueError:
        raise ValueError(f"`{cells[0]}` is not a network such as `10.1.2.0/24`, or has bits below its mask") from None
    name = _name(cells[1])
    if name is None:
        raise ValueError(f"the subject must be 1 to {MAX_NAME} printable characters")
    groups = _groups(cells[2:])
    return network, Subject(name, name.partition(":")[0], "ip_map", Assurance.MAPPED, groups)


def _name(text: str) -> str | None:
    """`Alice` -> `user:alice`, `service:CI` -> `service:ci`; None when it is no name."""
    text = unicodedata.normalize("NFC", text.strip()).casefold()
    if not text or len(text) > MAX_NAME or not text.isprintable():
        return None
    kind, colon, name = text.partition(":")
    if colon and kind in KINDS:
        return text if name else None
    return f"user:{text}"


def _groups(texts: Iterable[str]) -> tuple[str, ...]:
    """Group names of header values or a CSV cell, split at `;` and `,`, each once."""
    names = (unicodedata.normalize("NFC", g.strip()).casefold() for text in texts for g in re.split("[;,]", text))
    return tuple(dict.fromkeys(name for name in names if name and name.isprintable()))


def _address(text: str) -> Address | None:
    try:
        ip = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (ip.ipv4_mapped or ip) if isinstance(ip, ipaddress.IPv6Address) else ip


def _folded(name: str) -> str:
    """A header name as a CGI-like server sees it: `X_Authenticated_User` is `x-authenticated-user` there."""
    return name.strip().lower().replace("_", "-")
