"""`sluice verify`: is the evidence what its writers left? Works on a copy, on any machine, without the appliance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import complain, config_option, print_json, progress, table, text

if TYPE_CHECKING:
    from sluice.config import Settings
    from sluice.ledger.reader import Verdict

SOUND, BROKEN, UNCHECKED = 0, 1, 2
FAULTS_SHOWN = 20


@click.command("verify", short_help="Check the evidence: checksums, sequence, chain.")
@config_option
@click.argument("directory", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(settings: Settings, directory: Path | None, as_json: bool) -> int:
    """Check the ledger in DIRECTORY [default: the appliance's]: checksums, gap-free sequence, hash chain.

    Exit code: 0 sound, 1 broken (the first bad record of each stream is named), 2 could not be checked.
    """
    from sluice.ledger import reader

    where = directory or settings.ledger_dir
    try:
        total = sum(file.stat().st_size for file in where.rglob("*") if file.is_file())
        with progress() as shown:
            bar = shown.add_task("verifying", total=total)
            verdict = reader.verify(where, progress=lambda size: shown.advance(bar, size))
    except OSError as e:
        complain(f"{e.filename or where}: cannot be read: {e.strerror}")
        return UNCHECKED
    if not verdict.streams:
        complain(f"{where}: there is no ledger here")
        return UNCHECKED
    if as_json:
        print_json(_plain(verdict))
    else:
        _print(verdict)
    return SOUND if verdict.sound else BROKEN


def _print(verdict: Verdict) -> None:
    table(
        ("stream", "records", "sequence", "runs", "torn bytes", "verdict"),
        [
            (
                s.stream,
                s.records,
                f"{s.first_seq} to {s.last_seq}" if s.records else "-",
                s.epochs,
                s.torn_bytes or "-",
                text("sound", "green") if s.sound else text(f"{len(s.faults)} faults", "bold red"),
            )
            for s in verdict.streams
        ],
    )
    for fault in verdict.faults[:FAULTS_SHOWN]:
        complain(str(fault))
    if len(verdict.faults) > FAULTS_SHOWN:
        complain(f"and {len(verdict.faults) - FAULTS_SHOWN} more; --json lists them")


def _plain(verdict: Verdict) -> dict[str, object]:
    return {
        "sound": verdict.sound,
        "records": verdict.records,
        "streams": [
            {
                "stream": s.stream,
                "sound": s.sound,
                "records": s.records,
                "first_seq": s.first_seq,
                "last_seq": s.last_seq,
                "last_hash": s.last_hash,
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
