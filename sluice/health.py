"""The admin listener: is it alive, is it ready, what has it counted, and the CA certificate to trust.

Rules
1. Read only, loopback by default, no content: nothing here can change a decision or show a request.
2. A browser must not be turned against it: the Host header has to be a loopback name or the listen address itself
   (a DNS name that was rebound to 127.0.0.1 is refused), and no page may read or frame an answer.
3. A metric file that a killed process left half written is skipped and counted; it never breaks a scrape.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import re
import struct
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

import uvicorn
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sluice.metrics import METRIC_FILES_UNREADABLE, flush

_SECURITY = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)

_NAME = re.compile(r"(counter|histogram|summary|gauge_[a-z]+)_\d+\.db")

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sluice</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}</style>
<h1>Sluice</h1>
<p>The admin listener of this egress gate. Posture, decisions and reports are in the console, which has a listener of
its own (<code>console.listen</code> of the settings).</p>
<ul>
<li><a href="/readyz">/readyz</a> ready to forward, or what is missing
<li><a href="/healthz">/healthz</a> the supervisor is alive
<li><a href="/metrics">/metrics</a> counters in Prometheus format
<li><a href="/onboarding">/onboarding</a> how clients go through the gate, step by step
<li><a href="/proxy.pac">/proxy.pac</a> proxy auto-config file
<li><a href="/ca.mobileconfig">/ca.mobileconfig</a> the CA certificate as a profile for macOS and iOS
<li><a href="/ca.pem">/ca.pem</a> the CA certificate that clients have to trust (PEM)
<li><a href="/ca.der">/ca.der</a> the same for Windows and Java (DER)
</ul>
</html>
"""


@dataclass(frozen=True, slots=True)
class Status:
    """What the supervisor knows. `missing`: what keeps the appliance from being ready, in words; empty = ready.
    `degraded`: what does not keep it from forwarding, and yet needs somebody."""

    missing: tuple[str, ...]
    processes: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    degraded: tuple[str, ...] = ()


def app(
    *,
    status: Callable[[], Status],
    certificate: Callable[[Literal["pem", "der"]], bytes],
    metrics: Path,
    listen: str,
    measure: Callable[[], Iterable[Metric]] = tuple,
    more: Sequence[Route] = (),
    names: Sequence[str] = (),
) -> ASGIApp:
    """The admin application. `certificate` gives the CA certificate; `metrics` is the directory of metric files;
    `listen` the address it is served on, for the Host check; `measure` gives the metrics that no process counts;
    `more` are other rooms' pages, `names` the host names that it may be asked under."""

    def page(_: Request) -> Response:
        return HTMLResponse(_PAGE)

    def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        now = status()
        body = {"ready": not now.missing, "missing": now.missing, "degraded": now.degraded, "processes": now.processes}
        return Response(
            json.dumps(body, indent=2) + "\n", status_code=503 if now.missing else 200, media_type="application/json"
        )

    async def numbers(request: Request) -> Response:
        measured = tuple(measure())  # of processes that only this thread knows
        body, content_type = await run_in_threadpool(exposition, metrics, request.headers.get("accept", ""), measured)
        return Response(body, headers={"content-type": content_type})

    def ca_pem(_: Request) -> Response:
        return _download(certificate("pem"), "sluice-ca.pem", "application/x-pem-file")

    def ca_der(_: Request) -> Response:
        return _download(certificate("der"), "sluice-ca.der", "application/pkix-cert")

    routes = [
        Route("/", page),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", numbers),
        Route("/ca.pem", ca_pem),
        Route("/ca.der", ca_der),
        *more,
    ]
    inner = Starlette(routes=routes)
    inner.router.redirect_slashes = False  # a redirect would repeat the Host header in its Location
    return _Guarded(inner, listen, names)


class Server(uvicorn.Server):
    """uvicorn inside the supervisor's event loop: signals stay the supervisor's, and it writes no log of its own."""

    def __init__(self, application: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                http="h11",
                ws="none",
                limit_concurrency=64,
                timeout_graceful_shutdown=1,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def _download(body: bytes, name: str, media_type: str) -> Response:
    return Response(body, media_type=media_type, headers={"content-disposition": f'attachment; filename="{name}"'})


class _Guarded:
    """Host check and security headers around every route, the unknown ones too."""

    def __init__(self, inner: ASGIApp, listen: str, names: Sequence[str] = ()) -> None:
        self._inner = inner
        self._listen = listen.lower()
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(field for field in _SECURITY if field[0] not in own)]
            await send(message)

        hosts = Headers(scope=scope).getlist("host")
        known = len(hosts) == 1 and allowed_host(hosts[0], self._listen, self._names)
        answer = self._inner if known else PlainTextResponse("unknown Host header\n", status_code=421)
        await answer(scope, receive, guarded)


def allowed_host(header: str, listen: str, names: Collection[str] = ()) -> bool:
    """Whether a Host header names this listener: `localhost`, a loopback address, the listen address, or one of the
    names (in lower case) that the site has given it.

    On a wildcard address any IP address will do: DNS rebinding needs a name.
    """
    text = header.strip().lower()
    host = text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]
    if host in ("localhost", listen) or host in names:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or listen in ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to


# ------------------------------------------------------------------------------------------------------------- metrics


def exposition(directory: Path, accept: str = "", measured: Iterable[Metric] = ()) -> tuple[bytes, str]:
    """The metrics of every process, added up, and the content type that goes with the `Accept` header."""
    flush()
    files = [f for f in directory.glob("*.db") if _NAME.fullmatch(f.name) and _size(f)]  # empty: being made just now
    whole = [file for file in files if readable(file)]
    left_out = GaugeMetricFamily(
        METRIC_FILES_UNREADABLE.name, METRIC_FILES_UNREADABLE.help, value=len(files) - len(whole)
    )
    registry = CollectorRegistry()
    registry.register(_Files(whole, (*measured, left_out)))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


class _Files(Collector):
    """The sum of these metric files (`MultiProcessCollector` alone would read the broken ones as well), and others."""

    def __init__(self, files: list[Path], others: Iterable[Metric]) -> None:
        self._files = files
        self._others = others

    def collect(self) -> list[Metric]:
        # A live gauge's file goes away with its process, possibly since it was listed; everything else stays.
        present = [str(f) for f in self._files if f.exists()]
        added_up = MultiProcessCollector.merge(present)  # type: ignore[no-untyped-call]  # untyped there
        return [*added_up, *self._others]


@lru_cache(maxsize=8192)
def _is_key(data: bytes) -> bool:
    """Whether this is the key of a series. The same few thousand are asked about at every scrape. Raises ValueError."""
    key = json.loads(data)
    return isinstance(key, list) and len(key) == 4 and isinstance(key[2], dict)


def readable(file: Path) -> bool:
    """Whether a metric file is whole, by prometheus_client's layout (`mmap_dict.py`): a used length of 4 bytes, padding
    to 8, then entries of key length, key as JSON padded to 8, two doubles. The library itself loops for ever on a
    negative key length, so this is checked first."""
    try:
        data = file.read_bytes()
        (used,) = struct.unpack_from("i", data, 0)
        if used > len(data) or used < 0:
            return False
        position = 8
        while position < used:
            (length,) = struct.unpack_from("i", data, position)
            if not 0 < length <= used - position:
                return False
            if not _is_key(data[position + 4 : position + 4 + length]):
                return False
            position += 4 + length + (8 - (length + 4) % 8)  # the library pads by 8 when nothing is missing
            struct.unpack_from("dd", data, position)
            position += 16
    except (OSError, ValueError, struct.error):
        return False
    return True
