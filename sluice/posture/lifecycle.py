"""The life of a finding: what is seen now, and how it stands, make the next event. Nothing is asked or written here.

    opened        it was not known, and is there
    observed      it is still there: once a day, when its severity changes, and when its number of violations does,
                  once an hour or when somebody asked for the evaluation
    acknowledged  somebody has taken it                                                     (a person's event)
    accepted      somebody lives with it until a day          (a person's event, or an exception of the register's)
    reopened      it came back after it was fixed; its acceptance ended; it is graver than what was accepted; somebody
                  took back what was said of it
    fixed         no violation for `clean_days`, and traffic in its scope that could have been one

Silence closes nothing: a provider that nobody used for a week is not a provider that was fixed. Times are microseconds
since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sluice.posture.units import RANKS, Finding

DAY = 86_400_000_000
HOUR = 3_600_000_000
EVALUATION = "evaluation"
"""Who said what no person said."""
REGISTER = "register"
"""Who accepted what an exception of the register covers."""


_AFTER = {"opened": "open", "reopened": "reopened", "fixed": "fixed"}
"""How a finding stands after an event of the evaluation; `observed` changes nothing."""


@dataclass(frozen=True, slots=True)
class Hit:
    """What a finding's query shows of one scope."""

    hits: int
    grave: int
    first_seen: int
    last_seen: int
    facts: str

    def __add__(self, later: Hit) -> Hit:
        """The two together: of different days, this one's first."""
        return Hit(
            self.hits + later.hits,
            self.grave + later.grave,
            min(self.first_seen, later.first_seen),
            max(self.last_seen, later.last_seen),
            later.facts if later.last_seen >= self.last_seen else self.facts,
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """How a finding stands, as the view `findings` says."""

    status: str
    severity: str
    last_seen: int
    changed: int
    accepted_until: int
    owner: str = ""
    hits: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """What happens to a finding now."""

    scope: str
    event: str
    severity: str
    hit: Hit
    seen: int = 0
    reason: str = ""
    by: str = EVALUATION
    until: int = 0


@dataclass(frozen=True, slots=True)
class Exemption:
    """An exception of the register that names this finding. `keys`: what it is for, as keys of a scope; none = every
    scope. `until`: the first moment at which it no longer holds."""

    id: str
    keys: Mapping[str, str]
    until: int
    said: str = ""

    def covers(self, scope: Mapping[str, str]) -> bool:
        """Whether it is for all of a scope: one that is narrower than the scope leaves the rest of it unaccepted."""
        return all(scope.get(name) == value for name, value in self.keys.items())

    @property
    def reason(self) -> str:
        return f"exception {self.id}{f': {self.said}' if self.said else ''}"


def unclear(unit: Finding, found: Mapping[str, Hit], standing: Mapping[str, Standing], now: int) -> list[str]:
    """The scopes that may be clean: they stand, and no violation was seen for `clean_days`."""
    before = now - unit.clean_days * DAY
    return sorted(
        scope
        for scope, stands in standing.items()
        if stands.status != "fixed" and ((hit := found.get(scope)) is None or hit.last_seen <= before)
    )


def advance(
    unit: Finding,
    found: Mapping[str, Hit],
    standing: Mapping[str, Standing],
    clean: Mapping[str, int],
    now: int,
    *,
    fresh: bool = False,
) -> list[Event]:
    """The events of one finding, by scope. `clean`: traffic without a violation in the last `clean_days`, by scope.
    `fresh`: somebody asked, and every number that changed is told."""
    events = []
    for scope in sorted(found.keys() | standing.keys()):
        hit, stands = found.get(scope), standing.get(scope)
        if stands is not None and stands.status != "fixed" and clean.get(scope):
            last = Hit(0, 0, stands.last_seen, max(stands.last_seen, hit.last_seen if hit else 0), "")
            why = f"{unit.clean_days} days without a violation"
            events.append(Event(scope, "fixed", stands.severity, last, clean[scope], why))
        elif hit is not None and (event := _present(unit, scope, hit, stands, now, fresh)):
            events.append(event)
    return events


def excepted(
    events: Sequence[Event],
    found: Mapping[str, Hit],
    standing: Mapping[str, Standing],
    covering: Mapping[str, Exemption],
    used: Mapping[str, tuple[str, int]],
    unit: Finding,
) -> list[Event]:
    """What the exceptions of the register add to the events of an evaluation, to be entered after them.

    `covering`: by scope, the one that holds now. `used`: by scope, reason and end of the exception that accepted it
    last and was not followed by `fixed`. One exception accepts a scope once: what somebody opened again, or what became
    graver, is not accepted by the row that was there already, but by a new or a changed one.
    """
    said = {event.scope: event.event for event in events}
    out = []
    for scope, hit in sorted(found.items()):
        stands, row = standing.get(scope), covering.get(scope)
        status = stands.status if stands else "fixed"
        state = _AFTER.get(said.get(scope, ""), status)
        by_register = state == "accepted" and stands is not None and stands.owner == REGISTER
        severity = unit.graded(hit.grave)
        if row is not None and used.get(scope) != (row.reason, row.until):
            if by_register or state in ("open", "acknowledged", "reopened"):
                out.append(Event(scope, "accepted", severity, hit, reason=row.reason, by=REGISTER, until=row.until))
        elif row is None and by_register:
            out.append(Event(scope, "reopened", severity, hit, reason="no exception of the register covers it now"))
    return out


def _present(unit: Finding, scope: str, hit: Hit, stands: Standing | None, now: int, fresh: bool) -> Event | None:
    severity = unit.graded(hit.grave)
    if stands is None:
        return Event(scope, "opened", severity, hit)
    if stands.status == "fixed":
        if hit.last_seen <= stands.last_seen:
            return None  # the window still holds what was there before it was fixed
        return Event(scope, "reopened", severity, hit, reason="it is there again")
    if stands.status == "accepted":
        if stands.accepted_until <= now:
            return Event(scope, "reopened", severity, hit, reason="its acceptance has ended")
        if RANKS[severity] > RANKS[stands.severity]:
            return Event(scope, "reopened", severity, hit, reason=f"graver than what was accepted ({stands.severity})")
    counts = hit.hits != stands.hits and (fresh or now // HOUR > stands.changed // HOUR)
    if severity != stands.severity or now // DAY > stands.changed // DAY or counts:
        return Event(scope, "observed", severity, hit)
    return None
