"""`sluice users`: who may log in at the proxy."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import config_option, note, print_json, table

if TYPE_CHECKING:
    from pathlib import Path

    from sluice.config import Settings
    from sluice.identity.users import User

SHORTEST = 12
"""Characters of a new password. NIST SP 800-63B-4 asks for 15 where nothing else proves who it is, and 8 otherwise."""


@click.group("users", short_help="Who may log in at the proxy.")
def command() -> None:
    """The user file (`identity.users`): names and argon2id hashes. Workers read it again within a second."""


@command.command("add")
@config_option
@click.argument("name")
@click.option("--kind", type=click.Choice(["user", "service", "device", "team"]), default="user", help="What it is.")
@click.option("--expires", type=click.DateTime(), metavar="DATE", help="The login ends then (UTC) [default: never].")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _add(settings: Settings, name: str, kind: str, expires: datetime | None, *, as_json: bool) -> None:
    """Add NAME, or change the password of NAME. The password is read without echo, or as one line from stdin."""
    from sluice.identity import tables
    from sluice.identity.users import MAX_PASSWORD, User, hashed, username, write_users

    path, users = _file(settings)
    known = username(name)
    if known is None:
        raise click.BadParameter("must be 1 to 128 printable characters without `:` and `#`", param_hint="NAME")
    password = _password(twice=True)
    if not SHORTEST <= len(password) <= MAX_PASSWORD or not password.isprintable():
        raise click.UsageError(f"a password has {SHORTEST} to {MAX_PASSWORD} printable characters")
    until = tables.moment(expires.isoformat()) if expires else 0
    was = known in users
    write_users(path, {**users, known: User(known, hashed(password), kind, until)})
    if as_json:
        print_json({"name": known, "kind": kind, "changed": was, "file": str(path)})
    note(f"{kind}:{known} is {'changed' if was else 'added'} in {path}")


@command.command("remove")
@config_option
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _remove(settings: Settings, name: str, *, as_json: bool) -> int:
    """Remove NAME: what it holds open is refused within a second."""
    from sluice.cli import FOUND
    from sluice.identity.users import username, write_users

    path, users = _file(settings)
    known = username(name)
    if known not in users:
        if as_json:
            print_json({"name": known, "removed": False, "file": str(path)})
        note(f"{path} has no user of this name")
        return FOUND
    write_users(path, {k: v for k, v in users.items() if k != known})
    if as_json:
        print_json({"name": known, "removed": True, "file": str(path)})
    note(f"{known} is removed from {path}")
    return 0


@command.command("list")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _list(settings: Settings, *, as_json: bool) -> None:
    """The users. Never prints a hash."""
    import datetime as dt

    _, users = _file(settings)
    rows = [
        {
            "name": user.name,
            "kind": user.kind,
            "expires": dt.datetime.fromtimestamp(user.expires / 1e9, dt.UTC).isoformat() if user.expires else None,
        }
        for user in sorted(users.values(), key=lambda user: user.name)
    ]
    if as_json:
        print_json(rows)
    else:
        table(("name", "kind", "expires"), [tuple(row.values()) for row in rows])


@command.command("check", short_help="Whether a password is the one of NAME.")
@config_option
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _check(settings: Settings, name: str, *, as_json: bool) -> int:
    """Whether a password (read without echo, or from stdin) is the one of NAME, and still counts."""
    import time

    from sluice.cli import FOUND
    from sluice.identity.users import fits, hashed, username

    _, users = _file(settings)
    user = users.get(username(name) or "")
    right = fits(user.hash if user else hashed(""), _password(twice=False)) and user is not None
    if as_json:
        expired = bool(right and user and user.expires and user.expires <= time.time_ns())
        print_json({"right": right and not expired, "expired": expired})
    if not right or user is None:
        note("no: this name and password are not in the file together")
        return FOUND
    if user.expires and user.expires <= time.time_ns():
        note("no: the login has expired")
        return FOUND
    note("yes")
    return 0


def _file(settings: Settings) -> tuple[Path, dict[str, User]]:
    from sluice.errors import Misconfigured, Problem
    from sluice.identity.users import read_users

    path = settings.identity.users
    if path is None:
        what = 'is not set; set it (as in `users = "deploy/users"`), and the proxy takes logins after a restart'
        raise Misconfigured(Problem("identity.users", None, what))
    return path, read_users(path) if path.exists() else {}


def _password(*, twice: bool) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    import getpass

    password = getpass.getpass("Password (not shown): ")
    if twice and getpass.getpass("Again: ") != password:
        raise click.UsageError("the two are not the same")
    return password
