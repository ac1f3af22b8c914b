"""The oracle: what the clients were told, what the upstream received, what the ledger holds, what ClickHouse holds."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sluice.ledger import acted, reader
from sluice.model import RecordType
from tests.clients.appliance import Appliance
from tests.e2e.traffic import Clients, body_hmac
from tests.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Account:
    """What the four sources say of one run. Everything but `answered`, `forwarded` and `records` should be nothing."""

    answered: int
    forwarded: int
    records: int
    without_record: int
    """Requests that reached the upstream and have no durable allow."""
    unforwarded: int
    """Requests that a client was told are answered and that the upstream never saw."""
    lost: int
    """Records of the ledger that ClickHouse does not hold."""
    doubled: int
    """Rows that ClickHouse holds more than once."""
    foreign: int
    """Rows that no ledger holds."""
    counted: int
    """Decisions that the gate counted when it acted on them, in all epochs."""
    unrecorded: int
    """Of those, more than the ledger has of that epoch."""
    sound: bool

    def __str__(self) -> str:
        return (
            f"answered {self.answered}, forwarded {self.forwarded}, records {self.records}; forwarded without record "
            f"{self.without_record}, lost {self.lost}, doubled {self.doubled}, foreign {self.foreign}; counted by the "
            f"gate {self.counted}, without record {self.unrecorded}; chain {'sound' if self.sound else 'BROKEN'}"
        )

    @property
    def clean(self) -> bool:
        wrong = self.without_record + self.unforwarded + self.lost + self.doubled + self.foreign + self.unrecorded
        return self.sound and wrong == 0


def settle(appliance: Appliance, seconds: float = 90.0) -> None:
    """Wait until ClickHouse holds as many rows as the ledgers have records, or the time is over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        records = sum(reader.acknowledged(s) or 0 for s in reader.streams(appliance.var / "ledger"))
        with contextlib.suppress(RuntimeError):  # the store may not be open again yet
            if int(appliance.sql("select count() as n from sluice.events")[0]["n"]) >= records:
                return
        time.sleep(0.3)


def take(appliance: Appliance, upstream: Upstream, clients: Clients) -> Account:
    """Compare the four sources. The appliance runs and its clients have ended; it is stopped here, before its ledgers
    are read to their ends: what the stop itself writes is not in ClickHouse's account."""
    before = {s.name: reader.acknowledged(s) or 0 for s in reader.streams(appliance.var / "ledger")}
    settle(appliance)
    rows = appliance.sql("select chain_id as c, epoch as e, seq as s, count() as n from sluice.events group by 1, 2, 3")
    held = {(r["c"], int(r["e"]), int(r["s"])): int(r["n"]) for r in rows}
    assert appliance.stop() == 0
    kept: Counter[tuple[str, int, int]] = Counter()
    allowed: set[str] = set()
    decisions: Counter[tuple[str, int]] = Counter()
    counted: dict[tuple[str, int], int] = {}
    for stream in reader.streams(appliance.var / "ledger"):
        for entry in reader.read(stream):
            if entry.seq < before.get(stream.name, 0):
                kept[stream.name, entry.epoch, entry.seq] += 1
            record = entry.record
            if record.record_type is RecordType.DECISION and record.decision == "allow" and record.body_hmac:
                allowed.add(record.body_hmac)
            if record.record_type in (RecordType.DECISION, RecordType.BYPASS):
                decisions[stream.name, entry.epoch] += 1
            if record.control_kind == acted.CONTROL:
                told = json.loads(record.control_detail or "")
                counted[stream.name, told["epoch"]] = told["decisions"]
        if now := acted.read(stream):
            counted[stream.name, now.epoch] = now.decisions
    forwarded = {r.request_id: r.body for r in upstream.journal.posts("/v1/chat/completions") if r.complete}
    answered = {i for i, status in clients.sent.statuses.items() if status == 200}
    return Account(
        answered=len(answered),
        forwarded=len(forwarded),
        records=kept.total(),
        without_record=sum(1 for body in forwarded.values() if body_hmac(appliance.var, body) not in allowed),
        unforwarded=len(answered - forwarded.keys()),
        lost=len(kept.keys() - held.keys()),
        doubled=sum(n - 1 for n in held.values()) + sum(n - 1 for n in kept.values()),
        foreign=len([k for k in held.keys() - kept.keys() if k[2] < before.get(k[0], 0)]),
        counted=sum(counted.values()),
        unrecorded=sum(max(0, n - decisions[at]) for at, n in counted.items()),
        sound=reader.verify(appliance.var / "ledger").sound,
    )


def children(pid: int) -> dict[int, str]:
    """The child processes of a supervisor: pid -> worker, shipper or sealer."""
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            line = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        except OSError:  # it ended a moment ago
            continue
        module = line[line.index(b"-m") + 1].decode() if b"-m" in line else ""
        if module:
            found[int(child)] = module.rpartition(".")[2]
    return found


def supervisor(appliance: Appliance) -> int:
    return int((appliance.var / "sluice.pid").read_text())


def kill_one(appliance: Appliance, kind: str, *, nth: int = 0, seconds: float = 30.0) -> float:
    """SIGKILL one child of a kind, and wait for its successor; how long that took (seconds)."""
    pid = supervisor(appliance)
    of_kind = sorted(p for p, k in children(pid).items() if k == kind)
    victim = of_kind[nth % len(of_kind)]
    os.kill(victim, signal.SIGKILL)
    killed = time.monotonic()
    while True:
        now = {p for p, k in children(pid).items() if k == kind}
        if victim not in now and len(now) == len(of_kind):
            return time.monotonic() - killed
        assert time.monotonic() - killed < seconds, f"the {kind} did not come back"
        time.sleep(0.02)


def kill_everything(appliance: Appliance) -> None:
    """SIGKILL the supervisor and every child, as near to at once as can be."""
    pid = supervisor(appliance)
    victims = [pid, *children(pid)]
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    appliance.reap()
    until = time.monotonic() + 10
    while any(_alive(v) for v in victims):
        assert time.monotonic() < until, "a killed process is still there"
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
