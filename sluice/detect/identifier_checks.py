"""Checks of numbers, names and addresses: cards, accounts, streets, e-mail, telephone, network.

Pure functions of a candidate: no clock, and nothing raises on any text. `CHECKS` is what packs may name.
"""

from __future__ import annotations

import ipaddress
import re

import phonenumbers

from sluice.detect import national, people
from sluice.detect.verdicts import FAIL, PASS, Candidate, Validator, Verdict


def _luhn(c: Candidate) -> Verdict:
    n = national.digits(c.value)
    return PASS if len(set(n)) > 1 and national.luhn(n) else FAIL


_ISSUERS: tuple[tuple[int, int, frozenset[int]], ...] = (
    (4, 4, frozenset({13, 16, 19})),  # Visa
    (51, 55, frozenset({16})),  # Mastercard
    (2221, 2720, frozenset({16})),
    (34, 34, frozenset({15})),  # American Express
    (37, 37, frozenset({15})),
    (6011, 6011, frozenset({16, 19})),  # Discover
    (644, 659, frozenset({16, 19})),
    (3528, 3589, frozenset({16, 17, 18, 19})),  # JCB
    (300, 305, frozenset({14, 16})),  # Diners Club
    (3095, 3095, frozenset({14, 16})),
    (36, 36, frozenset({14, 16})),
    (38, 39, frozenset({14, 16})),
    (62, 62, frozenset({16, 17, 18, 19})),  # UnionPay
    (8100, 8171, frozenset({16, 17, 18, 19})),
    (5018, 5018, frozenset({16, 18, 19})),  # Maestro, the ranges still in use
    (5020, 5020, frozenset({16, 18, 19})),
    (5038, 5038, frozenset({16, 18, 19})),
    (5893, 5893, frozenset({16, 18, 19})),
    (6304, 6304, frozenset({16, 18, 19})),
    (6759, 6763, frozenset({16, 18, 19})),
    (2200, 2204, frozenset({16})),  # Mir
    (9792, 9792, frozenset({16})),  # Troy
    (60, 60, frozenset({16})),  # RuPay
    (6521, 6522, frozenset({16})),
)
"""First and last issuer prefix, and the lengths in use (ISO/IEC 7812-1 and the schemes' published ranges)."""


def _card_issuer(c: Candidate) -> Verdict:
    n = national.digits(c.value)
    for first, last, lengths in _ISSUERS:
        if len(n) in lengths and first <= int(n[: len(str(first))]) <= last:
            return PASS
    return FAIL


_COUNTER = re.compile(
    r"(?i)(?:order|invoice|track(?:ing)?|shipment|parcel|ticket|case|ref(?:erence)?|trace|span|request|session|serial"
    r"|build|commit|version|sku|ean|isbn|gtin|imei|iccid|batch|lot|timestamp|epoch|nonce|offset|checksum|seed|uuid"
    r"|guid|msg|message|event|txn|transaction|thread|channel|guild|snowflake|tweet|post|object|node|row|job|run)"
    r"(?:[ _-]?(?:id|no|num|number|nr|ref|code))?[\s\"'`:=#.(\[-]{0,6}$"
)


def _not_counter(c: Candidate) -> Verdict:
    """Fails a bare run of digits that the text itself calls an order number, a trace id or the like. Digits in groups
    pass: counters are not written so."""
    return FAIL if c.value.isalnum() and _COUNTER.search(c.before(40)) else PASS


def _column_name(c: Candidate) -> Verdict:
    """A known name in a cell, or any two words that could be one beside a cell with an e-mail address."""
    if people.known_name(c.value):
        return PASS
    row = c.before(200).rpartition("\n")[2] + c.text[c.end : c.end + 200].partition("\n")[0]
    words = c.value.split()
    capitals = len(words) > 1 and all(w[0].isupper() for w in words)
    return PASS if capitals and re.search(r"\w@\w", row) and people.labelled_name(c.value) else FAIL


_PART = re.compile(
    r"(?i)\b(?:part|sku|model|item|serial|lot|batch|order|invoice|ticket|case|ref(?:erence)?|catalog(?:ue)?|product|article"
    r"|tracking|docket|policy)(?:[ _-]?(?:no|number|nr|id|code)\b)?[\s:#.=]{0,3}$"
)


def _not_part(c: Candidate) -> Verdict:
    """Fails a number that the text calls a part, an order or the like, however it is grouped."""
    return FAIL if _PART.search(c.before(32)) else PASS


_LONG = re.compile(r"(?<![\d.])\d{7,20}(?![\d.])")

_CARD_WORD = re.compile(r"(?i)card|credit|debit|visa|master|amex|payment|cvv|cvc|karte|carte|tarjeta|cart[aã]o|pan\b")


_GROUP_BEFORE, _GROUP_BEHIND = re.compile(r"(?<!\w)[0-9A-F]{4}\s$"), re.compile(r"\s[0-9A-F]{4}(?!\w)")


def _tabulated(c: Candidate) -> bool:
    """True when groups of four go on before and behind, or hexadecimal ones on one side: a table of code points."""
    before, behind = _GROUP_BEFORE.search(c.before(6)), _GROUP_BEHIND.match(c.text, c.end)
    if _CARD_WORD.search(c.before(60)):
        return False
    return bool(before and behind) or any(m and not m[0].strip().isdigit() for m in (before, behind))


def _not_listed(c: Candidate) -> Verdict:
    """Fails a bare run of digits in a list of other long numbers that nothing calls cards: one in forty random numbers
    of sixteen digits passes the check of a card."""
    if not c.value.isalnum():
        return FAIL if _tabulated(c) else PASS
    around = c.before(100) + " " + c.text[c.end : c.end + 100]
    if _CARD_WORD.search(around):
        return PASS
    others = [n for n in _LONG.findall(around) if not (13 <= len(n) <= 19 and national.luhn(n))]
    return FAIL if len(others) >= 2 else PASS


