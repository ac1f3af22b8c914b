"""`sluice prove`: one decision as evidence that stands alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import complain, config_option, note

if TYPE_CHECKING:
    from sluice.config import Settings

FOUND, UNCHECKED = 1, 2


@click.command("prove", short_help="Show one decision with its proof.")
@config_option
@click.argument("decision_id")
@click.option(
    "--record",
    "kind",
    type=click.Choice(["decision", "outcome", "bypass"]),
    default="decision",
    show_default=True,
    help="Which record of it.",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file, not stdout.")
@click.option("--ledger", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Ledger directory.")
@click.option("--checkpoints", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Seal directory.")
def command(
    settings: Settings,
    decision_id: str,
    kind: str,
    output: Path | None,
    ledger: Path | None,
    checkpoints: Path | None,
) -> int:
    """Print the proof that the record of DECISION_ID is in the ledger: a few kB of text (C2SP tlog-proof) with the
    record, its path in the tree and the signed checkpoint. `sluice verify --proof FILE --key KEY` checks it anywhere.

    Exit code: 1 when there is no such record, or it is not sealed yet; 2 when it is not the one that was sealed.
    """
    from sluice.proof import prove
    from sluice.proof.trust import Unchecked

    place = ledger or settings.ledger_dir
    try:
        of_it = list(prove.records(place, decision_id))
        records = [r for r in of_it if r.record_type == kind]
        if not records:
            others = [f"there is one with --record {r.record_type}" for r in of_it[:1]]
            complain(f"{place}: no {kind} record of `{decision_id}`", *(others or _deleted(place, decision_id)))
            return FOUND
        found = records[0]
        prover = prove.Prover((checkpoints or settings.seal_dir) / found.stream)
        text = prover.proof(found.seq, found.body).text()
    except prove.NotSealed as e:
        complain(str(e), f"the sealer signs every {settings.seal.seconds:g} s; try again then")
        return FOUND
    except Unchecked as e:
        complain(str(e))
        return UNCHECKED
    except OSError as e:
        complain(f"{e.filename or place}: cannot be read: {e.strerror}")
        return UNCHECKED
    if output:
        output.write_text(text, "utf-8")
        note(f"{output}: record {found.seq} of {found.stream}, under a checkpoint of {prover.size}")
    else:
        click.echo(text, nl=False)
    return 0


def _deleted(ledger: Path, decision_id: str) -> list[str]:
    """Where it may have been, if retention took the records of its time."""
    from sluice.proof import prove

    heads = [f"{stream} below {below}" for stream, below in prove.deleted(ledger, decision_id)]
    if not heads:
        return []
    where = f"sluice sql \"select * from events where decision_id = '{decision_id}'\""  # noqa: S608 - shown, not run
    return [f"retention deleted the records of its time ({', '.join(heads)}); the row outlives them: {where}"]
