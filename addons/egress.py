"""The dialer: every connection that leaves a worker passes here, and the address is judged right before the connect.

Rules of this room
- The *resolved address* is judged, never the name: `127.1`, `2130706433`, `0x7f000001`, `[::ffff:127.0.0.1]`, a CNAME
  to an internal host and a name that changes its answer between two look-ups all end in the same numbers.
- What is not public is refused. The only exception is an entry of `[upstream] hosts`, and it holds for the name that
  the client asked for, in the very attempt that resolved it: `StaticAddress` is made by `getaddrinfo` below and
  nowhere else, and it travels with the attempt as the address itself. A client that names `127.0.0.1:9443` gets a
  plain tuple and a refusal, although `api.openai.com` maps there.
- Error texts are from a closed list (`FORBIDDEN`, `UNREACHABLE` and a word), because mitmproxy shows them to clients.

mitmproxy dials with `asyncio.open_connection`, which ends in `create_connection`, `getaddrinfo` and `sock_connect` of
the loop. A worker makes no other AF_INET or AF_INET6 connection (the shipper is a process of its own), so the loop
checks every one of them; listening, accepted, AF_UNIX and pipe traffic never comes by these three methods.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import selectors
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sluice import config
from sluice.errors import Misconfigured, Problem
from sluice.targets import normalise_host

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address
type AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]

FORBIDDEN = "destination forbidden"
UNREACHABLE = "upstream unreachable"

RESOLVER_THREADS = 32
"""Look-ups at once. A silent name server holds one for resolv.conf's timeout, ten seconds as a rule."""

