"""Events outward: at least once over real sockets, whatever the receiver does, and never at the cost of others."""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

import sluice.cli
from sluice import config
from sluice.cli.forward import command
from sluice.config import ForwardTo, Settings
from sluice.doctor import outside
from sluice.errors import Misconfigured
from sluice.forward import forwarder, sinks
from sluice.forward.forwarder import Destination, directory
from sluice.ledger import reader
from sluice.ledger.writer import Writer, open_stream
from sluice.model import Record, RecordType
from tests.forward.receivers import Collector, Hook, lines, parsed
from tests.upstream import TestAuthority

QUICK = (0.02, 0.05)


def record(number: int, **facts: object) -> Record:
    told: dict[str, object] = {
        "record_type": RecordType.DECISION,
        "decision_id": f"00000000-0000-7000-8000-{number:012}",
        "ts_received": 1_790_000_000_000_000 + number,
        "decision": "block",
        "reason_code": "SECRET_FOUND",
        "provider_id": "openai",
        "host": "api.openai.com",
    }
    return Record(**(told | facts))  # type: ignore[arg-type]


class Site:
    """A ledger with a writer, and settings that name one destination."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.settings = msgspec.structs.replace(Settings(), paths=config.Paths(var=directory / "var"))
        self.settings.ledger_dir.mkdir(parents=True)
        self._loop = asyncio.new_event_loop()
        self._writer = self._open()

    def _open(self, slot: int = 0) -> Writer:
        async def opened() -> Writer:
            return open_stream(
                self.settings.ledger_dir, node="n", slot=slot, segment_bytes=1 << 20, disk_low_bytes=1 << 10
            )

        return self._loop.run_until_complete(opened())

    def write(self, *records: Record) -> None:
        async def commit() -> None:
            await asyncio.gather(*(self._writer.commit(each) for each in records))

        self._loop.run_until_complete(commit())

    def close(self) -> None:
        self._writer.close()
        self._loop.close()

    def to(self, url: str, **facts: object) -> ForwardTo:
        told: dict[str, object] = {"name": "siem", "url": url, "from_start": True, "records": ("decision",)}
        return ForwardTo(**(told | facts))  # type: ignore[arg-type]

    def destination(self, url: str, **facts: object) -> Destination:
        return Destination(self.settings, self.to(url, **facts), waits=QUICK)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


class Running:
    """A destination's loop on a thread."""

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self._thread = threading.Thread(target=destination.run, daemon=True)
        self._thread.start()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.destination.stopping.set()
        self._thread.join(20)
        assert not self._thread.is_alive()


# ------------------------------------------------------------------------------------------------------------ receivers


def test_syslog_over_tcp(site: Site) -> None:
    """RFC 5424 messages framed by length; structured data says what the record says, escaped."""
    odd = 'gpt"5]\\x'
    site.write(record(1), record(2, decision="allow", model_requested=odd, data_classes=("a.b", "c.d")))
    with Collector() as collector:
        assert site.destination(f"syslog+tcp://127.0.0.1:{collector.port}", format="syslog").turn()
        until(lambda: len(collector.messages) == 2)
        first, second = map(parsed, collector.messages)
    assert (first["pri"], first["app"], first["id"]) == (str(13 * 8 + 4), "sluice", "block")
    assert first["reason_code"] == "SECRET_FOUND"
    assert (second["model_requested"], second["data_classes"]) == (odd, "a.b,c.d")
    assert first["uid"] != second["uid"]
    assert second["text"] == "allow to openai (SECRET_FOUND), found a.b, c.d"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """The collector's side of TLS for localhost, and the CA that it verifies by."""
    where = tmp_path_factory.mktemp("tls")
    authority = TestAuthority()
    (where / "ca.pem").write_bytes(authority.pem)
    (where / "leaf.pem").write_bytes(b"".join(authority.leaf(["localhost"])))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(where / "leaf.pem")
    return context, where / "ca.pem"


