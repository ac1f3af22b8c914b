"""The console's pages over HTTP: who gets in, what they show, and that hostile text stays text."""

from __future__ import annotations

import asyncio
import html
import html.parser
import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from sluice.console import catalogue, judging, pages
from sluice.console.access import Access
from sluice.console.backtest import Backtest, Busy, Tried
from sluice.console.pages import findings
from sluice.errors import Cause, Unavailable
from sluice.ledger import reader
from sluice.posture import inventory, question, rendering, report, units
from sluice.ship import notes
from tests.console.console_rig import BLOCKED_ID, HOSTILE, HOSTILE_ID, PASSWORD, SECRET, Served

PARTS = {
    "/findings/{id}": "KEY-02",
    "/decisions/{id}": HOSTILE_ID,
    "/reports/{name}": "R3",
    "/inventory/{kind}": "tool",
}
PATHS = sorted(path.partition("{")[0] + PARTS.get(path, "") for path in pages.VIEWS)
"""Every page, those with a part in their path once."""
LONGER = {"/": "/?since=7d", "/decisions": "/decisions?since=7d"}
INNER = [*(f"/inventory/{kind}" for kind in inventory.KINDS), *(f"/reports/{name}" for name in units.reports())]
"""Pages that are made of the same template, each with its own questions."""


class Page(html.parser.HTMLParser):
    """What a browser would make of a page: its elements with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, name: str) -> list[str]:
        return [found for _, attrs in self.tags if (found := attrs.get(name))]


@pytest.mark.parametrize("path", PATHS)
def test_every_page_is_for_those_logged_in(served: Served, path: str) -> None:
    """Without a session there is the login page and nothing else, also for the queries of a page."""
    with served.client(logged_in=False) as client:
        for asked in (path, f"{path}?sql=1"):
            answer = client.get(asked)
            assert (answer.status_code, answer.headers["location"]) == (303, "/login")
            assert answer.text == ""


@pytest.mark.parametrize("path", [*PATHS, *INNER])
def test_hostile_text_stays_text(http: httpx.Client, path: str) -> None:
    """Texts that clients chose make no element, no attribute, no address of another site and no control character."""
    page = http.get(LONGER.get(path, path))
    assert page.status_code == 200, Page(page.text).text
    read = Page(page.text)
    names = {tag for tag, _ in read.tags}
    assert not names & {"script", "img", "iframe", "object", "embed", "base"}
    assert not [name for _, attrs in read.tags for name in attrs if name.startswith("on") or name == "style"]
    assert "\u202e" not in page.text
    assert SECRET not in page.text
    assert all(to.startswith(("/", "#")) and not to.startswith("//") for to in read.values("href") + read.values("src"))


@pytest.mark.parametrize("path", PATHS)
def test_every_page_shows_its_queries_with_their_digests(http: httpx.Client, path: str) -> None:
    """Each link to a query leads to the text that was asked, and its SHA-256 is that of the text."""
    page = Page(http.get(LONGER.get(path, path)).text)
    links = {to for tag, attrs in page.tags if tag == "a" and "sql=1" in (to := attrs.get("href") or "")}
    assert links or path in ("/reports", "/inventory")
    for address in sorted({to.partition("#")[0] for to in links}):
        shown = http.get(address).text
        found = re.findall(r'<code class="break">([0-9a-f]{64})</code></p>\n<pre[^>]*>(.*?)</pre>', shown, re.DOTALL)
        assert found
        assert all(question.digest(html.unescape(sql)) == digest for digest, sql in found)
        marks = {to.partition("#")[2] for to in links if to.startswith(address)}
        assert marks <= set(re.findall(r'<section id="([^"]+)"', shown))


@pytest.mark.parametrize("path", ["/login", *PATHS])
def test_nothing_runs_and_nothing_is_fetched(http: httpx.Client, path: str) -> None:
    """The headers allow our stylesheet and nothing else, forbid framing, and keep no page in a cache."""
    headers = http.get(path).headers
    policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


def test_the_stylesheet_may_be_kept(http: httpx.Client) -> None:
    """Its address holds its digest, so a browser needs it once."""
    (address,) = [attrs["href"] for tag, attrs in Page(http.get("/").text).tags if tag == "link"]
    answer = http.get(str(address))
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/css")
    assert "immutable" in answer.headers["cache-control"]


# --------------------------------------------------------------------------------------------------------- who gets in


def test_a_login_makes_a_session_and_a_logout_ends_it(served: Served) -> None:
    """The cookie is for HTTP alone and for this site alone; after the logout its value opens nothing."""
    with served.client(logged_in=False) as client:
        answer = served.login(client)
        cookie = next(line for line in answer.headers.get_list("set-cookie") if line.startswith("sluice-console="))
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
        value = client.cookies["sluice-console"]
        page = Page(client.get("/").text)
        token = next(attrs["value"] for tag, attrs in page.tags if attrs.get("name") == "token")
        assert client.post("/logout", data={"token": "wrong"}).status_code == 403
        assert client.get("/").status_code == 200
        assert client.post("/logout", data={"token": token}).status_code == 303
        client.cookies.set("sluice-console", value)
        assert client.get("/").status_code == 303


def test_a_wrong_password_opens_nothing(served: Served) -> None:
    """Refused without a session, and the page does not repeat what was typed."""
    with served.client(logged_in=False) as client:
        for password in ("", PASSWORD[:-1], PASSWORD + " x", "<script>alert(1)</script>"):
            answer = served.login(client, password)
            assert answer.status_code == 403
            assert "sluice-console" not in client.cookies
            assert not password or password not in answer.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"host": "rebound.example"}, 421),
        ({"content-type": "text/plain"}, 400),
    ],
)
def test_nothing_is_posted_from_elsewhere(served: Served, headers: dict[str, str], status: int) -> None:
    """With the right password and token, another site's form, a rebound name or another encoding still gets nowhere."""
    with served.client(logged_in=False) as client:
        client.get("/login")
        fields = {"password": PASSWORD, "token": client.cookies["sluice-console-login"]}
        assert client.post("/login", data=fields, headers=headers).status_code == status
        assert "sluice-console" not in client.cookies
        assert client.post("/login", data=fields | {"token": "other"}).status_code == 403


