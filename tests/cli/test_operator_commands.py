"""Manual pages, completion, suppressions, help lines, and what an operator is told of a wrong word."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from sluice.cli import group, manual
from tests.rig.command import run

pytestmark = pytest.mark.usefixtures("elsewhere")

FILE = """
[[suppression]]
id = "orders"
detector = "payment.card-number"
provider = "openai"
owner = "ana@example.com"
reason = "Order numbers that pass Luhn"
expires = {year}-01-31
"""


def commands(context: click.Context) -> Iterator[click.Context]:
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            found = context.command.get_command(context, name)
            assert found is not None
            if found.hidden:
                continue
            yield from commands(click.Context(found, parent=context, info_name=name))


def test_no_line_of_help_is_cut_off() -> None:
    """Every command of every group is described by a whole sentence."""
    for context in commands(click.Context(group, info_name="sluice", max_content_width=100)):
        lines = context.get_help().splitlines()
        assert not [line for line in lines[1:] if line.endswith("...")], context.command_path


def test_every_command_has_a_manual_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command and each of its options stands in a page, made from the commands; groff has no complaint."""
    assert run("manual", "--out", "m") == 0
    pages = {file.stem: file.read_text("utf-8") for file in Path("m/man1").glob("*.1")}
    assert "sluice-proxy" in pages
    for context in commands(click.Context(group, info_name="sluice")):
        page = pages[context.command_path.replace(" ", "-")]
        assert ".SH EXIT STATUS" in page
        for option in context.command.params:
            if isinstance(option, click.Option):
                assert all(manual._roff(name) in page for name in option.opts), (context.command_path, option.name)
    assert all(text.isascii() for text in pages.values())
    if groff := shutil.which("groff"):
        files = sorted(Path("m/man1").glob("*.1"))
        done = subprocess.run(
            [groff, "-man", "-Tutf8", "-ww", "-z", *files], capture_output=True, text=True, check=True
        )
        assert done.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_the_librarys(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The script of each shell asks `sluice` itself, and bash finds no fault in its own."""
    assert run("completion", shell) == 0
    script = capsys.readouterr().out
    assert f"_SLUICE_COMPLETE={shell}_complete" in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_suppressions_are_listed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Scope, owner, reason, end; as a table and as JSON; exit code 1 once one has ended."""
    monkeypatch.setenv("SLUICE_PATHS__SUPPRESSIONS", "s.toml")
    Path("s.toml").write_text(FILE.format(year=2027))
    assert run("suppressions") == 0
    shown = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert "orders payment.card-number provider openai ana@example.com Order numbers that pass Luhn 2027-01-31" in shown
    Path("s.toml").write_text(FILE.format(year=2024))
    assert run("suppressions", "--json") == 1
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["id"], told["detector"], told["days_left"] < 0) == ("orders", "payment.card-number", True)


def test_no_suppressions_are_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a file there is nothing to list, which is said, and an empty list for programs."""
    assert run("suppressions", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_a_wrong_kind_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """`keys fingerprint --kind` names what is near, not eighty classes."""
    assert run("keys", "fingerprint", "--kind", "financial.crad") == 2
    said = capsys.readouterr().err
    assert "did you mean `financial.card`" in said
    assert len(said) < 450


def test_a_directory_that_was_made_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """`edm build --out` says when it makes the directory that the index goes into."""
    Path("t.csv").write_text("name,number\nAna Petrova,123456789\nJohn Miller,223456789\n")
    build = ["edm", "build", "t.csv", "--columns", "name,number", "--key-columns", "number", "--out"]
    assert run(*build, "deep/er/t.edm") == 0
    assert "made the directory deep/er" in capsys.readouterr().err
    assert run(*build, "deep/er/t.edm") == 0
    assert "made the directory" not in capsys.readouterr().err


FILES = {
    "ca export": "a certificate",
    "clients mobileconfig": "a profile",
    "clients nftables": "rules",
    "clients pac": "a script",
    "clients page": "a page",
    "completion": "a script",
    "manual": "pages, into a directory",
    "packs new": "a pack",
    "prove": "a proof, in the form that C2SP gives it",
    "register import": "a register",
    "schema show": "SQL",
}
"""Commands whose output is itself a file of a form of its own, and what kind of file."""


def leaves(context: click.Context) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by its words behind `sluice`."""
    command = context.command
    if not isinstance(command, click.Group):
        yield context.command_path.removeprefix("sluice "), command
        return
    if command.invoke_without_command:
        yield context.command_path.removeprefix("sluice "), command
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from leaves(click.Context(found, parent=context, info_name=name))


def test_every_command_speaks_json_or_writes_a_file() -> None:
    """There is no command without --json but those whose output is a file; none of these has it."""
    known = dict(leaves(click.Context(group, info_name="sluice")))
    assert len(known) > 70
    silent = {name for name, command in known.items() if not any("--json" in o.opts for o in command.params)}
    assert silent == set(FILES)
