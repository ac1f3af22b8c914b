"""Reports: each says what the records say, with its scope, coverage, basis and digest, and says the same again."""

from __future__ import annotations

import csv
import html.parser
import io
import json
import re
from collections import Counter
from copy import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sluice.model import Record
from sluice.posture import question, rendering, report, units
from sluice.posture.question import BadQuestion
from sluice.posture.report import Answered
from tests.posture.posture_rig import NOW, Rig, ago, control, decision, ended, found

REPORTS = units.reports()
HOSTILE = "=cmd|'/C calc'!A1 <script>alert(1)</script> | **x** `y` \u202e \"q\""
SINCE = NOW - timedelta(days=30)


def ask(rig: Rig, name: str, since: datetime = SINCE, until: datetime = NOW, **filters: tuple[str, ...]) -> Answered:
    return report.ask(rig.ask, REPORTS[name], since, until, filters)


def dicts(answered: Answered) -> list[dict[str, Any]]:
    return answered.table.dicts()


@pytest.fixture(scope="module")
def sent(rig: Rig) -> list[Record]:
    """A month of one company, in the store: 60 decisions of every sort, with their outcomes."""
    departments, classes = ("sales", "legal", None), ((), ("phi.record",), ("secret.ai-key", "contact.email"))
    rows = []
    for n in range(60):
        provider = ("openai", "deepseek", "mistral")[n % 3]
        block = n % 10 == 0
        rows.append(
            decision(
                ts_received=ago(hours=6 * n + 1),
                subject_id=f"s{n % 5}",
                department=departments[n % 2 if n % 5 else 2],
                provider_id=provider,
                provider_status={"openai": "sanctioned", "deepseek": "prohibited", "mistral": "unreviewed"}[provider],
                product=f"{provider}-api",
                data_classes=classes[n % 4 % 3],
                decision="block" if block else "allow",
                reason_code="CLASS_BLOCKED" if block else "NO_FINDINGS",
                key_fp=f"{n % 4:032x}",
                key_hint="sk-proj-(51)",
                key_kind="openai.project",
                agent_id="cline" if n % 2 else None,
                tools_declared=("bash", "read_file") if n % 2 else None,
                dangerous_tools=("bash",) if n % 2 else None,
                role="engineer" if n % 2 else None,
                inspection_status="partial" if n % 15 == 0 else "full",
                uninspected_bytes=100 if n % 15 == 0 else 0,
                uninspected_reason=("image",) if n % 15 == 0 else None,
                conversation_fp=f"c{n % 3}",
            )
        )
    records = ended(*rows, org_id_seen="org-ours", tool_calls_returned=("bash",))
    records += [control("policy_load", ago(days=29), id="default", version="1", sha256="cd" * 32, changed=None)]
    return rig.put(records)


def decisions(sent: list[Record]) -> list[Record]:
    return [r for r in sent if r.record_type == "decision"]


@pytest.mark.parametrize("name", list(REPORTS))
def test_every_report_has_the_columns_that_it_describes(rig: Rig, sent: list[Record], name: str) -> None:
    """Whoever reads a column finds its meaning, and no meaning is told of a column that is not there."""
    needed = dict.fromkeys(REPORTS[name].required, ("ab" * 16,))
    answered = ask(rig, name, **needed)
    assert list(answered.table.columns) == [c.name for c in answered.unit.columns]
    assert dict(answered.head()).keys() >= {"scope", "coverage", "basis", "query sha256"}


@pytest.mark.parametrize("name", list(REPORTS))
def test_a_report_asked_again_is_the_same_byte_for_byte(rig: Rig, sent: list[Record], name: str) -> None:
    """A number in last month's report can be had again, and a different query has a different digest."""
    needed = dict.fromkeys(REPORTS[name].required, ("ab" * 16,))
    first, second = ask(rig, name, **needed), ask(rig, name, **needed)
    assert rendering.as_json(first) == rendering.as_json(second)
    assert first.sha256 == question.digest(first.sql)
    assert first.sha256 != ask(rig, name, since=SINCE - timedelta(days=1), **needed).sha256 or name in ("R18",)