_GLUED = re.compile(r"[^\W\d_][^\W\d_'’.]{0,24}(?:-[^\W\d_][^\W\d_'’.]{0,24}){0,4}-?$")

_APART = re.compile(r"(?:[A-ZÄÖÜ][^\W\d_'’]{1,24}[ -]){1,3}$")

_ARTICLE = re.compile(
    r"(?i)(?:^|[ -])(?:de[mnrs]|die|das|ein(?:e[mnrs]?)?|am|im|auf|zum|zur|vom|von|kein(?:e[mn])?|the|an?|on|by)[ -]$"
)


def _street_name(c: Candidate) -> Verdict:
    """The name before `straße 5` belongs to it: a capitalised word glued to it, or words before."""
    before = c.before(60).rpartition("\n")[2]
    apart = before.endswith(" ")
    head = (_APART if apart else _GLUED).search(before)
    if head is None or not head[0][0].isupper() or (apart and not c.value[0].isupper()) or _ARTICLE.search(before):
        return FAIL
    return Verdict(True, grow=len(head[0]))


IBAN_LENGTHS = {
    country: int(length)
    for country, length in re.findall(
        r"([A-Z]{2})(\d\d)",
        "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27"
        "GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22"
        "MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28"
        "TL23TN24TR26UA29VA22VG24XK20YE30",
    )
}
"""Length by country: SWIFT IBAN registry, release 99."""


def _iban(c: Candidate) -> Verdict:
    """ISO 13616: length of the country, then modulo 97. Cuts off what the pattern took of the next word."""
    length = IBAN_LENGTHS.get(c.value[:2].upper())
    if length is None:
        return FAIL
    places = [i for i, char in enumerate(c.value) if char.isalnum()]
    if len(places) < length:
        return FAIL
    keep = places[length - 1] + 1
    if keep < len(c.value) and c.value[keep].isalnum():
        return FAIL
    text = "".join(c.value[i] for i in places[:length]).upper()
    number = int("".join(str(int(ch, 36)) for ch in text[4:] + text[:4]))
    return Verdict(True, keep=keep) if number % 97 == 1 else FAIL


def _aba(c: Candidate) -> Verdict:
    """ABA routing number: weights 3 7 1 modulo 10, and a Federal Reserve prefix."""
    n = national.digits(c.value)
    prefix = int(n[:2] or 99)
    valid = prefix <= 12 or 21 <= prefix <= 32 or 61 <= prefix <= 72 or prefix == 80
    total = sum(int(d) * w for d, w in zip(n, (3, 7, 1) * 3, strict=False))
    return PASS if len(n) == 9 and valid and total % 10 == 0 and total else FAIL


def _email(c: Candidate) -> Verdict:
    """Shape that the pattern cannot say, and a top-level domain that is not a file ending."""
    local, _, domain = c.value.rpartition("@")
    labels = domain.split(".")
    if local.startswith(".") or local.endswith(".") or ".." in local or labels[-1].lower() in _FILE_ENDINGS:
        return FAIL
    return FAIL if any(not x or x.startswith("-") or x.endswith("-") for x in labels) else PASS


_FILE_ENDINGS = frozenset(
    """
    png jpg jpeg gif svg webp ico css js mjs ts tsx jsx json html htm xml yaml yml toml txt csv lock map cpp hpp php
    exe dll so whl gz tar pdf conf cfg ini log service socket timer localhost invalid
    """.split()  # noqa: SIM905 - as above
)

_REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "BE", "CH", "AT", "IN", "BR", "MX", "AU", "JP", "PL", "SE", "CN")
"""Regions whose national form is tried for a number without a country code that the text calls a phone number."""


def phone(region: str) -> Validator:
    regions: tuple[str | None, ...] = (None,) if not region else _REGIONS if region == "any" else (region,)

    def validator(c: Candidate) -> Verdict:
        for r in regions:
            try:
                number = phonenumbers.parse(c.value, r)
            except phonenumbers.NumberParseException:
                continue
            if phonenumbers.is_valid_number(number):
                return PASS
        return FAIL

    return validator


def _ipv4(c: Candidate) -> Verdict:
    """An address somebody could have: not loopback, unspecified, broadcast, documentation, or a version number."""
    try:
        address = ipaddress.IPv4Address(c.value)
    except ValueError:
        return FAIL
    return (
        FAIL if address.is_loopback or address.is_multicast or address.is_reserved or int(address) >> 24 == 0 else PASS
    )


def _ipv6(c: Candidate) -> Verdict:
    try:
        address = ipaddress.IPv6Address(c.value)
    except ValueError:
        return FAIL
    return FAIL if address.is_loopback or address.is_unspecified or address.is_multicast else PASS


def _mac(c: Candidate) -> Verdict:
    n = re.sub(r"[^0-9a-f]", "", c.value.lower())
    return PASS if len(n) == 12 and len(set(n)) > 2 else FAIL


CHECKS: dict[str, Validator] = {
    "luhn": _luhn,
    "card_issuer": _card_issuer,
    "not_counter": _not_counter,
    "not_listed": _not_listed,
    "not_part": _not_part,
    "street_name": _street_name,
    "iban": _iban,
    "aba": _aba,
    "email": _email,
    "ipv4": _ipv4,
    "ipv6": _ipv6,
    "mac": _mac,
    "column_name": _column_name,
}
"""What packs may name."""
