"""One spelling for one host; three places that must name one host."""

from __future__ import annotations

import ipaddress
import itertools
import socket

import idna
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sluice.targets import agreement, normalise_host, split_port

LOOPBACK = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0X7F000001",
    "0x7f.1",
    "0x7f.0.0x0.1",
    "0177.0.0.1",
    "017700000001",
    "0177.0x0.1",
    "127.0.0.0x1",
    "\uff11\uff12\uff17\uff0e\uff10\uff0e\uff10\uff0e\uff11",
    "127\u30020\uff610\uff0e1",
    "\u2460\u2461\u2466.1",
    "[::ffff:127.0.0.1]",
    "::ffff:7f00:1",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::FFFF:7F00:0001]",
]


@pytest.mark.parametrize("text", LOOPBACK)
def test_every_spelling_of_an_address_is_that_address(text: str) -> None:
    """A guard that compares addresses must see 127.0.0.1 in each of its spellings."""
    assert normalise_host(text) == "127.0.0.1"


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("API.OpenAI.COM", "api.openai.com"),
        ("api.openai.com.", "api.openai.com"),
        ("\uff41\uff50\uff49.openai.com", "api.openai.com"),
        ("api\u3002openai\uff0ecom\uff61", "api.openai.com"),
        ("a\u00adpi.open\u200bai.com", "api.openai.com"),
        ("\u24d0pi.openai.com", "api.openai.com"),
        ("B\u00dcCHER.example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("stra\u00dfe.de", "xn--strae-oqa.de"),
        ("_dmarc.example.com", "_dmarc.example.com"),
        ("r3---sn-x.example.com", "r3---sn-x.example.com"),
        ("localhost", "localhost"),
        ("4.example", "4.example"),
        ("example.4a", "example.4a"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("2001:0db8:0:0:0:0:0:1", "2001:db8::1"),
        ("0x", str(ipaddress.IPv4Address(0))),
    ],
)
def test_canonical_form(text: str, host: str) -> None:
    """Capitals, dots, widths, compatibility characters and scripts come out as the name that goes into DNS."""
    assert normalise_host(text) == host


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a..b",
        ".a",
        "a..",
        "a b",
        "a\tb",
        "a\x00b",
        "a/b",
        "user@a.example",
        "a.example:443",
        "a.example\r\nHost: b",
        "a%2eexample",
        "fe80::1%eth0",
        "[fe80::1%25eth0]",
        "[::1",
        "::1]",
        "[127.0.0.1]",
        "[a.example]",
        "1.2.3.4.5",
        "256.1.1.1",
        "1.2.3.256",
        "1.2.65536",
        "4294967296",
        "08.1.1.1",
        "09",
        "example.1",
        "a.0x7f",
        "i\u2764.example",
        "a\u2024example",
        "a\uff0fb.example",
        "a\uff1a1",
        "\u200b",
        "a" * 64 + ".example",
        ".".join(["a" * 60] * 5),
        "a" * 2000,
        "\ud800.example",
        "xn--\u00fc.example",
    ],
)
def test_what_is_no_host_is_refused(text: str) -> None:
    """What has no canonical form is refused, and the refusal does not repeat it."""
    with pytest.raises(ValueError) as caught:
        normalise_host(text)
    assert len(text) < 3 or text not in str(caught.value)


HOSTS = st.one_of(
    st.text(min_size=1, max_size=30),
    st.text("aAzZ09-_.\u3002\uff0e\u00df\u00fc\uff41\u0130\u03c2\u200d\u00ad%:[]x ", min_size=1, max_size=24),
    st.lists(st.text("abz09x-_", min_size=1, max_size=8), min_size=1, max_size=5).map(".".join),
    st.ip_addresses().map(str),
    st.integers(0, 2**33).map(str),
    st.integers(0, 2**33).map(hex),
    st.integers(0, 2**33).map(lambda n: f"0{n:o}"),
)


def normal(text: str) -> str | None:
    try:
        return normalise_host(text)
    except ValueError:
        return None


@given(HOSTS)
@example("\u0130.example")
@example("xn--a")
def test_normal_form_is_stable(text: str) -> None:
    """Normalising twice changes nothing, and neither do capitals, a trailing dot or full-width letters."""
    host = normal(text)
    if host is None:
        return
    assert normalise_host(host) == host
    assert host == host.lower()
    assert host.isascii()
    if ":" in host:
        assert normalise_host(f"[{host}]") == host
        return
    assert normalise_host(host.upper()) == host
    assert normalise_host(f"{host}.") == host
    wide = "".join(chr(ord(c) + 0xFEE0) if c != "_" else c for c in host)
    assert normalise_host(wide) == host


