"""TLS on both sides: our certificate to the client, and no upstream that a careful client would not accept.

Takes the place of mitmproxy's `TlsConfig` and reads none of its options, so `ssl_insecure`, `client_certs`, cipher or
version settings and `SSLKEYLOGFILE` change nothing here. The options that other parts of mitmproxy read are theirs.

Rules of this room
- Both sides: TLS 1.2 or 1.3, ECDHE with AEAD only. No DTLS, no QUIC: those hooks leave the connection without TLS
  settings, which mitmproxy answers by closing it.
- Upstream: the name that is verified is the name that is dialled (the CONNECT host), never what the client's SNI or
  Host header says. Roots are certifi's; `upstream.trusted_ca` counts for the hosts of `upstream.hosts` alone.
- Strict RFC 5280 checks for public chains, as Python 3.13's own default. Not for the site's CA: the operator
  has said that it is trusted, and private CAs made with `openssl req -x509` lack what strict asks for.
- A handshake that is not done `connect_seconds` after the dial began ends, and so the client gets its answer.
- No session resumption: a ticket key would outlive the connection, and a full P-256 handshake costs less than one
  request's bookkeeping (tests/bench/bench_tls.py).

Sources: RFC 9325 (TLS recommendations), RFC 9110 section 4.3.4 (names), RFC 5280.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ipaddress
import logging
import time
from pathlib import Path
from typing import Any

import certifi
from mitmproxy import connection, http, tls
from mitmproxy.proxy import server_hooks
from mitmproxy.proxy.layers import modes, quic
from OpenSSL import SSL
from OpenSSL._util import lib as openssl
from OpenSSL.crypto import X509StoreFlags

from addons import egress, staple
from addons.clientkind import kind_of
from addons.failure import HANDSHAKE_TIMEOUT, Failure, classify_upstream_error
from sluice import metrics
from sluice.ca import Authority
from sluice.config import Settings
from sluice.errors import Misconfigured, Problem, Unavailable
from sluice.targets import normalise_host

__all__ = ["GateTls", "classify_upstream_error"]

logger = logging.getLogger("sluice.tls")

CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    b"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:@SECLEVEL=2"
)
H2, HTTP1 = b"h2", b"http/1.1"
_TASK = "server connection handler"
"""How mitmproxy names the task that owns an upstream connection; a contract test holds it to that."""


class UpstreamTls(SSL.Connection):
    """A client-side TLS session for which a fatal error is the end, as the protocol says.

    mitmproxy logs such an error and waits for the peer to close. With TLS 1.3, "certificate required" arrives after
    our side of the handshake is done, and a peer that then keeps the TCP connection open would hang the client.
    """

    def recv(self, bufsiz: int, flags: int | None = None) -> bytes:
        try:
            return super().recv(bufsiz, flags)
        except (SSL.WantReadError, SSL.ZeroReturnError):
            raise
        except SSL.Error as e:
            self.set_shutdown(SSL.RECEIVED_SHUTDOWN)
            raise SSL.ZeroReturnError from e


class GateTls:
    """The addon. Build one per worker; raises `Misconfigured` when a trust bundle cannot be used."""

    def __init__(self, settings: Settings, authority: Authority, *, public_roots: Path | None = None) -> None:
        roots = public_roots or Path(certifi.where())
        self._authority = authority
        self._seconds = settings.upstream.connect_seconds
        self._mapped = frozenset(egress.static_hosts(settings))
        self._client_context = _client_context(authority)
        self._public_context = _upstream_context([roots], strict=True)
        self._site_context = self._public_context
        if settings.upstream.trusted_ca is not None:
            self._site_context = _upstream_context([roots, settings.upstream.trusted_ca], strict=False)
        self._handlers: dict[str, asyncio.Task[object]] = {}
        self._deadlines: dict[str, asyncio.TimerHandle] = {}
        self._late: set[str] = set()
        self._failures: dict[str, Failure] = {}
        self._kinds: dict[str, str] = {}

    # ------------------------------------------------------------------------------------------------- client side

    def http_connect(self, flow: http.HTTPFlow) -> None:
        """Remember what kind of client asks for the tunnel: one that leaves the handshake can say no more of itself."""
        if flow.client_conn.timestamp_end is None:
            self._kinds[flow.client_conn.id] = kind_of(flow.request.headers.get("user-agent"))

    def tls_start_client(self, data: tls.TlsData) -> None:
        """Offer our certificate for the name that the client named. Without a valid name there is no handshake."""
        if data.is_dtls:
            return
        client, server = data.context.client, data.context.server
        to_proxy_itself = len(data.context.layers) == 2 and isinstance(data.context.layers[0], modes.HttpProxy)
        asked = [client.sni, server.address[0] if server.address else None]
        if to_proxy_itself or not any(asked):
            asked = [client.sni or str(client.sockname[0])]
        try:
            leaf = self._authority.leaf(_valid(asked))
        except (ValueError, Unavailable) as e:
            logger.warning("no certificate for a client", extra={"facts": {"why": type(e).__name__}})
            return  # mitmproxy closes a connection without a TLS session
        session = SSL.Connection(self._client_context)
        session.use_certificate(leaf.cert)
        session.use_privatekey(leaf.key)
        # The proxy's own TLS port speaks HTTP/1.1: mitmproxy cannot take CONNECT over HTTP/2.
        session.set_app_data((HTTP1,) if to_proxy_itself else (H2, HTTP1))
        session.set_accept_state()
        data.ssl_conn = session

    def tls_failed_client(self, data: tls.TlsData) -> None:
        """Count clients that left at the sight of our certificate: pinned, or without our CA."""
        error = data.conn.error or ""
        told = any(word in error for word in ("unknown ca", "bad certificate", "certificate unknown"))
        left = error == "connection closed" and data.ssl_conn is not None
        if told or left:
            kind = self._kinds.get(data.context.client.id, "none")
            metrics.TLS_CLIENT_REJECT.labels(kind).inc()
            facts = {"host": data.context.client.sni or "", "told": told, "client": kind}
            logger.info("client did not accept our certificate", extra={"facts": facts})

    # ----------------------------------------------------------------------------------------------- upstream side

    def server_connected(self, data: server_hooks.ServerConnectionHookData) -> None:
        """Remember which task owns the connection: it is what ends a handshake that takes too long."""
        task = asyncio.current_task()
        if task is not None and task.get_name().startswith(_TASK):
            self._handlers[data.server.id] = task

    def tls_start_server(self, data: tls.TlsData) -> None:
        """A strict session towards the host that was dialled. Without one there is no connection."""
        if data.is_dtls:
            return
        server = data.conn
        if not isinstance(server, connection.Server) or server.address is None:
            return
        try:
            host = normalise_host(server.address[0])
        except ValueError:
            return
        session = UpstreamTls(self._site_context if host in self._mapped else self._public_context)
        _expect_name(session, host)
        server.sni = host
        # HTTP/2 to the provider only for clients that speak it: translating costs and gains an HTTP/1 client nothing.
        server.alpn_offers = (H2, HTTP1) if data.context.client.alpn == H2 else (HTTP1,)
        session.set_alpn_protos(list(server.alpn_offers))
        session.request_ocsp()
        session.set_connect_state()
        self._arm(server)  # first: should it fail, there is no session either
        data.ssl_conn = session

    def tls_established_server(self, data: tls.TlsData) -> None:
        self._disarm(data.conn.id)

    def tls_failed_server(self, data: tls.TlsData) -> None:
        """Keep why, for the outcome record: `failure` gives it back."""
        self._disarm(data.conn.id)
        late = data.conn.id in self._late
        failure = HANDSHAKE_TIMEOUT if late else classify_upstream_error(data.conn.error or "")
        self._late.discard(data.conn.id)
        self._note(data.context.client, failure)
        _forget(data.conn)

    def server_connect_error(self, data: server_hooks.ServerConnectionHookData) -> None:
        self._note(data.client, classify_upstream_error(data.server.error or ""))
        _forget(data.server)

    def server_disconnected(self, data: server_hooks.ServerConnectionHookData) -> None:
        self._disarm(data.server.id)
        self._handlers.pop(data.server.id, None)
        self._late.discard(data.server.id)

    def client_disconnected(self, client: connection.Client) -> None:
        self._failures.pop(client.id, None)
        self._kinds.pop(client.id, None)

    def failure(self, client: connection.Client) -> Failure | None:
        """Why the last upstream connection of this client failed; None when none did. Kept until it disconnects."""
        return self._failures.get(client.id)

    def _note(self, client: connection.Client, failure: Failure) -> None:
        if client.timestamp_end is None:  # a client that is gone asks no more, and nobody would clear its entry
            self._failures[client.id] = failure

    def _arm(self, server: connection.Server) -> None:
        handler = self._handlers.get(server.id)
        if handler is None:
            raise RuntimeError("mitmproxy no longer runs server_connected in the task that owns the connection")
        spent = time.time() - (server.timestamp_start or time.time())
        left = min(max(self._seconds - spent, 0.0), self._seconds)
        loop = asyncio.get_running_loop()
        self._deadlines[server.id] = loop.call_later(left, self._expire, server.id)

    def _expire(self, server_id: str) -> None:
        self._late.add(server_id)
        if (handler := self._handlers.get(server_id)) is not None:
            handler.cancel("TLS handshake took too long")

    def _disarm(self, server_id: str) -> None:
        if (deadline := self._deadlines.pop(server_id, None)) is not None:
            deadline.cancel()

    # -------------------------------------------------------------------------------------------------------- QUIC

    def quic_start_client(self, data: quic.QuicTlsData) -> None:
        """HTTP/3 is not spoken: left without settings, mitmproxy closes the connection."""
        data.settings = None

    quic_start_server = quic_start_client


def _forget(conn: connection.Connection) -> None:
    """Let the next request dial again, once the addons behind this one have read the error.

    mitmproxy answers later requests of the same client connection with it, and an HTTP/2 client keeps its connection
    for hours: a reset of a second would last as long.
    """
    asyncio.get_running_loop().call_soon(setattr, conn, "error", None)


def _valid(names: list[str | None]) -> list[str]:
    """The names that a certificate can hold. A mismatch of the two is the guard's to refuse, readably, over TLS."""
    out = []
    for name in names:
        with contextlib.suppress(ValueError):
            out.append(normalise_host(name or ""))
    return out


