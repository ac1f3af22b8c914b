"""What a worker decides by, as control records: what it started with, what is new about it, and when it changes.

Every start records the policy, the detectors and the destinations in force, by digest. What is unlike at this worker's
last start has a record of its own: the mode, the fingerprint key, the CA. While it runs, the moment is recorded at
which something that observes begins to bind, or the policy is out of date: nothing else changes without a restart.

What was in force last is read from a small file beside the sockets. Without it (first start, a removed `run`) nothing
counts as changed; the digests in the ledger itself still tell what was.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from sluice.model import Record, RecordType, Rulebook
from sluice.policy import PolicySet
from sluice.suppressions import Suppressions
from sluice.targets import Table

type Facts = Mapping[str, str | int | float | bool | None]
type Event = tuple[str, Facts]
"""Kind of a control record, and what it says."""

_MOST_NAMED = 40


class InForce(msgspec.Struct, frozen=True):
    """Everything here that names what is in force. Unknown keys of an older or newer version are passed over."""

    policy: str = ""
    detectors: str = ""
    targets: str = ""
    mode: str = ""
    key_id: str = ""
    ca: str = ""
    suppressions: str = ""


def now(rulebook: Rulebook, ca_sha256: str, at: int) -> InForce:
    """What is in force at a time (nanoseconds since the epoch)."""
    return InForce(
        policy=rulebook.policy.digest,
        detectors=rulebook.detectors.digest,
        targets=rulebook.targets.digest,
        suppressions=judged.digest if isinstance(judged := rulebook.suppressions, Suppressions) else "",
        mode=mode(rulebook, at),
        key_id=rulebook.detectors.key_id,
        ca=ca_sha256,
    )


def events(current: InForce, before: InForce | None, rulebook: Rulebook) -> list[Event]:
    """The control records of a start."""
    policy, found = rulebook.policy, before or InForce()

    def load(new: str, old: str) -> dict[str, str | int | float | bool | None]:
        return {"sha256": new, "before": old or None, "changed": None if not old else new != old}

    out: list[Event] = [
        ("policy_load", {"id": policy.id, "version": policy.version, **load(current.policy, found.policy)}),
        ("pack_load", {"engine": rulebook.detectors.versions, **load(current.detectors, found.detectors)}),
        ("targets_load", load(current.targets, found.targets)),
    ]
    if current.suppressions or found.suppressions:
        out.append(("suppressions_load", load(current.suppressions, found.suppressions)))
    if current.mode != found.mode:
        out.append(("mode_change", {"mode": current.mode, "before": found.mode or None, "why": "start"}))
    if found.key_id and current.key_id != found.key_id:
        out.append(("key_rotation", {"hmac_key_id": current.key_id, "before": found.key_id}))
    if found.ca and current.ca != found.ca:
        out.append(("ca_rotation", {"sha256": current.ca, "before": found.ca}))
    return out


def mode(rulebook: Rulebook, at: int) -> str:
    """What binds and what only observes: `enforce`, `observe`, or `enforce; observing: ...` with rules and rows."""
    policy, table = rulebook.policy, rulebook.targets
    if isinstance(policy, PolicySet) and at < policy.observe_until:
        return "observe"
    names: list[str] = []
    if isinstance(policy, PolicySet):
        names += [f"rule {rule.id}" for rule in policy.rules if at < rule.observe_until]
    if isinstance(table, Table):
        names += [f"row {row.id}" for row in table.rows if at < row.observe_until]
    if len(names) > _MOST_NAMED:
        names = [*names[:_MOST_NAMED], f"and {len(names) - _MOST_NAMED} more"]
    return f"enforce; observing: {', '.join(names)}" if names else "enforce"


class Deadlines:
    """The moments at which what is in force changes by itself. Asked once a second."""

    def __init__(self, rulebook: Rulebook, at: int) -> None:
        self._rulebook = rulebook
        self._mode = mode(rulebook, at)
        policy, table = rulebook.policy, rulebook.targets
        times = {0}
        judged = rulebook.suppressions
        self._judged = judged.ends if isinstance(judged, Suppressions) else frozenset()
        times |= self._judged
        self._expires = 0
        if isinstance(policy, PolicySet):
            times |= {policy.observe_until, policy.expires, *(rule.observe_until for rule in policy.rules)}
            self._expires = policy.expires
        if isinstance(table, Table):
            times |= {row.observe_until for row in table.rows}
        self._ahead = sorted(t for t in times if t > at)

    def passed(self, at: int) -> list[Event]:
        """What has changed since the last question. Each moment is told once, even if the clock is set back."""
        events: list[Event] = []
        while self._ahead and self._ahead[0] <= at:
            moment = self._ahead.pop(0)
            if moment == self._expires:
                policy = self._rulebook.policy
                events.append(("policy_expired", {"id": policy.id, "version": policy.version, "sha256": policy.digest}))
            if moment in self._judged:
                events.append(("suppression_expired", {"ended": moment // 1_000_000_000}))
            after = mode(self._rulebook, moment)
            if after != self._mode:
                events.append(("mode_change", {"mode": after, "before": self._mode, "why": "observe_until has passed"}))
                self._mode = after
        return events


def record(event: Event, at: int) -> Record:
    """The control record of an event at a time in microseconds since the epoch."""
    kind, facts = event
    detail = msgspec.json.encode(dict(facts), order="sorted").decode()
    return Record(
        record_type=RecordType.CONTROL, decision_id="", ts_received=at, control_kind=kind, control_detail=detail
    )


def remembered(file: Path) -> InForce | None:
    """What was in force at the last start, or None when that is not known."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=InForce)
    except (OSError, msgspec.MsgspecError):
        return None


def remember(file: Path, current: InForce) -> None:
    """Keep it for the next start. Losing it loses no evidence, so a full or broken disk is not an error here."""
    draft = file.with_suffix(".new")
    try:
        draft.write_bytes(msgspec.json.encode(current))
        draft.replace(file)
    except OSError:
        return
