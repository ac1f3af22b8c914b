"""What the tests of the site's own data share: a deployment in a directory of its own, and ways to ask it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sluice import keys
from sluice.config import Own, Paths, Settings
from sluice.detect.engine import Engine
from sluice.detect.evidence import Fingerprinter
from sluice.detect.own import site
from sluice.detect.own.site import OwnData
from sluice.model import Detector, Part, PartKind, Provenance, Role, Scan, Severity
from sluice.owndata import rows

NOW = "2026-11-24T00:00:00+00:00"
EMAIL = Detector(
    id="x.nothing", rev=1, title="t", why="w", data_class="contact.email", severity=Severity.LOW, regulations=(),
    pattern="zqzqzqzq[0-9]{4}", family="x",
)  # fmt: skip
"""The engine wants at least one detector; this one finds nothing in these tests."""


@dataclass
class Deployment:
    """Settings below a directory, and the keys that it has."""

    base: Path
    settings: Settings = field(init=False)

    def __post_init__(self) -> None:
        self.settings = Settings(paths=Paths(var=self.base / "var"))

    @property
    def keys(self) -> dict[str, bytes]:
        return keys.secrets_by_name(self.settings)

    @property
    def newest(self) -> tuple[str, bytes]:
        return list(self.keys.items())[-1]

    def file(self, name: str, content: str | bytes, mode: int = 0o600) -> Path:
        path = self.base / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        return path

    def load(self, own: Own) -> OwnData:
        loaded = site.load(own, self.keys, self.settings.cache_dir)
        assert loaded is not None
        return loaded

    def engine(self, own: Own) -> Engine:
        return Engine((EMAIL,), Fingerprinter(b"k" * 32, "t"), own=self.load(own))

    def rows(self, csv: str | bytes, columns: str, keys: str, **more: object) -> tuple[Path, rows.Report]:
        """An index of a CSV, and what became of it."""
        source = self.file("table.csv", csv)
        out = self.base / "table.edm"
        wanted = rows.Wanted(tuple(columns.split(",")), tuple(keys.split(",")), **more)  # type: ignore[arg-type]
        return out, rows.build(source, out, wanted, *self.newest, NOW, lambda _: None)


def part(text: str) -> Part:
    return Part("/x", Role.USER, PartKind.TEXT, Provenance.USER, text)


def scan(engine: Engine, text: str) -> Scan:
    return engine.scan((part(text),))


def found(engine: Engine, text: str) -> list[tuple[str, str]]:
    """(class, the text found) of each finding."""
    return [(f.data_class, text[f.start : f.end]) for f in scan(engine, text).findings]
