"""The sealer's process: follows the ledgers, signs checkpoints, sends copies. `python -m sluice.seal.sealer`.

It alone opens the sealing key, and it writes a ledger stream of its own (slot 1000): its start and stop, keys made and
replaced, what retention took, how far streams are sealed, and those that it gave up, with the reason. Those records are
sealed and shipped like all others. Traffic never waits for it: without it records wait unsealed, which is shown and
alerted on.
SIGTERM: what is left is sealed, and said to be all, witnesses get a moment, exit 0. 75: its own stream cannot be
written. When the supervisor goes away, so does this process.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
import threading
import time
from itertools import batched
from pathlib import Path

import msgspec

from sluice import config, logs, metrics
from sluice.config import Settings
from sluice.errors import Misconfigured, Unavailable
from sluice.heartbeat import Status
from sluice.ledger import pruned, reader, segment
from sluice.ledger.checkpoint import Checkpoint
from sluice.ledger.note import Signer, b64
from sluice.ledger.segment import Fault
from sluice.ledger.writer import Writer, open_stream
from sluice.model import Record, RecordType
from sluice.seal import PRUNED, SLOT, STANDING, announced, keyring, keys, outages, store
from sluice.seal.announced import Announced
from sluice.seal.chain import Chain, Stopped
from sluice.seal.keyring import Keyring
from sluice.seal.witness import Copies, Directory, make

log = logging.getLogger("sluice.seal")

POLL_SECONDS = 0.5
"""Between two looks at all streams; a checkpoint is due every few seconds, or when very many records wait."""
QUICK_SECONDS = 0.05
"""The same while records come so quickly that many could wait by the next look."""
CLOCK_SECONDS = 2.0
"""A jump of the clock, or a sleep of the machine, after which everything is due: records are older by it at once."""
FINISH_SECONDS = 5.0
"""How long it goes on sealing when it is told to stop."""
BEAT_SECONDS = 1.0
STUCK_SECONDS = 60.0
"""A round that takes longer is a hang: the heartbeat stops."""
KEY_SECONDS = 5.0
"""Between two looks for a key that cannot be used."""
WITNESS_SECONDS = 3.0
"""How long a witness may take to say what it holds, at start; and all of them to take the last copies, at the end."""
LEDGER_FAILED, MISCONFIGURED = 75, 78
STANDING_SECONDS = 600.0
"""Between two records of how far every stream is sealed."""
STANDING_STREAMS = 12
"""So many streams are told in one record, whatever the node's name (`record.OPERATOR_TEXT`)."""


