"""`sluice doctor`: every fault that is made here is found, with what to do about it."""

from __future__ import annotations

import datetime as dt
import json
import socket
import ssl
import time
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Self

import msgspec
import pytest

import sluice.cli
from sluice import ca, castore, clock, config
from sluice.cli.check import load_rulebook
from sluice.cli.doctor import _safely
from sluice.doctor import Found, State, here, outside
from tests.upstream import Upstream


@pytest.fixture
def settings(tmp_path: Path) -> config.Settings:
    plain = config.Settings()
    return msgspec.structs.replace(plain, paths=config.Paths(var=tmp_path / "var"))


def worst(found: Iterable[Found]) -> Found:
    """The gravest finding; every one that is not `ok` says what to do."""
    order = [State.OK, State.WARN, State.FAIL]
    listed = list(found)
    assert all(bool(f.fix) == (f.state is not State.OK) for f in listed)
    return max(listed, key=lambda f: order.index(f.state))


def test_this_machine_can_run_it(settings: config.Settings) -> None:
    """Versions, limits and rules of a fresh checkout are in order."""
    assert worst(here.versions(settings)).state is State.OK
    assert worst(here.limits(settings)).state is not State.FAIL
    assert worst(here.rules(settings, lambda: load_rulebook(settings))).state is State.OK


@pytest.mark.parametrize(
    ("reading", "state", "said"),
    [
        ((0.5, "synchronised"), State.OK, "synchronised"),
        ((4000.0, "synchronised"), State.WARN, "off by 4000 ms"),
        ((None, "unsynchronised"), State.WARN, "not synchronised"),
        ((None, None), State.WARN, "does not tell"),
    ],
)
def test_the_clock(
    settings: config.Settings, monkeypatch: pytest.MonkeyPatch, reading: clock.Reading, state: State, said: str
) -> None:
    """A clock that nobody sets is a warning: evidence and certificates go by it."""
    monkeypatch.setattr(clock, "read", lambda: reading)
    found = worst(here.time_of_day(settings))
    assert found.state is state
    assert said in found.what


def test_a_full_disk(settings: config.Settings) -> None:
    """Less room than `evidence.disk_low_bytes` is a fault, before the gate stops forwarding for it."""
    full = msgspec.structs.replace(settings, evidence=config.Evidence(disk_low_bytes=2**53))
    assert worst(here.disk(full)).state is State.FAIL
    settings.ledger_dir.mkdir(parents=True)
    assert any("a flush takes" in f.what for f in here.disk(settings))
    assert list(settings.ledger_dir.iterdir()) == []


