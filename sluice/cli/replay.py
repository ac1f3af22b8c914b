"""`sluice replay`: recorded requests against the rules, with nothing sent and nothing recorded."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from copy import replace
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import ACTION_STYLE, complain, config_option, counted, note, print_json, table, text, waiting

if TYPE_CHECKING:
    from sluice.cli.sources import Skipped
    from sluice.config import Settings
    from sluice.identity import Resolver
    from sluice.model import Decision, Exchange, Rulebook, Target

PASSES, STOPPED, UNREAD = 0, 1, 2
TUNNEL = "tunnel"
"""Where a request to no AI service goes: not decrypted, so there is nothing to decide."""
MOST = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the gate would do with one recorded request. `action` is `tunnel` for a host that is no AI service."""

    place: str
    host: str
    provider: str | None
    model: str | None
    action: str
    would: str | None
    rule: str
    reason: str
    classes: tuple[str, ...]

    @property
    def plain(self) -> dict[str, object]:
        return {
            "request": self.place,
            "host": self.host,
            "provider": self.provider,
            "model": self.model,
            "decision": self.action,
            "would": self.would,
            "rule": self.rule,
            "reason": self.reason,
            "classes": list(self.classes),
        }


@click.command("replay", short_help="Run recorded requests against a policy; nothing is sent.")
@config_option
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--policy", metavar="FILE", type=click.Path(path_type=Path), help="This policy, not the one in force.")
@click.option("--from", "client", metavar="ADDR", default="127.0.0.1", help="Suppose they come from this address.")
@click.option("--only-stopped", is_flag=True, help="Print only what would be blocked or refused.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(
    settings: Settings, files: Sequence[Path], policy: Path | None, client: str, only_stopped: bool, as_json: bool
) -> int:
    """Say of each request in FILES what the gate would do with it. Nothing is sent and nothing is recorded.

    Reads HAR files, mitmproxy flow files and request files of `sluice explain`, also compressed, told by what they
    hold. Exit code: 0 all would pass, 1 some would be blocked or refused, 2 a file or a request could not be read.
    """
    import ipaddress

    import msgspec

    from sluice.cli.check import load_rulebook
    from sluice.cli.sources import Skipped
    from sluice.identity import Resolver

    try:
        ipaddress.ip_address(client)
    except ValueError:
        raise click.BadParameter(f"`{client}` is not an IP address", param_hint="--from") from None
    if policy is not None:
        paths = msgspec.structs.replace(settings.paths, policy=policy.resolve())
        settings = msgspec.structs.replace(settings, paths=paths)
    with waiting("loading rules and detectors ..."):
        book = load_rulebook(settings)
    resolver = Resolver.load(settings)
    done: list[Replayed] = []
    skipped: list[Skipped] = []
    at = time.time_ns()
    for file in files:
        for found in requests_of(file):
            if isinstance(found, tuple):
                place, exchange = found
                asked = replace(exchange, at=at, client=replace(exchange.client, address=client))
                try:
                    done.append(replayed(place, asked, settings, book, resolver))
                except ValueError:
                    skipped.append(Skipped(place, "its host is no host name"))
            else:
                skipped.append(found)
    totals = Counter(one.action for one in done)
    stopped = totals["block"] + totals["refuse"]
    shown = [one for one in done if not only_stopped or one.action in ("block", "refuse")]
    if as_json:
        unread = [{"request": s.name, "reason": s.reason} for s in skipped]
        print_json({"policy": _name(book), "requests": [o.plain for o in shown], "unread": unread, "totals": totals})
    else:
        _print(shown)
        for one in skipped:
            complain(f"{one.name}: {one.reason}")
        words = ", ".join(f"{number} {action}" for action, number in sorted(totals.items())) or "nothing to decide"
        note(f"{counted(len(done), 'request')} against policy {_name(book)}: {words}")
    if skipped:
        return UNREAD
    return STOPPED if stopped else PASSES


def requests_of(file: Path) -> Iterator[tuple[str, Exchange] | Skipped]:
    """Every request of a file, and what of it is none."""
    from sluice.cli.sources import DEPTH, Bounds, Skipped, containers, requests, walk

    data = walk.load(file, MOST)
    name, bounds = str(file), Bounds(size=MOST)
    for _ in range(DEPTH):
        if isinstance(data, Skipped) or not (how := containers.coding(name.lower(), data)):
            break
        data = containers.undo(name, data, how, bounds)
        name = name.rpartition(".")[0] or name
    if isinstance(data, Skipped):
        yield data
    else:
        yield from requests.exchanges(str(file), data)


def replayed(place: str, exchange: Exchange, settings: Settings, book: Rulebook, resolver: Resolver) -> Replayed:
    """One request through the gate's own pipeline."""
    from sluice.errors import Cause, Reason, SluiceError
    from sluice.gate import inspect
    from sluice.model import Action, Decision

    def told(target: Target | None, decision: Decision, model: str | None = None) -> Replayed:
        return Replayed(
            place,
            exchange.host,
            target.provider if target else None,
            model,
            str(decision.action) if target else TUNNEL,
            str(decision.would) if decision.would else None,
            decision.rule,
            str(decision.reason),
            decision.classes,
        )

    if not book.targets.decrypts(exchange.host, exchange.port):
        return told(None, Decision(Action.ALLOW, Reason.NOT_AI, "not-ai"))
    target = book.targets.match(exchange.host, exchange.port, exchange.path)
    if target and (exchange.scheme in ("ws", "wss") or (exchange.header("upgrade") or "").lower() == "websocket"):
        return told(target, book.policy.on_failure(Cause.WEBSOCKET, target, exchange.at))
    try:
        seen = inspect(exchange, book, settings.limits, resolver)
    except SluiceError:
        raise
    except Exception:  # noqa: BLE001 - as in the gate: a fault of any room is decided by the failure table
        return told(target, book.policy.on_failure(Cause.SCAN_ERROR, target, exchange.at))
    return told(seen.target, seen.decision, seen.prompt.model if seen.prompt else None)


def _name(book: Rulebook) -> str:
    return f"{book.policy.id} {book.policy.version}"


def _print(done: Sequence[Replayed]) -> None:
    if not done:
        return
    rows = [
        (
            one.place,
            one.provider or one.host,
            one.model,
            text(
                one.action if one.would in (None, one.action) else f"{one.action} (would {one.would})",
                ACTION_STYLE.get(one.action, ""),
            ),
            one.rule,
            one.reason,
            ", ".join(one.classes),
        )
        for one in done
    ]
    table(("request", "where to", "model", "decision", "rule", "reason", "classes"), rows)