def test_a_rebound_name_sees_nothing(http: httpx.Client) -> None:
    """A session's cookie under another Host opens no page."""
    answer = http.get("/", headers={"host": "rebound.example"})
    assert (answer.status_code, answer.text) == (421, "unknown Host header\n")


def test_other_methods_and_long_forms_are_refused(served: Served) -> None:
    """Reading and the two forms are all there is."""
    with served.client(logged_in=False) as client:
        assert client.put("/").status_code == 405
        assert client.post("/decisions").status_code in (404, 405)
        assert client.post("/login", data={"password": "x" * 9000}).status_code == 400


# ------------------------------------------------------------------------------------------------------ what they show


def test_the_overview_counts_what_is_on_record(served: Served, http: httpx.Client) -> None:
    """Its figures are those of the records, and the chart says them in words too."""
    (row,) = served.rig.rows(
        "SELECT countIf(record_type = 'decision') AS all, countIf(record_type = 'decision' AND decision = 'block')"
        " AS blocked FROM events WHERE record_type = 'decision'"
    )
    page = http.get("/?since=7d").text
    figures = dict(re.findall(r"<dt>([^<]+)</dt>\s*<dd>(?:<a [^>]*>)?([^<]+?)(?:</a>)? <a class", page))
    assert (figures["Requests"], figures["Blocked"]) == (str(row["all"]), str(row["blocked"]))
    assert f"{row['blocked']} blocked" in page


def test_decisions_are_found_by_what_is_known_of_them(served: Served, http: httpx.Client) -> None:
    """Each filter gives what SQL gives; a text with quotes in it is a text."""
    for field, value, condition in (
        ("provider", "deepseek", "provider_id = 'deepseek'"),
        ("decided", "block", "decision = 'block'"),
        ("class", "phi.record", "has(data_classes, 'phi.record')"),
        ("reason", "SECRET_FOUND", "reason_code = 'SECRET_FOUND'"),
        ("tool", "bash", "has(tools_declared, 'bash')"),
        ("key", f"{1:032x}", f"key_fp = '{1:032x}'"),
        ("model", HOSTILE, "startsWith(ifNull(model_requested, ''), '\">')"),
        ("rule", "' OR 1 = 1 --", "0"),
    ):
        (row,) = served.rig.rows(f"SELECT count() AS n FROM events WHERE record_type = 'decision' AND {condition}")
        page = http.get("/decisions", params={"since": "7d", field: value})
        found = re.search(r"<p>([\d,]+) fit", page.text)
        assert found, page.text
        assert int(found[1]) == row["n"], field
        assert page.text.count("/decisions/0") + page.text.count("/decisions/") >= min(row["n"], 50)