def test_syslog_over_tls(site: Site, tls: tuple[ssl.SSLContext, Path]) -> None:
    """TLS with the collector's name verified by the given CA; OCSF as the message's text."""
    site.write(record(1))
    with Collector(tls[0]) as collector:
        url = f"syslog+tls://localhost:{collector.port}"
        assert site.destination(url, format="syslog-ocsf", ca=tls[1]).turn()
        until(lambda: len(collector.messages) == 1)
        event = json.loads(parsed(collector.messages[0])["text"])
    assert (event["class_uid"], event["disposition_id"]) == (4002, 2)


@pytest.mark.parametrize("fault", ["unknown CA", "another name"])
def test_a_collector_that_cannot_prove_itself_gets_nothing(
    site: Site, tls: tuple[ssl.SSLContext, Path], fault: str
) -> None:
    """A certificate of nobody, or for somebody else: no event leaves, and the place does not move."""
    site.write(record(1))
    with Collector(tls[0]) as collector:
        host = "127.0.0.1" if fault == "another name" else "localhost"
        ca = tls[1] if fault == "another name" else None
        destination = site.destination(f"syslog+tls://{host}:{collector.port}", format="syslog", ca=ca)
        with pytest.raises(ssl.SSLCertVerificationError):
            destination.turn()
        assert collector.messages == []
    assert destination.cursor.streams == {}


def test_a_webhook(site: Site, tmp_path: Path) -> None:
    """A JSON array of OCSF events by POST, with the token and a signature over the body that the secret verifies."""
    for name, text in (("token", "t0ken"), ("secret", "s3cret")):
        (tmp_path / name).write_text(text + "\n")
        (tmp_path / name).chmod(0o600)
    site.write(*map(record, range(3)))
    with Hook() as hook:
        site.destination(hook.url, token=tmp_path / "token", signing=tmp_path / "secret").turn()
        ((headers, body),) = hook.requests
    assert [e["metadata"]["correlation_uid"][-1] for e in hook.events] == ["0", "1", "2"]
    assert headers["authorization"] == "Bearer t0ken"
    assert headers["x-sluice-signature"] == "sha256=" + hmac.digest(b"s3cret", body, "sha256").hex()


def test_a_file_is_rotated(site: Site, tmp_path: Path) -> None:
    """One event a line; at the size a new file begins, and only so many are kept."""
    file = tmp_path / "out" / "events.jsonl"
    destination = site.destination(f"file://{file}", format="json", file_bytes=2000, file_keep=2)
    for round_ in range(6):
        site.write(*(record(round_ * 10 + n) for n in range(4)))
        destination.turn()
    assert sorted(p.name for p in file.parent.iterdir()) == ["events.jsonl", "events.jsonl.1", "events.jsonl.2"]
    assert lines(file)[-1]["decision_id"].endswith("53")
    assert lines(file)[0]["uid"].startswith("n-w0/1/")


# -------------------------------------------------------------------------------------------------------- at least once


def test_a_line_that_a_crash_cut_off_takes_no_other_with_it(site: Site, tmp_path: Path) -> None:
    """What is written behind a torn line begins on a line of its own."""
    file = tmp_path / "e.jsonl"
    file.write_bytes(b'{"decision_id": "half')
    site.write(record(1), record(2))
    site.destination(f"file://{file}", format="json").turn()
    assert [e["decision_id"] for e in lines(file)] == [record(1).decision_id, record(2).decision_id]


def test_what_was_in_hand_is_sent_again(site: Site) -> None:
    """The receiver takes a batch and its answer is lost: the place did not move, so the next start sends it again, by
    the same ids."""
    site.write(record(1), record(2))
    with Hook() as hook:
        first = site.destination(hook.url)
        original = first._sink.send

        def lost(events: object) -> None:
            original(events)  # type: ignore[arg-type]
            raise ConnectionResetError

        first._sink.send = lost  # type: ignore[method-assign]
        with pytest.raises(ConnectionResetError):
            first.turn()
        site.destination(hook.url).turn()
        site.destination(hook.url).turn()
    ids = [e["metadata"]["uid"] for e in hook.events]
    assert (len(ids), len(set(ids))) == (4, 2)


