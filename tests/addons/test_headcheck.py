"""What a request head may look like, byte by byte. Pure functions, no proxy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons import headcheck
from addons.headcheck import Fault, Head
from sluice.config import Limits

LIMITS = Limits()
GOOD = b"POST /v1/chat HTTP/1.1\r\nHost: api.openai.com\r\nContent-Length: 2\r\n\r\n"

BAD = [
    (b"POST / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", headcheck.FOLDED),
    (b"POST / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\t2\r\n\r\n", headcheck.FOLDED),
    (b"POST / HTTP/1.1\nHost: a\r\n\r\n", headcheck.LINE_END),
    (b"POST / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n", headcheck.LINE_END),
    (b"POST / HTTP/1.1\r\nHost: a\r\nX: 1\r2\r\n\r\n", headcheck.LINE_END),
    (b"POST / HTTP/1.1\r\nHost: a\r\nX: 1\0\r\n\r\n", headcheck.CONTROL),
    (b"POST / HTTP/1.1\r\nHost: a\r\nX: \x0b\r\n\r\n", headcheck.CONTROL),
    (b"POST / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", headcheck.CONTROL),
    (b"POST  / HTTP/1.1\r\nHost: a\r\n\r\n", headcheck.REQUEST_LINE),
    (b"POST\t/ HTTP/1.1\r\nHost: a\r\n\r\n", headcheck.REQUEST_LINE),
    (b"EHLO client\r\n\r\n", headcheck.NON_HTTP),
    (b"PING\n\n\r\n\r\n", headcheck.NON_HTTP),
    (b"POST / HTTP/1.1 \r\nHost: a\r\n\r\n", headcheck.REQUEST_LINE),
    (b"POST / HTTP/2.0\r\nHost: a\r\n\r\n", headcheck.REQUEST_LINE),
    (b"PRI * HTTP/2.0\r\n\r\n", headcheck.REQUEST_LINE),
    (b"POST / HTTP/1.11\r\nHost: a\r\n\r\n", headcheck.REQUEST_LINE),
    (b"post / HTTP/1.1\r\nHost: a\r\n\r\n", headcheck.REQUEST_LINE),
    (b"POST / HTTP/1.1\r\n" + b"X: " + b"a" * 70000 + b"\r\n\r\n", headcheck.HEAD_SIZE),
    (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", headcheck.NON_HTTP),
    (b"\x16\x03\x01\x00\x05hello\r\n\r\n", headcheck.NON_HTTP),
    (b"* LOGIN x\r\n\r\n", headcheck.NON_HTTP),
]


def test_good_head_passes() -> None:
    """An ordinary head is sound, whole and in every beginning of it."""
    assert headcheck.complete(GOOD, LIMITS) is None
    for end in range(1, len(GOOD)):
        assert headcheck.beginning(GOOD[:end], LIMITS) is None, GOOD[:end]


@pytest.mark.parametrize(("head", "fault"), BAD)
def test_bad_head_is_refused(head: bytes, fault: Fault) -> None:
    """Each head that two parsers could read differently is refused, under its own rule."""
    assert headcheck.complete(head, LIMITS) == fault


@pytest.mark.parametrize("start", [b"\x16\x03\x01", b"\0", b"SSH-2.0-x", b"get ", b" GET", b"GET\x00", b"\xff\xfe"])
def test_what_cannot_become_a_request_is_refused_at_once(start: bytes) -> None:
    """Bytes that no valid head begins with do not wait for the deadline."""
    assert isinstance(headcheck.beginning(start, LIMITS), Fault)


def test_long_beginnings_are_refused_at_their_limits() -> None:
    """A head without an end is refused when it passes a limit, not when it ends."""
    assert headcheck.beginning(b"GET /" + b"a" * 20000, LIMITS) == headcheck.TARGET_SIZE
    assert headcheck.beginning(b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 20000, LIMITS) == headcheck.HEAD_SIZE


@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    """Whatever arrives is judged, never an exception."""
    assert headcheck.beginning(data, LIMITS) is None or True
    assert headcheck.complete(data + b"\r\n\r\n", LIMITS) is None or True


def survey(*fields: tuple[bytes, bytes], http2: bool = False, method: bytes = b"POST", path: bytes = b"/") -> object:
    return headcheck.survey(fields, http2=http2, method=method, path=path, limits=LIMITS)


HOST = (b"Host", b"api.openai.com")


def test_survey_reads_what_the_proxy_acts_on() -> None:
    """Host, declared length and upgrade come out as they were sent."""
    found = survey(HOST, (b"content-length", b"17"), (b"Upgrade", b" WebSocket "))
    assert found == Head(host="api.openai.com", length=17, upgrade="websocket")


FIELDS = [
    ((HOST, HOST), headcheck.HOST_COUNT),
    ((), headcheck.HOST_COUNT),
    (((b"Host", b"\xff"),), headcheck.HOST_FORM),
    ((HOST, (b"Content-Length", b"1"), (b"Content-Length", b"1")), headcheck.FRAMING),
    ((HOST, (b"Content-Length", b"1, 1")), headcheck.FRAMING),
    ((HOST, (b"Content-Length", b"+1")), headcheck.FRAMING),
    ((HOST, (b"Content-Length", b"01")), headcheck.FRAMING),
    ((HOST, (b"Content-Length", b"")), headcheck.FRAMING),
    ((HOST, (b"Content-Length", b"1"), (b"Transfer-Encoding", b"chunked")), headcheck.FRAMING),
    ((HOST, (b"Transfer-Encoding", b"gzip, chunked")), headcheck.FRAMING),
    ((HOST, (b"Transfer-Encoding", b"xchunked")), headcheck.FRAMING),
    ((HOST, (b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"chunked")), headcheck.FRAMING),
    ((HOST, (b"Transfer-Encoding", b"identity")), headcheck.FRAMING),
    ((HOST, (b"Trailer", b"X")), headcheck.TRAILERS),
    ((HOST, (b"TE", b"trailers")), headcheck.TRAILERS),
    ((HOST, (b"Expect", b"200-ok")), headcheck.EXPECT),
    ((HOST, (b"X Y", b"1")), headcheck.FIELD),
    ((HOST, (b"X ", b"1")), headcheck.FIELD),
    ((HOST, (b"", b"1")), headcheck.FIELD),
    ((HOST, *((b"x%d" % n, b"1") for n in range(300))), headcheck.HEAD_FIELDS),
]


@pytest.mark.parametrize(("fields", "fault"), FIELDS)
def test_survey_refuses(fields: tuple[tuple[bytes, bytes], ...], fault: Fault) -> None:
    """Every field that leaves host or body length open is refused."""
    assert survey(*fields) == fault


def test_connect_has_no_content() -> None:
    """What follows a CONNECT belongs to the tunnel: one that announces a body is refused."""
    assert survey(HOST, method=b"CONNECT", path=b"") == Head(host="api.openai.com")
    assert survey(HOST, (b"Content-Length", b"0"), method=b"CONNECT", path=b"") == Head(host="api.openai.com", length=0)
    assert survey(HOST, (b"Content-Length", b"5"), method=b"CONNECT", path=b"") == headcheck.FRAMING
    assert survey(HOST, (b"Transfer-Encoding", b"chunked"), method=b"CONNECT", path=b"") == headcheck.FRAMING


def test_http2_heads_are_held_to_the_same() -> None:
    """HTTP/2 has no lines, so characters are judged here; `TE: trailers` is allowed there and only there."""
    assert survey((b"te", b"trailers"), http2=True) == Head()
    assert survey((b"te", b"gzip"), http2=True) == headcheck.TRAILERS
    assert survey((b"x", b"a\r\nb: c"), http2=True) == headcheck.CONTROL
    assert survey((b"x", b"a\0"), http2=True) == headcheck.CONTROL
    assert survey(http2=True, path=b"/ HTTP/1.1") == headcheck.CONTROL
    assert survey((b"transfer-encoding", b"chunked"), http2=True) == headcheck.FRAMING
    assert survey(http2=True, method=b"GE T") == headcheck.REQUEST_LINE


TARGETS = [
    (b"/v1", b"POST", True, None),
    (b"*", b"OPTIONS", True, None),
    (b"*", b"GET", True, headcheck.TARGET),
    (b"https://other/", b"GET", True, headcheck.TARGET),
    (b"/a#b", b"GET", True, headcheck.TARGET),
    (b"other:443", b"CONNECT", True, headcheck.NESTED),
    (b"api.openai.com:443", b"CONNECT", False, None),
    (b"http://example.com/", b"GET", False, None),
    (b"https://example.com/", b"GET", False, headcheck.TARGET),
    (b"/", b"GET", False, headcheck.ORIGIN),
    (b"ftp://example.com/", b"GET", False, headcheck.TARGET),
]


@pytest.mark.parametrize(("form", "method", "tunnelled", "fault"), TARGETS)
def test_target_fits_its_place(form: bytes, method: bytes, tunnelled: bool, fault: Fault | None) -> None:
    """In a tunnel a target names a path, at the proxy a whole URL or an authority, and nothing else."""
    assert headcheck.target(form, method, tunnelled=tunnelled) == fault