def test_every_decision_is_on_one_of_the_pages(served: Served, http: httpx.Client) -> None:
    """From the newest to the last by the link `Older`: each decision once."""
    address, seen = "/decisions?since=7d", []
    while address:
        page = http.get(address).text
        seen += re.findall(r'href="/decisions/([0-9a-f-]{36})"', page)
        older = re.search(r'<a href="([^"]+)">Older</a>', page)
        address = html.unescape(older[1]) if older else ""
    wanted = [
        str(r["id"]) for r in served.rig.rows("SELECT decision_id AS id FROM events WHERE record_type = 'decision'")
    ]
    assert sorted(seen) == sorted(wanted)


def test_a_decision_says_why(http: httpx.Client) -> None:
    """The reason in words, the rule, what was found without its value, and how to prove it."""
    page = Page(http.get(f"/decisions/{BLOCKED_ID}").text).text
    for word in ("it contains a code host's or registry's token", "secrets", "SECRET_FOUND", "secret.code-key"):
        assert word in page
    assert f"sluice prove {BLOCKED_ID}" in page


def test_a_report_is_the_report(served: Served, http: httpx.Client) -> None:
    """The page has the rows, the coverage and the digest of `sluice report`; a file is what it writes."""
    unit = units.reports()["R1"]
    until = served.now - timedelta(minutes=1)
    answered = report.ask(served.rig.ask, unit, until - timedelta(days=3), until, {})
    fields = {"since": f"{answered.since:%Y-%m-%dT%H:%M}", "until": f"{until:%Y-%m-%dT%H:%M}"}
    page = Page(http.get("/reports/R1", params=fields).text).text
    assert answered.sha256 in page
    assert rendering.shown(answered.coverage.said()) in page
    for row in answered.table.dicts():
        assert rendering.shown(row["provider"])[:100] in page
    for form in ("csv", "json", "md", "html", "pdf"):
        file = http.get("/reports/R1/file", params=fields | {"form": form})
        assert file.content == rendering.file(answered, form)
        assert f'attachment; filename="R1-{answered.since:%Y%m%d}' in file.headers["content-disposition"]


def test_a_report_says_what_it_needs(http: httpx.Client) -> None:
    """Without the value that it is about, there is the form and no rows; with it, there are."""
    page = http.get("/reports/R6")
    assert (page.status_code, "needs a value for: Value (fingerprint)" in page.text) == (200, True)
    page = http.get("/reports/R6", params={"fingerprints": "ab" * 16, "since": "7d"})
    assert "query sha256" in page.text


def test_a_finding_has_its_change(http: httpx.Client) -> None:
    """Where it stands, what would close it as text to paste, and the page of one that stands nowhere."""
    page = Page(http.get("/findings/PRV-01").text).text
    for word in ("provider=deepseek", "20 hits, 3 of them grave", '"deepseek" = "prohibited"', "deploy/targets.toml"):
        assert word in page
    assert "PRV-01" in Page(http.get("/findings").text).text
    assert "Nowhere: nothing on record raises it." in http.get("/findings/MOD-01").text


def test_findings_are_listed_by_what_they_say(http: httpx.Client) -> None:
    """One closed group a finding, with its scopes counted and its worst severity, in a page without a script; filters
    stand in the address; what has many scopes shows the gravest, and its own page the rest, a page at a time."""
    page = http.get("/findings").text
    groups = re.findall(r"<summary>.*?<b>([A-Z]{3}-[0-9]{2})</b>.*?([0-9]+) scope", page, re.DOTALL)
    assert len(groups) == len({name for name, _ in groups}) > 1
    assert '<details class="group" open' not in page
    only = http.get("/findings?severity=critical&area=KEY").text
    shown = re.findall(r"<b>([A-Z]{3}-[0-9]{2})</b>", only)
    assert shown == sorted(name for name in shown if name.startswith("KEY-"))
    assert 'value="KEY" selected' in only
    many, number = max(groups, key=lambda one: int(one[1]))
    whole = http.get(f"/findings/{many}").text
    assert whole.count('<article class="verdict">') == min(int(number), findings.SCOPES)
    assert http.get(f"/findings/{many}?page=2").text.count('<article class="verdict">') == max(
        0, min(int(number) - findings.SCOPES, findings.SCOPES)
    )


