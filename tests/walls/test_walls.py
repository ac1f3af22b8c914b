"""The walls of the house: which room may know which, proved on the code as it is.

The import contracts stand in pyproject.toml, each with its reason. Here are the rules that an import graph cannot say:
what is loaded at run time, who makes a permission, and which rooms have neither clock nor chance.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "sluice").rglob("*.py"), *(ROOT / "addons").rglob("*.py")])


def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"), str(file))


def name(file: Path) -> str:
    """`sluice/ledger/writer.py` for a path below the root."""
    return file.relative_to(ROOT).as_posix()


def imported(file: Path) -> Iterator[tuple[int, str]]:
    """Every module that a file names in an import, wherever in the file: (line, dotted name)."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def importers(*modules: str) -> set[str]:
    """The files that import one of these top-level modules."""
    return {name(f) for f in SOURCES if any(m.split(".")[0] in modules for _, m in imported(f))}


def calls(file: Path, called: str) -> list[int]:
    """Lines on which something of that name is called."""
    return [
        node.lineno
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Call)
        and (getattr(node.func, "id", None) == called or getattr(node.func, "attr", None) == called)
    ]


def test_there_is_something_to_look_at() -> None:
    """The walls are checked on the whole source, not on an empty list."""
    assert {"sluice/gate.py", "sluice/ledger/writer.py", "addons/guard.py"} <= {name(f) for f in SOURCES}


def test_import_contracts_hold() -> None:
    """Every contract of pyproject.toml is kept, and every module stands in a layer."""
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


def test_every_contract_has_its_reason() -> None:
    """A wall without a reason is removed by the next hand: above each contract stands a comment."""
    lines = (ROOT / "pyproject.toml").read_text("utf-8").splitlines()
    starts = [i for i, line in enumerate(lines) if line.strip() == "[[tool.importlinter.contracts]]"]
    assert starts
    for start in starts:
        assert lines[start - 1].startswith("# "), f"pyproject.toml:{start + 1}"


def test_the_core_never_loads_mitmproxy() -> None:
    """Importing every module of `sluice` pulls in no mitmproxy, directly or by way of another package."""
    code = (
        "import importlib, pkgutil, sys, sluice\n"
        "for m in pkgutil.walk_packages(sluice.__path__, 'sluice.'):\n"
        "    if not m.name.endswith('__main__'): importlib.import_module(m.name)\n"
        "loaded = {n.partition('.')[0] for n in sys.modules}\n"
        "assert 'sluice' in loaded and 'hyperscan' in loaded\n"
        "print(sorted(loaded & {'mitmproxy', 'mitmproxy_rs', 'addons', 'tornado', 'flask'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=110, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_the_supervisor_loads_no_engine_before_it_checked_the_settings() -> None:
    """prometheus_client fixes where its values live when it is first imported, so the supervisor must not import it at
    the top; nor does it need a detection or storage engine to say that a setting is wrong."""
    code = (
        "import sys, sluice.supervisor, sluice.cli\n"
        "heavy = {'prometheus_client', 'hyperscan', 'chdb', 'clickhouse_connect', 'mitmproxy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("modules", "allowed"),
    [
        (
            ("hyperscan", "ahocorasick"),
            {"sluice/detect/databases.py", "sluice/detect/engine.py", "sluice/detect/own/substrings.py"},
        ),
        (("clickhouse_connect", "chdb"), {"sluice/ship/clickhouse.py"}),
    ],
)
def test_one_room_knows_an_engine(modules: tuple[str, ...], allowed: set[str]) -> None:
    """An engine is named in one file, which can be replaced with it."""
    assert importers(*modules) == allowed


def test_mitmproxy_stays_in_addons() -> None:
    """Only `addons/` names mitmproxy."""
    assert all(file.startswith("addons/") for file in importers("mitmproxy", "mitmproxy_rs"))


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        ("Receipt", {"sluice/ledger/writer.py"}),  # proof of durability: by whoever flushed, after the flush
        ("Clearance", {"sluice/gate.py"}),  # permission to forward: by whoever holds the receipt of an allow
    ],
)
def test_one_room_makes_the_permission(value: str, allowed: set[str]) -> None:
    """No evidence, no egress, said as a type: its values come from one place."""
    makers = {name(f) for f in SOURCES if calls(f, value)}
    assert makers == allowed


