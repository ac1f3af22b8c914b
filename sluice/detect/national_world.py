"""More checks of national numbers that `python-stdnum` does not have, by country. Same rules as `national`.

Each takes the value as it was written, separators and all, and says whether structure and check digits hold. `CHECKS`
is what packs may name; `STRUCTURE` are those of them that prove a form only, because the number has no check digit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from stdnum import verhoeff
from stdnum.mx import rfc

from sluice.detect.national import day_exists, digits, luhn


def _weighted(number: str, weights: Sequence[int]) -> int:
    return sum(int(a) * w for a, w in zip(number, weights, strict=False))


def _compact(value: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", value.upper())


def _icao(value: str) -> int:
    """Weighted sum 7-3-1 of ICAO Doc 9303 modulo 10: digits count as themselves, A as 10, `<` as 0."""
    total = 0
    for i, c in enumerate(value):
        total += (0 if c == "<" else int(c, 36)) * (7, 3, 1)[i % 3]
    return total % 10


def de_id_card(value: str) -> bool:
    """German identity card or passport: nine characters without vowels and a check digit (ICAO Doc 9303)."""
    n = _compact(value).removesuffix("D")
    return len(n) == 10 and n[9].isdigit() and any(c.isdigit() for c in n[1:9]) and _icao(n[:9]) == int(n[9])


def lu_matricule(value: str) -> bool:
    """Luxembourg: date of birth, serial, a Luhn digit and a Verhoeff digit, both over the first eleven."""
    n = digits(value)
    if len(n) != 13 or not "1800" <= n[:4] <= "2099" or not day_exists(int(n[4:6]), int(n[6:8])):
        return False
    return luhn(n[:12]) and verhoeff.is_valid(n[:11] + n[12])


def hu_tax(value: str) -> bool:
    """Hungarian tax number of a person: 8, nine digits, weights 1 to 9 modulo 11."""
    n = digits(value)
    return len(n) == 10 and n[0] == "8" and _weighted(n[:9], range(1, 10)) % 11 == int(n[9])


def hu_taj(value: str) -> bool:
    """Hungarian social security number (TAJ): weights 3 and 7 in turn, modulo 10."""
    n = digits(value)
    return len(n) == 9 and len(set(n)) > 2 and _weighted(n[:8], (3, 7) * 4) % 10 == int(n[8])


def hu_personal(value: str) -> bool:
    """Hungarian personal number: sex and century, date, serial; weights 1 to 10, reversed for those born since 1997."""
    n = digits(value)
    if len(n) != 11 or n[0] not in "12345678" or not day_exists(int(n[3:5]), int(n[5:7])):
        return False
    return int(n[10]) in {_weighted(n, range(1, 11)) % 11, _weighted(n, range(10, 0, -1)) % 11}


def kz_iin(value: str) -> bool:
    """Kazakhstan: date, century and sex, serial; weights 1 to 11 modulo 11, other weights where that is 10."""
    n = digits(value)
    if len(n) != 12 or n[6] not in "0123456" or not day_exists(int(n[2:4]), int(n[4:6])):
        return False
    rest = _weighted(n, range(1, 12)) % 11
    if rest == 10:
        rest = _weighted(n, (3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2)) % 11
    return rest == int(n[11])


def ru_snils(value: str) -> bool:
    """Russian pension insurance number: weights 9 to 1 modulo 101."""
    n = digits(value)
    return len(n) == 11 and n[:9] > "001001998" and _weighted(n[:9], range(9, 0, -1)) % 101 % 100 == int(n[9:])


def by_personal(value: str) -> bool:
    """Belarusian personal number: sex and century, date, region, serial, state, check digit 7-3-1."""
    n = _compact(value)
    if not re.fullmatch(r"[1-6]\d{6}[ABCHKEM]\d{3}(?:PB|BA|BI)\d", n):
        return False
    return day_exists(int(n[3:5]), int(n[1:3])) and _icao(n[:13]) == int(n[13])


def ir_melli(value: str) -> bool:
    """Iranian national code: weights 10 to 2 modulo 11."""
    n = digits(value)
    if len(n) != 10 or len(set(n)) < 3:
        return False
    rest = _weighted(n[:9], range(10, 1, -1)) % 11
    return int(n[9]) == (rest if rest < 2 else 11 - rest)


def sa_id(value: str) -> bool:
    """Saudi national identity (1) or residence (2) number: Luhn."""
    n = digits(value)
    return len(n) == 10 and n[0] in "12" and len(set(n)) > 2 and luhn(n)


def kw_civil(value: str) -> bool:
    """Kuwaiti civil number: century, date, serial, weights modulo 11."""
    n = digits(value)
    if len(n) != 12 or n[0] not in "123" or not day_exists(int(n[3:5]), int(n[5:7])):
        return False
    return 11 - _weighted(n[:11], (2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)) % 11 == int(n[11])


def eg_national(value: str) -> bool:
    """Egyptian national number: century, date, governorate. The rule of its last digit is not published."""
    n = digits(value)
    place = int(n[7:9] or 0)
    return len(n) == 14 and n[0] in "23" and day_exists(int(n[3:5]), int(n[5:7])) and (1 <= place <= 35 or place == 88)


def vn_cccd(value: str) -> bool:
    """Vietnamese citizen card: province 001 to 096, sex and century, year, serial. No check digit."""
    n = digits(value)
    return len(n) == 12 and 1 <= int(n[:3]) <= 96 and len(set(n)) > 3


def lk_nic(value: str) -> bool:
    """Sri Lankan identity card: year, day of the year (500 more for women), serial. No check digit."""
    n = _compact(value)
    if re.fullmatch(r"\d{9}[VX]", n):
        day = int(n[2:5])
    elif re.fullmatch(r"(?:19|20)\d{10}", n):
        day = int(n[4:7])
    else:
        return False
    return 1 <= day <= 366 or 501 <= day <= 866


def uy_ci(value: str) -> bool:
    """Uruguayan identity card: weights 2 9 8 7 6 3 4 modulo 10."""
    n = digits(value).rjust(8, "0")
    return len(n) == 8 and len(set(n)) > 2 and -_weighted(n[:7], (2, 9, 8, 7, 6, 3, 4)) % 10 == int(n[7])


def gt_cui(value: str) -> bool:
    """Guatemalan identification code: eight digits, weights 2 to 9 modulo 11, department and municipality."""
    n = digits(value)
    if len(n) != 13 or not 1 <= int(n[9:11]) <= 22 or not 1 <= int(n[11:]) <= 38:
        return False
    return _weighted(n[:8], range(2, 10)) % 11 == int(n[8])


def sv_dui(value: str) -> bool:
    """Salvadoran identity document: weights 9 to 2 modulo 10."""
    n = digits(value)
    return len(n) == 9 and len(set(n)) > 2 and -_weighted(n[:8], range(9, 1, -1)) % 10 == int(n[8])


def es_naf(value: str) -> bool:
    """Spanish social security number: province and serial modulo 97."""
    n = digits(value)
    if len(n) != 12 or not 1 <= int(n[:2]) <= 66:
        return False
    serial = int(n[2:10])
    base = int(n[:2] + str(serial)) if serial < 10_000_000 else int(n[:10])
    return base % 97 == int(n[10:]) and serial > 0


def pt_niss(value: str) -> bool:
    """Portuguese social security number: prime weights modulo 10."""
    n = digits(value)
    total = _weighted(n[:10], (29, 23, 19, 17, 13, 11, 7, 5, 3, 2))
    return len(n) == 11 and n[0] in "12" and 9 - total % 10 == int(n[10])


def pl_id_card(value: str) -> bool:
    """Polish identity card: three letters, check digit, five digits, weights 7 3 1 9 7 3 1 7 3 modulo 10."""
    n = _compact(value)
    if not re.fullmatch(r"[A-Z]{3}\d{6}", n):
        return False
    return sum(int(c, 36) * w for c, w in zip(n, (7, 3, 1, 9, 7, 3, 1, 7, 3), strict=True)) % 10 == 0


def pl_passport(value: str) -> bool:
    """Polish passport: two letters, check digit, six digits, weights 7 3 9 1 7 3 1 7 3 modulo 10."""
    n = _compact(value)
    if not re.fullmatch(r"[A-Z]{2}\d{7}", n):
        return False
    return sum(int(c, 36) * w for c, w in zip(n, (7, 3, 9, 1, 7, 3, 1, 7, 3), strict=True)) % 10 == 0


def br_pis(value: str) -> bool:
    """Brazilian social integration number (PIS, PASEP, NIT): weights 3 2 9 ... 2 modulo 11."""
    n = digits(value)
    if len(n) != 11 or len(set(n)) < 3:
        return False
    rest = 11 - _weighted(n[:10], (3, 2, 9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return int(n[10]) == (0 if rest > 9 else rest)


def br_cns(value: str) -> bool:
    """Brazilian health card (CNS): fifteen digits from 1, 2, 7, 8 or 9, weights 15 to 1 modulo 11."""
    n = digits(value)
    return len(n) == 15 and n[0] in "12789" and len(set(n)) > 3 and _weighted(n, range(15, 0, -1)) % 11 == 0


def mx_nss(value: str) -> bool:
    """Mexican social security number (IMSS): Luhn."""
    n = digits(value)
    return len(n) == 11 and len(set(n)) > 2 and luhn(n)


def mx_rfc(value: str) -> bool:
    """Mexican tax number of a person with its check digit (the library leaves that out unless told)."""
    return len(_compact(value)) == 13 and bool(rfc.is_valid(value, validate_check_digits=True))


def al_nid(value: str) -> bool:
    """Albanian identity number: decade and year, month (50 more for women), day, serial, letter. Structure only."""
    n = _compact(value)
    if not re.fullmatch(r"[A-T]\d{8}[A-W]", n):
        return False
    return day_exists(int(n[2:4]) % 50, int(n[4:6]))


def ca_health_on(value: str) -> bool:
    """Ontario health card: ten digits, Luhn, and a version code of two letters."""
    n = digits(value)
    return len(n) == 10 and n[0] != "0" and len(set(n)) > 2 and luhn(n)


def ca_ramq(value: str) -> bool:
    """Quebec health insurance: four letters of the name, year, month (50 more for women), day, two digits."""
    n = _compact(value)
    return bool(re.fullmatch(r"[A-Z]{4}\d{8}", n)) and day_exists(int(n[6:8]) % 50, int(n[8:10]))


def nz_nhi(value: str) -> bool:
    """New Zealand health index: three letters without I and O; weights 7 to 2, modulo 11.

    In the newer form modulo 24, or 23 as the first edition of the standard (HISO 10046) had it.
    """
    n = _compact(value)
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"
    if not re.fullmatch(r"[A-HJ-NP-Z]{3}(?:\d{4}|\d{2}[A-HJ-NP-Z]{2})", n):
        return False
    total = sum(
        (letters.index(c) + 1 if c.isalpha() else int(c)) * w for c, w in zip(n[:6], range(7, 1, -1), strict=True)
    )
    if n[6].isdigit():
        rest = total % 11
        return rest != 0 and (11 - rest) % 10 == int(n[6])
    return n[6] in {letters[23 - total % 24], letters[22 - total % 23]}


def gb_driving(value: str) -> bool:
    """British driving licence: surname, decade, month (5 more for women), day, year, initials, check characters."""
    n = _compact(value)
    if not re.fullmatch(r"[A-Z]{1,5}9{0,4}\d{6}[A-Z9]{2}[A-Z0-9]{3}", n) or len(n) != 16:
        return False
    month = int(n[6:8])
    return day_exists(month - 50 if month > 50 else month, int(n[8:10])) and n[13].isdigit()


def us_mbi(value: str) -> bool:
    """United States Medicare beneficiary: the form alone, letters without S L O I B Z; no check digit (CMS)."""
    letter, either = "[AC-HJKMNP-RT-Y]", "[AC-HJKMNP-RT-Y0-9]"
    return bool(re.fullmatch(rf"[1-9]{letter}{either}\d{letter}{either}\d{letter}{{2}}\d\d", _compact(value)))


def cn_resident(value: str) -> bool:
    """Chinese resident identity number (GB 11643): province, date of birth, serial, ISO 7064 modulo 11-2.

    The library asks for a county that exists; those of many who live have been renamed since.
    """
    n = value.upper()
    if not re.fullmatch(r"[1-8]\d{16}[0-9X]", n) or not "1900" <= n[6:10] <= "2039":
        return False
    rest = _weighted(n[:17], (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)) % 11
    return day_exists(int(n[10:12]), int(n[12:14])) and "10X98765432"[rest] == n[17]


def kr_rrn(value: str) -> bool:
    """Korean resident number: date, century and sex, weights 2 to 9 and 2 to 5 modulo 11 (till October 2020)."""
    n = digits(value)
    if len(n) != 13 or not day_exists(int(n[2:4]), int(n[4:6])):
        return False
    return (11 - _weighted(n[:12], (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10 == int(n[12])


CHECKS: dict[str, Callable[[str], bool]] = {
    check.__name__: check
    for check in (
        *(de_id_card, lu_matricule, hu_tax, hu_taj, hu_personal, kz_iin, ru_snils, by_personal, ir_melli, sa_id),
        *(kw_civil, eg_national, vn_cccd, lk_nic, uy_ci, gt_cui, sv_dui, es_naf, pt_niss, pl_id_card, pl_passport),
        *(
            br_pis,
            br_cns,
            mx_nss,
            mx_rfc,
            al_nid,
            ca_health_on,
            ca_ramq,
            nz_nhi,
            gb_driving,
            us_mbi,
            kr_rrn,
            cn_resident,
        ),
    )
}
STRUCTURE = frozenset({"eg_national", "vn_cccd", "lk_nic", "al_nid", "ca_ramq", "gb_driving", "us_mbi"})