@given(st.text(st.characters(categories=("Ll", "Lo", "Nd")), min_size=1, max_size=20))
def test_a_name_and_its_ascii_form_are_one_host(label: str) -> None:
    """A name in any script and the `xn--` form of it come out alike, so a rule on one holds for the other."""
    try:
        ascii_form = idna.encode(f"{label}.example", uts46=True).decode()
    except idna.IDNAError:
        return
    assert normalise_host(f"{label}.example") == ascii_form == normalise_host(ascii_form.upper())


@given(HOSTS)
def test_numeric_hosts_are_read_as_the_system_reads_them(text: str) -> None:
    """Whatever `inet_aton` takes for an IPv4 address is that address here, or no host at all: never a name."""
    try:
        address = str(ipaddress.IPv4Address(socket.inet_aton(text)))
    except (OSError, ValueError):
        return
    assert normal(text) in (address, None)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("a:1", "a", 1), ("a", "a", None), ("[::1]:443", "[::1]", 443), ("::1", "::1", None), ("[::1]", "[::1]", None)],
)
def test_split_port(text: str, host: str, port: int | None) -> None:
    """A port is taken off where one can be told from the address."""
    assert split_port(text) == (host, port)


@pytest.mark.parametrize(
    "text", ["a:", "a:0", "a:65536", "a:x", "a:-1", "a:+1", "a:\u0661", "[::1", "[::1]443", "a:1e3"]
)
def test_a_port_that_is_none(text: str) -> None:
    """A port is 1 to 65535 in plain digits; anything else makes the whole text wrong."""
    with pytest.raises(ValueError, match=r"port|bracket"):
        split_port(text)


NAMES = ("api.openai.com", "chatgpt.com", "plain.example")


@pytest.mark.parametrize(("connect", "sni", "header"), list(itertools.product(NAMES, repeat=3)))
def test_all_three_must_agree(connect: str, sni: str, header: str) -> None:
    """Of the 27 combinations of three names in three places, exactly the three with one name agree (T08)."""
    assert (agreement(connect, sni, header, "https") is None) is (connect == sni == header)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("spelling", ["API.OPENAI.COM", "api.openai.com.", "\uff41pi.openai.com", "Api.OpenAI.com."])
def test_agreement_is_about_hosts_not_spellings(place: int, spelling: str) -> None:
    """Two spellings of one host agree, wherever the unusual one stands."""
    named = ["api.openai.com"] * 3
    named[place] = spelling
    assert agreement(*named, "https") is None


@pytest.mark.parametrize(
    ("connect", "sni", "header", "scheme", "said"),
    [
        ("a.example", "b.example", "a.example", "https", "connect/sni"),
        ("a.example", "a.example", "b.example", "https", "connect/host"),
        (None, "a.example", "b.example", "https", "sni/host"),
        ("a.example", None, "a.example", "https", "no-sni"),
        (None, None, "a.example", "https", "no-sni"),
        ("a.example", "a.example", None, "https", "no-host"),
        ("a.example", "a.example", "a.example, b.example", "https", "malformed"),
        ("a.example", "a.example", "", "https", "malformed"),
        ("a.example", "a%2eexample", "a.example", "https", "malformed"),
        ("a.example:443", "a.example", "a.example:8443", "https", "connect/host"),
        ("a.example:443", "a.example", "a.example:443", "https", None),
        ("a.example:443", "a.example", "a.example", "https", None),
        ("192.0.2.1", None, "192.0.2.1", "https", None),
        ("192.0.2.1", "a.example", "a.example", "https", "connect/sni"),
        ("[2001:db8::1]:443", None, "[2001:db8::1]", "https", None),
        ("127.1:80", None, "127.0.0.1", "http", None),
        ("a.example:80", None, "a.example", "http", None),
        ("a.example:80", None, "b.example", "http", "connect/host"),
        (None, None, "a.example", "http", None),
    ],
)
def test_what_does_not_agree(
    connect: str | None, sni: str | None, header: str | None, scheme: str, said: str | None
) -> None:
    """The answer names the pair that disagrees, or what is missing or malformed."""
    assert agreement(connect, sni, header, scheme) == said
