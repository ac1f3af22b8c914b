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
from typing import Any

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
REACH = 16_384
"""Longest match a pattern may ask for. Bounds what one confirmation can cost."""

REPEATS = frozenset({"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"})
"""Greedy, lazy and possessive (`{7,128}+`, which keeps `re` from trying every shorter value): one and the same to
hyperscan, which knows no difference between them."""

_FRONT = r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrtbf])|(?<=\\u00[0-9a-fA-F]{2})|(?<=%[0-9A-F]{2}))"
_FRONT_NUMBER = r"(?:(?<![A-Za-z0-9_])(?<![0-9][.\-])|(?<=\\[nrtbf])|(?<=\\u00[0-9a-fA-F]{2}))"
_BACK = r"(?![A-Za-z0-9_])"
_BACK_NUMBER = r"(?![A-Za-z0-9_]|[.\-][0-9])"
_HEAD_FRONT = r"(?:\b|\\[nrtbf])"

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
    found by one walk backwards. When the head has no one width, `opening` holds (without taking anything) wherever the
    first characters of a match may stand, so that few of the possible places are tried.
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

    @property
    def exact(self) -> bool:
        """True when the end of a head fixes the start of the match."""
        return self.back == 0 and self.least == self.most


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
    if pattern.startswith(r"\b") and not draft.literal and not draft.back:
        front = _HEAD_FRONT
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
        opening=_opening(items, flags) if draft.least != draft.most and not draft.back else None,
    )


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


def _opening(items: list[Any], flags: int) -> re.Pattern[str] | None:
    """Where a match may begin, judged by its first three characters at most; None when anything may stand there.

    One class for each place, whatever the branches, and both cases written out: `re` then skips to the first character
    with a table, where alternatives or IGNORECASE would make it try every place in turn (measured: a tenth).
    """
    places = _first_characters(items, 3, both=bool(flags & re.IGNORECASE))
    if not places or not all(places):
        return None
    first, *rest = (f"[{place}]" for place in places)
    return re.compile(first + (f"(?={''.join(rest)})" if rest else ""), flags & ~re.IGNORECASE)


def _first_characters(items: list[Any], count: int, *, both: bool) -> list[str]:
    """Members of the class of each of the first characters, as far as they can be told: at most `count` of them.
    `both`: with those of the other case."""
    out: list[str] = []
    for item in items:
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
        else:
            break
    return out


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


def beginnings(head: str) -> list[str]:
    """A head (as `analyse` writes it: no parenthesis or bar of its own is a plain one) that begins with a choice, as
    one expression for each alternative: hyperscan then finds each by its own literal, which for short ones beside
    characters beyond ASCII takes half the time."""
    if not head.startswith("(?:"):
        return [head]
    depth, start, texts = 0, 3, list[str]()
    for m in re.finditer(r"\\.|[(|)]", head):
        depth += {"(": 1, ")": -1}.get(m[0], 0)
        if (m[0] == "|" and depth == 1) or (m[0] == ")" and depth == 0):
            texts.append(head[start : m.start()])
            start = m.end()
        if not depth:
            break
    rest = head[start:]
    if rest[:1] in {"?", "*", "+", "{"}:
        return [head]  # the choice may be left out or repeated
    return [t + rest for t in texts]
