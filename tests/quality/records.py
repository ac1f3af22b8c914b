"""Personal, financial and medical values with the words by which text calls them. Faker gives what differs by country."""

from __future__ import annotations

import random
from functools import cache

from faker import Faker

from tests.quality.corpus import Value, draw
from tests.quality.identity import NUMBERS, luhn
from tests.quality.people import NAMES

LOCALES = [
    "en_US",
    "en_GB",
    "en_IN",
    "en_AU",
    "en_CA",
    "de_DE",
    "de_AT",
    "de_CH",
    "fr_FR",
    "fr_CA",
    "fr_CH",
    "es_ES",
    "es_MX",
    "it_IT",
    "nl_NL",
    "nl_BE",
    "pt_BR",
    "pt_PT",
    "pl_PL",
    "cs_CZ",
    "sv_SE",
    "no_NO",
    "da_DK",
    "fi_FI",
    "ro_RO",
    "hu_HU",
    "tr_TR",
    "el_GR",
    "ru_RU",
    "uk_UA",
    "ja_JP",
    "zh_CN",
    "zh_TW",
    "ko_KR",
]
LATIN = frozenset(LOCALES) - {"el_GR", "ru_RU", "uk_UA", "ja_JP", "zh_CN", "zh_TW", "ko_KR"}
STREETS = ("en_US", "en_GB", "en_AU", "en_CA", "de_DE", "de_AT", "fr_FR", "es_ES", "it_IT", "nl_NL", "pt_BR")


@cache
def fake(locale: str) -> Faker:
    """The Faker of a locale; seeded by the caller for every value."""
    return Faker(locale)


def _faker(rng: random.Random, locale: str) -> Faker:
    generator = fake(locale)
    generator.seed_instance(rng.getrandbits(32))
    return generator


_CARDS = (
    ("4", 16),
    ("51", 16),
    ("53", 16),
    ("2221", 16),
    ("37", 15),
    ("34", 15),
    ("6011", 16),
    ("3530", 16),
    ("36", 14),
    ("62", 16),
)
_IBANS = {"DE": "{digit:18}", "FR": "{digit:23}", "GB": "BARC{digit:14}", "ES": "{digit:20}", "NL": "INGB{digit:10}", "IT": "X{digit:22}", "BE": "{digit:12}", "AT": "{digit:16}", "CH": "{digit:17}", "PL": "{digit:24}", "SE": "{digit:20}", "NO": "{digit:11}", "PT": "{digit:21}", "IE": "AIBK{digit:14}", "SA": "80{digit:18}"}  # fmt: skip


def iban(rng: random.Random) -> str:
    """An IBAN with right check digits (ISO 13616), in fours or in one."""
    country = rng.choice(sorted(_IBANS))
    body = draw(rng, _IBANS[country])
    check = 98 - int("".join(str(int(c, 36)) for c in f"{body}{country}00")) % 97
    whole = f"{country}{check:02}{body}"
    return whole if rng.random() < 0.4 else " ".join(whole[i : i + 4] for i in range(0, len(whole), 4))


def card(rng: random.Random) -> str:
    """A card number with Luhn digit, plain or grouped."""
    prefix, length = rng.choice(_CARDS)
    n = luhn(prefix + draw(rng, f"{{digit:{length - len(prefix) - 1}}}"))
    if length != 16 or rng.random() < 0.5:
        return n
    sign = rng.choice(" -")
    return sign.join(n[i : i + 4] for i in range(0, 16, 4))


def routing(rng: random.Random) -> str:
    """An American bank routing number (ABA)."""
    n = rng.choice(("02", "03", "06", "11", "12")) + draw(rng, "{digit:6}")
    return n + str(-sum(int(c) * w for c, w in zip(n, (3, 7, 1, 3, 7, 1, 3, 7), strict=True)) % 10)


def npi(rng: random.Random) -> str:
    """An American provider number."""
    return luhn("808401" + draw(rng, "{digit:8}"))[5:]


def vin(rng: random.Random) -> str:
    """A vehicle number with its check digit (49 CFR 565)."""
    alphabet = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
    body = (
        "1HG" + "".join(rng.choices(alphabet, k=5)) + "0" + "".join(rng.choices(alphabet, k=2)) + draw(rng, "{digit:6}")
    )
    codes = dict(
        zip(
            "ABCDEFGHJKLMNPRSTUVWXYZ",
            (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9),
            strict=True,
        )
    )
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    rest = sum((int(c) if c.isdigit() else codes[c]) * w for c, w in zip(body, weights, strict=True)) % 11
    return body[:8] + ("X" if rest == 10 else str(rest)) + body[9:]


