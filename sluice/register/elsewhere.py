"""What other files of the site declare already, as rows of registers: nothing is to be said twice.

    domain       destinations, with the site's judgement     signatures/targets.toml, paths.targets
    key          API keys by fingerprint, and their owners   identity.keys
    subject      people and services, by pseudonym           identity.people
    policy       rules, failure table, and its exceptions    paths.policy
    suppression  findings judged to be none                  paths.suppressions
    data_class   classes that can be found                   signatures/vocabulary.toml, [own]
    detector     what finds them                             signatures/packs, paths.packs, [own]
    setting      settings that posture is judged by          the settings

Names of subjects become the pseudonyms that the records use; what a policy says of a subject is left out where it is a
pattern.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sluice import config, policy, suppressions, targets, tomlfile
from sluice.detect import judgement, packs
from sluice.identity.names import subject_id
from sluice.identity.owners import read_owners
from sluice.identity.people import read_people

type Fields = dict[str, Any]
type Pseudonym = Callable[[str], str]
"""Name of a subject to the pseudonym of the records."""


def rows(settings: config.Settings, pseudonym: Pseudonym) -> Iterator[tuple[str, str, str, Fields]]:
    """Kind, key, origin and fields of each row. Raises `Misconfigured`."""
    yield from _domains(settings)
    yield from _keys(settings, pseudonym)
    yield from _subjects(settings, pseudonym)
    yield from _policy(settings, pseudonym)
    yield from _suppressions(settings, pseudonym)
    yield from _detectors(settings)
    for name, value in _settings(settings):
        yield "setting", name, "site", {"value": value}


def _domains(settings: config.Settings) -> Iterator[tuple[str, str, str, Fields]]:
    shipped = config.signatures_dir() / "targets.toml"
    ours = {row.id: row for row in targets.load(shipped).rows}
    for row in targets.load(shipped, settings.paths.targets).rows:
        origin = "site" if row.id not in ours else "shipped" if ours[row.id] == row else "both"
        yield (
            "domain",
            row.id,
            origin,
            {
                "host": row.host,
                "port": row.port,
                "paths": row.paths,
                "provider": row.provider,
                "product": row.product,
                "kind": row.kind,
                "dialect": row.dialect,
                "status": str(row.status),
                "mode": str(row.mode),
                "observe_until": _last_day(row.observe_until),
                "shared": row.shared,
                "signed": row.signed or None,
                "basis": row.basis,
                "notes": row.note or None,
            },
        )


def _keys(settings: config.Settings, pseudonym: Pseudonym) -> Iterator[tuple[str, str, str, Fields]]:
    if settings.identity.keys is None:
        return
    for fingerprint, owner in read_owners(settings.identity.keys):
        yield (
            "key",
            fingerprint,
            "site",
            {
                "ownership": str(owner.ownership),
                "subject": pseudonym(owner.subject.id) if owner.subject else None,
                "subject_kind": owner.subject.kind if owner.subject else None,
                "provider": owner.provider or None,
                "kind": owner.kind or None,
                "expires": _last_day(owner.expires),
                "vault": owner.vault or None,
                "scope": owner.scope or None,
                "created": _text(owner.created),
                "rotated": _text(owner.rotated),
                "shared": owner.shared,
                "notes": owner.note or None,
            },
        )


def _subjects(settings: config.Settings, pseudonym: Pseudonym) -> Iterator[tuple[str, str, str, Fields]]:
    if settings.identity.people is None:
        return
    for name, person in read_people(settings.identity.people).items():
        fields = {"kind": name.partition(":")[0], "role": person.role, "department": person.department}
        yield "subject", pseudonym(name), "site", fields | {"groups": person.groups}


def _policy(settings: config.Settings, pseudonym: Pseudonym) -> Iterator[tuple[str, str, str, Fields]]:
    file = settings.paths.policy or config.shipped_policy()
    origin = "site" if settings.paths.policy else "shipped"
    found = policy.load(file)
    raw = tomlfile.read(file)
    whole: Fields = {
        "policy": found.id,
        "version": found.version,
        "sha256": found.digest,
        "observe_until": _last_day(found.observe_until),
        "valid_to": _last_day(found.expires),
    }
    for place, (rule, given) in enumerate(zip(found.rules, _tables(raw, "rule"), strict=True), 1):
        said: Fields = {
            "place": place,
            "what": "rule",
            "title": rule.title,
            "action": str(rule.action),
            "conditions": _conditions(given.get("when"), pseudonym),
            "exceptions": _conditions(given.get("unless"), pseudonym),
        }
        ends = {"observe_until": _last_day(max(rule.observe_until, found.observe_until))}
        yield "policy", rule.id, origin, whole | said | ends
    default: Fields = {"place": len(found.rules) + 1, "what": "default", "action": str(found.default)}
    yield "policy", "default", origin, whole | default
    for cause, action in found.failure.rows.items():
        row: Fields = {"what": "failure", "action": str(action), "conditions": {"cause": str(cause)}}
        yield "policy", f"failure.{cause}", origin, whole | row
    for failure, given in zip(found.failure.rules, _tables(raw, "failure_rule"), strict=True):
        row = {
            "what": "failure_rule",
            "title": given.get("title"),
            "action": str(failure.action),
            "conditions": _conditions(given.get("when"), pseudonym),
            "until": _last_day(failure.until),
        }
        yield "policy", failure.id, origin, whole | row


def _suppressions(settings: config.Settings, pseudonym: Pseudonym) -> Iterator[tuple[str, str, str, Fields]]:
    if settings.paths.suppressions is None:
        return
    for entry in suppressions.read(settings.paths.suppressions):
        exact = entry.subject if entry.subject and not set("*?[") & set(entry.subject) else None
        fields = {
            "detector": entry.detector,
            "data_class": entry.data_class,
            "provider": entry.provider,
            "subject": pseudonym(exact) if exact else None,
            "route": entry.route,
            "fingerprint": entry.fingerprint,
            "owner": entry.owner,
            "reason": entry.reason,
            "expires": _text(entry.expires),
        }
        yield "suppression", entry.id, "site", fields


def _detectors(settings: config.Settings) -> Iterator[tuple[str, str, str, Fields]]:
    vocabulary = config.signatures_dir() / "vocabulary.toml"
    shipped = config.signatures_dir() / "packs"
    found = packs.load([shipped, *settings.paths.packs], vocabulary)
    theirs = {d.id for d in packs.load(list(settings.paths.packs), vocabulary)} if settings.paths.packs else set()
    regulations: dict[str, dict[str, None]] = {}
    for detector in (*found, *judgement.DETECTORS):
        regulations.setdefault(detector.data_class, {}).update(dict.fromkeys(detector.regulations))
        yield (
            "detector",
            detector.id,
            "site" if detector.id in theirs else "shipped",
            {
                "rev": detector.rev,
                "title": detector.title,
                "data_class": detector.data_class,
                "severity": str(detector.severity),
                "status": detector.status,
                "family": detector.family,
                "validators": detector.validators,
            },
        )
    words = packs.load_vocabulary(vocabulary)
    tables = [(d.name, d.data_class) for d in settings.own.dictionary]
    tables += [(e.name, e.data_class) for e in settings.own.edm]
    own = {data_class or f"own.{name}": "Data of this site" for name, data_class in tables}
    for name, meaning in (words.classes | own).items():
        fields = {"title": meaning, "regulations": tuple(regulations.get(name, ()))}
        yield "data_class", name, "shipped" if name in words.classes else "site", fields


def _settings(settings: config.Settings) -> Iterator[tuple[str, str]]:
    """Name and value of what posture is judged by. Nothing secret is a setting: those stand in files of their own."""
    yield "identity.require", str(settings.identity.require).lower()
    yield "identity.users", str(settings.identity.users is not None).lower()
    yield "identity.keys", str(settings.identity.keys is not None).lower()
    yield "identity.people", str(settings.identity.people is not None).lower()
    yield "identity.organisations", ",".join(settings.identity.organisations)
    yield "tunnels.non_tls", settings.tunnels.non_tls
    yield "tunnels.missing_sni", settings.tunnels.missing_sni
    yield "evidence.address", settings.evidence.address
    yield "evidence.keep_days", str(settings.evidence.keep_days)
    yield "seal.seconds", str(settings.seal.seconds)
    yield "seal.witnesses", str(len(settings.seal.witnesses))
    yield "limits.body_bytes", str(settings.limits.body_bytes)


def _tables(raw: Mapping[str, object], name: str) -> list[dict[str, Any]]:
    listed = raw.get(name, [])
    return listed if isinstance(listed, list) else []


def _conditions(given: object, pseudonym: Pseudonym) -> Fields | None:
    """The conditions of a rule as written; subjects as pseudonyms, and `(pattern)` where they name no one."""
    if not isinstance(given, dict):
        return None
    out = dict(given)
    if "subject" in out:
        names = out["subject"] if isinstance(out["subject"], list) else [out["subject"]]
        out["subject"] = ["(pattern)" if set("*?[") & set(str(n)) else pseudonym(str(n)) for n in names]
    return out


def real_subject(name: str) -> str:
    """A subject as the gate names it: `alice` -> `user:alice`; an address stays one."""
    try:
        return str(ipaddress.ip_address(name.strip()))
    except ValueError:
        return subject_id(name) or name


def _text(day: dt.date | None) -> str | None:
    return day.isoformat() if day else None


def _last_day(end: int) -> str | None:
    """The last day before a moment (nanoseconds since the epoch); None for 0."""
    return dt.datetime.fromtimestamp((end - 1) // 1_000_000_000, dt.UTC).date().isoformat() if end else None
