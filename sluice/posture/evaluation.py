"""Evaluating the findings: what their SQL shows, turned into events.

A finding whose SQL adds up over days (`daily`) is asked for a day that is over once; what it showed is kept in
`finding_days` and used as long as the day holds the same number of events, under the same query and registers. Only
today is asked every time. So an evaluation costs what one day of traffic costs, however long the window is.

The steps are taken one at a time, each a fraction of a second: the shipper does other things in between. A finding that
cannot be evaluated stops no other; it is told, and stays as it stands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import msgspec

from sluice.errors import SluiceError
from sluice.posture import lifecycle, proposal, question
from sluice.posture.lifecycle import REGISTER, Event, Exemption, Hit, Standing
from sluice.posture.question import Ask, Cell
from sluice.posture.units import Finding

type Put = Callable[[str, bytes, str], None]
"""Inserts rows of a table, as JSONEachRow, with a token. Raises a `SluiceError`."""

MOST_SCOPES = 2000
"""Scopes of one finding, the gravest first. Names that a client chooses must not fill the store with findings."""
EXEMPT_BY = {
    "provider": "provider_id", "model": "model", "route": "route", "subject": "subject_id", "key": "key_fp",
    "agent": "agent_id", "tool": "tool", "rule": "rule",
}  # fmt: skip
"""What an exception may be for: key of a finding's scope, and column of `register_exception`."""
MOST_EVENTS = 2_500_000
"""Events of the days that are asked at once: what a query may hold is bounded."""
MOST_BYTES = 100_000
"""Of scopes in one query; ClickHouse takes 256 KiB in all."""
_TIMES = "toUnixTimestamp64Micro(toDateTime64({0}, 6, 'UTC'))"
_COLUMNS = f"scope, hits, grave, {_TIMES.format('first_seen')} AS f, {_TIMES.format('last_seen')} AS l, facts"


@dataclass(slots=True)
class Evaluated:
    """What came of it: findings evaluated, events by kind, and what could not be evaluated."""

    at: datetime
    units: int = 0
    scopes: int = 0
    days: int = 0
    events: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    truncated: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Known:
    """What an evaluation begins with. `states`: what each day holds; `kept`: the state that it was evaluated under."""

    states: Mapping[date, int]
    registers: str
    kept: Mapping[tuple[str, str, date], str]
    standing: Mapping[str, Mapping[str, Standing]]
    exemptions: Mapping[str, Sequence[Exemption]]
    used: Mapping[str, Mapping[str, tuple[str, int]]]


def steps(
    asked: Ask,
    put: Put,
    units: Sequence[Finding],
    now: datetime,
    out: Evaluated,
    *,
    full: bool = False,
    fresh: bool = False,
) -> Iterator[str]:
    """Evaluate; yields the id of each finding when its step is done. `out` fills. `full`: no day
    is taken as evaluated. `fresh`: somebody asked, and every number that changed is told. Raises what `asked` and
    `put` raise for what concerns all of them."""
    known = _known(asked, units, now, full)
    daily = [unit for unit in units if unit.daily]
    for unit in daily:
        with _telling(unit, out):
            out.days += _catch_up(asked, put, unit, now, known)
        yield unit.id
    sums = _sums(asked, daily, now)
    for unit in units:
        with _telling(unit, out):
            if unit.id not in out.failed:
                _evaluate(asked, put, unit, now, known, sums.get(unit.id, {}), out, fresh)
                out.units += 1
        yield unit.id


class _telling:  # noqa: N801 - a context manager, used like a function
    """One finding's error is kept with its name, and the others go on."""

    def __init__(self, unit: Finding, out: Evaluated) -> None:
        self._unit, self._out = unit, out

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> bool:
        if isinstance(error, SluiceError):
            self._out.failed[self._unit.id] = str(error)[:500]
            return True
        return False


def sha256(unit: Finding) -> str:
    """The digest of a finding's query, without its times."""
    return question.digest(unit.sql.strip())


