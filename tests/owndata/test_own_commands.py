"""The commands, from a table, documents and an environment file to a decision of the gate."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOKEN = "zq8H_2kLm-99xPw"
CANARY = "Kq7-canary-0001"
SETTINGS = """
[[own.edm]]
file = "var/edm/customers.edm"
name = "customers"

[[own.secrets]]
file = "var/secrets/prod.secrets"

[[own.documents]]
file = "var/documents/contracts.docs"

[[own.canaries]]
file = "canaries.txt"

[[own.dictionary]]
file = "projects.txt"
name = "projects"

[paths]
packs = ["packs"]
"""
PACK = """family = "house"

[[detector]]
id = "house.order"
rev = 1
title = "Order number"
why = "Orders are confidential."
pattern = '''\\b(HO-[0-9]{8})\\b'''
severity = "medium"
class = "pii.account"
regulations = []
references = ["https://example.com/orders"]
match = ["order HO-12345678", "HO-87654321."]
reject = ["HO-123", "XHO-12345678"]
"""


def run(base: Path, *arguments: str, stdin: str = "", code: int = 0) -> tuple[str, str]:
    """A command in a directory with settings of its own; its output and what it said."""
    environ = os.environ | {"SLUICE_CONFIG": str(base / "sluice.toml"), "SLUICE_TRACEBACK": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "sluice.cli", *arguments], cwd=base, env=environ, input=stdin, capture_output=True,
        text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with everything built by the commands."""
    base = tmp_path_factory.mktemp("site")
    (base / "sluice.toml").write_text("")
    (base / "customers.csv").write_text("name,account,email\nJane Doe,4711081522,jane@example.com\nshort\n")
    (base / ".env").write_text(f"DEBUG=true\nTOKEN={TOKEN}\n")
    (base / "contract.txt").write_text(" ".join(f"clause{i % 31} party{i % 17} number{i}" for i in range(100)))
    (base / "canaries.txt").write_text(CANARY + "\n")
    (base / "canaries.txt").chmod(0o600)
    (base / "projects.txt").write_text("Project Bluebird\n")
    (base / "packs").mkdir()
    (base / "packs" / "house.toml").write_text(PACK)
    out, said = run(
        base, "edm", "build", "customers.csv", "--columns", "name,account,email", "--key-columns", "account,email",
        "--out", "var/edm/customers.edm", "--json",
    )  # fmt: skip
    assert json.loads(out)["rows"] == 1
    assert "customers.csv:3: 1 fields instead of 3" in said
    out, said = run(base, "known-secrets", "build", ".env", "--out", "var/secrets/prod.secrets")
    assert out == "1 values indexed, 1 left out\n"
    assert "left out: DEBUG: shorter than 8 characters" in said
    assert TOKEN not in out + said
    run(base, "docs", "add", "contract.txt", "--class", "own.contract", "--out", "var/documents/contracts.docs")
    (base / "sluice.toml").write_text(SETTINGS)
    return base


TEXT = f"Jane Doe, 4711 0815 22; {TOKEN}; x{CANARY}y; project bluebird; HO-12345678\n" + " ".join(
    f"clause{i % 31} party{i % 17} number{i}" for i in range(40)
)
CLASSES = {"own.customers", "secret.known", "canary.token", "own.projects", "own.contract", "pii.account"}


def test_scan_uses_the_sites_data(site: Path) -> None:
    """`sluice scan` finds each kind, and prints no value."""
    (site / "prompt.txt").write_text(TEXT)
    out, said = run(site, "scan", "--json", "prompt.txt", code=1)
    assert {f for f in CLASSES if f'"{f}"' in out} == CLASSES
    assert not any(value in out + said for value in (TOKEN, CANARY, "4711"))


@pytest.mark.parametrize(("text", "rule"), [(TOKEN, "secrets"), (CANARY, "canary-tokens"), ("project bluebird", None)])
def test_explain_decides_by_it(site: Path, text: str, rule: str | None) -> None:
    """Secrets in use and canaries are blocked by the shipped policy; other data of the site is recorded."""
    body = {"model": "gpt-5", "messages": [{"role": "user", "content": f"see {text} here"}]}
    request = {"method": "POST", "host": "api.openai.com", "path": "/v1/chat/completions", "body": body}
    request["headers"] = {"content-type": "application/json"}
    out, _ = run(site, "explain", "--json", "-", stdin=json.dumps(request))
    seen = json.loads(out)
    assert seen["findings"]
    assert text not in out
    decision = seen["decision"]
    assert (decision["action"], decision["rule"]) == (("block", rule) if rule else ("allow", decision["rule"]))


def test_a_policy_may_name_the_sites_classes(site: Path) -> None:
    """A class that the site's data has is known to the policy's check; one that it has not is a mistake."""
    rule = '\n[[rule]]\nid = "ours"\nwhen = {{ class = "{}" }}\naction = "block"\n'
    start = 'id = "p"\nversion = "1"\ndefault = "allow"\n'
    for name, code in (("own.customers", 0), ("own.contract", 0), ("own.nothing", 2)):
        (site / "policy.toml").write_text(start + rule.format(name))
        (site / "own.toml").write_text(SETTINGS + 'policy = "policy.toml"\n')
        _, said = run(site, "check", "--config", "own.toml", code=code)
        assert ("own.nothing" in said) == (code == 2)


def test_check_refuses_a_damaged_index(site: Path, tmp_path: Path) -> None:
    """One changed byte: `sluice check`, `edm check` and `scan` say which file and what to do, and do not go on."""
    good = (site / "var/edm/customers.edm").read_bytes()
    run(site, "edm", "check", "var/edm/customers.edm")
    try:
        (site / "var/edm/customers.edm").write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        for command in (("check",), ("edm", "check", "var/edm/customers.edm"), ("scan", "prompt.txt")):
            _, said = run(site, *command, code=2)
            assert "customers.edm: does not match its seal" in said
    finally:
        (site / "var/edm/customers.edm").write_bytes(good)


def test_what_an_index_says_of_itself(site: Path) -> None:
    """Counts, columns, key and odds, and no value."""
    out, _ = run(site, "edm", "stats", "--json", "var/edm/customers.edm")
    stats = json.loads(out)
    assert (stats["rows"], stats["key"]) == (1, "k1")
    assert stats["columns"] == ["name: name", "account: digits (key)", "email: email (key)"]
    out, _ = run(site, "docs", "list", "--json", "var/documents/contracts.docs")
    (document,) = json.loads(out)["documents"]
    assert (document["name"], document["data_class"], document["words"]) == ("contract", "own.contract", 300)
    out, _ = run(site, "known-secrets", "check", "--json", "var/secrets/prod.secrets")
    assert json.loads(out)["values"] == 1


def test_the_rulebook_changes_with_the_sites_data(site: Path) -> None:
    """Another entry is another rulebook: a decision names the data that it was made with."""

    def digest() -> str:
        return str(json.loads(run(site, "check", "--json")[0])["digest"])

    before = digest()
    assert digest() == before
    (site / "projects.txt").write_text("Project Bluebird\nProject Redstart\n")
    assert digest() != before
    (site / "projects.txt").write_text("Project Bluebird\n")
    assert digest() == before
