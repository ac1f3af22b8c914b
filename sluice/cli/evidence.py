"""`sluice evidence`: what an auditor is handed."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import complain, config_option, counted, note, print_json, progress

if TYPE_CHECKING:
    from sluice.config import Settings
    from sluice.proof.bundle import Filter, Written

UNCHECKED = 2
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class _Moment(click.ParamType[int]):
    """`2026-11-01`, `2026-11-01T12:00:00Z`, or `7d` (ago) in Unix microseconds. UTC unless it says otherwise."""

    name = "moment"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if found := re.fullmatch(r"(\d{1,9})([smhd])", str(value)):
            return int((time.time() - int(found[1]) * _UNITS[found[2]]) * 1e6)
        try:
            at = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"`{value}` is not a moment such as 2026-11-01, 2026-11-01T12:00:00Z or 7d", param, ctx)
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1e6)


@click.group("evidence", short_help="Hand evidence to an auditor.")
def command() -> None:
    """Evidence for somebody who has neither this machine nor reason to believe it."""


@command.command("export", short_help="Write a signed bundle of records with their proofs.")
@config_option
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="New directory, or a file that ends in .tar.gz."
)
@click.option("--since", type=_Moment(), metavar="MOMENT", help="Received then or later: 2026-11-01, or 7d (ago).")
@click.option("--until", type=_Moment(), metavar="MOMENT", help="Received before.")
@click.option(
    "--subject",
    metavar="PSEUDONYM",
    help="Only of this subject_id, 32 hex digits (`sluice keys fingerprint --kind subject`).",
)
@click.option("--policy-version", help="Only decided under this version of the policy.")
@click.option("--provider", help="Only to this provider.")
@click.option("--decision", type=click.Choice(["allow", "block", "refuse"]), help="Only these decisions.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _export(
    settings: Settings,
    out: Path,
    since: int | None,
    until: int | None,
    subject: str | None,
    policy_version: str | None,
    provider: str | None,
    decision: str | None,
    as_json: bool,
) -> int:
    """Write a signed bundle: records as JSONL, a proof for each, checkpoints, public keys, a manifest, and a page that
    says how to check it all. Needs read access to the sealing key, which signs the manifest.

    Exit code: 0 when it is written, also when no record fits (which condition fits none is told); 2 when the ledger is
    not what was sealed, or not all of it: nothing is signed then.
    """
    from sluice.proof import bundle
    from sluice.proof.trust import Unchecked
    from sluice.seal import keys

    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since is not before --until: no record would fit")
    if out.exists():
        raise click.UsageError(f"{out} exists already: a bundle is written once")
    ring = keys.ring(settings)
    if ring is None:
        complain("nothing is sealed yet: sluice-proxy makes a key at its first start")
        return UNCHECKED
    wanted = bundle.Filter(
        since=since, until=until, subject=subject, policy_version=policy_version, provider=provider, decision=decision
    )
    total = sum(f.stat().st_size for f in settings.ledger_dir.glob("*/*.seg"))
    try:
        with progress() as shown:
            bar = shown.add_task("exporting", total=2 * total)
            written = bundle.write(
                out,
                ledger=settings.ledger_dir,
                seal=settings.seal_dir,
                ring=ring,
                signer=keys.load(settings, ring),
                wanted=wanted,
                at=time.time_ns() // 1000,
                progress=lambda size: shown.advance(bar, size),
            )
    except Unchecked as e:
        complain(str(e))
        return UNCHECKED
    except OSError as e:
        complain(f"{e.filename or out}: {e.strerror}")
        return UNCHECKED
    count, streams = written.records, len(written.streams)
    said = f"{counted(count, 'record')} of {counted(streams, 'stream')}" if count else "an empty bundle"
    if as_json:
        key = str(ring.current.verifier)
        print_json({"out": out, "records": count, "streams": streams, "unsealed": written.unsealed, "key": key})
    note(f"{out}: {said}, signed by {ring.current.verifier}")
    if not count and not written.unsealed:
        _say_none(wanted, written)
    for stream, below in written.pruned.items():
        note(f"{stream}: records below {below} were deleted by retention and are in no bundle")
    if written.unsealed:
        note(f"{written.unsealed} records that no checkpoint covers yet were left out; the sealer signs in a moment")
    return 0


def _say_none(wanted: Filter, written: Written) -> None:
    """Why nothing is in it: a condition that no record meets, or all of them together."""
    options = {name: f"--{name.replace('_', '-')}" for name in wanted.asked}
    shown = {n: o if n in ("since", "until") else f"{o} {wanted.asked[n]}" for n, o in options.items()}
    if none := [shown[name] for name in wanted.asked if not written.met[name]]:
        complain(f"no record fits: `{'`, `'.join(none)}` fits none of {counted(written.seen, 'record')}")
    else:
        complain(f"no record fits `{' '.join(shown.values())}` together; each of them alone fits some")