def test_no_other_way_to_a_permission() -> None:
    """A frozen value can still be copied with other fields, or made around its constructor; nobody does."""
    for file in SOURCES:
        text = file.read_text("utf-8")
        for trick in ("copy.replace", "force_setattr", "object.__setattr__", "Clearance.__new__", "Receipt.__new__"):
            assert trick not in text, f"{name(file)} uses {trick}"
        if "Clearance" in text or "Receipt" in text:
            assert "structs.replace" not in text, name(file)


def test_only_the_guard_lifts_a_refusal() -> None:
    """A flow that carries no response is forwarded: taking one away is the guard's alone."""
    lifters: list[str] = []
    for file in SOURCES:
        for node in ast.walk(tree(file)):
            targets = node.targets if isinstance(node, ast.Assign | ast.Delete) else []
            value = getattr(node, "value", None)
            for target in targets:
                cleared = isinstance(node, ast.Delete) or (isinstance(value, ast.Constant) and value.value is None)
                if isinstance(target, ast.Attribute) and target.attr == "response" and cleared:
                    lifters.append(name(file))
    # The one in streams takes a malformed answer of an upstream away, behind a request that was forwarded long ago.
    assert sorted(lifters) == ["addons/guard.py", "addons/streams.py"]


def test_the_gate_knows_no_shipping() -> None:
    """The data plane never waits for ClickHouse and holds no credential for it: gate and addons import no `ship`."""
    for file in SOURCES:
        if name(file).startswith("addons/") or name(file) in ("sluice/gate.py", "sluice/recording.py"):
            assert not [m for _, m in imported(file) if m.startswith("sluice.ship")], name(file)


# ------------------------------------------------------------------------------------------ a decision replays exactly

PURE = (
    "model.py",
    "errors.py",
    "targets",
    "decode.py",
    "codings.py",
    "json_body.py",
    "multipart_body.py",
    "dialects",
    "detect",
    "policy.py",
    "policy",
    "ledger/record.py",
    "ship/rows.py",
)
LOADS = {
    "sluice/targets/file.py": "reads the destination table and the site's layer once, at start",
    "sluice/detect/packs.py": "reads packs once, at start",
    "sluice/policy/file.py": "reads the policy once, at start",
    "sluice/detect/own/index.py": "opens and writes an index of the site's own data; matching reads the map alone",
    "sluice/detect/own/site.py": "loads the site's own data once, at start",
    "sluice/detect/lint.py": "a tool of the operator: reads packs, never runs beside traffic",
    "sluice/detect/benign.py": "the lint's corpus of clean text",
}
"""Rooms that are pure but for one file that loads their data."""

BANNED = {
    "time": "a clock",
    "random": "chance",
    "secrets": "chance",
    "uuid": "chance",
    "socket": "a network",
    "asyncio": "an event loop",
    "subprocess": "a process",
    "os": "files and the environment",
    "pathlib": "files",
    "tempfile": "files",
    "logging": "a side effect",
    "prometheus_client": "a side effect",
}
BANNED_CALLS = {"open", "input", "print", "now", "utcnow", "today", "read_bytes", "urandom", "getenv"}


def pure_files() -> list[Path]:
    base = ROOT / "sluice"
    found = [f for entry in PURE for f in ([base / entry] if entry.endswith(".py") else (base / entry).rglob("*.py"))]
    return sorted(f for f in found if f.is_file() and name(f) not in LOADS)


def test_the_pure_rooms_are_there() -> None:
    """The list of pure rooms names rooms that exist."""
    names = {name(f) for f in pure_files()}
    for room in ("targets/", "dialects/", "detect/", "ledger/record.py", "ship/rows.py", "decode.py", "policy"):
        assert any(f.startswith(f"sluice/{room}") for f in names), room


@pytest.mark.parametrize("file", pure_files(), ids=name)
def test_no_clock_chance_or_file_in_a_pure_room(file: Path) -> None:
    """What decides sees its arguments only: the same request under the same rulebook is decided the same for ever."""
    for line, module in imported(file):
        top = module.partition(".")[0]
        assert top not in BANNED, f"{name(file)}:{line} imports {module} ({BANNED[top]})"
    for called in BANNED_CALLS:
        assert not calls(file, called), f"{name(file)}:{calls(file, called)} calls {called}"
