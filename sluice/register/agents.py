"""By what names the agent behind a request goes: those that inventory, findings and policy use, from one place.

    release-bot              the register's name, by the API key or the subject of the request (the key outranks it)
    cline                    the client's own name, where it is recognised
    openai-python of 1a2b3c4d  client and the first eight digits of the subject's pseudonym, where nobody declared it

A request goes by all that fit, so that a row that is entered later takes no rule away that named the agent before.
Only a policy that asks for an agent has the register read for it; a register that cannot be read stops that policy
from being loaded, since a rule that names nobody protects nobody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from sluice import config, keys
from sluice.detect.evidence import Fingerprinter
from sluice.register import files
from sluice.register.elsewhere import real_subject
from sluice.register.shapes import Agent

UNKNOWN = "unknown"
"""Stands for a client that nothing tells."""
PSEUDONYM_DIGITS = 8


def undeclared(client: str | None, pseudonym: str | None) -> str:
    """The name of an agent that is in no register: its client, and who runs it."""
    return f"{client or UNKNOWN} of {(pseudonym or 'nobody')[:PSEUDONYM_DIGITS]}"


class Agents:
    """The agents of a register by key and subject. Immutable; safe to use from any thread."""

    def __init__(self, rows: Iterable[Agent], printers: Sequence[Fingerprinter]) -> None:
        """`printers`: one for each version of the fingerprint key, so that a rotation changes no name."""
        self._by_key: dict[str, str] = {}
        self._by_subject: dict[str, str] = {}
        self._by_pseudonym: dict[str, str] = {}
        for row in sorted(rows, key=lambda row: row.id):
            for key in row.keys or ():
                self._by_key.setdefault(key, row.id)
            for name in map(real_subject, row.subjects or ()):
                self._by_subject.setdefault(name, row.id)
                for printer in printers:
                    self._by_pseudonym.setdefault(printer.fingerprint("subject", name), row.id)
        named = "\n".join(f"{kind} {k} {v}" for kind, found in self._maps().items() for k, v in sorted(found.items()))
        self.digest = hashlib.sha256(named.encode()).hexdigest()

        @lru_cache(4096)
        def pseudonyms(subject: str) -> tuple[str, ...]:
            return tuple(printer.fingerprint("subject", subject) for printer in printers)

        self._pseudonyms = pseudonyms

    def _maps(self) -> Mapping[str, Mapping[str, str]]:
        return {"key": self._by_key, "subject": self._by_subject}

    def names(self, client: str | None, subject: str, key: str | None) -> tuple[str, ...]:
        """Of a request, beside its client's name. `subject` as the gate names it, `key` its fingerprint."""
        found = self._by_key.get(key or "") or self._by_subject.get(subject)
        others = tuple(undeclared(client, made) for made in self._pseudonyms(subject))
        return (found, *others) if found else others

    def recorded(self, client: str | None, pseudonym: str | None, key: str | None) -> tuple[str, ...]:
        """The same of a record, which holds the subject's pseudonym."""
        found = self._by_key.get(key or "") or self._by_pseudonym.get(pseudonym or "")
        other = undeclared(client, pseudonym)
        return (found, other) if found else (other,)


def load(settings: config.Settings) -> Agents:
    """The agents that the registers declare. Raises `Misconfigured` with every problem of every register file."""
    entries = files.load(config.registers_dir(), settings.paths.registers)
    versions = keys.secrets_by_name(settings)
    return Agents(
        (entry.row for entry in entries if isinstance(entry.row, Agent)),
        [Fingerprinter(secret, name) for name, secret in versions.items()],
    )