def _client_context(authority: Authority) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    _restrict(context)
    context.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE)
    context.set_verify(SSL.VERIFY_NONE)
    context.set_alpn_select_callback(_choose_protocol)
    for above in authority.chain:
        context.add_extra_chain_cert(above)
    return context


def _upstream_context(bundles: list[Path], *, strict: bool) -> SSL.Context:
    """Loading certifi's roots takes milliseconds, so a context is made once per trust set and worker."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    _restrict(context)
    context.set_verify(SSL.VERIFY_PEER)
    context.set_ocsp_client_callback(_accept_staple)
    for bundle in bundles:
        try:
            context.load_verify_locations(str(bundle))
        except SSL.Error as e:
            raise Misconfigured(Problem(str(bundle), None, "holds no usable PEM certificate to trust")) from e
    store = context.get_cert_store()
    assert store is not None
    # Strict for public chains; for the site's, whatever it lists is an anchor, an intermediate or a leaf included.
    store.set_flags(X509StoreFlags.X509_STRICT if strict else X509StoreFlags.PARTIAL_CHAIN)
    return context


def _restrict(context: SSL.Context) -> None:
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(CIPHERS)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_TICKET)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)


def _expect_name(session: SSL.Connection, host: str) -> None:
    """Send the name and verify it, without the common name and without partial wildcards (RFC 9525)."""
    parameters = openssl.SSL_get0_param(session._ssl)
    flags = openssl.X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | openssl.X509_CHECK_FLAG_NEVER_CHECK_SUBJECT
    openssl.X509_VERIFY_PARAM_set_hostflags(parameters, flags)
    try:
        packed = ipaddress.ip_address(host).packed
    except ValueError:
        name = host.encode("ascii")
        session.set_tlsext_host_name(name)
        done = openssl.X509_VERIFY_PARAM_set1_host(parameters, name, len(name))
    else:
        done = openssl.X509_VERIFY_PARAM_set1_ip(parameters, packed, len(packed))
    if done != 1:
        raise RuntimeError("OpenSSL did not take the name to verify")


def _choose_protocol(session: SSL.Connection, offered: list[bytes]) -> Any:
    """The client's first choice among what we speak; without one the handshake goes on without ALPN."""
    spoken = session.get_app_data()
    return next((p for p in offered if p in spoken), SSL.NO_OVERLAPPING_PROTOCOLS)


def _accept_staple(session: SSL.Connection, answer: bytes, _: object) -> bool:
    peer = session.get_peer_certificate(as_cryptography=True)
    chain = session.get_verified_chain(as_cryptography=True) or []
    if peer is None:
        return False
    return staple.complaint(peer, chain[1] if len(chain) > 1 else None, answer, dt.datetime.now(dt.UTC)) is None
