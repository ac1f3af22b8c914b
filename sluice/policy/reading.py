"""Typed access to a policy file that notes every fault with its line and goes on, so that one run shows them all.

A value that is wrong reads as empty: it is never used, because a file with a problem is not loaded.
"""

from __future__ import annotations

import datetime as dt
import difflib
import fnmatch
import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sluice import tomlfile
from sluice.errors import Problem
from sluice.policy.conditions import CLOSED, pattern_fault

MAX_MESSAGE = 500
NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the file and the path to it (`$.rule[2].when`)."""

    path: str
    values: dict[str, object] = field(default_factory=dict)


class Reading:
    """One policy file being read: its name, its text (for line numbers), and its values as TOML gives them."""

    def __init__(
        self,
        file: str,
        text: str,
        values: dict[str, object],
        *,
        known_classes: Iterable[str] | None = None,
        known_providers: Iterable[str] | None = None,
        today: dt.date | None = None,
    ) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.top = Table("$", values)
        self._file = file
        self._text = text
        self._today = today
        self._known: dict[str, Sequence[str] | None] = {
            "class": None if known_classes is None else sorted(known_classes),
            "provider": None if known_providers is None else sorted(known_providers),
        }

    def line(self, path: str) -> int | None:
        return tomlfile.line_of(self._text, path if path.startswith("$") else f"$.{path}")

    def bad(self, path: str, what: str) -> None:
        """Note a problem: the file will not be loaded."""
        self.problems.append(Problem(self._file, self.line(path), what))

    def warn(self, path: str, what: str) -> None:
        """Note something that works but is probably not meant."""
        self.warnings.append(Problem(self._file, self.line(path), what))

    def known_keys(self, table: Table, known: Sequence[str], noun: str = "key") -> None:
        """Every other key of the table is a problem."""
        for key in table.values:
            if key not in known:
                self.bad(f"{table.path}.{key}", f"unknown {noun} `{key}`{_meant(key, known)}")

    def table(self, parent: Table, key: str) -> Table:
        """The table under a key; an empty one when there is none."""
        value = parent.values.get(key, {})
        path = f"{parent.path}.{key}"
        if isinstance(value, dict):
            return Table(path, value)
        self.bad(path, f"{key}: must be a table, not {type(value).__name__}")
        return Table(path)

    def tables(self, key: str) -> list[Table]:
        """The list of tables under a top-level key."""
        value = self.top.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.bad(key, f"{key}: must be a list of tables: `[[{key}]]`")
            return []
        return [Table(f"$.{key}[{index}]", item) for index, item in enumerate(value)]

    def text(self, table: Table, key: str, pattern: re.Pattern[str] | None = None) -> str:
        value = table.values.get(key, "")
        if not isinstance(value, str):
            self.bad(f"{table.path}.{key}", f"{key}: must be text")
            return ""
        if pattern is not None and key in table.values and not pattern.fullmatch(value):
            self.bad(
                f"{table.path}.{key}", f"{key}: `{value}` must be lower-case letters, digits and hyphens, at most 64"
            )
            return ""
        if key in table.values and not value.strip():
            self.bad(f"{table.path}.{key}", f"{key}: is empty")
        return value

    def message(self, table: Table, key: str) -> str:
        """Text for people: one line, printable, of a length that clients show whole."""
        text = " ".join(self.text(table, key).split())
        if len(text) > MAX_MESSAGE or not text.isprintable():
            self.bad(f"{table.path}.{key}", f"{key}: at most {MAX_MESSAGE} printable characters")
        return text

    def identity(self, table: Table, seen: dict[str, int | None], taken: Sequence[str]) -> str:
        """The `id` of a rule, which no other has; `seen` maps those above to their lines."""
        name = self.text(table, "id", pattern=NAME)
        at = f"{table.path}.id"
        if "id" not in table.values:
            self.bad(table.path, "needs an `id`: records name the rule that decided")
        elif name in taken:
            self.bad(at, f"id: `{name}` is reserved")
        elif name in seen:
            self.bad(at, f"id: `{name}` is used on line {seen[name]} already")
        elif name:
            seen[name] = self.line(at)
        return name

    def choice(self, table: Table, key: str, choices: Sequence[str], default: str | None) -> str:
        """One of the choices. `default` None means that the key is required; a problem reads as empty text."""
        value = table.values.get(key, default)
        if value is None:
            self.bad(table.path, f"needs `{key}`: {' or '.join(choices)}")
            return ""
        if key in table.values and value not in choices:
            self.bad(f"{table.path}.{key}", f"{key}: must be one of {', '.join(choices)}, not `{value}`")
            return ""
        return str(value)

    def flag(self, table: Table, key: str) -> bool:
        value = table.values.get(key, False)
        if not isinstance(value, bool):
            self.bad(f"{table.path}.{key}", f"{key}: must be true or false")
            return False
        return value

    def number(self, table: Table, key: str, least: float, most: float, *, whole: bool = False) -> float:
        value = table.values.get(key)
        kinds = int if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
            self.bad(
                f"{table.path}.{key}", f"{key}: must be a {'whole ' if whole else ''}number from {least} to {most}"
            )
            return least
        return value

    def date(self, table: Table, key: str, *, passed: str = "") -> dt.date | None:
        """A date; one that has passed is a warning, which says in `passed` what that means."""
        value = table.values.get(key)
        if value is None:
            return None
        if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
            self.bad(f"{table.path}.{key}", f"{key}: must be a date without quotes, as in 2027-01-31")
            return None
        if self._today is not None and value < self._today:
            self.warn(f"{table.path}.{key}", f"{key}: {value} has passed{': ' if passed else ''}{passed}")
        return value

    def values(self, table: Table, key: str, closed: Sequence[str] | None = None) -> list[str]:
        """The values of a condition: one text or a list of texts, each checked for what the key means."""
        path = f"{table.path}.{key}"
        value = table.values.get(key)
        listed = [value] if isinstance(value, str) else value
        if key not in table.values:
            return []
        if not isinstance(listed, list) or not listed or not all(isinstance(item, str) for item in listed):
            self.bad(path, f"{key}: must be text or a list of texts")
            return []
        faults = [what for item in listed if (what := self._fault(key, item, closed or CLOSED.get(key)))]
        for what in faults:
            self.bad(path, f"{key}: {what}")
        return [] if faults else listed

    def _fault(self, key: str, item: str, closed: Sequence[str] | None) -> str | None:
        if closed is not None:
            return None if item in closed else f"`{item}` is not one of {', '.join(closed)}"
        if key == "network":
            return _network_fault(item)
        if what := pattern_fault(item):
            return f"`{item}` {what}"
        known = self._known.get(key)
        if known is not None and not fnmatch.filter(known, item.casefold()):
            return f"`{item}` fits no {key} that is known{_meant(item, known)}"
        return None


def _network_fault(item: str) -> str | None:
    try:
        ipaddress.ip_network(item)
    except ValueError:
        try:
            return f"`{item}` has bits below its mask; did you mean `{ipaddress.ip_network(item, strict=False)}`?"
        except ValueError:
            return f"`{item}` is not a network such as `10.0.0.0/8`"
    return None


def _meant(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.7)
    return f"; did you mean `{close[0]}`?" if close else ""
