"""Witnesses get every newest checkpoint, and a dead one holds up nothing."""

from __future__ import annotations

import base64
import http.server
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice import metrics
from sluice.heartbeat import Status
from sluice.ledger.note import b64
from sluice.proof import trust, verify
from sluice.seal import keys, outages, store
from sluice.seal.sealer import Sealer
from sluice.seal.store import Sealed
from sluice.seal.witness import Copies, Directory, Http, Syslog, make
from tests.seal import seal_rig as rig

NOTE = f"d/n-w0\n5\n{b64(bytes(32))}\n\n\N{EM DASH} d/n-w0 {b64(bytes(68))}\n"
SEALED = Sealed(at=1_780_000_000_000_000, note=NOTE)
WAITS = (0.05,)


class Server:
    """An HTTP server that keeps what is PUT, and answers with `status`."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.status = 204
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if outer.status < 300:
                    outer.kept[self.path] = body
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/seals"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_a_directory_holds_history_and_newest(tmp_path: Path) -> None:
    """A witness's directory has the form of the seal directory, and the same checkpoint twice is one line."""
    witness = make(str(tmp_path / "w"))
    witness.send("n-w0", SEALED)
    witness.send("n-w0", SEALED)
    witness.send("n-w0", Sealed(at=2, note=NOTE.replace("\n5\n", "\n6\n")))
    assert [s.note for s in store.history(tmp_path / "w" / "n-w0")] == [NOTE, NOTE.replace("\n5\n", "\n6\n")]
    assert (tmp_path / "w" / "n-w0" / "checkpoint").read_text() == NOTE.replace("\n5\n", "\n6\n")


def test_http_put(server: Server) -> None:
    """The note is PUT as it is under the stream's name; only a status of success counts."""
    witness = make(server.url)
    assert isinstance(witness, Http)
    witness.send("n-w0", SEALED)
    witness.send_keys(b"[]")
    assert server.kept == {"/seals/n-w0/checkpoint": NOTE.encode(), "/seals/keys.json": b"[]"}
    server.status = 503
    with pytest.raises(OSError, match="503"):
        witness.send("n-w0", SEALED)


MESSAGE = re.compile(
    rb"<109>1 2026-05-28T20:26:40\.000Z \S+ sluice \d+ checkpoint - stream=n-w0 size=5 note=([A-Za-z0-9+/=]+)"
)


def test_syslog_over_udp() -> None:
    """One RFC 5424 message of one line, from which the whole note comes back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.bind(("127.0.0.1", 0))
        collector.settimeout(10)
        make(f"syslog+udp://127.0.0.1:{collector.getsockname()[1]}").send("n-w0", SEALED)
        found = MESSAGE.fullmatch(collector.recv(65536))
    assert found
    assert base64.b64decode(found[1]).decode() == NOTE


def test_syslog_over_tcp() -> None:
    """Over TCP the message is framed by its length (RFC 6587)."""
    with socket.create_server(("127.0.0.1", 0)) as collector:
        witness = make(f"syslog+tcp://127.0.0.1:{collector.getsockname()[1]}")
        assert isinstance(witness, Syslog)
        sending = threading.Thread(target=witness.send, args=("n-w0", SEALED))
        sending.start()
        connection, _ = collector.accept()
        data = b""
        while more := connection.recv(65536):
            data += more
        connection.close()
        sending.join(10)
    length, _, message = data.partition(b" ")
    assert int(length) == len(message)
    assert MESSAGE.fullmatch(message)


def test_a_witness_that_was_away_gets_the_newest(server: Server) -> None:
    """Tried again until it takes it, failures counted, pending shown; what is between is not needed."""
    server.status = 500
    failures = metrics.SEAL_WITNESS_FAILURES.labels("http")
    before = failures.count
    copies = Copies([Http(server.url)], WAITS)
    copies.start()
    for size in (5, 6, 7):
        copies.offer("n-w0", Sealed(at=size, note=NOTE.replace("\n5\n", f"\n{size}\n")))
    rig.until(lambda: failures.count >= before + 2)
    assert copies.pending == 1
    server.status = 200
    rig.until(lambda: copies.pending == 0)
    assert b"\n7\n" in server.kept["/seals/n-w0/checkpoint"]
    copies.close(5)


SECRETS = ("hunter2", "t0ken", "s3cret")


def test_an_outage_names_the_witness(server: Server, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Log and outage say which host, since when and why; nothing of a password, a path or a query of its address."""
    server.status = 503
    host = server.url.removeprefix("http://").partition("/")[0]
    place = tmp_path / "mount"
    place.write_text("not a directory")
    away = Http(f"http://sluice:hunter2@{host}/t0ken?key=s3cret")
    copies = Copies(
        [away, Http("https://:hunter2@127.0.0.1:1/t0ken"), Directory(place), Directory(tmp_path / "w")], WAITS
    )
    copies.start()
    began = int(time.time())
    with caplog.at_level("INFO", "sluice.seal"):
        copies.offer("n-w0", SEALED)
        rig.until(lambda: len(copies.outages) == 3)
        told = {o.witness: o for o in copies.outages}
        assert set(told) == {f"http://{host}", "https://127.0.0.1:1", str(place)}
        assert told[f"http://{host}"].pending == 1
        assert told[str(place)].error == "Not a directory"
        assert all(began <= o.since <= time.time() for o in told.values())
        place.unlink()
        rig.until(lambda: len(copies.outages) == 2)
        rig.until(lambda: any("again" in r.message for r in caplog.records))
        copies.close(0.2)
    said = repr([(r.message, vars(r).get("facts")) for r in caplog.records]) + repr(copies.outages)
    assert host in said
    assert not any(secret in said for secret in SECRETS)


