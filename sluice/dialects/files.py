"""Files in a request: inline, by address, or by id. Text in them is scanned; everything else is `Unread` and listed.

Called by the dialects with the collector of the request. A file is known by its bytes (`media`), not by its label.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sluice.dialects import media, protobuf
from sluice.errors import Opacity
from sluice.json_body import Json
from sluice.model import Attachment, Role

if TYPE_CHECKING:
    from sluice.dialects.collector import Collector

_SHORT = 512
"""Base64 up to this length is scanned as it stands too: a key in a file's place decodes to nonsense."""
_FRAGMENT = 16
"""Characters from which a piece of text in binary data has a part of its own."""
_VISIBLE = 8
"""Characters from which a piece of text in an image, a recording or an archive is looked at."""
_FRAGMENTS = 200_000
"""Pieces of text taken from one binary; it counts as unread all the same."""


def inline(
    c: Collector,
    at: str,
    value: Json,
    *,
    kind: str | None = None,
    mime: str | None = None,
    name: str | None = None,
    past: bool = False,
) -> None:
    """A file in the body as text: a `data:` URL or bare base64. What is neither is scanned as it stands."""
    if not isinstance(value, str):
        c.leaves(at, value, Role.UNKNOWN, past)
    elif value[:5].lower() == "data:":
        if not data_url(c, at, value, kind=kind, name=name, past=past):
            c.text(at, value, Role.UNKNOWN, past)
    else:
        payload = "".join(value.split()) if "\n" in value or " " in value else value
        if not payload or not media.is_base64(payload):
            c.text(at, value, Role.DOCUMENT, past)
        else:
            _base64(c, at, payload, _Label("inline-base64", "#b64text", kind, mime, name), past)


def data_url(
    c: Collector, at: str, value: str, *, kind: str | None = None, name: str | None = None, past: bool = False
) -> bool:
    """True when `value` is a `data:` URL (RFC 2397) that could be taken apart."""
    url = media.data_url(value)
    if url is None:
        return False
    mime, payload, encoded = url
    if mime.lower() not in media.COMMON:
        c.text(f"{at}#mime", mime, Role.UNKNOWN, past)
    label = _Label("inline-dataurl", "#dataurltext", kind, mime.lower() or None, name)
    if not encoded:
        _bytes(c, at, media.percent_bytes(payload), label, past)
    elif media.is_base64(payload):
        _base64(c, at, payload, label, past)
    else:
        return False
    return True


class _Label:
    """What the request says of an inline file, and how pointers into its text end."""

    __slots__ = ("kind", "mime", "name", "suffix", "transport")

    def __init__(self, transport: str, suffix: str, kind: str | None, mime: str | None, name: str | None) -> None:
        self.transport = transport
        self.suffix = suffix
        self.kind = kind
        self.mime = mime
        self.name = name


def _base64(c: Collector, at: str, payload: str, label: _Label, past: bool) -> None:
    head = media.base64_bytes(payload, media.HEAD)
    known = None if head is None else media.magic(head, label.mime, label.name)
    if known is not None:  # an image of megabytes need not be decoded to be named
        kind, reason = known
        size = len(payload.rstrip("=")) * 3 // 4
        attach(c, at, _kind(label.kind, kind), label.transport, label.mime, size, label.name)
        c.unseen(at, kind, size, reason)
        most = None if media.readable(head or b"") else media.ends(size, reason)
        if most is None:
            pieces = [media.base64_bytes(payload) or head or b""]
        else:
            letters = most // 3 * 4
            tail = (len(payload) - letters) // 4 * 4
            pieces = [media.base64_bytes(payload[:letters]) or b"", media.base64_bytes(payload[tail:]) or b""]
        visible(c, at + label.suffix, pieces)
        return
    data = media.base64_bytes(payload)
    if data is None:  # a lone last letter
        c.text(at, payload, Role.DOCUMENT, past)
    else:
        _bytes(c, at, data, label, past)
        if len(payload) <= _SHORT or media.plain(data) is None:
            c.text(at, payload, Role.UNKNOWN, past)  # letters of base64 that are no known file may be a secret's own


