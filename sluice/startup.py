"""What `sluice-proxy` makes sure of before anything runs, and what it tells a person once everything does.

A private place, whole rules, a CA, two free ports. The functions that check raise `Misconfigured` with all the problems
they found, and undo nothing: what was made (directories, keys) is what the next start needs too.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import itertools
import os
import resource
import shutil
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

from sluice import accounts, config, tomlfile
from sluice.errors import Misconfigured, Problem
from sluice.identity import Known
from sluice.register import files as registers
from sluice.ship.http.credentials import USER, password_file
from sluice.targets import normalise_host

KEY_LOGS = ("SSLKEYLOGFILE", "MITMPROXY_SSLKEYLOGFILE")
BIND_SECONDS = 5.0


def refuse_key_logs() -> None:
    """No process of this appliance may write TLS session keys to a file."""
    found = [name for name in KEY_LOGS if os.environ.get(name)]
    if found:
        what = "is set: it would write the session keys of every connection to a file. Unset it"
        raise Misconfigured([Problem(f"${name}", None, what) for name in found])


def harden(settings: config.Settings) -> None:
    """For this process and its children: private files, no core dump (it would hold prompts and keys), and as many open
    connections as the system allows."""
    os.umask(settings.umask)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def prepare(settings: config.Settings, separate: accounts.Accounts | None = None) -> None:
    """Make `var` and the directories below it, private to this user, or each to its account. Raises `Misconfigured`."""
    if separate is not None:
        accounts.arrange(settings, separate)
        return
    for directory in _directories(settings):
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            mode = directory.stat().st_mode
            probe = directory / f".probe-{os.getpid()}"
            probe.touch(mode=0o600)
            probe.unlink()
        except OSError as e:
            raise Misconfigured(Problem(str(directory), None, f"cannot be written: {e.strerror}")) from e
        if mode & 0o022:
            raise Misconfigured(Problem(str(directory), None, EXPOSED))


EXPOSED = "can be changed by other users, who could replace keys and evidence; run `chmod 700` on it"


def _directories(settings: config.Settings) -> tuple[Path, ...]:
    return (settings.paths.var, settings.ledger_dir, settings.run_dir, settings.keys_dir, settings.ca_dir)


def unfit_directories(settings: config.Settings) -> list[Problem]:
    """What `prepare` would say, as far as that can be told without writing."""
    problems: dict[Path, str] = {}
    for directory in _directories(settings):
        existing = directory
        while not os.path.lexists(existing) and existing != existing.parent:
            existing = existing.parent
        if not existing.is_dir():
            problems.setdefault(existing, f"is not a directory; `{directory}` cannot be made there")
        elif not os.access(existing, os.W_OK | os.X_OK):
            problems.setdefault(existing, f"cannot be written: `{directory}` needs it")
        elif existing == directory and directory.stat().st_mode & 0o022:
            problems.setdefault(directory, EXPOSED)
    return [Problem(str(place), None, what) for place, what in problems.items()]


def unfit_settings(settings: config.Settings, file: Path | None = None) -> list[Problem]:
    """What the settings name and a worker could not use: it would end, be started again, and end again.

    `file` is where the settings were read from, so that a problem names its line.
    """
    text = file.read_text("utf-8") if file else ""
    problems: list[Problem] = []
    for key, what in (*_listen(settings), *_upstream(settings)):
        line = tomlfile.line_of(text, f"$.{key}") if text else None
        problems.append(Problem(str(file), line, f"{key}: {what}") if line else Problem(key, None, what))
    for read in (
        lambda: Known.load(settings),
        lambda: registers.load(config.registers_dir(), settings.paths.registers),
    ):
        try:
            read()
        except Misconfigured as e:
            problems += e.problems
    return problems


def _listen(settings: config.Settings) -> Iterator[tuple[str, str]]:
    listens = {"proxy.listen": settings.proxy.listen, "admin.listen": settings.admin.listen}
    if settings.console.listen:
        listens["console.listen"] = settings.console.listen
    for (one, taken), (key, listen) in itertools.combinations(listens.items(), 2):
        (host, port), (other, same) = config.endpoint(taken), config.endpoint(listen)
        if port == same != 0 and _overlap(host, other):
            yield key, f"`{listen}` is taken by `{one}`; choose another port"


def _overlap(one: str, other: str) -> bool:
    """Whether two listeners on one port get in each other's way. IPv6 sockets are made for IPv6 alone."""
    try:
        a, b = (ipaddress.ip_address("127.0.0.1" if h == "localhost" else h) for h in (one, other))
    except ValueError:
        return one == other
    return a.version == b.version and (a == b or a.is_unspecified or b.is_unspecified)