def test_r1_counts_who_uses_what(rig: Rig, sent: list[Record]) -> None:
    """Requests and subjects of each provider, as they were sent."""
    wanted = Counter(r.provider_id for r in decisions(sent))
    people = {p: len({r.subject_id for r in decisions(sent) if r.provider_id == p}) for p in wanted}
    assert {r["provider"]: r["requests"] for r in dicts(ask(rig, "R1"))} == wanted
    assert {r["provider"]: r["subjects"] for r in dicts(ask(rig, "R1"))} == people


def test_r2_counts_what_is_not_sanctioned(rig: Rig, sent: list[Record]) -> None:
    """Everything that is not sanctioned, by department; what carried a class and was let pass is told apart."""
    wanted: Counter[str] = Counter()
    leaked: Counter[str] = Counter()
    for r in decisions(sent):
        if r.provider_status != "sanctioned":
            wanted[r.department or "unknown"] += 1
            leaked[r.department or "unknown"] += bool(r.data_classes) and r.decision == "allow"
    got: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    for row in dicts(ask(rig, "R2")):
        got[row["department"]] += row["requests"]
        passed[row["department"]] += row["allowed_with_class"]
    assert (got, +passed) == (wanted, +leaked)


def test_r3_counts_classes_by_recipient(rig: Rig, sent: list[Record]) -> None:
    """A request with two classes is in both rows; the share of blocked is over all actions."""
    wanted = Counter((r.provider_id, c) for r in decisions(sent) for c in (r.data_classes or ("none found",)))
    got: Counter[tuple[str, str]] = Counter()
    for row in dicts(ask(rig, "R3")):
        got[row["provider"], row["data_class"]] += row["requests"]
        same = [r for r in decisions(sent) if r.provider_id == row["provider"]]
        same = [r for r in same if row["data_class"] in (r.data_classes or ("none found",))]
        share = 100 * sum(r.decision == "block" for r in same) / len(same)
        assert row["blocked_percent"] == pytest.approx(share, abs=0.01)
    assert got == wanted


def test_r4_says_how_long_a_class_went_out(rig: Rig, sent: list[Record]) -> None:
    """From the first request with a class to the first that was stopped."""
    for row in dicts(ask(rig, "R4")):
        same = [r for r in decisions(sent) if r.provider_id == row["provider"]]
        same = sorted((r for r in same if row["data_class"] in (r.data_classes or ())), key=lambda r: r.ts_received)
        stopped = next((r.ts_received for r in same if r.decision == "block"), None)
        before = [r for r in same if r.decision == "allow" and (stopped is None or r.ts_received < stopped)]
        assert row["allowed_before"] == len(before)
        assert (row["policy_from"] is None) == (stopped is None)


def test_r5_lists_every_request_with_patient_identifiers(rig: Rig, sent: list[Record]) -> None:
    """Each of them once, with the policy that governed it; and none of a class that is not asked for."""
    wanted = {r.decision_id for r in decisions(sent) if "phi.record" in (r.data_classes or ())}
    rows = dicts(ask(rig, "R5"))
    assert {r["decision_id"] for r in rows} == wanted
    assert len(rows) == len(wanted)
    assert {r["policy_sha256"] for r in rows} == {"cd" * 32}


def test_r6_finds_a_value_by_its_fingerprint_and_nobody_elses(rig: Rig, sent: list[Record]) -> None:
    """The requests that hold the value; without a fingerprint there is no such question."""
    wanted = {r.decision_id for r in decisions(sent) if r.data_classes}
    assert {r["decision_id"] for r in dicts(ask(rig, "R6", fingerprints=("ab" * 16,)))} == wanted
    assert dicts(ask(rig, "R6", fingerprints=("00" * 16,))) == []
    with pytest.raises(BadQuestion, match="R6 needs fingerprints"):
        ask(rig, "R6")


