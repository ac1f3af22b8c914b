"""Values in pieces: spelled with spaces, dashes or newlines, or put together from strings by code.

What is joined may be a value by chance, so that its view is `strict`: only what has a form of its own counts in it
(`scanning.Compiled.strong`). Joined are

    concatenation   `"AKIA" + "IOSF..."`, `'a' . 'b'`, `"a" "b"`, lists of short strings, lists that code joins; behind
                    the name of a secret once more as that name's value, which is then judged like any (not strict)
    broken keys     what begins as a key does and goes on behind a break, markup, or the name of the next piece
    spelled keys    `A K I A I O S F`, `AK-IA-IO-SF`: what is spelled as the beginning of a key goes on so
    numbers         digits of a payment card in other groups than the usual ones, or glued to letters; IBANs with dashes
    turned          text behind the beginning of a key that is written backwards or in ROT13: observed, never acted upon

Each begins at a mark that hyperscan finds at next to no cost (`marks`); the work is done around these places alone.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from sluice.detect import shapes
from sluice.detect.views import View, Window, around, pieced

CODES, LIST = "codes", "list"
"""Kinds of marks: a row of codes or a list of short strings is here."""
CONCATENATION, COMBINED, BEGINNING, SPELLED, BACKWARDS, ROTATED, CARD, ACCOUNT = (
    "concatenation",
    "combined",
    "beginning",
    "spelled",
    "backwards",
    "rotated",
    "card",
    "account",
)
"""Kinds of marks: code joins strings here, or a list of them; a key begins here, as it is, spelled, backwards or in
ROT13; here may end a card number or an IBAN in unusual groups."""
_ITEM = r"[\"'][A-Za-z0-9_+/=.\-]{1,8}[\"'][ \t]{0,4},"
LIST_GATE = rf"(?:{_ITEM}[ \t\r\n]{{0,12}}){{3}}{_ITEM}"
NUMBER_GATE = r"[0-9](?:[ \t\r\n._/\-]{0,3}[0-9]){12}"
CARD_NUMBER = r"(?:^|[^0-9 ])[ ]?[3-6](?:[ \t\r\n._/\-]{0,2}[0-9]){13,15}(?:$|[^0-9])"
"""Looked for around `NUMBER_GATE` alone: `ROOM` characters on either side hold it."""
ROOM = 64
ACCOUNT_NUMBER = r"(?:\b|_)[A-Z]{2}[0-9]{2}(?:[\-\n._/][A-Z0-9]{4}){3}"
NUMBERS = ((CARD_NUMBER, CARD, 0), (ACCOUNT_NUMBER, ACCOUNT, 19))
"""(expression, kind, length) of numbers in unusual groups."""
_GAP = r"[ \t\r\n\\]"
CONCATENATIONS = tuple(
    f"\\x{ord(quote):02x}{first}{rest}[\"'`]"
    for quote in "\"'`"
    for first, rest in (
        *((sign, f"{_GAP}{{0,12}}") for sign in (r"\+", r"\.", "&")),
        *((gap, f"(?:{_GAP}{{0,11}}[+.&]{_GAP}{{0,12}}|{_GAP}{{0,31}})") for gap in (" ", r"\t", r"\r", r"\n", r"\\")),
    )
)
"""Quote, operator or blanks, quote: one expression for each two characters that it may begin with, for hyperscan finds
those many times faster than a class, and JSON is full of quotes."""
_JOINERS = ("''.join([", "''.join((", '"".join([', '"".join((', "].join('')", '].join("")')
_LEAST, _MOST, _SPELLED = 4, 16, 8
"""Letters of the beginning of a key that are looked for, and looked for spelled."""
_COMMON = frozenset(
    """
    1000. aio_ api- api. api_ app- dev: ess_ host ion_ key_ lip_ live_ mob- pat_ perm: pri_ prod: ptr_ sdk- test_ user:
    """.split()  # noqa: SIM905 - words read better as words
)
"""Beginnings of keys that names in code are made of."""
_SEPARATORS = " -.\n_"

_LITERAL = {q: re.compile(rf"{q}((?:[^{q}\\\n]|\\.){{0,400}}){q}") for q in "\"'`"}
_OPERATOR = re.compile(r"[ \t\r\n\\]{0,32}(?:[+.&,][ \t\r\n\\]{0,12})?(?=[\"'`])")
_SHORT = re.compile(r"""["'][A-Za-z0-9_+/=.\-]{1,8}["']""")
_LIST = re.compile(rf"{_SHORT.pattern}(?:[ \t]{{0,4}},[ \t\r\n]{{0,12}}{_SHORT.pattern}){{4,}}+")
_PIECES = 400
"""Pieces of one value that are joined."""
_NAMED = r"(?:(?:const|let|var|export|local|my|set)[ ])?[$]?[A-Za-z_]\w{0,40}[ \t]{0,4}(?:[+.]?=|:=)[ \t]{0,4}"
_BREAK = re.compile(
    rf"""(?x) ["'`][ \t]{{0,4}};?[ \t]{{0,4}}(?:\r?\n|\\n|(?<=;)[ ])[ \t]{{0,24}}{_NAMED}
              (?:["'`](?:\$\{{\w{{1,40}}\}})?|f["']\{{\w{{1,40}}\}})(?=[A-Za-z0-9])
      | \r?\n[ \t]{{0,24}}{_NAMED}(?=[A-Za-z0-9])
      | (?:<[a-z/][^<>\n]{{0,60}}>){{1,4}}
      | [ \t\r\n"'`=+.,&\\|;*>()\-]{{1,24}}"""
)
"""Between the pieces of a broken key: blanks and signs, a line that gives the next piece a name of its own, markup."""
_PIECE = re.compile(r"[A-Za-z0-9_+/-]{1,200}")
_NEXT = re.compile(r"""[ \t]{0,4}[+.:]?=[ \t]{0,4}[A-Za-z0-9"'$`\[({]""")
_UNDASHED = re.compile(r"[A-Za-z0-9_+/]{1,200}")
_WORD = re.compile(r"[A-Z]?[a-z]{2,}")
_LENGTH = 320
"""Characters in which a broken key ends, and from which a turned one is read."""

_ROW = re.compile(r"[0-9](?:[ \t\r\n._/\-]{0,2}[0-9])*+")
_DIGITS = re.compile(r"[0-9]+")
_EDGE = re.compile(r"[A-Za-z_]")
_ACCOUNT = re.compile(
    r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}([\-\n._/])[A-Z0-9]{4}(?:\1[A-Z0-9]{4}){2,6}(?:\1[A-Z0-9]{1,3})?(?!\w)"
)
_CARD = re.compile(
    r"(?i)card|karte|carte|carta|cartao|cartão|tarjeta|visa|master|amex|credit|debit|\bcc\b|\bpan\b|cvv|cvc|kredit|expir"
)
_GROUPINGS = frozenset({(4, 4, 4, 4), (4, 6, 5), (4, 4, 8), (4, 8, 4), (8, 4, 4), (4, 6, 4)})
"""Groupings of card numbers that people write, and that are rare otherwise."""
_NEAR = 60


