"""`sluice verify`: is the evidence what its writers left? Works on a copy, on any machine, without the appliance."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import complain, config_option, counted, note, print_json, progress, table, text

if TYPE_CHECKING:
    from rich.text import Text

    from sluice.config import Settings
    from sluice.ledger.audit import Verdict
    from sluice.ledger.note import Verifier
    from sluice.ledger.sequence import StreamVerdict
    from sluice.proof.trust import Trust

SOUND, BROKEN, UNCHECKED = 0, 1, 2
FAULTS_SHOWN = 20
SHOWN = (
    "record_type",
    "decision_id",
    "ts_received",
    "decision",
    "reason_code",
    "rule_id",
    "policy_version",
    "subject_id",
    "provider_id",
    "host",
    "model_requested",
)
"""Fields of a proved record that are printed."""


@click.command("verify", short_help="Check the evidence: chain, seals, witnesses; or one proof.")
@config_option
@click.argument("source", required=False, type=click.Path(path_type=Path))
@click.option(
    "--checkpoints",
    "seal",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Seal directory that belongs to SOURCE [default: the appliance's, for its own ledger].",
)
@click.option(
    "--witness",
    "witnesses",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Directory where a witness kept checkpoints.",
)
@click.option("--key", "keys", multiple=True, metavar="KEY", help="Public key that is trusted: itself, or its file.")
@click.option("--proof", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Check one proof alone.")
@click.option("--expired", is_flag=True, help="Rows: the table's own retention took the oldest ones.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(
    settings: Settings,
    source: Path | None,
    seal: Path | None,
    witnesses: tuple[Path, ...],
    keys: tuple[str, ...],
    proof: Path | None,
    expired: bool,
    as_json: bool,
) -> int:
    """Check the evidence in SOURCE: a ledger directory [default: the appliance's] or one stream of it, rows out of
    ClickHouse (a .jsonl file, ordered by chain_id and seq), or a bundle of `sluice evidence export`.

    The chain shows edits, deletions and changes of order; checkpoints show a cut tail and a chain built anew; a
    witness's copies show a rollback and a second history.

    Exit code: 0 sound, 1 broken (the first bad record of each stream is named), 2 could not be checked: no checkpoint
    is at hand, records are under none though a sealer had the time, or a stream that others name is not there.
    """
    from sluice.errors import Misconfigured
    from sluice.ledger.note import BadNote
    from sluice.proof.trust import Unchecked, pinned_keys

    if proof and (source or witnesses):
        raise click.UsageError("--proof is checked alone, with --key or --checkpoints")
    try:
        pinned = [key for text in keys for key in pinned_keys(text)]
        if proof:
            return _proof(settings, proof, seal, pinned, as_json=as_json)
        where = (source or settings.ledger_dir).resolve()
        own_ledger = settings.ledger_dir in (where, where.parent)
        if seal is None and own_ledger:
            from sluice.seal import SLOT, keyring, store

            # Once there is a key, or a sealer wrote here, there are checkpoints: none left is told, not passed over.
            own = list(settings.ledger_dir.glob(f"*-w{SLOT}"))
            made = own or store.streams(settings.seal_dir) or (settings.seal_dir / keyring.FILE).exists()
            seal = settings.seal_dir if made else None
        verdict, trust = _check(where, seal, witnesses, pinned, expired=expired)
        if own_ledger and trust is not None and not (trust.streams or verdict.doubts or verdict.uncovered):
            for stream in verdict.streams:
                stream.doubts.append(f"there is no checkpoint in {settings.seal_dir}, and an appliance makes them")
    except (Unchecked, BadNote, Misconfigured) as e:
        complain(str(e))
        return UNCHECKED
    except OSError as e:
        complain(f"{e.filename or source or settings.ledger_dir}: cannot be read: {e.strerror}")
        return UNCHECKED
    if trust is not None and where.is_file() and any(f.fault == "reorder" for f in verdict.faults):
        hint = 'sluice sql --json "select * from events order by chain_id, seq" > rows.jsonl'
        complain(f"{where}: its rows are not in the order of chain_id and seq; export them again:", hint)
        return UNCHECKED
    if not verdict.streams and trust is not None:
        complain(f"{where}: there is no ledger here")
        return UNCHECKED
    if as_json:
        print_json(_plain(verdict, pinned=bool(pinned)))
    else:
        _print(verdict, trust)
    if trust is not None:
        _say_uncovered(verdict, trust)
    if trust is None and not pinned:
        note("checked with the keys that the bundle brings, as anybody could make them; --key names one that you trust")
    if not verdict.sound:
        return BROKEN
    return UNCHECKED if verdict.uncovered or verdict.doubts else SOUND


def _say_uncovered(verdict: Verdict, trust: Trust) -> None:
    for stream, why in verdict.doubts:
        complain(f"{stream}: {why}: could not be checked")
    if verdict.uncovered and not trust.streams:
        complain("a sealer wrote this, and none of its checkpoints is at hand", "give var/seal with --checkpoints")
    for s in verdict.streams:
        if s.uncovered:
            complain(f"{s.stream}: {counted(s.uncovered, 'record')} under no checkpoint: could not be checked")


def _check(
    where: Path, seal: Path | None, witnesses: tuple[Path, ...], pinned: list[Verifier], *, expired: bool
) -> tuple[Verdict, Trust | None]:
    from sluice.proof import bundle, trust, verify
    from sluice.seal import store

    with progress() as shown:
        bar = shown.add_task("verifying", total=_size(where))

        def tell(size: int) -> None:
            shown.advance(bar, size)

        if bundle.is_bundle(where):
            if seal or witnesses:
                raise click.UsageError("a bundle brings its own checkpoints: leave --checkpoints and --witness away")
            return bundle.verify(where, pinned, progress=tell), None
        believed = trust.load(seal, witnesses, pinned)
        for place in (*([seal] if seal else []), *witnesses):
            if not store.streams(place):  # a wrong path must not pass for a witness that saw nothing wrong
                raise trust.Unchecked(f"{place}: there are no checkpoints here")
        if pinned and not believed.streams:
            raise trust.Unchecked("a key was given and no checkpoint to check with it: --checkpoints, --witness")
        if where.is_file():
            return verify.table(where, believed, expired=expired, progress=tell), believed
        return verify.ledger(where, believed, progress=tell), believed


def _size(where: Path) -> int:
    if where.is_file():
        return where.stat().st_size
    files = [*where.rglob("*.seg"), *where.glob("records.jsonl")]
    if not files:
        next(where.iterdir(), None)  # a place that cannot be read is told here
    return sum(file.stat().st_size for file in files if file.is_file())


def _proof(settings: Settings, file: Path, seal: Path | None, pinned: list[Verifier], *, as_json: bool) -> int:
    from sluice.ledger import segment
    from sluice.ledger.note import BadNote
    from sluice.proof import trust, verify

    place = seal or (None if pinned else settings.seal_dir)
    ring = trust.ring([place] if place else [], pinned)
    if ring is None:
        raise trust.Unchecked("no key to check it with: name the public key with --key")
    try:
        shown = verify.proof(segment.content(file).decode(), ring)
    except (BadNote, UnicodeDecodeError) as e:
        complain(f"{file}: {e}")
        return BROKEN
    record = shown.record
    facts: dict[str, object] = {
        "sound": True,
        "stream": shown.stream,
        "seq": shown.seq,
        "checkpoint_size": shown.size,
        "key": shown.key,
        **{name: getattr(record, name) for name in SHOWN},
    }
    if as_json:
        print_json(facts)
    else:
        moment = record.ts_received
        if moment is not None:
            at = datetime.fromtimestamp(moment / 1_000_000, UTC)
            facts["ts_received"] = at.isoformat(sep=" ", timespec="microseconds")
        table(("fact", "value"), [(name, "yes" if value is True else value) for name, value in facts.items()])
    if not pinned:
        note("checked with the key that lies beside the ledger; --key names one that you trust")
    return SOUND


def _verdict(stream: StreamVerdict) -> Text:
    if not stream.sound:
        return text(counted(len(stream.faults), "fault"), "bold red")
    return text("unchecked", "yellow") if stream.uncovered or stream.doubts else text("sound", "green")


def _print(verdict: Verdict, trust: Trust | None) -> None:
    table(
        ("stream", "records", "sequence", "pruned", "sealed", "runs", "torn bytes", "verdict"),
        [
            (
                s.stream,
                s.records,
                _numbers(s, chosen=trust is None),
                f"0 to {s.pruned - 1} by policy" if s.pruned else "-",
                "-" if s.sealed is None else text(s.sealed, "" if s.sealed else "yellow"),
                s.epochs or "-",
                s.torn_bytes or "-",
                _verdict(s),
            )
            for s in verdict.streams
        ],
    )
    for fault in verdict.faults[:FAULTS_SHOWN]:
        complain(str(fault))
    if len(verdict.faults) > FAULTS_SHOWN:
        complain(f"and {len(verdict.faults) - FAULTS_SHOWN} more; --json lists them")
    if trust is not None and trust.streams:
        note(_compared(trust))
    if trust is not None and not trust.streams:
        note("no checkpoints: a cut tail or a chain built anew would not be seen; give them with --checkpoints")
    elif trust is not None and not trust.pinned:
        note("the keys are taken as they lie there; --key names one that you trust, --witness copies from elsewhere")


def _numbers(stream: StreamVerdict, *, chosen: bool) -> str:
    """The numbers of the records; of those that a filter chose it is said that there are others between."""
    if stream.first_seq is None or stream.last_seq is None:
        return "-"
    few = chosen and stream.records < stream.last_seq - stream.first_seq + 1
    return f"{f'{stream.records} of ' if few else ''}{stream.first_seq} to {stream.last_seq}"


def _compared(trust: Trust) -> str:
    points = [point for some in trust.points.values() for point in some]
    here, seen = sum(p.local for p in points), sum(not p.local for p in points)
    parts = [counted(here, "checkpoint")] if here or not seen else []
    parts += [f"{counted(seen, 'checkpoint')} that witnesses kept"] if seen else []
    return f"compared with {' and '.join(parts)}{', under the key that was given' if trust.pinned else ''}"


def _plain(verdict: Verdict, *, pinned: bool) -> dict[str, object]:
    return {
        "sound": verdict.sound and not verdict.uncovered and not verdict.doubts,
        "uncovered": verdict.uncovered,
        "records": verdict.records,
        "key_pinned": pinned,
        "streams": [
            {
                "stream": s.stream,
                "sound": s.sound and not s.uncovered and not s.doubts,
                "uncovered": s.uncovered,
                "unchecked": s.doubts,
                "records": s.records,
                "first_seq": s.first_seq,
                "last_seq": s.last_seq,
                "last_hash": s.last_hash,
                "pruned_below": s.pruned,
                "sealed": s.sealed,
                "segments": s.segments,
                "epochs": s.epochs,
                "torn_bytes": s.torn_bytes,
                "faults": [
                    {"segment": f.segment, "offset": f.offset, "seq": f.seq, "fault": str(f.fault), "detail": f.detail}
                    for f in s.faults
                ],
            }
            for s in verdict.streams
        ],
    }
