"""What lies between this process and others: ports, names, the way to a provider, ClickHouse, the running appliance.

The way out is tried with a TLS handshake and no request. `offline` leaves out whatever would leave this machine.
"""

from __future__ import annotations

import errno
import http.client
import json
import os
import socket
import ssl
import time
from pathlib import Path
from urllib.parse import urlsplit

from sluice import config, instance, startup
from sluice.doctor import Findings, Found, fail, ok, warn

WAIT = 4.0
LIKELY = ("api.openai.com", "api.anthropic.com", "generativelanguage.googleapis.com")
"""Hosts whose way is tried where the operator names none."""


def ports(settings: config.Settings) -> Findings:
    """The listeners: answering when the appliance runs, free when it does not."""
    listens = {"proxy.listen": settings.proxy.listen, "admin.listen": settings.admin.listen}
    if settings.clickhouse.http_listen:
        listens["clickhouse.http_listen"] = settings.clickhouse.http_listen
    if settings.console.listen:
        listens["console.listen"] = settings.console.listen
    runs = instance.running(settings.paths.var) is not None
    published = _published(settings) if runs else {}
    for key, listen in listens.items():
        if runs and key == "console.listen" and "console" not in published:
            fix = "its port was taken when the appliance started: free it, or choose another, and restart"
            yield warn("ports", f"{key}: {listen} is not served", fix)
            continue
        where = published.get(key.partition(".")[0], listen) if key != "clickhouse.http_listen" else listen
        yield _answers(key, where) if runs else _free(key, listen)


