"""What `sluice edm`, `docs` and `known-secrets` have in common: keys, time, what an index says of itself."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluice.cli.terminal import console, print_json, text

if TYPE_CHECKING:
    from sluice.config import Settings
    from sluice.detect.own.index import Index


def keys_of(settings: Settings) -> dict[str, bytes]:
    """The deployment's keys by name, the one in force last; the first is made when there is none."""
    from sluice import keys

    return keys.secrets_by_name(settings)


def now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def opened(file: Path, kind: str, settings: Settings) -> Index:
    """Raises `Misconfigured` for a file that the gate would refuse."""
    from sluice.detect.own import index

    return index.load(file, kind, keys_of(settings))


def facts(index: Index) -> dict[str, Any]:
    head = index.head
    size = index.path.stat().st_size
    return {"file": str(index.path), "key": head.key_id, "made": head.made, "bytes": size, "digest": index.digest[:16]}


def show(values: dict[str, Any], *, as_json: bool) -> None:
    """Name and value, one a line."""
    if as_json:
        print_json(values)
        return
    out = console()
    for name, value in values.items():
        for number, one in enumerate(value if isinstance(value, list) else [value]):
            out.print(text(f"{name if number == 0 else '':<13}", "bold") + text(one), soft_wrap=True)
