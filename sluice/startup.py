"""What `sluice-proxy` makes sure of before anything runs, and what it tells a person once everything does.

A private place, whole rules, a CA, two free ports. The functions that check raise `Misconfigured` with all the problems
they found, and undo nothing: what was made (directories, keys) is what the next start needs too.
"""

from __future__ import annotations

import errno
import os
import resource
import shutil
import socket
import time

from sluice import config
from sluice.errors import Misconfigured, Problem

KEY_LOGS = ("SSLKEYLOGFILE", "MITMPROXY_SSLKEYLOGFILE")
BIND_SECONDS = 5.0


def refuse_key_logs() -> None:
    """No process of this appliance may write TLS session keys to a file."""
    found = [name for name in KEY_LOGS if os.environ.get(name)]
    if found:
        what = "is set: it would write the session keys of every connection to a file. Unset it"
        raise Misconfigured([Problem(f"${name}", None, what) for name in found])


def harden() -> None:
    """For this process and its children: private files, no core dump (it would hold prompts and keys), and as many open
    connections as the system allows."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def prepare(settings: config.Settings) -> None:
    """Make `var` and the directories below it, private to this user. Raises `Misconfigured`."""
    var = settings.paths.var
    for directory in (var, settings.ledger_dir, settings.run_dir, settings.keys_dir, settings.ca_dir):
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            mode = directory.stat().st_mode
            probe = directory / f".probe-{os.getpid()}"
            probe.touch(mode=0o600)
            probe.unlink()
        except OSError as e:
            raise Misconfigured(Problem(str(directory), None, f"cannot be written: {e.strerror}")) from e
        if mode & 0o022:
            what = "can be changed by other users, who could replace keys and evidence; run `chmod 700` on it"
            raise Misconfigured(Problem(str(directory), None, what))


def fresh_metrics(settings: config.Settings) -> None:
    """An empty directory for metric files, named in the environment before prometheus_client is first imported."""
    directory = settings.run_dir / "metrics"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)


def check(settings: config.Settings) -> tuple[str, tuple[Problem, ...]]:
    """Load the rulebook, the fingerprint key and the CA, making key and CA on the first start. Returns the rulebook's
    digest, and warnings. Raises `Misconfigured` with the problems of all of them."""
    from sluice import ca, policy, rulebook  # they import metrics, which must find its directory named

    problems: list[Problem] = []
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
    return book.digest, book.policy.warnings if isinstance(book.policy, policy.PolicySet) else ()


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
            raise Misconfigured(Problem(setting, None, f"cannot listen on {listen}: {e.strerror}")) from e
        made.setblocking(False)
        return made


EXAMPLE_QUERY = "select * from events order by ts_received desc limit 5"


def welcome(settings: config.Settings, proxy: str, admin: str) -> str:
    """Where everything is, and one command to see it work: a prompt with a card number, which is blocked."""
    ca = settings.ca_dir / "ca.pem"
    events = settings.clickhouse_dir
    where = "the ClickHouse server of `clickhouse.dsn`" if settings.clickhouse.dsn else f"embedded ClickHouse, {events}"
    return f"""Sluice is ready.
  proxy    http://{proxy}
  admin    http://{admin}/
  events   {where}   (sluice sql "{EXAMPLE_QUERY}")
  CA       {ca}

Try a prompt that is blocked:
  curl -x http://{proxy} --cacert {ca} https://api.openai.com/v1/chat/completions \\
    -H 'content-type: application/json' \\
    -d '{{"model":"gpt-5","messages":[{{"role":"user","content":"card 4111 1111 1111 1111"}}]}}'
"""


def address(listening: socket.socket) -> str:
    host, port, *_ = listening.getsockname()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
