"""The closed registry of validators that packs may name: pure judgements of one candidate.

A pack names a validator, never code: `luhn`, `entropy:3.2`, `stdnum:de.idnr`. Each returns a `Verdict`; the first that
does not pass ends the candidate. Nothing here may raise on any text (the engine treats it as a failed scan) or put a
value into an exception.
"""

from __future__ import annotations

import base64
import binascii
import importlib
import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import phonenumbers
from stdnum.exceptions import ValidationError

from sluice.detect import national, national_world, passwords, people, personal, secrets
from sluice.detect.examples import checksum62


@dataclass(frozen=True, slots=True)
class Candidate:
    """**P** A value that a pattern matched, with the text around it."""

    value: str = field(repr=False)
    text: str = field(repr=False)
    start: int
    end: int

    def before(self, count: int) -> str:
        return self.text[max(self.start - count, 0) : self.start]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`passed`: it is what the detector says. `example`: it is a documented sample or a placeholder of it.

    `keep`: only this many characters of the value belong to it (an IBAN with the next word behind it).
    `grow`: so many characters before it belong to it as well (the name of a street before `straße 5`).
    """

    passed: bool
    example: bool = False
    keep: int | None = None
    grow: int = 0


PASS = Verdict(True)
FAIL = Verdict(False)
EXAMPLE = Verdict(True, example=True)

type Validator = Callable[[Candidate], Verdict]

CHECKSUMS = frozenset(
    {"luhn", "iban", "github_crc32", "stdnum", "be_nn", "se_personnummer", "no_fodselsnummer", "za_id", "au_medicare"}
    | {"at_svnr", "hk_hkid", "sg_nric", "tw_id", "jp_my_number", "de_rvnr", "ca_sin", "aba", "jwt"}
    | {"seed_phrase", "wif", "extended_key", "ripple_seed", "stellar_seed", "bech32"}
    | (set(national_world.CHECKS) - national_world.STRUCTURE)
    | (set(personal.CHECKS) - personal.SCREENS)
)
"""Validators whose pass is hard to come by: confidence is higher with one."""

SCREENS = (
    frozenset(
        {
            "not_counter",
            "not_listed",
            "not_part",
            "street_name",
            "has_digit",
            "aws_key_id",
            "not_otherwise",
            "unspoken",
            "person_name",
            "labelled_name",
            "announced_name",
            "known_name",
            "column_name",
        }
    )
    | personal.SCREENS
)
"""Validators that only sort out: what passes them has proved nothing, and is not `validated` by them."""

STDNUM = frozenset(
    """
    ar.cuit au.tfn bg.egn br.cnpj br.cpf ch.ssn cl.rut cn.ric co.nit cz.rc de.idnr do.cedula ec.ci ee.ik es.dni
    es.nie es.cif fi.hetu fr.nir fr.nif gb.nhs gr.amka hr.oib ie.pps il.idnr in_.aadhaar is_.kennitala
    it.codicefiscale lt.asmens lv.pvn mx.curp mx.rfc my.nric nl.bsn nz.ird pe.cui pk.cnic pl.pesel pl.nip
    pt.nif ro.cnp ru.inn si.emso sk.rc th.pin tr.tckimlik ua.rntrc us.rtn uy.rut ve.rif za.tin id.nik
    us.atin al.nipt ar.dni at.tin au.abn au.acn by.unp co.nit cr.cpf cu.ni cy.vat gb.utr gr.vat id.npwp in_.epic in_.vid
    ke.pin md.idno mu.nid pe.ruc nl.identiteitskaartnummer pt.cc py.ruc tr.vkn de.stnr ca.bc_phn
    """.split()  # noqa: SIM905 - names read better as names
)
"""Modules of python-stdnum that a pack may ask for. None of them asks for today's date."""


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


def _not_listed(c: Candidate) -> Verdict:
    """Fails a bare run of digits in a list of other long numbers that nothing calls cards: one in forty random numbers
    of sixteen digits passes the check of a card."""
    if not c.value.isalnum():
        return PASS
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


def _github_crc32(c: Candidate) -> Verdict:
    """GitHub's and npm's tokens: the last six characters are a CRC-32, in base 62, of the thirty before."""
    body = c.value.rpartition("_")[2]
    return PASS if len(body) == 36 and checksum62(body[:30]) == body[30:] else FAIL


def _jwt(c: Candidate) -> Verdict:
    """RFC 7519: header and payload are JSON objects, and the header names an algorithm."""
    head, payload = (_json64(p) for p in f"{c.value}..".split(".")[:2])
    return PASS if isinstance(head, dict) and "alg" in head and isinstance(payload, dict) else FAIL


