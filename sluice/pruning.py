"""Deleting the oldest segments of a ledger: the note first, then what the sealer has put on record.

Which segments may go is for the shipper to find out, which asks the store. Where processes have accounts of their own
it has no right to the ledger, so it leaves a wish, `var/ship/prune/<stream>` with a number: records below it may go.
The supervisor looks for wishes and starts this module under the account of the stream (`python -m sluice.pruning`),
which takes the shipper's word for the store alone: that the records are old enough, under a checkpoint and on record as
pruned it looks up itself. What a wish says beyond that is not done.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from sluice import config, durable, logs, metrics
from sluice.config import Settings
from sluice.ledger import pruned, segment
from sluice.ledger.pruned import BadNote, Pruned
from sluice.seal import announced as announcements
from sluice.seal.keys import sizes

log = logging.getLogger("sluice.pruning")

DAY_SECONDS = 86_400.0
LARGEST_WISH = 20


def is_over(file: Path, keep_days: float, now: float) -> bool:
    """Whether a segment has been closed for as long as the site keeps them. Raises OSError."""
    return now - file.stat().st_mtime > keep_days * DAY_SECONDS


def take(stream: Path, below: int, *, announced: int, now: float) -> list[str]:
    """Note that the records below a number may go, and delete the segments that the sealer has on record; their names.
    A note that cannot be written keeps everything. Raises OSError."""
    gone = []
    names = segment.segments(stream)
    try:
        following = next((f for f in names if segment.named(f)[1] == below), None)
        if below <= 0 or following is None:
            return []
        _note(stream, below, stream / following, now)
    except (BadNote, ValueError) as e:
        log.error("a segment is kept: the note about it cannot be written", extra={"facts": {"why": str(e)}})
        return []
    for name, following in pairwise(names):
        if segment.named(following)[1] <= min(below, announced):
            (stream / name).unlink()
            gone.append(name)
    if gone:
        metrics.LEDGER_PRUNED.inc(len(gone))
        log.info("segments were deleted", extra={"facts": {"stream": stream.name, "segments": len(gone)}})
    return gone


def _note(stream: Path, upto: int, following: Path, now: float) -> None:
    """Say that the records below a number may go, unless that was said. Raises `BadNote`, ValueError, OSError."""
    said = pruned.read(stream)
    if upto > (said.below_seq if said else 0):
        with open(following, "rb", opener=_unfollowed) as file:
            before = segment.unpack(file.read(segment.HEADER_BYTES)).prev_hash
        pruned.write(stream, Pruned(upto, before.hex(), round(now * 1_000_000)))


def _unfollowed(path: str, flags: int) -> int:
    """No link, and no waiting for a pipe: the directory is another account's."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def wish(ship: Path, stream: str, below: int) -> None:
    """Leave word that the records of a stream below a number may go. Raises OSError."""
    (box := ship / "prune").mkdir(mode=0o750, parents=True, exist_ok=True)
    durable.write(box / stream, f"{below}\n".encode(), durable.SHARED)


@dataclass(frozen=True, slots=True)
class Due:
    """What may be deleted of a stream now: the records below a number, as far as the sealer has put it on record."""

    stream: Path
    owner: int
    below: int
    announced: int


def due(settings: Settings) -> list[Due]:
    """The wishes that may be fulfilled. Raises OSError."""
    box = settings.paths.var / "ship" / "prune"
    streams = segment.streams(settings.ledger_dir) if box.is_dir() else []
    wanted = {stream: number for stream in streams if (number := _number(box / stream.name))}
    if not wanted:
        return []
    now, found = time.time(), []
    sealed, told = sizes(settings.seal_dir), announcements.read(settings.seal_dir).pruned
    for stream, upto in wanted.items():
        below, announced = 0, told.get(stream.name, 0)
        for first, following in pairwise(segment.segments(stream)):
            end = segment.named(following)[1]
            over = is_over(stream / first, settings.evidence.keep_days, now)
            if not over or end > min(upto, sealed.get(stream.name, 0)):
                break
            below = end
        noted = note.below_seq if (note := pruned.read(stream)) else 0
        if below > noted or (below and announced >= segment.named(segment.segments(stream)[1])[1]):
            found.append(Due(stream, stream.stat().st_uid, below, announced))
    return found


def fulfil(settings: Settings) -> int:
    """Delete what may go of the streams of this account; how many segments. Raises OSError."""
    mine = [one for one in due(settings) if one.owner == os.geteuid()]
    return sum(len(take(one.stream, one.below, announced=one.announced, now=time.time())) for one in mine)


def _number(file: Path) -> int:
    """The number in a wish; 0 for no wish, and for what is none."""
    try:
        text = segment.content(file)[: LARGEST_WISH + 1].strip()
    except OSError:
        return 0
    return int(text) if text.isdigit() and len(text) < LARGEST_WISH else 0


def main() -> None:
    """One look at the wishes, as the account whose streams they are about."""
    logs.setup("pruning")
    settings = config.load(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    os.umask(settings.umask)
    fulfil(settings)


if __name__ == "__main__":
    main()
