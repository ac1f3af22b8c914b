"""Content codings: whatever a service could read is read, and whatever is not certain is opaque, within bounds."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.config import Limits
from sluice.decode import open_body
from sluice.errors import Opacity
from sluice.model import Payload

TEXT = b'{"messages":[{"role":"user","content":"the secret is 4111 1111 1111 1111"}]}'


def raw_deflate(data: bytes) -> bytes:
    encoder = zlib.compressobj(9, zlib.DEFLATED, -15)
    return encoder.compress(data) + encoder.flush()


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
}


def opened(
    body: bytes, *codings: str, limits: Limits | None = None, clock: Callable[[], float] = lambda: 0.0
) -> Payload:
    headers = tuple(("Content-Encoding", coding) for coding in codings)
    return open_body(body, (("content-type", "application/json"), *headers), limits or Limits(), clock)


@pytest.mark.parametrize("coding", ENCODERS)
@given(data=st.binary(max_size=4096))
@settings(max_examples=25, deadline=None)
def test_round_trip(coding: str, data: bytes) -> None:
    """Any bytes come back whole through each coding."""
    payload = opened(ENCODERS[coding](data), coding)
    assert (payload.data, payload.opacity, payload.encodings) == (data, None, (coding,))


@given(
    data=st.binary(min_size=1, max_size=2048),
    first=st.sampled_from(sorted(ENCODERS)),
    second=st.sampled_from(sorted(ENCODERS)),
)
@settings(max_examples=40, deadline=None)
def test_two_layers(data: bytes, first: str, second: str) -> None:
    """Two codings are undone in reverse order of the list; the same one twice is not believed."""
    payload = opened(ENCODERS[second](ENCODERS[first](data)), f"{first}, {second}")
    if first == second:
        assert payload.opacity is Opacity.TOO_MANY_CODINGS
    else:
        assert (payload.data, payload.opacity) == (data, None)


@given(
    body=st.binary(max_size=300), coding=st.sampled_from([*ENCODERS, "gzip, br", "zstd, deflate", "identity", "x", ""])
)
@settings(max_examples=300, deadline=None)
def test_never_raises(body: bytes, coding: str) -> None:
    """Any bytes under any coding give a payload."""
    assert opened(body, coding).wire_size == len(body)


@pytest.mark.parametrize("coding", ENCODERS)
@given(cut=st.floats(0, 0.999))
@settings(max_examples=25, deadline=None)
def test_cut_off_body_is_opaque(coding: str, cut: float) -> None:
    """A stream that ends before its end mark is never taken for the whole."""
    whole = ENCODERS[coding](TEXT * 20)
    payload = opened(whole[: max(1, int(len(whole) * cut))], coding)
    assert payload.opacity in (Opacity.CORRUPT_CODING, Opacity.TRAILING_BYTES)


def test_headers_join_in_order() -> None:
    """Two Content-Encoding headers are one list."""
    assert opened(zlib.compress(gzip.compress(TEXT)), "gzip", "deflate").data == TEXT


def test_every_gzip_member_counts() -> None:
    """Readers that stop after the first member would let the second through unseen."""
    payload = opened(gzip.compress(b"[1,") + gzip.compress(b"") + gzip.compress(b"2]"), "gzip")
    assert (payload.data, payload.opacity) == (b"[1,2]", None)


def test_every_zstd_frame_counts() -> None:
    """The same for zstd frames, with and without checksum and declared size."""
    plain, checked = zstandard.ZstdCompressor(), zstandard.ZstdCompressor(write_checksum=True, write_content_size=False)
    payload = opened(plain.compress(b"[1,") + checked.compress(b"2]"), "zstd")
    assert (payload.data, payload.opacity) == (b"[1,2]", None)


def test_large_zstd_frame_is_read() -> None:
    """A body of many blocks, not compressible, comes back whole: the frame walk counts right."""
    data = os.urandom(700_000)
    assert opened(ENCODERS["zstd"](data), "zstd").data == data


def test_raw_deflate_is_read() -> None:
    """`deflate` without its zlib wrapper, as some clients send it."""
    assert opened(raw_deflate(TEXT), "deflate").data == TEXT


@pytest.mark.parametrize(
    ("body", "coding", "reason"),
    [
        (gzip.compress(TEXT) + b"tail", "gzip", Opacity.TRAILING_BYTES),
        (gzip.compress(TEXT) + b"\0\0", "gzip", Opacity.TRAILING_BYTES),
        (gzip.compress(TEXT) + gzip.compress(TEXT)[:9], "gzip", Opacity.CORRUPT_CODING),
        (b"\x1f\x8b\x08\x10\0\0\0\0\0\x03hidden\0" + raw_deflate(TEXT) + b"\0" * 8, "gzip", Opacity.TRAILING_BYTES),
        (zlib.compress(TEXT) + b"tail", "deflate", Opacity.TRAILING_BYTES),
        (raw_deflate(TEXT) + b"tail", "deflate", Opacity.TRAILING_BYTES),
        (brotli.compress(TEXT) + b"tail", "br", Opacity.CORRUPT_CODING),
        (ENCODERS["zstd"](TEXT) + b"tail", "zstd", Opacity.TRAILING_BYTES),
        (b"\x50\x2a\x4d\x18\x06\0\0\0hidden" + ENCODERS["zstd"](TEXT), "zstd", Opacity.CORRUPT_CODING),
        (ENCODERS["zstd"](TEXT) + b"\x50\x2a\x4d\x18\x06\0\0\0hidden", "zstd", Opacity.TRAILING_BYTES),
        (TEXT, "gzip", Opacity.CORRUPT_CODING),
        (TEXT, "deflate", Opacity.CORRUPT_CODING),
        (TEXT, "br", Opacity.CORRUPT_CODING),
        (TEXT, "zstd", Opacity.CORRUPT_CODING),
        (gzip.compress(TEXT)[:-4] + b"\0\0\0\0", "gzip", Opacity.CORRUPT_CODING),
        (TEXT, "bz2", Opacity.UNKNOWN_CODING),
        (TEXT, "rot13", Opacity.UNKNOWN_CODING),
        (TEXT, "compress", Opacity.UNKNOWN_CODING),
        (TEXT, "", Opacity.UNKNOWN_CODING),
        (gzip.compress(TEXT), "gzip,", Opacity.UNKNOWN_CODING),
        (gzip.compress(gzip.compress(TEXT)), "gzip, gzip", Opacity.TOO_MANY_CODINGS),
        (gzip.compress(TEXT), "gzip, br, zstd", Opacity.TOO_MANY_CODINGS),
        (TEXT, "identity, identity, identity", Opacity.TOO_MANY_CODINGS),
    ],
)
def test_what_is_not_certain_is_opaque(body: bytes, coding: str, reason: Opacity) -> None:
    """Left-over, damaged, hidden, unknown, doubled: each has its reason, and none passes for an empty body."""
    assert opened(body, coding).opacity is reason


def test_transfer_codings_other_than_chunked_are_opaque() -> None:
    """`Transfer-Encoding: gzip, chunked` leaves a compressed body that nothing here undoes."""
    payload = open_body(gzip.compress(TEXT), (("Transfer-Encoding", "gzip, chunked"),), Limits(), lambda: 0.0)
    assert payload.opacity is Opacity.UNKNOWN_CODING


@pytest.mark.parametrize("coding", ENCODERS)
def test_ratio_limit(coding: str) -> None:
    """Expansion past the ratio stops the decoder, and nothing of the bomb is kept."""
    payload = opened(ENCODERS[coding](b"0" * 8_000_000), coding)
    assert (payload.data, payload.opacity) == (b"", Opacity.RATIO_LIMIT)


@pytest.mark.parametrize("coding", ENCODERS)
def test_size_limit(coding: str) -> None:
    """Output past `decoded_bytes` stops the decoder."""
    body = ENCODERS[coding](os.urandom(300_000))
    assert opened(body, coding, limits=Limits(decoded_bytes=200_000)).opacity is Opacity.SIZE_LIMIT
    assert opened(body, coding, limits=Limits(decoded_bytes=300_000)).opacity is None


def test_size_limit_of_a_plain_body() -> None:
    """A body without coding is held to the same size."""
    assert opened(b"x" * 101, limits=Limits(decoded_bytes=100)).opacity is Opacity.SIZE_LIMIT


@pytest.mark.parametrize("coding", ENCODERS)
def test_time_limit(coding: str) -> None:
    """CPU time past `decode_seconds` stops the decoder; the clock is the caller's."""
    ticks = iter(range(1000))
    payload = opened(ENCODERS[coding](os.urandom(400_000)), coding, clock=lambda: next(ticks) * 0.4)
    assert payload.opacity is Opacity.TIME_LIMIT


