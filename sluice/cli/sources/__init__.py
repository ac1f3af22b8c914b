"""What a file holds, as texts to scan: `read` takes a file apart, `walk.files` finds the files.

 compressed       gzip, zstd, brotli (by name): undone, one inside the other to a depth of `DEPTH`
 archives         zip (Office files are such) and tar: each member as a file of its own
 HAR, flow files  each request goes the way that the gate would let it go: codings, dialect, parts
 *.request.json   as `sluice explain` reads it
 JSON lines       with `--text-field`: the texts of that field, line by line
 anything else    text in UTF-8, UTF-16 or UTF-32, else Latin-1

Nothing is passed over in silence: what was not read is a `Skipped` with its reason. All of it is bounded, because a
file is as hostile as whoever wrote it: `Bounds` counts decoded bytes and members over one file and all that is in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sluice.model import Part, PartKind, Provenance, Role, Target

DEPTH = 4
"""Containers inside containers that are opened."""

BINARY, SYMLINK, SPECIAL, EXCLUDED = "binary", "symbolic link", "not a regular file", "excluded"
PASSED_OVER = frozenset({BINARY, SYMLINK, SPECIAL, EXCLUDED})
"""Reasons that are no failure within a folder: there is no text in it, or it lies elsewhere."""


@dataclass(frozen=True, slots=True)
class Document:
    """**P** The texts of one place. `name` is the file, and after `!` what is inside of it; `size` in bytes as read.

    `target`: where a request would go; `line` what is added to the line of a finding. `whole` is False for the texts
    of a request, whose places are pointers and not lines; `row` is True where all stand on one line of the file.
    """

    name: str
    parts: tuple[Part, ...] = field(repr=False)
    size: int
    target: Target | None = None
    line: int = 0
    whole: bool = True
    row: bool = False


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was not read, and why."""

    name: str
    reason: str
    size: int | None = None

    @property
    def failed(self) -> bool:
        """True when text may have been missed; False when there was none to read."""
        return self.reason not in PASSED_OVER


type Item = Document | Skipped


@dataclass(slots=True)
class Bounds:
    """What one file may still cost: decoded bytes and members, counted over everything inside of it."""

    size: int = 256 * 1024 * 1024
    ratio: int = 200
    members: int = 10_000

    def most(self, wire: int) -> int:
        """Bytes that something of `wire` bytes may decode to now."""
        return min(self.size, max(16 * 1024 * 1024, wire * self.ratio))


def part(text: str, pointer: str = "") -> Part:
    """A text that stands in no request."""
    return Part(pointer, Role.USER, PartKind.TEXT, Provenance.USER, text)
