"""One spelling for one host, and whether the three places that name a host agree.

A destination is decided by its host, so every spelling that a resolver or a socket would take for the same host must
come out as the same text here: capitals, a trailing dot, full-width letters and dots, international names, `127.1`,
`0x7f000001`, `[::ffff:127.0.0.1]`. What cannot be spelled canonically is refused, never guessed.

Pure functions; nothing is resolved.
"""

from __future__ import annotations

import ipaddress
import re

import idna

MAX_NAME = 253
"""Longest host name in text form (RFC 1035 section 2.3.4: 255 octets on the wire)."""
MAX_LABEL = 63
MAX_INPUT = 1024

_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_PLAIN = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z_-][a-z0-9_-]{0,62}")
"""Names that are canonical already; the last label does not begin with a digit, so it cannot be an address."""
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")


def normalise_host(text: str) -> str:
    """The canonical form of a host: an ASCII name in lower case without trailing dot, or an address as text.

    International names follow UTS 46, non-transitional, as browsers do; names in ASCII follow DNS rather than the
    host-name rules, so `_dmarc.example` and `r3---sn.example` pass. A name whose last label is a number is an IPv4
    address in the sense of the WHATWG URL standard (decimal, octal, hexadecimal, one to four parts). An IPv6 address
    may stand in brackets; one that maps an IPv4 address becomes that address.

    Raises ValueError for anything else: empty or over-long labels, zones, percent-encoding, blanks, user info, ports.
    Its message never repeats the text.
    """
    if len(text) <= MAX_NAME and _PLAIN.fullmatch(text):
        return text
    if not text or len(text) > MAX_INPUT:
        raise ValueError("a host must have 1 to 253 characters")
    if "%" in text:
        raise ValueError("a host must not hold a zone or percent-encoding")
    if text.startswith("[") or ":" in text:
        return _ipv6(text)
    name = (text.lower() if text.isascii() else _mapped(text)).removesuffix(".")
    labels = [_label(label) for label in name.split(".")]
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(labels)
    name = ".".join(labels)
    if len(name) > MAX_NAME:
        raise ValueError("a host must have 1 to 253 characters")
    return name


def _mapped(text: str) -> str:
    try:
        return idna.uts46_remap(text, std3_rules=False, transitional=False)
    except idna.IDNAError:
        raise ValueError("a host has a character that no name may hold") from None


def _label(label: str) -> str:
    """One label of a name, in the ASCII form that goes into DNS. An `xn--` label stays as it is: that is its name."""
    if not label.isascii():
        try:
            label = idna.alabel(label).decode("ascii")
        except idna.IDNAError:
            raise ValueError("a host has a character that no name may hold") from None
    if not _LABEL.fullmatch(label):
        raise ValueError("a host has an empty, over-long or malformed label")
    return label


def _ipv6(text: str) -> str:
    if text.startswith("[") != text.endswith("]"):
        raise ValueError("an IPv6 address has an unbalanced bracket")
    try:
        address = ipaddress.IPv6Address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise ValueError("a host with a colon or a bracket must be an IPv6 address") from None
    return str(address.ipv4_mapped or address)


def _ipv4(labels: list[str]) -> str:
    """The WHATWG IPv4 parser, which agrees with `inet_aton`: the last part fills what the others leave."""
    if len(labels) > 4:
        raise ValueError("an IPv4 address has more than four parts")
    parts = [_part(label) for label in labels]
    if any(part > 255 for part in parts[:-1]) or parts[-1] >= 256 ** (5 - len(parts)):
        raise ValueError("an IPv4 address has a part that is too large")
    value = parts[-1]
    for place, part in enumerate(parts[:-1]):
        value += part << (8 * (3 - place))
    return str(ipaddress.IPv4Address(value))


def _part(text: str) -> int:
    try:
        if text.startswith("0x"):
            return int(text[2:] or "0", 16)
        return int(text, 8 if len(text) > 1 and text[0] == "0" else 10)
    except ValueError:
        raise ValueError("an IPv4 address has a part that is not a number") from None


def split_port(text: str) -> tuple[str, int | None]:
    """`name:443`, `[::1]:443`, `name`, `::1` -> host as it was written, and the port. Raises ValueError."""
    if text.startswith("["):
        host, bracket, rest = text.partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("an IPv6 address has an unbalanced bracket")
        host, port = host + bracket, rest[1:] if rest else None
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, None
    if port is None:
        return host, None
    if not port.isascii() or not port.isdigit() or len(port) > 5 or not 0 < int(port) <= 65535:
        raise ValueError("a port must be 1 to 65535")
    return host, int(port)


def agreement(connect_host: str | None, sni: str | None, host_header: str | None, scheme: str) -> str | None:
    """None when CONNECT target, TLS server name and `Host` header (or `:authority`) name one host; else what is wrong.

    Each may carry a port; two ports that are given must be the same. The answer is one of `connect/sni`,
    `connect/host`, `sni/host` (the pair that disagrees), `no-sni` (TLS without a server name, which is right only
    for an address), `no-host` (a request without Host or :authority), `malformed` (one of them is not a host). A
    place that does not exist for this request (no CONNECT for plain HTTP, no SNI without TLS) is None and is left out.
    """
    try:
        connect, connect_port = _named(connect_host)
        server, _ = _named(sni)
        header, header_port = _named(host_header)
    except ValueError:
        return "malformed"
    if header is None:
        return "no-host"
    if scheme in ("https", "wss") and server is None and not (connect and _is_address(connect)):
        return "no-sni"
    if connect is not None and server is not None and connect != server:
        return "connect/sni"
    if connect is not None and connect != header:
        return "connect/host"
    if connect_port is not None and header_port is not None and connect_port != header_port:
        return "connect/host"
    if server is not None and server != header:
        return "sni/host"
    return None


def _named(text: str | None) -> tuple[str | None, int | None]:
    if text is None:
        return None, None
    host, port = split_port(text)
    return normalise_host(host), port


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()
