"""Values in disguise are found, and the finding says where the disguise stands in the text that was sent."""

from __future__ import annotations

import base64
import codecs
import gzip
import json
import quopri
import random
import zlib
from collections.abc import Callable
from urllib.parse import quote

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.detect.engine import Engine, scan_text
from sluice.errors import Opacity
from sluice.model import Finding, Part, PartKind, Provenance, Role, Severity

KEY = "AKIA" + "QYLPMN5HHHFPZAM2"
"""Made up, and of no documentation: an example would be found as one."""
CARD = "4111111111111111"
SAID = f"the key is {KEY} for now"
LONG = "lorem ipsum dolor " * 8 + SAID + " sit amet" * 10
NOISE = random.Random(7).randbytes


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def mime(text: str) -> str:
    return base64.encodebytes(text.encode()).decode()


def each(form: str) -> str:
    """Every character of the key in a form."""
    return "".join(form.format(ord(c)) for c in KEY)


def shifted(letter: int, digit: int) -> str:
    """Every character of the key from another block of Unicode."""
    return "".join(chr(letter + ord(c) - 65) if c.isalpha() else chr(digit + int(c)) for c in KEY)


def groups(size: int, separator: str) -> str:
    return separator.join(KEY[i : i + size] for i in range(0, len(KEY), size))