def _is_listener(address: str, listen: str) -> bool:
    (host, port), (bound, own) = config.endpoint(address), config.endpoint(listen)
    everywhere = bound in ("0.0.0.0", "::") and ipaddress.ip_address(host).is_loopback  # noqa: S104 - compared, not bound
    return port == own != 0 and (host == bound or everywhere)


def _upstream(settings: config.Settings) -> Iterator[tuple[str, str]]:
    for name, address in settings.upstream.hosts.items():
        for listen in filter(None, (settings.proxy.listen, settings.admin.listen, settings.console.listen)):
            if _is_listener(address, listen):
                yield "upstream.hosts", f"`{name}` leads to this appliance's own {listen}"
        try:
            host = normalise_host(name)
        except ValueError as e:
            yield "upstream.hosts", f"`{name}` is not a host name such as `api.openai.com`: {e}"
            continue
        if host.replace(".", "").isdigit() or ":" in host:
            yield "upstream.hosts", f"`{name}` must be a host name; clients then ask by name"
    if bundle := settings.upstream.trusted_ca:
        # The same reader of PEM as the workers' own: OpenSSL.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(bundle)
            usable = context.cert_store_stats()["x509"] > 0
        except ssl.SSLError:
            usable = False
        except OSError as e:
            yield "upstream.trusted_ca", f"`{bundle}` cannot be read: {e.strerror}"
            return
        if not usable:
            yield "upstream.trusted_ca", f"`{bundle}` holds no usable certificate in PEM form"


def greeting(settings: config.Settings, here: str) -> bytes:
    """What the proxy is told by this machine itself, where load balancers on it begin with a PROXY header."""
    own = ipaddress.ip_address(here)
    listed = any(own in ipaddress.ip_network(network) for network in settings.proxy.protocol_from)
    return b"PROXY UNKNOWN\r\n" if listed else b""


def fresh_metrics(settings: config.Settings, separate: accounts.Accounts | None = None) -> None:
    """An empty directory for metric files, named in the environment before prometheus_client is first imported."""
    directory = settings.run_dir / "metrics"
    if separate is not None:  # it was made for all accounts, which a unit's filters forbid to do again
        for file in directory.iterdir():
            file.unlink()
    else:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)


def check(
    settings: config.Settings, file: Path | None = None, separate: accounts.Accounts | None = None
) -> tuple[str, tuple[Problem, ...]]:
    """Load what the settings name, the rulebook, the fingerprint key and the CA, making key and CA on the first start.

    With accounts of their own it is a worker's that looks, as its processes will. Returns the rulebook's digest, and
    warnings. Raises `Misconfigured` with the problems of all of them.
    """
    from sluice import metrics  # noqa: F401 - metrics must find its directory named, and its files be this user's

    with separate.acting(separate.worker) if separate else contextlib.nullcontext():
        return _check(settings, file)


