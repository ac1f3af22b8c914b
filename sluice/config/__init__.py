"""Settings: `settings` says what there is and why, `file` reads it from one TOML file and `SLUICE_` variables."""

from sluice.config.file import load, locate
from sluice.config.settings import (
    Admin,
    Ca,
    ClickHouse,
    Evidence,
    Identity,
    Limits,
    Paths,
    Proxy,
    Section,
    Settings,
    Tunnels,
    Upstream,
    endpoint,
    project_root,
    schema_dir,
    shipped_policy,
    signatures_dir,
)

__all__ = [
    "Admin",
    "Ca",
    "ClickHouse",
    "Evidence",
    "Identity",
    "Limits",
    "Paths",
    "Proxy",
    "Section",
    "Settings",
    "Tunnels",
    "Upstream",
    "endpoint",
    "load",
    "locate",
    "project_root",
    "schema_dir",
    "shipped_policy",
    "signatures_dir",
]
