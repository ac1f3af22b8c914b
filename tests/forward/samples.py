"""One OCSF event of each class on stdout, for the schema checker of `deploy/lint.sh`."""

from __future__ import annotations

from sluice.forward import events
from tests.forward.test_event_forms import KINDS

if __name__ == "__main__":
    for told, _ in KINDS:
        print(events.ocsf(told).decode())