def _json64(text: str) -> object:
    try:
        return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None


def _pem(c: Candidate) -> Verdict:
    """RFC 7468: between the lines stands base64 of at least a short key, not an ellipsis."""
    body = re.sub(r"-----[^-]*-----", "", c.value)
    body = re.sub(r"\\[nrt]|\s", "", re.sub(r"[A-Za-z-]+: [^\n\\]*", "", body)).rstrip("=")
    if passwords.placeholder(body):
        return EXAMPLE
    return PASS if len(body) >= 40 and re.fullmatch(r"[A-Za-z0-9+/\\\"',=]+", body) and len(set(body)) > 8 else FAIL


def _entropy(minimum: str) -> Validator:
    floor = float(minimum)
    return lambda c: PASS if passwords.entropy(c.value) >= floor else FAIL


def _not_placeholder(c: Candidate) -> Verdict:
    return EXAMPLE if passwords.placeholder(c.value) else PASS


_PREFIX = re.compile(r"(?:[A-Za-z]{1,10}\d{0,2}[-_.])+")


def _keylike(c: Candidate) -> Verdict:
    """A key of random characters: letters and digits mixed, no words. For formats known by their prefix alone."""
    prefix = _PREFIX.match(c.value)
    body = c.value[prefix.end() :] if prefix else c.value
    mixed = any(ch.isdigit() for ch in body) and any(ch.isalpha() for ch in body)
    if (mixed or passwords.scrambled(body)) and len(set(body)) >= 6 and not passwords.wordlike(body):
        return PASS
    whole = re.split(r"[-_.]", c.value, maxsplit=1)[-1]  # one random key in thirty of 20 characters has no digit
    odd = len(whole) >= 16 and passwords.kinds(whole) >= 2 and passwords.unheard(whole)
    return PASS if odd and len(set(whole)) >= 10 and not passwords.wordlike(whole) else FAIL


def _called(c: Candidate) -> bool:
    """True when the value goes on as a call or a subscript: it is code, not a value."""
    return c.text[c.end : c.end + 1] in {"(", "["}


def _password(c: Candidate) -> Verdict:
    if passwords.reference(c.value) or _called(c):
        return FAIL
    if passwords.placeholder(c.value):
        return EXAMPLE
    return PASS if passwords.password(c.value) else FAIL


def _token(c: Candidate) -> Verdict:
    if passwords.reference(c.value) or _called(c):
        return FAIL
    if passwords.placeholder(c.value):
        return EXAMPLE
    return PASS if passwords.token(c.value) else FAIL


def _url_password(c: Candidate) -> Verdict:
    """The password inside `scheme://user:password@host`: a reference is none, a placeholder is an example.

    `postgres:postgres`, a password that is the user's name, is the default of a container image: an example too.
    """
    user, secret = "", c.value
    if "://" in c.value:
        user, _, secret = c.value.partition("://")[2].rpartition("@")[0].partition(":")
    words = re.sub(r"%20|\+", "", secret)
    if words != secret and words.isalpha() and words.islower():
        return EXAMPLE  # `a%20secret`: how documentation shows that a password is quoted
    if not secret or secret[0] in "$<{[(*" or "{" in secret or "$" in secret[:2] or re.fullmatch(r"%\w+%?", secret):
        return FAIL
    lowered = secret.lower()
    if lowered == user.lower() or lowered in {
        "password",
        "pass",
        "passwd",
        "pwd",
        "secret",
        "user",
        "pw",
        "xxx",
        "***",
    }:
        return EXAMPLE
    if secret.isalpha() and secret.islower() and _SAMPLE_HOST.search(c.value):
        return EXAMPLE
    return EXAMPLE if passwords.placeholder(secret) else PASS


_SAMPLE_HOST = re.compile(
    r"@(?:[\w.-]*\.)?(?:example(?:\.[a-z]{2,4})?|host(?:name)?|server|proxyhost|domain(?:\.com)?)(?:[:/?]|$)"
)
"""RFC 2606 and what documentation writes: a word before such a host is no password."""


def _connection_password(c: Candidate) -> Verdict:
    """The password inside `...;Password=...` or `...&password=...`, judged as `url_password` does."""
    _, _, secret = c.value.rpartition("=")
    return _url_password(Candidate(secret, c.text, c.end - len(secret), c.end))


def _oracle_login(c: Candidate) -> Verdict:
    """The password inside `user/password@host`: a placeholder, or the user's name, is none."""
    user, _, secret = c.value.rpartition("@")[0].rpartition("/")
    named = re.split(r"[:\s\"']", user)[-1].lower() == secret.lower()
    return FAIL if named or passwords.placeholder(secret) or passwords.reference(secret) else PASS


