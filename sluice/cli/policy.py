"""`sluice policy`: what another policy would have decided, before it is put in force."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sluice.cli.tail import Duration
from sluice.cli.terminal import config_option, counted, note, print_json, table, waiting

if TYPE_CHECKING:
    from sluice.config import Settings
    from sluice.model import Record, Target
    from sluice.simulate import Known, Simulation

SAME, DIFFERENT = 0, 1
ROWS = 100_000
"""Rows that one question to the events asks for, about."""
BIN = 600
"""Seconds of the smallest piece that rows are asked for by."""
_NEEDED = (
    *("record_type", "decision_id", "subject_id", "subject_kind", "identity_method", "identity_assurance", "role"),
    *("groups_hash", "department", "src_ip", "key_fp", "key_hint", "key_kind", "key_ownership_at_decision"),
    *("provider_id", "provider_status", "product", "target_row", "host", "method", "path_template", "operation"),
    *("model_requested", "agent_id", "tools_declared", "hmac_key_id", "data_classes", "matches", "inspection_status"),
    *("uninspected_reason", "clipped", "policy_id", "policy_version", "rule_id", "decision", "would_decide"),
    *("reason_code", "reason_detail"),
)


@click.group("policy", short_help="Try a policy on what was recorded.")
def command() -> None:
    """Policies that are not in force yet. `sluice check` says whether one is sound, `sluice replay` runs requests
    against it, `sluice policy simulate` runs the recorded past against it."""


@command.command("simulate", short_help="Decide recorded requests once more, by another policy.")
@config_option
@click.option("--policy", "file", required=True, metavar="FILE", type=click.Path(path_type=Path), help="The candidate.")
@click.option("--since", default="7d", show_default=True, type=Duration(), metavar="TIME", help="As in 12h or 30d.")
@click.option("--ledger", is_flag=True, help="Read the ledger of this node instead of the events (reaches back less).")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _simulate(settings: Settings, file: Path, since: float, *, ledger: bool, as_json: bool) -> int:
    """Decide what was recorded once more by the policy in --policy, and print what changes, as a table.

    Records hold facts and no text: what the detectors found then is what the candidate decides on, so a change of
    detectors cannot be tried this way. Decisions that hang on something that no record holds (groups, ids in a path)
    are counted apart, never guessed.

    Exit code: 0 nothing changes, 1 something changes (or cannot be told), 2 the candidate is not sound, 3 nobody
    answers for the events.
    """
    from sluice.cli import NotRunning
    from sluice.ship.query import NOT_OPEN
    from sluice.ship.sqlgate import SqlError
    from sluice.simulate import simulate

    with waiting("loading the candidate ..."):
        policy, known = _candidate(settings, file)
    begin = int((time.time() - since) * 1e6)
    try:
        with waiting("deciding once more ..."):
            found = simulate(_ledger(settings, begin) if ledger else _events(settings, begin), policy, known)
    except SqlError as e:
        if e.code == NOT_OPEN:
            raise NotRunning(f"{e}; or read the ledger: --ledger") from e
        raise
    if as_json:
        print_json(_plain(found))
    else:
        _print(found, f"{policy.id} {policy.version}")
    return DIFFERENT if found.changed or found.undetermined else SAME


def _candidate(settings: Settings, file: Path) -> tuple[Any, Known]:
    """The policy, checked against what this site has, and what the records leave out. Raises `Misconfigured`."""
    from sluice import config, policy, targets
    from sluice.cli.compiled import load_detectors, load_own
    from sluice.detect import judgement, packs
    from sluice.register import agents as naming
    from sluice.simulate import Known

    signatures = config.signatures_dir()
    shelf = targets.load(signatures / "targets.toml", settings.paths.targets)
    own = load_own(settings)
    classes = frozenset(packs.load_vocabulary(signatures / "vocabulary.toml").classes)
    classes |= own.classes if own else frozenset()
    loaded = policy.load(file, known_classes=classes, known_providers=shelf.providers)
    rows = {row.id: row for row in shelf.rows}

    def target(row: str) -> Target | None:
        found = rows.get(row)
        return found.target(found.host) if found else None

    detectors = (*load_detectors(settings), *judgement.DETECTORS, *(own.detectors if own else ()))
    names, patterns = _subjects(settings, file)
    agents = naming.load(settings).recorded if loaded.asks_agents and settings.keys_dir.is_dir() else None
    known = Known(
        target,
        {d.id: (d.status, d.regulations) for d in detectors},
        names,
        patterns,
        settings.evidence.address == "full",
        agents,
    )
    return loaded, known


def _subjects(settings: Settings, file: Path) -> tuple[dict[tuple[str, str], str], bool]:
    """(key id, pseudonym) -> name for every subject that a policy spells out, and whether it also has patterns."""
    from sluice import keys, tomlfile
    from sluice.detect.evidence import Fingerprinter
    from sluice.identity import KINDS

    asked: set[str] = set()
    rules = tomlfile.read(file).get("rule", [])
    for rule in rules if isinstance(rules, list) else []:
        for part in ("when", "unless"):
            value = rule.get(part, {}).get("subject", [])
            asked |= set(value if isinstance(value, list) else [value])
    spelt = {name for name in asked if not set(name) & {"*", "?"}}
    kinds = tuple(f"{kind}:" for kind in KINDS)
    whole = {one for name in spelt for one in ([name] if name.startswith(kinds) else [k + name for k in kinds])}
    patterns = len(spelt) < len(asked)
    if not whole or not settings.keys_dir.is_dir():
        return {}, patterns
    printers = [Fingerprinter(secret, key) for key, secret in keys.secrets_by_name(settings).items()]
    return {(p.key_id, p.fingerprint("subject", name)): name for p in printers for name in whole}, patterns


def _ledger(settings: Settings, begin: int) -> Iterator[Record]:
    """Decisions of this node's ledger, from a time on (microseconds since the epoch)."""
    from sluice.ledger import reader

    for stream in reader.streams(settings.ledger_dir):
        for entry in reader.read(stream, on_damage=lambda _: None):
            if entry.at >= begin and entry.link.record_type == "decision":
                yield entry.record