DISGUISES = {
    "full-width": "".join(chr(ord(c) + 0xFEE0) for c in KEY),
    "Cyrillic": KEY.replace("A", "\u0410").replace("K", "\u041a").replace("P", "\u0420"),
    "Greek": KEY.replace("A", "\u0391").replace("H", "\u0397"),
    "mathematical bold": shifted(0x1D400, 0x1D7CE),
    "mathematical monospace": shifted(0x1D670, 0x1D7F6),
    "circled": "".join(chr(0x24B6 + ord(c) - 65) if c.isalpha() else chr(0x2460 + int(c) - 1) for c in KEY),
    "in squares": "".join(chr(0x1F130 + ord(c) - 65) if c.isalpha() else c for c in KEY),
    "in black circles": "".join(chr(0x1F150 + ord(c) - 65) if c.isalpha() else c for c in KEY),
    "tags": "".join(chr(0xE0000 + ord(c)) for c in KEY),
    "zero-width spaces": "\u200b".join(KEY),
    "bidirectional controls": KEY[:8] + "\u202e" + KEY[8:],
    "soft hyphens": "\u00ad".join(KEY),
    "combining marks": "\u0336".join(KEY) + "\u0336",
    "variation selectors": "\ufe0f".join(KEY),
    "decimal entities": each("&#{};"),
    "hexadecimal entities": each("&#x{:x};"),
    "entities with zeros": each("&#{:07d};"),
    "entities without semicolon": each("&#{}"),
    "some entities": KEY.replace("A", "&#65;"),
    "percent": each("%{:02x}"),
    "percent twice": quote(each("%{:02x}")),
    "%u": each("%u{:04x}"),
    "percent after no UTF-8": "%ff" + each("%{:02X}"),
    "\\u": each("\\u{:04x}"),
    "\\u{}": each("\\u{{{:x}}}"),
    "\\U": each("\\U{:08x}"),
    "\\x": each("\\x{:02x}"),
    "\\x{}": each("\\x{{{:x}}}"),
    "octal": each("\\{:03o}"),
    "a name": "\\N{LATIN CAPITAL LETTER A}" + KEY[1:],
    "quoted-printable": each("={:02X}"),
    "quoted-printable in parts": "a=3D " + "".join(f"={ord(c):02X}" if i % 3 else c for i, c in enumerate(KEY)),
    "quoted-printable lines": KEY[:9] + "=\n" + KEY[9:],
    "hexadecimal": SAID.encode().hex(),
    "HEXADECIMAL": SAID.encode().hex().upper(),
    "0x": "0x" + SAID.encode().hex(),
    "hexadecimal with spaces": KEY.encode().hex(" "),
    "hexadecimal with colons": KEY.encode().hex(":"),
    "list of hexadecimal codes": ", ".join(f"0x{ord(c):02x}" for c in KEY),
    "list of decimal codes": ", ".join(str(ord(c)) for c in KEY),
    "U+": " ".join(f"U+{ord(c):04X}" for c in KEY),
    "base64": b64(SAID),
    "base64 of the key alone": b64(KEY),
    "base64url without padding": base64.urlsafe_b64encode(SAID.encode()).decode().rstrip("="),
    "base64, one letter before": "x" + b64(SAID + " and words" * 8),
    "base64, two letters before": "xy" + b64(SAID + " and words" * 8),
    "base64, three letters before": "xyz" + b64(SAID + " and words" * 8),
    "base64 behind a path": "/some/long/path/with/parts/and/more/" + b64(SAID),
    "base64 in lines": mime(LONG),
    "base64 in lines of 64": "\n".join(b64(LONG)[i : i + 64] for i in range(0, 500, 64)),
    "base64 in CRLF lines": mime(LONG).replace("\n", "\r\n"),
    "base64 in escaped lines": json.dumps(mime(LONG)),
    "base64 in a quoted mail": "> " + mime(LONG).replace("\n", "\n> "),
    "base64 amid noise": base64.b64encode(NOISE(200) + SAID.encode() + NOISE(200)).decode(),
    "base64 behind a picture's head": base64.b64encode(
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + NOISE(300) + SAID.encode() + NOISE(30)
    ).decode(),
    "data URI": "data:text/plain;base64," + b64(SAID),
    "UTF-16 in base64": base64.b64encode(SAID.encode("utf-16-le")).decode(),
    "gzip in base64": base64.b64encode(gzip.compress(SAID.encode())).decode(),
    "zlib in base64": base64.b64encode(zlib.compress(SAID.encode())).decode(),
    "Zstandard in base64": base64.b64encode(zstandard.compress(SAID.encode())).decode(),
    "JSON in JSON in JSON": json.dumps(json.dumps(json.dumps({"k": each("\\u{:04x}")}))),
    "spaces": " ".join(KEY),
    "dots": ".".join(KEY),
    "newlines": "\n".join(KEY),
    "dashes": "-".join(KEY),
    "pairs": groups(2, " "),
    "groups of four": groups(4, " "),
    "groups of four and dashes": groups(4, "-"),
    "lines of five": groups(5, "\n"),
    "two pieces": KEY[:9] + " " + KEY[9:],
    "broken line": KEY[:13] + "\n" + KEY[13:],
    "continued line": KEY[:8] + "\\\n" + KEY[8:],
    "plus": f'k = "{KEY[:4]}" + "{KEY[4:12]}" + "{KEY[12:]}"',
    "full stop": f"$k = '{KEY[:2]}' . '{KEY[2:12]}' . '{KEY[12:]}';",
    "side by side": f'k = ("{KEY[:7]}"\n     "{KEY[7:]}")',
    "plus over lines": f'"{KEY[:4]}" + \\\n  "{KEY[4:]}"',
    "templates": f"`{KEY[:4]}` + `{KEY[4:]}`",
    "list of letters": "[" + ",".join(f"'{c}'" for c in KEY) + "].join('')",
    "list of pieces": json.dumps([KEY[i : i + 4] for i in range(0, 20, 4)]),
    "list of two, joined": f"k = ''.join(['{KEY[:11]}', '{KEY[11:]}'])",
    "list of two, joined in JavaScript": f'const k = ["{KEY[:6]}", "{KEY[6:]}"].join("")',
    "added to a name": f'k = "{KEY[:12]}"\nk += "{KEY[12:]}"',
    "shell variables": f"A={KEY[:12]}\nB={KEY[12:]}\nexport K=$A$B",
    "names in an f-string": f'a = "{KEY[:12]}"\nb = "{KEY[12:]}"\nk = f"{{a}}{{b}}"',
    "a name in a template": f'const p = "{KEY[:12]}"; const k = `${{p}}{KEY[12:]}`',
    "markup inside": f"{KEY[:9]}<b></b>{KEY[9:]}",
    "base32": base64.b32encode(SAID.encode()).decode(),
    "base32, small letters": base64.b32encode(SAID.encode()).decode().lower().rstrip("="),
    "base32 of the key alone": base64.b32encode(KEY.encode()).decode(),
    "gzip in hexadecimal": gzip.compress(SAID.encode(), mtime=0).hex(),
    "base64 put together": f'"{b64(SAID)[:20]}" + "{b64(SAID)[20:]}"',
}
CARDS = {
    "4-4-8": "4111-1111 11111111",
    "4-6-5": "card 3782 822463 10005",
    "no-break spaces": "4111\u00a01111\u00a01111\u00a01111",
    "underscores": "4111_1111_1111_1111",
    "mixed": "4111-1111 1111.1111",
    "newlines": "card\n4111\n1111\n1111\n1111",
    "tabs": "visa\t4111\t1111\t1111\t1111",
    "digits apart": "card " + " ".join(CARD),
    "glued": "my card x4111111111111111y",
    "Arabic digits": "".join(chr(0x660 + int(c)) for c in CARD),
    "Devanagari digits": "".join(chr(0x966 + int(c)) for c in CARD),
    "raised digits": "".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[int(c)] for c in CARD),
    "lowered digits": "".join(chr(0x2080 + int(c)) for c in CARD),
    "full-width digits": "".join(chr(0xFF10 + int(c)) for c in CARD),
}


