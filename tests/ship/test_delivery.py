"""Every record goes into the store once, whatever fails; what the store will never take holds up nothing else."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from sluice import durable
from sluice.errors import Misconfigured
from sluice.ledger import pruned, segment
from sluice.ledger.record import decode
from sluice.ship import batches, native, retries
from sluice.ship.clickhouse import Embedded, StoreError
from sluice.ship.deadletters import DeadLetters
from sluice.ship.delivery import Delivery
from sluice.ship.sqlgate import SqlError
from tests.ship.ship_rig import MONTH, NOVEMBER, Event, Memory, decision, write


class Rig:
    """A ledger, a store, and a clock that the test moves."""

    def __init__(self, root: Path) -> None:
        self.ledger = root / "ledger"
        self.directory = root / "ship"
        self.store = Memory()
        self.now = 1000.0
        self.died_at = ""
        self.delivery = self.restarted()

    def restarted(self, *, batch_rows: int = 10, batch_seconds: float = 1.0) -> Delivery:
        """A delivery that knows only what is on disk."""
        self.delivery = Delivery(
            self.ledger,
            self.directory,
            batch_rows=batch_rows,
            batch_seconds=batch_seconds,
            clock=lambda: 4_000_000_000.0,
            monotonic=lambda: self.now,
            step=self._step,
        )
        return self.delivery

    def _step(self, name: str) -> None:
        if name == self.died_at:
            self.died_at = ""
            raise Killed

    def drain(self, *, rounds: int = 200) -> None:
        """Ship until nothing waits, letting time pass where delivery waits."""
        for _ in range(rounds):
            self.now += 0.2
            self.delivery.round(self.store, flush=False)
            if self.delivery.standing.pending == 0:
                return
        raise AssertionError(f"{self.delivery.standing.pending} records still wait")


class Killed(BaseException):
    """Stands for kill -9: nothing below may catch it."""


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def all_seqs(ledger: Path, stream: str = "n-w0") -> list[int]:
    from sluice.ledger import reader

    return [e.seq for e in reader.read(ledger / stream)]


def test_everything_is_shipped_once_in_order(rig: Rig) -> None:
    """Two streams, several epochs and batches: each record is one row, each stream in order."""
    write(rig.ledger, [decision(n) for n in range(35)])
    write(rig.ledger, [decision(n) for n in range(100, 125)], slot=1)
    write(rig.ledger, [decision(n) for n in range(35, 40)])
    rig.drain()
    for slot in (0, 1):
        shipped = [r["seq"] for r in rig.store.rows if r["chain_id"] == f"n-w{slot}"]
        assert shipped == all_seqs(rig.ledger, f"n-w{slot}")
    assert all(len(seqs) <= 10 for _, seqs in rig.store.attempts)


def test_a_batch_waits_until_it_is_full_or_old(rig: Rig) -> None:
    """Few records do not become many small inserts, and do not wait for ever either."""
    write(rig.ledger, [decision(1)])
    assert rig.delivery.round(rig.store) == 0
    rig.now += 0.9
    assert rig.delivery.round(rig.store) == 0
    rig.now += 0.2
    assert rig.delivery.round(rig.store) == 3  # start, decision, stop
    write(rig.ledger, [decision(n) for n in range(20)])
    assert rig.delivery.round(rig.store) == 10


def test_what_keeps_coming_is_sent_together(rig: Rig) -> None:
    """A row that comes alone is sent soon; while rows keep coming, inserts are further apart, and none waits longer."""
    rig.restarted(batch_rows=1000)
    sent: list[float] = []
    for turn in range(60):
        write(rig.ledger, [decision(turn)])
        rig.now += 0.15
        before = len(rig.store.attempts)
        rig.delivery.round(rig.store)
        sent += [rig.now] * (len(rig.store.attempts) > before)
    assert 1000 + 1.0 <= sent[0] <= 1000 + 1.3
    apart = [b - a for a, b in pairwise(sent)]
    assert len(apart) >= 2
    assert all(2.9 <= gap <= 3.4 for gap in apart), apart


def test_what_waits_is_shipped_at_the_end(rig: Rig) -> None:
    """A stop ships what is there without waiting for a batch to fill."""
    write(rig.ledger, [decision(1)])
    assert rig.delivery.round(rig.store, flush=True) == 3


@pytest.mark.parametrize("step", ["frozen", "inserted", "advanced"])
def test_a_kill_at_any_step_doubles_and_loses_nothing(rig: Rig, step: str) -> None:
    """The process dies between two steps, again and again; the next one repeats the same rows with the same token."""
    write(rig.ledger, [decision(n) for n in range(60)])
    for _ in range(5):
        rig.died_at = step
        with pytest.raises(Killed):
            rig.drain()
        rig.restarted()
    rig.drain()
    assert rig.store.seqs == all_seqs(rig.ledger)
    by_token: dict[str, tuple[int, ...]] = {}
    for token, seqs in rig.store.attempts:
        assert by_token.setdefault(token, seqs) == seqs, "a token was used for other rows"


def test_a_kill_with_other_settings_afterwards(rig: Rig) -> None:
    """A frozen batch is repeated as it was frozen, even when the batch size was changed before the restart."""
    write(rig.ledger, [decision(n) for n in range(60)])
    rig.died_at = "inserted"
    with pytest.raises(Killed):
        rig.drain()
    rig.restarted(batch_rows=7)
    rig.drain()
    assert rig.store.seqs == all_seqs(rig.ledger)


def test_a_lost_answer_is_not_a_second_row(rig: Rig) -> None:
    """The insert succeeded and nobody heard of it: repeating it changes nothing."""
    write(rig.ledger, [decision(n) for n in range(30)])
    for _ in range(200):
        rig.store.answer_lost = True
        rig.now += 60
        rig.delivery.round(rig.store)
        if rig.delivery.standing.pending == 0:
            break
        rig.now += 60
        rig.delivery.round(rig.store)
    assert rig.store.seqs == all_seqs(rig.ledger)


def test_an_outage_is_waited_out_and_drained(rig: Rig) -> None:
    """While the store is down nothing is lost, it is asked less and less often, and then everything arrives."""
    write(rig.ledger, [decision(n) for n in range(100)])
    rig.store.fail = lambda _: StoreError(0, "connection refused")
    for _ in range(600):
        rig.now += 1
        rig.delivery.round(rig.store)
    attempts = len(rig.store.attempts)
    assert 10 < attempts < 60
    assert rig.delivery.standing.failures == attempts
    assert rig.delivery.standing.pending == 102
    assert rig.delivery.standing.lag_seconds > 0
    rig.store.fail = lambda _: None
    rig.now += 60
    rig.drain()
    assert rig.store.seqs == all_seqs(rig.ledger)
    assert rig.delivery.standing.failures == 0
    assert rig.delivery.standing.lag_seconds == 0


def test_an_error_of_the_store_is_never_taken_for_one_of_a_row(rig: Rig) -> None:
    """Read-only, out of memory, no such table, an unknown column: the batch waits, nothing is set aside."""
    write(rig.ledger, [decision(n) for n in range(10)])
    errors = [StoreError(c, "x") for c in (0, 16, 60, 159, 164, 210, 241, 242, 243, 252, 319, 425, 516)]
    errors.append(StoreError(117, "Unknown column with name novel found while reading data in Native format"))
    for error in errors:
        assert retries.means(error.code, str(error)) is not retries.Means.ROW
        rig.store.fail = lambda _, error=error: error  # type: ignore[misc]
        rig.now += 200
        rig.delivery.round(rig.store)
    assert DeadLetters(rig.directory).read("n-w0") == []
    rig.store.fail = lambda _: None
    rig.now += 200
    rig.drain()
    assert rig.store.seqs == all_seqs(rig.ledger)


def bad_rows(seqs: set[int]) -> object:
    def fail(events: list[Event]) -> StoreError | None:
        return StoreError(691, "Unknown element") if seqs & {e["seq"] for e in events} else None

    return fail


def test_a_poison_row_is_set_aside_and_the_rest_is_shipped(rig: Rig) -> None:
    """The one row that can never be stored is found by halving; all its neighbours arrive once."""
    write(rig.ledger, [decision(n) for n in range(60)])
    rig.store.fail = bad_rows({13, 17, 44})  # type: ignore[assignment]
    rig.drain()
    assert sorted(rig.store.seqs) == [n for n in all_seqs(rig.ledger) if n not in (13, 17, 44)]
    letters = DeadLetters(rig.directory).read("n-w0")
    assert [(x.seq, x.code, x.error) for x in letters] == [(n, 691, "Unknown element") for n in (13, 17, 44)]
    assert decode(bytes(letters[0].record)).seq == 13


def test_a_poison_row_is_set_aside_once_over_kills(rig: Rig) -> None:
    """Killed between setting aside and advancing, the same row is met again, and is in the file once."""
    write(rig.ledger, [decision(n) for n in range(20)])
    rig.store.fail = bad_rows({3})  # type: ignore[assignment]
    for _ in range(3):
        rig.died_at = "inserted"
        with pytest.raises(Killed):
            rig.drain()
        rig.restarted()
    rig.drain()
    assert [x.seq for x in DeadLetters(rig.directory).read("n-w0")] == [3]
    assert sorted(rig.store.seqs) == [n for n in all_seqs(rig.ledger) if n != 3]


def test_a_torn_dead_letter_spoils_no_other(rig: Rig) -> None:
    """A crash in the middle of writing the file leaves a broken line; the next one is still whole."""
    write(rig.ledger, [decision(n) for n in range(8)])
    rig.directory.mkdir(exist_ok=True)
    DeadLetters(rig.directory).path("n-w0").write_bytes(b'{"stream":"n-w0","epo')
    rig.store.fail = bad_rows({3})  # type: ignore[assignment]
    rig.drain()
    assert [x.seq for x in DeadLetters(rig.directory).read("n-w0")] == [3]


def test_a_record_that_makes_no_row_is_set_aside(rig: Rig) -> None:
    """A value that no column can hold is refused here, before ClickHouse could store another one in its place."""
    write(rig.ledger, [decision(1), decision(2, ts_end=-5), decision(3)])
    rig.drain()
    assert rig.store.seqs == [0, 1, 3, 4]
    assert [(x.seq, x.code) for x in DeadLetters(rig.directory).read("n-w0")] == [(2, 0)]


def test_one_stream_in_trouble_does_not_hold_up_another(rig: Rig) -> None:
    """Where the store answers and refuses one batch for now, other streams go on."""
    write(rig.ledger, [decision(n) for n in range(10)])
    write(rig.ledger, [decision(n) for n in range(10)], slot=1)

    def fail(events: list[Event]) -> StoreError | None:
        return StoreError(241, "memory") if events[0]["chain_id"] == "n-w0" else None

    rig.store.fail = fail
    for _ in range(20):
        rig.now += 1
        rig.delivery.round(rig.store)
    assert {r["chain_id"] for r in rig.store.rows} == {"n-w1"}
    assert len(rig.store.rows) == 12


def test_a_batch_is_split_by_partition(rig: Rig) -> None:
    """Rows of two months, or two retention classes, are inserts of their own: a block is one partition."""
    many = [decision(n, ts_received=decision(n).ts_received + (n % 2) * MONTH) for n in range(4)]
    write(rig.ledger, [*many, decision(9, retention_class="phi")])
    rig.drain()
    for token in rig.store.tokens:
        seqs = next(s for t, s in rig.store.attempts if t == token)
        rows = [r for r in rig.store.rows if r["seq"] in seqs]
        assert len({(str(r["ts_received"])[:4], r["retention_class"]) for r in rows}) == 1
    assert sorted(rig.store.seqs) == all_seqs(rig.ledger)


def test_damage_in_the_ledger_is_stepped_over(rig: Rig) -> None:
    """A record that cannot be read any more is reported; the ones behind it are shipped."""
    write(rig.ledger, [decision(n) for n in range(30)])
    path = rig.ledger / "n-w0" / segment.segments(rig.ledger / "n-w0")[0]
    data = bytearray(path.read_bytes())
    victim = list(segment.frames(bytes(data)))[7]
    data[victim.offset + 30] ^= 1
    path.write_bytes(data)
    rig.drain()
    assert rig.store.seqs == [n for n in range(32) if n != 7]


def test_a_broken_state_file_stops_delivery_with_words(rig: Rig) -> None:
    """Guessing where to go on would double or lose rows: the operator is told which file it is."""
    write(rig.ledger, [decision(1)])
    rig.directory.mkdir(exist_ok=True)
    (rig.directory / "n-w0.json").write_bytes(b'{"cursor": 7}')
    with pytest.raises(Misconfigured, match=r"n-w0\.json: is not the state of a delivery"):
        rig.delivery.round(rig.store)


def numbers(store: Embedded, sql: str) -> list[list[int]]:
    return [list(map(int, line.split())) for line in store.select(sql, "TSV").splitlines()]


@pytest.mark.parametrize("batch_rows", [10, 7, 1000])
def test_a_lost_state_doubles_and_loses_nothing(rig: Rig, store: Embedded, batch_rows: int) -> None:
    """Without the cursor the store is asked: what it holds is not sent again, and what it lacks is, gaps included."""
    write(rig.ledger, [decision(n, ts_received=NOVEMBER + (n % 2) * MONTH + n) for n in range(33)])
    write(rig.ledger, [decision(n) for n in range(100, 104)], slot=1)
    rig.store = store  # type: ignore[assignment]
    fail_once = {"left": 3}
    real = store.insert

    def insert(bodies: Sequence[bytes], token: str) -> None:
        fail_once["left"] -= 1
        if fail_once["left"] == 0:
            raise Killed  # one of two partitions of a batch is in, the other is not
        real(bodies, token)

    store.insert = insert  # type: ignore[assignment, method-assign]
    with pytest.raises(Killed):
        rig.drain()
    for _ in range(2):
        for state in rig.directory.glob("*.json"):
            state.unlink()
        rig.restarted(batch_rows=batch_rows)
        rig.drain()
    write(rig.ledger, [decision(n) for n in range(200, 205)])
    rig.drain()
    found = numbers(store, "SELECT seq FROM events WHERE chain_id = 'n-w0' ORDER BY seq")
    assert [n for (n,) in found] == all_seqs(rig.ledger)
    assert len(numbers(store, "SELECT seq FROM events WHERE chain_id = 'n-w1'")) == 6


def test_a_stream_that_began_anew_is_another_one(rig: Rig, store: Embedded) -> None:
    """A ledger that was started over under the same name is shipped whole, beside what the store has of the old one."""
    rig.store = store  # type: ignore[assignment]
    write(rig.ledger, [decision(n) for n in range(20)])
    rig.drain()
    shutil.rmtree(rig.ledger)
    shutil.rmtree(rig.directory)
    write(rig.ledger, [decision(n, ts_received=NOVEMBER + MONTH + n) for n in range(5)])
    rig.directory.mkdir()
    rig.restarted()
    rig.drain()
    assert numbers(store, "SELECT count() FROM events WHERE record_type = 'decision'") == [[25]]


def test_without_an_answer_nothing_is_sent(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that cannot say what it holds is waited for: sending on a guess would double rows."""
    write(rig.ledger, [decision(n) for n in range(10)])

    def silent(sql: str, form: str) -> bytes:
        raise SqlError(0, "connection reset")

    with monkeypatch.context() as patched:
        patched.setattr(rig.store, "select", silent)
        rig.now += 5
        assert rig.delivery.round(rig.store, flush=True) == 0
        assert rig.store.attempts == []
        assert rig.delivery.standing.failures == 1
    rig.now += 60
    rig.drain()
    assert rig.store.seqs == all_seqs(rig.ledger)


