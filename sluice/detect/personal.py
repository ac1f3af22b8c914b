"""Checks of personal and medical values that are no national number: births, devices, vehicles, accounts, codes.

`CHECKS` is what packs may name. Same rules as `national`: no clock, and nothing raises on any text. What is in
`SCREENS` sorts out and proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256

from sluice.detect.national import day_exists, digits, luhn

MONTHS = {
    name: month
    for month, names in enumerate(
        (
            "january jan januar janvier enero gennaio januari janeiro ene gen",
            "february feb februar février fevrier febrero febbraio februari fevereiro fév fev",
            "march mar märz maerz mars marzo maart março marco mrz",
            "april apr avril abril aprile avr abr",
            "may mai mayo maggio mei maio mag",
            "june jun juni juin junio giugno junho giu",
            "july jul juli juillet julio luglio julho juil lug",
            "august aug août aout agosto augustus ago",
            "september sep sept septembre septiembre settembre setembro set",
            "october oct oktober octobre octubre ottobre outubro okt ott out",
            "november nov novembre noviembre novembro",
            "december dec dezember décembre decembre diciembre dicembre dezembro dez dic déc",
        ),
        1,
    )
    for name in names.split()
}


def birth_date(value: str) -> bool:
    """A day that exists, in any usual order, of a year between 1900 and 2039 (or of two digits)."""
    words = [MONTHS[w] for w in re.findall(r"[^\W\d_]+", value.lower()) if w in MONTHS]
    numbers = re.findall(r"\d+", value)
    if words:
        if len(numbers) != 2:
            return False
        day, year = sorted(numbers, key=len)
        return day_exists(words[0], int(day)) and _year(year)
    if len(numbers) == 1 and len(numbers[0]) == 8:
        n = numbers[0]
        numbers = [n[:4], n[4:6], n[6:]] if "19" <= n[:2] <= "20" else [n[:2], n[2:4], n[4:]]
    if len(numbers) != 3:
        return False
    first, second, third = numbers
    if len(first) == 4:
        return _year(first) and day_exists(int(second), int(third))
    return _year(third) and (day_exists(int(second), int(first)) or day_exists(int(first), int(second)))


def _year(text: str) -> bool:
    return len(text) == 2 or (len(text) == 4 and "1900" <= text <= "2039")


def imei(value: str) -> bool:
    """International mobile equipment identity: fifteen digits, Luhn (3GPP TS 23.003)."""
    n = digits(value)
    return len(n) == 15 and n[:2] not in {"00"} and len(set(n)) > 3 and luhn(n)


def vin(value: str) -> bool:
    """Vehicle identification number: ISO 3779, with the check digit of 49 CFR 565.15."""
    n = value.upper()
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    values = dict(
        zip(
            "0123456789ABCDEFGHJKLMNPRSTUVWXYZ",
            (*range(10), *range(1, 9), *range(1, 6), 7, 9, *range(2, 10)),
            strict=True,
        )
    )
    if not re.fullmatch(r"[A-HJ-NPR-Z0-9]{17}", n) or not 3 <= sum(c.isalpha() for c in n) <= 14:
        return False
    rest = sum(values[c] * w for c, w in zip(n, weights, strict=True)) % 11
    return n[8] == ("X" if rest == 10 else str(rest))


def vin_form(value: str) -> bool:
    """A vehicle number of a country without check digit: letters and digits, its last four are digits."""
    n = value.upper()
    letters = sum(c.isalpha() for c in n)
    return bool(re.fullmatch(r"[A-HJ-NPR-Z0-9]{13}\d{4}", n)) and 2 <= letters <= 14


def npi(value: str) -> bool:
    """United States provider number: Luhn over 80840 and the ten digits (45 CFR 162.408)."""
    n = digits(value)
    return len(n) == 10 and n[0] in "12" and luhn("80840" + n)


def dea(value: str) -> bool:
    """United States prescriber number: two letters or a letter and 9, six digits, check digit (21 CFR 1301)."""
    n = value.upper()
    if not re.fullmatch(r"[ABCDEFGHJKLMPRSTUX][A-Z9]\d{7}", n):
        return False
    d = [int(c) for c in n[2:]]
    return (d[0] + d[2] + d[4] + 2 * (d[1] + d[3] + d[5])) % 10 == d[6]


def mrz(value: str) -> bool:
    """A machine-readable line of a travel document (ICAO Doc 9303): number, birth, expiry, each with its digit."""
    n = value.replace(" ", "")
    return (
        re.fullmatch(r"[A-Z0-9<]{36}(?:[A-Z0-9<]{8})?", n) is not None
        and _mrz_check(n[:9], n[9])
        and _mrz_check(n[13:19], n[19])
        and _mrz_check(n[21:27], n[27])
    )


def _mrz_check(field: str, check: str) -> bool:
    total = sum((0 if c == "<" else int(c, 36)) * (7, 3, 1)[i % 3] for i, c in enumerate(field))
    return check == str(total % 10)


def iso_country(value: str) -> bool:
    """BIC: the fifth and sixth letters are a country, and the whole is no English word (ISO 9362)."""
    return value[4:6].upper() in _COUNTRIES


_COUNTRIES = frozenset(
    re.findall(
        "..",
        "ADAEAFAGALAMAOARATAUAZBABBBDBEBFBGBHBIBJBMBNBOBRBSBTBWBYBZCACDCFCGCHCICLCMCNCOCRCUCVCWCYCZDEDJDKDMDODZECEEEGERES"
        "ETFIFJFKFOFRGAGBGDGEGGGHGIGLGMGNGQGRGTGWGYHKHNHRHTHUIDIEILIMINIQIRISITJEJMJOJPKEKGKHKIKMKNKRKWKYKZLALBLCLILKLRLSLT"
        "LULVLYMAMCMDMEMGMKMLMMMNMOMRMTMUMVMWMXMYMZNANCNENGNINLNONPNRNZOMPAPEPFPGPHPKPLPSPTPWPYQARERORSRURWSASBSCSDSESGSI"
        "SKSLSMSNSOSRSSSTSVSXSYSZTCTDTGTHTJTLTMTNTOTRTTTVTWTZUAUGUSUYUZVAVCVEVGVNVUWSXKYEZAZMZW",
    )
)


def gb_postcode(value: str) -> bool:
    """A British postcode of an area that exists (Royal Mail)."""
    area = re.match(r"[A-Z]{1,2}", value.upper())
    return area is not None and area[0] in _AREAS


_AREAS = frozenset(
    """
    AB AL B BA BB BD BH BL BN BR BS BT CA CB CF CH CM CO CR CT CV CW DA DD DE DG DH DL DN DT DY E EC EH EN EX FK FY G GL
    GU GY HA HD HG HP HR HS HU HX IG IM IP IV JE KA KT KW KY L LA LD LE LL LN LS LU M ME MK ML N NE NG NN NP NR NW OL OX
    PA PE PH PL PO PR RG RH RM S SA SE SG SK SL SM SN SO SP SR SS ST SW SY TA TD TF TN TQ TR TS TW UB W WA WC WD WF WN
    WR WS WV YO ZE
    """.split()  # noqa: SIM905 - codes read better as words
)


def coordinates(value: str) -> bool:
    """Latitude and longitude in degrees, in that order, not both whole."""
    numbers = re.findall(r"-?\d{1,3}\.\d{3,}", value)
    return len(numbers) == 2 and abs(float(numbers[0])) <= 90 and abs(float(numbers[1])) <= 180


def bitcoin(value: str) -> bool:
    """Base58Check, or bech32 by its form (BIP 13, BIP 173)."""
    if value[:3].lower() in {"bc1", "ltc"}:
        return bool(re.fullmatch(r"(?:bc1|ltc1)[02-9ac-hj-np-z]{25,87}", value.lower()))
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number = 0
    for c in value:
        at = alphabet.find(c)
        if at < 0:
            return False
        number = number * 58 + at
    if number.bit_length() > 200:
        return False
    data = number.to_bytes(25)
    return sha256(sha256(data[:21]).digest()).digest()[:4] == data[21:]


_DATE = re.compile(
    r"(?:19|20)\d\d[-./ ](?:0?[1-9]|1[0-2])[-./ ]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./](?:19|20)\d\d"
    r"|(?:19|20)\d\d ?[-/] ?(?:19|20)\d\d"
)


_NO_PHONE = re.compile(rf"(?:{_DATE.pattern})(?!\d)|\d{{1,4}}\.\d{{5,}}$|\d{{1,2}}:\d\d")


def phone_shape(value: str) -> bool:
    """Seven to fifteen digits, no date: for numbers that the text itself calls a telephone number."""
    number = value.lower().partition("x")[0].partition("ext")[0]
    n = digits(number)
    return 7 <= len(n) <= 16 and len(set(n)) > 2 and not _NO_PHONE.match(number.strip())


def nanp_shape(value: str) -> bool:
    """North American form: area and exchange from 2 to 9; the list of those in use changes every month."""
    n = digits(value.lower().partition("x")[0].partition("ext")[0])
    n = n[-10:]
    return len(n) == 10 and n[0] in "23456789" and n[3] in "23456789" and len(set(n)) > 2


_NO_ID = re.compile(rf"(?:{_DATE.pattern}|(?:19|20)\d\d-\d\d-\d\d)(?:[ T]\d{{1,2}})?|\d{{5}}-\d{{4}}")
"""Dates and ZIP+4 codes."""


def id_shape(value: str) -> bool:
    """Six to eighteen letters and digits, at least four of them digits, and no date."""
    n = re.sub(r"[^A-Z0-9]", "", value.upper())
    return 6 <= len(n) <= 18 and len(digits(n)) >= 4 and len(set(n)) > 2 and not _NO_ID.fullmatch(value.strip())


def card_like(value: str) -> bool:
    """Luhn over 12 to 19 digits that begin like a card of any scheme, also of ranges that are no longer issued."""
    n = digits(value)
    return 12 <= len(n) <= 19 and (n[0] in "3456" or n[:4] in {"2131", "1800"}) and len(set(n)) > 1 and luhn(n)


def icd10(value: str) -> bool:
    """ICD-10: letter, two characters, and a dot with up to four; not U and the like, which are reserved."""
    return bool(re.fullmatch(r"[A-TV-Z]\d[0-9AB](?:\.[0-9A-Z]{1,4})?", value.upper()))


CHECKS: dict[str, Callable[[str], bool]] = {
    check.__name__: check
    for check in (
        *(birth_date, imei, vin, vin_form, npi, dea, mrz, iso_country, gb_postcode, coordinates, bitcoin),
        *(phone_shape, nanp_shape, icd10, card_like, id_shape),
    )
}
SCREENS = frozenset(
    {
        "birth_date",
        "vin_form",
        "gb_postcode",
        "coordinates",
        "phone_shape",
        "nanp_shape",
        "icd10",
        "id_shape",
        "iso_country",
    }
)
