"""The shipped table: every row is sound and reached, the most specific one wins, no spelling of a path escapes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice import targets
from sluice.model import Mode, Status
from sluice.targets import Row, Table
from sluice.targets.columns import BASES
from sluice.targets.table import clean_path, path_pattern

FILE = Path(__file__).parents[2] / "signatures" / "targets.toml"
TABLE = targets.load(FILE)
ROWS = {row.id: row for row in TABLE.rows}


def examples(row: Row) -> list[str]:
    """Hosts that the row's pattern describes."""
    if row.example:
        return [row.example]
    if row.host.startswith("."):
        return [row.host[1:], f"any{row.host}", f"one.other{row.host}"]
    return [re.sub(r"\*", "eu-west-1", row.host)]


def paths(row: Row) -> list[str]:
    return [p.replace("**", "a/b").replace("*", "x") for p in row.paths] or ["/some/other/path"]


@pytest.mark.parametrize("row", TABLE.rows, ids=lambda row: row.id)
def test_every_row_is_reached(row: Row) -> None:
    """No row stands in the shadow of another: some host and path lead to it, each of its paths does."""
    port = row.port or 443
    for path in paths(row):
        reached = {t.row for host in examples(row) if (t := TABLE.match(host, port, path))}
        assert row.id in reached
    assert row.basis in BASES


def test_the_table_covers_what_is_known() -> None:
    """At least 763 hosts of at least 400 providers, among them the ones that matter most, each with its dialect."""
    assert len({(row.host, row.port) for row in TABLE.rows}) >= 763
    assert len(TABLE.providers) >= 400
    for host, path, row, dialect in (
        ("api.openai.com", "/v1/chat/completions", "openai-api", "openai"),
        ("eu.api.openai.com", "/v1/responses", "openai-api-eu", "openai"),
        ("chatgpt.com", "/backend-api/f/conversation", "openai-chatgpt", "opaque"),
        ("chatgpt.com", "/backend-api/codex/responses", "openai-chatgpt-codex", "openai"),
        ("api.anthropic.com", "/v1/messages", "anthropic-api", "anthropic"),
        ("claude.ai", "/api/organizations/o/chat_conversations/c/completion", "anthropic-claude", "opaque"),
        ("generativelanguage.googleapis.com", "/v1beta/models/m:generateContent", "google-gemini-api", "google"),
        ("cloudcode-pa.googleapis.com", "/v1internal:generateContent", "google-cloudcode", "google"),
        ("europe-west4-aiplatform.googleapis.com", "/v1/projects/p/x", "google-vertex-region", "google"),
        (
            "aiplatform.googleapis.com",
            "/v1/publishers/anthropic/models/m:rawPredict",
            "google-vertex-claude",
            "anthropic",
        ),
        ("res.openai.azure.com", "/openai/deployments/d/chat/completions", "azure-openai", "openai"),
        ("r.services.ai.azure.com", "/anthropic/v1/messages", "azure-foundry-services-claude", "anthropic"),
        ("api.githubcopilot.com", "/chat/completions", "github-copilot-api", "openai"),
        ("bedrock-runtime.us-east-1.amazonaws.com", "/model/m/invoke", "aws-bedrock", "opaque"),
        ("openrouter.ai", "/api/v1/messages", "openrouter-messages", "anthropic"),
        ("openrouter.ai", "/api/v1/chat/completions", "openrouter", "openai"),
        ("api.deepseek.com", "/anthropic/v1/messages", "deepseek-api-messages", "anthropic"),
        ("api.mistral.ai", "/v1/fim/completions", "mistral-api", "openai"),
        ("api.cohere.com", "/v2/chat", "cohere-api", "opaque"),
        ("gateway.ai.cloudflare.com", "/v1/acc/gw/anthropic/v1/messages", "cloudflare-gateway-anthropic", "anthropic"),
    ):
        target = TABLE.match(host, 443, path)
        assert target is not None, host
        assert (target.row, target.dialect, target.mode) == (row, dialect, Mode.ENFORCE)
        assert TABLE.decrypts(host)


