"""Who is asking: trusted header, address map, address; and what of it may travel on."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice import config
from sluice.identity import AddressMap, Lease, Resolver, read_map
from sluice.model import Assurance, Client, Exchange, Subject

MAP = Path(__file__).parents[1] / "config" / "good" / "map.csv"
SETTINGS = config.Settings(
    identity=config.Identity(trusted_proxies=("10.9.0.0/16", "2001:db8:9::/48"), address_map=MAP)
)
RESOLVER = Resolver.load(SETTINGS)


def exchange(address: str, *headers: tuple[str, str]) -> Exchange:
    return Exchange(
        id="i",
        at=0,
        client=Client(address),
        method="POST",
        scheme="https",
        host="h",
        port=443,
        path="/",
        headers=headers,
    )


NAMED = ("X-Authenticated-User", "Alice")
GROUPS = ("x-authenticated-groups", "Staff, Finance;staff")


@pytest.mark.parametrize("address", ["10.9.1.1", "::ffff:10.9.1.1", "2001:db8:9::1"])
def test_a_trusted_proxy_names_the_person(address: str) -> None:
    """A header from a trusted proxy names the subject and its groups, in one spelling, as asserted."""
    assert RESOLVER.resolve(exchange(address, NAMED, GROUPS)) == Subject(
        "user:alice", "user", "header_trusted", Assurance.ASSERTED, ("staff", "finance")
    )


@pytest.mark.parametrize("address", ["10.8.1.1", "192.0.2.1", "2001:db8:8::1", "nonsense", ""])
def test_nobody_else_is_believed(address: str) -> None:
    """The same header from any other address changes nothing."""
    claimed = RESOLVER.resolve(exchange(address, NAMED, GROUPS))
    assert claimed == RESOLVER.resolve(exchange(address))
    assert "alice" not in claimed.id


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("x-authenticated-user", ""),),
        (("x-authenticated-user", "  "),),
        (("x-authenticated-user", "a\x00b"),),
        (("x-authenticated-user", "user:"),),
        (("x-authenticated-user", "a" * 200),),
        (NAMED, ("x-authenticated-user", "bob")),
        (("x_authenticated_user", "bob"),),
    ],
)
def test_a_name_that_is_none_or_two_is_not_used(headers: tuple[tuple[str, str], ...]) -> None:
    """An empty, malformed or doubled header leaves the subject at what its address says."""
    assert RESOLVER.resolve(exchange("10.9.1.1", *headers)).method == "ip_map"


@pytest.mark.parametrize(
    ("address", "subject"),
    [
        ("10.1.2.3", Subject("service:ci", "service", "ip_map", Assurance.MAPPED, ("build",))),
        ("10.1.2.4", Subject("user:alice", "user", "ip_map", Assurance.MAPPED, ("staff", "finance"))),
        ("::ffff:10.1.2.4", Subject("user:alice", "user", "ip_map", Assurance.MAPPED, ("staff", "finance"))),
        ("10.200.0.1", Subject("team:plant", "team", "ip_map", Assurance.MAPPED)),
        ("2001:db8::7%eth0", Subject("device:till-7", "device", "ip_map", Assurance.MAPPED)),
        ("192.0.2.1", Subject("192.0.2.1", "address", "none", Assurance.NONE)),
        ("::FFFF:192.0.2.1", Subject("192.0.2.1", "address", "none", Assurance.NONE)),
        ("2001:0DB9::1", Subject("2001:db9::1", "address", "none", Assurance.NONE)),
        ("nonsense", Subject("nonsense", "address", "none", Assurance.NONE)),
    ],
)
def test_the_longest_prefix_of_the_map_wins(address: str, subject: Subject) -> None:
    """An address in the map is whom the map says, most specific network first; any other is itself."""
    assert RESOLVER.resolve(exchange(address)) == subject


@given(st.ip_addresses(v=4).map(str), st.lists(st.ip_addresses(v=4, network="10.0.0.0/8").map(str), max_size=8))
def test_the_map_agrees_with_a_plain_search(address: str, starts: list[str]) -> None:
    """The quick look-up by prefix gives what trying every network gives."""
    mapped = {
        ipaddress.IPv4Network((start, 8 + 3 * n), strict=False): Subject(
            f"user:{n}", "user", "ip_map", Assurance.MAPPED
        )
        for n, start in enumerate(starts)
    }
    resolver = Resolver((), AddressMap(Lease(network, subject) for network, subject in mapped.items()))
    for probe in [address, *starts]:
        inside = [n for n in mapped if ipaddress.ip_address(probe) in n]
        expected = mapped[max(inside, key=lambda n: n.prefixlen)].id if inside else probe
        assert resolver.resolve(exchange(probe)).id == expected


def test_identity_headers_do_not_travel_on() -> None:
    """No header that names a person to us reaches a provider, whoever sent it and however it is spelled."""
    headers = (
        ("Authorization", "Bearer x"),
        NAMED,
        GROUPS,
        ("X_Authenticated_User", "a"),
        ("x-authenticated-USER ", "a"),
        ("x-authenticated-username", "kept"),
        ("x-other", "kept"),
    )
    assert RESOLVER.strip(headers) == (headers[0], headers[5], headers[6])


def test_the_header_names_are_the_sites() -> None:
    """A site's own header names are used and stripped, and the default ones are then ordinary headers."""
    settings = config.Settings(
        identity=config.Identity(trusted_proxies=("10.0.0.0/8",), user_header="X-User", groups_header="X-Groups")
    )
    resolver = Resolver.load(settings)
    assert resolver.resolve(exchange("10.0.0.1", ("x-user", "bob"), ("X-Groups", "g"))).groups == ("g",)
    assert resolver.resolve(exchange("10.0.0.1", NAMED)).assurance is Assurance.NONE
    assert resolver.strip((("X-USER", "b"), NAMED)) == (NAMED,)


@given(st.text(max_size=40), st.lists(st.tuples(st.text(max_size=24), st.text(max_size=40)), max_size=4))
def test_no_sender_breaks_it(address: str, headers: list[tuple[str, str]]) -> None:
    """Resolving never raises, and without a trusted address or a map nobody gains assurance."""
    subject = Resolver().resolve(exchange(address, *headers))
    assert (subject.assurance, subject.groups) == (Assurance.NONE, ())


def test_a_map_made_with_a_spreadsheet(tmp_path: Path) -> None:
    """A byte-order mark, blanks, blank lines, a missing groups column and Windows line ends are all read."""
    file = tmp_path / "map.csv"
    file.write_bytes(b"\xef\xbb\xbfnetwork,subject\r\n\r\n 10.0.0.0/8 , Bob \r\n192.0.2.1,service:x\r\n")
    found = {str(lease.network): lease.subject.id for lease in read_map(file)}
    assert found == {"10.0.0.0/8": "user:bob", "192.0.2.1/32": "service:x"}