class Sealer:
    """One process. `run` until `stopping` is set."""

    def __init__(self, settings: Settings, status: Status) -> None:
        self._settings = settings
        self._status = status
        self.stopping = threading.Event()
        self.failed = False
        self._ring: Keyring | None = None
        self._signer: Signer | None = None
        self._list_stamp: tuple[int, int] | None = None
        self._ledger: Writer | None = None
        self._events: list[tuple[str, dict[str, object]]] = []
        self._announced = Announced()
        self._refused: dict[str, int] = {}
        """Notes of pruning that do not fit the seals: said once."""
        self._chains: dict[str, Chain] = {}
        self._stopped: dict[str, Stopped] = {}
        self._due: dict[str, float] = {}
        self._stand_at = 0.0
        self._stand_whole = True
        """The next record of how far streams are sealed tells all of them: what told them may be gone."""
        self._counted: dict[str, int] = {}
        self._came = 0
        """The most records that came to one stream between the last two looks."""
        self._pause = POLL_SECONDS
        self._clock = _offset()
        self._ending = False
        self._told = 0
        """So many records of our own stream have to be sealed before it is announced what they say."""
        self._moved = time.monotonic()
        self._trouble = ""
        self._copies = Copies([make(w) for w in settings.seal.witnesses])
        self._outages: tuple[outages.Outage, ...] | None = None
        self._outages_failed = False

    def run(self) -> None:
        """Raises `Unavailable`, `Misconfigured` when its own stream cannot be opened."""
        self._status.say("starting")
        self._copies.start()
        self._announced = announced.read(self._settings.seal_dir)
        self._keys()
        self._ledger = open_stream(
            self._settings.ledger_dir,
            node=self._settings.node,
            slot=SLOT,
            segment_bytes=self._settings.evidence.segment_bytes,
            disk_low_bytes=self._settings.evidence.disk_low_bytes,
            on_failure=self._ledger_failed,
            facts={
                "role": "sealer",
                "key": str(self._ring.current.verifier) if self._ring else None,
                "seconds": self._settings.seal.seconds,
                "records": self._settings.seal.records,
            },
        )
        self._status.say("ready")
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()
        retry_at = time.monotonic() + KEY_SECONDS
        try:
            while not self.stopping.is_set():
                self._moved = time.monotonic()
                if self._signer is None and self._moved >= retry_at:
                    self._list_stamp = None
                    retry_at = self._moved + KEY_SECONDS
                self._round()
                self.stopping.wait(self._until_next())
            if not self.failed:
                self._finish()
        finally:
            self.stopping.set()
            self._ending = True
            self._ledger.close()
        if not self.failed:
            self._due.clear()
            self._round()  # once more, for our own stop
        self._copies.close(WITNESS_SECONDS)

    def _until_next(self) -> float:
        """How long to wait for the next look, by how quickly records came since the last one."""
        quick = self._came / self._pause * POLL_SECONDS > self._settings.seal.records / 4
        self._pause = QUICK_SECONDS if quick else POLL_SECONDS
        self._came = 0
        return self._pause

    def _finish(self) -> None:
        """Seal what the others left, and put on record that this was all of it: whatever comes behind is not theirs."""
        until = time.monotonic() + FINISH_SECONDS
        while True:
            self._moved = time.monotonic()
            self._due.clear()
            self._round()
            others = [chain for name, chain in self._chains.items() if not name.endswith(f"-w{SLOT}")]
            if not any(chain.waiting() for chain in others) or self._moved > until:
                break
            time.sleep(QUICK_SECONDS)  # a writer is still ending: leave it the processor
        streams = segment.streams(self._settings.ledger_dir)
        live = any(reader.is_held(s) for s in streams if not s.name.endswith(f"-w{SLOT}"))
        waiting = any(chain.waiting() for chain in others)
        self._stand(final=not (live or waiting or self._stopped or self._signer is None), now=True)
        self._tell()

    # ------------------------------------------------------------------------------------------------------ one round

    def _round(self) -> None:
        """Look at every stream; seal those that are due. Whatever fails for one stream leaves the others alone."""
        if abs(_offset() - self._clock) > CLOCK_SECONDS:
            self._clock, self._stand_at = _offset(), 0.0
            self._due.clear()
        with keys.locked(self._settings):
            self._keys()
            if self._ring is not None and self._signer is not None:
                found = {s.name: s for s in segment.streams(self._settings.ledger_dir)}
                gone = {s.name: self._settings.ledger_dir / s.name for s in store.streams(self._settings.seal_dir)}
                for name, stream in (gone | found).items():
                    self._stream(name, stream, self._ring, self._signer)
        self._stand()
        self._tell()
        self._announce()

    def _stream(self, name: str, stream: Path, ring: Keyring, signer: Signer) -> None:
        if name in self._stopped:
            return
        try:
            chain = self._chains.get(name)
            if chain is None:
                chain = self._chains[name] = self._open(name, stream, ring)
            now, waiting = time.monotonic(), chain.waiting()
            counted = chain.size + waiting
            came = counted - self._counted.get(name, counted)
            self._came, self._counted[name] = max(self._came, came), counted
            # As many again may come by the next look, and again while it signs.
            if now < self._due.get(name, 0.0) and waiting + 2 * came < self._settings.seal.records:
                return
            # What comes right behind this look has to be sealed in time, so the next one that counts is earlier.
            seconds = self._settings.seal.seconds
            self._due[name] = now + max(seconds - 3 * POLL_SECONDS, seconds / 2)
            self._look_for_pruning(name, stream)
            sealed = chain.seal(signer)
        except Stopped as e:
            self._give_up(name, e)
            return
        except OSError as e:
            # Nobody knows what was written: begin again from the files, a little later.
            self._chains.pop(name, None)
            self._due[name] = time.monotonic() + 1.0
            self._say_trouble(f"{name}: {e.strerror}")
            return
        if sealed:
            metrics.SEAL_CHECKPOINTS.inc()
            self._copies.offer(name, sealed)
            self._trouble = ""

    def _open(self, name: str, stream: Path, ring: Keyring) -> Chain:
        chain = Chain(stream, self._settings.seal_dir / name, ring)
        if chain.size < (told := self._announced.sizes.get(name, 0)):
            what = f"{told} records were sealed by the sealer's own record, and {chain.size} are sealed here"
            raise Stopped(Fault.ROLLBACK, chain.size, what)
        for witness in self._copies.witnesses:
            if isinstance(witness, Directory) and (seen := _asked(witness, name, ring)):
                chain.agree(seen)
        if newest := store.newest(self._settings.seal_dir / name):
            self._copies.offer(name, newest)
        return chain

    def _give_up(self, name: str, why: Stopped) -> None:
        """Seal this stream no further: the last good checkpoint is worth more than one that explains damage away."""
        self._stopped[name] = why
        self._chains.pop(name, None)
        metrics.SEAL_STOPS.labels(str(why.fault)).inc()
        log.critical(
            "a stream contradicts what was sealed; it is not sealed any further",
            extra={"facts": {"stream": name, "fault": str(why.fault), "seq": why.seq, "why": str(why)}},
        )
        detail = {"stream": name, "fault": str(why.fault), "seq": why.seq, "why": str(why)}
        self._events.append(("seal_stopped", detail))

    def _look_for_pruning(self, name: str, stream: Path) -> None:
        """Record once, in our own stream, that a note of pruning appeared or grew, and whether it fits the seals. No
        segment is deleted before that is sealed, and `sluice verify` believes no note without it. Where our own stream
        is what is pruned, what was said of the others is said again: what said it goes.
        """
        try:
            note = pruned.read(stream)
        except pruned.BadNote as e:
            raise Stopped(Fault.GAP, 0, str(e)) from e
        if note is None or note.below_seq <= max(self._announced.pruned.get(name, 0), self._refused.get(name, 0)):
            return
        leaf = store.leaf(self._settings.seal_dir / name, note.below_seq - 1)
        sealed = leaf is not None and leaf.hex() == note.leaf_hash
        self._events.append((PRUNED, {"stream": name, "below_seq": note.below_seq, "sealed": sealed}))
        if not sealed:
            log.error(
                "a note of pruning does not fit what was sealed",
                extra={"facts": {"stream": name, "below_seq": note.below_seq}},
            )
        if name.endswith(f"-w{SLOT}"):
            self._stand_whole = True
            for other, below in sorted(self._announced.pruned.items()):
                if other != name:
                    self._events.append((PRUNED, {"stream": other, "below_seq": below, "sealed": True}))
        if sealed:
            self._announced.pruned[name] = note.below_seq
        else:
            self._refused[name] = note.below_seq

    def _stand(self, *, final: bool = False, now: bool = False) -> None:
        """Record in our own stream how far the others are sealed, and with which roots: at once for a stream that is
        new, then from time to time, and at the end. Where the seals of a stream are taken away, or begun anew over
        another history, this says so without a witness; where our own newest records are taken away, that the others
        were sealed further says so. `final`: nothing is left unsealed.
        """
        chains = {n: c for n, c in sorted(self._chains.items()) if c.size and not n.endswith(f"-w{SLOT}")}
        fresh = chains.keys() - self._announced.sizes.keys()
        moved = {n: c for n, c in chains.items() if self._stand_whole or c.size != self._announced.sizes.get(n)}
        if not final and (not moved or not (fresh or now or self._stand_whole or time.monotonic() >= self._stand_at)):
            return
        told: list[dict[str, object]] = [
            {"streams": {n: [c.size, b64(c.root)] for n, c in some}}
            for some in batched(moved.items(), STANDING_STREAMS, strict=False)
        ]
        if final:
            told = [*told[:-1], {"final": True, **(told[-1] if told else {"streams": {}})}]
        self._events += [(STANDING, one) for one in told]
        self._announced.sizes |= {n: c.size for n, c in moved.items()}
        self._stand_at, self._stand_whole = time.monotonic() + STANDING_SECONDS, False

    # ----------------------------------------------------------------------------------------------------------- keys

    def _keys(self) -> None:
        """Read the keys again when their list changed. A key that cannot be used is waited for, and said."""
        stamp = self._stamp()
        if stamp is not None and stamp == self._list_stamp:
            return
        try:
            ring, signer, made = self._loaded()
        except Misconfigured as e:
            self._ring = self._signer = None
            self._list_stamp = stamp
            self._say_trouble(str(e))
            return
        self._ring, self._signer, self._list_stamp, self._trouble = ring, signer, self._stamp(), ""
        self._copies.offer_keys(keyring.dump(ring.entries))
        current = str(ring.current.verifier)
        if current != self._announced.key:
            kind = "seal_key_made" if made or not self._announced.key else "seal_key_rotated"
            detail: dict[str, object] = {"key": current}
            if kind == "seal_key_rotated":
                detail |= {"before": self._announced.key, "rotation": ring.entries[-1].rotation}
            self._events.append((kind, detail))
            self._announced.key = current

    def _loaded(self) -> tuple[Keyring, Signer, bool]:
        if self._ledger is None:
            with keys.locked(self._settings):
                return keys.load_or_create(self._settings)
        return keys.load_or_create(self._settings)

    def _stamp(self) -> tuple[int, int] | None:
        try:
            status = (self._settings.seal_dir / keyring.FILE).stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino

    def _say_trouble(self, what: str) -> None:
        if what != self._trouble:
            self._trouble = what
            log.error("records wait unsealed", extra={"facts": {"why": what}})

    # ---------------------------------------------------------------------------------------------------- being heard

    def _tell(self) -> None:
        """Write what happened into our own stream; what cannot be written now waits."""
        if not self._events or self._ledger is None or self._ending:
            return
        at = time.time_ns() // 1000
        try:
            while self._events:
                kind, detail = self._events[0]
                text = msgspec.json.encode(detail, order="sorted").decode()
                record = Record(
                    record_type=RecordType.CONTROL,
                    decision_id="",
                    ts_received=at,
                    control_kind=kind,
                    control_detail=text,
                )
                self._told = asyncio.run(self._ledger.commit(record)).seq + 1
                if kind == PRUNED:
                    self._due.pop(self._ledger.stream.name, None)
                del self._events[0]
        except Unavailable as e:
            self._say_trouble(str(e))

    def _announce(self) -> None:
        """Write down what is on record once it is sealed: segments are deleted by this, and a record that is not sealed
        could be anybody's."""
        own = self._chains.get(self._ledger.stream.name) if self._ledger else None
        if self._events or not self._told or own is None or own.size < self._told:
            return
        try:
            announced.write(self._settings.seal_dir, self._announced)
            self._told = 0
        except OSError as e:
            self._say_trouble(f"{announced.FILE}: {e.strerror}")  # said once more after a restart, which harms nobody

    def _beat(self) -> None:
        while not self.stopping.wait(BEAT_SECONDS):
            metrics.SEAL_STOPPED.set(len(self._stopped))
            metrics.SEAL_WITNESS_PENDING.set(self._copies.pending)
            facts: dict[str, object] = {
                "stopped": ", ".join(sorted(self._stopped)),
                "pending": self._copies.pending,
                "trouble": self._trouble,
            }
            self._keep_outages()
            metrics.flush()
            alive = time.monotonic() - self._moved < STUCK_SECONDS
            if alive and not self._status.say("alive", **facts):
                log.warning("the supervisor is gone; the sealer ends")
                self.stopping.set()

    def _keep_outages(self) -> None:
        """What `/readyz` and `sluice seal status` say of the witnesses, with and without this process."""
        now = self._copies.outages
        if now == self._outages:
            return
        try:
            outages.write(self._settings.seal_dir, now)
        except OSError as e:  # tried again with the next beat, since others read the file
            if not self._outages_failed:
                log.warning("what is known of the witnesses was not kept", extra={"facts": {"why": e.strerror}})
            self._outages_failed = True
            return
        self._outages, self._outages_failed = now, False

    def _ledger_failed(self, _: Exception) -> None:
        self.failed = True
        self.stopping.set()