def test_nothing_is_judged_for_the_site() -> None:
    """Every shipped status is `unreviewed`: which provider is good is the site's own affair. The gate is no
    provider."""
    assert {row.status for row in TABLE.rows if row.provider != "sluice"} == {Status.UNREVIEWED}
    assert all(row.host.endswith(".sluice.internal") for row in TABLE.rows if row.provider == "sluice")


def test_ids_in_the_file_are_unique_and_sorted_by_provider() -> None:
    """The file reads as a list by provider."""
    rows = tomllib.loads(FILE.read_text("utf-8"))["target"]
    providers = [row["provider"] for row in rows]
    assert providers == sorted(providers)
    assert len({row["id"] for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("host", "row"),
    [
        ("auth.openai.com", "openai-auth"),
        ("something.else.openai.com", "openai-any"),
        ("openai.com", "openai-any"),
        ("individual.githubcopilot.com", "github-copilot-individual-any"),
        ("x.githubcopilot.com", "github-copilot-any"),
        ("a.openai.azure.com", "azure-openai"),
        ("a.b.openai.azure.com", "azure-openai-any"),
        ("mcp.notion.com", "notion-mcp"),
        ("mcp.house.example", "mcp-any"),
        ("models.inference.ai.azure.com", "github-models-azure"),
        ("x.inference.ai.azure.com", "azure-foundry-inference-any"),
    ],
)
def test_the_most_specific_row_wins(host: str, row: str) -> None:
    """Name before pattern before suffix before expression, and the longer host before the shorter."""
    target = TABLE.match(host, 443)
    assert target is not None
    assert target.row == row


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "notopenai.com",
        "api.openai.com.evil.example",
        "openai.com.example",
        "xapi.openai.co",
        "bedrock-runtime.a.b.amazonaws.com",
        "bedrock-runtime.amazonaws.com",
        "10.0.0.1",
        "2001:db8::1",
        "com",
    ],
)
def test_what_only_looks_like_ai_is_not_decrypted(host: str) -> None:
    """A host that merely contains a known name is none of ours."""
    assert TABLE.match(host, 443) is None
    assert not TABLE.decrypts(host)


@pytest.mark.parametrize("host", ["API.OPENAI.COM", "api.openai.com.", "\uff41pi.openai.com"])
def test_a_host_is_found_in_every_spelling(host: str) -> None:
    """The table normalises what it is asked for: a caller that forgot does not open the gate."""
    target = TABLE.match(host, 443)
    assert target is not None
    assert target.host == "api.openai.com"


@pytest.mark.parametrize("host", ["", "a b", "fe80::1%eth0", "a..b"])
def test_a_host_that_is_none_is_an_error_not_a_bypass(host: str) -> None:
    """None would mean `not AI`, which is passed on; so nonsense raises."""
    with pytest.raises(ValueError, match=r"host|address"):
        TABLE.match(host, 443)
    with pytest.raises(ValueError, match=r"host|address"):
        TABLE.decrypts(host)


SHARED = [
    ("github.com", "/copilot", "/torvalds/linux"),
    ("graph.microsoft.com", "/v1.0/copilot/conversations", "/v1.0/me/messages"),
    ("api.cloudflare.com", "/client/v4/accounts/a1/ai/run/@cf/m", "/client/v4/accounts/a1/workers/scripts"),
    ("slack.com", "/api/ai.summarize", "/api/chat.postMessage"),
    ("x.snowflakecomputing.com", "/api/v2/cortex/inference:complete", "/api/v2/statements"),
    ("www.bing.com", "/turing/conversation/create", "/search"),
]


@pytest.mark.parametrize(("host", "inside", "outside"), SHARED)
def test_a_shared_host_is_ai_below_its_paths_only(host: str, inside: str, outside: str) -> None:
    """The rest of a shared host is decrypted, since the path cannot be known before, and is no AI destination."""
    assert TABLE.decrypts(host)
    assert TABLE.match(host, 443, inside) is not None
    assert TABLE.match(host, 443, outside) is None
    assert TABLE.match(host, 443, "/") is None