def test_a_receiver_that_is_away_misses_nothing(site: Site) -> None:
    """Down from the start, up, down in mid-course and up again: everything arrives, in the order of the stream."""
    with Collector() as collector:
        port = collector.port
    with Running(site.destination(f"syslog+tcp://127.0.0.1:{port}", format="syslog")) as running:
        site.write(*map(record, range(5)))
        until(lambda: running.destination.trouble != "")
        with Collector(port=port) as first:
            until(lambda: len(first.messages) == 5)
        site.write(*map(record, range(5, 10)))
        until(lambda: running.destination.trouble != "")
        with Collector(port=port) as second:
            until(lambda: {parsed(m)["decision_id"] for m in second.messages} >= ids(range(5, 10)))
            until(lambda: running.destination.trouble == "")
    seqs = [int(parsed(m)["uid"].rpartition("/")[2]) for m in second.messages]
    assert seqs == sorted(seqs)


def ids(numbers: range) -> set[str]:
    return {record(n).decision_id for n in numbers}


def test_a_deaf_receiver_holds_up_nobody_else(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector that reads nothing: its batch does not count as taken, while another destination gets everything."""
    monkeypatch.setattr(sinks, "TIMEOUT", 0.3)
    long = "x" * 250
    site.write(*(record(n, model_requested=long, user_agent=long, reason_detail=long * 3) for n in range(3000)))
    file = tmp_path / "events.jsonl"
    with Collector(deaf=True) as collector:
        deaf = site.destination(f"syslog+tcp://127.0.0.1:{collector.port}", format="syslog", name="deaf")
        with Running(deaf), Running(site.destination(f"file://{file}", format="json", name="other")) as other:
            until(lambda: deaf.trouble == "TimeoutError")
            until(lambda: other.destination.cursor.sent == 3000)
        assert deaf.cursor.sent < 3000
    assert len(lines(file)) == 3000


@pytest.mark.parametrize("status", [400, 413, 422])
def test_an_event_that_is_never_taken_is_set_aside(site: Site, status: int) -> None:
    """One bad event among many: the others arrive, it lies in a file, and it is counted."""
    site.write(*map(record, range(9)))
    bad = record(4).decision_id

    def answer(events: list[dict[str, object]]) -> int:
        return status if any(e["metadata"]["correlation_uid"] == bad for e in events) else 200  # type: ignore[index]

    with Hook(answer) as hook:
        destination = site.destination(hook.url)
        destination.turn()
    assert {e["metadata"]["correlation_uid"] for e in hook.events} == ids(range(9)) - {bad}
    (aside,) = lines(directory(site.settings) / "siem.rejected")
    assert (aside["metadata"]["correlation_uid"], destination.cursor.rejected) == (bad, 1)


def test_a_receiver_that_rejects_everything_fills_no_disk(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set aside is bounded: the file is put away at a size, over the one before it; the count goes on."""
    monkeypatch.setattr(forwarder, "ASIDE_BYTES", 3000)
    site.write(*map(record, range(40)))
    with Hook(lambda _: 400) as hook:
        destination = site.destination(hook.url)
        destination.turn()
    aside = sorted(directory(site.settings).glob("siem.rejected*"))
    assert [file.name for file in aside] == ["siem.rejected", "siem.rejected.1"]
    assert sum(file.stat().st_size for file in aside) < 10_000
    assert (destination.cursor.rejected, destination.turn()) == (40, 0)


def test_a_new_destination_begins_with_the_next_record(site: Site, tmp_path: Path) -> None:
    """What was there before is not sent, what comes later is, also when the process was restarted before it came."""
    site.write(record(1))
    file = tmp_path / "e.jsonl"
    site.destination(f"file://{file}", from_start=False)
    site.write(record(2))
    site.destination(f"file://{file}", from_start=False, format="json").turn()
    assert [e["decision_id"] for e in lines(file)] == [record(2).decision_id]


def test_a_record_that_has_no_form_holds_up_nobody(site: Site, tmp_path: Path) -> None:
    """A fault of ours in one event: it goes as the record itself, and the others as they should."""
    site.write(record(1), record(2))
    file = tmp_path / "e.jsonl"
    destination = site.destination(f"file://{file}")
    form = destination._format

    def broken(told: Record, body: bytes) -> bytes:
        return form(told, body) if told.decision_id == record(2).decision_id else dict[str, bytes]()["no form"]

    destination._format = broken
    destination.turn()
    first, second = lines(file)
    assert (first["decision_id"], second["class_uid"]) == (record(1).decision_id, 4002)


def test_only_what_is_wanted_is_sent(site: Site, tmp_path: Path) -> None:
    """Kinds of record and decisions are filters; the place moves over the others all the same."""
    site.write(record(1), record(2, decision="allow"), record(3, record_type=RecordType.OUTCOME, decision=None))
    file = tmp_path / "e.jsonl"
    destination = site.destination(f"file://{file}", format="json", decisions=("block",))
    destination.turn()
    assert [e["decision_id"] for e in lines(file)] == [record(1).decision_id]
    assert destination.turn() == 0


def _others(site: Site, seen: int) -> set[int]:
    """Numbers of the control records that are still there."""
    (stream,) = reader.streams(site.settings.ledger_dir)
    entries = reader.read(stream, on_damage=lambda _: None)
    return {e.seq for e in entries if e.link.record_type != "decision" and e.seq < seen} | {0}


def test_what_the_ledger_let_go_is_counted(site: Site, tmp_path: Path) -> None:
    """Segments deleted while a destination was away: the number of missed records is told, and the rest is sent."""
    file = tmp_path / "e.jsonl"
    destination = site.destination(f"file://{file}", format="json", name="late")
    site.write(record(0))
    destination.turn()
    for number in range(1, 9):
        site.write(*(record(number * 1000 + n, user_agent="x" * 500, reason_detail="y" * 900) for n in range(150)))
    segments = sorted((site.settings.ledger_dir / "n-w0").glob("*.seg"))
    assert len(segments) > 1
    segments[0].unlink()
    destination.turn()
    first_kept = int(segments[1].stem.partition("-")[2])
    seen = destination.cursor.streams["n-w0"].seq
    sent = [int(e["uid"].rpartition("/")[2]) for e in lines(file)]
    missed = set(range(seen)) - set(sent) - _others(site, seen)
    assert destination.cursor.missed == first_kept - (sent[0] + 1)
    assert len(missed) == destination.cursor.missed


# ---------------------------------------------------------------------------------------------------------- the process


def test_the_process_killed_and_started_again_loses_nothing(site: Site, tmp_path: Path) -> None:
    """kill -9 in mid-course, twice, while records come: after the last start every record is in the file at least once,
    and SIGTERM ends it with 0."""
    file = tmp_path / "events.jsonl"
    (tmp_path / "s.toml").write_text(
        f'[paths]\nvar = "var"\n[[forward.to]]\nname = "archive"\nurl = "file://{file}"\nformat = "json"\n'
        'records = ["decision"]\nfrom_start = true\n'
    )
    command = [sys.executable, "-P", "-m", "sluice.forward.forwarder", "--config", str(tmp_path / "s.toml")]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SLUICE_")}

    def started() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)

    wanted = 0
    for _ in range(2):
        process = started()
        try:
            site.write(*map(record, range(wanted, wanted + 700)))
            wanted += 700
            until(lambda least=wanted - 700: len(lines(file)) > least)  # type: ignore[misc]
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(10)
    process = started()
    try:
        site.write(record(wanted))
        wanted += 1
        until(lambda: {e["decision_id"] for e in lines(file)} == ids(range(wanted)))
        process.terminate()
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait(10)