def beginnings(pattern: str) -> set[str]:
    """The literal characters that every match of a pattern begins with, one for each alternative; those that are long
    enough to be rare, and no words."""
    found = {""}
    for op, argument in shapes.items(pattern):
        name = str(op)
        if name == "AT":
            continue
        if name == "LITERAL":
            found = {text + chr(argument) for text in found}
        elif name == "IN" and len(argument) <= 6 and all(str(kind) == "LITERAL" for kind, _ in argument):
            found = {text + chr(code) for text in found for _, code in argument}
        elif name == "BRANCH" and all(all(str(o) == "LITERAL" for o, _ in branch) for branch in argument[1]):
            found = {text + "".join(chr(code) for _, code in branch) for text in found for branch in argument[1]}
        else:
            break
        if len(found) > 32:
            return set()
    return {text[:_MOST] for text in found if len(text) >= _LEAST and text.isascii() and not _usual(text)}


def _usual(text: str) -> bool:
    return "://" in text or " " in text or text in _COMMON or (text.isalpha() and text.islower())


def marks(texts: Iterable[str]) -> list[tuple[str, str, int]]:
    """(expression, kind, length) of everything that is looked for by its place."""
    out = [(expression, CONCATENATION, 1) for expression in CONCATENATIONS]
    out += [(_escaped(text), COMBINED, len(text)) for text in _JOINERS]
    for text in sorted(set(texts)):
        turned = [(text[::-1], BACKWARDS), (rot13(text), ROTATED)]
        out += [
            (_escaped(new), kind, len(new))
            for new, kind in ((text, BEGINNING), *turned)
            if kind != ROTATED or new != text
        ]
        for size in (1, 2, 3):
            pieces = [text[i : i + size] for i in range(0, min(len(text), _SPELLED), size)]
            spelled = [s.join(pieces) for s in _SEPARATORS]
            out += [(_escaped(new), SPELLED, len(new)) for new in spelled]
    return out


def _escaped(text: str) -> str:
    return "".join(c if c.isalnum() else f"\\x{ord(c):02x}" for c in text)


def rot13(text: str) -> str:
    """Each letter thirteen further."""
    return codecs.encode(text, "rot13")


