"""The onboarding page: how to trust this gate and go through it, per platform. One file, no script, escaped."""

from __future__ import annotations

import base64
import hashlib
import html
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from sluice import config
from sluice.onboarding.steps import PLATFORMS, Platform
from sluice.probe import HOST as PROBE

_STYLE = """
:root{color-scheme:light dark;--ink:#1c1c1e;--paper:#fff;--line:#c8c8cc;--shade:#f2f2f5;--link:#0a58ca}
@media (prefers-color-scheme:dark){:root{--ink:#f2f2f5;--paper:#1c1c1e;--line:#48484c;--shade:#2a2a2e;--link:#8ab4f8}}
*{box-sizing:border-box}
body{margin:0;padding:2rem 1.25rem 4rem;background:var(--paper);color:var(--ink);font:1rem/1.55 system-ui,sans-serif}
main{max-width:54rem;margin:auto}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .5rem}h2{font-size:1.2rem;margin:2rem 0 .5rem}
a{color:var(--link)}code,pre{font:.9rem/1.5 ui-monospace,monospace}
pre{background:var(--shade);border:1px solid var(--line);border-radius:.4rem;padding:.75rem;overflow-x:auto}
pre{margin:.4rem 0}
dl{display:grid;grid-template-columns:auto 1fr;gap:.3rem 1rem;margin:1rem 0}
dt{font-weight:600}dd{margin:0;overflow-wrap:anywhere}
details{border-bottom:1px solid var(--line);padding:.6rem 0}
summary{cursor:pointer;font-weight:600;padding:.25rem 0}
summary small{font-weight:400;opacity:.75}
li{margin:.2rem 0;overflow-wrap:anywhere}.step{margin:.8rem 0 0;font-weight:600}
@media (max-width:36rem){dl{grid-template-columns:1fr;gap:0}dd{margin:0 0 .6rem}body{padding:1.25rem .9rem 3rem}}
""".strip()

_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


@dataclass(frozen=True, slots=True)
class Gate:
    """Where this gate is for clients (`host:port`), and its CA's fingerprint (hex)."""

    proxy: str
    admin: str
    sha256: str


def commands(text: str, gate: Gate) -> str:
    """A step's commands with the addresses of a gate."""
    host, port = config.endpoint(gate.proxy)
    return text.format(proxy=gate.proxy, admin=gate.admin, probe=PROBE, proxy_host=host, proxy_port=port)


def render(gate: Gate) -> bytes:
    """The page as UTF-8."""
    e = html.escape
    sections = "\n".join(_section(platform, gate) for platform in PLATFORMS)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>Going through the AI gate</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>Going through the AI gate</h1>
<p>Traffic to AI services leaves through this gate. A client needs two things: the proxy, and the certificate of the
gate's CA. Without the certificate it refuses to connect.</p>
<dl>
<dt>Proxy</dt><dd><code>http://{e(gate.proxy)}</code></dd>
<dt>Automatic</dt><dd><a href="/proxy.pac">http://{e(gate.admin)}/proxy.pac</a></dd>
<dt>CA certificate</dt><dd><a href="/ca.pem">PEM</a>, <a href="/ca.der">DER</a> (Windows, Java),
<a href="/ca.mobileconfig">profile</a> (macOS, iOS)</dd>
<dt>SHA-256</dt><dd><code>{e(_spaced(gate.sha256))}</code></dd>
</dl>
<p>Compare the fingerprint with what your administrator tells you before you trust the certificate.</p>
<h2>Are you inspected?</h2>
<p>Open <a href="https://{PROBE}/">https://{PROBE}/</a>, or ask from a shell. The gate itself answers; a client that
does not go through it finds no such name.</p>
<pre>{e(commands("curl --proxy http://{proxy} --cacert sluice-ca.pem https://{probe}/", gate))}</pre>
<h2>Step by step</h2>
<p>First fetch the certificate; every step below takes it from this file.</p>
<pre>{e(commands("curl -o sluice-ca.pem http://{admin}/ca.pem", gate))}</pre>
{sections}
</main>
</body>
</html>
""".encode()


def _section(platform: Platform, gate: Gate) -> str:
    e = html.escape
    parts = ['<p class="step">Set up</p>', f"<pre>{e(commands(platform.setup, gate))}</pre>"]
    if platform.check:
        parts += ['<p class="step">Check</p>', f"<pre>{e(commands(platform.check, gate))}</pre>"]
    notes = [f"<li>{e(commands(note, gate))}</li>" for note in platform.notes]
    if platform.sources:
        pages = ", ".join(f'<a href="{e(url)}">{e(_named(url))}</a>' for url in platform.sources)
        notes.append(f"<li>By the vendor: {pages}</li>")
    parts.append(f"<ul>{''.join(notes)}</ul>" if notes else "")
    origin = "" if platform.run else " <small>(from the vendor's documentation)</small>"
    summary = f"<summary>{e(platform.title)}{origin}</summary>"
    return f'<details id="{platform.id}">{summary}{"".join(parts)}</details>'


def _named(url: str) -> str:
    """A page by its site and its own last name."""
    parts = urlsplit(url)
    return f"{parts.hostname}: {PurePosixPath(parts.path).stem}"


def _spaced(digest: str) -> str:
    return " ".join(digest[i : i + 8] for i in range(0, len(digest), 8))
