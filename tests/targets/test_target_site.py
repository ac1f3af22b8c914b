"""A site's own file over the shipped table."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from sluice import targets
from sluice.errors import Misconfigured
from sluice.model import Mode, Status
from sluice.targets import Table
from sluice.targets.columns import end_of_day

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "signatures" / "targets.toml"
SITE = ROOT / "tests" / "config" / "good" / "targets-site.toml"


@pytest.fixture(scope="module")
def table() -> Table:
    return targets.load(SHIPPED, SITE)


def status(table: Table, host: str, path: str = "/") -> Status | None:
    target = table.match(host, 443, path)
    return target.status if target else None


def test_a_provider_is_judged_as_a_whole(table: Table) -> None:
    """A provider's status holds for each of its rows, and for no other provider's."""
    assert status(table, "api.openai.com") is Status.SANCTIONED
    assert status(table, "sora.com") is Status.SANCTIONED
    assert status(table, "chat.deepseek.com") is Status.PROHIBITED
    assert status(table, "api.anthropic.com") is Status.UNREVIEWED


def test_a_rows_own_status_outranks_its_providers(table: Table) -> None:
    """ChatGPT is only tolerated although OpenAI is sanctioned; the Codex row beside it keeps the provider's."""
    assert status(table, "chatgpt.com") is Status.TOLERATED
    assert status(table, "chatgpt.com", "/backend-api/codex/responses") is Status.SANCTIONED


def test_a_row_is_changed_by_its_host(table: Table) -> None:
    """An entry without id changes every row of its host."""
    assert status(table, "copilot.microsoft.com") is Status.PROHIBITED


def test_observing_ends(table: Table) -> None:
    """A row that observes carries the end of it, through the last day in UTC."""
    target = table.match("chat.mistral.ai.mistral.ai", 443)
    assert target is not None
    assert target.mode is Mode.OBSERVE
    assert target.observe_until == 1_801_440_000_000_000_000  # 2027-02-01T00:00:00Z


def test_new_destinations(table: Table) -> None:
    """A site adds hosts, suffixes, paths and addresses with a port, with what it says of them."""
    own = table.match("a.llm.example.org", 443, "/v1/chat/completions")
    assert own is not None
    assert (own.provider, own.product, own.kind, own.dialect) == ("house", "house", "gateway", "openai")
    assert (own.status, own.row) == (Status.SANCTIONED, "site-llm-example-org")
    inside = table.match("intranet.example.org", 443, "/api/v2/chat/9")
    assert inside is not None
    assert inside.product == "house-assistant"
    assert table.match("intranet.example.org", 443, "/news") is None
    assert table.decrypts("intranet.example.org")
    local = table.match("10.0.0.7", 11434)
    assert local is not None
    assert local.provider == "ollama"
    assert table.match("10.0.0.7", 443) is None
    assert {"house", "openai"} <= table.providers


def test_a_host_below_a_row_inherits_it(table: Table) -> None:
    """A new host needs no more than what differs from the row that covered it."""
    target = table.match("labs.openai.com", 443)
    assert target is not None
    assert (target.provider, target.kind, target.mode, target.status) == (
        "openai",
        "web",
        Mode.PASS,
        Status.SANCTIONED,
    )
    assert not table.decrypts("labs.openai.com")


def test_a_prohibited_row_is_opened_to_be_refused(tmp_path: Path) -> None:
    """A tunnel cannot carry a readable refusal, so `pass` does not hold for what is prohibited."""
    site = tmp_path / "site.toml"
    site.write_text('[[target]]\nid = "openai-auth"\nstatus = "prohibited"\n')
    table = targets.load(SHIPPED, site)
    assert table.decrypts("auth.openai.com")
    assert "auth.openai.com" in table.hosts()


def test_the_digest_names_the_table(tmp_path: Path) -> None:
    """Comments and order change nothing; a status does."""
    site = tmp_path / "site.toml"
    site.write_text(
        '# one\n[[target]]\nid = "openai-api"\nstatus = "tolerated"\n[[target]]\nid = "xai-any"\nmode = "pass"\n'
    )
    first = targets.load(SHIPPED, site).digest
    site.write_text(
        '[[target]]\nid = "xai-any"\nmode = "pass"\n[[target]]\nid = "openai-api"\nstatus = "tolerated"\n# two\n'
    )
    assert targets.load(SHIPPED, site).digest == first
    site.write_text('[[target]]\nid = "xai-any"\nmode = "pass"\n')
    assert targets.load(SHIPPED, site).digest != first
    assert targets.load(SHIPPED).digest == targets.load(SHIPPED).digest


def test_faults_of_both_files_are_told_at_once(tmp_path: Path) -> None:
    """One run shows what is wrong in either file."""
    shipped, site = tmp_path / "shipped.toml", tmp_path / "site.toml"
    shipped.write_text('target = [\n  { id = "a", host = "a.example", provider = "p", kind = "robot" },\n]\n')
    site.write_text('[provider]\nq = "sanctioned"\n')
    with pytest.raises(Misconfigured) as caught:
        targets.load(shipped, site)
    assert [(Path(p.file).name, p.line) for p in caught.value.problems] == [("shipped.toml", 2), ("site.toml", 2)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ('{ host = "a.example", provider = "p", kind = "api" }', "needs `id`"),
        ('{ id = "a", host = "a.example", kind = "api" }', "needs `provider`"),
        (
            '{ id = "a", host = "a.example", provider = "p", kind = "api" },'
            '{ id = "a", host = "b.example", provider = "p", kind = "api" }',
            "`a` is taken",
        ),
        (
            '{ id = "a", host = "a.example", provider = "p", kind = "api" },'
            '{ id = "b", host = "A.example.", provider = "p", kind = "api" }',
            "both describe `a.example`",
        ),
        ('{ id = "a", host = "/(/", provider = "p", kind = "api" }', "not a regular expression"),
    ],
)
def test_the_shipped_file_is_held_to_more(tmp_path: Path, rows: str, message: str) -> None:
    """Every shipped row has an id, a provider and a kind, and no two describe one place."""
    shipped = tmp_path / "shipped.toml"
    shipped.write_text(f"target = [{rows}]\n")
    with pytest.raises(Misconfigured, match=message):
        targets.load(shipped)


def test_end_of_day_has_no_end() -> None:
    """The last day that a date can name is no overflow."""

    assert end_of_day(dt.date(1970, 1, 1)) == 86_400_000_000_000
    assert end_of_day(dt.date.max) > end_of_day(dt.date(2027, 1, 1))
