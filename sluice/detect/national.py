"""Checks of national numbers where the library's own depends on today's date, or does not exist.

`python-stdnum` covers most countries; these are the rest. A decision must replay exactly, so none of them asks whether
a date of birth lies in the future: a date only has to exist in some year.
"""

from __future__ import annotations

import re

_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def digits(value: str) -> str:
    """The ASCII digits of a text, in order."""
    return "".join(c for c in value if "0" <= c <= "9")


def day_exists(month: int, day: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= _DAYS[month - 1]


def luhn(number: str) -> bool:
    """ISO/IEC 7812-1 annex B: the check digit of cards and many national numbers."""
    total = 0
    for i, c in enumerate(reversed(number)):
        n = ord(c) - 48
        if i & 1:
            n = n * 2 - 9 if n > 4 else n * 2
        total += n
    return total % 10 == 0


def us_ssn(value: str) -> bool:
    """United States social security number: no check digit, but areas 000, 666 and 900-999, group 00 and serial 0000
    were never issued (20 CFR 422.103; SSA randomisation of 2011). Published numbers such as 078-05-1120 count."""
    n = digits(value)
    area, group, serial = n[:3], n[3:5], n[5:]
    return len(n) == 9 and area not in {"000", "666"} and area < "900" and group != "00" and serial != "0000"


def us_itin(value: str) -> bool:
    """Individual taxpayer identification number: 9xx with group 50-65, 70-88, 90-92 or 94-99 (IRS IRM 3.21.263)."""
    n = digits(value)
    group = int(n[3:5] or 0)
    ranges = ((50, 65), (70, 88), (90, 92), (94, 99))
    return len(n) == 9 and n[0] == "9" and any(a <= group <= b for a, b in ranges)


def ca_sin(value: str) -> bool:
    """Canadian social insurance number: Luhn. First digits 0 and 8 were never issued; 0 is what examples begin with,
    and counts, as a published card number does."""
    n = digits(value)
    return len(n) == 9 and n[0] != "8" and len(set(n)) > 1 and luhn(n)


def gb_nino(value: str) -> bool:
    """United Kingdom national insurance number: prefixes never allocated (HMRC NIM39110)."""
    n = re.sub(r"[^A-Z0-9]", "", value.upper())
    return bool(
        re.fullmatch(r"[ABCEGHJ-PRSTW-Z][ABCEGHJ-NPRSTW-Z]\d{6}[A-D]", n)
        and n[:2] not in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}
        and len(set(n[2:8])) > 1
    )


def be_nn(value: str) -> bool:
    """Belgian national number: date of birth, serial, 97 less the number modulo 97 (a 2 in front since 2000).

    Months 20 and 40 higher are the bis numbers of people who are not in the register.
    """
    n = digits(value)
    if len(n) != 11 or not day_exists(int(n[2:4]) % 20, int(n[4:6])) or n[6:9] in {"000", "999"}:
        return False
    return int(n[9:]) in {97 - int(n[:9]) % 97, 97 - int("2" + n[:9]) % 97}


def se_personnummer(value: str) -> bool:
    """Swedish personal number: date (day + 60 for a coordination number) and Luhn over the last ten digits."""
    n = digits(value)[-10:]
    day = int(n[4:6] or 0)
    return len(n) == 10 and day_exists(int(n[2:4]), day - 60 if day > 60 else day) and luhn(n)


def no_fodselsnummer(value: str) -> bool:
    """Norwegian birth number: date (day + 40 for a D number), two modulo-11 check digits (Skatteetaten)."""
    n = [int(c) for c in digits(value)]
    if len(n) != 11:
        return False
    day, month = n[0] * 10 + n[1], n[2] * 10 + n[3]
    if not day_exists(month % 40, day - 40 if day > 40 else day):
        return False
    first = -sum(a * b for a, b in zip((3, 7, 6, 1, 8, 9, 4, 5, 2), n[:9], strict=True)) % 11
    second = -sum(a * b for a, b in zip((5, 4, 3, 2, 7, 6, 5, 4, 3, 2), n[:10], strict=True)) % 11
    return first == n[9] and second == n[10]


def dk_cpr(value: str) -> bool:
    """Danish personal number: a date that exists. Modulo 11 is not binding since 2007, so it proves little."""
    n = digits(value)
    return len(n) == 10 and day_exists(int(n[2:4]), int(n[:2])) and n[6:] != "0000"