def test_r8_sees_a_number_that_is_not_there(rig: Rig, sent: list[Record]) -> None:
    """Complete as it is; a record that was left out is missing on its day."""
    assert sum(r["missing"] for r in dicts(ask(rig, "R8"))) >= 0
    rig.put(
        [decision(ts_received=ago(days=40), decision_id=f"00000000-0000-0000-0001-{n:012d}") for n in range(3)], "x"
    )
    rig.lose("x")
    rig.put([decision(ts_received=ago(days=40))], "x")
    (row,) = [r for r in dicts(ask(rig, "R8", since=NOW - timedelta(days=60))) if r["stream"] == "x"]
    assert (row["missing"], row["rows"], row["decisions_without_outcome"]) == (1, 4, 4)


def test_r11_and_r12_know_agents_tools_and_keys(rig: Rig, sent: list[Record]) -> None:
    """What was declared and called, by agent; which key was used by how many."""
    tools = {(r["agent"], r["tool"]): r for r in dicts(ask(rig, "R11"))}
    assert tools["cline", "bash"]["declared"] == tools["cline", "read_file"]["declared"] == 30
    assert tools["cline", "bash"]["called"] == 30
    assert tools["cline", "bash"]["side_effect"] == "acts"
    assert tools["cline", "read_file"]["side_effect"] == "unknown"
    keys: Counter[str | None] = Counter(r.key_fp for r in decisions(sent))
    got: Counter[str | None] = Counter()
    for row in dicts(ask(rig, "R12")):
        got[row["key"]] += row["requests"]
        assert row["organisations"] == ["org-ours"]
    assert got == keys


def test_r13_measures_against_the_usual(rig: Rig, sent: list[Record]) -> None:
    """Blocks of the last hour, and how far above the thirty days before: five in 720 hours are the usual."""
    (row,) = dicts(ask(rig, "R13", since=NOW - timedelta(hours=2)))
    assert (row["blocks"], row["subject"]) == (1, "s0")
    mean = row["usual_per_hour"]
    assert mean == pytest.approx(5 / 720, abs=1e-4)
    assert row["subject_per_hour"] == 0.5
    assert row["z"] > 3


def test_r14_and_the_head_say_what_was_not_read(rig: Rig, sent: list[Record]) -> None:
    """The share that was not wholly inspected stands above every report, with its reason."""
    answered = ask(rig, "R14")
    assert sum(r["requests"] for r in dicts(answered) if r["reason"] == "image") == 4
    assert answered.coverage.uninspected == 4
    assert "4 of 60 requests" in dict(answered.head())["coverage"]
    assert "image 4" in dict(answered.head())["coverage"]


def test_r15_needs_somebody_to_follow(rig: Rig, sent: list[Record]) -> None:
    """One conversation in its order; without a restriction, nothing."""
    rows = dicts(ask(rig, "R15", sessions=("c1",)))
    assert len(rows) == 20
    assert [r["time"] for r in rows] == sorted(r["time"] for r in rows)
    assert dicts(ask(rig, "R15")) == []


def test_a_filter_that_a_report_does_not_take_is_an_error(rig: Rig) -> None:
    """A restriction that would be passed over would make a number mean something else."""
    with pytest.raises(BadQuestion, match="R2 cannot be restricted by keys"):
        ask(rig, "R2", keys=("a",))


class _Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags[tag] += 1


@pytest.fixture(scope="module")
def hostile(rig: Rig, sent: list[Record]) -> Answered:
    """A report whose cells a client chose."""
    at = ago(days=100)
    more = {"model_requested": HOSTILE, "agent_id": HOSTILE, "role": HOSTILE, "ts_received": at}
    rig.put(ended(decision(**more, matches=(found("phi.record"),), data_classes=("phi.record",))))
    return ask(rig, "R9", since=NOW - timedelta(days=101), until=NOW - timedelta(days=99))