_DENIED: tuple[tuple[str, tuple[str, ...]], ...] = (
    # Source: IANA IPv4 and IPv6 Special-Purpose Address Registries, and the metadata services' own documentation.
    ("unspecified", ("0.0.0.0/8", "::/128")),
    ("loopback", ("127.0.0.0/8", "::1/128")),
    ("metadata", ("169.254.169.254/32", "168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::254/128",
                  "fd20:ce::254/128")),
    ("link_local", ("169.254.0.0/16", "fe80::/10")),
    ("private", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10", "64:ff9b:1::/48")),
    ("shared", ("100.64.0.0/10",)),
    ("multicast", ("224.0.0.0/4", "ff00::/8")),
    ("reserved", ("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
                  "203.0.113.0/24", "240.0.0.0/4", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")),
)  # fmt: skip
WORDS = frozenset(w for w, _ in _DENIED) | {
    "port",
    "own_address",
    "unresolved",
    "dns",
    "refused",
    "timeout",
    "reset",
    "network",
}
"""Every word that may follow `FORBIDDEN` or `UNREACHABLE`."""
_NETWORKS_4 = tuple((w, ipaddress.IPv4Network(n)) for w, many in _DENIED for n in many if ":" not in n)
_NETWORKS_6 = tuple((w, ipaddress.IPv6Network(n)) for w, many in _DENIED for n in many if ":" in n)
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)  # RFC 5214: interface identifiers that hold an IPv4 address
_NOT_ASKED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EPERM, errno.EACCES)
_DISCARD_PORT = 9  # RFC 863; a connected datagram socket sends nothing


class StaticAddress(tuple[Any, ...]):
    """A socket address that the site's own host map gave for the name that was asked. Made in `getaddrinfo` alone."""

    __slots__ = ()


class Forbidden(OSError):
    """The resolved address or port is one that this gate never dials. `why` is a word of the closed list."""

    def __init__(self, why: str) -> None:
        super().__init__(errno.EACCES, f"{FORBIDDEN}: {why}")
        self.why = why

    def __str__(self) -> str:
        return f"{FORBIDDEN}: {self.why}"


class Unreachable(OSError):
    """The upstream could not be reached. `why`: dns, refused, timeout, reset or network."""

    def __init__(self, why: str, number: int = errno.EHOSTUNREACH) -> None:
        super().__init__(number, f"{UNREACHABLE}: {why}")
        self.why = why

    def __str__(self) -> str:
        return f"{UNREACHABLE}: {self.why}"


def denial(address: Address) -> str | None:
    """Why an address must not be dialled, as a word of the closed list; None for a public one.

    IPv4 addresses inside IPv6 ones (mapped, NAT64, ISATAP) are judged as the IPv4 address; 6to4 and Teredo are
    refused whole, since no provider is reached through either.
    """
    if isinstance(address, ipaddress.IPv4Address):
        for why, network4 in _NETWORKS_4:
            if address in network4:
                return why
        return None if address.is_global else "reserved"
    if address.ipv4_mapped is not None:
        return denial(address.ipv4_mapped)
    if address in _NAT64:
        return denial(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    for why, network6 in _NETWORKS_6:
        if address in network6:
            return why
    if address not in _GLOBAL_UNICAST:
        return "reserved"
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        return denial(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return None if address.is_global else "reserved"


def is_own(address: Address) -> bool:
    """Whether an address belongs to this machine: the kernel would use it as the source of packets to itself.

    Asked of the kernel each time, so that an address that was added a second ago counts, and one on any interface.
    A datagram `connect` looks up a route and sends nothing.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), _DISCARD_PORT))
            source = str(probe.getsockname()[0]).partition("%")[0]
    except OSError as e:
        # Without a route the connection itself will say so; a question that could not be asked is a refusal.
        return e.errno in _NOT_ASKED
    return ipaddress.ip_address(source) == address


def literal_denial(host: str) -> str | None:
    """Why a normalised host that is itself an address would not be dialled; None for a public one, and for a name.

    Asked before a bypass is recorded: what is sure to be refused at the connect must not be recorded as allowed. The
    site's host map has no say, since its keys are names. The dialer judges every address again.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return denial(address) or ("own_address" if is_own(address) else None)


def static_hosts(settings: config.Settings) -> dict[str, tuple[Address, int]]:
    """The site's host map with its names normalised.

    Raises `Misconfigured` for a key that is an address (the map gives names an address; a client that asks for a
    private address by number stays refused) and for an entry that leads to this appliance's own listeners.
    """
    out: dict[str, tuple[Address, int]] = {}
    problems: list[Problem] = []
    for name, value in settings.upstream.hosts.items():
        try:
            key = normalise_host(name)
            host, port = config.endpoint(value)
            out[key] = (ipaddress.ip_address(host), port)
        except ValueError:
            problems.append(Problem("upstream.hosts", None, f"`{name}` = `{value}` is not a host name and an address"))
            continue
        if _is_address(key):
            problems.append(Problem("upstream.hosts", None, f"`{name}` must be a host name; clients then ask by name"))
        listens = (settings.proxy.listen, settings.admin.listen, settings.console.listen)
        own = [listen for listen in listens if listen and _reaches(out[key], listen)]
        if own:
            problems.append(Problem("upstream.hosts", None, f"`{name}` leads to this appliance's own {own[0]}"))
    if problems:
        raise Misconfigured(problems)
    return out


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _reaches(target: tuple[Address, int], listen: str) -> bool:
    host, port = config.endpoint(listen)
    if port != target[1]:
        return False
    try:
        bound = ipaddress.ip_address(host)
    except ValueError:
        return False
    return bound == target[0] or (bound.is_unspecified and (target[0].is_loopback or is_own(target[0])))


class GuardedLoop(asyncio.SelectorEventLoop):
    """The event loop of a worker. Behaves as asyncio's own, but for where it may connect to.

    `connect_seconds` bounds name resolution and connect together; one address of several gets half of it, so that a
    dead first address leaves time for the second.
    """

    def __init__(self, settings: config.Settings, selector: selectors.BaseSelector | None = None) -> None:
        super().__init__(selector)
        self._resolvers = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="dns")
        try:
            self._hosts = static_hosts(settings)
        except BaseException:
            self.close()
            raise
        self._ports = frozenset(settings.tunnels.ports)
        self._seconds = settings.upstream.connect_seconds

    async def create_connection(self, *args: Any, **kwargs: Any) -> Any:
        """As asyncio's, within `connect_seconds`, and with errors from the closed list."""
        try:
            async with asyncio.timeout(self._seconds):
                return await super().create_connection(*args, **kwargs)
        except (Forbidden, Unreachable):
            raise
        except OSError as e:
            raise _closed(e) from e
        except UnicodeError as e:  # a label above 63 characters, from the idna codec inside socket.getaddrinfo
            raise Unreachable("dns") from e

    async def getaddrinfo(  # type: ignore[override]
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[AddressInfo]:
        """Addresses of a name: the map's single entry when it has one, else the resolver's answer.

        What is resolved is the normalised name, the one that `addons.tls` verifies.
        """
        if isinstance(host, str):
            with contextlib.suppress(ValueError):
                host = normalise_host(host)
        if (entry := self._hosts.get(host)) is None:
            return await self.resolve(host, port, family=family, type=type, proto=proto, flags=flags)
        address, mapped_port = entry
        if port not in self._ports and port != mapped_port:
            raise Forbidden("port")
        if address.version == 4:
            return [(socket.AF_INET, type, proto, "", StaticAddress((str(address), mapped_port)))]
        return [(socket.AF_INET6, type, proto, "", StaticAddress((str(address), mapped_port, 0, 0)))]

    async def resolve(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[AddressInfo]:
        """The system's resolver, for names that the map does not hold. Tests put their own answers here.

        In threads of its own: a client that asks for names whose servers are silent must not take the threads of
        everything else in the worker.
        """
        answer = self.run_in_executor(self._resolvers, socket.getaddrinfo, host, port, family, type, proto, flags)
        return list(await answer)

    def close(self) -> None:
        """As asyncio's; look-ups under way are not waited for."""
        self._resolvers.shutdown(wait=False, cancel_futures=True)
        super().close()

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect, if the address may be dialled. Raises `Forbidden` before the system call otherwise."""
        if sock.family not in (socket.AF_INET, socket.AF_INET6):
            return await super().sock_connect(sock, address)
        if type(address) is not StaticAddress:
            self.check(address)
        async with asyncio.timeout(self._seconds / 2):
            return await super().sock_connect(sock, tuple(address))

    def check(self, address: tuple[Any, ...]) -> None:
        """Raises `Forbidden` for a socket address that is not a public one on an allowed port."""
        try:
            ip = ipaddress.ip_address(str(address[0]).partition("%")[0])
        except ValueError:
            raise Forbidden("unresolved") from None  # a name: it would be resolved again after this check
        if (why := denial(ip)) is not None:
            raise Forbidden(why)
        if address[1] not in self._ports:
            raise Forbidden("port")
        if is_own(ip):
            raise Forbidden("own_address")


def _closed(error: OSError) -> OSError:
    """An operating system's error as one of ours: what clients see names no address and no path."""
    text = str(error)
    if FORBIDDEN in text:  # several addresses failed differently; asyncio joins their texts
        return Forbidden(text.split(f"{FORBIDDEN}: ", 1)[1].split(",")[0])
    if isinstance(error, socket.gaierror):
        return Unreachable("dns")
    if isinstance(error, ConnectionRefusedError) or error.errno == errno.ECONNREFUSED:
        return Unreachable("refused", errno.ECONNREFUSED)
    if isinstance(error, TimeoutError):
        return Unreachable("timeout", errno.ETIMEDOUT)
    if isinstance(error, ConnectionResetError):
        return Unreachable("reset", errno.ECONNRESET)
    return Unreachable("network", error.errno or errno.EHOSTUNREACH)