def test_what_is_said_of_a_finding_is_on_its_page(
    served: Served, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Posted as a browser posts it, entered as the shipper enters it: the page has the person, reason and end, the
    hostile scope is the one that it was said of, and its numbers stay."""
    monkeypatch.setattr(judging, "PLACED_SECONDS", 0.0)
    form = http.get("/findings/KEY-02").text.partition('action="/findings/KEY-02/say"')[2]
    fields = dict(re.findall(r'type="hidden" name="(token|scope|state)" value="([^"]*)"', form))
    day = f"{served.now + timedelta(days=9):%Y-%m-%d}"
    said = http.post("/findings/KEY-02/say", data=fields | {"event": "accepted", "reason": HOSTILE, "until": day})
    assert said.headers["location"] == "/findings/KEY-02?said=waits"
    assert "when the shipper runs" in http.get(said.headers["location"]).text
    assert notes.place(served.rig.store, served.settings.ship_dir) == 1
    page = Page(http.get("/findings/KEY-02").text)
    assert f"until {day} 00:00:00" in page.text
    assert "console: " in page.text
    assert "20 hits, 3 of them grave" in page.text
    assert "script" not in {tag for tag, _ in page.tags}
    (row,) = served.rig.rows(
        "SELECT by, scope, hits FROM finding_events WHERE finding = 'KEY-02' AND event = 'accepted'"
    )
    assert row == {"by": "console", "scope": HOSTILE, "hits": 20}
    again = http.post("/findings/KEY-02/say", data=fields | {"event": "acknowledged"})
    assert (again.status_code, "It is accepted by now" in again.text) == (409, True)


def test_the_score_comes_with_its_parts(http: httpx.Client) -> None:
    """Score, formula, and each share with numerator and denominator; one that had nothing to measure has no share."""
    page = http.get("/posture").text
    assert "61.4" in page
    assert "score = 100 x sum(weight x numerator / denominator) / sum(weight)" in page
    assert "95.9%" in page  # 70 of 73
    rows = re.findall(r"<tr><td>([^<]+)</td>", http.get("/posture?framework=HIPAA").text.partition("Clauses and")[2])
    assert set(rows) == {"HIPAA"}


def test_the_graph_is_drawn_and_told(http: httpx.Client) -> None:
    """Nodes and edges as a picture with a name, and the same as a table; restricted to an agent, nobody else's."""
    page = Page(http.get("/graph").text)
    drawing = next(attrs for tag, attrs in page.tags if tag == "svg")
    assert drawing["role"] == "img"
    assert "nodes and" in str(drawing["aria-label"])
    assert "phi.record" in page.text
    alone = Page(http.get("/graph?agent=cline").text).text
    assert "bash" in alone
    assert "financial.card" not in alone


@pytest.mark.parametrize("path", ["/keys", "/graph", *(f"/inventory/{kind}" for kind in inventory.KINDS)])
def test_what_is_in_use_can_be_asked_for_a_span(http: httpx.Client, path: str) -> None:
    """Since and until as on the reports: the page answers, says what its numbers are of, and its query has the span."""
    page = http.get(path, params={"since": "7d"})
    assert page.status_code == 200, Page(page.text).text
    assert "of this span" in page.text or "Requests from" in page.text
    assert "&gt;= toDateTime64(" in http.get(path, params={"since": "7d", "sql": "1"}).text
    assert http.get(path, params={"since": "soon"}).status_code == 400


def test_a_span_leaves_out_what_was_not_seen_in_it(http: httpx.Client) -> None:
    """Keys of this hour and keys of last year are not the same rows."""
    assert "sk-proj" in http.get("/keys?since=30d").text
    assert "sk-proj" not in http.get("/keys?since=2025-01-01&until=2025-02-01").text
    assert "cline" not in http.get("/graph?since=2025-01-01&until=2025-02-01").text.partition("Edges, the busiest")[2]


async def test_two_policies_at_once_do_not_mix(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one is tried another is turned away; each outcome is of the text that was given with it, which lies in a
    file of its own that is gone afterwards."""
    begun, go = asyncio.Event(), asyncio.Event()
    tried: list[str] = []

    async def ran(_: Backtest, candidate: Path, since: str) -> Tried:
        begun.set()
        await go.wait()
        tried.append(candidate.read_text("utf-8"))  # noqa: ASYNC240 - a small file
        return Tried(None, (tried[-1], since))

    monkeypatch.setattr(Backtest, "_ran", ran)
    backtest = Backtest(served.settings, None)
    first = asyncio.create_task(backtest.run("first", "7d"))
    await begun.wait()
    with pytest.raises(Busy):
        await backtest.run("second", "1d")
    go.set()
    assert (await first).problems == ("first", "7d")
    assert (await backtest.run("third", "1d")).problems == ("third", "1d")
    assert tried == ["first", "third"]
    assert not list(served.settings.run_dir.glob("candidate-*"))


def test_the_policy_is_shown_as_it_is_asked(http: httpx.Client) -> None:
    """Every rule in its order, with how often it decided."""
    page = Page(http.get("/policy?since=7d").text).text
    order = [page.index(name) for name in ("prohibited-provider", "secrets", "payment-cards", "government-ids")]
    assert order == sorted(order)
    assert "no rule matched" in page


def test_a_pasted_policy_is_tried_on_what_is_recorded(http: httpx.Client) -> None:
    """What would change, how often, with an example; a policy with mistakes is answered with their lines."""
    page = Page(http.get("/policy/try").text)
    token = str(next(attrs["value"] for _, attrs in page.tags if attrs.get("name") == "token"))
    strict = (
        'id = "strict"\nversion = "9"\n[[rule]]\nid = "closed"\nwhen = {provider = "anthropic"}\naction = "block"\n'
    )
    fields = {"candidate": strict, "since": "7d", "token": token}
    tried = http.post("/policy/try", data=fields)
    said = Page(tried.text).text
    assert tried.status_code == 200
    assert "closed" in said
    assert strict.splitlines()[2] in said
    changed = re.search(r"Would change</dt><dd>([\d,]+)", tried.text)
    assert changed, said
    assert int(changed[1]) >= 2  # what anthropic was sent and not blocked for already
    wrong = http.post("/policy/try", data=fields | {"candidate": 'id = "<script>"\nversion = 1\n'})
    assert "candidate.toml" in Page(wrong.text).text
    assert "<script>" not in wrong.text
    assert http.post("/policy/try", data=fields | {"token": "other"}).status_code == 403
    assert http.post("/policy/try", data=fields | {"since": "9y"}).status_code == 400
    assert http.post("/policy/try", data=fields | {"candidate": "x" * 900_000}).status_code == 413


def test_the_evidence_names_every_stream(served: Served, http: httpx.Client) -> None:
    """Streams on disk with what is sealed of them, those of the store, and what happened to the appliance."""
    page = Page(http.get("/evidence").text).text
    for word in (f"{served.settings.node}-w1002", "n-w0", "policy_load", "waiting for a seal"):
        assert word in page


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/findings/NONE-1", 404, "no finding of this name"),
        ("/findings?state=odd", 400, "is one of"),
        ("/findings?severity=odd", 400, "is one of"),
        ("/findings?area=odd", 400, "is one of"),
        ("/findings/KEY-02?page=0", 400, "is a number from 1"),
        ("/reports/R99", 404, "no report of this name"),
        ("/reports/R1/file?form=exe", 404, "can be had as"),
        ("/reports/R1?since=1d&until=never", 400, "neither a span"),
        ("/inventory/secrets", 404, "no inventory of this kind"),
        ("/inventory/tool?source=all%20rows", 400, "is one of"),
        ("/posture?framework=none", 400, "no such framework"),
        ("/decisions/0193c000-0000-7000-8000-0000000000ff", 404, "Nothing with this id"),
        ("/decisions/%22%3E%3Cscript%3E", 404, "A decision&#39;s id looks like"),
        ("/decisions?since=soon", 400, "neither a span"),
        ("/decisions?since=2026-W40-1", 400, "neither a span"),
        ("/decisions?provider=%27%22%5C%00", 400, "holds a NUL character"),
        ("/decisions?before=1", 400, "a place in this list"),
        ("/decisions?decided=maybe", 400, "is one of"),
        (f"/decisions?model={'x' * 300}", 400, "longer than 256"),
        ("/?since=2026-11-02&until=2026-11-01", 400, "the span is empty"),
        ("/nothing", 404, "There is no such page"),
    ],
)
def test_what_cannot_be_meant_is_said(http: httpx.Client, path: str, status: int, words: str) -> None:
    """A page with the status and the reason, not an empty one."""
    answer = http.get(path)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text


def test_who_reads_is_on_record(served: Served, http: httpx.Client) -> None:
    """A look at decisions is in the ledger when the page comes: what, from where, which queries; no filter's value."""

    def looks() -> list[str]:
        entries = (e for s in reader.streams(served.settings.ledger_dir) for e in reader.read(s))
        return [r.control_detail or "" for r in (e.record for e in entries) if r.record_type == "access"]

    before = len(looks())
    shown = http.get("/decisions?since=7d&subject=somebody-i-know")
    assert shown.status_code == 200
    (detail,) = looks()[before:]
    assert '"what": "/decisions"' in detail
    assert '"from": "127.0.0.1"' in detail
    assert "somebody-i-know" not in detail
    assert '"by": "console"' in detail
    assert not [d for d in looks() if http.cookies["sluice-console"] in d]


def test_nothing_is_shown_that_cannot_be_recorded(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that takes no access record: no decision, no report, no file; what shows no record is still there."""

    async def fail(*_: object, **__: object) -> None:
        raise Unavailable(Cause.AUDIT_UNAVAILABLE, "the disk is full")

    monkeypatch.setattr(Access, "record", fail)
    for path in (f"/decisions/{BLOCKED_ID}", "/reports/R1", "/reports/R1/file?form=csv", "/keys"):
        answer = http.get(path)
        assert (answer.status_code, "Nothing is shown" in answer.text) == (503, True), path
        assert "SECRET_FOUND" not in answer.text
    assert http.get("/evidence").status_code == 200


def test_a_fault_of_ours_is_a_page_without_its_text(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever an error says may be of a record: the page says that there was one, and nothing of it."""

    def fail() -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(catalogue, "reports", fail)
    answer = http.get("/reports")
    assert (answer.status_code, "a fault of the console" in answer.text) == (500, True)
    assert SECRET not in answer.text
    assert "content-security-policy" in answer.headers


def test_a_store_that_is_away_is_said(served: Served, http: httpx.Client) -> None:
    """While the shipper restarts each page says so, with 503; the engine is not opened instead; then all is back."""
    served.close_store()
    try:
        for path in PATHS:
            answer = http.get(path)
            away = (answer.status_code, "The event store is away" in answer.text) == (503, True)
            assert away or path in ("/reports", "/inventory"), path
        assert not (served.settings.clickhouse_dir / "store").exists()
        assert http.get("/?sql=1").status_code == 200
    finally:
        served.open_store()
    assert http.get("/").status_code == 200


def test_an_exception_that_nothing_used_is_shown(http: httpx.Client) -> None:
    """Of tools the page shows those in use; an exception is there from the day on which it is declared."""
    assert "source != &#39;declared&#39;" in http.get("/inventory/tool?sql=1").text
    assert "source != &#39;declared&#39;" not in http.get("/inventory/exception?sql=1").text


FIELD_OF = {"agent": "agent", "model": "model", "tool": "tool", "data_class": "class", "key": "key"}


@pytest.mark.parametrize(
    ("kind", "key", "number"),
    [
        ("agent", "agent_id", "requests"),
        ("model", "model", "requests"),
        ("tool", "tool", "declared"),
        ("data_class", "data_class", "requests"),
        ("key", "key_fp", "requests"),
    ],
)
def test_a_row_of_the_inventory_leads_to_as_many_decisions(
    served: Served, http: httpx.Client, kind: str, key: str, number: str
) -> None:
    """The link of a name, whatever text it is, finds the requests that the row counts."""
    rows = served.rig.rows(inventory.sql(inventory.KINDS[kind], used=True))
    counted = {str(row[key]) for row in rows if row[number]}
    page = http.get(f"/inventory/{kind}").text
    links = re.findall(r'<td[^>]*><a href="(/decisions[?][^"]+)">', page)
    assert counted
    followed = 0
    for link in links:
        if f"{FIELD_OF[kind]}=" not in link:
            continue
        fields = dict(parse_qsl(urlsplit(html.unescape(link)).query))
        name = fields[FIELD_OF[kind]]
        of = [
            r for r in rows if r[key] == name and fields.get("provider", r.get("provider_id")) == r.get("provider_id")
        ]
        if len(of) != 1 or not of[0][number]:
            continue
        found = re.search(r"<p>([0-9,]+) fit", http.get(html.unescape(link)).text)
        assert found
        assert int(found[1].replace(",", "")) == of[0][number], link
        followed += 1
    assert followed