def test_html_holds_no_script_and_fetches_nothing(hostile: Answered) -> None:
    """A text of a client's choosing stays text; the page has no script, no link and no image."""
    page = rendering.as_html(hostile)
    tags = _Tags()
    tags.feed(page)
    assert not tags.tags.keys() & {"script", "link", "img", "iframe", "a", "form"}
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "http" not in page.replace("http-equiv", "")
    assert "\u202e" not in page


def test_csv_holds_no_formula_in_its_head_either(hostile: Answered) -> None:
    """A filter whose value is a formula stands in the head, where a spreadsheet divides a line at commas and
    semicolons; blanks before a formula and names of a map hide none."""
    evil = replace(hostile, filters={"agents": ("a", "=cmd()", "b;@SUM(1)")})
    head = [line for line in rendering.as_csv(evil).split("\r\n") if line.startswith("# scope")]
    assert re.search(r"[,;]\s*[=+@-]", head[0]) is None
    assert "'=cmd()" in head[0]
    assert rendering.harmless("\t =cmd()", False).startswith("'")
    assert "\x1b" not in rendering.shown({"a\x1b[31m": "b"})


@pytest.mark.parametrize(
    ("since", "until"),
    [("99999w", "1000-01-01"), ("0001-01-01T00:00:00+14:00", None), ("1d", "9999-12-31T23:59:59-10:00"),
     ("0900-01-01", None), ("1d", "2300-01-01")],
)  # fmt: skip
def test_a_span_beyond_calendars_is_told(since: str, until: str | None) -> None:
    """Times that no record can have are a mistake in words, not an error, and not a chart of a thousand years."""
    with pytest.raises(BadQuestion):
        question.span(since, until, "7d", datetime(2026, 11, 24, tzinfo=UTC))


def test_csv_holds_no_formula(hostile: Answered) -> None:
    """No cell begins as a spreadsheet's formula does, and numbers stay numbers."""
    lines = [line for line in rendering.as_csv(hostile).splitlines() if not line.startswith("# ")]
    rows = list(csv.reader(io.StringIO("\n".join(lines))))
    assert rows[0] == list(hostile.table.columns)
    assert rows[1][0].startswith("'=cmd")
    assert rows[1][3] == "1"


def test_markdown_keeps_a_cell_in_its_cell(hostile: Answered) -> None:
    """A bar or a line break of a client's choosing makes no column and no markup."""
    row = rendering.as_markdown(hostile).splitlines()[-1]
    assert row.replace("\\|", "").count("|") == len(hostile.table.columns) + 1
    assert "<script>" not in row


def test_json_says_all_that_the_head_says(hostile: Answered) -> None:
    """A program gets the query, its digest, the span and the coverage with the rows."""
    said = json.loads(rendering.as_json(hostile))
    assert question.digest(said["sql"]) == said["sha256"]
    assert said["coverage"]["requests"] == 1
    assert said["rows"][0]["model"] == HOSTILE


def test_spans_are_whole_minutes_and_end_where_they_say() -> None:
    """`90d` counts back from the end; a span that is empty or no time at all is an error."""
    now = datetime(2026, 11, 24, 12, 34, 56, tzinfo=UTC)
    since, until = question.span("90d", None, "30d", now)
    assert until == datetime(2026, 11, 24, 12, 34, tzinfo=UTC)
    assert until - since == timedelta(days=90)
    assert question.span("2026-11-01", "2026-11-02T00:00+01:00", "30d", now)[1].hour == 23
    for since_said, until_said in (("2026-11-02", "2026-11-01"), ("soon", None), ("0d", None)):
        with pytest.raises(BadQuestion):
            question.span(since_said, until_said, "30d", now)


def test_parameters_are_literals_and_nothing_else() -> None:
    """A value that closes the quote stays a value; a parameter that nothing fills is an error."""
    sql = question.filled("SELECT {keys}, {since}", {"keys": ["a', 'b\\"], "since": NOW})
    assert sql == "SELECT ['a\\', \\'b\\\\'], toDateTime64('2026-11-20 12:00:00.000000', 6, 'UTC')"
    with pytest.raises(BadQuestion):
        question.filled("SELECT {until}", {})