def _events(settings: Settings, begin: int) -> Iterator[Record]:
    """Decisions out of ClickHouse, from a time on, asked for piece by piece. Raises `SqlError`."""
    from sluice.ship.rows import restore

    for low, high in _pieces(settings, begin):
        where = f"ts_received >= fromUnixTimestamp64Micro({low}) AND ts_received < fromUnixTimestamp64Micro({high})"
        sql = (
            f"SELECT toString(toUnixTimestamp64Micro(ts_received)) AS at, {', '.join(_NEEDED)} FROM events "  # noqa: S608 - our own names and numbers
            f"WHERE record_type = 'decision' AND {where}"
        )
        for row in _ask(settings, sql):
            at = int(row.pop("at"))
            yield restore({"ts_received": f"{at // 1_000_000}.{at % 1_000_000:06}", **row})


def _pieces(settings: Settings, begin: int) -> Iterator[tuple[int, int]]:
    """Times between which there are about `ROWS` decisions each; [begin, end) in microseconds."""
    sql = (
        f"SELECT toString(intDiv(toUnixTimestamp(ts_received), {BIN})) AS piece, toString(count()) AS rows FROM events "  # noqa: S608
        f"WHERE record_type = 'decision' AND ts_received >= fromUnixTimestamp64Micro({begin}) "
        "GROUP BY piece ORDER BY toInt64(piece)"
    )
    low, rows, high = begin, 0, begin
    for row in _ask(settings, sql):
        if rows and rows + int(row["rows"]) > ROWS:
            yield low, high
            low, rows = high, 0
        rows += int(row["rows"])
        high = (int(row["piece"]) + 1) * BIN * 1_000_000
    if rows:
        yield low, high


def _ask(settings: Settings, sql: str) -> Iterator[dict[str, Any]]:
    from sluice.ship import query

    rest = b""
    for chunk in query.ask(settings, sql, "JSONEachRow"):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from map(json.loads, lines)
    if rest:
        yield json.loads(rest)


def _print(found: Simulation, candidate: str) -> None:
    rows = [
        (
            change.before,
            change.after,
            change.rule_before,
            change.rule_after,
            d.decisions,
            len(d.subjects),
            ", ".join(name or "-" for name, _ in d.providers.most_common(3)),
            ", ".join(name for name, _ in d.classes.most_common(3)),
            _day(d.last),
            d.example,
        )
        for change, d in sorted(found.changes.items(), key=lambda item: -item[1].decisions)
    ]
    if rows:
        heads = (
            "was",
            "becomes",
            "by rule",
            "then by",
            "decisions",
            "subjects",
            "providers",
            "classes",
            "last",
            "e.g.",
        )
        table(heads, rows)
    for missing, number in found.undetermined.most_common():
        note(f"{counted(number, 'decision')} cannot be told: no record holds what a rule asks for ({missing})")
    past = ", ".join(f"{name} ({number})" for name, number in found.policies.most_common(3)) or "no policy"
    note(
        f"{counted(found.decided, 'decision')} of {past}, decided once more by {candidate}: {found.changed} change, "
        f"{found.same} stay, {found.untouched} are not a policy's to decide"
    )


def _day(at: int) -> str:
    return datetime.fromtimestamp(at / 1e6, UTC).strftime("%Y-%m-%d %H:%M")


def _plain(found: Simulation) -> dict[str, object]:
    return {
        "decisions": found.decided,
        "changed": found.changed,
        "same": found.same,
        "not_policy": found.untouched,
        "undetermined": dict(found.undetermined),
        "policies": dict(found.policies),
        "changes": [
            {
                "before": change.before,
                "after": change.after,
                "rule_before": change.rule_before,
                "rule_after": change.rule_after,
                "decisions": d.decisions,
                "subjects": len(d.subjects),
                "providers": dict(d.providers),
                "classes": dict(d.classes),
                "first": datetime.fromtimestamp(d.first / 1e6, UTC).isoformat(),
                "last": datetime.fromtimestamp(d.last / 1e6, UTC).isoformat(),
                "example": d.example,
            }
            for change, d in sorted(found.changes.items(), key=lambda item: -item[1].decisions)
        ],
    }
