"""The page that a browser shows when a navigation is refused: one file, no script, no request of its own."""

from __future__ import annotations

import base64
import hashlib
import html

_STYLE = """
:root{color-scheme:light dark;--ink:#1c1c1e;--paper:#fff;--line:#c8c8cc}
@media (prefers-color-scheme:dark){:root{--ink:#f2f2f5;--paper:#1c1c1e;--line:#48484c}}
body{margin:0;padding:10vh 1.5rem;background:var(--paper);color:var(--ink);font:1.05rem/1.5 system-ui,sans-serif}
main{max-width:38rem;margin:auto;border-left:.4rem solid #d0342c;padding:0 0 0 1.5rem}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 1rem}
main.good{border-color:#2b8a3e}
dl{border-top:1px solid var(--line);padding-top:1rem;display:grid;grid-template-columns:auto 1fr;gap:.25rem 1rem}
dt{font-weight:600}dd{margin:0;overflow-wrap:anywhere}
""".strip()

_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS = (
    ("content-security-policy", f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
)
"""What the page may do: show itself."""


def render(title: str, message: str, decision_id: str, reason: str, *, good: bool = False) -> bytes:
    """The page as UTF-8. Every text is escaped. `good`: nothing was refused."""
    title, message, decision_id, reason = (html.escape(t) for t in (title, message, decision_id, reason))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<main role="main"{' class="good"' if good else ""} aria-labelledby="what">
<h1 id="what">{title}</h1>
<p>{message}</p>
<dl><dt>Decision</dt><dd>{decision_id}</dd><dt>Reason</dt><dd>{reason}</dd></dl>
</main>
</body>
</html>
""".encode()
