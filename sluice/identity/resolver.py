"""From an exchange to its subject: the ways of knowing, in their order."""

from __future__ import annotations

import copy
import ipaddress
from collections.abc import Iterable, Sequence
from copy import replace
from functools import lru_cache
from typing import Self

from sluice.config import Settings
from sluice.identity.addresses import AddressMap, Network, address, read_map
from sluice.identity.names import group_names, subject_id
from sluice.identity.owners import Owners, read_owners
from sluice.identity.people import People, described, read_people
from sluice.model import Assurance, Credential, Exchange, Subject

NO_OWNERS = Owners()


class Resolver:
    """Resolves the sender of an exchange. Immutable; a changed file is another resolver.

    `required`: who is nobody is refused. `stale`: a file has changed and could not be read, and this one still follows
    the one before.
    """

    def __init__(
        self,
        trusted: Sequence[Network] = (),
        addresses: AddressMap | None = None,
        user_header: str = "x-authenticated-user",
        groups_header: str = "x-authenticated-groups",
        *,
        people: People | None = None,
        owners: Owners = NO_OWNERS,
        in_tunnels: bool = False,
        required: bool = False,
    ) -> None:
        self._trusted = tuple(trusted)
        self._user_header = user_header.lower()
        self._groups_header = groups_header.lower()
        self._own = frozenset(map(_folded, (user_header, groups_header)))
        self._addresses = addresses or AddressMap()
        self._people: People = people or {}
        self._in_tunnels = in_tunnels
        self._trusts = lru_cache(4096)(self._is_trusted)
        self.owners = owners
        self.required = required
        self.stale = False

    @classmethod
    def load(cls, settings: Settings) -> Self:
        """The resolver that the settings describe. Raises `Misconfigured` with every bad line of the files."""
        identity = settings.identity
        return cls(
            [ipaddress.ip_network(n) for n in identity.trusted_proxies],
            AddressMap(read_map(identity.address_map)) if identity.address_map else None,
            identity.user_header,
            identity.groups_header,
            people=read_people(identity.people) if identity.people else None,
            owners=read_owners(identity.keys) if identity.keys else NO_OWNERS,
            in_tunnels=identity.trusted_in_tunnels,
            required=identity.require,
        )

    def resolve(self, exchange: Exchange) -> Subject:
        """The subject of an exchange. Never raises: what cannot be known is an address with assurance none."""
        subject = exchange.subject
        if subject is None:
            subject = self.named(exchange) or self._addresses.at(exchange.client.address, exchange.at)
        return described(subject, self._people) if self._people else subject

    def named(self, exchange: Exchange) -> Subject | None:
        """Whom a trusted proxy names in the headers. None inside a tunnel, where the client itself has written them,
        unless the trusted proxies open tunnels (`identity.trusted_in_tunnels`)."""
        if not self._trusted or not self._trusts(exchange.client.address):
            return None
        if exchange.connect_host is not None and exchange.method != "CONNECT" and not self._in_tunnels:
            return None
        said = exchange.header_values(self._user_header)
        name = subject_id(said[0]) if len(said) == 1 else None
        if name is None:
            return None
        groups = group_names(exchange.header_values(self._groups_header))
        return Subject(name, name.partition(":")[0], "header_trusted", Assurance.ASSERTED, groups)

    def by_key(self, subject: Subject, credential: Credential | None, provider: str, at: int) -> Subject:
        """The owner of the API key, where nothing better is known of the sender."""
        if credential is None or subject.assurance is not Assurance.NONE or not self.owners.listed:
            return subject
        owner = self.owners.subject(credential, provider, at)
        if owner is None:
            return subject
        if owner.assurance is Assurance.NONE:
            return replace(subject, expired=True)
        return described(owner, self._people) if self._people else owner

    def strip(self, headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        """The headers without those that name a person to us, in any spelling a server could take for them."""
        return tuple((k, v) for k, v in headers if _folded(k) not in self._own)

    def claims(self, headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        """Of the headers those that name a person to us."""
        return tuple((k, v) for k, v in headers if k.lower() in (self._user_header, self._groups_header))

    def outdated(self) -> Self:
        """The same, known to be stale."""
        other = copy.copy(self)
        other.stale = True
        return other

    def _is_trusted(self, text: str) -> bool:
        ip = address(text)
        return ip is not None and any(ip in network for network in self._trusted)


def _folded(name: str) -> str:
    """A header name as a CGI-like server sees it: `X_Authenticated_User` is `x-authenticated-user` there."""
    return name.strip().lower().replace("_", "-")
