"""Validators: what passes, what its neighbours do, and that nothing makes one raise."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.detect import national, validators
from sluice.detect.examples import expand
from sluice.detect.verdicts import Candidate, Verdict


def judge(name: str, value: str, before: str = "", after: str = "") -> Verdict:
    return validators.find(name)(Candidate(value, before + value + after, len(before), len(before) + len(value)))


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("luhn", "4111111111111111", "4111111111111112"),
        ("luhn", "378282246310005", "378282246310006"),
        ("card_issuer", "5555555555554444", "9999999999999995"),
        ("card_issuer", "30569309025904", "41111111111111"),
        ("iban", "DE89370400440532013000", "DE89370400440532013001"),
        ("iban", "GB82 WEST 1234 5698 7654 32", "GB83 WEST 1234 5698 7654 32"),
        ("aba", "021000021", "021000022"),
        ("us_ssn", "536-90-4399", "666-90-4399"),
        ("us_ssn", "899-90-4399", "900-90-4399"),
        ("us_ssn", "536-01-0001", "536-00-0001"),
        ("us_itin", "912-70-1234", "912-10-1234"),
        ("gb_nino", "AB123456C", "BG123456C"),
        ("ca_sin", "046454286", "046454287"),
        ("be_nn", "85073003328", "85073003329"),
        ("se_personnummer", "8803200016", "8803200018"),
        ("no_fodselsnummer", "15108695088", "15108695089"),
        ("dk_cpr", "211062-5629", "321062-5629"),
        ("za_id", "7503305044089", "7503305044088"),
        ("in_pan", "ACUPA7085R", "ACUIA7085R"),
        ("au_medicare", "2123456701", "2123456711"),
        ("at_svnr", "1237010180", "1238010180"),
        ("hk_hkid", "G123456(A)", "G123456(B)"),
        ("hk_hkid", "AB987654(3)", "AB987654(4)"),
        ("sg_nric", "S1234567D", "S1234567E"),
        ("sg_nric", "G1234567X", "G1234567D"),
        ("tw_id", "A123456789", "A123456780"),
        ("jp_my_number", "123456789018", "123456789019"),
        ("de_rvnr", "65170839J003", "65170839J004"),
        ("stdnum:de.idnr", "36574261809", "36574261808"),
        ("stdnum:br.cpf", "39053344705", "39053344706"),
        ("stdnum:cn.ric", "11010519491231002X", "110105194912310021"),
        ("github_crc32", expand("{github:ghp}", "v"), expand("{github-bad:ghp}", "v")),
        ("github_crc32", expand("{npm}", "v"), expand("{npm-bad}", "v")),
        ("jwt", expand("{jwt}", "v"), "eyJhbGciOiJIUzI1NiJ9.bm90anNvbg.abc"),
        ("entropy:3.0", "h7Kq29xLmP0w", "aazzaazz"),
        ("phone", "+442079460958", "+999123456789"),
        ("phone:US", "(415) 555-2671", "(000) 555-2671"),
        ("ipv4", "93.184.216.34", "127.0.0.1"),
        ("ipv4", "10.0.0.1", "999.0.0.1"),
        ("ipv6", "2001:db8::1", "::1"),
        ("mac", "3c:22:fb:9a:10:4e", "00:00:00:00:00:00"),
        ("email", "jane@example.com", "icon@2x.png"),
        ("keylike", "sk-proj-a8Kd0sLq29xmZpQ3", "sk-proj-list-item-container"),
    ],
)
def test_good_and_its_neighbour(name: str, good: str, bad: str) -> None:
    """What is right passes, what is nearly right does not."""
    assert judge(name, good).passed
    assert not judge(name, bad).passed


@pytest.mark.parametrize("value", ["000000000", "111111111", "0000000000000000"])
def test_repeated_digits_are_no_numbers(value: str) -> None:
    """Zeros pass many a checksum; they are filler."""
    assert not judge("luhn", value).passed
    assert not judge("stdnum:nl.bsn", value[:9]).passed


def test_iban_keeps_to_its_country_length() -> None:
    """The word behind an IBAN is no part of it, even when the pattern took it."""
    verdict = judge("iban", "DE89 3704 0044 0532 0130 00 EUR1")
    assert verdict.passed
    assert verdict.keep == len("DE89 3704 0044 0532 0130 00")


@pytest.mark.parametrize(
    ("before", "passes"),
    [
        ("card ", True),
        ("order id ", False),
        ('"trace_id": ', False),
        ("Tracking number: ", False),
        ("my visa is ", True),
        ("order shipped, paid with ", True),
    ],
)
def test_counters_are_told_by_the_text(before: str, passes: bool) -> None:
    """A row of digits that the text calls an order number is not believed to be a card."""
    assert judge("not_counter", "4111111111111111", before).passed is passes
    assert judge("not_counter", "4111 1111 1111 1111", before).passed


@pytest.mark.parametrize(
    ("value", "passed", "example"),
    [
        ("postgres://app:h7Kq29xL@db/x", True, False),
        ("postgres://app:$PASS@db/x", False, False),
        ("postgres://app:%s@db/x", False, False),
        ("postgres://app:%DB_PASS%@db/x", False, False),
        ("postgres://user:password@db.example.com/x", True, True),
        ("postgres://postgres:postgres@db/x", True, True),
        ("postgres://app:h7Kq29xL@db.example.com/x", True, False),
    ],
)
def test_passwords_in_addresses(value: str, passed: bool, example: bool) -> None:
    """A reference is none; a default is an example; a host called example does not make the password one."""
    verdict = judge("url_password", value)
    assert (verdict.passed, verdict.passed and verdict.example) == (passed, example)


def test_unknown_names_are_refused() -> None:
    """The registry is closed: a pack cannot name code that was not written for it."""
    for name in ("nope", "stdnum:os.path", "entropy:x", "phone:usa", "stdnum:", "luhn:1"):
        with pytest.raises(KeyError, match="unknown validator"):
            validators.find(name)


def _names() -> list[str]:
    concrete = [n for n in validators.names() if ":" not in n or n.startswith("stdnum") or n == "phone:any"]
    return [*concrete, "entropy:3.0", "phone:DE"]


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=40))
def test_no_text_makes_a_validator_raise(text: str) -> None:
    """A validator that raised would make the scan fail, and the request with it."""
    for name in _names():
        judge(name, text)


@settings(max_examples=30, deadline=None)
@given(st.from_regex(r"[A-Z]{0,4}[0-9]{6,18}[A-Z0-9]{0,2}", fullmatch=True))
def test_no_number_makes_a_validator_raise(text: str) -> None:
    """The same for what the patterns of national numbers let through."""
    for name in _names():
        judge(name, text)


def test_no_validator_asks_for_the_date() -> None:
    """A decision replays exactly: the modules of the library that look at today's date are not in the registry."""
    assert not validators.STDNUM & {"se.personnummer", "no.fodselsnummer", "dk.cpr", "be.nn", "za.idnr"}


def test_days_that_exist() -> None:
    """29 February exists in some year; 31 April and month 13 never."""
    assert national.day_exists(2, 29)
    assert not national.day_exists(4, 31)
    assert not national.day_exists(13, 1)
    assert not national.day_exists(0, 1)
