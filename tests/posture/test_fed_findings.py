"""Findings that something beside the traffic feeds: what the appliance knows by itself, and what somebody enters."""

from __future__ import annotations

from datetime import timedelta

from sluice.model import Record
from sluice.posture import question, score
from tests.posture.posture_rig import NOW, Rig, ago, control, decision
from tests.posture.test_findings import evaluate, states


def selftest(at: int, **told: object) -> Record:
    return control("selftest", at, rule="secrets", reason="SECRET_FOUND", classes=["secret.ai-key"], **told)


def test_a_self_test_that_passes_through_is_a_finding(rig: Rig) -> None:
    """The made-up secret of every minute: blocked, or noted by a policy that observes, is as it should be; let pass is
    not, and nobody has to enter it."""
    rig.clear()
    good = [selftest(ago(minutes=n), decision="block") for n in range(5, 9)]
    rig.put([*good, selftest(ago(minutes=4), decision="allow", would="block")])
    evaluate(rig, NOW, "OPS-02")
    assert states(rig) == {}
    rig.put([selftest(ago(minutes=3), decision="allow")])
    evaluate(rig, NOW, "OPS-02")
    assert states(rig)["OPS-02", "what=test through the gate"]["hits"] == 1


def test_whoever_is_gone_from_the_file_of_people_has_left(rig: Rig) -> None:
    """A subject that an earlier snapshot of the register had and the newest has not: what it sends a day later counts;
    with no people declared at all, nobody has left."""
    rig.clear()
    person = {"kind": "user", "role": "clerk"}
    rig.declare([("subject", "ann", person), ("subject", "bob", person)], NOW - timedelta(days=9))
    rig.declare([("subject", "ann", person)], NOW - timedelta(days=5))
    rig.put([decision(subject_id=name, ts_received=ago(hours=3)) for name in ("ann", "bob", "never-declared")])
    rig.put([decision(subject_id="bob", ts_received=ago(days=9))])
    evaluate(rig, NOW, "IDN-04")
    assert {scope: state["hits"] for (_, scope), state in states(rig).items()} == {"subject=bob": 1}
    rig.clear()
    rig.declare([("subject", "ann", person)], NOW - timedelta(days=9))
    rig.declare([("setting", "x", {"value": "1"})], NOW - timedelta(days=5))
    rig.put([decision(subject_id="ann", ts_received=ago(hours=3))])
    evaluate(rig, NOW, "IDN-04")
    assert states(rig) == {}


def test_neighbours_outside_the_span_are_not_missing(rig: Rig) -> None:
    """A stream without a gap is complete over every span: numbers are given when a record is written, times when its
    request was complete, so that a long request has a later number and an earlier time."""
    rig.clear()
    order = (5, 2, 4, 1, 3)  # minutes before the end, in the order of their numbers
    rig.put([decision(ts_received=ago(minutes=n)) for n in order])
    (complete,) = (m for m in score.measures() if m.id == "complete")
    for first, last in ((6, 0), (4.5, 0), (3.5, 0.5), (6, 2.5)):
        given = {"since": NOW - timedelta(minutes=first), "until": NOW - timedelta(minutes=last)}
        (row,) = rig.table(question.filled(complete.sql, given)).rows
        assert row[0] == row[1] != 0, given
    rig.lose("n-w0")
    rig.put([decision(ts_received=ago(minutes=1))])
    given = {"since": NOW - timedelta(minutes=6), "until": NOW}
    assert rig.table(question.filled(complete.sql, given)).rows == ((6, 7),)
