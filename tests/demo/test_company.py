"""A small day at the company through the real gate: every count of the generator against what Sluice answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.demo.company.compared import COUNTS, FINDINGS, Compared
from tests.demo.company.planning import Size
from tests.demo.company.running import Company
from tests.demo.company.sending import Sent

RAISED = """
AGT-01 AGT-02 AGT-03 AGT-04 AGT-05 AGT-06 AUD-04 COV-01 COV-02 COV-03 COV-04 COV-05 COV-06 DAT-01 DAT-02 DAT-05
DAT-06 IDN-01 IDN-02 IDN-03 IDN-04 IDN-05 KEY-01 KEY-02 KEY-03 KEY-04 KEY-05 KEY-06 KEY-07 MOD-01 MOD-02 MOD-03 MOD-04
OPS-01 POL-01 POL-02 POL-03 POL-05 PRV-01 PRV-02 PRV-03 PRV-04 PRV-05 PRV-06 PRV-07
"""
"""What such a day raises, a small one too."""


@dataclass(frozen=True, slots=True)
class Told:
    company: Company
    sent: Sent
    counts: dict[str, Compared]
    findings: frozenset[str]
    written: bytes


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """One day of forty people, asked for everything that it is asked for here; over before the tests begin."""
    with Company(tmp_path_factory.mktemp("company"), Size.small()) as company:
        company.start()
        sent = company.send()
        company.settle()
        company.enter()
        counts = {_name(one): one for one in company.compare()}
        found = company.ask("SELECT DISTINCT finding FROM findings WHERE status != 'fixed'")
        written = company.written()
    yield Told(company, sent, counts, frozenset(str(row["finding"]) for row in found), written)


def _name(one: Compared) -> str:
    return f"{one.count.source}: {one.count.title}"


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", [f"{count.source}: {count.title}" for count in (*COUNTS, FINDINGS)])
def test_sluice_says_what_the_generator_says(told: Told, name: str) -> None:
    """Each row of each count is the same, and there is something to count."""
    one = told.counts[name]
    assert one.same, "\n".join(one.differences)
    assert one.rows > 0
    assert one.generator == one.sluice > 0


def test_every_request_is_answered_as_it_should_be(told: Told) -> None:
    """No client was left without an answer; what may pass reached the provider once, and nothing else did."""
    assert told.sent.failed == []
    expected = Counter(x.id for x in told.company.plan.exchanges if x.arrives)
    opaque = {x.id for x in told.company.plan.exchanges if not x.decided}
    assert Counter(i for i in told.company.providers.arrived if i not in opaque) == expected
    for x in told.company.plan.exchanges:
        status = told.sent.status_of[x.id]
        if x.decided and not x.failed_open:
            assert (status == 200) is x.arrives, (x.id, status)


def test_nothing_planted_is_written_anywhere(told: Told) -> None:
    """No value that a text carried and no key is in a row, the ledger, the log or any other file of the appliance."""
    planted = told.company.planted()
    assert len(planted) > 50
    assert [value for value in planted if value.encode() in told.written] == []


def test_the_day_raises_its_findings(told: Told) -> None:
    """The gaps of the organisation are found, each from its traffic, its registers or what it entered."""
    assert set(RAISED.split()) - told.findings == set()
