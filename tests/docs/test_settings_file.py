"""`deploy/sluice.toml` is the reference of the settings, so it has to be true."""

from __future__ import annotations

import ast
import re
import tomllib
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from sluice import config
from sluice.config import settings as definitions

FILE = Path(__file__).parents[2] / "deploy" / "sluice.toml"
SETTING = re.compile(r"^#([a-z_]+ = .*)$", re.M)
SECTIONS = {f.name: f.type for f in msgspec.structs.fields(config.Settings)}
UNSET = {
    ("paths", "policy"),
    ("paths", "targets"),
    ("paths", "suppressions"),
    ("paths", "registers"),
    ("upstream", "trusted_ca"),
    ("identity", "address_map"),
    ("identity", "users"),
    ("identity", "people"),
    ("identity", "keys"),
    ("seal", "keys"),
}
"""Settings without a default value, which the file shows by an example."""


def shown() -> dict[str, dict[str, object]]:
    """The file with every setting uncommented."""
    return tomllib.loads(SETTING.sub(r"\1", FILE.read_text("utf-8")))


def test_every_setting_is_shown() -> None:
    """Each section and each key that exists stands in the file, and no other."""
    expected = {name: {f.name for f in msgspec.structs.fields(section)} for name, section in SECTIONS.items()}
    assert {name: set(keys) for name, keys in shown().items()} == expected


@pytest.mark.parametrize("section", SECTIONS)
def test_every_default_is_the_real_one(section: str) -> None:
    """The value beside each key is what the program uses when the line stays commented."""
    written = msgspec.convert(shown()[section], SECTIONS[section], dec_hook=lambda kind, value: kind(value))
    for field in msgspec.structs.fields(SECTIONS[section]):
        if (section, field.name) in UNSET or (section, field.name) == ("upstream", "hosts"):
            assert not getattr(SECTIONS[section](), field.name)
        else:
            assert getattr(written, field.name) == getattr(SECTIONS[section](), field.name), field.name


def test_the_file_as_shipped_changes_nothing() -> None:
    """A fresh deployment that copies the file runs with the defaults."""
    shipped = config.load(FILE, environ={})
    assert msgspec.structs.replace(shipped, paths=config.Paths()) == config.Settings()
    assert shipped.paths.var == FILE.parents[1] / "var"


def test_every_setting_says_what_it_is_for() -> None:
    """Above each key stands a sentence."""
    lines = FILE.read_text("utf-8").splitlines()
    for before, line in pairwise(lines):
        if SETTING.match(line):
            assert before.startswith("# "), f"`{line}` has no explanation"


def test_limits_have_their_reason_in_the_code() -> None:
    """Each limit says in the code why it has that value or what it bounds."""
    tree = ast.parse(Path(definitions.__file__).read_text("utf-8"))
    (limits,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Limits")
    for field, after in pairwise(limits.body):
        if isinstance(field, ast.AnnAssign):
            assert isinstance(after, ast.Expr), f"{ast.unparse(field)} has no docstring"
