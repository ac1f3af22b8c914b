"""T10: options that would open the gate make it refuse to start, each by name."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import options

from addons.master import GateMaster
from addons.options import REQUIRED, refuse_key_logs
from addons.tls import GateTls
from sluice import ca
from sluice.errors import Misconfigured
from tests.rig import ObedientGate
from tests.rig.proxy import settings_for
from tests.upstream import TestAuthority

UNSAFE = {
    "stream_large_bodies": "1m",
    "rawtcp": True,
    "ignore_hosts": ["example"],
    "allow_hosts": ["example"],
    "tcp_hosts": ["example"],
    "udp_hosts": ["example"],
    "ssl_insecure": True,
    "validate_inbound_headers": False,
    "connection_strategy": "eager",
    "http2": False,
    "http3": True,
    "upstream_cert": True,
    "websocket": True,
    "store_streamed_bodies": True,
    "mode": ["transparent"],
    "server": True,
    "show_ignored_hosts": True,
    "keep_host_header": True,
    "client_certs": "/etc/client.pem",
    "add_upstream_certs_to_client_chain": True,
    "proxy_debug": True,
    "normalize_outbound_headers": False,
}


def build(directory: Path, **changed: Any) -> GateMaster:
    """A master whose options are as required, but for some."""

    async def make() -> GateMaster:
        settings = settings_for(directory, "127.0.0.1:1", TestAuthority().pem)
        authority = ca.Authority.load_or_create(settings.ca_dir, settings.ca)
        opts = options.Options()
        opts.update_defer(**{name: value for name, (value, _) in REQUIRED.items()} | changed)
        return GateMaster(settings, ObedientGate(), GateTls(settings, authority), opts)  # type: ignore[arg-type]

    return asyncio.run(make())


def test_required_options_start(tmp_path: Path) -> None:
    """With every option as required there is a master, and the layers see the options frozen."""
    master = build(tmp_path)
    for name, (value, _) in REQUIRED.items():
        assert getattr(master.layer_options, name) == value
    with pytest.raises(AttributeError):
        master.layer_options.rawtcp = True
    assert master.layer_options.rawtcp is False


def test_every_required_option_is_tried() -> None:
    """The list of unsafe values below covers the list of required ones, and each names an option of mitmproxy."""
    assert UNSAFE.keys() == REQUIRED.keys()


@pytest.mark.parametrize("name", UNSAFE)
def test_unsafe_option_is_refused(name: str, tmp_path: Path) -> None:
    """One unsafe option is enough: no master, and one line that names it and says why."""
    with pytest.raises(Misconfigured) as refused:
        build(tmp_path, **{name: UNSAFE[name]})
    (problem,) = refused.value.problems
    assert name in str(problem)
    assert REQUIRED[name][1] in str(problem)
    assert len(str(problem).splitlines()) == 1


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    """Several unsafe options are all named, not just the first."""
    with pytest.raises(Misconfigured) as refused:
        build(tmp_path, rawtcp=True, ssl_insecure=True, allow_hosts=["x"])
    assert len(refused.value.problems) == 3


@pytest.mark.parametrize("name", ["SSLKEYLOGFILE", "MITMPROXY_SSLKEYLOGFILE"])
def test_key_logs_are_refused(name: str) -> None:
    """A variable that asks for a file of TLS keys stops the start; an empty one does not."""
    with pytest.raises(Misconfigured, match=name):
        refuse_key_logs({name: "/tmp/keys"})
    refuse_key_logs({name: ""})


def test_options_that_exist(tmp_path: Path) -> None:
    """Every required option is known to this mitmproxy: a renamed one must not be skipped in silence."""
    master = build(tmp_path)
    assert {name for name in REQUIRED if name not in master.options} == set()
