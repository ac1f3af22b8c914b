"""What matching the site's own data gives, and what it may cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from sluice.model import Detector


class Hit(NamedTuple):
    """**P** A value of the site in a text: `value` in the one spelling that its fingerprint is taken of."""

    detector: Detector
    start: int
    end: int
    value: str
    validated: bool | None
    confidence: float


class Exhausted(Exception):
    """Not an error: the budget is used up."""


@dataclass(slots=True)
class Spending:
    """Keyed hashes and comparisons that one scan may still cost; a unit is about a microsecond."""

    left: int
    spent: int = 0

    def take(self, units: int = 1) -> None:
        """Raises `Exhausted`."""
        self.left -= units
        self.spent += units
        if self.left < 0:
            raise Exhausted
