"""`sluice inventory`, `graph` and `register` over a company whose traffic went through the real gate."""

from __future__ import annotations

import csv
import io
import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sluice import cli
from sluice.posture import graph, inventory
from sluice.posture.graph import Edge
from sluice.register import files, proposals
from sluice.ship.answers import Answers
from sluice.ship.query import bind
from tests.inventory.company import CORPORATE, HOSTILE, SAID, Company

type Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def config(company: Company) -> Iterator[Path]:
    """A settings file; the store answers on the socket, as that of a running appliance."""
    directory = company.settings.paths.var.parent
    file = directory / "sluice.toml"
    names = {"address_map": "addresses.csv", "people": "people.csv"}
    file.write_text(
        f'[paths]\nvar = "{directory}/var"\nregisters = "{directory}/registers"\n'
        '[identity]\norganisations = ["org-acme"]\n'
        + "".join(f'{key} = "{directory}/{name}"\n' for key, name in names.items())
    )
    answers = Answers(bind(company.settings.run_dir), company.store.select)
    answers.start()
    yield file
    answers.close(3.0)


@pytest.fixture
def sluice(config: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command; exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli._run([*arguments, "--config", str(config)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_the_overview_counts_every_kind(sluice: Run) -> None:
    """One line a kind; the numbers are those of the inventories."""
    code, out, _ = sluice("inventory", "--json")
    assert code == 0
    counts = json.loads(out)
    assert list(counts) == list(inventory.KINDS)
    assert counts["agent"] == {"declared": 1, "observed": 3, "both": 1}
    assert counts["mcp_server"] == {"declared": 1, "observed": 0, "both": 1}


def test_every_inventory_has_a_table_json_and_csv(sluice: Run) -> None:
    """For people the main columns, for programs all of them, the same rows; a plural is understood."""
    for kind in inventory.KINDS:
        code, out, _ = sluice("inventory", f"{kind}s", "--json")
        assert code == 0, kind
        listed = json.loads(out)
        code, out, _ = sluice("inventory", kind, "--csv")
        assert len(list(csv.DictReader(io.StringIO(out)))) == len(listed), kind
        code, _, _ = sluice("inventory", kind)
        assert code == 0, kind
    code, out, err = sluice("inventory", "agent")
    assert "sleeper" not in out
    assert "1 more is declared and not observed" in err
    assert "sleeper" in sluice("inventory", "agent", "--source", "declared")[1]


def test_what_is_asked_for_and_not_there_is_told(sluice: Run) -> None:
    """A kind, a source, two formats at once: exit code 2, and what there is."""
    for arguments in (("inventory", "wizard"), ("inventory", "agent", "--source", "x"), ("graph", "--format", "x")):
        code, _, err = sluice(*arguments)
        assert code == 2
        assert "agent" in err or "declared" in err or "mermaid" in err


def test_a_spreadsheet_gets_no_formula_and_a_terminal_no_escape(sluice: Run) -> None:
    """Names of clients' choosing reach people as text alone."""
    found = inventory.Table(("name", "n"), (False, True), (("=cmd|' /C calc'!A0", -1), ("\x1b[31m+1", 2)))
    from sluice.cli.inventory import _csv

    assert list(csv.reader(io.StringIO(_csv(found))))[1:] == [["'=cmd|' /C calc'!A0", "-1"], [" [31m+1", "2"]]
    _, out, _ = sluice("inventory", "tool")
    assert "\x1b" not in out
    assert "(withheld)" in out, "what is no name did not pass the gate"


def test_graph_formats_hold_hostile_names(sluice: Run) -> None:
    """JSON has them as they are; DOT and Mermaid as numbered entities in quoted labels, so that none ends a label."""
    code, out, _ = sluice("graph")
    assert code == 0
    found = json.loads(out)
    assert sum(e["requests"] for e in found["edges"] if e["to_kind"] == "provider") == len(SAID)
    assert any(n["id"] == "(withheld)" for n in found["nodes"])
    assert "<script>" not in out
    for form in ("dot", "mermaid"):
        code, out, _ = sluice("graph", "--format", form)
        assert code == 0
        assert not set("<>'`|;&") & set(out.replace("&#", "").replace(";", "").replace("->", "").replace("|", ""))
        assert out.count('"') % 2 == 0
    edge = Edge("tool", 'x"]; click n0 "javascript:alert(1)', "model", "m\n%%{init}%%", 1, 0, 0)
    assert graph.as_mermaid([edge]).count("\n") == 4
    assert '"]' not in graph.as_mermaid([edge]).replace('"]\n', "")
    assert "javascript:alert#40;1#41;" in graph.as_mermaid([edge])
    assert "style=dashed" in graph.as_dot([edge])


def test_the_graph_of_one_agent_and_class(sluice: Run) -> None:
    """Filters keep what belongs to them, and a rare edge can be left out."""
    found = json.loads(sluice("graph", "--agent", "claude-code")[1])
    assert {n["id"] for n in found["nodes"] if n["kind"] == "tool"} == {"Bash", "Read"}
    found = json.loads(sluice("graph", "--class", "financial.card")[1])
    assert {n["id"] for n in found["nodes"] if n["kind"] == "data_class"} == {"financial.card"}
    assert json.loads(sluice("graph", "--least", "1000")[1])["edges"] == []


def test_register_check(sluice: Run, company: Company) -> None:
    """Sound, with what has run out; a mistake is exit code 2 with its line."""
    code, out, err = sluice("register", "check")
    assert code == 0
    assert "sound:" in out
    assert "exception `e1`: expires 2026-01-31 has passed" in err
    broken = company.settings.paths.var.parent / "registers" / "broken.toml"
    broken.write_text("[[model]]\nid = 'x'\nprovider = 'openai'\nshutdwon = 2026-01-01\n")
    try:
        code, _, err = sluice("register", "check")
    finally:
        broken.unlink()
    assert code == 2
    assert "broken.toml:4: model: unknown key `shutdwon`; did you mean `shutdown`?" in err


def test_register_diff(sluice: Run) -> None:
    """Observed and not declared, declared here and never seen, and beyond what is declared; exit code 1."""
    code, out, _ = sluice("register", "diff", "--json")
    assert code == 1
    found = {(d["kind"], d["name"], d["what"]): d["detail"] for d in json.loads(out)}
    for wanted in (
        ("agent", "claude-code", "not declared"),
        ("agent", "sleeper", "not observed"),
        ("model", "anthropic claude-sonnet-5", "not declared"),
        ("model", "openai gpt-5-mini", "not approved"),
        ("provider", "openai", "unreviewed"),
        ("model", "openai gpt-9", "not observed"),
        ("provider", "mistral", "not observed"),
        ("agent_tool", "claude-code Bash", "not declared"),
        ("role", "developer", "beyond"),
    ):
        assert wanted in found, wanted
    assert found["agent", "invoice-bot", "beyond"] == "tools: send_email"
    assert ("agent_tool", "invoice-bot read_invoice", "not declared") not in found, "its agent may use it"
    assert not any(kind == "model" and name == "openai gpt-5" for kind, name, _ in found)
    assert not any("(withheld)" in name for _, name, _ in found), "nobody can declare a name that no record keeps"
    code, out, _ = sluice("register", "diff", "mcp_server")
    assert code == 1
    assert "idle" in out


def test_observed_rows_become_a_register(sluice: Run, tmp_path: Path) -> None:
    """What `import --observed` writes is a register that loads, without subjects and without what is no name."""
    out = tmp_path / "proposed.toml"
    kinds = [k for k in proposals.FIELDS if k != "key"]
    code, _, err = sluice("register", "import", *(x for k in kinds for x in ("--observed", k)), "--out", str(out))
    assert (code, "written to" in err) == (0, True)
    text = out.read_text("utf-8")
    assert all(line.startswith("# observed 20") for line in text.splitlines() if line.startswith("#"))
    parsed = tomllib.loads(text)
    assert {"claude-code"} <= {agent["id"] for agent in parsed["agent"]}
    assert "<script>" not in "".join(tool["id"] for tool in parsed["tool"])
    assert all("subjects" not in agent for agent in parsed["agent"])
    read = {e.kind for e in files.read(out)}
    assert {"agent", "agent_tool", "tool", "model", "application", "route"} <= read
    assert not {"role", "mcp_server"} & read, "those are declared"
    code, written, _ = sluice("register", "import", "--observed", "key")
    keys = tomllib.loads(written)["key"]
    assert {k.get("ownership") for k in keys} == {"corporate", "personal", None}
    assert CORPORATE[8:40] not in written


def test_a_table_becomes_a_register(sluice: Run, tmp_path: Path) -> None:
    """CSV in, TOML out, the same rows; a mistake is told with its line, and an existing file is not overwritten."""
    table = tmp_path / "our-models.csv"
    name = HOSTILE.replace('"', '""')
    table.write_text(f'id,provider,modality,approved,shutdown\n"{name}",openai,text;image,true,2027-01-31\n')
    code, out, _ = sluice("register", "import", str(table), "--kind", "model")
    assert code == 0
    (tmp_path / "models.toml").write_text(out)
    assert [e.row for e in files.read(tmp_path / "models.toml")] == [e.row for e in files.read(table, "model")]
    table.write_text("id,provider,approved\nx,openai,perhaps\n")
    code, _, err = sluice("register", "import", str(table), "--kind", "model")
    assert (code, "our-models.csv:2: model: approved" in err) == (2, True)
    code, _, err = sluice("register", "import")
    assert code == 2


@pytest.mark.parametrize(
    "name", ['quote " and \\', "\x00\x1b\x7f\x9f", "\u202eevil", "\U000e0001tag", "é漢🎉", "'''", "# no"]
)
def test_any_name_is_one_toml_string(name: str) -> None:
    """Whatever a client is called, it is one value: it ends no string and begins no table."""
    written = proposals.text(name)
    assert tomllib.loads(f"x = {written}")["x"] == name
    assert "\n" not in written
    assert written.isprintable()