def _published(settings: config.Settings) -> dict[str, str]:
    try:
        said = json.loads((settings.run_dir / "endpoints.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {k: v for k, v in said.items() if isinstance(v, str)}


def _answers(key: str, where: str) -> Found:
    host, port = config.endpoint(where)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    try:
        socket.create_connection((host, port), WAIT).close()
    except OSError as e:
        fix = "look at the log of sluice-proxy; a firewall on this machine may close it"
        return fail("ports", f"{key}: {where} does not answer: {e.strerror or e}", fix)
    return ok("ports", f"{key}: {where} answers")


def _free(key: str, listen: str) -> Found:
    host, port = config.endpoint(listen)
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        socket.create_server(address[:2], family=family).close()
    except OSError as e:
        fixes = {
            errno.EADDRINUSE: f"another program has it (`ss -ltnp 'sport = :{port}'`): stop it, or choose a port",
            errno.EACCES: "ports below 1024 need CAP_NET_BIND_SERVICE: choose 8080, or allow it in the unit",
            errno.EADDRNOTAVAIL: "name an address that an interface of this machine has (`ip address`)",
        }
        what = f"{key}: cannot listen on {listen}: {startup.why(e)}"
        return fail("ports", what, fixes.get(e.errno or 0, "name an address, and a port"))
    return ok("ports", f"{key}: {listen} is free")


def names(settings: config.Settings, hosts: tuple[str, ...]) -> Findings:
    """Whether the providers' names are known here."""
    for host in hosts:
        if host in settings.upstream.hosts:
            yield ok("dns", f"{host} is {settings.upstream.hosts[host]} by `upstream.hosts`")
            continue
        began = time.monotonic()
        try:
            found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
        except OSError as e:
            fix = "set a resolver (/etc/resolv.conf) that knows public names, and let it through the firewall"
            yield fail("dns", f"{host} is not known here: {e.strerror or e}", fix)
            continue
        took = time.monotonic() - began
        if took > 1:
            yield warn("dns", f"{host} took {took:.1f} s to look up", "look at the resolver: each connection waits")
        else:
            yield ok("dns", f"{host} is {found[0][4][0]} ({took * 1000:.0f} ms)")


def way_out(settings: config.Settings, hosts: tuple[str, ...]) -> Findings:
    """A TLS handshake with each provider, as a worker would make it."""
    for host in hosts:
        where: tuple[str, int] = (host, 443)
        context = ssl.create_default_context()
        if static := settings.upstream.hosts.get(host):
            where = config.endpoint(static)
            if settings.upstream.trusted_ca:
                context.load_verify_locations(settings.upstream.trusted_ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            with (
                socket.create_connection(where, min(WAIT, settings.upstream.connect_seconds)) as plain,
                context.wrap_socket(plain, server_hostname=host) as opened,
            ):
                yield ok("egress", f"{host}: {opened.version()} with {opened.getpeername()[0]}")
        except ssl.SSLCertVerificationError as e:
            fix = (
                "something between here and the provider opens TLS: take the gate out of it, or put its CA into "
                "`upstream.trusted_ca` and the host into `upstream.hosts`"
            )
            yield fail("egress", f"{host}: its certificate does not verify: {e.verify_message}", fix)
        except socket.gaierror:
            yield fail("egress", f"{host}: no such name here", "see dns")
        except OSError as e:
            fix = "let this machine reach TCP 443 of the providers: it is the only one that has to"
            yield fail("egress", f"{host}: {e.strerror or e}", fix)


def clickhouse(settings: config.Settings, *, offline: bool) -> Findings:
    """Whether the events can be asked."""
    from sluice.ship import query
    from sluice.ship.sqlgate import SqlError

    dsn = settings.clickhouse.dsn
    if dsn and offline:
        return
    where = f"the server {urlsplit(dsn).hostname}" if dsn else "the embedded engine"
    if not dsn and instance.running(settings.paths.var) is None:
        store = settings.clickhouse_dir / "store"
        yield ok("clickhouse", f"embedded, below {settings.clickhouse_dir}{'' if store.exists() else ' (none yet)'}")
        return
    try:
        version = b"".join(query.ask(settings, "SELECT version()", "TSV")).decode().strip()
    except SqlError as e:
        fix = "start the server, or mend `clickhouse.dsn`" if dsn else "look at the shipper's log"
        fix += "; rows wait in the ledger meanwhile"
        yield fail("clickhouse", f"{where}: {e}", fix)
        return
    yield ok("clickhouse", f"{where}: version {version}")


def receivers(settings: config.Settings) -> Findings:
    """Whether the receivers of events can be reached, and prove who they are. Nothing is sent to them."""
    from sluice.forward import sinks

    for to in settings.forward.to:
        parts = urlsplit(to.url)
        if parts.scheme == "file":
            place = Path(parts.path).parent
            if place.is_dir() and not os.access(place, os.W_OK | os.X_OK):
                yield fail("forward", f"{to.name}: {place} cannot be written", "give it to the appliance's account")
            else:
                yield ok("forward", f"{to.name}: {parts.path}")
            continue
        try:
            context = sinks.context(to) if parts.scheme in ("syslog+tls", "https") else None
            host, port = parts.hostname or "", parts.port or sinks.PORTS[parts.scheme]
            with socket.create_connection((host, port), WAIT) as plain:
                if context is not None:
                    context.wrap_socket(plain, server_hostname=host).close()
        except ssl.SSLCertVerificationError as e:
            fix = "name the CA of its certificate as `ca`, and the name that stands in it in `url`"
            yield fail("forward", f"{to.name}: its certificate does not verify: {e.verify_message}", fix)
        except OSError as e:
            fix = "look at name, port and firewall; `sluice forward test` sends one event"
            yield fail("forward", f"{to.name}: {to.shown} does not answer: {e.strerror or e}", fix)
        else:
            yield ok("forward", f"{to.name}: {to.shown} answers")


def readiness(settings: config.Settings) -> Findings:
    """What the running appliance says of itself."""
    where = _published(settings).get("admin")
    if instance.running(settings.paths.var) is None or where is None:
        return
    host, port = config.endpoint(where)
    connection = http.client.HTTPConnection(host, port, timeout=WAIT)
    try:
        connection.request("GET", "/readyz", headers={"host": "localhost"})
        said = json.loads(connection.getresponse().read(1 << 20))
    except (OSError, ValueError, http.client.HTTPException) as e:
        yield fail("appliance", f"/readyz does not answer: {type(e).__name__}", "look at the log of sluice-proxy")
        return
    finally:
        connection.close()
    for what in said.get("missing", ()):
        yield fail("appliance", f"not ready: {what}", "look at the log of sluice-proxy")
    for what in said.get("degraded", ()):
        yield warn("appliance", str(what), "traffic goes on; look at the log of sluice-proxy")
    if not said.get("missing") and not said.get("degraded"):
        yield ok("appliance", "ready")