def _bytes(c: Collector, at: str, data: bytes, label: _Label, past: bool) -> None:
    content(
        c, at, data, label.transport, kind=label.kind, mime=label.mime, name=label.name, past=past, suffix=label.suffix
    )


def _kind(declared: str | None, seen: str) -> str:
    """A block for documents takes anything; one for images says what it holds."""
    return seen if declared in (None, "document") else declared


def content(
    c: Collector,
    at: str,
    data: bytes,
    transport: str,
    *,
    kind: str | None = None,
    mime: str | None = None,
    name: str | None = None,
    charset: str | None = None,
    past: bool = False,
    suffix: str = "",
) -> str | None:
    """The bytes of a file. Returns its text, which has become a part, or None when the file is unread."""
    seen = media.look(data, mime, name, charset)
    attach(c, at, _kind(kind, seen.kind), transport, mime, len(data), name)
    if seen.text is not None:
        c.text(at + suffix, seen.text, Role.DOCUMENT, past)
        return seen.text
    c.unseen(at, seen.kind, len(data), seen.reason or Opacity.BINARY)
    known(c, at + suffix, data, mime, name)
    return None


def known(c: Collector, at: str, data: bytes, mime: str | None, name: str | None = None) -> None:
    """The text that shows in bytes that are no text: all of it in an unknown format and in text with a false mark; of
    a large image or recording what stands at its two ends."""
    found = media.magic(data, mime, name)
    if found is None:
        fragments(c, at, protobuf.runs(data))
        return
    most = None if media.readable(data) else media.ends(len(data), found[1])
    visible(c, at, [data] if most is None else [data[:most], data[-most:]])


def visible(c: Collector, at: str, pieces: Iterable[bytes]) -> None:
    """Each text of some length once: pixels and samples show short ones by chance, and the same again and again."""
    texts = dict.fromkeys(text for piece in pieces for text in protobuf.runs(piece) if len(text) >= _VISIBLE)
    fragments(c, f"{at}/#runs", texts)


def fragments(c: Collector, at: str, found: Iterable[str]) -> None:
    """Text found in binary data. Short pieces share a part, a line each: there may be thousands of them."""
    pieces: list[str] = []
    for index, text in enumerate(islice(found, _FRAGMENTS)):
        if len(text) >= _FRAGMENT:
            c.text(f"{at}/{index}", text, Role.UNKNOWN)
        elif text:
            pieces.append(text)
    if pieces:
        c.text(f"{at}/#short", "\n".join(pieces), Role.UNKNOWN)


def attach(
    c: Collector,
    at: str,
    kind: str,
    transport: str,
    mime: str | None = None,
    size: int | None = None,
    name: str | None = None,
    *,
    url: str | None = None,
    file_id: str | None = None,
) -> None:
    """A row of the file list."""
    c.files.append(Attachment(at, kind, mime, transport, size, name, url, file_id))


def remote(
    c: Collector,
    at: str,
    value: Json,
    *,
    kind: str = "other",
    mime: str | None = None,
    named: bool = False,
    past: bool = False,
) -> None:
    """A file that the service will fetch. The address is text that leaves; `named`: its last segment is a name."""
    if not isinstance(value, str):
        c.leaves(at, value, Role.UNKNOWN, past)
    elif value[:5].lower() == "data:":
        inline(c, at, value, kind=kind, past=past)
    elif value:
        attach(c, at, kind, "url", mime, name=_last_segment(value) if named else None, url=value)
        c.unseen(at, kind, 0, Opacity.REMOTE_URL)
        c.url(at, value, past)


def _last_segment(url: str) -> str | None:
    try:
        last = urlsplit(url).path.rpartition("/")[2]
    except ValueError:
        return None
    return last if "." in last else None


def uploaded(c: Collector, at: str, value: Json, *, kind: str = "document", past: bool = False) -> None:
    """A file that was sent earlier, by its id."""
    if isinstance(value, str) and value:
        attach(c, at, kind, "file_id", file_id=value)
        c.unseen(at, kind, 0, Opacity.FILE_ID)
    c.leaves(at, value, Role.UNKNOWN, past)
