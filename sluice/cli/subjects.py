"""`sluice subjects`: the name behind a pseudonym, for whoever may know it."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import config_option, note, print_json

if TYPE_CHECKING:
    from sluice.config import Settings


@click.group("subjects", short_help="The name behind a pseudonym; looking is recorded.")
def command() -> None:
    """Records hold pseudonyms. The names are below `var/identity`, sealed under a key of their own."""


@command.command("reveal")
@config_option
@click.argument("pseudonym")
@click.option("--reason", required=True, help="Case, request or incident; it goes into the ledger.")
@click.option(
    "--approved-by", metavar="NAME", help="A second person: a user of `identity.users`, who gives a password."
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _reveal(settings: Settings, pseudonym: str, reason: str, approved_by: str | None, *, as_json: bool) -> int:
    """Print who PSEUDONYM (a `subject_id`) is. The ledger says before that who asked, and why.

    With `identity.reveal_approved` a second person has to approve: somebody of `identity.users` who is not the one
    that asks.
    """
    from sluice import subjects
    from sluice.cli import FOUND

    if not reason.strip():
        raise click.UsageError("--reason must say why")
    by = getpass.getuser()
    approver = _approver(settings, approved_by, by) if approved_by or settings.identity.reveal_approved else None
    name = subjects.reveal(settings, pseudonym.strip().lower(), by=by, reason=reason.strip(), approved_by=approver)
    if as_json:
        print_json({"pseudonym": pseudonym.strip().lower(), "name": name})
    if name is None:
        note("no name is known of this pseudonym; that it was looked up is recorded")
        return FOUND
    if not as_json:
        click.echo(name)
    return 0


def _approver(settings: Settings, name: str | None, by: str) -> str:
    """The second person, proven by a password."""
    from sluice.errors import Misconfigured, Problem
    from sluice.identity.users import fits, hashed, read_users, username

    if name is None:
        raise click.UsageError("--approved-by is needed: `identity.reveal_approved` asks for a second person")
    known = username(name)
    if known is None or known == username(by):
        raise click.UsageError("--approved-by must name another person than the one that asks")
    if settings.identity.users is None:
        raise Misconfigured(Problem("identity.users", None, "is not set; approving needs users with passwords"))
    user = read_users(settings.identity.users).get(known)
    password = getpass.getpass(f"Password of {known} (not shown): ")
    if not fits(user.hash if user else hashed(""), password) or user is None:
        raise click.UsageError("this is not the password of that user")
    return user.subject.id
