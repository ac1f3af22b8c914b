"""multipart/form-data taken apart so that no byte of it goes unseen.

The library splits; this room refuses what readers understand differently: text before the first or after the last
boundary, a boundary inside a part, bare line feeds, a transfer encoding inside a part. What is refused is
`bad_multipart`, and the caller scans the raw bytes instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from copy import replace
from dataclasses import dataclass, field

import multipart

from sluice.errors import Opacity

_PLAIN_DISPOSITION = re.compile(r'form-data; name="[^"\\%]*"(?:; filename="[^"\\%]*")?')
_USUAL = ("content-disposition", "content-type", "content-length", "content-transfer-encoding")
_PLAIN_TYPES = frozenset(
    {
        *("application/json", "application/jsonl", "application/octet-stream", "application/pdf"),
        *("audio/flac", "audio/m4a", "audio/mp3", "audio/mp4", "audio/mpeg", "audio/ogg", "audio/wav", "audio/webm"),
        *("image/gif", "image/jpeg", "image/png", "image/webp", "text/csv", "text/html", "text/markdown", "text/plain"),
    }
)
"""Media types of parts that need no scan. Any other is text that a client wrote, and the library lowers its case."""
_PLAIN_TRANSFER = ("binary", "8bit", "7bit")


@dataclass(frozen=True, slots=True)
class FormPart:
    """**P** One part. `extra` holds header lines that are more than a name, a file name and a usual media type; they
    leave with the request and are scanned like any other text."""

    name: str
    filename: str | None = field(repr=False)
    media_type: str | None
    charset: str | None
    data: bytes = field(repr=False)
    extra: str = field(default="", repr=False)


def split(data: bytes, boundary: str | None, *, parts: int) -> tuple[FormPart, ...] | Opacity:
    """The parts of a form in order, at most `parts` of them. Never raises; returns `BAD_MULTIPART` or `PART_LIMIT`."""
    if boundary is None:
        return Opacity.BAD_MULTIPART
    mark = b"--" + boundary.encode("ascii", "replace")
    end = mark + b"--"
    if not data.startswith(mark) or not data.rstrip(b"\r\n").endswith(end) or data.count(end) != 1:
        return Opacity.BAD_MULTIPART
    found: list[FormPart] = []
    chunks: list[bytes] = []
    current: multipart.MultipartSegment | None = None
    try:
        with multipart.PushMultipartParser(boundary, max_segment_count=parts, strict=True) as parser:
            for event in parser.parse(data):
                if isinstance(event, multipart.MultipartSegment):
                    current, chunks = event, []
                elif event is not None:
                    chunks.append(bytes(event))
                elif current is not None:
                    found.append(_part(current, b"".join(chunks)))
    except multipart.ParserLimitReached:
        return Opacity.PART_LIMIT
    except (multipart.MultipartError, ValueError):
        return Opacity.BAD_MULTIPART
    return _with_raw_names(found, data, mark) if any(part.extra for part in found) else tuple(found)


def _with_raw_names(found: list[FormPart], data: bytes, mark: bytes) -> tuple[FormPart, ...] | Opacity:
    """The library changes the case of header names; they leave with the case that they have, and a key has a case."""
    heads = [block.partition(b"\r\n\r\n")[0] for block in (b"\r\n" + data).split(b"\r\n" + mark + b"\r\n")[1:]]
    if len(heads) != len(found):
        return Opacity.BAD_MULTIPART
    out: list[FormPart] = []
    for part, head in zip(found, heads, strict=True):
        names = [line.partition(b":")[0].decode("utf-8", "replace").strip() for line in head.split(b"\r\n")]
        odd = [name for name in names if name.lower() not in _USUAL and name != name.title()]
        out.append(replace(part, extra="\n".join([part.extra, *odd])) if odd else part)
    return tuple(out)


def _part(segment: multipart.MultipartSegment, data: bytes) -> FormPart:
    """Raises ValueError for a part whose content a service may decode once more."""
    return FormPart(
        name=segment.name or "",
        filename=segment.filename,
        media_type=segment.content_type or None,
        charset=segment.charset.lower() if segment.charset else None,
        data=data,
        extra="\n".join(_unusual(segment.headerlist)),
    )


def _unusual(headers: Iterable[tuple[str, str]]) -> Iterable[str]:
    dispositions = 0
    for name, value in headers:
        if name == "Content-Transfer-Encoding":
            if value.strip().lower() not in _PLAIN_TRANSFER:
                raise ValueError("transfer encoding inside a part")
        elif name == "Content-Disposition":
            dispositions += 1
            if dispositions > 1 or not _PLAIN_DISPOSITION.fullmatch(value):
                yield f"{name}: {value}"
        elif name != "Content-Length" and not (name == "Content-Type" and value in _PLAIN_TYPES):
            yield f"{name}: {value}"
