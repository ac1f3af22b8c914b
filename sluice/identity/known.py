"""Everything that the files of this room say, at one time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from sluice.config import Settings
from sluice.identity.resolver import Resolver
from sluice.identity.users import Users, read_users

type Facts = dict[str, str | int | float | bool | None]


@dataclass(frozen=True, slots=True)
class Known:
    """Everything that the files say, at one time. `users` None: nobody logs in here."""

    resolver: Resolver
    users: Users | None
    facts: Facts
    """For the control record: digest and size of each file."""

    @classmethod
    def load(cls, settings: Settings) -> Known:
        """Raises `Misconfigured` with every bad line."""
        path = settings.identity.users
        facts: Facts = {}
        for name, file in files(settings).items():
            try:
                facts[name] = hashlib.sha256(file.read_bytes()).hexdigest()
            except OSError:  # said better by whoever reads it next
                facts[name] = None
        return cls(Resolver.load(settings), read_users(path) if path else None, facts)


def files(settings: Settings) -> dict[str, Path]:
    """The files that are watched, by setting."""
    identity = settings.identity
    named = {k: getattr(identity, k) for k in ("users", "address_map", "people", "keys")}
    return {name: path for name, path in named.items() if path is not None}