def micros(at: datetime) -> int:
    return round(at.timestamp()) * 1_000_000 + at.microsecond


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _known(asked: Ask, units: Sequence[Finding], now: datetime, full: bool) -> _Known:
    first = now.date() - timedelta(days=max((u.days for u in units), default=1))
    given = {"since": midnight(first)}
    counted = question.ask(
        asked,
        question.filled(
            "SELECT toString(toDate(minute)), sum(requests) + sum(outcomes) FROM per_minute WHERE minute >= {since} "
            "GROUP BY 1",
            given,
        ),
    )
    (digest,) = question.ask(asked, "SELECT any(digest) FROM register_in_force").rows[0]
    kept = question.ask(
        asked,
        question.filled(
            "SELECT finding, query_sha256, toString(day), argMax(state, at) FROM finding_days "
            "WHERE scope = '' AND day >= toDate({since}) GROUP BY 1, 2, 3",
            given,
        ),
    )
    standing: defaultdict[str, dict[str, Standing]] = defaultdict(dict)
    for finding, scope, status, severity, seen, changed, until, owner, hits in question.ask(
        asked,
        "SELECT finding, scope, toString(status), toString(severity), toUnixTimestamp64Micro(last_seen), "
        "toUnixTimestamp64Micro(changed), ifNull(toUnixTimestamp64Micro(accepted_until), 0), owner, hits FROM findings",
    ).rows:
        standing[str(finding)][str(scope)] = Standing(
            str(status), str(severity), _whole(seen), _whole(changed), _whole(until), str(owner), _whole(hits)
        )
    return _Known(
        states={date.fromisoformat(str(day)): _whole(number) for day, number in counted.rows},
        registers=str(digest or ""),
        kept={} if full else {(str(f), str(q), date.fromisoformat(str(d))): str(s) for f, q, d, s in kept.rows},
        standing=standing,
        exemptions=_exemptions(asked, now),
        used=_used(asked),
    )


def _exemptions(asked: Ask, now: datetime) -> dict[str, list[Exemption]]:
    """The exceptions of the register that name a finding and hold now, by finding; the one that holds longest first."""
    rows = question.ask(
        asked,
        f"SELECT exception_id, finding, toString(expires) AS last, "  # noqa: S608 - our own names
        f"ifNull(granted_by, '') AS granted, ifNull(reason, '') AS why, "
        f"{', '.join(f"ifNull({column}, '') AS for_{name}" for name, column in EXEMPT_BY.items())} "
        f"FROM register_exception WHERE ifNull(finding, '') != '' AND expires IS NOT NULL",
    ).dicts()
    out: defaultdict[str, list[Exemption]] = defaultdict(list)
    for row in rows:
        keys = {name: str(row[f"for_{name}"]) for name in EXEMPT_BY if row[f"for_{name}"]}
        said = ", ".join(filter(None, (str(row["why"]), f"granted by {row['granted']}" if row["granted"] else "")))
        until = midnight(date.fromisoformat(str(row["last"])) + timedelta(days=1))
        one = Exemption(str(row["exception_id"]), keys, micros(until), said)
        if one.until > micros(now):
            out[str(row["finding"]).upper()].append(one)
    for some in out.values():
        some.sort(key=lambda one: (-one.until, one.id))
    return out


def _used(asked: Ask) -> dict[str, dict[str, tuple[str, int]]]:
    """By finding and scope: reason and end of the exception that accepted it last, and was not followed by `fixed`."""
    rows = question.ask(
        asked,
        f"SELECT finding, scope, argMaxIf(e.reason, e.at, e.by = '{REGISTER}' AND e.event = 'accepted'), "  # noqa: S608
        f"argMaxIf(toUnixTimestamp64Micro(e.accepted_until), e.at, e.by = '{REGISTER}' AND e.event = 'accepted') "
        f"FROM finding_events AS e WHERE e.by = '{REGISTER}' OR e.event = 'fixed' GROUP BY finding, scope "
        f"HAVING maxIf(e.at, e.by = '{REGISTER}') > maxIf(e.at, e.event = 'fixed')",
    ).rows
    out: defaultdict[str, dict[str, tuple[str, int]]] = defaultdict(dict)
    for finding, scope, reason, until in rows:
        out[str(finding)][str(scope)] = (str(reason), _whole(until))
    return out