# ------------------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('name = "a"\nurl = "ftp://x"', "is none of `syslog+tcp"),
        ('name = "A b"\nurl = "https://x/"', "small letters"),
        ('name = "a"\nurl = "https://x/"\nformat = "syslog"', "does not fit"),
        ('name = "a"\nurl = "https://u:p@x/"', "is none of"),
        ('name = "a"\nurl = "https://x/"\ndecisions = ["deny"]', "is none of allow, block, refuse"),
        ('name = "a"\nurl = "https://x/"\ntokn = "f"', "there is no such key"),
    ],
)
def test_a_bad_destination_is_told_with_its_line(tmp_path: Path, table: str, said: str) -> None:
    """What no process could use is a problem of the settings."""
    (tmp_path / "s.toml").write_text(f"[[forward.to]]\n{table}\n")
    with pytest.raises(Misconfigured) as told:
        config.load(tmp_path / "s.toml", environ={})
    assert said in str(told.value)
    assert str(told.value).startswith(f"{tmp_path / 's.toml'}:")


def test_a_token_goes_to_another_machine_over_tls_alone(tmp_path: Path) -> None:
    """Plain HTTP is refused with a bearer token, but for a receiver on this machine."""

    def load(url: str) -> None:
        file = tmp_path / "sluice.toml"
        file.write_text(f'[[forward.to]]\nname = "hook"\nurl = "{url}"\ntoken = "token"\n')
        config.load(file, environ={})

    for url in ("https://siem.example/in", "http://127.0.0.1:9/in", "http://[::1]:9/in", "http://localhost/in"):
        load(url)
    for url in ("http://siem.example/in", "http://10.0.0.1/in", "http://127.0.0.1.example/in"):
        with pytest.raises(Misconfigured, match=r"forward\.to\.token: would cross the network in the clear"):
            load(url)