def test_status_shows_an_outage(tmp_path: Path) -> None:
    """`sluice seal status` names the witness while it is away, also when the sealer is gone; not after it is back."""
    from click.testing import CliRunner

    from sluice.cli import group

    place = tmp_path / "mount"
    place.write_text("not a directory")
    settings = rig.deployment(tmp_path, witnesses=(place,))
    rig.write(settings, 20)
    with rig.sealing(tmp_path):
        rig.until(lambda: len(outages.read(settings.seal_dir)) == 1)
    asked = CliRunner().invoke(group, ["seal", "status", "--config", str(tmp_path / "sluice.toml")])
    assert f"the witness {place} has taken no checkpoint since" in asked.stderr
    place.unlink()
    with rig.sealing(tmp_path):
        rig.until(lambda: (place / "n-w0" / "checkpoint").exists() and outages.read(settings.seal_dir) == ())
    assert (
        "witness" not in CliRunner().invoke(group, ["seal", "status", "--config", str(tmp_path / "sluice.toml")]).stderr
    )


def test_an_outage_that_could_not_be_kept_is_kept_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of outages cannot be replaced at first: it is written with a later beat, though nothing changed."""
    settings = rig.deployment(tmp_path)
    away = outages.Outage("https://w.example", 1_800_000_000, "HTTP 500", 3)
    monkeypatch.setattr(Copies, "outages", (away,))
    one = Sealer(settings, Status(None))
    in_the_way = settings.seal_dir / outages.FILE
    in_the_way.mkdir(parents=True)
    for _ in range(2):
        one._keep_outages()
        assert outages.read(settings.seal_dir) == ()
    in_the_way.rmdir()
    one._keep_outages()
    assert outages.read(settings.seal_dir) == (away,)


def test_one_dead_witness_holds_up_no_other(tmp_path: Path) -> None:
    """Each witness has its own pace."""
    with socket.create_server(("127.0.0.1", 0)) as hole:  # takes connections and never answers
        port = hole.getsockname()[1]
        copies = Copies([Http(f"http://127.0.0.1:{port}"), Directory(tmp_path)], WAITS)
        copies.start()
        copies.offer("n-w0", SEALED)
        rig.until(lambda: (tmp_path / "n-w0" / "checkpoint").exists())
        assert copies.pending >= 1
        began = time.monotonic()
        copies.close(0.2)
        assert time.monotonic() - began < 5


def test_sealing_goes_on_without_its_witnesses(tmp_path: Path) -> None:
    """All witnesses dead: records are sealed as before, and the copies follow when one comes back."""
    place = tmp_path / "mount"
    place.write_text("not a directory")
    settings = rig.deployment(tmp_path, witnesses=(place, "http://127.0.0.1:9/"))
    rig.write(settings, 20)
    with rig.sealing(tmp_path):
        rig.until(lambda: rig.sealed_size(settings) == 22)
        place.unlink()
        rig.until(lambda: (place / "n-w0" / "checkpoint").exists())
    assert (place / "n-w0" / "checkpoint").read_text() == (settings.seal_dir / "n-w0" / "checkpoint").read_text()


def test_a_witness_alone_can_be_checked_after_a_rotation(tmp_path: Path) -> None:
    """The keys' chain lies beside the copies: whoever holds the first public key can check everything that came."""
    witness = tmp_path / "witness"
    settings = rig.deployment(tmp_path, witnesses=(witness,))
    rig.write(settings, 20)
    with rig.sealing(tmp_path):
        rig.until(lambda: (witness / "n-w0" / "checkpoint").exists())
        first = rig.ring(settings).current.verifier
        keys.rotate(settings)
        rig.write(settings, 20, first=20)
        rig.until(lambda: "\n44\n" in (witness / "n-w0" / "checkpoint").read_text())
    believed = trust.load(None, [witness], [first])
    assert believed.faults == {}
    assert [p.size for p in believed.points["n-w0"]][-1] == 44
    assert verify.ledger(settings.ledger_dir, believed).sound


def test_the_process_does_not_seal_what_a_witness_contradicts(tmp_path: Path) -> None:
    """Rolled back to an older disk, the sealer finds a newer checkpoint at its witness and signs nothing."""
    import shutil

    from sluice.ledger import reader

    witness = tmp_path / "witness"
    settings = rig.deployment(tmp_path, witnesses=(witness,))
    rig.write(settings, 20)
    with rig.sealing(tmp_path):
        rig.until(lambda: (witness / "n-w0" / "checkpoint").exists())
    shutil.copytree(settings.paths.var, tmp_path / "old")
    rig.write(settings, 20, first=20)
    with rig.sealing(tmp_path):
        rig.until(lambda: "\n44\n" in (witness / "n-w0" / "checkpoint").read_text())
    shutil.rmtree(settings.paths.var)
    (tmp_path / "old").rename(settings.paths.var)
    rig.write(settings, 50, first=500)

    def recorded() -> list[str]:
        own = settings.ledger_dir / "n-w1000"
        return [e.record.control_detail or "" for e in reader.read(own) if e.record.control_kind == "seal_stopped"]

    with rig.sealing(tmp_path):
        rig.until(lambda: any('"fault":"rollback"' in d and '"stream":"n-w0"' in d for d in recorded()))
    assert rig.sealed_size(settings) == 22
