"""What must not start does not start: one clear line, a failing exit code within seconds, and nothing ever listens."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from sluice import ca, config, instance
from sluice.errors import Misconfigured
from tests.rig.warm import warm

PROXY = Path(sys.executable).with_name("sluice-proxy")


@dataclass
class Place:
    """An empty directory to start in, with settings that choose free ports."""

    path: Path
    environment: dict[str, str]

    def settings(self, text: str) -> None:
        listen = '[proxy]\nlisten = "127.0.0.1:0"\n[admin]\nlisten = "127.0.0.1:0"\n[console]\nlisten = ""\n'
        (self.path / "sluice.toml").write_text(text if "[proxy]" in text else listen + text)

    def start(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROXY, "--config", "sluice.toml"],
            cwd=self.path,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SLUICE_")}
    made = Place(tmp_path, kept)
    made.settings("")
    warm(tmp_path / "var")
    return made


def option(section: str, line: str) -> Callable[[Place], None]:
    """Someone tries a mitmproxy option as a setting of ours."""
    return lambda place: place.settings(
        f'[proxy]\nlisten = "127.0.0.1:0"\n{line}\n' if section == "proxy" else f"[{section}]\n{line}\n"
    )


def variable(name: str, value: str) -> Callable[[Place], None]:
    return lambda place: place.environment.__setitem__(name, value)


def unreadable_ca(place: Place) -> None:
    (place.path / "var").mkdir(mode=0o700, exist_ok=True)
    ca.init(place.path / "var" / "ca", config.Ca())
    (place.path / "var" / "ca" / "ca.key").write_text("not a key")


def exposed_ca(place: Place) -> None:
    (place.path / "var").mkdir(mode=0o700, exist_ok=True)
    ca.init(place.path / "var" / "ca", config.Ca())
    (place.path / "var" / "ca" / "ca.key").chmod(0o644)


def bad_rules(place: Place) -> None:
    (place.path / "policy.toml").write_text('id = "p"\nversion = "1"\n[[rule]]\nid = "x"\naction = "alow"\n')
    place.settings('[paths]\npolicy = "policy.toml"\n')


def bad_pack(place: Place) -> None:
    (place.path / "packs").mkdir()
    (place.path / "packs" / "own.toml").write_text("family = 1\n")
    place.settings('[paths]\npacks = ["packs"]\n')


def junk_roots(place: Place) -> None:
    (place.path / "junk.pem").write_text("no certificate\n")
    place.settings('[upstream]\ntrusted_ca = "junk.pem"\n')


def headless_map(place: Place) -> None:
    (place.path / "map.csv").write_text("10.0.0.0/8,alice\n")
    place.settings('[identity]\naddress_map = "map.csv"\n')


def spool_is_a_file(place: Place) -> None:
    (place.path / "var").mkdir(mode=0o700, exist_ok=True)
    (place.path / "var" / "ledger").write_text("")


def var_is_open_to_others(place: Place) -> None:
    (place.path / "var").mkdir(mode=0o700, exist_ok=True)
    (place.path / "var").chmod(0o777)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (option("proxy", 'stream_large_bodies = "1m"'), "unknown key `proxy.stream_large_bodies`"),
        (option("proxy", "rawtcp = true"), "unknown key `proxy.rawtcp`"),
        (option("proxy", 'ignore_hosts = [".*"]'), "unknown key `proxy.ignore_hosts`"),
        (variable("SLUICE_PROXY__ALLOW_HOSTS", '["x"]'), "unknown key `proxy.allow_hosts`"),
        (option("upstream", "ssl_insecure = true"), "unknown key `upstream.ssl_insecure`"),
        (option("proxy", "validate_inbound_headers = false"), "unknown key `proxy.validate_inbound_headers`"),
        (variable("SSLKEYLOGFILE", "keys.log"), "$SSLKEYLOGFILE: is set"),
        (variable("MITMPROXY_SSLKEYLOGFILE", "keys.log"), "$MITMPROXY_SSLKEYLOGFILE: is set"),
        (unreadable_ca, "ca.key"),
        (exposed_ca, "ca.key"),
        (bad_rules, "policy.toml:5: "),
        (bad_pack, "own.toml"),
        (junk_roots, "upstream.trusted_ca: "),
        (headless_map, "map.csv:1: must begin with"),
        (lambda place: place.settings('[identity]\naddress_map = "absent.csv"\n'), "absent.csv: cannot be read"),
        (lambda place: place.settings('[upstream.hosts]\n"https://a.example" = "127.0.0.1:1"\n'), "upstream.hosts: "),
        (spool_is_a_file, "var/ledger: cannot be written"),
        (var_is_open_to_others, "can be changed by other users"),
        (lambda place: place.settings('[proxy]\nlisten = "127.0.0.1:99999"\n'), "is not `address:port`"),
    ],
)
def test_start_is_refused(place: Place, spoil: Callable[[Place], None], said: str) -> None:
    """Each of these ends with exit code 78 and one line that names it; no port was ever made known."""
    spoil(place)
    done = place.start()
    assert done.returncode == 78, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("sluice-proxy: ")]
    assert len(lines) == 1, done.stderr
    assert said in lines[0]
    assert "Traceback" not in done.stderr
    assert not (place.path / "var" / "run" / "endpoints.json").exists()


def test_every_problem_is_one_line(place: Place) -> None:
    """A broken policy and a broken CA are both told before anything starts."""
    unreadable_ca(place)
    bad_rules(place)
    done = place.start()
    lines = [line for line in done.stderr.splitlines() if line.startswith("sluice-proxy: ")]
    assert done.returncode == 78
    assert any("policy.toml:5" in line for line in lines)
    assert any("ca.key" in line for line in lines)


def test_a_port_in_use_is_refused(place: Place) -> None:
    """Another program listens there: named with setting and address, exit code 78."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        place.settings(f'[proxy]\nlisten = "127.0.0.1:{port}"\n')
        done = place.start()
    assert done.returncode == 78
    assert f"proxy.listen: cannot listen on 127.0.0.1:{port}: Address already in use" in done.stderr


def test_a_second_appliance_on_the_same_var_is_refused(place: Place) -> None:
    """Two supervisors would write the same ledger: the second one names the first and ends."""
    (place.path / "var").mkdir(mode=0o700, exist_ok=True)
    claim = instance.claim(place.path / "var")
    try:
        done = place.start()
    finally:
        claim.release()
    assert done.returncode == 78
    assert f"in use by another sluice-proxy (pid {os.getpid()})" in done.stderr


def test_a_lock_outlives_nobody(tmp_path: Path) -> None:
    """Held: seen by `running` and refused to others. Released, or its holder gone: free, whatever the file says."""
    assert instance.running(tmp_path) is None
    claim = instance.claim(tmp_path)
    assert instance.running(tmp_path) == os.getpid()
    with pytest.raises(Misconfigured):
        instance.claim(tmp_path)
    claim.release()
    assert instance.running(tmp_path) is None
    code = (
        "import os, pathlib, sys; from sluice import instance; instance.claim(pathlib.Path(sys.argv[1])); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=30, check=False).returncode == 9
    assert (tmp_path / instance.LOCK).read_text().strip().isdigit()
    assert instance.running(tmp_path) is None
    instance.claim(tmp_path).release()