@pytest.mark.parametrize("part", ["directory", "key", "rules"])
def test_what_others_can_reach(settings: config.Settings, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An open directory, a readable key, rules that anyone can change: each is a fault, with its mend."""
    settings.keys_dir.mkdir(parents=True, mode=0o700)
    settings.paths.var.chmod(0o700)
    key = settings.keys_dir / "fingerprint-k1.key"
    key.write_bytes(b"k" * 32)
    key.chmod(0o600)
    policy = settings.paths.var / "policy.toml"
    policy.write_text("")
    settings = msgspec.structs.replace(settings, paths=msgspec.structs.replace(settings.paths, policy=policy))
    monkeypatch.setattr(config, "locate", lambda: None)
    assert worst(here.permissions(settings)).state is not State.FAIL
    broken = {"directory": settings.keys_dir, "key": key, "rules": policy}[part]
    broken.chmod(0o777 if part == "directory" else 0o666)
    found = worst(here.permissions(settings))
    assert found.state is State.FAIL
    assert "chmod" in found.fix
    assert str(broken) in found.what


def test_the_ca(settings: config.Settings) -> None:
    """None yet is a warning, a sound one is fine, one with an open key is a fault."""
    assert worst(here.authority(settings)).state is State.WARN
    ca.init(settings.ca_dir, settings.ca, node="node")
    assert worst(here.authority(settings)).state is State.OK
    (settings.ca_dir / "ca.key").chmod(0o644)
    assert worst(here.authority(settings)).state is State.FAIL


def test_a_ca_that_has_ended(settings: config.Settings) -> None:
    """It is a fault that names the day and the command that makes another; that command mends it."""
    years = 6 * 366 * 86_400
    with castore.locked(settings.ca_dir, create=True):
        castore.make(settings.ca_dir, settings.ca, lambda: time.time() - years, "node")
        castore.promote(settings.ca_dir)
    found = worst(here.authority(settings))
    assert (found.state, "the CA ended on" in found.what) == (State.FAIL, True)
    assert "`sluice ca rotate --now`" in found.fix
    ca.rotate(settings.ca_dir, settings.ca, node="node")
    assert worst(here.authority(settings)).state is State.OK


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("policy", 'id = "x"\nversion = "1"\nrule = 3\n', "policy.toml:3"),
        ("targets", '[provider]\nopenai = "blessed"\n', "targets.toml:2"),
        ("suppressions", None, "suppressions.toml"),
    ],
    ids=["policy", "targets", "suppressions"],
)
def test_rules_that_stop_a_start(
    settings: config.Settings, tmp_path: Path, name: str, text: str | None, said: str
) -> None:
    """A fault in a file of rules, or a file that is not there, is found before the start finds it, with its place."""
    file = tmp_path / f"{name}.toml"
    if text is not None:
        file.write_text(text)
    paths = msgspec.structs.replace(settings.paths, **{name: file})
    broken = msgspec.structs.replace(settings, paths=paths)
    found = worst(here.rules(broken, lambda: load_rulebook(broken)))
    assert (found.state, said in found.what) == (State.FAIL, True), found.what


def test_a_server_that_is_down(settings: config.Settings) -> None:
    """A ClickHouse that does not answer is a fault that says where the rows are; its password is not told."""
    dsn = "clickhouse://sluice:not-to-be-seen@127.0.0.1:1/"
    away = msgspec.structs.replace(settings, clickhouse=config.ClickHouse(dsn=dsn))
    found = worst(outside.clickhouse(away, offline=False))
    assert (found.state, "rows wait in the ledger" in found.fix) == (State.FAIL, True)
    assert "not-to-be-seen" not in found.what
    assert list(outside.clickhouse(away, offline=True)) == []


def test_a_clock_of_another_year(settings: config.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that came up without a clock is a fault: no certificate is valid then."""

    class Then(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Self:
            return cls(1970, 1, 2, tzinfo=tz)

    monkeypatch.setattr("sluice.doctor.here.dt", SimpleNamespace(datetime=Then, UTC=dt.UTC))
    assert worst(here.time_of_day(settings)).state is State.FAIL


@pytest.mark.parametrize(
    ("listen", "said"),
    [("203.0.113.9:8080", "`ip address`"), ("no-such-name.invalid:8080", "name an address")],
)
def test_an_address_that_cannot_be_listened_on(settings: config.Settings, listen: str, said: str) -> None:
    """One that no interface has, and a name that nobody knows, are faults; the address is told once."""
    plain = msgspec.structs.replace(
        settings, proxy=config.Proxy(listen=listen), admin=config.Admin(listen="127.0.0.1:0")
    )
    found = worst(outside.ports(plain))
    assert (found.state, said in found.fix) == (State.FAIL, True), found
    assert found.what.count(listen.partition(":")[0]) == 1


def test_a_port_that_is_taken(settings: config.Settings) -> None:
    """A listener of somebody else is a fault that names the port; a free one is fine."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        busy = msgspec.structs.replace(
            settings,
            proxy=config.Proxy(listen=f"127.0.0.1:{port}"),
            admin=config.Admin(listen="127.0.0.1:0"),
            console=config.Console(listen=""),
        )
        found = worst(outside.ports(busy))
        assert found.state is State.FAIL
        assert f"127.0.0.1:{port}" in found.what
    assert worst(outside.ports(busy)).state is State.OK


def test_the_way_out(settings: config.Settings, tmp_path: Path) -> None:
    """A provider that answers with a certificate that verifies is fine; one whose certificate does not is a fault."""
    with Upstream() as upstream:
        trusted = tmp_path / "ca.pem"
        trusted.write_bytes(upstream.ca_pem)
        hosts = {"api.openai.com": upstream.address, "closed.example": "127.0.0.1:1"}
        good = msgspec.structs.replace(settings, upstream=config.Upstream(hosts=hosts, trusted_ca=trusted))
        strange = msgspec.structs.replace(settings, upstream=config.Upstream(hosts=hosts))
        found = worst(outside.way_out(good, ("api.openai.com",)))
        assert (found.state, "TLSv1." in found.what) == (State.OK, True)
        found = worst(outside.way_out(strange, ("api.openai.com",)))
        assert (found.state, "does not verify" in found.what) == (State.FAIL, True)
        assert worst(outside.way_out(good, ("closed.example",))).state is State.FAIL
        assert worst(outside.names(good, ("api.openai.com", "no-such-name.invalid"))).state is State.FAIL


def test_receivers_of_events(settings: config.Settings, tmp_path: Path) -> None:
    """One that answers is fine; nobody there, or a certificate that does not verify, is a fault."""
    with Upstream() as upstream:
        port = upstream.address.rpartition(":")[2]

        def to(name: str, url: str) -> config.ForwardTo:
            return config.ForwardTo(name=name, url=url, format="ocsf")

        asked = (
            to("file", f"file://{tmp_path}/events"),
            to("plain", f"http://127.0.0.1:{port}/"),
            to("strange", f"https://127.0.0.1:{port}/"),
            to("nobody", "syslog+tcp://127.0.0.1:1"),
        )
        found = {
            each.name: worst(outside.receivers(msgspec.structs.replace(settings, forward=config.Forward(to=(each,)))))
            for each in asked
        }
    assert {name: f.state for name, f in found.items()} == {
        "file": State.OK,
        "plain": State.OK,
        "strange": State.FAIL,
        "nobody": State.FAIL,
    }
    assert "does not verify" in found["strange"].what


@pytest.mark.parametrize("raised", [PermissionError(13, "no", "/x"), ssl.SSLError("odd"), OSError(5, "io")])
def test_a_check_that_fails_is_a_finding(raised: OSError) -> None:
    """One check that cannot be done says so and hides no other."""

    def check() -> Iterable[Found]:
        yield Found("disk", State.OK, "first")
        raise raised

    found = _safely("disk", check)  # type: ignore[arg-type]
    assert found[-1].state is State.FAIL


def _run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        sluice.cli.main(list(arguments))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON with area, state, what and fix; exit code 0 without a fault, 1 with one; offline asks nobody."""
    monkeypatch.chdir(tmp_path)
    for name in ("PROXY", "ADMIN", "CONSOLE"):
        monkeypatch.setenv(f"SLUICE_{name}__LISTEN", "127.0.0.1:0")

    def nobody(*_: object, **__: object) -> None:
        raise AssertionError("something was asked")

    monkeypatch.setattr(socket, "create_connection", nobody)
    assert _run("doctor", "--offline", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is True
    assert {"area", "state", "what", "fix"} == set(told["findings"][0])
    monkeypatch.setenv("SLUICE_EVIDENCE__DISK_LOW_BYTES", str(2**53))
    assert _run("doctor", "--offline") == 1
    assert "make room" in capsys.readouterr().out
