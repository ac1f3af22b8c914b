"""Is this request head one that every parser on the way will read the same? Pure functions on bytes.

mitmproxy 12.2.3 accepts a bare LF as a line end, folded lines, NUL and bare CR inside a value, and two Host headers
(it joins them). An upstream that reads any of those differently sees another request than the one that was inspected,
so all of them are refused here, before a flow exists. Limits on heads are here as well, since mitmproxy has none.

Source: RFC 9112 sections 2.2, 3, 5.2, 6.1, 7.1.2; RFC 9113 section 8.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar

from sluice.config import Limits
from sluice.errors import Reason
from sluice.value import Value

type Fields = Iterable[tuple[bytes, bytes]]


class Fault(Value, frozen=True):
    """What is wrong with a request. `rule` is from a closed list (metrics); `detail` never quotes the request."""

    rule: str
    detail: str
    reason: Reason = Reason.BAD_REQUEST
    status: int = 400
    recorded: bool = True


class Head(Value, frozen=True):
    """**P** (credential) The few fields of a sound head that the proxy itself acts on, values as they came."""

    HIDDEN: ClassVar[frozenset[str]] = frozenset({"credential"})

    host: str | None = None
    length: int | None = None
    upgrade: str | None = None
    credential: bytes | None = None
    """`Proxy-Authorization`, until `addons.login` takes it out."""


NON_HTTP = Fault("non_http", "the bytes are not an HTTP request", Reason.NON_HTTP)
TOO_SLOW = Fault("head_slow", "the request head did not arrive in time", status=408, recorded=False)
LINE_END = Fault("line_end", "a line does not end in CRLF")
FOLDED = Fault("folded", "a header line is folded")
CONTROL = Fault("control", "the head holds a control character")
REQUEST_LINE = Fault("request_line", "the request line is malformed")
FIELD = Fault("field", "a header field is malformed")
HEAD_SIZE = Fault("head_size", "the request head is too large")
HEAD_FIELDS = Fault("head_fields", "the request head has too many fields")
TARGET_SIZE = Fault("target_size", "the request target is too long")
TARGET = Fault("target", "the request target does not fit this connection")
ORIGIN = Fault("origin_form", "this is a proxy: it answers no request of its own", recorded=False)
NESTED = Fault("nested_connect", "CONNECT inside a tunnel")
HOST_COUNT = Fault("host_count", "the request must carry exactly one Host")
HOST_FORM = Fault("host_form", "the Host header is malformed")
FRAMING = Fault("framing", "Transfer-Encoding and Content-Length do not say clearly where the body ends")
TRAILERS = Fault("trailers", "trailers are not accepted", Reason.TRAILERS)
EXPECT = Fault("expect", "an expectation other than 100-continue")
HTTP2 = Fault("http2", "the client broke the rules of HTTP/2")
CHUNK = Fault("chunk", "the chunked body is malformed")

_METHOD = rb"[A-Z][A-Z-]{0,23}"
_LINE = re.compile(rb"(" + _METHOD + rb") ([!-~\x80-\xff]+) HTTP/1\.[01]")
_METHOD_ONLY = re.compile(_METHOD)
_BEGINNING = re.compile(rb"[A-Z][A-Z-]{0,23}(?: [!-~\x80-\xff]*(?: (?:H|HT|HTT|HTTP|HTTP/[ -~]*)?)?)?\r?")
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,18}")
_SOUND = bytes(b for b in range(256) if b >= 0x20 and b != 0x7F) + b"\t"
_TWICE = {b"host": HOST_COUNT, b"content-length": FRAMING, b"transfer-encoding": FRAMING}
_NOTABLE = frozenset(
    (
        *(b"host", b"content-length", b"transfer-encoding", b"trailer", b"te", b"expect", b"upgrade"),
        b"proxy-authorization",
    )
)


def beginning(data: bytes, limits: Limits) -> Fault | None:
    """Judge a head that is not complete yet: what can be refused now must not wait for the rest."""
    if len(data) > limits.head_bytes:
        return HEAD_SIZE
    line, found, _ = data.partition(b"\r\n")
    if found or b"\n" in line:
        return _first_line(line) or _lines(data.removesuffix(b"\r"))
    if len(line) > limits.target_bytes + 64:
        return TARGET_SIZE
    return None if _BEGINNING.fullmatch(line) else NON_HTTP


def complete(head: bytes, limits: Limits) -> Fault | None:
    """Judge a complete HTTP/1 head, up to and including the empty line."""
    if len(head) > limits.head_bytes:
        return HEAD_SIZE
    return _first_line(head[: head.find(b"\r\n")]) or _lines(head)


def _first_line(line: bytes) -> Fault | None:
    if _LINE.fullmatch(line):
        return None
    begun = line.partition(b"\n")[0].removesuffix(b"\r")
    if b" HTTP/" not in begun:
        return NON_HTTP
    return LINE_END if b"\n" in line or b"\r" in line else REQUEST_LINE


def _lines(head: bytes) -> Fault | None:
    ends = head.count(b"\r\n")
    if head.count(b"\n") != ends or head.count(b"\r") != ends:
        return LINE_END
    if b"\r\n " in head or b"\r\n\t" in head:
        return FOLDED
    if len(head.translate(None, _SOUND)) != 2 * ends:
        return CONTROL
    return None


def target(form: bytes, method: bytes, *, tunnelled: bool) -> Fault | None:
    """Whether a request target has the form that its place demands (RFC 9112 section 3.2)."""
    if b"#" in form:
        return TARGET
    if tunnelled:
        if method == b"CONNECT":
            return NESTED
        return None if form.startswith(b"/") or (form == b"*" and method == b"OPTIONS") else TARGET
    if method == b"CONNECT":
        return None
    if form.startswith(b"/") or form == b"*":
        return ORIGIN
    return None if form[:7].lower() == b"http://" else TARGET


def survey(fields: Fields, *, http2: bool, method: bytes, path: bytes, limits: Limits) -> Head | Fault:
    """Read the fields once: sound names, one Host, a clear body length, nothing that smuggles.

    For HTTP/2 this is also where characters and sizes are judged; for HTTP/1 `complete` has seen the raw bytes.
    """
    if len(path) > limits.target_bytes:
        return TARGET_SIZE
    if not _METHOD_ONLY.fullmatch(method):
        return REQUEST_LINE
    if http2 and (fault := _characters(fields, path)):
        return fault
    seen: dict[bytes, bytes] = {}
    count = size = 0
    for name, value in fields:
        count += 1
        size += len(name) + len(value) + 4
        if not _NAME.fullmatch(name):
            return FIELD
        if (key := name.lower()) in _NOTABLE:
            if key in seen:
                return _TWICE.get(key, FIELD)
            seen[key] = value
    if count > limits.head_fields:
        return HEAD_FIELDS
    if size > limits.head_bytes:
        return HEAD_SIZE
    return _head(seen, http2=http2, method=method)


def sound_values(fields: Fields) -> bool:
    """True when no value holds a control character. Answers of upstreams are held to this as well."""
    return not b"".join([value for _, value in fields]).translate(None, _SOUND)


def _characters(fields: Fields, path: bytes) -> Fault | None:
    if b" " in path or b"\t" in path or path.translate(None, _SOUND):
        return CONTROL
    return None if sound_values(fields) else CONTROL


def _head(seen: dict[bytes, bytes], *, http2: bool, method: bytes) -> Head | Fault:
    if b"trailer" in seen or (b"te" in seen and not (http2 and seen[b"te"].strip().lower() == b"trailers")):
        # `TE: trailers` is part of gRPC over HTTP/2, where trailers of an answer are passed on. HTTP/1 trailers of an
        # answer cannot be, so a client that asks for them is told at once.
        return TRAILERS
    coding = seen.get(b"transfer-encoding")
    declared = seen.get(b"content-length")
    if coding is not None and (http2 or declared is not None or coding.lower() != b"chunked"):
        return FRAMING
    if declared is not None and not _LENGTH.fullmatch(declared):
        return FRAMING
    if method == b"CONNECT" and (coding is not None or declared not in (None, b"0")):
        return FRAMING  # RFC 9110 section 9.3.6: a CONNECT has no content; what follows belongs to the tunnel
    if b"expect" in seen and seen[b"expect"].lower() != b"100-continue":
        return EXPECT
    host = seen.get(b"host")
    if host is None and not http2 and method != b"CONNECT":
        return HOST_COUNT
    if host is not None and not host.isascii():
        return HOST_FORM
    upgrade = seen.get(b"upgrade")
    return Head(
        host=None if host is None else host.decode("ascii"),
        length=None if declared is None else int(declared),
        upgrade=None if upgrade is None else upgrade.decode("latin-1").strip().lower(),
        credential=seen.get(b"proxy-authorization"),
    )