def test_a_full_disk_for_the_cursor_is_an_outage(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state file cannot be written: nothing is sent, because a retry could not repeat it; later it goes on."""
    write(rig.ledger, [decision(n) for n in range(10)])
    real = durable.write

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "write", full)
    rig.now += 5
    rig.delivery.round(rig.store)
    rig.now += 5
    rig.delivery.round(rig.store)
    assert rig.store.attempts == []
    monkeypatch.setattr(durable, "write", real)
    rig.now += 60
    rig.drain()
    assert rig.store.seqs == all_seqs(rig.ledger)


@pytest.mark.parametrize("window", [3, 10_000])
def test_lost_answers_across_months_and_a_tiny_window(rig: Rig, window: int) -> None:
    """Every third answer is lost while other streams push the tokens out of the window: still each row once."""
    rig.store = Memory(window)
    for slot in range(4):
        shifted = [decision(n + 1000 * slot, ts_received=NOVEMBER + (n % 3) * MONTH + n) for n in range(60)]
        write(rig.ledger, shifted, slot=slot)
    real, calls = rig.store.insert, 0

    def insert(bodies: Sequence[bytes], token: str) -> None:
        nonlocal calls
        calls += 1
        real(bodies, token)
        if calls % 3 == 0:
            raise StoreError(209, "timeout exceeded")

    rig.store.insert = insert  # type: ignore[method-assign]
    for _ in range(300):
        rig.now += 40
        rig.delivery.round(rig.store)
    assert rig.delivery.standing.pending == 0
    for slot in range(4):
        rows = sorted(r["seq"] for r in rig.store.rows if r["chain_id"] == f"n-w{slot}")
        assert rows == all_seqs(rig.ledger, f"n-w{slot}")
    assert calls > 40


def test_an_old_state_file_doubles_nothing_and_is_told(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """Yesterday's cursor is restored: how many rows the store is ahead is said exactly, before anything is sent."""
    write(rig.ledger, [decision(n) for n in range(30)])
    rig.drain()
    old = (rig.directory / "n-w0.json").read_bytes()
    write(rig.ledger, [decision(n) for n in range(30, 60)])
    rig.drain()
    (rig.directory / "n-w0.json").write_bytes(old)
    rig.store.tokens.clear()  # outside of the window
    attempts = len(rig.store.attempts)
    rig.restarted(batch_rows=7)
    with caplog.at_level("WARNING"):
        rig.delivery.round(rig.store, flush=True)
    (said,) = [r.__dict__["facts"] for r in caplog.records if "does not know of" in r.message]
    assert (said["known"], said["held"], said["rows"]) == (32, 64, 32)
    rig.drain()
    assert len(rig.store.attempts) == attempts
    write(rig.ledger, [decision(n) for n in range(60, 65)])
    rig.drain()
    assert rig.store.seqs == all_seqs(rig.ledger)


def test_a_record_of_a_later_version_holds_up_nothing(rig: Rig, store: Embedded) -> None:
    """A field that this program has no column for: the record is set aside, its neighbours are rows."""
    rig.store = store  # type: ignore[assignment]
    write(rig.ledger, [decision(n) for n in range(6)])
    real = native.block

    def later(bodies: Sequence[bytes]) -> bytes:
        return real([b.replace(b'"host"', b'"ghost"') if b'"seq":3,' in b else b for b in bodies])

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(native, "block", later)
        rig.drain()
    assert [n for (n,) in numbers(store, "SELECT seq FROM events ORDER BY seq")] == [0, 1, 2, 4, 5, 6, 7]
    assert [x.seq for x in DeadLetters(rig.directory).read("n-w0")] == [3]


def test_a_busy_stream_pays_for_one_state_file_a_batch(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """While more waits, an acknowledgement is written down with the next batch; at rest it is on disk at once."""
    write(rig.ledger, [decision(n) for n in range(48)])
    written: list[bytes] = []
    real = durable.write
    monkeypatch.setattr(durable, "write", lambda path, data, mode: (written.append(data), real(path, data, mode))[1])
    rig.drain()
    assert len(rig.store.attempts) == 5
    assert len(written) == 1 + 5 + 1
    assert json.loads((rig.directory / "n-w0.json").read_bytes())["batch"] is None


def test_any_mixture_of_faults(rig: Rig) -> None:
    """Kills, lost answers, outages, poison and restarts at random, while the ledger grows: still each row once."""
    rng = random.Random(24)
    written = 0
    poison = {40, 41, 133}
    for _ in range(400):
        if written < 300 and rng.random() < 0.2:
            count = rng.randrange(1, 25)
            write(rig.ledger, [decision(written + i) for i in range(count)])
            written += count + 2
        outage = rng.random() < 0.2
        rig.store.fail = (lambda _: StoreError(0, "down")) if outage else bad_rows(poison)  # type: ignore[assignment]
        rig.store.answer_lost = rng.random() < 0.2
        rig.died_at = rng.choice(["", "", "", "frozen", "inserted", "advanced"])
        rig.now += rng.random() * 40
        try:
            rig.delivery.round(rig.store)
        except Killed:
            rig.restarted(batch_rows=rng.choice([3, 10, 50]))
    rig.died_at = ""
    rig.store.answer_lost = False
    rig.store.fail = bad_rows(poison)  # type: ignore[assignment]
    rig.now += 60
    rig.drain()
    assert sorted(rig.store.seqs) == [n for n in all_seqs(rig.ledger) if n not in poison]
    assert {x.seq for x in DeadLetters(rig.directory).read("n-w0")} == poison


def test_tokens_name_their_records() -> None:
    """Any difference in stream, epoch, range or partition is another token; the same is the same."""
    given = ("n-w0", 1, 5, 9, "202611/standard")
    others = [("n-w1", 1, 5, 9, given[4]), ("n-w0", 2, 5, 9, given[4]), ("n-w0", 1, 4, 9, given[4])]
    others += [("n-w0", 1, 5, 8, given[4]), ("n-w0", 1, 5, 9, "202612/standard"), ("n-w0", 1, 59, 0, given[4])]
    tokens = {batches.token(*g) for g in (given, *others)}
    assert len(tokens) == 7
    assert batches.token(*given) == batches.token(*given)


def test_state_is_readable_by_people(rig: Rig) -> None:
    """What delivery stands at can be looked up with a pager."""
    write(rig.ledger, [decision(1)])
    rig.drain()
    state = json.loads((rig.directory / "n-w0.json").read_bytes())
    assert state["cursor"]["seq"] == 3
    assert state["batch"] is None


def test_a_disk_that_takes_a_part_at_a_time_tears_no_file(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that a filling disk cuts short is gone on with: state, dead letter and note of pruning are whole."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data)[:7]))
    write(rig.ledger, [decision(n) for n in range(3)])
    rig.store.fail = bad_rows({1})  # type: ignore[assignment]
    rig.drain()
    pruned.write(rig.ledger / "n-w0", pruned.Pruned(1, "0" * 64, 1))
    monkeypatch.undo()
    assert rig.restarted() and [letter.seq for letter in DeadLetters(rig.directory).read("n-w0")] == [1]
    rig.drain()
    assert rig.store.seqs == [0, *range(2, 5)]
    assert pruned.read(rig.ledger / "n-w0") == pruned.Pruned(1, "0" * 64, 1)