def test_many_empty_members_run_into_the_clock() -> None:
    """Members without content produce nothing to count, so the clock must count them."""
    ticks = iter(range(10**6))
    payload = opened(gzip.compress(b"") * 5000, "gzip", clock=lambda: next(ticks) * 0.001)
    assert payload.opacity is Opacity.TIME_LIMIT


@pytest.mark.parametrize("coding", ENCODERS)
def test_bomb_stays_within_memory(coding: str) -> None:
    """A bomb of 200 MB costs no more than the limit on output and a chunk or two."""
    bomb = ENCODERS[coding](b"\0" * 200_000_000)
    limits = Limits(decoded_bytes=4_000_000, decoded_ratio=10**9)
    tracemalloc.start()
    try:
        payload = opened(bomb, coding, limits=limits)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert payload.opacity is Opacity.SIZE_LIMIT
    assert peak < 3 * limits.decoded_bytes


BOMBS = """
import gzip, resource, zlib, brotli, zstandard
from sluice.config import Limits
from sluice.decode import open_body
zeros = b"\\0" * 100_000_000
zipped = gzip.compress(zeros)
bombs = [
    ("gzip", zipped),
    ("deflate", zlib.compress(zeros)),
    ("br", brotli.compress(zeros, quality=4)),
    ("zstd", zstandard.ZstdCompressor().compress(zeros)),
    ("gzip, br", brotli.compress(zipped)),
]
del zeros
room = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + 96 * 1024 * 1024
resource.setrlimit(resource.RLIMIT_AS, (room, room))
for coding, body in bombs:
    print(coding, open_body(body, (("content-encoding", coding),), Limits(), lambda: 0.0).opacity)
"""


