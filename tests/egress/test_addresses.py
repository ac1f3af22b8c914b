"""Which addresses are ever dialled: the table, in every form in which an address can hide."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons import egress
from addons.egress import denial, is_own

DENIED = {
    "0.0.0.0": "unspecified",  # noqa: S104
    "0.1.2.3": "unspecified",
    "::": "unspecified",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "::1": "loopback",
    "169.254.169.254": "metadata",
    "168.63.129.16": "metadata",
    "100.100.100.200": "metadata",
    "192.0.0.192": "metadata",
    "fd00:ec2::254": "metadata",
    "fd20:ce::254": "metadata",
    "169.254.0.1": "link_local",
    "fe80::1": "link_local",
    "10.0.0.1": "private",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.168.1.1": "private",
    "fc00::1": "private",
    "fd12:3456::1": "private",
    "fec0::1": "private",
    "64:ff9b:1::1": "private",
    "100.64.0.1": "shared",
    "100.127.255.255": "shared",
    "224.0.0.1": "multicast",
    "239.255.255.250": "multicast",
    "ff02::1": "multicast",
    "192.0.0.8": "reserved",
    "192.0.2.1": "reserved",
    "192.88.99.1": "reserved",
    "198.18.0.1": "reserved",
    "198.51.100.1": "reserved",
    "203.0.113.1": "reserved",
    "240.0.0.1": "reserved",
    "255.255.255.255": "reserved",
    "100::1": "reserved",
    "2001::1": "reserved",
    "2001:db8::1": "reserved",
    "2002:7f00:1::": "reserved",
    "2002:808:808::": "reserved",
    "3fff::1": "reserved",
    "5f00::1": "reserved",
    "4000::1": "reserved",
    "::7f00:1": "reserved",
    "::ffff:127.0.0.1": "loopback",
    "::ffff:10.1.2.3": "private",
    "::ffff:169.254.169.254": "metadata",
    "64:ff9b::7f00:1": "loopback",
    "64:ff9b::a9fe:a9fe": "metadata",
    "2a00:1450::5efe:10.0.0.1": "private",
    "2a00:1450::200:5efe:7f00:1": "loopback",
}
PUBLIC = ("8.8.8.8", "104.18.6.192", "172.32.0.1", "100.128.0.1", "2606:4700::6812:7c0", "2a00:1450:4001::8a")
PUBLIC_IN_ANOTHER_FORM = ("::ffff:8.8.8.8", "64:ff9b::808:808")


@pytest.mark.parametrize(("text", "why"), DENIED.items())
def test_what_is_not_public_is_denied(text: str, why: str) -> None:
    """Each special-purpose range, with the word that the record will hold."""
    assert denial(ipaddress.ip_address(text)) == why
    assert why in egress.WORDS


@pytest.mark.parametrize("text", PUBLIC + PUBLIC_IN_ANOTHER_FORM)
def test_what_is_public_is_not(text: str) -> None:
    """Addresses of the kind that providers have, IPv6-only networks with NAT64 included, are dialled."""
    assert denial(ipaddress.ip_address(text)) is None


@given(st.ip_addresses())
def test_nothing_special_slips_through(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Over the whole space: whatever passes is global unicast by Python's own reading of the registries."""
    if denial(address) is None and not (address.version == 6 and address in egress._NAT64):
        plain = getattr(address, "ipv4_mapped", None) or address
        assert plain.is_global
        assert not (plain.is_multicast or plain.is_loopback or plain.is_link_local or plain.is_private)


@given(st.sampled_from([n for n in DENIED if ":" not in n]), st.integers(0, 2**64 - 1))
def test_a_denied_address_stays_denied_inside_ipv6(text: str, prefix: int) -> None:
    """Mapped, compatible, NAT64, 6to4, Teredo and ISATAP forms of a denied IPv4 address are denied."""
    inner = int(ipaddress.IPv4Address(text))
    forms = [
        0xFFFF << 32 | inner,
        inner,
        int(ipaddress.IPv6Address("64:ff9b::")) | inner,
        0x2002 << 112 | inner << 80 | prefix,
        0x20010000 << 96 | (prefix >> 32) << 64 | (inner ^ 0xFFFFFFFF),
        0x2A00 << 112 | 0x5EFE << 32 | inner,
    ]
    assert [str(ipaddress.IPv6Address(f)) for f in forms if denial(ipaddress.IPv6Address(f)) is None] == []


def test_own_addresses_are_known() -> None:
    """The machine's own addresses, asked of the kernel, and not a stranger's."""
    assert is_own(ipaddress.ip_address("127.0.0.1"))
    for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET, socket.SOCK_STREAM):
        assert is_own(ipaddress.ip_address(info[4][0]))
    assert not is_own(ipaddress.ip_address("8.8.8.8"))


def test_an_address_that_cannot_be_asked_about_counts_as_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of file descriptors or forbidden by a sandbox: the question fails closed."""

    def none_left(*_: object) -> socket.socket:
        raise OSError(24, "too many open files")

    monkeypatch.setattr(egress.socket, "socket", none_left)
    assert is_own(ipaddress.ip_address("8.8.8.8"))