def _user_password(c: Candidate) -> Verdict:
    """The password behind the colon of `user:password`, either of them in quotes of its own."""
    secret = c.value.partition(":")[2].strip("\"'")
    return _password(Candidate(secret, c.text, c.end - len(secret), c.end))


def _basic_auth(c: Candidate) -> Verdict:
    """RFC 7617: base64 of `user:password`, printable."""
    try:
        decoded = base64.b64decode(c.value + "=" * (-len(c.value) % 4), validate=True).decode("ascii")
    except (ValueError, binascii.Error):
        return FAIL
    user, colon, secret = decoded.partition(":")
    if not colon or not secret or not decoded.isprintable() or not user or user.startswith("{"):
        return FAIL  # the last: base64 of JSON, the head of a token
    published = decoded == "Aladdin:open sesame"  # RFC 7617's own
    return EXAMPLE if published or passwords.placeholder(decoded) or secret.lower() in {"password", "pass"} else PASS


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


def _phone(region: str) -> Validator:
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


def _aws_secret(c: Candidate) -> Verdict:
    """Forty characters of base64 with upper, lower and digits: not a hexadecimal digest, not a path."""
    v = c.value
    mixed = any(x.islower() for x in v) and any(x.isupper() for x in v) and any(x.isdigit() for x in v)
    if passwords.placeholder(v):
        return EXAMPLE
    return PASS if mixed and v.count("/") <= 6 and passwords.entropy(v) >= 3.8 and not passwords.wordlike(v) else FAIL


def _aws_key_id(c: Candidate) -> Verdict:
    """An access key id is base32 behind its prefix: the account lies in it. A run of the alphabet is a sample."""
    body = c.value[4:]
    if passwords.placeholder(c.value) or len(set(body)) < 5 or body in "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEF":
        return EXAMPLE
    return PASS


def _issued(c: Candidate) -> Verdict:
    """A key of a form that other things have too: random, and announced as a credential by the words before it."""
    return PASS if secrets.issued(c.value, c.before(64)) else FAIL


def _not_otherwise(c: Candidate) -> Verdict:
    """Fails what the text itself calls a commit, a checksum or an identifier."""
    return FAIL if secrets.otherwise(c.before(64)) else PASS


def _strong_password(c: Candidate) -> Verdict:
    """A password that no sentence would hold by chance: letters, digits and signs, or both cases and digits."""
    if passwords.reference(c.value) or _called(c):
        return FAIL
    if passwords.placeholder(c.value):
        return EXAMPLE
    return PASS if passwords.strong(c.value) else FAIL


def _signed_secret(c: Candidate) -> Verdict:
    if passwords.reference(c.value):
        return FAIL
    if passwords.placeholder(c.value):
        return EXAMPLE
    return PASS if passwords.signed(c.value) else FAIL


def _seed_phrase(c: Candidate) -> Verdict:
    """BIP-39 words whose checksum holds; the published vectors (one byte repeated) are examples."""
    seed = secrets.seed_phrase(c.value)
    return Verdict(True, example=seed.published, keep=seed.end) if seed and seed.checked else FAIL


def _seed_words(c: Candidate) -> Verdict:
    """Twelve or more BIP-39 words in a row whose checksum does not hold: mistyped, or of another scheme."""
    seed = secrets.seed_phrase(c.value)
    return Verdict(True, keep=seed.end) if seed and not seed.checked else FAIL


_WIF_VERSIONS = frozenset({0x80, 0xEF, 0xB0, 0x9E, 0xCC})
"""Bitcoin, its test network, Litecoin, Dogecoin, Dash."""


def _wif(c: Candidate) -> Verdict:
    payload = secrets.base58check(c.value)
    return PASS if payload and payload[0] in _WIF_VERSIONS and len(payload) in {33, 34} else FAIL


def _extended_key(c: Candidate) -> Verdict:
    """BIP-32: 78 bytes under Base58Check."""
    payload = secrets.base58check(c.value)
    return PASS if payload and len(payload) == 78 else FAIL


def _ripple_seed(c: Candidate) -> Verdict:
    payload = secrets.base58check(c.value, secrets.RIPPLE58)
    return PASS if payload and len(payload) in {17, 19} else FAIL


def _stellar_seed(c: Candidate) -> Verdict:
    try:
        return PASS if secrets.strkey(base64.b32decode(c.value)) else FAIL
    except ValueError:
        return FAIL