def found(engine: Engine, text: str, detector: str) -> list[Finding]:
    return [f for f in scan_text(engine, text).findings if f.detector == detector and f.severity is not Severity.INFO]


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
def test_key_in_disguise_is_found(engine: Engine, disguise: str) -> None:
    """Each spelling that hides a key from a plain search is found, inside the stretch that was disguised."""
    findings = found(engine, f"Please look: {disguise} thanks", "aws.access-key-id")
    assert findings
    assert all(f.start >= 13 and f.end <= 13 + len(disguise) for f in findings)


PIECES = {
    "plus": "password = 'Kd83mv' + 'qLs0!x'",
    "side by side": "password = ('Kd83mv'\n            'qLs0!x')",
    "full stop": "$password = 'Kd83mv' . 'qLs0!x';",
    "list": "password = ''.join(['Kd83mv', 'qLs0!x'])",
    "list in JavaScript": "const password = ['Kd83', 'mvqL', 's0!x'].join('')",
    "argument": "connect(password='Kd83mv' + 'qLs0!x')",
    "token": "api_key = 'f83kdLs92mQ' + 'x8Vn2pRt7Wz4'",
}


@pytest.mark.parametrize("text", PIECES.values(), ids=PIECES)
def test_password_in_pieces_is_judged_as_one(engine: Engine, text: str) -> None:
    """What code puts together behind the name of a secret is one value, found over all of its pieces."""
    findings = [f for f in scan_text(engine, text).findings if f.data_class.startswith("secret.") and not f.example]
    assert max(f.end for f in findings) >= text.rindex("x8Vn" if "api_key" in text else "x'")
    assert min(f.start for f in findings) <= text.index("f83k" if "api_key" in text else "Kd83")


@pytest.mark.parametrize(
    "text",
    [
        "message = 'Your password ' + 'has been changed 3 times'",
        "password = prefix + 'abc' + suffix",
        "label = ''.join(['Enter ', 'password2'])",
        "token = 'user' + '_' + 'id42'",
        "HELP = ('--password  read from the '\n        'environment variable PGPASS1')",
    ],
)
def test_strings_about_passwords_are_no_passwords(engine: Engine, text: str) -> None:
    """Sentences and names that code puts together stay what they are."""
    assert not [f for f in scan_text(engine, text).findings if f.data_class.startswith("secret.")]


@pytest.mark.parametrize("text", CARDS.values(), ids=CARDS)
def test_card_in_disguise_is_found(engine: Engine, text: str) -> None:
    """Digits of other scripts and unusual groups do not hide a card number."""
    findings = found(engine, f"Please: {text} thanks", "payment.card-number")
    assert findings
    assert findings[0].start >= 8 + len(text) - len(text.lstrip("abcdefghijklmnopqrstuvwxyz \t\n"))


@pytest.mark.parametrize("text", ["DE89-3704-0044-0532-0130-00", "DE89\n3704\n0044\n0532\n0130\n00"])
def test_account_number_with_other_separators_is_found(engine: Engine, text: str) -> None:
    """An IBAN in groups with dashes or on several lines is one."""
    assert [(f.start, f.end) for f in found(engine, f"iban {text} ok", "payment.iban")] == [(5, 5 + len(text))]


@pytest.mark.parametrize("turned", [KEY[::-1], codecs.encode(KEY, "rot13")], ids=["backwards", "ROT13"])
def test_turned_text_is_observed_only(engine: Engine, turned: str) -> None:
    """A key written backwards or in ROT13 is seen, at a severity and with a mark that no policy blocks."""
    findings = [f for f in scan_text(engine, f"see {turned} here").findings if f.detector == "aws.access-key-id"]
    assert [(f.start, f.end, f.severity, f.example) for f in findings] == [(4, 24, Severity.INFO, True)]


