"""What the kernel knows of the clock: is it synchronised, and by how much is it off? Read, never set.

`adjtimex(2)` with no modes needs no privilege. Where it is refused (some sandboxes) the record says nothing.
"""

from __future__ import annotations

import ctypes
import time

_STA_UNSYNC = 0x0040
_STA_NANO = 0x2000
_EVERY_SECONDS = 10.0


class _Timex(ctypes.Structure):
    """`struct timex` as far as it is read here; the rest of its 208 bytes is space."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("space", ctypes.c_char * 256),
    )


type Reading = tuple[float | None, str | None]
"""Offset in milliseconds that the kernel is still correcting, and `synchronised` or `unsynchronised`."""

_libc = ctypes.CDLL(None, use_errno=True)
_last: tuple[float, Reading] = (-_EVERY_SECONDS, (None, None))


def read() -> Reading:
    """Ask the kernel."""
    timex = _Timex()
    if _libc.adjtimex(ctypes.byref(timex)) < 0:
        return None, None
    if timex.status & _STA_UNSYNC:
        return None, "unsynchronised"
    return timex.offset / (1e6 if timex.status & _STA_NANO else 1e3), "synchronised"


def status() -> Reading:
    """`read`, at most every ten seconds: it stands in every record. Any thread may call it."""
    global _last  # two threads that both read do no harm
    at, reading = _last
    now = time.monotonic()
    if now - at >= _EVERY_SECONDS:
        reading = read()
        _last = now, reading
    return reading
