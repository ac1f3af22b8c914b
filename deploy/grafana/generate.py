"""Writes the dashboards below `dashboards/`: `python deploy/grafana/generate.py`. `--check`: are they up to date?"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import evidence
import exchange
import network
import posture
import soc
from grafana_foundation_sdk.cog.encoder import JSONEncoder

HERE = Path(__file__).parent / "dashboards"
BOARDS = (soc.BOARD, network.BOARD, evidence.BOARD, posture.BOARD, exchange.BOARD)


def main() -> str | None:
    """Write them, or say which are out of date."""
    made = {
        HERE / f"{board.uid}.json": json.dumps(board.build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"
        for board in BOARDS
    }
    if "--check" not in sys.argv:
        HERE.mkdir(exist_ok=True)
        for file, text in made.items():
            file.write_text(text)
        return None
    stale = [file.name for file, text in made.items() if not file.is_file() or file.read_text() != text]
    stale += sorted(file.name for file in HERE.glob("*.json") if file not in made)
    return f"not what the code says: {', '.join(stale)}; run `make generate`" if stale else None


if __name__ == "__main__":
    sys.exit(main())