def _catch_up(asked: Ask, put: Put, unit: Finding, now: datetime, known: _Known) -> int:
    """Evaluate the days that are over and were not evaluated as they are now; how many."""
    digest, today = sha256(unit), now.date()
    registers = f" {known.registers}" if "register_" in unit.sql else ""
    days = [today - timedelta(days=n) for n in range(unit.days, 0, -1)]
    states = {day: f"{known.states.get(day, 0)}{registers}" for day in days}
    stale = [d for d in days if known.kept.get((unit.id, digest, d), f"0{registers}") != states[d]]
    at = _text(micros(now))
    for first, last in _runs(stale, known.states):
        given = {"since": midnight(first), "until": midnight(last + timedelta(days=1))}
        rows = question.ask(
            asked,
            f"SELECT toString(day), {_COLUMNS} FROM ({question.filled(unit.sql, given)}) "  # noqa: S608 - our own files
            f"WHERE hits > 0 ORDER BY grave DESC, hits DESC, scope LIMIT {MOST_SCOPES}",
        ).rows
        lines: list[dict[str, Cell]] = []
        for number in range((last - first).days + 1):
            day = first + timedelta(days=number)
            lines.append({"day": str(day), "state": states[day], "scope": "", "first_seen": "1970-01-01 00:00:00"})
        for day_said, scope, hits, grave, seen_first, seen_last, facts in rows:
            lines.append(
                {
                    "day": str(day_said),
                    "scope": str(scope)[:500],
                    "hits": hits,
                    "grave": grave,
                    "first_seen": _text(_whole(seen_first)),
                    "last_seen": _text(_whole(seen_last)),
                    "facts": str(facts),
                }
            )
        same: dict[str, Cell] = {"finding": unit.id, "query_sha256": digest, "at": at}
        data = b"\n".join(msgspec.json.encode({**line, **same}) for line in lines)
        put("finding_days", data, f"{unit.id} {digest[:16]} {at} {first}")
    return len(stale)


def _runs(days: Sequence[date], states: Mapping[date, int]) -> Iterator[tuple[date, date]]:
    """Days to be asked together, as first and last: with nothing but empty days between them, and no more events than a
    query may hold."""
    begin: date | None = None
    previous: date | None = None
    held = 0
    for day in days:
        if begin is not None and previous is not None:
            between = ((day - timedelta(days=n)) for n in range(1, (day - previous).days))
            if any(states.get(d) for d in between) or held + states.get(day, 0) > MOST_EVENTS:
                yield begin, previous
                begin, held = day, 0
        begin, previous = begin or day, day
        held += states.get(day, 0)
    if begin is not None and previous is not None:
        yield begin, previous


def _sums(asked: Ask, units: Sequence[Finding], now: datetime) -> dict[str, dict[str, Hit]]:
    """What the days that are over add up to, by finding and scope, each within its own window."""
    if not units:
        return {}
    windows = [f"(finding = '{u.id}' AND query_sha256 = '{sha256(u)}' AND day >= '{_first(u, now)}')" for u in units]
    where = f"({' OR '.join(windows)}) AND day < '{now.date()}'"
    rows = question.ask(
        asked,
        f"SELECT finding, scope, sum(d.hits), sum(d.grave), min(toUnixTimestamp64Micro(first_seen)), "  # noqa: S608
        f"max(toUnixTimestamp64Micro(last_seen)), argMax(d.facts, last_seen) FROM finding_days AS d "
        f"WHERE scope != '' AND {where} AND (finding, day, at) IN "
        f"(SELECT finding, day, max(at) FROM finding_days WHERE scope = '' AND {where} GROUP BY finding, day) "
        f"GROUP BY finding, scope",
    ).rows
    out: defaultdict[str, dict[str, Hit]] = defaultdict(dict)
    for finding, scope, hits, grave, first, last, facts in rows:
        out[str(finding)][str(scope)] = Hit(_whole(hits), _whole(grave), _whole(first), _whole(last), str(facts))
    return out


def _first(unit: Finding, now: datetime) -> date:
    return now.date() - timedelta(days=unit.days)


