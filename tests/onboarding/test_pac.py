"""The PAC file, run by a real JavaScript engine, sends to the gate what the gate inspects, and only that."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping

import pytest

from sluice import config, targets
from sluice.onboarding import pac

TABLE = targets.load(config.signatures_dir() / "targets.toml")
PROXY = "gate.example.com:8080"
ENGINE = """
const vm = require("vm"), fs = require("fs");
const asked = JSON.parse(fs.readFileSync(0, "utf8"));
const context = vm.createContext({});
vm.runInContext(asked.pac, context);
const find = vm.runInContext("FindProxyForURL", context);
console.log(JSON.stringify(asked.hosts.map(host => find("https://" + host + "/", host))));
"""


def ask(file: str, hosts: list[str]) -> Mapping[str, str]:
    """What Node's engine makes of the file, in an empty context: a PAC file has no functions but its own here."""
    said = json.dumps({"pac": file, "hosts": hosts})
    done = subprocess.run(["node", "-e", ENGINE], input=said, capture_output=True, text=True, check=True, timeout=60)
    return dict(zip(hosts, json.loads(done.stdout), strict=True))


def spelt(pattern: str) -> str:
    """A host that a pattern of the table matches."""
    return ("x" + pattern if pattern.startswith(".") else pattern).replace("*", "eu1")


def test_it_agrees_with_the_table() -> None:
    """Every host that the gate opens goes through it; a host that no row knows goes directly."""
    known = [spelt(r.host) if not r.host.startswith("/") else r.example for r in TABLE.rows if not r.port]
    others = [f"not-{host}" for host in known if host.count(".") == 1]
    others += ["example.org", "openai.com.example.org", "api-openai.com", "constructor", "localhost", "intranet"]
    hosts = sorted({*known, *(h.upper() + "." for h in known), *others})
    for host, said in ask(pac.pac(TABLE.hosts(), PROXY), hosts).items():
        if TABLE.decrypts(host.rstrip(".").lower()):
            assert said == f"PROXY {PROXY}", host
        elif TABLE.match(host.rstrip(".").lower(), 443) is None:
            assert said == "DIRECT", host


def test_everything_means_all_but_this_machine() -> None:
    """With `everything` names of the Internet go through the gate; this machine and plain names do not."""
    said = ask(pac.pac(TABLE.hosts(), PROXY, everything=True), ["example.org", "localhost", "printer", "127.0.0.1"])
    assert list(said.values()) == [f"PROXY {PROXY}", "DIRECT", "DIRECT", "DIRECT"]


def test_a_gate_that_is_down_opens_no_way_around() -> None:
    """No answer offers DIRECT behind the proxy."""
    assert "; DIRECT" not in pac.pac(TABLE.hosts(), PROXY)


@pytest.mark.parametrize("proxy", ['x"; alert(1); "', "a b", "", "gate:8080\n"])
def test_an_address_cannot_become_code(proxy: str) -> None:
    """What is not `host:port` is refused, not written into a program."""
    with pytest.raises(ValueError, match="is not `host:port`"):
        pac.pac((), proxy)
