"""What the sealer has put on record in its own stream, so that a restart does not say it again, and so that whoever
deletes segments knows that the deletion is on record: `var/seal/announced.json`.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from sluice import durable

FILE = "announced.json"


class Announced(msgspec.Struct, forbid_unknown_fields=True):
    """The key in force, what was pruned below, how far each stream was sealed."""

    key: str = ""
    pruned: dict[str, int] = {}
    sizes: dict[str, int] = {}


def read(seal: Path) -> Announced:
    """What was said; nothing where the file is gone or torn: then it is said once more, which harms nobody."""
    try:
        return msgspec.json.decode((seal / FILE).read_bytes(), type=Announced)
    except (OSError, msgspec.MsgspecError):
        return Announced()


def write(seal: Path, announced: Announced) -> None:
    """Replace it, durably. Raises OSError."""
    durable.write(seal / FILE, msgspec.json.encode(announced) + b"\n", durable.SHARED)
