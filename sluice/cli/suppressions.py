"""`sluice suppressions`: what the site has judged to be no finding, and for how long."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import config_option, note, print_json, table, text

if TYPE_CHECKING:
    from sluice.config import Settings

SOON = 14
"""Days before its end from which a suppression is shown as ending soon."""


@click.command("suppressions", short_help="List the findings that the site has judged to be none.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(settings: Settings, as_json: bool) -> int:
    """List the suppressions of `paths.suppressions`: scope, owner, reason, end. Exit code 1 when one has ended."""
    from sluice import config, suppressions, targets
    from sluice.cli.compiled import load_detectors, load_own
    from sluice.detect import judgement, packs

    if settings.paths.suppressions is None:
        if as_json:
            print_json([])
        else:
            note("`paths.suppressions` names no file: every finding counts")
        return 0
    signatures, own = config.signatures_dir(), load_own(settings)
    loaded = suppressions.load(
        settings.paths.suppressions,
        detectors={d.id for d in (*load_detectors(settings), *judgement.DETECTORS, *(own.detectors if own else ()))},
        classes=frozenset(packs.load_vocabulary(signatures / "vocabulary.toml").classes)
        | (own.classes if own else frozenset()),
        providers=targets.load(signatures / "targets.toml", settings.paths.targets).providers,
        today=dt.datetime.now(dt.UTC).date(),
    )
    today = dt.datetime.now(dt.UTC).date()
    rows = [
        {
            "id": e.id,
            "detector": e.detector,
            "class": e.data_class,
            "provider": e.provider,
            "subject": e.subject,
            "route": e.route,
            "fingerprint": e.fingerprint,
            "owner": e.owner,
            "reason": e.reason,
            "expires": e.expires.isoformat(),
            "days_left": (e.expires - today).days,
        }
        for e in loaded.entries
    ]
    if as_json:
        print_json(rows)
    elif rows:
        table(
            ("id", "takes out", "only for", "owner", "reason", "expires"),
            [
                (
                    r["id"],
                    r["detector"] or r["class"],
                    ", ".join(f"{k} {r[k]}" for k in ("provider", "subject", "route", "fingerprint") if r[k]) or "-",
                    r["owner"],
                    r["reason"],
                    _end(e.expires, today),
                )
                for r, e in zip(rows, loaded.entries, strict=True)
            ],
        )
    else:
        note(f"{settings.paths.suppressions} holds none: every finding counts")
    return 1 if any(e.expires < today for e in loaded.entries) else 0


def _end(expires: dt.date, today: dt.date) -> object:
    left = (expires - today).days
    if left < 0:
        return text(f"{expires} (ended: counts again)", "red")
    return text(f"{expires} ({left} days)", "yellow" if left <= SOON else "")
