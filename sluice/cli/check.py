"""`sluice check`: everything an operator can get wrong, said before it matters."""

from __future__ import annotations

import ipaddress
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import click

from sluice.cli.terminal import complain, load_settings, note, print_json, waiting
from sluice.errors import Misconfigured, Problem

if TYPE_CHECKING:
    from sluice.config import Settings
    from sluice.model import Rulebook

FINE, WRONG = 0, 2


@click.command("check", short_help="Validate settings, policy, destinations and packs.")
@click.option("--config", "file", metavar="FILE", type=click.Path(path_type=Path), help="Settings file to check.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(file: Path | None, as_json: bool) -> int:
    """Validate settings, policy, destinations and detector packs without starting anything.

    Prints every problem with its file and line; warnings do not change the exit code. Writes nothing.
    """
    from sluice import config, startup
    from sluice.policy import PolicySet
    from sluice.suppressions import Suppressions

    problems: list[Problem] = []
    warned: list[Problem] = []
    book: Rulebook | None = None
    try:
        settings = load_settings(file)
        warned += warnings(settings, str(file or "settings"))
        problems += startup.unfit_settings(settings, config.locate(file))
        problems += startup.unfit_directories(settings)
        with waiting("checking rules and detectors ..."):
            book = load_rulebook(settings)
        warned += book.policy.warnings if isinstance(book.policy, PolicySet) else ()
        warned += tunnelled(settings)
        warned += book.suppressions.expired(time.time_ns()) if isinstance(book.suppressions, Suppressions) else ()
    except Misconfigured as e:
        problems += e.problems
    if as_json:
        plain = [
            {"level": level, **_plain(p)} for level, some in (("error", problems), ("warning", warned)) for p in some
        ]
        print_json({"ok": not problems, "problems": plain, "digest": book.digest if book else None})
    else:
        for problem in problems:
            complain(str(problem))
        for problem in warned:
            note(f"warning: {problem}")
        if book and not problems:
            click.echo(f"sound: policy {book.policy.id} {book.policy.version}, rulebook {book.digest[:16]}")
        else:
            note(f"{len(problems)} problem{'' if len(problems) == 1 else 's'}; sluice-proxy would not start")
    return WRONG if problems else FINE


def load_rulebook(settings: Settings) -> Rulebook:
    """The rulebook in force, without writing: a key that does not exist yet is made in a place that is thrown away.
    Raises `Misconfigured`."""
    import msgspec

    from sluice import rulebook
    from sluice.cli.compiled import of_user

    if settings.keys_dir.is_dir():
        return rulebook.load(settings)
    with tempfile.TemporaryDirectory(prefix="sluice-check-") as elsewhere:
        aside = msgspec.structs.replace(settings, paths=msgspec.structs.replace(settings.paths, var=Path(elsewhere)))
        return rulebook.load(aside, store=of_user())


def warnings(settings: Settings, file: str) -> Iterator[Problem]:
    """What is allowed, and worth a second thought."""
    from sluice import config

    if not _loopback(config.endpoint(settings.proxy.listen)[0]):
        yield Problem(file, None, f"proxy.listen: `{settings.proxy.listen}` can be reached by others; firewall it")
    if not _loopback(config.endpoint(settings.admin.listen)[0]):
        yield Problem(file, None, f"admin.listen: `{settings.admin.listen}` shows metrics to others; firewall it")
    if settings.console.listen and not _loopback(config.endpoint(settings.console.listen)[0]):
        what = "can be reached by others, and it speaks HTTP: its password crosses the network in the clear"
        yield Problem(file, None, f"console.listen: `{settings.console.listen}` {what}")
    for name, value in (
        ("tunnels.non_tls", settings.tunnels.non_tls),
        ("tunnels.missing_sni", settings.tunnels.missing_sni),
    ):
        if value == "pass":
            yield Problem(file, None, f"{name}: `pass` lets bytes leave that nobody can tell the destination of")
    for to in settings.forward.to:
        receiver = urlsplit(to.url)
        if receiver.scheme in ("http", "syslog+tcp") and not _loopback(receiver.hostname or ""):
            yield Problem(file, None, f"forward.to `{to.name}`: `{receiver.scheme}` carries the events in the clear")
    server = urlsplit(settings.clickhouse.dsn)
    if server.hostname and not _loopback(server.hostname) and parse_qs(server.query).get("secure") != ["true"]:
        yield Problem(file, None, "clickhouse.dsn: without `?secure=true` the events cross the network in the clear")


def tunnelled(settings: Settings) -> Iterator[Problem]:
    """The site's own rows that let an AI destination through unread: nothing that goes there is inspected."""
    from sluice import config, targets
    from sluice.model import Mode, Status

    if settings.paths.targets is None:
        return
    shipped = config.signatures_dir() / "targets.toml"
    ours = {row.id for row in targets.load(shipped).rows if row.mode is Mode.PASS}
    for row in targets.load(shipped, settings.paths.targets).rows:
        if row.mode is Mode.PASS and row.id not in ours and row.status is not Status.PROHIBITED:
            what = f"`{row.host}` ({row.id}) is tunnelled: what goes there is neither inspected nor blocked"
            yield Problem(str(settings.paths.targets), None, what)


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _plain(problem: Problem) -> dict[str, object]:
    return {"file": problem.file, "line": problem.line, "what": problem.what}
