"""The generator of the company: the same day from the same seed, as big as it says, and true about its own texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sluice import rulebook
from sluice.config import Paths, Settings, registers_dir
from sluice.gate import inspect
from sluice.identity import Resolver
from sluice.model import Client, Exchange, Rulebook
from sluice.register.files import load
from tests.demo.company.agents import AGENTS
from tests.demo.company.catalogue import PRODUCTS
from tests.demo.company.compared import COUNTS, compared
from tests.demo.company.day import day_of, lines
from tests.demo.company.exchange import Exchange as Planned
from tests.demo.company.planning import Plan, Size
from tests.demo.company.site import Site
from tests.demo.company.tools import TOOLS
from tests.demo.company.truth import Truth
from tests.rig.warm import warm


@pytest.fixture(scope="module")
def plan() -> Plan:
    return day_of(Size.small())


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    directory = tmp_path_factory.mktemp("site")
    warm(directory / "var")
    return Settings(paths=Paths(var=directory / "var"))


@pytest.fixture(scope="module")
def rules(settings: Settings) -> Rulebook:
    return rulebook.load(settings)


def test_the_same_seed_gives_the_same_day() -> None:
    """Requests, keys and the order of connections are those of the seed, and another seed gives another day."""
    one, again, other = day_of(Size.small()), day_of(Size.small()), day_of(Size.small(), seed=6)
    assert one.exchanges == again.exchanges
    assert one.keys == again.keys
    assert [x.id for line in lines(one) for x in line] == [x.id for line in lines(again) for x in line]
    assert {x.body for x in one.exchanges} != {x.body for x in other.exchanges}


def test_the_organisation_is_as_big_as_it_says() -> None:
    """400 people in twelve departments, 25 products, 30 agents, 90 tools, several thousand requests, each used."""
    plan = day_of(Size())
    assert len(plan.people) == len({p.login for p in plan.people}) == 400
    assert len({p.department for p in plan.people}) == 12
    used = {x.product.name for x in plan.exchanges if x.product}
    assert used == {p.name for p in PRODUCTS}
    assert len(PRODUCTS) == 25
    assert {x.agent for x in plan.exchanges if x.agent} == {a.id for a in AGENTS}
    assert len(AGENTS) == 30
    assert {name for x in plan.exchanges for name in x.tools} == {t.name for t in TOOLS}
    assert len(TOOLS) == len({t.name for t in TOOLS}) == 90
    assert len(plan.exchanges) > 4000


def test_a_text_holds_what_its_author_says(plan: Plan, settings: Settings, rules: Rulebook) -> None:
    """The detectors find in each request exactly the classes that the generator knows of, and read the rest alike."""
    resolver = Resolver.load(settings)
    for planned in plan.exchanges:
        if planned.kind != "request":
            continue
        seen = inspect(_exchange(planned), rules, settings.limits, resolver)
        assert seen.scan and seen.prompt and seen.target and planned.product
        found = {finding.data_class for finding in seen.scan.findings}
        assert found == planned.classes, planned.body
        assert seen.target.product == planned.product.name
        read = (seen.prompt.model or "", seen.prompt.operation, seen.prompt.route, seen.prompt.agent or "")
        assert read == (planned.model, planned.operation, planned.route, planned.client)


def _exchange(planned: Planned) -> Exchange:
    path, _, query = planned.path.partition("?")
    return Exchange(
        id="00000000-0000-7000-8000-000000000000", at=0, client=Client(planned.sender.address), method="POST",
        scheme="https", host=planned.host, port=443, path=path, query=query, http_version="HTTP/1.1",
        headers=planned.headers, body=planned.body, connect_host=planned.host, sni=planned.host,
        host_header=planned.host,
    )  # fmt: skip


def test_the_site_is_what_a_site_may_write(plan: Plan, tmp_path: Path) -> None:
    """Registers, keys and people are read without a complaint, and no key stands in any file."""
    warm(tmp_path / "var")
    Site(plan, tmp_path).write()
    entries = load(registers_dir(), tmp_path / "registers")
    assert sum(entry.origin != "shipped" for entry in entries) > 150
    written = b"".join(f.read_bytes() for f in tmp_path.rglob("*") if f.is_file() and "var" not in f.parts)
    assert [key for key in plan.keys if key.value.encode() in written] == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows, 0),
        (lambda rows: rows[:-1], 1),
        (lambda rows: [(*rows[0][:-1], rows[0][-1] + 1), *rows[1:]], 1),
        (lambda rows: [*rows, ("nobody", 1)], 1),
    ],
    ids=["the same", "one lacking", "one wrong", "one too many"],
)
def test_a_count_that_parts_is_told(
    plan: Plan, tmp_path: Path, change: Callable[[list[tuple[str, int]]], list[tuple[str, int]]], said: int
) -> None:
    """An answer that lacks a row, has one too many or another number is a difference, named with both numbers."""
    warm(tmp_path / "var")
    truth = Truth(Site(plan, tmp_path))
    count = next(c for c in COUNTS if c.title == "blocked, by rule")
    rows = change([(key, int(number)) for (key,), (number,) in sorted(truth.rules().items())])

    def asked(_: str, __: str) -> bytes:
        return b"\n".join(json.dumps(line).encode() for line in (["c0", "c1"], ["String", "UInt64"], *rows))

    now = datetime.now(UTC)
    result = compared(asked, truth, count, now, now)
    assert len(result.differences) == said
    assert result.same is (said == 0)