def _simple(check: Callable[[str], bool]) -> Validator:
    return lambda c: PASS if check(c.value) else FAIL


def _stdnum(name: str) -> Validator:
    module: Any = importlib.import_module(f"stdnum.{name}")

    def validator(c: Candidate) -> Verdict:
        try:
            module.validate(c.value)
        except (ValidationError, ValueError, IndexError, KeyError):
            return FAIL
        compact = re.sub(r"[^0-9A-Za-z]", "", c.value)
        if compact in "1234567890123456789":
            return EXAMPLE
        return FAIL if len(set(compact)) < 3 else PASS  # 000000000 and 111111111 pass many a checksum

    return validator


_PLAIN: dict[str, Validator] = {
    "luhn": _luhn,
    "card_issuer": _card_issuer,
    "not_counter": _not_counter,
    "not_listed": _not_listed,
    "not_part": _not_part,
    "street_name": _street_name,
    "iban": _iban,
    "aba": _aba,
    "github_crc32": _github_crc32,
    "jwt": _jwt,
    "pem": _pem,
    "not_placeholder": _not_placeholder,
    "keylike": _keylike,
    "password": _password,
    "token": _token,
    "url_password": _url_password,
    "basic_auth": _basic_auth,
    "email": _email,
    "ipv4": _ipv4,
    "ipv6": _ipv6,
    "mac": _mac,
    "aws_secret": _aws_secret,
    "us_ssn": _simple(national.us_ssn),
    "us_itin": _simple(national.us_itin),
    "gb_nino": _simple(national.gb_nino),
    "ca_sin": _simple(national.ca_sin),
    "be_nn": _simple(national.be_nn),
    "se_personnummer": _simple(national.se_personnummer),
    "no_fodselsnummer": _simple(national.no_fodselsnummer),
    "dk_cpr": _simple(national.dk_cpr),
    "za_id": _simple(national.za_id),
    "in_pan": _simple(national.in_pan),
    "au_medicare": _simple(national.au_medicare),
    "at_svnr": _simple(national.at_svnr),
    "hk_hkid": _simple(national.hk_hkid),
    "sg_nric": _simple(national.sg_nric),
    "tw_id": _simple(national.tw_id),
    "jp_my_number": _simple(national.jp_my_number),
    "de_rvnr": _simple(national.de_rvnr),
    "has_digit": _simple(lambda value: any(c.isdigit() for c in value)),
    "connection_password": _connection_password,
    "aws_key_id": _aws_key_id,
    "issued": _issued,
    "oracle_login": _oracle_login,
    "not_otherwise": _not_otherwise,
    "strong_password": _strong_password,
    "signed_secret": _signed_secret,
    "seed_phrase": _seed_phrase,
    "seed_words": _seed_words,
    "wif": _wif,
    "extended_key": _extended_key,
    "ripple_seed": _ripple_seed,
    "stellar_seed": _stellar_seed,
    "bech32": _simple(secrets.bech32),
    "curve_key": _simple(secrets.curve_key),
    "unspoken": _simple(secrets.unspoken),
    "user_password": _user_password,
    **{name: _simple(check) for name, check in (national_world.CHECKS | personal.CHECKS).items()},
    "labelled_name": _simple(people.labelled_name),
    "announced_name": _simple(people.announced_name),
    "known_name": _simple(people.known_name),
    "column_name": _column_name,
    "person_name": lambda c: PASS if people.full_name(c.value, c.text[c.end : c.end + 24]) else FAIL,
}


@cache
def find(name: str) -> Validator:
    """The validator of that name. Raises KeyError with what is wrong with the name."""
    if name in _PLAIN:
        return _PLAIN[name]
    kind, colon, argument = name.partition(":")
    if kind == "entropy" and re.fullmatch(r"\d(\.\d+)?", argument):
        return _entropy(argument)
    if kind == "phone" and (not colon or argument == "any" or re.fullmatch(r"[A-Z]{2}", argument)):
        return _phone(argument)
    if kind == "stdnum" and argument in STDNUM:
        return _stdnum(argument)
    raise KeyError(f"unknown validator `{name}`; known: {', '.join(names())}")


def names() -> list[str]:
    """Every validator that a pack may name, as it would be written."""
    return sorted([*_PLAIN, "entropy:BITS", "phone", "phone:any", "phone:REGION", *(f"stdnum:{m}" for m in STDNUM)])


def warm() -> None:
    """Load what the libraries load late, so that no request pays for it."""
    phonenumbers.PhoneMetadata.load_all()
    for gazetteer in people.GAZETTEERS:
        people.names(gazetteer)
