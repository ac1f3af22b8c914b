"""A process that writes to a ledger as hard as it can, and says on stdout what was acknowledged to it.

    python -m tests.ledger.busy_writer DIRECTORY SEGMENT_BYTES TASKS [COMMITS]

One line per acknowledged record: `<seq> <leaf hash>`. Ends with `failed` and exit code 75 when the ledger fails; with
COMMITS each task makes so many, and the ledger is closed in order.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from sluice.errors import Unavailable
from sluice.ledger import writer
from tests.ledger.ledger_rig import make_record

LEDGER_FAILED = 75


async def main(directory: Path, segment_bytes: int, tasks: int, commits: int = 1_000_000) -> int:
    try:
        ledger = writer.open_stream(directory, node="n", slot=0, segment_bytes=segment_bytes, disk_low_bytes=0)
    except Unavailable:
        os.write(1, b"failed\n")
        return LEDGER_FAILED

    async def work(task: int) -> None:
        for n in range(commits):
            receipt = await ledger.commit(make_record(task * 1_000_000 + n, size=200))
            os.write(1, f"{receipt.seq} {receipt.leaf_hash.hex()}\n".encode())

    try:
        await asyncio.gather(*(work(n) for n in range(tasks)))
    except Unavailable:
        os.write(1, b"failed\n")
        return LEDGER_FAILED
    ledger.close()
    return LEDGER_FAILED if ledger.failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]), *map(int, sys.argv[2:]))))