CODINGS: dict[str, Callable[[str], str]] = {
    "base64": b64,
    "base64url": lambda t: base64.urlsafe_b64encode(t.encode()).decode(),
    "lines": mime,
    "hexadecimal": lambda t: t.encode().hex(),
    "percent": lambda t: "".join(f"%{o:02X}" for o in t.encode()),
    "entities": lambda t: "".join(f"&#{ord(c)};" for c in t),
    "escapes": lambda t: json.dumps("".join(f"\\u{ord(c):04x}" for c in t)),
    "quoted-printable": lambda t: quopri.encodestring(("=" + t).encode()).decode(),
    "gzip": lambda t: base64.b64encode(gzip.compress(t.encode())).decode(),
}
WORDS = st.lists(st.sampled_from(["please", "look", "at", "this", "größer", "naïve", "42", "and"]), min_size=2).map(
    " ".join
)


@settings(max_examples=150, deadline=None)
@given(
    before=WORDS, after=WORDS, outside=WORDS, names=st.lists(st.sampled_from(sorted(CODINGS)), min_size=1, max_size=3)
)
def test_codings_in_any_order_up_to_three_deep(
    engine: Engine, before: str, after: str, outside: str, names: list[str]
) -> None:
    """A key in random words, coded up to three times in any order, is found, and the span lies in the coded text."""
    coded = f"{before} {KEY} {after}"
    for name in names:
        coded = CODINGS[name](coded)
    text = f"{outside}: {coded} ; {outside}"
    findings = found(engine, text, "aws.access-key-id")
    assert findings
    low = len(outside) + 2
    assert all(low <= f.start < f.end <= low + len(coded) for f in findings)


@given(st.text(max_size=300), st.sampled_from(sorted(CODINGS)))
@settings(max_examples=150, deadline=None)
def test_no_text_is_too_strange(engine: Engine, text: str, name: str) -> None:
    """Any text, plain or coded, is scanned without an error, and no span lies outside of it."""
    plain = text.encode("utf-8", "replace").decode()
    for given_text in (plain, CODINGS[name](plain)):
        for f in scan_text(engine, given_text).findings:
            assert 0 <= f.start < f.end <= len(given_text)


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(NOISE(30_000)).decode(),
        NOISE(30_000).hex(),
        "".join(f"{n:02x} " for n in NOISE(10_000)),
        ", ".join(str(n) for n in NOISE(10_000)),
        "\t".join(f"{10_000_000 + n * 389_561 % 89_999_999}" for n in range(5_000)),
        "function a(b){return b.c('d'+\"e\"+'f')}" * 300,
        "[" + ",".join(f"'{n:x}'" for n in NOISE(5_000)) + "]",
        "the prefix AKIA means that it is a key id; ghp_ is a token of one sort and sk-ant- of another " * 20,
        "Привет, мир! Это обычный текст на русском языке. " * 100,
    ],
    ids=["base64", "hexadecimal", "hex dump", "numbers", "table", "script", "list", "documentation", "Russian"],
)
def test_noise_makes_no_finding(engine: Engine, text: str) -> None:
    """Decoding and joining find nothing in what only looks coded."""
    scan = scan_text(engine, text)
    assert [f.detector for f in scan.findings if not f.example and f.severity.rank > Severity.LOW.rank] == []
    assert scan.unread == ()


@pytest.mark.parametrize("name", ["gzip", "zlib", "zstd"])
def test_bomb_is_cut_and_said_so(engine: Engine, name: str) -> None:
    """A megabyte of zeros in a few letters costs no more than the budget of the request, and the part is partial."""
    pack = {"gzip": gzip.compress, "zlib": zlib.compress, "zstd": zstandard.compress}[name]
    text = base64.b64encode(pack(b"secret " * 1_000_000)).decode()
    scan, work = engine.measure((Part("/x", Role.USER, PartKind.TEXT, Provenance.USER, text),))
    assert [u.reason for u in scan.unread] == [Opacity.BUDGET]
    assert work.bytes < 2_000_000


@pytest.mark.parametrize("pointer", ["/args/password", "/tool#json/db_password", "form:password"])
def test_the_name_of_a_field_is_context(engine: Engine, pointer: str) -> None:
    """The value of `{"password": ...}` is judged as a password although its part holds no such word; spans are of the
    value alone."""
    value = "hunter2Correct!"
    scan = engine.scan((Part(pointer, Role.TOOL_CALL, PartKind.TOOL_ARGS, Provenance.TOOL_ARGS, value),))
    assert [(f.data_class, f.start, f.end) for f in scan.findings] == [("secret.password", 0, len(value))]
    assert scan.scanned_bytes == len(value)
    assert engine.scan((Part("/args/note", Role.TOOL_CALL, PartKind.TEXT, Provenance.USER, value),)).findings == ()
