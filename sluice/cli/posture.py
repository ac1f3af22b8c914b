"""`sluice posture`: one number with its parts, its trend, and what people have to say to the record."""

from __future__ import annotations

import csv
import getpass
import io
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import complain, config_option, counted, note, print_json, table

if TYPE_CHECKING:
    from sluice.config import Settings
    from sluice.ship.notes import Row

_TREND = """
SELECT toString(toDate(taken_at)) AS day, metric, argMax(s.value, taken_at) AS value,
    argMax(s.numerator, taken_at) AS numerator, argMax(s.denominator, taken_at) AS denominator,
    argMax(s.query_sha256, taken_at) AS query_sha256
FROM posture_snapshot AS s
GROUP BY day, metric
ORDER BY day, metric
"""
_DAY = click.DateTime(["%Y-%m-%d"])
_LONGEST = 10_000
_IMPORTED: dict[str, tuple[str, ...]] = {
    "observations": ("at", "layer", "domain", "subject_id", "seen", "seen_bytes", "decrypted", "reason_not_inspected"),
    "facts": ("at", "kind", "name", "number", "text"),
}
_KINDS = ("leaver", "tool_definition", "detectors")
"""Facts that others may enter; what the shipper itself knows (lag, seals, retention) nobody else says."""
_NUMBERS = {"seen": int, "seen_bytes": int, "number": float, "decrypted": int}


@click.group("posture", invoke_without_command=True, short_help="The posture score with its parts, and its trend.")
@config_option
@click.option("--since", metavar="SPAN|TIME", help="Records from then on [default: 30d].")
@click.option("--until", metavar="TIME", help="End of the span, excluded [default: the minute just over].")
@click.option("--trend", is_flag=True, help="The snapshots that were taken, one a day.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def command(
    ctx: click.Context, settings: Settings, since: str | None, until: str | None, trend: bool, as_json: bool
) -> int:
    """The posture score: every share with its numerator and denominator, the formula, and what it makes.

    The subcommands enter what the traffic cannot tell: approvals, reviews, and what other sensors saw.
    """
    if ctx.invoked_subcommand is not None:
        return 0
    return _trend(settings, as_json) if trend else _score(settings, since, until, as_json)


def _score(settings: Settings, since: str | None, until: str | None, as_json: bool) -> int:
    from sluice.cli import asking
    from sluice.posture import coverage, question, score

    try:
        begin, end = question.span(since, until, "30d", datetime.now(UTC))
    except question.BadQuestion as e:
        raise click.UsageError(str(e)) from e
    with asking.questions(settings) as asked:
        values = score.measured(asked, begin, end)
        seen = coverage.measured(asked, begin, end)
    total = score.score(values)
    if as_json:
        print_json(
            {
                "since": begin.isoformat(),
                "until": end.isoformat(),
                "score": total,
                "formula": score.FORMULA,
                "coverage": seen.said(),
                "measures": [
                    {
                        "id": v.measure.id,
                        "title": v.measure.title,
                        "weight": v.measure.weight,
                        "numerator": v.numerator,
                        "denominator": v.denominator,
                        "value": v.value,
                        "query_sha256": v.sha256,
                    }
                    for v in values
                ],
            }
        )
        return 0
    click.echo(f"scope         {begin:%Y-%m-%dT%H:%MZ} to {end:%Y-%m-%dT%H:%MZ} (end excluded)")
    click.echo(f"coverage      {seen.said()}")
    table(
        ("measure", "numerator", "denominator", "share", "weight", "what", "query sha256"),
        [
            (
                v.measure.id,
                f"{v.numerator:.0f}",
                f"{v.denominator:.0f}",
                "nothing to measure" if v.value is None else f"{v.value:.4f}",
                f"{v.measure.weight:g}",
                v.measure.title,
                v.sha256[:16],
            )
            for v in values
        ],
    )
    parts = " + ".join(f"{v.measure.weight:g} x {v.value:.4f}" for v in values if v.value is not None)
    weights = sum(v.measure.weight for v in values if v.value is not None)
    click.echo(score.FORMULA)
    if total is None:
        note("nothing is on record in this span: there is no score")
    else:
        click.echo(f"score = 100 x ({parts}) / {weights:g} = {total:.1f}")
    return 0


