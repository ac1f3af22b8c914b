"""Findings that a site has judged to be none: by scope, with an owner, a reason and an end.

    [[suppression]]
    id          = "invoice-numbers"            # named in the record of every finding that it took out of the account
    detector    = "payment.card-number"        # or class = "financial.*": one of the two
    provider    = "openai"                     # optional, and all that are given must fit
    subject     = "service:billing"            # as the gate names who asks (`sluice explain`); `*` stands for any text
    route       = "openai.chat"                # as `sluice explain` names it; `*` as above
    fingerprint = "4f0c..."                    # of one value: as the records and `sluice keys fingerprint` give it
    owner       = "ana@example.com"
    reason      = "Order numbers that pass Luhn"
    expires     = 2026-12-31                   # counts again from the day after, UTC

A suppressed finding stays in the record with the id of its suppression; policy does not see it. It is judged after
detection, so the memory of what was read before never holds one. An end that has passed is a warning, not an error:
the finding counts again, which is the safe side. Pure; the first suppression that fits is named.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from copy import replace
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import msgspec

from sluice import tomlfile
from sluice.errors import Misconfigured, Problem
from sluice.model import Finding, Subject, Target
from sluice.targets.columns import end_of_day

LONGEST = 366
"""Days that a suppression may last: a judgement that nobody looks at again for longer is no judgement."""
MOST = 10_000
_ID = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_FINGERPRINT = re.compile(r"[0-9a-f]{32}")

type _Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"data_class": "class"}, kw_only=True):
    """One `[[suppression]]` as written."""

    id: _Text
    owner: _Text
    reason: _Text
    expires: dt.date
    detector: _Text | None = None
    data_class: _Text | None = None
    provider: _Text | None = None
    subject: _Text | None = None
    route: _Text | None = None
    fingerprint: _Text | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    suppression: tuple[dict[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class _Rule:
    entry: Entry
    ends: int

    def fits(self, finding: Finding, target: Target, subject: Subject, route: str, at: int) -> bool:
        e = self.entry
        return (
            at < self.ends
            and (e.detector is None or e.detector == finding.detector)
            and (e.data_class is None or fnmatchcase(finding.data_class, e.data_class))
            and (e.fingerprint is None or e.fingerprint == finding.fingerprint)
            and (e.provider is None or e.provider == target.provider)
            and (e.subject is None or fnmatchcase(subject.id, e.subject))
            and (e.route is None or fnmatchcase(route, e.route))
        )


class Suppressions:
    """The suppressions of a site. Never changed once made; safe to use from any thread."""

    def __init__(self, entries: Iterable[Entry], digest: str, file: str = "", lines: Sequence[int | None] = ()) -> None:
        self._rules = tuple(_Rule(e, end_of_day(e.expires)) for e in entries)
        self._file, self._lines = file, lines
        self.digest = digest

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What the file says, in its order."""
        return tuple(rule.entry for rule in self._rules)

    @property
    def ends(self) -> frozenset[int]:
        """When something counts again: nanoseconds since the epoch."""
        return frozenset(rule.ends for rule in self._rules)

    def mark(
        self, findings: tuple[Finding, ...], target: Target, subject: Subject, route: str | None, at: int
    ) -> tuple[Finding, ...]:
        """The findings, those that are suppressed with the id of what suppresses them. `at`: ns since the epoch."""
        return tuple(self._marked(f, target, subject, route or "", at) for f in findings)

    def _marked(self, finding: Finding, target: Target, subject: Subject, route: str, at: int) -> Finding:
        for rule in self._rules:
            if rule.fits(finding, target, subject, route, at):
                return replace(finding, suppressed=rule.entry.id)
        return finding

    def expired(self, at: int) -> list[Problem]:
        """A warning for each that has ended at a time (ns since the epoch)."""
        return [
            Problem(
                self._file,
                line,
                f"suppression `{rule.entry.id}` of {rule.entry.owner} ended on {rule.entry.expires}: what it named "
                "counts again. Judge it anew, or take it out",
            )
            for rule, line in zip(self._rules, self._lines, strict=True)
            if at >= rule.ends
        ]


