"""What the documentation tells people to type exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from sluice.cli import group

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    f for f in ROOT.rglob("*.md") if not {".venv", "node_modules", "var"} & set(f.relative_to(ROOT).parts)
)
COMMAND = re.compile(r"(?:^\s*|`|/bin/|\$ )sluice ((?:[a-z][a-z-]* ?){1,2})", re.M)
TARGET = re.compile(r"(?:^    |`|\$ )make ([a-z-]+)", re.M)
LINK = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:|#)([^)#\s]+)")


def makefile_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.M))


def commands() -> Iterator[str]:
    """Every command there is, with those of its groups: `check`, `ca init`."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield name
        if isinstance(command, click.Group):
            yield from (f"{name} {sub}" for sub in command.commands)


def test_the_documents_are_there() -> None:
    """There is documentation to check, the README among it, and it shows commands."""
    assert ROOT / "README.md" in DOCUMENTS
    assert COMMAND.search((ROOT / "README.md").read_text("utf-8"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda f: str(f.relative_to(ROOT)))
def test_what_is_shown_exists(document: Path) -> None:
    """Each `sluice` command, each `make` target and each relative link of a document leads somewhere."""
    text = document.read_text("utf-8")
    known = set(commands())
    for found in COMMAND.finditer(text):
        words = found[1].split()
        assert " ".join(words) in known or words[0] in known - {"ca", "packs"}, f"sluice {found[1]}"
    for found in TARGET.finditer(text):
        assert found[1] in makefile_targets(), f"make {found[1]}"
    for found in LINK.finditer(text):
        assert (document.parent / found[1]).exists(), found[1]


def test_readme_names_the_two_commands() -> None:
    """`make run` and `make test` stand in the README, because they are what a fresh machine needs."""
    named = set(TARGET.findall((ROOT / "README.md").read_text("utf-8")))
    assert {"run", "test", "demo"} <= named


def test_ci_runs_what_the_readme_says() -> None:
    """.ci/run calls check, test and test-agents, in this order, and stops at the first failure."""
    script = (ROOT / ".ci" / "run").read_text()
    assert "for target in check test test-agents" in script
    assert "set -euo pipefail" in script
    assert {"check", "test", "test-agents"} <= makefile_targets()
