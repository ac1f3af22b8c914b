"""mitmproxy's options: what this gate needs them to be, and the refusal to start with any that opens it.

Options cannot change while a worker runs: the protocol layers get a frozen copy (which is also much cheaper to read
than mitmproxy's own, which deep-copies each value each time).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, cast

from mitmproxy import addonmanager, options
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.master import Master

from addons.state import Core
from sluice.config import Settings
from sluice.errors import Misconfigured, Problem

REQUIRED: Mapping[str, tuple[object, str]] = {
    "connection_strategy": ("lazy", "a refused request must not open a connection to its upstream"),
    "rawtcp": (False, "bytes that are not HTTP would be relayed unread"),
    "stream_large_bodies": (None, "a large body would be with the upstream before it was inspected"),
    "store_streamed_bodies": (False, "answers would be kept in memory"),
    "ignore_hosts": ([], "clients choose the name that it is matched against"),
    "allow_hosts": ([], "clients choose the name that it is matched against"),
    "tcp_hosts": ([], "bytes would be relayed unread"),
    "udp_hosts": ([], "bytes would be relayed unread"),
    "ssl_insecure": (False, "upstreams must prove who they are"),
    "validate_inbound_headers": (True, "malformed heads would be forwarded"),
    "http2": (True, "clients and upstreams speak it"),
    "http3": (False, "it is not inspected"),
    "upstream_cert": (False, "a certificate must be made without asking the upstream"),
    "websocket": (False, "its messages are not inspected"),
    "mode": (["regular"], "the gate is an explicit proxy"),
    "server": (False, "the supervisor binds the socket"),
    "show_ignored_hosts": (False, "content of opaque tunnels would be kept in memory"),
    "keep_host_header": (False, "it belongs to another mode"),
    "client_certs": (None, "client certificates are not handed to whoever asks"),
    "add_upstream_certs_to_client_chain": (False, "the chain is ours"),
    "proxy_debug": (False, "it logs what passes"),
    "normalize_outbound_headers": (True, "HTTP/2 demands lower-case names"),
}
"""Option -> the value it must have, and what another value would do."""

KEY_LOGS = ("SSLKEYLOGFILE", "MITMPROXY_SSLKEYLOGFILE")


def declare(master: Master) -> None:
    """Make the options known that mitmproxy's own proxy server would declare. That addon itself is not used."""
    Proxyserver().load(addonmanager.Loader(master))


def apply(opts: options.Options, settings: Settings) -> None:
    """Set every required value, and the limits."""
    values = {name: value for name, (value, _) in REQUIRED.items() if name in opts}
    opts.update(**values, body_size_limit=str(settings.limits.body_bytes))


def refuse_unsafe(opts: options.Options) -> None:
    """Raise `Misconfigured` with every option that would open the gate. Called before anything listens."""
    problems = [
        Problem(f"mitmproxy option {name}", None, f"must be {wanted!r}: {why}")
        for name, (wanted, why) in REQUIRED.items()
        if name in opts and getattr(opts, name) != wanted
    ]
    if problems:
        raise Misconfigured(problems)


def refuse_key_logs(environ: Mapping[str, str] | None = None) -> None:
    """Raise `Misconfigured` when a variable asks for a file with the keys of every TLS session."""
    variables = os.environ if environ is None else environ
    what = "must be unset: it would write the keys of every TLS session"
    if problems := [Problem(f"${name}", None, what) for name in KEY_LOGS if variables.get(name)]:
        raise Misconfigured(problems)


class Frozen:
    """The options as the protocol layers see them: plain attributes that nobody can set, and the core beside them."""

    def __init__(self, opts: options.Options, core: Core) -> None:
        for name in opts.keys():  # noqa: SIM118 - it is no mapping
            self.__dict__[name] = getattr(opts, name)
        self.__dict__["core"] = core

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"options are frozen: {name}")

    def __contains__(self, name: str) -> bool:
        return name in self.__dict__


def frozen(opts: options.Options, core: Core) -> options.Options:
    """A frozen copy, typed as what mitmproxy expects."""
    return cast("options.Options", Frozen(opts, core))
