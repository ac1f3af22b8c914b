"""The firewall rules: `nft` takes them, the gates pass, everybody else is stopped, and the limits are said."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sluice.cli
from sluice import config, targets
from sluice.onboarding import nftables
from tests.rig.command import run

TABLE = targets.load(config.signatures_dir() / "targets.toml")
ADDRESSES = {"api.openai.com": ["162.159.140.245", "2606:4700::1"], "api.anthropic.com": ["10.0.0.1", "160.79.104.10"]}


def made(*gates: str) -> str:
    return nftables.rules(TABLE.rows, gates, lambda name: ADDRESSES.get(name, ()))


def test_nft_takes_the_rules(tmp_path: Path) -> None:
    """`nft -c` checks the whole file, with and without addresses, IPv4 and IPv6."""
    nft = shutil.which("nft") or "/usr/sbin/nft"
    if not Path(nft).exists():
        pytest.skip("nft is not installed")
    for text in (made("10.1.0.10", "2001:db8::/64"), nftables.rules(TABLE.rows, ["10.1.0.10"], lambda _: ())):
        file = tmp_path / "egress.nft"
        file.write_text(text)
        done = subprocess.run(["unshare", "-n", nft, "-c", "-f", str(file)], capture_output=True, text=True, timeout=30)
        if "Operation not permitted" in done.stderr:
            pytest.skip("no right to ask the kernel")
        assert done.returncode == 0, done.stderr


def test_packets_go_where_the_rules_say(tmp_path: Path) -> None:
    """A router in network namespaces, the rules loaded: a client gets no AI service directly, no QUIC at all, and
    every other site; the gate reaches everything."""
    nft = shutil.which("nft") or "/usr/sbin/nft"
    if not Path(nft).exists() or not shutil.which("ip") or os.geteuid() != 0:
        pytest.skip("needs nft, ip and root")
    file = tmp_path / "egress.nft"
    file.write_text(nftables.rules(TABLE.rows, ["10.9.1.10"], lambda name: ADDRESSES.get(name, ())))
    script = Path(__file__).with_name("router.sh")
    done = subprocess.run(
        ["unshare", "-n", "-m", script, file, sys.executable], capture_output=True, text=True, timeout=60
    )
    if "not permitted" in done.stderr or "denied" in done.stderr:
        pytest.skip("no right to make namespaces")
    assert done.stdout.splitlines() == [
        "client ai tcp ConnectionRefusedError udp ConnectionRefusedError",
        "client other tcp ok udp ConnectionRefusedError",
        "gate ai tcp ok udp ok",
        "gate other tcp ok udp ok",
    ], done.stderr


def test_what_the_rules_say() -> None:
    """Public addresses of AI services are closed, private ones never; gates go first; UDP 443 is closed for others."""
    text = made("10.1.0.10")
    assert "elements = { 160.79.104.10, 162.159.140.245 }" in text
    assert "elements = { 2606:4700::1 }" in text
    assert "10.0.0.1" not in text
    assert text.index("saddr @gates4 return") < text.index("udp dport 443") < text.index("daddr @ai4")


def test_shared_hosts_and_paths_are_left_alone() -> None:
    """Rows that other traffic shares, or of which only some paths are AI, are not closed by address."""
    whole, patterns = nftables.names(TABLE.rows)
    by_path = {r.host for r in TABLE.rows if r.paths or r.shared}
    assert not by_path & {*whole, *patterns} - {r.host for r in TABLE.rows if not (r.paths or r.shared)}
    assert "api.openai.com" in whole
    assert "*.openai.azure.com" in patterns


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`sluice clients nftables` reads addresses from a file, says how many names it covers, and refuses a bad gate."""
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("# name address\napi.openai.com 162.159.140.245\n")

    def run(*arguments: str) -> int:
        with pytest.raises(SystemExit) as ended:
            sluice.cli.main(["clients", "nftables", "--addresses", "a.txt", *arguments])
        assert isinstance(ended.value.code, int)
        return ended.value.code

    assert run("--gate", "10.1.0.10") == 0
    shown = capsys.readouterr()
    assert "162.159.140.245" in shown.out
    assert "1 of " in shown.err
    assert run("--gate", "gate.example.com") == 2


@pytest.mark.parametrize(("resolved", "least", "code"), [(0.0, "50", 1), (0.4, "50", 1), (0.6, "50", 0), (0.0, "0", 0)])
def test_no_rules_are_made_while_the_resolver_fails(
    resolved: float, least: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rules without addresses would open every way that those of before close: nothing is printed, and exit code 1
    keeps the router's script from loading anything."""

    def look_up(names: list[str]) -> dict[str, list[str]]:
        return {name: ["192.0.2.1"] if i < resolved * len(names) else [] for i, name in enumerate(names)}

    monkeypatch.setattr("sluice.cli.clients._look_up", look_up)
    assert run("clients", "nftables", "--gate", "10.0.0.1", "--least", least) == code
    printed = capsys.readouterr()
    assert ("table inet" in printed.out) is (code == 0)
    assert ("look at the resolver" in printed.err) is (code == 1)