def _evaluate(
    asked: Ask,
    put: Put,
    unit: Finding,
    now: datetime,
    known: _Known,
    before: Mapping[str, Hit],
    out: Evaluated,
    fresh: bool,
) -> None:
    since = midnight(now.date()) if unit.daily else now - timedelta(days=unit.days)
    found = dict(before)
    for scope, hit in _shown(asked, unit, since, now).items():
        found[scope] = found[scope] + hit if scope in found else hit
    standing, at = known.standing.get(unit.id, {}), micros(now)
    standing_still = {scope for scope, stands in standing.items() if stands.status != "fixed"}
    new = sorted(found.keys() - standing_still, key=lambda scope: (-found[scope].grave, -found[scope].hits, scope))
    if left_out := new[max(0, MOST_SCOPES - len(standing_still)) :]:
        out.truncated.append(unit.id)
        for scope in left_out:
            del found[scope]
    maybe = lifecycle.unclear(unit, found, standing, at)
    clean = _clean(asked, unit, now, maybe) if maybe else {}
    events = lifecycle.advance(unit, found, standing, clean, at, fresh=fresh)
    covering = _covering(unit, found, known.exemptions.get(unit.id, ()))
    more = lifecycle.excepted(events, found, standing, covering, known.used.get(unit.id, {}), unit)
    if events or more:
        digest = sha256(unit)
        lines = [msgspec.json.encode(_row(unit, event, at, digest)) for event in events]
        lines += [msgspec.json.encode(_row(unit, event, at + 1, digest)) for event in more]
        put("finding_events", b"\n".join(lines), f"{unit.id} {digest[:16]} {at}")
    for event in (*events, *more):
        out.events[event.event] = out.events.get(event.event, 0) + 1
    out.scopes += len(found)


def _covering(unit: Finding, found: Mapping[str, Hit], rows: Sequence[Exemption]) -> dict[str, Exemption]:
    """By scope, the exception that covers it."""
    if not rows:
        return {}
    keyed = {scope: proposal.keys(unit, scope) for scope in found}
    first = {scope: next((row for row in rows if row.covers(keys)), None) for scope, keys in keyed.items()}
    return {scope: row for scope, row in first.items() if row is not None}


def _shown(asked: Ask, unit: Finding, since: datetime, until: datetime) -> dict[str, Hit]:
    sql = question.filled(unit.sql, {"since": since, "until": until})
    rows = question.ask(
        asked,
        f"SELECT {_COLUMNS} FROM ({sql}) WHERE hits > 0 "  # noqa: S608 - our own files
        f"ORDER BY grave DESC, hits DESC, scope LIMIT {MOST_SCOPES + 1}",
    ).rows
    return {str(s)[:500]: Hit(_whole(h), _whole(g), _whole(f), _whole(t), str(facts)) for s, h, g, f, t, facts in rows}


def _clean(asked: Ask, unit: Finding, now: datetime, scopes: Sequence[str]) -> dict[str, int]:
    """Of these scopes, those with traffic and no violation in the last `clean_days`, with how much there was."""
    sql = question.filled(unit.sql, {"since": now - timedelta(days=unit.clean_days), "until": now})
    out: dict[str, int] = {}
    for some in _batches([question.text(scope) for scope in scopes]):
        rows = question.ask(
            asked,
            f"SELECT scope, sum(u.hits) AS h, sum(u.seen) AS s FROM ({sql}) AS u "  # noqa: S608 - our own files
            f"WHERE scope IN ({', '.join(some)}) GROUP BY scope HAVING h = 0 AND s > 0",
        ).rows
        out |= {str(scope): _whole(seen) for scope, _, seen in rows}
    return out


def _batches(literals: Sequence[str]) -> Iterator[list[str]]:
    """Literals that fit into one query: names that a client chose are long when it wants them to be."""
    batch: list[str] = []
    size = 0
    for literal in literals:
        if batch and size + len(literal.encode()) > MOST_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(literal)
        size += len(literal.encode()) + 2
    if batch:
        yield batch


def _row(unit: Finding, event: Event, at: int, digest: str) -> dict[str, Cell]:
    return {
        "at": _text(at),
        "finding": unit.id,
        "version": unit.version,
        "title": unit.title,
        "scope": event.scope,
        "event": event.event,
        "severity": event.severity,
        "hits": event.hit.hits,
        "grave": event.hit.grave,
        "seen": event.seen,
        "first_seen": _text(event.hit.first_seen),
        "last_seen": _text(event.hit.last_seen),
        "facts": event.hit.facts,
        "by": event.by,
        "reason": event.reason,
        "accepted_until": _text(event.until),
        "query_sha256": digest,
    }


def _text(at: int) -> str:
    """Microseconds as ClickHouse reads a time."""
    return f"{datetime.fromtimestamp(at // 1_000_000, UTC):%Y-%m-%d %H:%M:%S}.{at % 1_000_000:06}"


def _whole(cell: Cell) -> int:
    return int(str(cell)) if cell is not None else 0