def load(
    path: Path,
    *,
    detectors: Collection[str],
    classes: Collection[str],
    providers: Collection[str],
    today: dt.date,
) -> Suppressions:
    """The suppressions in a file. Raises `Misconfigured` with file and line of every problem.

    A name of a detector, class or provider that there is none of is a problem: it would suppress nothing, unseen.
    """
    raw = tomlfile.read(path)
    text = path.read_text("utf-8")
    listed = tomlfile.convert(raw, _File, file=path, text=text).suppression
    problems: list[Problem] = []
    entries: dict[str, Entry] = {}
    lines: list[int | None] = []
    if len(listed) > MOST:
        problems.append(Problem(str(path), None, f"more than {MOST} suppressions"))
    for i, one in enumerate(listed[:MOST]):
        where = f"$.suppression[{i}]"
        try:
            entry = tomlfile.convert(one, Entry, file=path, text=text, under=where)
        except Misconfigured as e:
            problems += e.problems
            continue
        wrong = _check(entry, detectors, classes, providers, today)
        if entry.id in entries:
            wrong.append(("id", f"`{entry.id}` is there twice: records would not tell which one it was"))
        problems += [
            Problem(str(path), tomlfile.line_of(text, f"{where}.{key}"), f"{entry.id}: {key}: {what}")
            for key, what in wrong
        ]
        entries[entry.id] = entry
        lines.append(tomlfile.line_of(text, where))
    if problems:
        raise Misconfigured(problems)
    return Suppressions(entries.values(), hashlib.sha256(path.read_bytes()).hexdigest(), str(path), lines)


def read(path: Path) -> tuple[Entry, ...]:
    """The suppressions as written. Raises `Misconfigured`; what only other files can tell is not checked."""
    text = path.read_text("utf-8") if path.is_file() else ""
    listed = tomlfile.convert(tomlfile.read(path), _File, file=path, text=text).suppression
    return tuple(
        tomlfile.convert(one, Entry, file=path, text=text, under=f"$.suppression[{i}]")
        for i, one in enumerate(listed[:MOST])
    )


def _check(
    entry: Entry, detectors: Collection[str], classes: Collection[str], providers: Collection[str], today: dt.date
) -> list[tuple[str, str]]:
    """(key, what is wrong) of one entry."""
    wrong: list[tuple[str, str]] = []
    if not _ID.fullmatch(entry.id) or len(entry.id) > 64:
        wrong.append(("id", "lower case, digits, `.`, `_` and `-`, at most 64 characters"))
    if (entry.detector is None) == (entry.data_class is None):
        wrong.append(("detector", "give `detector` or `class`, one of the two"))
    if entry.detector is not None and entry.detector not in detectors:
        wrong.append(("detector", f"there is no detector `{entry.detector}` (`sluice packs list`)"))
    if entry.data_class is not None and not any(fnmatchcase(c, entry.data_class) for c in classes):
        wrong.append(("class", f"`{entry.data_class}` fits no class of vocabulary.toml"))
    if entry.data_class is not None and entry.data_class.startswith("*"):
        wrong.append(("class", "must name a kind of data, as in `secret.*`: everything is no scope"))
    if entry.provider is not None and entry.provider not in providers:
        wrong.append(("provider", f"there is no provider `{entry.provider}`"))
    if entry.fingerprint is not None and not _FINGERPRINT.fullmatch(entry.fingerprint):
        wrong.append(("fingerprint", "must be 32 hexadecimal digits in lower case, as the records give it"))
    if (entry.expires - today).days > LONGEST:
        wrong.append(("expires", f"is more than {LONGEST} days ahead: judge it again within a year"))
    return wrong
