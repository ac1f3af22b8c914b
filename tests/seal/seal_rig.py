"""What the sealer's tests share: a deployment in a directory, writers that play workers, and a sealer in a process."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from sluice import config
from sluice.config import Settings
from sluice.ledger import checkpoint
from sluice.ledger.note import b64
from sluice.ledger.writer import SMALLEST_SEGMENT, Writer, open_stream
from sluice.model import Record, RecordType
from sluice.seal import SLOT, STANDING, keyring, keys, store
from sluice.seal.chain import Chain
from sluice.seal.keyring import Keyring
from sluice.seal.store import Sealed
from tests.ledger.ledger_rig import make_record

OWN = f"n-w{SLOT}"


def deployment(directory: Path, **seal: object) -> Settings:
    """Settings of a `var` below this directory, and the file that says the same to a process."""
    facts = {"seconds": 0.2, "records": 1000, "witnesses": ()} | seal
    lines = [
        "[paths]",
        'var = "var"',
        "[evidence]",
        'node = "n"',
        f"segment_bytes = {SMALLEST_SEGMENT}",
        "disk_low_bytes = 1",
        "[seal]",
        f"seconds = {facts['seconds']}",
        f"records = {facts['records']}",
        f"witnesses = {[str(w) for w in facts['witnesses']]!r}",  # type: ignore[attr-defined]
    ]
    file = directory / "sluice.toml"
    file.write_text("\n".join(lines) + "\n")
    return config.load(file, environ={})


def opened(settings: Settings, slot: int = 0, *, later: float = 0.0, **facts: object) -> Writer:
    """A writer, with what its start record says; `later`: by a clock that is so many seconds ahead."""
    return open_stream(
        settings.ledger_dir,
        node="n",
        slot=slot,
        segment_bytes=SMALLEST_SEGMENT,
        disk_low_bytes=1,
        facts=facts,
        clock=lambda: time.time_ns() + int(later * 1e9),
    )


def write(settings: Settings, count: int, slot: int = 0, first: int = 0, *, size: int = 0) -> None:
    """Records in a stream, as a worker that starts, works and stops leaves them."""
    writer = opened(settings, slot)
    try:
        asyncio.run(commit(writer, count, first, size=size))
    finally:
        writer.close()


async def commit(writer: Writer, count: int, first: int = 0, *, size: int = 0) -> None:
    for start in range(first, first + count, 500):
        numbers = range(start, min(start + 500, first + count))
        await asyncio.gather(*(writer.commit(make_record(n, size)) for n in numbers))


def chain(settings: Settings, stream: str = "n-w0") -> Chain:
    """The sealing of one stream, in this process."""
    with keys.locked(settings):
        ring, _, _ = keys.load_or_create(settings)
    return Chain(settings.ledger_dir / stream, settings.seal_dir / stream, ring)


def seal(settings: Settings, stream: str = "n-w0") -> Sealed | None:
    """Seal what there is of a stream, as the sealer does, which has a stream of its own from its start."""
    if stream != OWN and not (settings.ledger_dir / OWN).exists():
        opened(settings, SLOT, seconds=settings.seal.seconds, records=settings.seal.records).close()
        seal(settings, OWN)
    made = chain(settings, stream)
    signer = keys.load(settings, ring(settings))
    newest = store.newest(settings.seal_dir / stream)
    while sealed := made.seal(signer):
        newest = sealed
    return newest


def sealer_says(settings: Settings, kind: str, **detail: object) -> None:
    """A record in the sealer's own stream, sealed."""
    text = msgspec.json.encode(detail).decode()
    said = Record(record_type=RecordType.CONTROL, decision_id="", ts_received=1, control_kind=kind, control_detail=text)
    with contextlib.closing(opened(settings, SLOT)) as writer:
        asyncio.run(writer.commit(said))
    seal(settings, OWN)


def stand(settings: Settings, *streams: str) -> None:
    """What the sealer says in its own stream, from time to time, of how far these are sealed, and with which roots."""
    sealed = {stream: store.newest(settings.seal_dir / stream) for stream in streams}
    said = {name: checkpoint.unverified(one.note) for name, one in sealed.items() if one}
    sealer_says(settings, STANDING, streams={name: [one.size, b64(one.root)] for name, one in said.items()})


def ring(settings: Settings) -> Keyring:
    found = keyring.read(settings.seal_dir)
    assert found
    return found


def sealed_size(settings: Settings, stream: str = "n-w0") -> int:
    newest = store.newest(settings.seal_dir / stream)
    return checkpoint.unverified(newest.note).size if newest else 0


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


@contextlib.contextmanager
def sealing(directory: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A sealer as a process of its own, ended with SIGTERM if it still runs."""
    log = (directory / "sealer.log").open("ab")
    arguments = [sys.executable, *(command or ("-m", "sluice.seal.sealer")), "--config", str(directory / "sluice.toml")]
    process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(20)
        log.close()