def _check(settings: config.Settings, file: Path | None) -> tuple[str, tuple[Problem, ...]]:
    from sluice import ca, policy, rulebook, suppressions

    problems = unfit_settings(settings, file)
    book = None
    try:
        book = rulebook.load(settings)
    except Misconfigured as e:
        problems += e.problems
    try:
        ca.Authority.load_or_create(settings.ca_dir, settings.ca, node=settings.node)
    except Misconfigured as e:
        problems += e.problems
    if problems or book is None:
        raise Misconfigured(problems)
    warned = list(book.policy.warnings) if isinstance(book.policy, policy.PolicySet) else []
    if isinstance(book.suppressions, suppressions.Suppressions):
        warned += book.suppressions.expired(book.loaded_at)
    return book.digest, tuple(warned)


def why(e: OSError) -> str:
    """What keeps an address from being listened on. Python's own words repeat the address; a name that nobody knows has
    no error number of the system."""
    return os.strerror(e.errno) if e.errno and e.errno > 0 else str(e.strerror or e)


def bind(listen: str, backlog: int, setting: str) -> socket.socket:
    """A listening socket. Waits a moment for a predecessor's workers to let go. Raises `Misconfigured`."""
    host, port = config.endpoint(listen)
    until = time.monotonic() + BIND_SECONDS
    while True:
        try:
            family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
            made = socket.create_server(address[:2], family=family, backlog=backlog)
        except OSError as e:
            if e.errno == errno.EADDRINUSE and time.monotonic() < until:
                time.sleep(0.2)
                continue
            raise Misconfigured(Problem(setting, None, f"cannot listen on {listen}: {why(e)}")) from e
        made.setblocking(False)
        return made


def bind_console(settings: config.Settings) -> tuple[socket.socket | None, tuple[str, ...]]:
    """The console's listening socket, if it is wanted and its address can be had; else what to tell the operator.

    A port that is taken keeps nobody from working: there are no pages, and that is said.
    """
    if not settings.console.listen:
        return None, ()
    host, port = config.endpoint(settings.console.listen)
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        made = socket.create_server(address[:2], family=family, backlog=64)
    except OSError as e:
        return None, (f"the console is not served: console.listen: cannot listen on {host}:{port}: {why(e)}",)
    made.setblocking(False)
    return made, ()


EXAMPLE_QUERY = "select ts, provider_id, decision, rule_id, data_classes from exchanges order by ts desc limit 5"


def welcome(settings: config.Settings, proxy: str, admin: str, console: str = "") -> str:
    """Where everything is, and one command to see it work: a prompt with a card number, which is blocked."""
    ca = settings.ca_dir / "ca.pem"
    events = settings.clickhouse_dir
    host, _, port = proxy.rpartition(":")
    here = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host) + f":{port}"  # noqa: S104 - compared, not bound
    where = "the ClickHouse server of `clickhouse.dsn`" if settings.clickhouse.dsn else f"embedded ClickHouse, {events}"
    return f"""Sluice is ready.
  proxy    http://{proxy}
  admin    http://{admin}/   (/onboarding: how clients go through it)
  events   {where}   (sluice sql "{EXAMPLE_QUERY}")
  CA       {ca}
{_console(settings, console)}{_sql_over_http(settings)}
Try a prompt that is blocked:
  curl -x http://{here} --cacert {ca} https://api.openai.com/v1/chat/completions \\
    -H 'content-type: application/json' \\
    -d '{{"model":"gpt-5","messages":[{{"role":"user","content":"card 4111 1111 1111 1111"}}]}}'
"""


def _console(settings: config.Settings, console: str) -> str:
    who = "names of `console.users`" if settings.console.users else f"password in {settings.console_password}"
    return f"  console  http://{console}/   ({who})\n" if console else ""


def _sql_over_http(settings: config.Settings) -> str:
    if not settings.clickhouse.http_listen:
        return ""
    where = f"user {USER}, password in {password_file(settings)}"
    return f"  SQL      http://{settings.clickhouse.http_listen}/   ({where})\n"


def address(listening: socket.socket) -> str:
    host, port, *_ = listening.getsockname()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