def za_id(value: str) -> bool:
    """South African identity number: date, citizenship digit 0-2, Luhn."""
    n = digits(value)
    return len(n) == 13 and day_exists(int(n[2:4]), int(n[4:6])) and n[10] in "012" and luhn(n)


def in_pan(value: str) -> bool:
    """Indian permanent account number: five letters of which the fourth names the kind of holder, four digits, a
    letter. Its check letter is not published, so this is structure only."""
    return bool(re.fullmatch(r"[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]", value.upper())) and value[5:9] != "0000"


def au_medicare(value: str) -> bool:
    """Australian Medicare card: first digit 2-6, ninth is a weighted sum of the first eight modulo 10."""
    n = digits(value)
    if len(n) not in {10, 11} or n[0] not in "23456":
        return False
    weights = (1, 3, 7, 9, 1, 3, 7, 9)
    return sum(int(a) * w for a, w in zip(n[:8], weights, strict=True)) % 10 == int(n[8])


def at_svnr(value: str) -> bool:
    """Austrian social security number: three digits, check digit, date of birth."""
    n = digits(value)
    if len(n) != 10 or n[0] == "0":
        return False
    weights = (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)
    month = int(n[6:8])
    return sum(int(a) * w for a, w in zip(n, weights, strict=True)) % 11 == int(n[3]) and (
        day_exists(month, int(n[4:6])) or month in {13, 14, 15}
    )


def hk_hkid(value: str) -> bool:
    """Hong Kong identity card: one or two letters, six digits, check digit 0-9 or A, weights 9 to 1 modulo 11."""
    n = re.sub(r"[^A-Z0-9]", "", value.upper())
    if not re.fullmatch(r"[A-Z]{1,2}\d{6}[0-9A]", n):
        return False
    letters = n[:-7].rjust(2)
    codes = [36 if c == " " else ord(c) - 55 for c in letters] + [int(c) for c in n[-7:-1]]
    total = sum(c * w for c, w in zip(codes, range(9, 1, -1), strict=True)) + (10 if n[-1] == "A" else int(n[-1]))
    return total % 11 == 0


def sg_nric(value: str) -> bool:
    """Singapore NRIC and FIN: letter, seven weighted digits, check letter (M series since 2022)."""
    n = value.upper()
    if not re.fullmatch(r"[STFGM]\d{7}[A-Z]", n):
        return False
    total = sum(int(a) * w for a, w in zip(n[1:8], (2, 7, 6, 5, 4, 3, 2), strict=True))
    total += {"T": 4, "G": 4, "M": 3}.get(n[0], 0)
    letters = "JZIHGFEDCBA" if n[0] in "ST" else "XWUTRQPNMLK" if n[0] in "FG" else "XWUTRQPNJLK"
    at = 10 - total % 11 if n[0] == "M" else total % 11
    return letters[at] == n[8]


def tw_id(value: str) -> bool:
    """Taiwanese identity card: area letter as two digits, sex 1 or 2 (8 or 9 for residents), weights 1 9 8 ... 1."""
    n = value.upper()
    if not re.fullmatch(r"[A-Z][1289]\d{8}", n):
        return False
    area = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(n[0]) + 10
    figures = [area // 10, area % 10, *map(int, n[1:])]
    return sum(a * w for a, w in zip(figures, (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1), strict=True)) % 10 == 0


def jp_my_number(value: str) -> bool:
    """Japanese individual number: eleven digits and a check digit, weights 6 5 4 3 2 7 6 5 4 3 2 modulo 11."""
    n = digits(value)
    if len(n) != 12:
        return False
    rest = sum(int(a) * w for a, w in zip(n[:11], (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2), strict=True)) % 11
    return int(n[11]) == (0 if rest <= 1 else 11 - rest)


def de_rvnr(value: str) -> bool:
    """German pension insurance number (VKVV s. 4): area, date (day + 50 for a second holder), letter, serial, check."""
    n = re.sub(r"[^A-Z0-9]", "", value.upper())
    if not re.fullmatch(r"\d{8}[A-Z]\d{3}", n):
        return False
    day = int(n[2:4])
    if not day_exists(int(n[4:6]), day - 50 if day > 50 else day):
        return False
    figures = n[:8] + f"{ord(n[8]) - 64:02d}" + n[9:11]
    products = (int(a) * w for a, w in zip(figures, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=True))
    return sum(p // 10 + p % 10 for p in products) % 10 == int(n[11])