def _offset() -> float:
    """The clock less the time that this machine was awake: it jumps when the clock is set, and with a sleep."""
    return time.time() - time.monotonic()


def _asked(witness: Directory, stream: str, ring: Keyring) -> Checkpoint | None:
    """What a directory holds of a stream; None when it does not answer in time: a dead mount hangs for ever."""
    found: list[Checkpoint | None] = []

    def ask() -> None:
        try:
            found.append(witness.newest(stream, ring))
        except OSError:
            found.append(None)  # it is counted when the next copy fails

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(WITNESS_SECONDS)
    return found[0] if found else None


def main() -> int:
    """The process. Its exit code."""
    parser = argparse.ArgumentParser(prog="sluice.seal.sealer", description=__doc__.splitlines()[0])
    parser.add_argument("--status-fd", type=int, help="pipe to the supervisor")
    parser.add_argument("--config", type=Path, help="settings file")
    arguments = parser.parse_args()
    logs.setup("sealer")
    status = Status(arguments.status_fd)
    try:
        sealer = Sealer(config.load(arguments.config), status)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sealer.stopping.set())
        sealer.run()
    except Misconfigured as e:
        status.say("failed", reason=str(e))
        log.error("the settings cannot work", extra={"facts": {"problems": str(e)}})
        return MISCONFIGURED
    except Unavailable as e:
        status.say("failed", reason=str(e))
        log.error("the sealer's own stream cannot be written", extra={"facts": {"why": str(e)}})
        return LEDGER_FAILED
    return LEDGER_FAILED if sealer.failed else 0


if __name__ == "__main__":
    sys.exit(main())