def test_bombs_in_a_small_process() -> None:
    """All bombs in a process whose address space has room for twice the limit (32 MiB) and not for the bomb; the
    decoders' own memory, which tracemalloc does not see, is in it."""
    run = subprocess.run([sys.executable, "-c", BOMBS], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    reasons = [line.rpartition(" ")[2] for line in run.stdout.splitlines()]
    assert len(reasons) == 5
    assert set(reasons) <= {"ratio_limit", "size_limit"}


def named(name: bytes) -> bytes:
    plain = gzip.compress(TEXT)
    return plain[:3] + b"\x08" + plain[4:10] + name + b"\x00" + plain[10:]


def test_plain_file_name_in_gzip_is_read() -> None:
    """`gzip body.json` writes the name into the header; such a body is read."""
    assert opened(named(b"body.json"), "gzip").opacity is None
    assert opened(named(b"body.json"), "gzip").data == TEXT


@pytest.mark.parametrize("body", [named(b"4111 1111 1111 1111"), named(b"AKIAIOSFODNN7EXAMPLE"), named(b"")])
def test_free_text_in_the_name_of_gzip_is_refused(body: bytes) -> None:
    """The name in a gzip header leaves with the body and no decoder shows it, so only a plain one is let through."""
    assert opened(body, "gzip").opacity is Opacity.TRAILING_BYTES


def test_only_the_first_gzip_member_has_a_name() -> None:
    """Many members with a short name each would carry a text."""
    assert opened(named(b"a.json") + named(b"b.json"), "gzip").opacity is Opacity.TRAILING_BYTES


def with_metadata(hidden: bytes) -> bytes:
    """A brotli stream (window 16) of one metadata block and an empty last block."""
    head = 0b0101100 | (len(hidden) - 1) << 7  # window, not last, no size, reserved, one byte of length
    return head.to_bytes(2, "little") + hidden + b"\x03"


@pytest.mark.parametrize(
    "hidden", [b"4111 1111 1111 1111", b"AKIAIOSFODNN7EXAMPLE", b"a sentence that nobody gets to see in the output"]
)
def test_text_in_brotli_metadata_is_refused(hidden: bytes) -> None:
    """Metadata blocks leave with the body and no decoder shows them; text in one makes the body opaque."""
    body = with_metadata(hidden)
    assert brotli.decompress(body) == b""
    assert opened(body, "br").opacity is Opacity.TRAILING_BYTES


@pytest.mark.parametrize("quality", [0, 1, 5, 11])
@pytest.mark.parametrize(
    "data", [TEXT, os.urandom(3000).hex().encode(), TEXT * 500, b"0123456789" * 20, os.urandom(5000)]
)
def test_brotli_without_metadata_is_read(data: bytes, quality: int) -> None:
    """Texts that the encoder stores as they are, and all others, are read."""
    found = opened(brotli.compress(data, quality=quality), "br")
    assert (found.opacity, found.data) == (None, data)
