"""`sluice keys`: the versions of the fingerprint key, and the fingerprint that a given value has under each of them."""

from __future__ import annotations

import difflib
import sys
from typing import TYPE_CHECKING

import click

from sluice.cli.terminal import complain, config_option, note, print_json, table

if TYPE_CHECKING:
    from sluice.config import Settings
    from sluice.keys import Key

NONE = 1
COLUMNS = {
    "secret": "key_fp, and matches.fingerprint of every secret.* class",
    "credential": "key_fp (the register of keys)",
    "subject": "subject_id",
    "groups": "groups_hash",
    "session": "session_id",
    "conversation": "conversation_fp",
    "trace": "trace_id",
    "response": "response_fp, previous_response_ref",
    "body": "body_hmac",
}
"""Kinds of value beside the data classes of `signatures/vocabulary.toml`, and the columns with their fingerprints."""


@click.group("keys", short_help="Show, rotate or destroy fingerprint keys; look a value up.")
def command() -> None:
    """The key under which records hold fingerprints instead of values.

    Every record names its key (`hmac_key_id`). After `keys rotate` and a restart new records use the new key; old rows
    stay searchable with `keys fingerprint` for as long as the old key is kept. `keys destroy` ends that for good.
    """


@command.command("show", short_help="List the keys, and which one is in force.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _show(settings: Settings, *, as_json: bool) -> int:
    """List the keys: name, age, which one is in force. Never prints a key.

    In force is what new records carry: the newest, or an earlier one for as long as workers run that began with it.
    """
    from sluice import keys

    if not _made(settings):
        return NONE
    _print(keys.versions(settings), as_json=as_json)
    return 0


@command.command("rotate")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _rotate(settings: Settings, *, as_json: bool) -> None:
    """Make a new key. It is used, and its use recorded, from the workers' next start."""
    from sluice import keys

    made = keys.rotate(settings)
    note(f"{made.id} is made; restart the appliance to use it. Back up {settings.keys_dir}")
    _print(keys.versions(settings), as_json=as_json)


@command.command("destroy", short_help="Destroy an earlier key for good.")
@config_option
@click.argument("key_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _destroy(settings: Settings, key_id: str, *, yes: bool, as_json: bool) -> None:
    """Destroy an earlier key: no value can be linked to the fingerprints of its time any more.

    Refused for the newest key, and for one that running workers still use. Put on record first (a control record
    `key_destruction`). This cannot be undone. Copies in backups have to be destroyed too.
    """
    import getpass
    import json
    import time

    from sluice import keys, subjects
    from sluice.model import Record, RecordType

    if not yes:
        click.confirm(
            f"Destroy {key_id}? Rows with this hmac_key_id can never be searched for a value again", abort=True
        )
    detail = json.dumps({"by": getpass.getuser(), "hmac_key_id": key_id}, ensure_ascii=False, sort_keys=True)
    act = Record(
        record_type=RecordType.CONTROL,
        decision_id="",
        ts_received=time.time_ns() // 1000,
        control_kind="key_destruction",
        control_detail=detail,
    )
    keys.destroy(settings, key_id, lambda: subjects.put_on_record(settings, act))
    if as_json:
        print_json({"destroyed": key_id})
    note(f"{key_id} is destroyed")


@command.command("fingerprint", short_help="Print the fingerprint of a value under every key.")
@config_option
@click.option("--kind", required=True, metavar="KIND", help="secret, a data class (financial.card ...), or see below.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def _fingerprint(settings: Settings, kind: str, *, as_json: bool) -> int:
    """Print the fingerprint of a value under every key: what to look for in the events, for a data subject's request
    or after a leak. The value is read from stdin, without echo from a terminal, and is not kept.

    A subject is spelled as records spell it: `Bob@example.com` is `user:bob@example.com`; `service:`, `device:` and
    `team:` stand before what is no person; an address is an address.

    Kinds: secret, credential (the same fingerprint), subject, groups, session, conversation, trace, response, body (a
    file's bytes), and the data classes of `sluice scan`.
    """
    from sluice import keys
    from sluice.config import signatures_dir
    from sluice.detect import packs
    from sluice.detect.evidence import Fingerprinter, normalised, purpose

    classes = packs.load_vocabulary(signatures_dir() / "vocabulary.toml").classes
    if kind not in COLUMNS and kind not in classes:
        close = difflib.get_close_matches(kind, (*COLUMNS, *classes), n=3)
        meant = f"; did you mean {' or '.join(f'`{c}`' for c in close)}?" if close else ""
        what = f"`{kind}` is neither {', '.join(COLUMNS)} nor a data class of vocabulary.toml{meant}"
        raise click.BadParameter(what, param_hint="--kind")
    if not _made(settings):
        return NONE
    value: str | bytes = _value(raw=kind == "body")
    if not value:
        raise click.UsageError("no value on stdin")
    if kind == "subject" and isinstance(value, str):
        value = _subject(value)
    domain = kind
    if isinstance(value, str) and (kind in ("secret", "credential") or kind in classes):
        data_class = "secret." if kind in ("secret", "credential") else kind
        domain, value = purpose(data_class), normalised(data_class, value)
    found = [
        {"hmac_key_id": k.id, "fingerprint": Fingerprinter(k.secret, k.id).fingerprint(domain, value)}
        for k in keys.versions(settings)
    ]
    if as_json:
        print_json(found)
        return 0
    table(("hmac_key_id", "fingerprint"), [(row["hmac_key_id"], row["fingerprint"]) for row in found])
    note(f"in {COLUMNS.get(kind, 'matches.fingerprint')}")
    return 0


def _subject(value: str) -> str:
    """How records spell a subject: an address as it is, and a name with its kind, a person's without one."""
    import ipaddress

    from sluice.identity.names import subject_id

    try:
        return str(ipaddress.ip_network(value)).removesuffix("/32").removesuffix("/128")
    except ValueError:
        return subject_id(value) or value


def _made(settings: Settings) -> bool:
    """Whether there is a key. Looking makes none: it would belong to whoever looked, not to the appliance's account."""
    if any(settings.keys_dir.glob("fingerprint-k*.key")):
        return True
    complain(f"there is no key in {settings.keys_dir} yet: sluice-proxy makes one at its first start")
    return False


def _value(*, raw: bool) -> str | bytes:
    """What is on stdin, less the line end; the bytes as they are for a body."""
    if raw:
        return sys.stdin.buffer.read()
    if sys.stdin.isatty():
        import getpass

        return getpass.getpass("Value (not shown): ")
    return sys.stdin.read().rstrip("\r\n")


def _print(found: list[Key], *, as_json: bool) -> None:
    import datetime as dt

    rows = [
        {
            "hmac_key_id": k.id,
            "made": dt.datetime.fromtimestamp(k.made_at, dt.UTC).isoformat(timespec="seconds"),
            "in_force": k.in_force,
            "file": str(k.path),
        }
        for k in found
    ]
    if as_json:
        print_json(rows)
    else:
        shown = [row | {"in_force": "yes" if row["in_force"] else "no"} for row in rows]
        table(tuple(rows[0]), [tuple(row.values()) for row in shown])
