"""`sluice tail`: decisions as they are made, read from the ledger, without ClickHouse and without content."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import ACTION_STYLE, config_option, console, note, print_json, text

if TYPE_CHECKING:
    from rich.text import Text

    from sluice.config import Settings
    from sluice.model import Record

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Duration(click.ParamType[float]):
    """`90s`, `15m`, `2h`, `1d` in seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = re.fullmatch(r"(\d{1,9})([smhd])", str(value))
        if not found:
            self.fail(f"`{value}` is not a time such as 90s, 15m, 2h or 1d", param, ctx)
        return int(found[1]) * _UNITS[found[2]]


@click.command("tail", short_help="Follow decisions as they are made.")
@config_option
@click.option(
    "--decision", "wanted", multiple=True, type=click.Choice(["allow", "block", "refuse"]), help="Only these."
)
@click.option("--since", type=Duration(), metavar="TIME", help="Begin that long ago, as in 15m or 2h.")
@click.option("--provider", multiple=True, metavar="ID", help="Only these providers (patterns: `open*`).")
@click.option("--class", "classes", multiple=True, metavar="CLASS", help="Only with such findings (`secret.*`).")
@click.option("--reason", multiple=True, metavar="CODE", help="Only for these reasons, as in SECRET_FOUND.")
@click.option("--rule", multiple=True, metavar="ID", help="Only by these rules.")
@click.option("--host", multiple=True, metavar="HOST", help="Only to these hosts (patterns).")
@click.option("--model", multiple=True, metavar="NAME", help="Only for these models (patterns).")
@click.option("--subject", multiple=True, metavar="PSEUDONYM", help="Only of these subjects, as the records name them.")
@click.option("--all", "everything", is_flag=True, help="Opaque tunnels, outcomes and control records too.")
@click.option("--no-follow", is_flag=True, help="Print what there is and end.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(
    settings: Settings,
    wanted: tuple[str, ...],
    since: float | None,
    provider: tuple[str, ...],
    classes: tuple[str, ...],
    reason: tuple[str, ...],
    rule: tuple[str, ...],
    host: tuple[str, ...],
    model: tuple[str, ...],
    subject: tuple[str, ...],
    everything: bool,
    no_follow: bool,
    as_json: bool,
) -> int:
    """Follow the decisions of the running appliance: when, what, why, who, where to, what was found, how long it took.

    Filters of one kind are alternatives, those of different kinds must all hold; in patterns `*` stands for anything.

    Ends with Ctrl-C. Exit code 3 when no appliance runs on this `var` (use --no-follow to read what it left).
    """
    from sluice import instance
    from sluice.cli import NotRunning

    if not no_follow and instance.running(settings.paths.var) is None:
        raise NotRunning(f"no appliance runs on {settings.paths.var}: there is nothing to follow")
    out = console()
    if not as_json and out.is_terminal:
        note("waiting for decisions; Ctrl-C ends")
    asked = Filter(
        tuple(
            (name, patterns)
            for name, patterns in (
                ("decision", wanted),
                ("provider_id", provider),
                ("reason_code", reason),
                ("rule_id", rule),
                ("host", host),
                ("model_requested", model),
                ("subject_id", subject),
            )
            if patterns
        ),
        classes,
    )
    for record in _records(settings, since, no_follow=no_follow):
        if (everything or record.record_type == "decision") and asked.takes(record):
            if as_json:
                print_json(brief(record), indent=None)
            else:
                out.print(line(record), soft_wrap=True)
    return 0


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records are shown: for each field one of its patterns, and one finding of one of the classes."""

    fields: tuple[tuple[str, tuple[str, ...]], ...] = ()
    classes: tuple[str, ...] = ()

    def takes(self, record: Record) -> bool:
        return all(_fits(str(getattr(record, name) or ""), patterns) for name, patterns in self.fields) and (
            not self.classes or any(_fits(one, self.classes) for one in record.data_classes or ())
        )


def _fits(value: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(value.lower(), pattern.lower()) for pattern in patterns)


def _records(settings: Settings, since: float | None, *, no_follow: bool) -> Iterator[Record]:
    """Records in the order of their time, from `since` seconds ago (or from now on, or all when not following)."""
    from sluice.ledger import reader

    begin = int((time.time() - since) * 1_000_000) if since is not None else 0
    if no_follow:
        past = (entry for stream in reader.streams(settings.ledger_dir) for entry in reader.read(stream))
        yield from (e.record for e in sorted((e for e in past if e.at >= begin), key=lambda e: e.at))
        return
    for record in reader.follow(settings.ledger_dir, from_start=since is not None):
        if record.ts_received >= begin:
            yield record


def brief(record: Record) -> dict[str, object]:
    """What a line tells of a record: facts and fingerprints, no content."""
    until = record.ts_committed or record.ts_decided
    added = record.latency_added_us if record.latency_added_us is not None else until and until - record.ts_received
    return {
        "at": datetime.fromtimestamp(record.ts_received / 1e6, UTC).isoformat(timespec="milliseconds"),
        "record_type": str(record.record_type),
        "decision_id": record.decision_id,
        "decision": record.decision,
        "would": record.would_decide,
        "reason": record.reason_code,
        "rule": record.rule_id,
        "subject": record.subject_id,
        "provider": record.provider_id,
        "host": record.host,
        "model": record.model_requested,
        "classes": list(record.data_classes or ()),
        "added_us": added or None,
    }


def line(record: Record) -> Text:
    """One record for a terminal."""
    told = brief(record)
    action = record.decision or str(record.record_type)
    shown = action if not record.would_decide or record.would_decide == action else f"{action} (would {told['would']})"
    at = datetime.fromtimestamp(record.ts_received / 1e6).astimezone()
    classes = ", ".join(record.data_classes or ())
    added = told["added_us"]
    return (
        text(f"{at:%H:%M:%S}.{at.microsecond // 1000:03} ", "dim")
        + text(f"{shown:<7} ", ACTION_STYLE.get(action, ""))
        + text(f"{record.reason_code or record.control_kind or '-'} ")
        + text(f"rule={record.rule_id or '-'} subject={record.subject_id or '-'} ", "dim")
        + text(f"{record.provider_id or record.host or '-'} {record.model_requested or '-'}")
        + text(f" [{classes}]" if classes else "", "yellow")
        + text(f" {added / 1000:.1f} ms" if isinstance(added, int) else "", "dim")
    )
