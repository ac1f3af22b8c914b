"""The columns of a destination row as an operator writes them, and what each may hold.

The meaning of the columns is told once, in the header of `signatures/targets.toml`.
"""

from __future__ import annotations

import datetime as dt
import re

import msgspec

from sluice.model import Mode, Status
from sluice.targets.hosts import normalise_host, split_port

KINDS = ("agent", "api", "assistant", "embedding", "gateway", "image", "infra", "speech", "telemetry", "web")
DIALECTS = ("openai", "anthropic", "google", "opaque")
BASES = ("official", "vendor-binary", "client-oss", "community", "unverified", "site")

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_EPOCH = dt.date(1970, 1, 1)
_PATTERN_LABEL = re.compile(r"[a-z0-9_*-]{1,63}")


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `target` as it is written. Empty = not given."""

    id: str = ""
    host: str = ""
    paths: tuple[str, ...] = ()
    provider: str = ""
    product: str = ""
    kind: str = ""
    dialect: str = ""
    status: str = ""
    mode: str = ""
    observe_until: dt.date | None = None
    shared: bool = False
    signed: str = ""
    basis: str = ""
    example: str = ""
    note: str = ""


def faults(entry: Entry) -> list[tuple[str, str]]:
    """What is wrong with an entry's columns, each on its own: (column, complaint)."""
    found: list[tuple[str, str]] = []
    for name, value, known in (
        ("kind", entry.kind, KINDS),
        ("dialect", entry.dialect, DIALECTS),
        ("status", entry.status, tuple(Status)),
        ("mode", entry.mode, tuple(Mode)),
        ("basis", entry.basis, BASES),
    ):
        if value and value not in known:
            found.append((name, f"{name} must be one of {', '.join(known)}, not `{value}`"))
    for name, value in (("id", entry.id), ("provider", entry.provider), ("product", entry.product)):
        if value and not _NAME.fullmatch(value):
            found.append((name, f"{name}: `{value}` must be lower-case letters, digits and hyphens, at most 64"))
    for path in entry.paths:
        if not path.startswith("/") or not path.isprintable() or "?" in path:
            found.append(("paths", f"`{path}` must begin with `/` and hold no query"))
        elif path.count("**") > 1 or path.count("*") > 5:
            found.append(("paths", f"`{path}` may hold `**` once and `*` three times"))
    if (entry.mode == Mode.OBSERVE) != (entry.observe_until is not None):
        found.append(("mode", 'mode "observe" and `observe_until` (a date) go together: observing must end'))
    return found


def host_column(text: str, *, expressions: bool) -> tuple[str, int | None]:
    """The host column in canonical form, and its port. Raises ValueError saying what is wrong."""
    if text.startswith("/"):
        if not expressions:
            raise ValueError("regular expressions are for the shipped table; use `.name` or `a.*.name`")
        try:
            re.compile(text.strip("/"))
        except re.error as e:
            raise ValueError(f"is not a regular expression: {e}") from e
        return text, None
    host, port = split_port(text)
    dot = "." if host.startswith(".") else ""
    if "*" not in host:
        return dot + normalise_host(host.removeprefix(".")), port
    host = host.lower()
    if dot or not all(_PATTERN_LABEL.fullmatch(label) for label in host.split(".")):
        raise ValueError("`*` stands for characters of one label, as in `api.*.example.org`")
    if "*" in "".join(host.split(".")[-2:]):
        raise ValueError("the last two labels of a pattern must be plain")
    return host, port


def end_of_day(day: dt.date) -> int:
    """The end of a day in UTC: nanoseconds since the epoch."""
    days = day.toordinal() - _EPOCH.toordinal() + 1
    return days * 86_400_000_000_000