def _trend(settings: Settings, as_json: bool) -> int:
    from sluice.cli import asking
    from sluice.posture import question

    with asking.questions(settings) as asked:
        found = question.ask(asked, _TREND)
    if as_json:
        print_json(found.dicts())
    elif not found.rows:
        note("no snapshot was taken yet: the running appliance takes one a day, `sluice findings evaluate` the first")
    else:
        rows = [(d, m, f"{v:.4g}", f"{n:.6g}", f"{of:.6g}", str(q)[:16]) for d, m, v, n, of, q in found.rows]
        table(("day", "metric", "value", "numerator", "denominator", "query sha256"), rows)
    return 0


@command.command("approve")
@config_option
@click.argument("sha256")
@click.option("--author", required=True, help="Who wrote the change.")
@click.option("--approver", required=True, help="Who approved it: another person.")
@click.option("--changelog", default="", help="What changed.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def approve(settings: Settings, sha256: str, author: str, approver: str, changelog: str, as_json: bool) -> int:
    """Record who approved the policy with this SHA-256 (`sluice report R7` and `sluice check` show it)."""
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise click.UsageError("SHA256 is the digest of the policy file, 64 hex digits")
    if author.strip().lower() == approver.strip().lower():
        raise click.UsageError("author and approver are the same person: nothing was approved")
    row = {"sha256": sha256, "author": author, "approver": approver, "changelog": changelog}
    return _left(settings, "policy_approvals", [row], "approval", as_json=as_json)


@command.command("review")
@config_option
@click.argument("decision", required=False)
@click.option("--verdict", type=click.Choice(["confirmed", "overturned"]), default="confirmed", show_default=True)
@click.option("--until", type=_DAY, metavar="DAY", help="A whole period instead: everything before this day (UTC).")
@click.option("--reason", default="", help="What was looked at.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def review(
    settings: Settings, decision: str | None, verdict: str, until: datetime | None, reason: str, as_json: bool
) -> int:
    """Record that a DECISION, or everything before a day, was reviewed."""
    if (decision is None) == (until is None):
        raise click.UsageError("give a DECISION or --until DAY")
    if decision is not None and not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", decision):
        raise click.UsageError("DECISION is a decision_id, as reports show it")
    row = {
        "decision_id": decision or "00000000-0000-0000-0000-000000000000",
        "period_until": f"{until:%Y-%m-%d} 00:00:00" if until else "1970-01-01 00:00:00",
        "verdict": verdict,
        "reason": reason,
    }
    return _left(settings, "decision_reviews", [row], "review", as_json=as_json)


@command.command("import")
@config_option
@click.argument("what", type=click.Choice(sorted(_IMPORTED)))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def imported(settings: Settings, what: str, file: Path, as_json: bool) -> int:
    """Enter what other systems know, from a CSV FILE with a head.

    observations: at,layer,domain,subject_id,seen,seen_bytes,decrypted,reason_not_inspected (DNS, flows, bills; reasons:
    quic, ech, pinned, not_proxied, unmanaged_device, local_model, ai_shaped). facts: at,kind,name,number,text (kinds:
    leaver, tool_definition, detectors). Names of people may stand as they log in: what enters the store is their
    pseudonym. Exit code: 2 with every line that is wrong.
    """
    from sluice.cli import USAGE

    columns = _IMPORTED[what]
    rows: list[Row] = []
    problems: list[str] = []
    try:
        text = file.read_text("utf-8-sig")
    except UnicodeDecodeError as e:
        raise click.UsageError(f"{file}:{e.object[: e.start].count(b'\n') + 1}: is not UTF-8 (byte {e.start})") from e
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        unknown = [name for name in reader.fieldnames or () if name not in columns]
        lacking = [name for name in ("at", columns[1], columns[2]) if name not in (reader.fieldnames or ())]
        if unknown or lacking:
            raise click.UsageError(
                f"{file}: columns are {', '.join(columns)}; not {', '.join(unknown) or 'without a head'}"
            )
        for line in reader:
            try:
                rows.append(_row(line))
            except (ValueError, TypeError, OverflowError) as e:
                problems.append(f"{file}:{reader.line_num}: {e}")
    except csv.Error as e:
        raise click.UsageError(f"{file}:{reader.line_num}: not valid CSV: {e}") from e
    if problems:
        for problem in problems[:50]:
            complain(problem)
        return USAGE
    if not rows:
        raise click.UsageError(f"{file} holds no rows")
    rows = _pseudonymous(settings, rows)
    kind = "cov_observation" if what == "observations" else "posture_facts"
    return _left(settings, kind, rows, what, as_json=as_json)


def _row(line: dict[str, str]) -> Row:
    made: dict[str, str | int | float | bool] = {}
    for name, value in line.items():
        if value is None or name is None:
            raise ValueError("has more or fewer cells than the head")
        if len(value) > _LONGEST:  # the reader's own limit is one for the whole process, and others move it
            raise ValueError(f"{name} is longer than {_LONGEST:,} characters")
        if name == "at":
            at = datetime.fromisoformat(value)
            if not 1970 <= at.year <= 2200:
                raise ValueError(f"`{value[:40]}` is no time from 1970 to 2200")
            made[name] = f"{(at.astimezone(UTC) if at.tzinfo else at):%Y-%m-%d %H:%M:%S.%f}"
        elif name in _NUMBERS:
            made[name] = number = _NUMBERS[name](value or 0)
            least, most = (-(2**63) if name == "number" else 0), (1 if name == "decrypted" else 2**63 - 1)
            if not least <= number <= most:  # the store takes no other, and no NaN
                raise ValueError(f"{name} `{value[:40]}` is out of range")
        elif name == "kind" and value not in _KINDS:
            raise ValueError(f"`{value[:40]}` is no kind: {', '.join(_KINDS)}")
        else:
            made[name] = value[:500]
    return made


def _pseudonymous(settings: Settings, rows: list[Row]) -> list[Row]:
    """Rows with the pseudonyms of the records for names of subjects, a leaver once for each version of the key."""
    from sluice import keys
    from sluice.detect.evidence import Fingerprinter
    from sluice.register.elsewhere import real_subject

    def pseudonyms(name: str) -> list[str]:
        if not name or re.fullmatch(r"[0-9a-f]{32}", name):
            return [name]
        versions = keys.secrets_by_name(settings).items()
        return [Fingerprinter(secret, key).fingerprint("subject", real_subject(name)) for key, secret in versions]

    made: list[Row] = []
    for row in rows:
        if row.get("kind") == "leaver":
            made += [{**row, "name": one} for one in pseudonyms(str(row["name"]))]
        elif row.get("subject_id"):
            made.append({**row, "subject_id": pseudonyms(str(row["subject_id"]))[-1]})
        else:
            made.append(row)
    return made


def _left(settings: Settings, kind: str, rows: list[Row], what: str, *, as_json: bool) -> int:
    from sluice.cli.findings import PLACED_SECONDS
    from sluice.ship import notes
    from sluice.ship.shipper import directory

    at, by = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}", getpass.getuser()
    whole = [{"at": at, **({} if kind == "cov_observation" else {"by": by}), **row} for row in rows]
    left = notes.leave(directory(settings), kind, whole)
    entered = notes.gone(left, PLACED_SECONDS)
    if as_json:
        print_json({"what": what, "rows": len(rows), "entered": entered})
    if entered:
        note(f"{what}: {counted(len(rows), 'row')} entered")
    else:
        note(f"{what}: {counted(len(rows), 'row')} left for the shipper, which enters them when it runs")
    return 0
