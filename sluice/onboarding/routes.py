"""What the admin listener serves to whoever sets up a client.

Addresses are those of the settings (`proxy.advertise`, `admin.names`) where the site has named them; otherwise of the
listener, and on a wildcard address the host that the request itself went to, which the listener has checked.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sluice import ca, config
from sluice.onboarding import pac, page, profile

_ANY = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound


def routes(
    settings: config.Settings, hosts: Callable[[], tuple[str, ...]], proxy: str, admin: str
) -> tuple[Route, ...]:
    """`hosts` gives the patterns of the destination table; `proxy` and `admin` are what the sockets are bound to."""

    def gate(request: Request) -> page.Gate:
        here = request.url.hostname or ""
        return page.Gate(
            proxy=settings.proxy.advertise or _reachable(proxy, here),
            admin=_named(settings, admin) or _reachable(admin, here),
            sha256=ca.sha256(settings.ca_dir),
        )

    def proxy_pac(request: Request) -> Response:
        everything = "everything" in request.query_params
        return Response(pac.pac(hosts(), gate(request).proxy, everything=everything), media_type=pac.TYPE)

    def onboarding(request: Request) -> Response:
        return Response(page.render(gate(request)), media_type="text/html; charset=utf-8", headers=page.HEADERS)

    def mobileconfig(_: Request) -> Response:
        body = profile.profile(ca.export(settings.ca_dir, "pem"), settings.ca.organisation)
        return Response(
            body,
            media_type=profile.TYPE,
            headers={"content-disposition": 'attachment; filename="sluice.mobileconfig"'},
        )

    return (
        Route("/proxy.pac", proxy_pac),
        Route("/wpad.dat", proxy_pac),
        Route("/onboarding", onboarding),
        Route("/ca.mobileconfig", mobileconfig),
    )


def _named(settings: config.Settings, admin: str) -> str:
    port = config.endpoint(admin)[1]
    return f"{settings.admin.names[0]}:{port}" if settings.admin.names else ""


def _reachable(bound: str, here: str) -> str:
    """Where a client reaches what is bound to an address."""
    host, port = config.endpoint(bound)
    if host in _ANY:
        host = here or "localhost"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