def concatenated(text: str, places: Iterable[tuple[int, int]]) -> Iterator[View]:
    """The strings that code puts together around `places`: the quote that opens the second of them."""
    done = 0
    for at, place in places:
        if place <= done or text[at + 1 : at + 2].isspace():
            continue  # a sentence over several lines breaks at its spaces
        first = _before(text, at)
        if first is None:
            continue
        pieces = [first]
        while len(pieces) < _PIECES and (m := _LITERAL[text[at]].match(text, at)):
            pieces.append(m.span(1))
            done = m.end()
            gap = _OPERATOR.match(text, m.end())
            if gap is None:
                break
            at = gap.end()
        if len(pieces) > 1:
            yield _glued(text, pieces)
            if view := _assigned(text, pieces):
                yield view


_SECRET_NAME = re.compile(
    r"(?i)(?:pass(?:w|phrase)|pwd|secret|token|api_?-?key|access_?-?key|credential|[_.]pass\b|[_-]key\b)[^\n]{0,40}$"
)
_OPENING = re.compile(r"""[=:(,][ \t]{0,4}((?:["']{2}\.join)?[\[(]{1,2}[ \t\r\n]{0,24}|[fFrRbBuU]{1,2})$""")
"""What may stand between the sign of an assignment and the first of several strings."""


def _assigned(text: str, pieces: list[tuple[int, int]]) -> View | None:
    """The strings as one behind the name that they are given, where that is the name of a secret: what the program
    would have, so that passwords in two pieces are judged like others."""
    start = pieces[0][0] - 1
    low = max(text.rfind("\n", 0, start) + 1, start - 80)
    front = text[low:start]
    opening = _OPENING.search(front)
    if opening is None and front.rstrip()[-1:] in {"(", "["}:
        return None
    if not _SECRET_NAME.search(front) or pieces[-1][1] - pieces[0][0] > 1024:
        return None
    gaps = [(a[1], b[0], "") for a, b in pairwise(pieces)]
    if opening and opening[1]:
        gaps.insert(0, (low + opening.start(1), low + opening.end(1), ""))
    return pieced(text, [(low, min(pieces[-1][1] + 1, len(text)), gaps)])


def combined(text: str, places: Iterable[tuple[int, int]]) -> Iterator[View]:
    """Lists of strings that code joins with nothing between: `''.join([...])`, `[...].join('')`."""
    done = 0
    for start, end in places:
        if text[start] == "]":
            low = text.rfind("[", max(start - 400, done), start)
            at = low + 1
        else:
            at = end
        if at < 1 or at < done:
            continue
        pieces: list[tuple[int, int]] = []
        while len(pieces) < _PIECES:
            gap = _COMMA.match(text, at)
            quote = text[gap.end() : gap.end() + 1] if gap else ""
            m = _LITERAL[quote].match(text, gap.end()) if gap and quote in _LITERAL else None
            if m is None:
                break
            pieces.append(m.span(1))
            at = m.end()
        done = max(at, end)
        if len(pieces) > 1:
            yield _glued(text, pieces)
            if view := _assigned(text, pieces):
                yield view


_COMMA = re.compile(r"[ \t\r\n]{0,12},?[ \t\r\n]{0,24}")


def _before(text: str, at: int) -> tuple[int, int] | None:
    """The span of the string that ends before the operator before the quote at `at`."""
    end = at - 1
    low = max(at - 40, 0)
    while end >= low and text[end] in " \t\r\n\\+.&":
        end -= 1
    if end < 1 or text[end] not in _LITERAL or text[end - 1].isspace():
        return None
    start = text.rfind(text[end], max(end - 400, 0), end)
    return None if start < 0 or "\n" in text[start:end] else (start + 1, end)


def listed(text: str, places: list[int] | None = None) -> Iterator[View]:
    """Lists of short strings, read as one; `places` as in `views.around`."""
    for m in around(_LIST, text, places):
        pieces = [(p.start() + 1, p.end() - 1) for p in _SHORT.finditer(text, m.start(), m.end())]
        yield _glued(text, pieces[:_PIECES])


def broken(text: str, places: Iterable[tuple[int, int]]) -> Iterator[View]:
    """What begins as a key at (start, end of the beginning) and goes on behind breaks."""
    done = 0
    for start, end in places:
        if start < done or (start and text[start - 1].isalnum() and text[start].isalnum()):
            continue
        pieces = _pieces(text, start, end, _PIECE)
        if "-" not in text[start:end] and "-" in text[end : pieces[-1][1]]:
            dashed = _pieces(text, start, end, _UNDASHED)
            if len(dashed) > 1:
                yield _glued(text, dashed)
        if len(pieces) > 1:
            done = pieces[-1][1]
            yield _glued(text, pieces)


