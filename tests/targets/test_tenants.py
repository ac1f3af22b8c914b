"""Tenant headers: which destinations get them, and what is refused before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from mitmproxy.test import tflow

from addons import flows
from sluice import config
from sluice.config import TenantHeader
from sluice.errors import Misconfigured
from sluice.model import Bound
from sluice.targets import tenants
from sluice.targets.table import Row

ROWS = (
    Row("anthropic-api", "api.anthropic.com", "anthropic", "anthropic-api", "api"),
    Row("claude", "claude.ai", "anthropic", "claude", "assistant"),
    Row("openai-api", "api.openai.com", "openai", "openai-api", "api"),
)
ORGS = TenantHeader("anthropic", "Anthropic-Allowed-Org-Ids", "a,b")
WEB = TenantHeader("anthropic", "x-web", "1", ("claude",))


def test_each_row_gets_its_providers_headers() -> None:
    """All rows of the provider, or those of the products; no row of another provider."""
    found = tenants.by_row([ORGS, WEB], ROWS, "sluice.toml")
    assert set(found) == {"anthropic-api", "claude"}
    assert found["anthropic-api"].fields == ((b"anthropic-allowed-org-ids", b"a,b"),)
    assert found["claude"].names == "anthropic-allowed-org-ids, x-web"


@pytest.mark.parametrize("header", [TenantHeader("antropic", "x", "1"), TenantHeader("openai", "x", "1", ("chatgtp",))])
def test_a_header_that_nothing_gets_is_an_error(header: TenantHeader) -> None:
    """A misspelt provider or product would bind nothing."""
    with pytest.raises(Misconfigured, match=header.provider):
        tenants.by_row([ORGS, header], ROWS, "sluice.toml")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("header", "Authorization"),
        ("header", "host"),
        ("header", "x y"),
        ("header", "x\\r\\ny"),
        ("header", ""),
        ("value", ""),
        ("value", "a\\r\\nx-other: 1"),
        ("value", " a"),
        ("value", "\u00e9"),
    ],
)
def test_what_would_be_another_request_is_refused(tmp_path: Path, field: str, value: str) -> None:
    """No line break gets into a head, and no header that says what a request is or who sends it is replaced."""
    fields = {"provider": "openai", "header": "x-tenant", "value": "1"} | {field: value}
    file = tmp_path / "sluice.toml"
    lines = "".join(f'{name} = "{text}"\n' for name, text in fields.items())
    file.write_text(f"[[upstream.tenant]]\n{lines}", "utf-8")
    with pytest.raises(Misconfigured, match=rf"upstream\.tenant\[0\]\.{field}"):
        config.load(file, {})


def test_a_clients_own_copies_go() -> None:
    """However they are written and however many there are; everything else stays as it was, in its order."""
    flow = tflow.tflow()
    flow.request.headers.fields = ((b"a", b"1"), (b"X-Tenant", b"mine"), (b"b", b"2"), (b"x-tenant", b"again"))
    flows.bind(flow, Bound("x-tenant", ((b"x-tenant", b"ours"),), frozenset({b"x-tenant"})))
    assert flow.request.headers.fields == ((b"a", b"1"), (b"b", b"2"), (b"x-tenant", b"ours"))
    flows.bind(flow, None)
    assert flow.request.headers.fields == ((b"a", b"1"), (b"b", b"2"), (b"x-tenant", b"ours"))
