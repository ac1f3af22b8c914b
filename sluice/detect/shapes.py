"""From a detector's pattern to the two things that find it: a head for hyperscan and an `re` that confirms.

hyperscan reports where a match *ends*, and every possible end of it, one callback each. So it is not given the whole
pattern but its **head**: the part up to the first wide repeat, which then stands at its minimum. A head fires once for
a key of any length, and nearly always has one width, so the place where the match must start is known exactly and
`re` is run there and nowhere else.

What a head may leave out makes it fire more often, never less: look-around, the boundary before a literal, everything
behind the cut. A pattern that begins with a repeat (`[a-z.]{1,64}@...`) loses all but one of its leading characters in
the head; `Shape.back` says how far before the head the match may then begin.

`\\b` at either end of a pattern is read more strictly than `re` reads it, because prompts hold text of text:
at the front it also holds after an escape (`\\nAKIA...` in a string literal is not the word `nAKIA`), and beside digits
it does not hold within a longer number (`0.4111...`, `123-45-6789-0`).
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

# The only reader of `re` syntax there is; private, but its tree has not changed since 3.11, and a test would tell.
_parser: Any = importlib.import_module("re._parser")

SPREAD = 24
"""Widest variable repeat inside a head: hyperscan keeps a state per count, and the start is then searched this far."""
LONGEST = 16
"""Characters of a repeat kept in a head that has a literal already: enough to be rare, few enough to be cheap."""
LEADING = 8
"""A leading repeat that may be longer than this is taken out of the head when a literal follows to find it by."""
ANCHOR = 4
"""Literal characters in a row that make a head rare by themselves."""
OPENING = 6
"""First characters of one alternative of a head by which its place is told."""
REACH = 16_384
"""Longest match a pattern may ask for. Bounds what one confirmation can cost."""

REPEATS = frozenset({"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"})
"""Greedy, lazy and possessive (`{7,128}+`, which keeps `re` from trying every shorter value): one and the same to
hyperscan, which knows no difference between them."""

_FRONT = r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrtbf])|(?<=\\u00[0-9a-fA-F]{2})|(?<=%[0-9A-F]{2}))"
_FRONT_NUMBER = r"(?:(?<![A-Za-z0-9_])(?<![0-9][.\-])|(?<=\\[nrtbf])|(?<=\\u00[0-9a-fA-F]{2}))"
_BACK = r"(?![A-Za-z0-9_])"
_BACK_NUMBER = r"(?![A-Za-z0-9_]|[.\-][0-9])"
_HEAD_FRONT = r"(?:\b|[nrtbf])"
"""Wider than `_FRONT`, which `re` asks anyway: hyperscan needs twice the time for the backslash before the letter."""

_NO_CAPITALS = "".join(c for c in map(chr, range(0x21, 0x7F)) if not (c.isupper() or c.isdigit()))

_CATEGORIES = {
    "CATEGORY_DIGIT": "0-9",
    "CATEGORY_WORD": "A-Za-z0-9_",
    "CATEGORY_SPACE": r"\t\n\x0b\x0c\r\x20",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_NOT_WORD": r"\W",
    "CATEGORY_NOT_SPACE": r"\S",
}


class Unusable(ValueError):
    """The pattern is outside what a detector may use. The message says what and why."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How one pattern is found. Widths are code points.

    A match whose head ends at `e` starts in `[e - back - most, e - least]`, and ends at most `tail` after `e`. When the
    pattern begins with a repeat of a class, `lead` matches that repeat and ends `rest` before `e`, so that the start is
    found by one walk backwards. `opening` holds (without taking anything) wherever the first characters of a match may
    stand, so that few of the possible places are tried: `re` finds those many times faster than it tries the pattern.
    `needs` stands in every match: where it is missing nothing is tried.
    """

    head: str
    confirm: re.Pattern[str]
    group: int
    least: int
    most: int
    back: int
    tail: int
    utf8: bool
    caseless: bool
    literal: int
    lead: re.Pattern[str] | None = None
    rest: int = 0
    opening: re.Pattern[str] | None = None
    needs: str = ""

    @property
    def exact(self) -> bool:
        """True when the end of a head fixes the start of the match."""
        return self.back == 0 and self.least == self.most

    def search(self, text: str, low: int, high: int) -> re.Match[str] | None:
        """The first match in `text[low:high]`: as `confirm.search`, which tries every place in turn."""
        if self.opening is None:
            return self.confirm.search(text, low, high)
        for place in self.opening.finditer(text, low, high):
            if (match := self.confirm.match(text, place.start(), high)) is not None:
                return match
        return None


@lru_cache(maxsize=4096)  # a pattern is looked at when its pack is read and again when it is compiled
def analyse(pattern: str, *, caseless: bool = False) -> Shape:
    """Take a pattern apart. Raises `Unusable` when it is not one a detector may use."""
    flags = re.ASCII | re.MULTILINE | (re.IGNORECASE if caseless else 0)
    try:
        tree = _parser.parse(pattern, flags)
    except (re.error, OverflowError, RecursionError) as e:
        raise Unusable(f"not a regular expression: {e}") from None
    groups = tree.state.groups - 1
    if groups > 1:
        raise Unusable(f"has {groups} capture groups; one at most: it is the value")
    if tree.state.flags & ~flags & ~re.UNICODE:
        raise Unusable("has a global inline flag; set case_insensitive in the pack instead")
    items = _flatten(list(tree))
    _refuse(items)
    _, widest = tree.getwidth()
    if widest > REACH:
        raise Unusable(f"may match more than {REACH} characters: give every repeat an upper bound")
    draft = _head(items)
    if draft.least < 1:
        raise Unusable("has no required beginning that hyperscan could look for")
    front = ""
    if pattern.startswith(r"\b") and not draft.literal and not draft.back and not draft.text.endswith(r"\b"):
        front = _HEAD_FRONT  # what ends with a word is found once in it anyway
    text = front + draft.text
    return Shape(
        head=text,
        confirm=re.compile(_strict(pattern, items), flags),
        group=groups,
        least=draft.least,
        most=draft.most,
        back=draft.back,
        tail=max(widest - draft.least, 0),
        utf8=bool(re.search(r"\[\^|\\[DWS]|[^\x00-\x7f]", text)),
        caseless=caseless,
        literal=draft.literal,
        lead=re.compile(draft.lead, flags) if draft.lead else None,
        rest=draft.rest,
        opening=_opening(items, flags),
        needs=_needs(items, flags),
    )


@lru_cache(maxsize=16)  # several questions are asked of one head in a row; kept longer, the trees would be megabytes
def items(pattern: str, *, caseless: bool = False) -> list[Any]:
    """The syntax tree of a pattern that `analyse` took, or of a head that it made: a sequence of (operation, argument)
    with its plain groups dissolved."""
    return _flatten(list(_parser.parse(pattern, re.ASCII | re.MULTILINE | (re.IGNORECASE if caseless else 0))))


def _strict(pattern: str, items: list[Any]) -> str:
    """The pattern with the boundaries at its ends replaced by the strict ones of this file."""
    solid = [i for i in items if _width(i)[1] > 0]
    if pattern.startswith(r"\b"):
        pattern = (_FRONT_NUMBER if solid and _digits(solid[0]) else _FRONT) + pattern[2:]
    if pattern.endswith(r"\b") and not pattern.endswith(r"\\b"):
        pattern = pattern[:-2] + (_BACK_NUMBER if solid and _digits(solid[-1]) else _BACK)
    return pattern


def _name(op: Any) -> str:
    return str(op)


def _flatten(items: list[Any]) -> list[Any]:
    """Capture and plain groups dissolved into the sequence they stand in."""
    out: list[Any] = []
    for op, argument in items:
        if _name(op) == "SUBPATTERN" and not argument[1] and not argument[2]:
            out.extend(_flatten(list(argument[3])))
        else:
            out.append((op, argument))
    return out


def _refuse(items: list[Any]) -> None:
    for op, argument in items:
        name = _name(op)
        if name in {"GROUPREF", "GROUPREF_EXISTS", "ATOMIC_GROUP"}:
            raise Unusable("uses a back-reference or an atomic group, which hyperscan does not have")
        if name in REPEATS:
            _refuse(list(argument[2]))
        elif name == "SUBPATTERN":
            _refuse(list(argument[3]))
        elif name == "BRANCH":
            for branch in argument[1]:
                _refuse(list(branch))


def _width(item: Any) -> tuple[int, int]:
    op, argument = item
    name = _name(op)
    if name in {"LITERAL", "NOT_LITERAL", "ANY", "IN"}:
        return 1, 1
    if name in {"AT", "ASSERT", "ASSERT_NOT"}:
        return 0, 0
    if name in REPEATS:
        low, high, inner = argument
        a, b = _widths(list(inner))
        return low * a, min(int(high), REACH + 1) * b
    if name == "SUBPATTERN":
        return _widths(list(argument[3]))
    if name == "BRANCH":
        widths = [_widths(list(b)) for b in argument[1]]
        return min(w[0] for w in widths), max(w[1] for w in widths)
    raise Unusable(f"uses {name.lower()}, which is not supported")


def _widths(items: list[Any]) -> tuple[int, int]:
    widths = [_width(i) for i in items]
    return sum(w[0] for w in widths), sum(w[1] for w in widths)


def _digits(item: Any) -> bool:
    """True when the item can only be a digit (the first or last character decides how `\\b` is read)."""
    op, argument = item
    name = _name(op)
    if name == "LITERAL":
        return bool(48 <= argument <= 57)
    if name == "IN":
        return all(
            (_name(o) == "RANGE" and a[0] >= 48 and a[1] <= 57)
            or (_name(o) == "LITERAL" and 48 <= a <= 57)
            or (_name(o) == "CATEGORY" and _name(a) == "CATEGORY_DIGIT")
            for o, a in argument
        )
    if name in REPEATS:
        inner = _flatten(list(argument[2]))
        return bool(inner) and _digits(inner[-1])
    if name == "SUBPATTERN":
        inner = _flatten(list(argument[3]))
        return bool(inner) and _digits(inner[-1])
    if name == "BRANCH":
        return all(b and _digits(_flatten(list(b))[-1]) for b in argument[1])
    return False


@dataclass(slots=True)
class _Draft:
    text: str = ""
    least: int = 0
    most: int = 0
    back: int = 0
    literal: int = 0
    whole: bool = True
    lead: str = ""
    rest: int = 0


def _head(items: list[Any], *, top: bool = True, final: bool = True) -> _Draft:
    """The head of a sequence. `final`: nothing required follows it, so it may be cut behind its last required item.

    `whole` of the result is False when something was cut off, so that nothing may follow it.
    """
    draft = _Draft()
    run = 0
    last = max((i for i, item in enumerate(items) if _width(item)[0] > 0), default=-1)
    for i, item in enumerate(items):
        op, argument = item
        name = _name(op)
        ends = final and i >= last
        if name in {"ASSERT", "ASSERT_NOT"} or (name == "AT" and draft.most == 0):
            continue
        if name == "AT":
            draft.text += _emit(item)
            continue
        if final and i > last:
            draft.whole = False  # optional things behind the last required one
            break
        if name in REPEATS:
            low, high, inner = int(argument[0]), min(int(argument[1]), REACH + 1), list(argument[2])
            a, b = _widths(inner)
            single = b == 1
            if top and draft.most == 0 and single and high > LEADING and _literal_after(items[i + 1 :]):
                # A leading repeat: one character of it in the head, the rest of it lies before.
                draft.text += _emit_all(inner)
                draft.least = draft.most = max(low, 1)
                draft.back = high - max(low, 1)
                draft.lead = _repeat(_group(inner), 1, high)
                continue
            capped = draft.literal >= ANCHOR and low * a > LONGEST and single
            spread = high * b - low * a
            if spread > SPREAD or capped or (ends and low != high):
                keep = min(low, LONGEST) if capped else low
                if keep:
                    draft.text += _repeat(_group(inner), keep, keep)
                    draft.least += keep * a
                    draft.most += keep * b
                draft.whole = False
                break
            draft.text += _repeat(_group(inner), low, high)
            draft.least += low * a
            draft.most += high * b
            run = 0
            continue
        if name in {"BRANCH", "SUBPATTERN"}:
            branches = [list(b) for b in argument[1]] if name == "BRANCH" else [list(argument[3])]
            heads = [_head(_flatten(b), top=False, final=ends) for b in branches]
            if any(h.least == 0 for h in heads) and not all(h.whole for h in heads):
                draft.whole = False  # a branch that may be empty once cut: nothing to look for here
                break
            flags = _flags(argument) if name == "SUBPATTERN" else ""
            draft.text += f"(?{flags}:" + "|".join(h.text for h in heads) + ")"
            draft.least += min(h.least for h in heads)
            draft.most += max(h.most for h in heads)
            draft.literal = max(draft.literal, min(h.literal for h in heads))
            run = 0
            if not all(h.whole for h in heads):
                draft.whole = False
                break
            continue
        draft.text += _emit(item)
        draft.least += 1
        draft.most += 1
        run = run + 1 if name == "LITERAL" else 0
        draft.literal = max(draft.literal, run)
    if draft.lead:
        if draft.least == draft.most:
            draft.rest = draft.least - max(int(items[_first(items)][1][0]), 1)
        else:
            draft.lead = ""  # where the repeat ends is not known, so it cannot be walked back
    return draft


def _opening(items: list[Any], flags: int, count: int = 3) -> re.Pattern[str] | None:
    """Where a match may begin, judged by its first characters; None when anything may stand there.

    One class for each place, whatever the branches, and both cases written out: `re` then skips to the first character
    with a table, where alternatives or IGNORECASE would make it try every place in turn (measured: a tenth).
    """
    places = _first_characters(items, count, both=bool(flags & re.IGNORECASE))
    if not places or not all(places):
        return None
    first, *rest = (f"[{place}]" for place in places)
    return re.compile(first + (f"(?={''.join(rest)})" if rest else ""), flags & ~re.IGNORECASE)


def _needs(items: list[Any], flags: int) -> str:
    """The longest row of literal characters behind the first wide repeat of a pattern that minds case."""
    best = run = ""
    behind = False
    for item in items if not flags & re.IGNORECASE else []:
        low, high = _width(item)
        run = run + chr(item[1]) if _name(item[0]) == "LITERAL" else "" if high else run
        behind = behind or high - low > SPREAD
        best = run if behind and len(run) > len(best) else best
    return best if len(best) > 1 else ""


def _first_characters(items: list[Any], count: int, *, both: bool) -> list[str]:
    """Members of the class of each of the first characters, as far as they can be told: at most `count` of them.
    `both`: with those of the other case."""
    out: list[str] = []
    for at, item in enumerate(items):
        op, argument = item
        name = _name(op)
        if len(out) == count:
            break
        if name in {"AT", "ASSERT", "ASSERT_NOT"} and not out:
            continue
        if name == "LITERAL":
            out.append(_cases(op, argument) if both else _char(argument))
        elif name == "IN" and _name(argument[0][0]) != "NEGATE":
            out.append("".join(_cases(o, a) if both else _member(o, a) for o, a in argument))
        elif name == "BRANCH":
            branches = [_first_characters(_flatten(list(b)), count - len(out), both=both) for b in argument[1]]
            return out + ["".join(together) for together in zip(*branches, strict=False)]
        elif name in REPEATS and not int(argument[0]) and not out and at + 1 < len(items):
            # It may be left out: the first character is one of its own, or one of what follows.
            own = _first_characters(_flatten(list(argument[2])), 1, both=both)
            behind = _first_characters(items[at + 1 :], 1, both=both)
            return [own[0] + behind[0]] if own and behind else []
        elif name in REPEATS and int(argument[0]):
            low, inner = int(argument[0]), _flatten(list(argument[2]))
            once = _first_characters(inner, count - len(out), both=both)
            single = len(inner) == len(once) == 1 and _width(inner[0]) == (1, 1)
            out += once * low if single else once
            if not single or low != int(argument[1]):
                break
        else:
            break
    return out[:count]


def _cases(op: Any, argument: Any) -> str:
    """A member of a class and what it is in the other case, at least."""
    text = _member(op, argument)
    ends = [chr(c) for c in argument] if _name(op) == "RANGE" else [chr(argument)] if _name(op) == "LITERAL" else []
    if ends and (all(c.islower() for c in ends) or all(c.isupper() for c in ends)):
        swapped = [c.swapcase() for c in ends]
        return text + "-".join(swapped if all(len(c) == 1 for c in swapped) else ())
    return text if _name(op) != "RANGE" or ends[1] <= "@" else text + "A-Za-z"


def _first(items: list[Any]) -> int:
    """The index of the first item that consumes anything."""
    return next(i for i, item in enumerate(items) if _width(item)[1] > 0)


def _literal_after(items: list[Any]) -> bool:
    """True when a required literal follows: the rare thing that a leading repeat can be found by."""
    for op, _argument in items:
        name = _name(op)
        if name == "LITERAL":
            return True
        if name in {*REPEATS, "BRANCH"}:
            return False
    return False


def _flags(argument: Any) -> str:
    names = {int(re.IGNORECASE): "i", int(re.DOTALL): "s"}
    return "".join(letter for bit, letter in names.items() if argument[1] & bit)


def _group(items: list[Any]) -> str:
    text = _emit_all(items)
    single = len(items) == 1 and _name(items[0][0]) in {"LITERAL", "NOT_LITERAL", "ANY", "IN"}
    return text if single else f"(?:{text})"


def _repeat(text: str, low: int, high: int) -> str:
    if (low, high) == (1, 1):
        return text
    if (low, high) == (0, 1):
        return f"{text}?"
    return f"{text}{{{low}}}" if low == high else f"{text}{{{low},{high}}}"


def _emit_all(items: list[Any]) -> str:
    return "".join(_emit(i) for i in items)


def _emit(item: Any) -> str:
    op, argument = item
    name = _name(op)
    if name == "LITERAL":
        return _char(argument)
    if name == "NOT_LITERAL":
        return f"[^{_char(argument)}]"
    if name == "ANY":
        return r"[^\n]"
    if name == "IN":
        return f"[{''.join(_member(o, a) for o, a in argument)}]"
    if name == "AT":
        return {"AT_BOUNDARY": r"\b", "AT_NON_BOUNDARY": r"\B", "AT_BEGINNING": "^", "AT_END": "$"}[_name(argument)]
    if name in {"ASSERT", "ASSERT_NOT"}:
        return ""
    if name in REPEATS:
        low, high, inner = argument
        if int(high) > REACH:
            raise Unusable("has a repeat without an upper bound")
        return _repeat(_group(list(inner)), low, int(high))
    if name == "SUBPATTERN":
        return f"(?{_flags(argument)}:{_emit_all(list(argument[3]))})"
    if name == "BRANCH":
        return "(?:" + "|".join(_emit_all(list(b)) for b in argument[1]) + ")"
    raise Unusable(f"uses {name.lower()}, which is not supported")


def _member(op: Any, argument: Any) -> str:
    name = _name(op)
    if name == "NEGATE":
        return "^"
    if name == "LITERAL":
        return _char(argument)
    if name == "RANGE":
        return f"{_char(argument[0])}-{_char(argument[1])}"
    return _CATEGORIES[_name(argument)]


def _char(code: int) -> str:
    char = chr(code)
    if char.isascii() and not char.isalnum():
        return f"\\x{code:02x}"
    return char


def beginnings(head: str, *, caseless: bool = False) -> list[tuple[str, bool]]:
    """A head (as `analyse` writes it: no parenthesis or bar of its own is a plain one) that begins with a choice, or
    with a choice behind a character or two, as one expression for each alternative, and whether case is nothing to it:
    hyperscan then finds each by its own literal, which takes half the time and less."""
    if head.startswith("(?i:") and _closing(head, 4) == len(head) - 1:
        return beginnings(head[4:-1], caseless=True)
    if head.startswith(_HEAD_FRONT):
        return [(head, caseless)]
    before = re.match(r"(?:(?:[A-Za-z0-9]|\\x[0-9a-f]{2})\??){0,2}(?:\[[^\[\]]*\]\{[0-9,]+\})?(?=\(\?:)", head)
    if before is None:
        return [(head, caseless)]
    start = before.end() + 3
    end = _closing(head, start)
    rest = head[end + 1 :]
    if rest[:1] in {"?", "*", "+", "{"}:
        return [(head, caseless)]  # the choice may be left out or repeated
    texts, depth = [start], 0
    for m in re.finditer(r"\\.|[(|)]", head[start:end]):
        depth += {"(": 1, ")": -1}.get(m[0], 0)
        if m[0] == "|" and not depth:
            texts.append(start + m.end())
    alternatives = [head[a : b - 1] for a, b in pairwise([*texts, end + 1])]
    return [one for text in alternatives for one in beginnings(before[0] + text + rest, caseless=caseless)]


def sought(head: str) -> str:
    """What of one beginning of a head is looked for: without a wide repeat before its literal part, which hyperscan
    would have to follow everywhere."""
    parts = items(head)
    for i, item in enumerate(parts[:3]):
        low, high = _width(item)
        if high - low > LEADING and literal(_emit_all(parts[:i])) < 2:
            rest = _emit_all(parts[i + 1 :])
            return rest if literal(rest) > 2 else head
    return head


def _closing(head: str, start: int) -> int:
    """Where the group ends whose inside begins at `start`."""
    depth = 1
    for m in re.finditer(r"\\.|[()]", head[start:]):
        depth += {"(": 1, ")": -1}.get(m[0], 0)
        if not depth:
            return start + m.start()
    raise Unusable("has a group that does not end")  # never: `analyse` wrote the head


class Beginning(NamedTuple):
    """One alternative of a head: its widths, and where a match may begin (see `Shape`)."""

    least: int
    most: int
    opening: re.Pattern[str] | None


@lru_cache(maxsize=8192)
def measure(text: str, *, caseless: bool) -> Beginning:
    """How wide one of the `beginnings` of a head is, and by what characters it is told."""
    parts = items(text)
    least, most = _widths(parts)
    flags = re.ASCII | re.MULTILINE | (re.IGNORECASE if caseless else 0)
    return Beginning(least, most, _opening(parts, flags, OPENING) if least != most else None)


def literal(head: str) -> int:
    """Literal characters in a row that every match of a head has at least, outside of choices and repeats."""
    best = run = 0
    for op, argument in items(head):
        name = _name(op)
        row = (
            int(argument[0])
            if name in REPEATS and len(argument[2]) == 1 == (_name(argument[2][0][0]) == "LITERAL")
            else 0
        )
        run = run + 1 if name == "LITERAL" else run if name == "AT" else row
        best = max(best, run)
    return best


def capital(head: str) -> bool:
    """True when a head can only begin with a capital letter or a digit."""
    op, argument = items(head.removeprefix(_HEAD_FRONT))[0]
    while _name(op) in {*REPEATS, "SUBPATTERN", "BRANCH"}:
        inner = argument[1][0] if _name(op) == "BRANCH" else argument[3 if _name(op) == "SUBPATTERN" else 2]
        op, argument = _flatten(list(inner))[0]
    return re.search(_emit((op, argument)), _NO_CAPITALS) is None