@pytest.mark.parametrize(
    "path",
    [
        "/copilot",
        "/copilot/",
        "/copilot/c/1",
        "/COPILOT/c/1",
        "//copilot",
        "/./copilot",
        "/x/../copilot",
        "/x/%2e%2e/copilot",
        "/%63opilot",
        "/%2563opilot",
        "/x/..%2fcopilot",
        "/copilot;v=1/c",
        "\\copilot",
        "/%5ccopilot",
        "copilot",
    ],
)
def test_no_spelling_of_a_path_escapes(path: str) -> None:
    """Every spelling that some server reads as `/copilot` is found."""
    target = TABLE.match("github.com", 443, path)
    assert target is not None
    assert target.row == "github-copilot-web"


@pytest.mark.parametrize("path", ["/copilots", "/copilot-docs/x", "/a/copilot", "/copilot%2", "/copilotx/"])
def test_a_path_ends_at_a_slash(path: str) -> None:
    """`/copilot` is not the beginning of another name."""
    assert TABLE.match("github.com", 443, path) is None


SEGMENTS = st.lists(st.sampled_from(["copilot", "..", ".", "", "x", "%2e%2e", "%2F", "a;b"]), max_size=8)


@given(st.one_of(st.text(max_size=60), SEGMENTS.map(lambda s: "/" + "/".join(s))))
def test_a_clean_path_is_clean(path: str) -> None:
    """Cleaning ends in one form: it begins with one slash and holds no dot segments, doubles or capitals of ASCII."""
    clean = clean_path(path)
    assert clean.startswith("/")
    assert "//" not in clean
    assert not {".", ".."} & set(clean.split("/"))
    assert not any("A" <= c <= "Z" for c in clean)


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/v1", "/v1", True),
        ("/v1", "/v1/x", True),
        ("/v1", "/v10", False),
        ("/v1/", "/v1", False),
        ("/v1/", "/v1/x", True),
        ("/a/*/b", "/a/x/b/c", True),
        ("/a/*/b", "/a/x/y/b", False),
        ("/**/b/", "/a/x/b/c", True),
        ("/**/b/", "/a/x/b", False),
        ("/api/ai.*", "/api/ai.do/x", True),
        ("/api/ai.*", "/api/aixdo", False),
    ],
)
def test_path_patterns(pattern: str, path: str, fits: bool) -> None:
    """A path column is a prefix of whole segments, with stars for parts of it."""
    assert (re.compile(path_pattern(pattern)).match(path) is not None) is fits


def test_tunnelled_rows_are_matches_that_say_so() -> None:
    """A row of mode pass is not opened, and who asks what it is learns its provider and mode."""
    target = TABLE.match("auth.openai.com", 443)
    assert target is not None
    assert (target.provider, target.mode) == ("openai", Mode.PASS)
    assert not TABLE.decrypts("auth.openai.com")


def test_ports_belong_to_local_runtimes() -> None:
    """A row with a port is that port only; a row without one is every port."""
    assert TABLE.match("localhost", 11434) is not None
    assert TABLE.match("localhost", 443) is None
    assert not TABLE.decrypts("localhost", 443)
    other = TABLE.match("api.openai.com", 8443)
    assert other is not None
    assert other.row == "openai-api"


def test_hosts_are_those_that_come_through_the_gate() -> None:
    """The list for a PAC file names what is inspected, and not what is tunnelled."""
    assert "api.openai.com" in TABLE.hosts()
    assert ".githubcopilot.com" in TABLE.hosts()
    assert "auth.openai.com" not in TABLE.hosts()


def test_many_hosts_do_not_fill_the_memory() -> None:
    """What is remembered of hosts is bounded: a client cannot make the table grow."""
    table = Table(TABLE.rows, "")
    for n in range(10_000):
        table.decrypts(f"h{n}.example")
    assert table._candidates.cache_info().currsize <= 8192
