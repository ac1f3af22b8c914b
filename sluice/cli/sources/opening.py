"""Takes a file apart by what it is: its bytes decide, and its name only where the bytes cannot say it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sluice.cli.sources import DEPTH, Bounds, Item, Skipped, containers, requests, texts
from sluice.cli.sources.flows import is_flows
from sluice.config import Limits
from sluice.model import Destinations


@dataclass(frozen=True, slots=True)
class Opener:
    """What reading a file needs: the destination table for requests, their limits, and the field of JSON lines."""

    table: Destinations
    limits: Limits
    text_field: str | None = None

    def read(
        self, name: str, data: bytes, bounds: Bounds | None = None, depth: int = 0, known_as: str = ""
    ) -> Iterator[Item]:
        """Every text in a file, and what of it was not read. `known_as`: its name without the endings of codings."""
        bounds = bounds or Bounds()
        lower = (known_as or name).lower()
        if how := containers.coding(lower, data):
            if depth >= DEPTH:
                yield Skipped(name, "nested too deeply", len(data))
                return
            inside = containers.undo(name, data, how, bounds)
            if isinstance(inside, Skipped):
                yield inside
            else:
                yield from self.read(name, inside, bounds, depth + 1, _bare(lower))
        elif containers.is_zip(data) or containers.is_tar(data):
            if depth >= DEPTH:
                yield Skipped(name, "nested too deeply", len(data))
                return
            for found in containers.members(name, data, bounds):
                if isinstance(found, Skipped):
                    yield found
                else:
                    yield from self.read(found[0], found[1], bounds, depth + 1)
        elif what := containers.unread(data):
            yield Skipped(name, f"not read: {what}", len(data))
        elif lower.endswith(".request.json"):
            yield from requests.request_file(name, data, self.table, self.limits)
        elif lower.endswith(".har"):
            yield from requests.har(name, data, self.table, self.limits)
        elif is_flows(data):
            yield from requests.flow_file(name, data, self.table, self.limits)
        elif self.text_field and lower.endswith((".jsonl", ".ndjson")):
            yield from texts.lines(name, data, self.text_field)
        else:
            yield from texts.plain(name, data)


def _bare(name: str) -> str:
    """`notes.txt.gz` -> `notes.txt`, so that what is inside is known by its own name; `x.tgz` stays."""
    stem, dot, end = name.rpartition(".")
    return stem if dot and end.lower() in ("gz", "zst", "br") else name