def _pieces(text: str, start: int, end: int, kind: re.Pattern[str]) -> list[tuple[int, int]]:
    """The pieces of a key that begins at `start`, the first of them first."""
    first = kind.match(text, end)
    at = first.end() if first else end
    pieces = [(start, at)]
    while len(pieces) < _PIECES and at - start < _LENGTH and (gap := _BREAK.match(text, at)):
        piece = kind.match(text, gap.end())
        if piece is None or _WORD.fullmatch(piece[0]):
            break
        if "\n" in gap[0] and _NEXT.match(text, piece.end()):
            break  # the name that the next line gives something else
        pieces.append(piece.span())
        at = piece.end()
    return pieces


def spelled(text: str, places: Iterable[tuple[int, int]]) -> Iterator[View]:
    """What is spelled as the beginning of a key at (start, end), in groups of one length, and goes on so."""
    done = 0
    for start, _ in places:
        if start < done or (start and text[start - 1].isalnum()):
            continue
        for size in (1, 2, 3):
            separator = text[start + size]
            if separator in _SEPARATORS and text[start + 2 * size + 1 : start + 2 * size + 2] in (separator, ""):
                break
        else:
            continue
        pieces: list[tuple[int, int]] = []
        at = start
        while len(pieces) < _PIECES:
            piece = text[at : at + size]
            pieces.append((at, at + len(piece)))
            at += size
            if text[at : at + 1] != separator or not text[at + 1 : at + 2].strip():
                break
            whole = text[at + 1 + size : at + 2 + size]
            if whole.isalnum() and separator != whole:  # the next group is a longer word
                break
            at += 1
        done = at
        yield _glued(text, pieces)


def turned(text: str, places: Iterable[tuple[int, int]], *, rotated: bool) -> Iterator[View]:
    """What stands behind the beginning of a key that is in ROT13 (`rotated`), or before one that is backwards."""
    done = 0
    for start, end in places:
        if start < done:
            continue
        low, high = (
            (max(start - 1, 0), min(end + _LENGTH, len(text))) if rotated else (max(start - _LENGTH, 0), end + 1)
        )
        done = min(high, len(text))
        stretch = text[low:done]
        new = rot13(stretch) if rotated else stretch[::-1]
        yield View(new, Window(low, done, turned=not rotated), strict=True, observed=True)


def numbers(text: str, places: Iterable[tuple[int, int]]) -> Iterator[View]:
    """Rows of digits that can be a card number in groups that its detector does not know, or between letters."""
    done = 0
    for _, place in places:
        if place <= done:
            continue
        for m in _ROW.finditer(text, max(place - 64, done), min(place + 32, len(text))):
            start, end = m.span()
            done = end
            if start < place <= end + 1:
                groups = [d.span() for d in _DIGITS.finditer(text, start, end)]
                if _card(text, groups):
                    yield _glued(text, groups)
            if end >= place - 1:
                break


def _card(text: str, groups: list[tuple[int, int]]) -> bool:
    """True when the groups of digits may be one card number: a grouping that people use, or a word of cards near."""
    start, end = groups[0][0], groups[-1][1]
    sizes = tuple(high - low for low, high in groups)
    if not 14 <= sum(sizes) <= 16 or (text[end : end + 1] in {"-", "."} and text[end + 1 : end + 2].isalnum()):
        return False
    if start and text[start - 1] in "-.":
        return False
    between = {text[a[1] : b[0]] for a, b in pairwise(groups)}
    if not between:
        edges = text[max(start - 1, 0) : start] + text[end : end + 1]
        return _EDGE.search(edges) is not None and _CARD.search(text[max(start - _NEAR, 0) : end + _NEAR]) is not None
    if sizes in _GROUPINGS and between <= {"-", " ", "_", ".", "/"} and len(between) > 1:
        return True
    if sizes in _GROUPINGS and between == {"_"} and len(sizes) == 4:
        return True
    return _CARD.search(text[max(start - _NEAR, 0) : end + _NEAR]) is not None


def accounts(text: str, places: Iterable[tuple[int, int]]) -> Iterator[View]:
    """IBANs in groups of four with another separator than a space, which begin at `places`."""
    done = 0
    for start, _ in places:
        if start >= done and (m := _ACCOUNT.match(text, start)):
            done = m.end()
            groups = [d.span() for d in re.finditer("[A-Z0-9]+", m[0])]
            yield _glued(text, [(start + low, start + high) for low, high in groups])


def _glued(text: str, pieces: list[tuple[int, int]]) -> View:
    gaps = [(a[1], b[0], "") for a, b in pairwise(pieces)]
    return pieced(text, [(pieces[0][0], pieces[-1][1], gaps)], strict=True)