def test_what_is_said_of_a_webhook_holds_no_secret_of_its_url() -> None:
    """A path or query may be a password (chat services have it so): scheme and host are shown, whatever the form."""
    for url in (
        "https://hooks.example/services/S3CRET",
        "https://hooks.example?key=S3CRET",
        "https://S3CRET@hooks.example/x",
        "https://S3CRET:y@hooks.example",
    ):
        assert ForwardTo(name="hook", url=url).shown == "https://hooks.example/..."
    assert ForwardTo(name="file", url="file:///var/log/x").shown == "file:///var/log/x"


def test_the_commands_show_no_secret_of_a_url(tmp_path: Path) -> None:
    """`sluice forward status` and `sluice doctor` name a webhook without its path."""
    (tmp_path / "sluice.toml").write_text(
        '[[forward.to]]\nname = "hook"\nurl = "https://127.0.0.1:9/services/S3CRET"\n'
    )
    settings = config.load(tmp_path / "sluice.toml", environ={})
    told = [f"{found.what} {found.fix}" for found in outside.receivers(settings)]
    shown = CliRunner().invoke(command, ["status", "--json", "--config", str(tmp_path / "sluice.toml")]).output
    for text in (*told, shown):
        assert "S3CRET" not in text
    assert "https://127.0.0.1:9/..." in "".join(told)
    assert "https://127.0.0.1:9/..." in shown


def test_an_open_token_is_refused(site: Site, tmp_path: Path) -> None:
    """A token that others can read keeps the destination from starting, by name."""
    (tmp_path / "token").write_text("t")
    (tmp_path / "token").chmod(0o644)
    with pytest.raises(Misconfigured, match="can be read by others"):
        site.destination("https://x.example/", token=tmp_path / "token")


def test_status_and_test_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`forward status` says what waits, by cursor and ledger; `forward test` brings one marked event there."""
    site = Site(tmp_path)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "e.jsonl"
    Path("s.toml").write_text(f'[[forward.to]]\nname = "siem"\nurl = "file://{file}"\n')

    def run(*arguments: str) -> int:
        with pytest.raises(SystemExit) as ended:
            sluice.cli.main(["forward", arguments[0], "--config", "s.toml", *arguments[1:]])
        assert isinstance(ended.value.code, int)
        return ended.value.code

    destination = site.destination(f"file://{file}")
    destination.turn()
    site.write(record(1), record(2))
    assert run("status", "--json") == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["waiting"]) == ("siem", 2)
    destination.turn()
    assert run("status") == 0
    assert run("test", "siem") == 0
    assert lines(file)[-1]["unmapped"]["control_kind"] == "forward-test"
    assert run("test", "nobody") == 2
    with Path("s.toml").open("a") as settings:
        settings.write(f'[[forward.to]]\nname = "plain"\nurl = "file://{tmp_path / "p.jsonl"}"\nformat = "json"\n')
    assert run("test", "plain") == 0
    assert lines(tmp_path / "p.jsonl")[-1]["control_kind"] == "forward-test"
    site.close()
