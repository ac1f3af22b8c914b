"""What was seen of API keys, by fingerprint: which ones work, and whose organisation answered.

A key that a provider answered with 2xx works. Found inside a prompt it is no stale sample but a way in, so its finding
is marked live and is critical. Fingerprints of credentials and of secrets in prompts are of one domain, so that the two
can be found to be the same (`detect.evidence.purpose`).

Each worker keeps what it saw; `exchange` shares it with the others and the next start through one file of lines that
are only added. Bounded: the newest `MOST` keys are known. A fingerprint tells nobody a key.
"""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Set
from copy import replace
from pathlib import Path

from sluice import durable
from sluice.identity.owners import Owners
from sluice.model import Credential, Finding, Outcome, Ownership, Severity

MOST = 10_000
FILE = "live-keys"
_LARGEST = 8 * 1024 * 1024
_LINE = re.compile(rb"([0-9a-f]{32}) (corporate|personal|unknown)")


class KnownKeys:
    """Used from the event loop; `marked` and `ownership` from any thread."""

    def __init__(self) -> None:
        self._keys: OrderedDict[str, Ownership] = OrderedDict()
        self._news: dict[str, Ownership] = {}
        self._read = 0

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, fingerprint: object) -> bool:
        return fingerprint in self._keys

    def marked(self, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
        """The findings, those of keys that work as live and critical. Documented samples stay what they are."""
        if not self._keys or not any(self._is_live(f) for f in findings):
            return findings
        return tuple(replace(f, live=True, severity=Severity.CRITICAL) if self._is_live(f) else f for f in findings)

    def ownership(self, owners: Owners, credential: Credential, provider: str, at: int) -> Ownership:
        """Whose a key is, as far as is known when deciding: by the register, else by the answers it has had before."""
        said = owners.ownership(credential, provider, at)
        return self._keys.get(credential.fingerprint, said) if said is Ownership.UNKNOWN else said

    def answered(self, outcome: Outcome, organisations: Set[str]) -> Ownership | None:
        """Learn from an answer; whose the key is by the organisation that it names, None where that cannot be told."""
        after: Ownership | None = None
        if organisations and outcome.org_id_seen is not None:
            after = Ownership.CORPORATE if outcome.org_id_seen in organisations else Ownership.PERSONAL
        if outcome.key is not None and outcome.upstream_status is not None and 200 <= outcome.upstream_status < 300:
            self._learn(outcome.key, after or self._keys.get(outcome.key, Ownership.UNKNOWN), news=True)
        return after

    def exchange(self, directory: Path) -> None:
        """Add to the file what is new here, and read what is new there. Raises OSError."""
        path = directory / FILE
        if not self._news and (not path.exists() or path.stat().st_size == self._read):
            return
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(fd).st_size
            if size < self._read or self._read == 0:  # removed and begun anew, or this process's first look
                self._read = max(0, size - MOST * 44)
            for found in _LINE.finditer(os.pread(fd, size - self._read, self._read)):
                self._learn(found[1].decode(), Ownership(found[2].decode()), news=False)
            news, self._news = self._news, {}
            lines = "".join(f"{key} {whose}\n" for key, whose in news.items()).encode()
            if lines and size < _LARGEST:
                durable.put(fd, lines)
            self._read = size
        finally:
            os.close(fd)

    def _is_live(self, finding: Finding) -> bool:
        return finding.fingerprint in self._keys and finding.data_class.startswith("secret.") and not finding.example

    def _learn(self, key: str, whose: Ownership, *, news: bool) -> None:
        if news and self._keys.get(key) is not whose:
            self._news[key] = whose
        self._keys[key] = whose
        self._keys.move_to_end(key)
        while len(self._keys) > MOST:
            self._keys.popitem(last=False)


NO_KEYS = KnownKeys()
"""For who only looks at a decision: nothing was seen, and nothing is learnt."""
