"""The parts of the SQL interface alone: the password's file and its guessing, settings, codings, statuses."""

from __future__ import annotations

import random
from pathlib import Path

import lz4.block
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.config import Paths, Settings
from sluice.errors import Misconfigured
from sluice.ship.http import coding, credentials, errors, settings
from sluice.ship.http.credentials import FREE_FAILURES, LONGEST_DELAY, WAITING, Credentials
from sluice.ship.sqlgate import SqlError

SECRET = "a-password-of-some-length"


def test_the_password_is_made_once_and_is_its_owners(tmp_path: Path) -> None:
    """Random, long, 0600, and the same at the next start."""
    here = Settings(paths=Paths(var=tmp_path))
    first = credentials.password(here)
    path = credentials.password_file(here)
    assert len(first) >= 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert credentials.password(here) == first
    assert credentials.password(Settings(paths=Paths(var=tmp_path / "other"))) != first


@pytest.mark.parametrize(("text", "mode"), [("short", 0o600), ("", 0o600), (SECRET, 0o644), (SECRET, 0o640)])
def test_a_password_file_that_cannot_be_trusted(tmp_path: Path, text: str, mode: int) -> None:
    """Readable by others, or too short to withstand guessing: the start says so, without the password."""
    here = Settings(paths=Paths(var=tmp_path))
    path = credentials.password_file(here)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(Misconfigured) as e:
        credentials.password(here)
    assert SECRET not in str(e.value)


async def test_guessing_gets_slow_and_the_right_password_does_not() -> None:
    """After some failures each further one waits longer, up to a bound; a right password never waits."""
    slept: list[float] = []
    now = [0.0]

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    door = Credentials(SECRET, clock=lambda: now[0], sleep=sleep)
    for _ in range(FREE_FAILURES):
        assert await door.check("sluice", "guess") is False
    assert slept == []
    for _ in range(10):
        assert await door.check("sluice", "guess") is False
    assert slept == sorted(slept)
    assert 0 < slept[0] < slept[-1] == LONGEST_DELAY
    before = len(slept)
    assert await door.check("sluice", SECRET) is True
    assert len(slept) == before
    now[0] = 3600.0
    assert await door.check("sluice", "guess") is False
    assert len(slept) == before


async def test_a_crowd_of_guesses_is_turned_away() -> None:
    """Many at once: some wait, the others hear at once that there are too many, and nothing is compared for them."""
    import asyncio

    release = asyncio.Event()

    async def sleep(_: float) -> None:
        await release.wait()

    door = Credentials(SECRET, sleep=sleep)
    for _ in range(FREE_FAILURES):
        await door.check("sluice", "guess")
    crowd = [asyncio.create_task(door.check("sluice", f"guess {n}")) for n in range(WAITING + 7)]
    await asyncio.sleep(0)
    assert await door.check("sluice", SECRET) is True
    release.set()
    said = await asyncio.gather(*crowd)
    assert said.count(False) == WAITING
    assert said.count(None) == 7


@pytest.mark.parametrize("user", ["", "default", "Sluice", "sluice ", "sluice\0"])
async def test_there_is_one_user(user: str) -> None:
    """The right password under another name is wrong."""
    assert await Credentials(SECRET).check(user, SECRET) is False


def test_limits_are_lowered_only() -> None:
    """The smaller of two; none and 0 mean ours; fractions of a second are rounded up."""
    assert settings.admitted({"max_execution_time": "0.5"}, lambda _: True) == {"max_execution_time": "1"}
    assert settings.admitted({"max_execution_time": "3600"}, lambda _: True) == {"max_execution_time": "30"}
    assert settings.admitted({"max_execution_time": "0"}, lambda _: True) == {"max_execution_time": "30"}
    assert settings.admitted({"max_rows_to_read": "5"}, lambda _: True) == {"max_rows_to_read": "5"}


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_name_of_a_setting_gets_past_the_lists(name: str, value: str) -> None:
    """Whatever the name: it is on a list, or refused; and what is passed on is a plain name."""
    try:
        taken = settings.admitted({name: value}, lambda _: True)
    except SqlError as e:
        assert e.code in (115, 452, 164, 36)
        return
    assert all(key.isidentifier() and key.isascii() for key in taken)


@given(st.binary(max_size=200_000))
def test_blocks_come_back(data: bytes) -> None:
    """What is packed into ClickHouse's blocks is unpacked as it was."""
    assert (
        coding.unblocked(b"".join(coding.block(data[at : at + 65536]) for at in range(0, len(data), 65536)), 2**20)
        == data
    )


def test_blocks_as_clickhouse_writes_them(tmp_path: Path) -> None:
    """The column files of a table are sequences of such blocks: the engine's own can be read, checksums included."""
    from sluice.ship.clickhouse import Embedded

    store = Embedded(tmp_path / "clickhouse", "sluice")
    try:
        store.migrate()
        store.command(
            "CREATE TABLE sluice.t (n UInt64 CODEC(LZ4), z UInt64 CODEC(ZSTD(1))) ENGINE = MergeTree ORDER BY tuple() "
            "SETTINGS min_bytes_for_wide_part = 0"
        )
        store.command("INSERT INTO sluice.t SELECT number, number FROM numbers(1000)")
        expected = b"".join(n.to_bytes(8, "little") for n in range(1000))
        files = sorted((tmp_path / "clickhouse" / "store").rglob("n.bin"))
        packed = sorted((tmp_path / "clickhouse" / "store").rglob("z.bin"))
        assert len(files) == len(packed) == 1
        assert coding.unblocked(files[0].read_bytes(), 2**20) == expected
        assert coding.unblocked(packed[0].read_bytes(), 2**20) == expected
    finally:
        store.close()


def test_damaged_blocks() -> None:
    """A flipped bit anywhere, a cut at any place, a lie about sizes: an error, never other bytes, never much memory."""
    whole = coding.block(b"SELECT 1 -- and some more text, so that there is something to compress, compress, compress")
    rng = random.Random(1)
    for _ in range(300):
        at = rng.randrange(len(whole))
        broken = whole[:at] + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1 :]
        with pytest.raises(SqlError):
            coding.unblocked(broken, 2**20)
    for end in range(1, len(whole)):
        with pytest.raises(SqlError):
            coding.unblocked(whole[:end], 2**20)
    packed = lz4.block.compress(b"x", store_size=False)
    body = coding._HEAD.pack(coding.LZ4, coding._HEAD.size + len(packed), 2**31) + packed
    with pytest.raises(SqlError):
        coding.unblocked(coding._checksum(body) + body, 2**20)
    with pytest.raises(SqlError) as e:
        coding.unblocked(coding.block(b"x" * 1000) * 20, 10_000)
    assert e.value.code == errors.QUERY_IS_TOO_LARGE


@pytest.mark.parametrize(
    ("accept", "coding_"),
    [
        ("", ""),
        ("gzip", "gzip"),
        ("gzip, deflate, br", "gzip"),
        ("br;q=1.0, gzip;q=0", "br"),
        ("lz4,zstd,gzip,br", "lz4"),
        ("GZIP", "gzip"),
        ("gzip;q=0.0", ""),
        ("identity", ""),
        ("*", ""),
    ],
)
def test_negotiation(accept: str, coding_: str) -> None:
    """The cheapest coding that the client takes."""
    assert coding.negotiated(accept) == coding_


def test_statuses() -> None:
    """Codes without a status of their own are 500; none is in two rows."""
    assert errors.status_of(62) == 400
    assert errors.status_of(241) == 500
    assert len(errors._STATUS) == sum(len(codes) for codes in errors._STATUSES.values())