def _email(rng: random.Random) -> str:
    first, last = rng.choice(NAMES).split()[:2]
    user = "".join(c for c in f"{first}.{last}".lower() if c.isascii() and (c.isalnum() or c == "."))
    return f"{user}{rng.choice(('', '81', '.hr'))}@{rng.choice(('gmail.com', 'acme-corp.net', 'web.de', 'orange.fr', 'uni.ac.uk'))}"


_NAME_LABELS = (
    "Name",
    "Patient name",
    "full_name",
    "Customer name",
    "Ansprechpartner",
    "Nom",
    "Nombre",
    "employee name",
)
_ADDRESS_LABELS = ("address", "Anschrift", "adresse", "dirección", "home address", "shipping address")


def phone(rng: random.Random) -> str:
    """A telephone number as Faker writes it in one of its locales."""
    for _ in range(20):
        number = _faker(rng, rng.choice(LOCALES)).phone_number()
        if 9 <= sum(c.isdigit() for c in number) <= 15:
            return number
    return "+49 30 901820"


def street(rng: random.Random) -> str:
    """House number and street, in the order of the country."""
    return _faker(rng, rng.choice(STREETS)).street_address().replace("\n", ", ")


def values(rng: random.Random) -> list[Value]:
    """One value of every kind of personal data."""
    day = f"{rng.randint(1, 28):02}", f"{rng.randint(1, 12):02}", str(rng.randint(1940, 2005))
    birth = rng.choice(
        (
            f"{day[2]}-{day[1]}-{day[0]}",
            f"{day[0]}.{day[1]}.{day[2]}",
            f"{day[1]}/{day[0]}/{day[2]}",
            f"{int(day[0])} March {day[2]}",
        )
    )
    health = ("government.", "health.")
    out = [
        Value(kind, "identity", make(rng), label, (*health, "financial.iban", "business."))
        for kind, (label, make) in NUMBERS.items()
    ]
    contact, money = ("contact.",), ("financial.",)
    out += [
        Value("e-mail", "structured", _email(rng), "email", ("contact.email",)),
        Value("phone", "structured", phone(rng), rng.choice(("phone", "Tel", "mobile", "phone number")), contact),
        Value("phone +", "structured", f"+{rng.choice(('44 7911', '49 1512', '1 415', '33 6 12', '91 98450'))} {rng.randint(200000, 999999)}"[:16], "phone", contact),
        Value("card", "structured", card(rng), rng.choice(("card number", "credit card", "PAN", "Kreditkarte")), ("financial.card",)),
        Value("IBAN", "structured", iban(rng), "IBAN", ("financial.iban",)),
        Value("US routing", "structured", routing(rng), "routing number", money),
        Value("bank account", "structured", draw(rng, "{digit:10}"), "account number", ("financial.account", "financial.")),
        Value("US licence", "structured", draw(rng, "{upper:1}{digit:7}"), "driver's license", ("government.",)),
        Value("passport", "structured", draw(rng, "{upper:1}{digit:8}"), "passport number", ("government.",)),
        Value("NPI", "structured", npi(rng), "NPI", ("health.",)),
        Value("MRN", "structured", draw(rng, "{digit:8}"), "MRN", ("health.", "government.")),
        Value("VIN", "structured", vin(rng), "VIN", ("pii.vehicle",)),
        Value("birth date", "structured", birth, rng.choice(("date of birth", "DOB", "Geburtsdatum", "born")), ("pii.birth-date",)),
        Value("IPv4", "structured", f"81.{rng.randint(2, 250)}.{rng.randint(0, 255)}.{rng.randint(1, 254)}", "ip", ("network.",)),
        Value("MAC", "structured", ":".join(f"{b:02x}" for b in rng.randbytes(6)), "mac", ("network.",)),
        Value("street", "address", street(rng), rng.choice(_ADDRESS_LABELS), ("contact.address",)),
        Value("name, own list", "name", rng.choice(NAMES), rng.choice(_NAME_LABELS), ("pii.name",)),
        Value("name, Faker", "name", _faker(rng, rng.choice(sorted(LATIN))).name(), rng.choice(_NAME_LABELS), ("pii.name",)),
    ]  # fmt: skip
    return out
