"""Whose API key this is: the site's register of keys, by fingerprint. A key itself never stands in it.

    [[key]]
    fingerprint = ["9f86d081884c7d659a2feaa0c55ad015"]   # `sluice keys fingerprint --kind credential`
    ownership = "corporate"                               # or "personal"
    owner = "service:ci"                                  # who asks, where nothing better says so
    groups = ["build"]
    provider = "openai"                                   # counts there alone
    expires = 2027-01-01

`vault`, `scope`, `created`, `rotated`, `shared` and `note` change nothing here: posture tells by them which keys are
stale, nowhere kept, or used by several.

After a rotation of the fingerprint key the new fingerprint is added beside the old one.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sluice import tomlfile
from sluice.errors import Misconfigured, Problem
from sluice.identity.names import NAME_FAULT, group_names, subject_id
from sluice.model import Assurance, Credential, Ownership, Subject

_FINGERPRINT = re.compile(r"[0-9a-f]{32}")
_DATES = ("expires", "created", "rotated")


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    fingerprint: str | list[str]
    ownership: Ownership = Ownership.CORPORATE
    owner: str = ""
    groups: list[str] = []
    provider: str = ""
    kind: str = ""
    expires: object = None
    """A TOML date (its beginning, UTC) or time; a union of both is more than msgspec can tell apart."""
    vault: str = ""
    """Where the key itself is kept."""
    scope: str = ""
    """What it may do at the provider."""
    created: object = None
    rotated: object = None
    shared: bool = False
    """Several subjects may use it."""
    note: str = ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    key: list[_Row] = []


@dataclass(frozen=True, slots=True)
class Owner:
    """One row. `expires`: nanoseconds since the epoch, 0 = never. `subject` None: it is known whose, and not who's."""

    ownership: Ownership
    subject: Subject | None = None
    provider: str = ""
    kind: str = ""
    expires: int = 0
    vault: str = ""
    scope: str = ""
    created: dt.date | None = None
    rotated: dt.date | None = None
    shared: bool = False
    note: str = ""


class Owners:
    """The register, by fingerprint. Immutable. `listed` is False where a site keeps none."""

    def __init__(self, rows: Iterable[tuple[str, Owner]] = (), *, listed: bool = False) -> None:
        self._rows = dict(rows)
        self.listed = listed

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[tuple[str, Owner]]:
        """Fingerprint and row."""
        return iter(self._rows.items())

    def ownership(self, credential: Credential, provider: str, at: int) -> Ownership:
        """Corporate or personal, as far as the register says."""
        row = self._row(credential, provider)
        return Ownership.UNKNOWN if row is None or _over(row, at) else row.ownership

    def subject(self, credential: Credential, provider: str, at: int) -> Subject | None:
        """Who asks with this key; with assurance none, and expired, when the row has run out. None: not known."""
        row = self._row(credential, provider)
        if row is None or row.subject is None:
            return None
        return _expired(row.subject) if _over(row, at) else row.subject

    def _row(self, credential: Credential, provider: str) -> Owner | None:
        row = self._rows.get(credential.fingerprint)
        if row is None or row.provider not in ("", provider) or row.kind not in ("", credential.kind):
            return None
        return row


def read_owners(path: Path) -> Owners:
    """Read the register. Raises `Misconfigured` with every bad row."""
    text = path.read_text("utf-8", "replace") if path.is_file() else ""
    data = tomlfile.convert(tomlfile.read(path), _File, file=path, text=text)
    problems: list[Problem] = []
    found: dict[str, Owner] = {}
    for n, row in enumerate(data.key):
        prints = [row.fingerprint] if isinstance(row.fingerprint, str) else row.fingerprint
        name = subject_id(row.owner) if row.owner else None
        what = ""
        if not prints or not all(map(_FINGERPRINT.fullmatch, prints)):
            what = "`fingerprint` must be 32 hexadecimal digits, as `sluice keys fingerprint --kind credential` prints"
        elif row.owner and name is None:
            what = f"`owner` {NAME_FAULT}"
        elif any(p in found for p in prints):
            what = "this fingerprint is listed already"
        elif wrong := next((k for k in _DATES if not isinstance(getattr(row, k), dt.date | None)), ""):
            what = f"`{wrong}` must be a date such as 2027-01-01, without quotes"
        elif row.ownership is Ownership.UNKNOWN:
            what = "`ownership` must be corporate or personal"
        if what:
            problems.append(Problem(str(path), tomlfile.line_of(text, f"$.key[{n}].fingerprint"), what))
            continue
        who = None
        if name is not None:
            who = Subject(name, name.partition(":")[0], "key_map", Assurance.MAPPED, group_names(row.groups))
        owner = Owner(
            row.ownership,
            who,
            row.provider,
            row.kind,
            _nanoseconds(row.expires),
            vault=row.vault,
            scope=row.scope,
            created=_day(row.created),
            rotated=_day(row.rotated),
            shared=row.shared,
            note=row.note,
        )
        found.update(dict.fromkeys(prints, owner))
    if problems:
        raise Misconfigured(problems)
    return Owners(found.items(), listed=True)


def _over(row: Owner, at: int) -> bool:
    return bool(row.expires) and row.expires <= at


def _expired(subject: Subject) -> Subject:
    return Subject(subject.id, subject.kind, subject.method, Assurance.NONE, expired=True)


def _day(moment: object) -> dt.date | None:
    if isinstance(moment, dt.datetime):
        return moment.date()
    return moment if isinstance(moment, dt.date) else None


def _nanoseconds(moment: object) -> int:
    if not isinstance(moment, dt.date):  # a datetime is a date as well
        return 0
    if not isinstance(moment, dt.datetime):
        moment = dt.datetime(moment.year, moment.month, moment.day, tzinfo=dt.UTC)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()) * 1_000_000_000
