"""The console in a real Chromium, where there is one: desktop and narrow, light and dark, judged by axe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.console.browser import NARROW, WIDE, Browser, program
from tests.console.console_rig import BLOCKED_ID, HOSTILE_ID, Served

AXE = Path(__file__).parents[1] / "clients" / "node" / "node_modules" / "axe-core" / "axe.min.js"
VIOLATIONS = """
axe.run(document, {resultTypes: ["violations"]}).then(found => found.violations.map(
    one => one.id + ": " + one.nodes.slice(0, 3).map(node => node.html.slice(0, 160)).join(" | ")))
"""
PAGES = (
    "/",
    "/?sql=1",
    "/posture",
    "/findings",
    "/findings/KEY-02",
    "/decisions?since=7d",
    f"/decisions/{HOSTILE_ID}",
    f"/decisions/{BLOCKED_ID}",
    "/inventory",
    "/inventory/tool",
    "/keys",
    "/graph",
    "/reports",
    "/reports/R12",
    "/reports/R6",
    "/policy?since=7d",
    "/policy/try",
    "/evidence",
    "/nothing",
)


@pytest.fixture(scope="module")
def browser(served: Served, http: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium in which somebody is logged in."""
    path = program()
    if path is None:
        pytest.skip("there is no Chromium on this machine")
    opened = Browser(path, tmp_path_factory.mktemp("profile"))
    opened.cookie(served.url, "sluice-console", http.cookies["sluice-console"])
    yield opened
    opened.close()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_accessible_in_every_form(served: Served, browser: Browser, path: str) -> None:
    """No violation that axe knows, nothing that the page's policy had to stop, and no page wider than its window."""
    browser.errors.clear()
    for size, dark in ((WIDE, False), (NARROW, True)):
        browser.look(size, dark=dark)
        browser.go(served.url + path)
        wider = browser.run("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, size
        browser.run("document.querySelectorAll('details').forEach(one => one.open = true)")
        browser.run(f"{AXE.read_text('utf-8')};0")
        assert browser.run(VIOLATIONS) == [], (size, dark)
    assert [said for said in browser.errors if path != "/nothing" or "404" not in said] == []


@pytest.mark.parametrize(("size", "dark"), [(WIDE, True), (NARROW, False)])
def test_both_schemes_have_contrast_at_both_sizes(
    served: Served, browser: Browser, size: tuple[int, int], dark: bool
) -> None:
    """The other two forms, on the page with every kind of element."""
    browser.look(size, dark=dark)
    browser.go(f"{served.url}/?since=7d")
    browser.run(f"{AXE.read_text('utf-8')};0")
    assert browser.run(VIOLATIONS) == []
    ground = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(15, 19, 24)") is dark


def test_the_keyboard_reaches_everything(served: Served, browser: Browser) -> None:
    """The first stop skips the navigation; each stop behind it can be seen; links, fields and regions are stops."""
    browser.look(WIDE, dark=False)
    browser.go(f"{served.url}/decisions?since=7d")
    stops = []
    for _ in range(40):
        for kind in ("rawKeyDown", "keyUp"):
            browser.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        stops.append(
            browser.run(
                "(e => [e.tagName, e.className, e.getBoundingClientRect().width > 0, getComputedStyle(e).outlineStyle])"
                "(document.activeElement)"
            )
        )
    assert stops[0][:2] == ["A", "skip"]
    assert all(width and outline != "none" for _, _, width, outline in stops)
    assert {"A", "INPUT", "SELECT", "BUTTON", "DIV"} <= {tag for tag, *_ in stops}


def test_nobody_without_a_session_sees_a_page(served: Served, browser: Browser, http: httpx.Client) -> None:
    """A browser without the cookie ends at the login, and logging in by its form opens the overview."""
    browser.call("Network.clearBrowserCookies")
    try:
        browser.go(f"{served.url}/decisions")
        assert browser.run("location.pathname") == "/login"
        browser.run(f"{AXE.read_text('utf-8')};0")
        assert browser.run(VIOLATIONS) == []
        browser.log_in("correct-horse-battery-staple")
        assert browser.run("document.querySelector('h1').textContent") == "Overview"
    finally:
        browser.cookie(served.url, "sluice-console", http.cookies["sluice-console"])
