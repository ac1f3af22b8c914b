"""What a validator is given and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec


class Candidate(msgspec.Struct, frozen=True):
    """**P** A value that a pattern matched, with the text around it."""

    value: str
    text: str
    start: int
    end: int

    def __repr__(self) -> str:
        return f"Candidate({self.start}-{self.end})"

    def before(self, count: int) -> str:
        return self.text[max(self.start - count, 0) : self.start]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`passed`: it is what the detector says. `example`: it is a documented sample or a placeholder of it.

    `keep`: only this many characters of the value belong to it (an IBAN with the next word behind it).
    `grow`: so many characters before it belong to it as well (the name of a street before `straße 5`).
    `proved`: False where it reads like what the detector says but does not hold what its format promises (a key that is
    cut off): found, but not `validated`.
    `expires`: when it says itself that it is worth nothing any more, seconds since the epoch. Whether it is, is for the
    caller to say, who has a clock (`expiry`).
    """

    passed: bool
    example: bool = False
    keep: int | None = None
    grow: int = 0
    proved: bool = True
    expires: int | None = None


PASS = Verdict(True)

FAIL = Verdict(False)

EXAMPLE = Verdict(True, example=True)

UNPROVED = Verdict(True, proved=False)

type Validator = Callable[[Candidate], Verdict]
