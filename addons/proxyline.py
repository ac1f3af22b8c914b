"""The PROXY protocol (HAProxy, proxy-protocol.txt, versions 1 and 2): who stands behind a load balancer.

Asked of the peers in `proxy.protocol_from` alone, and of those always: a connection of theirs that does not begin with
a whole, sensible header is closed and counted (`sluice_proxy_headers`). From anybody else such bytes are what they look
like, a bad request. The address in a header takes the place of the peer's in records, address maps and lock-outs; where
the balancer speaks for itself (LOCAL, UNKNOWN: health checks) the peer's own stays.
"""

from __future__ import annotations

import asyncio
import ipaddress
import struct
from collections.abc import Iterable

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LONGEST_V1 = 107
"""Bytes of the longest line of version 1, by its specification."""
LONGEST_V2 = 4096
"""Bytes behind the 16 of version 2: addresses and TLVs. Certificates of clients are the longest that HAProxy sends."""
_LENGTHS = {1: 12, 2: 36, 3: 216}
"""Bytes of addresses by address family: IPv4, IPv6, Unix."""
RULES = ("absent", "malformed", "too_long", "family", "slow", "cut_off")

type Address = tuple[str, int]
type Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Refused(Exception):
    """No header that can be believed. `rule` is one of `RULES`."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


def is_from(peer: str, balancers: Iterable[Network]) -> bool:
    """Whether a peer's address is a balancer's; an IPv4 address that came over an IPv6 socket is itself."""
    address = ipaddress.ip_address(peer.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return any((mapped or address) in network for network in balancers)


async def read(reader: asyncio.StreamReader, seconds: float) -> Address | None:
    """The client's address of the header that a connection begins with; None where the balancer speaks for itself.

    Takes not a byte more than the header. Raises `Refused`.
    """
    try:
        async with asyncio.timeout(seconds):
            return await _read(reader)
    except TimeoutError as e:
        raise Refused("slow") from e
    except asyncio.IncompleteReadError as e:
        raise Refused("cut_off") from e


async def _read(reader: asyncio.StreamReader) -> Address | None:
    begun = await reader.readexactly(1)
    if begun == b"P":
        return await _text(reader)
    if begun != SIGNATURE[:1]:
        raise Refused("absent")
    head = begun + await reader.readexactly(15)
    if head[:12] != SIGNATURE:
        raise Refused("absent")
    version, family, length = struct.unpack("!BBH", head[12:])
    if version not in (0x20, 0x21):
        raise Refused("malformed")
    if length > LONGEST_V2:
        raise Refused("too_long")
    body = await reader.readexactly(length)
    if version == 0x20:  # LOCAL: whatever the rest says
        return None
    kind, transport = family >> 4, family & 0x0F
    if family == 0:
        return None
    if kind not in (1, 2) or transport != 1:  # a Unix socket has no address, and UDP carries none of this
        raise Refused("family")
    if length < _LENGTHS[kind]:
        raise Refused("malformed")
    _tlvs(body[_LENGTHS[kind] :])
    size = 4 if kind == 1 else 16
    (port,) = struct.unpack_from("!H", body, 2 * size)
    return str(ipaddress.ip_address(body[:size])), port


def _tlvs(rest: bytes) -> None:
    """What follows the addresses has to be whole; what it says is not used. Raises `Refused`."""
    at = 0
    while at < len(rest):
        if at + 3 > len(rest):
            raise Refused("malformed")
        at += 3 + int.from_bytes(rest[at + 1 : at + 3])
    if at != len(rest):
        raise Refused("malformed")


async def _text(reader: asyncio.StreamReader) -> Address | None:
    """Version 1, of which the `P` is taken: `PROXY TCP4 source destination port port`. A byte at a time: what follows
    the line is the client's."""
    line = bytearray(b"P")
    while not line.endswith(b"\r\n"):
        if len(line) >= LONGEST_V1:
            raise Refused("too_long")
        line += await reader.readexactly(1)
        if not b"PROXY ".startswith(line[:6]):
            raise Refused("absent")  # POST, PUT
    fields = bytes(line[:-2]).split(b" ")
    if fields[1:2] == [b"UNKNOWN"]:
        return None
    if len(fields) != 6 or fields[1] not in (b"TCP4", b"TCP6"):
        raise Refused("malformed")
    try:
        source, destination = (ipaddress.ip_address(field.decode("ascii")) for field in fields[2:4])
        ports = [int(field) for field in fields[4:] if field.isdigit() and len(field) <= 5]
    except ValueError as e:
        raise Refused("malformed") from e
    expected = 4 if fields[1] == b"TCP4" else 6
    if {source.version, destination.version} != {expected} or len(ports) != 2 or max(ports) > 65535:
        raise Refused("malformed")
    return str(source), ports[0]
