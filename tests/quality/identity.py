"""Identity, tax and health numbers of fifty countries, with check digits computed here from the published rules."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from tests.quality.corpus import draw

type Make = Callable[[random.Random], str]


def _d(rng: random.Random, count: int) -> str:
    return draw(rng, f"{{digit:{count}}}")


def _sum(number: str, weights: Sequence[int]) -> int:
    return sum(int(c) * w for c, w in zip(number, weights, strict=False))


def luhn(number: str) -> str:
    """The number with its Luhn check digit."""
    total = 0
    for i, c in enumerate(reversed(number)):
        n = int(c) * (2 if i % 2 == 0 else 1)
        total += n - 9 if n > 9 else n
    return number + str(-total % 10)


def _mod11_10(number: str) -> str:
    """ISO 7064 MOD 11,10."""
    p = 10
    for c in number:
        p = ((p + int(c)) % 10 or 10) * 2 % 11
    return number + str((11 - p) % 10)


def _date(rng: random.Random, form: str = "{y:02}{m:02}{d:02}", low: int = 1945, high: int = 1999) -> str:
    year, month, day = rng.randint(low, high), rng.randint(1, 12), rng.randint(1, 28)
    return form.format(Y=year, y=year % 100, m=month, d=day)


def _until(rng: random.Random, make: Callable[[], str | None]) -> str:
    """The first that has a check digit: some sums give none."""
    while (value := make()) is None:
        pass
    return value


def us_ssn(r: random.Random) -> str:
    area = r.choice([n for n in range(1, 773) if n not in {666, 219, 78, 123, 457, 721, 111, 222, 333, 444, 555}])
    return f"{area:03}-{r.randint(1, 99):02}-{r.randint(1, 9998):04}"


def de_idnr(r: random.Random) -> str:
    digits = r.sample("0123456789", 9)
    digits.append(digits[0])
    r.shuffle(digits)
    while digits[0] == "0":
        r.shuffle(digits)
    return _mod11_10("".join(digits))


def it_cf(r: random.Random) -> str:
    cons = "BCDFGLMNPRSTV"
    body = "".join(r.choices(cons, k=6)) + f"{r.randint(45, 99)}" + r.choice("ABCDEHLMPRST")
    body += f"{r.randint(1, 28) + r.choice((0, 40)):02}" + r.choice(("H501", "F205", "L219", "D612", "A944"))
    odd = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23), strict=True))  # fmt: skip
    total = sum(odd[c] if i % 2 == 0 else (int(c) if c.isdigit() else ord(c) - 65) for i, c in enumerate(body))
    return body + chr(65 + total % 26)


def fr_nir(r: random.Random) -> str:
    body = f"{r.choice('12')}{r.randint(45, 99)}{r.randint(1, 12):02}{r.randint(1, 95):02}{r.randint(1, 900):03}{r.randint(1, 999):03}"
    if body[5:7] == "20":
        body = body[:5] + "75" + body[7:]
    return body + f"{97 - int(body) % 97:02}"


def es_dni(r: random.Random) -> str:
    n = r.randint(10_000_000, 99_999_999)
    return f"{n}{'TRWAGMYFPDXBNJZSQVHLCKE'[n % 23]}"


def es_nie(r: random.Random) -> str:
    lead, n = r.randrange(3), r.randint(1_000_000, 9_999_999)
    return f"{'XYZ'[lead]}{n}{'TRWAGMYFPDXBNJZSQVHLCKE'[int(f'{lead}{n}') % 23]}"


def br_cpf(r: random.Random) -> str:
    n = _d(r, 9)
    for k in (10, 11):
        n += str(_sum(n, range(k, 1, -1)) * 10 % 11 % 10)
    return f"{n[:3]}.{n[3:6]}.{n[6:9]}-{n[9:]}"


def nl_bsn(r: random.Random) -> str:
    def make() -> str | None:
        n = str(r.randint(1, 9)) + _d(r, 7)
        check = _sum(n, range(9, 1, -1)) % 11
        return n + str(check) if check < 10 else None

    return _until(r, make)


def pl_pesel(r: random.Random) -> str:
    n = _date(r) + _d(r, 4)
    return n + str(-_sum(n, (1, 3, 7, 9) * 3) % 10)


def be_nn(r: random.Random) -> str:
    n = _date(r) + f"{r.randint(1, 997):03}"
    n += f"{97 - int(n) % 97:02}"
    return f"{n[:2]}.{n[2:4]}.{n[4:6]}-{n[6:9]}.{n[9:]}"


def se_pnr(r: random.Random) -> str:
    n = luhn(_date(r) + f"{r.randint(1, 989):03}")
    return f"{n[:6]}-{n[6:]}"


def fi_hetu(r: random.Random) -> str:
    date, n = _date(r, "{d:02}{m:02}{y:02}"), r.randint(2, 899)
    return f"{date}-{n:03}{'0123456789ABCDEFHJKLMNPRSTUVWXY'[int(f'{date}{n:03}') % 31]}"


def no_fnr(r: random.Random) -> str:
    def make() -> str | None:
        n = _date(r, "{d:02}{m:02}{y:02}") + f"{r.randint(0, 499):03}"
        for weights in ((3, 7, 6, 1, 8, 9, 4, 5, 2), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)):
            check = -_sum(n, weights) % 11
            if check == 10:
                return None
            n += str(check)
        return n

    return _until(r, make)


def dk_cpr(r: random.Random) -> str:
    def make() -> str | None:
        n = _date(r, "{d:02}{m:02}{y:02}") + f"{r.randint(0, 3)}{_d(r, 2)}"
        check = -_sum(n, (4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
        return f"{n[:6]}-{n[6:]}{check}" if check < 10 else None

    return _until(r, make)


def cz_rc(r: random.Random) -> str:
    def make() -> str | None:
        n = _date(r, low=1955) + _d(r, 3)
        check = int(n) % 11
        return f"{n[:6]}/{n[6:]}{check}" if check < 10 else None

    return _until(r, make)


def ro_cnp(r: random.Random) -> str:
    n = r.choice("12") + _date(r) + f"{r.randint(1, 46):02}{r.randint(1, 999):03}"
    check = _sum(n, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return n + str(1 if check == 10 else check)


def bg_egn(r: random.Random) -> str:
    n = _date(r) + _d(r, 3)
    return n + str(_sum(n, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10)


def hr_oib(r: random.Random) -> str:
    return _mod11_10(_d(r, 10))


def pt_nif(r: random.Random) -> str:
    n = r.choice("12") + _d(r, 7)
    return n + str((11 - _sum(n, range(9, 1, -1)) % 11) % 11 % 10)


def gr_amka(r: random.Random) -> str:
    return luhn(_date(r, "{d:02}{m:02}{y:02}") + _d(r, 4))


def ie_pps(r: random.Random) -> str:
    n = _d(r, 7)
    return n + "WABCDEFGHIJKLMNOPQRSTUV"[_sum(n, range(8, 1, -1)) % 23]


def gb_nino(r: random.Random) -> str:
    first, second = r.choice("ABCEHJLMPRSWXY"), r.choice("ABCEHJLMPRSWXYZ")
    pair = first + second
    if pair in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}:
        pair = "AB"
    n = _d(r, 6)
    return f"{pair} {n[:2]} {n[2:4]} {n[4:]} {r.choice('ABCD')}"


def gb_nhs(r: random.Random) -> str:
    def make() -> str | None:
        n = r.choice("4679") + _d(r, 8)
        check = -_sum(n, range(10, 1, -1)) % 11
        return f"{n[:3]} {n[3:6]} {n[6:]}{check}" if check < 10 else None

    return _until(r, make)


def ch_ahv(r: random.Random) -> str:
    n = "756" + _d(r, 9)
    n += str(-_sum(n, (1, 3) * 6) % 10)
    return f"{n[:3]}.{n[3:7]}.{n[7:11]}.{n[11:]}"


def at_svnr(r: random.Random) -> str:
    def make() -> str | None:
        serial, date = r.randint(100, 999), _date(r, "{d:02}{m:02}{y:02}")
        check = (_sum(str(serial), (3, 7, 9)) + _sum(date, (5, 8, 4, 2, 1, 6))) % 11
        return f"{serial}{check} {date}" if check < 10 else None

    return _until(r, make)


def tr_tckn(r: random.Random) -> str:
    n = str(r.randint(1, 9)) + _d(r, 8)
    odd, even = sum(map(int, n[0::2])), sum(map(int, n[1::2]))
    n += str((odd * 7 - even) % 10)
    return n + str(sum(map(int, n)) % 10)


def cn_ric(r: random.Random) -> str:
    n = (
        r.choice(("110101", "310104", "440106", "330102", "510107"))
        + _date(r, "{Y}{m:02}{d:02}")
        + f"{r.randint(1, 999):03}"
    )
    return n + "10X98765432"[_sum(n, (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)) % 11]


_VERHOEFF = ((0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 5, 7, 6, 2, 8, 3, 0, 9, 4), (5, 8, 0, 3, 7, 9, 6, 1, 4, 2), (8, 9, 1, 6, 0, 4, 3, 5, 2, 7), (9, 4, 5, 3, 1, 2, 6, 8, 7, 0), (4, 2, 8, 6, 5, 7, 3, 9, 0, 1), (2, 7, 9, 3, 8, 0, 6, 4, 1, 5), (7, 0, 4, 6, 9, 1, 3, 2, 5, 8))  # fmt: skip


def in_aadhaar(r: random.Random) -> str:
    def times(a: int, b: int) -> int:  # the dihedral group of order ten
        if a < 5:
            return (a + b) % 5 + (5 if b >= 5 else 0)
        return (a - b) % 5 + (0 if b >= 5 else 5)

    n = str(r.randint(2, 9)) + _d(r, 10)
    check = 0
    for i, c in enumerate(reversed(n), 1):
        check = times(check, _VERHOEFF[i % 8][int(c)])
    n += str((-check) % 5 if check < 5 else check)
    return f"{n[:4]} {n[4:8]} {n[8:]}"


def in_pan(r: random.Random) -> str:
    return draw(r, "{upper:3}P{upper:1}{digit:4}{upper:1}")


def jp_my(r: random.Random) -> str:
    n = _d(r, 11)
    rest = _sum(n, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return n + str(0 if rest <= 1 else 11 - rest)


def kr_rrn(r: random.Random) -> str:
    n = _date(r) + r.choice("12") + _d(r, 5)
    return f"{n[:6]}-{n[6:]}{(11 - _sum(n, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10}"


def sg_nric(r: random.Random) -> str:
    n = _d(r, 7)
    return f"S{n}{'JZIHGFEDCBA'[_sum(n, (2, 7, 6, 5, 4, 3, 2)) % 11]}"


def hk_hkid(r: random.Random) -> str:
    letter, n = r.choice("ABCDEFGHKMRVYZ"), _d(r, 6)
    check = -(36 * 9 + (ord(letter) - 55) * 8 + _sum(n, (7, 6, 5, 4, 3, 2))) % 11
    return f"{letter}{n}({'A' if check == 10 else check})"


def tw_id(r: random.Random) -> str:
    letter, n = r.choice("ABCDEFGHJKLMNPQRSTUVXYWZIO"), r.choice("12") + _d(r, 7)
    code = 10 + "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(letter)
    return f"{letter}{n}{-(code // 10 + code % 10 * 9 + _sum(n, (8, 7, 6, 5, 4, 3, 2, 1))) % 10}"


def th_pin(r: random.Random) -> str:
    n = str(r.randint(1, 8)) + _d(r, 11)
    n += str((11 - _sum(n, range(13, 1, -1)) % 11) % 10)
    return f"{n[0]}-{n[1:5]}-{n[5:10]}-{n[10:12]}-{n[12]}"


def my_nric(r: random.Random) -> str:
    return f"{_date(r)}-{r.choice(('01', '08', '10', '14'))}-{_d(r, 4)}"


def id_nik(r: random.Random) -> str:
    return (
        r.choice(("317101", "327301", "357801", "517103")) + _date(r, "{d:02}{m:02}{y:02}") + f"{r.randint(1, 99):04}"
    )


def au_tfn(r: random.Random) -> str:
    def make() -> str | None:
        n = str(r.randint(1, 9)) + _d(r, 7)
        for last in range(10):
            if _sum(f"{n}{last}", (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0:
                return f"{n[:3]} {n[3:6]} {n[6:]}{last}"
        return None

    return _until(r, make)


def au_medicare(r: random.Random) -> str:
    n = r.choice("23456") + _d(r, 7)
    return f"{n[:4]} {n[4:]}{_sum(n, (1, 3, 7, 9, 1, 3, 7, 9)) % 10} {r.randint(1, 5)}"


def nz_ird(r: random.Random) -> str:
    def make() -> str | None:
        n = f"0{r.randint(49_000_00, 99_999_99)}"
        check = -_sum(n, (3, 2, 7, 6, 5, 4, 3, 2)) % 11
        return f"{n[1:3]}-{n[3:6]}-{n[6:]}{check}" if check < 10 and n[1] != "0" else None

    return _until(r, make)


def ca_sin(r: random.Random) -> str:
    n = luhn(r.choice("1245679") + _d(r, 7))
    return f"{n[:3]} {n[3:6]} {n[6:]}"


def mx_curp(r: random.Random) -> str:
    body = "".join((r.choice("BCDFGLMPRST"), r.choice("AEIOU"), r.choice("BCDFGLMPRST"), r.choice("BCDFGLMPRST")))
    if body in {"PEDO", "PUTO", "MAMO", "CACA"}:
        body = "GOMR"
    body += (
        _date(r)
        + r.choice("HM")
        + r.choice(("DF", "JC", "NL", "MC", "VZ"))
        + "".join(r.choices("BCDFGLMNPRST", k=3))
        + "0"
    )
    alphabet = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
    return body + str(-sum(alphabet.index(c) * w for c, w in zip(body, range(18, 1, -1), strict=True)) % 10)


def ar_cuit(r: random.Random) -> str:
    def make() -> str | None:
        n = r.choice(("20", "27", "23")) + f"{r.randint(5_000_000, 45_000_000):08}"
        check = -_sum(n, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
        return f"{n[:2]}-{n[2:]}-{check}" if check < 10 else None

    return _until(r, make)


def cl_rut(r: random.Random) -> str:
    n = r.randint(5_000_000, 25_000_000)
    check = -sum(int(c) * w for c, w in zip(reversed(str(n)), (2, 3, 4, 5, 6, 7, 2, 3), strict=False)) % 11
    return f"{n:,}".replace(",", ".") + f"-{'K' if check == 10 else check}"


def za_id(r: random.Random) -> str:
    return luhn(_date(r) + _d(r, 4) + "08")


def il_id(r: random.Random) -> str:
    n = "0" * 0 + str(r.randint(1, 3)) + _d(r, 7)
    total = sum(sum(divmod(int(c) * (1 + i % 2), 10)) for i, c in enumerate(n))
    return n + str(-total % 10)


def hu_taj(r: random.Random) -> str:
    n = _d(r, 8)
    return n + str(_sum(n, (3, 7) * 4) % 10)


def ua_rntrc(r: random.Random) -> str:
    n = str(r.randint(1, 3)) + _d(r, 8)
    return n + str(_sum(n, (-1, 5, 7, 9, 4, 6, 10, 5, 7)) % 11 % 10)


def ru_inn(r: random.Random) -> str:
    n = r.choice(("77", "78", "50", "66")) + _d(r, 8)
    n += str(_sum(n, (7, 2, 4, 10, 3, 5, 9, 4, 6, 8)) % 11 % 10)
    return n + str(_sum(n, (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)) % 11 % 10)


def ru_snils(r: random.Random) -> str:
    n = f"1{_d(r, 8)}"
    check = _sum(n, range(9, 0, -1)) % 101 % 100
    return f"{n[:3]}-{n[3:6]}-{n[6:]} {check:02}"


def mbi(r: random.Random) -> str:
    letters = "ACDEFGHJKMNPQRTUVWXY"
    c, a = (lambda: r.choice("123456789")), (lambda: r.choice(letters))
    x = lambda: r.choice(letters + "0123456789")  # noqa: E731
    d = lambda: r.choice("0123456789")  # noqa: E731
    return f"{c()}{a()}{x()}{d()}-{a()}{x()}{d()}-{a()}{a()}{d()}{d()}"


NUMBERS: dict[str, tuple[str, Make]] = {
    "US SSN": ("SSN", us_ssn),
    "US MBI": ("Medicare number", mbi),
    "DE tax id": ("Steuer-ID", de_idnr),
    "IT codice fiscale": ("codice fiscale", it_cf),
    "FR NIR": ("numéro de sécurité sociale", fr_nir),
    "ES DNI": ("DNI", es_dni),
    "ES NIE": ("NIE", es_nie),
    "BR CPF": ("CPF", br_cpf),
    "NL BSN": ("BSN", nl_bsn),
    "PL PESEL": ("PESEL", pl_pesel),
    "BE national number": ("rijksregisternummer", be_nn),
    "SE personnummer": ("personnummer", se_pnr),
    "FI hetu": ("henkilötunnus", fi_hetu),
    "NO fødselsnummer": ("fødselsnummer", no_fnr),
    "DK CPR": ("CPR-nummer", dk_cpr),
    "CZ rodné číslo": ("rodné číslo", cz_rc),
    "RO CNP": ("CNP", ro_cnp),
    "BG EGN": ("ЕГН", bg_egn),
    "HR OIB": ("OIB", hr_oib),
    "PT NIF": ("NIF", pt_nif),
    "GR AMKA": ("ΑΜΚΑ", gr_amka),
    "IE PPS": ("PPS number", ie_pps),
    "GB NINO": ("National Insurance number", gb_nino),
    "GB NHS": ("NHS number", gb_nhs),
    "CH AHV": ("AHV-Nummer", ch_ahv),
    "AT SVNR": ("Sozialversicherungsnummer", at_svnr),
    "TR TCKN": ("TC Kimlik No", tr_tckn),
    "CN resident id": ("身份证号", cn_ric),
    "IN Aadhaar": ("Aadhaar number", in_aadhaar),
    "IN PAN": ("PAN", in_pan),
    "JP My Number": ("マイナンバー", jp_my),
    "KR RRN": ("주민등록번호", kr_rrn),
    "SG NRIC": ("NRIC", sg_nric),
    "HK HKID": ("HKID", hk_hkid),
    "TW id": ("身分證字號", tw_id),
    "TH id": ("เลขประจำตัวประชาชน", th_pin),
    "MY NRIC": ("MyKad", my_nric),
    "ID NIK": ("NIK", id_nik),
    "AU TFN": ("TFN", au_tfn),
    "AU Medicare": ("Medicare number", au_medicare),
    "NZ IRD": ("IRD number", nz_ird),
    "CA SIN": ("SIN", ca_sin),
    "MX CURP": ("CURP", mx_curp),
    "AR CUIT": ("CUIT", ar_cuit),
    "CL RUT": ("RUT", cl_rut),
    "ZA id": ("South African ID number", za_id),
    "IL id": ("תעודת זהות", il_id),
    "HU TAJ": ("TAJ szám", hu_taj),
    "UA RNOKPP": ("РНОКПП", ua_rntrc),
    "RU INN": ("ИНН", ru_inn),
    "RU SNILS": ("СНИЛС", ru_snils),
}
