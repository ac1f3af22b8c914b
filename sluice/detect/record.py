"""`python -m sluice.detect.record`: note the content of each detector's revision in `signatures/revisions.toml`.

Run after a detector was added or its `rev` was raised; refuses where content changed under the same `rev`.
"""

from __future__ import annotations

import sys

from sluice import config
from sluice.detect import lint


def main() -> str | int:
    """Record. Returns what stands in the way, line by line, or 0."""
    signatures = config.signatures_dir()
    problems = lint.record_revisions(signatures / "packs", signatures / "vocabulary.toml")
    return "\n".join(map(str, problems)) or 0


if __name__ == "__main__":
    sys.exit(main())
