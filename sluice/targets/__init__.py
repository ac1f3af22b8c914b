"""Destinations: which host and path is which product of which provider, and whether a request says one host.

The table is data (`signatures/targets.toml`), a site's own file is layered over it. `hosts` spells hosts canonically,
`table` finds the row, `file` reads and checks both files.
"""

from sluice.targets.file import load
from sluice.targets.hosts import agreement, normalise_host, split_port
from sluice.targets.table import Row, Table

__all__ = ["Row", "Table", "agreement", "load", "normalise_host", "split_port"]
