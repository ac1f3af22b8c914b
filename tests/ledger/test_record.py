"""Canonical bytes: stable, lossless, bounded, whatever a record holds."""

from __future__ import annotations

import hashlib
import json
import typing

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import fields, replace

from sluice.ledger import record as records
from sluice.model import FileFact, Match, PartFact, Record, RecordType

anything = st.text(st.characters(), max_size=40)
"""Any code points at all, lone surrogates included."""


def strategy(kind: object) -> st.SearchStrategy[object]:
    """Values of a field's declared type."""
    if kind is str:
        return anything
    if kind is int:
        return st.integers(-(2**70), 2**70)
    if kind is float:
        return st.floats()
    if kind is bool:
        return st.booleans()
    if kind in (Match, PartFact, FileFact):
        return st.builds(kind, **{k: strategy(t) for k, t in typing.get_type_hints(kind).items()})
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return st.lists(strategy(arguments[0]), max_size=4).map(tuple)
    return st.one_of(*(st.none() if a is type(None) else strategy(a) for a in arguments))


HINTS = {n: t for n, t in typing.get_type_hints(Record).items() if n != "record_type"}
any_record = st.builds(Record, record_type=st.sampled_from(RecordType), **{n: strategy(t) for n, t in HINTS.items()})
"""Every field set to anything that its type allows."""


@settings(max_examples=150, deadline=None)
@given(any_record)
def test_encode_of_anything_is_readable_and_stable(record: Record) -> None:
    """No value of any field makes a record unwritable, and reading and writing again changes no byte."""
    body = records.encode(record)
    assert len(body) <= records.MAX_BYTES
    again = records.decode(body)
    assert records.encode(again) == body
    assert again.record_type is record.record_type


@settings(max_examples=80, deadline=None)
@given(
    st.builds(
        Record,
        record_type=st.just(RecordType.DECISION),
        decision_id=st.text(st.characters(codec="utf-8"), max_size=20),
        user_agent=st.none() | st.text(st.characters(codec="utf-8"), max_size=200),
        tools_declared=st.none() | st.lists(st.text(st.characters(codec="utf-8"), max_size=60), min_size=1).map(tuple),
        seq=st.integers(0, 2**62),
        risk_score=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        forwarded=st.none() | st.booleans(),
    )
)
def test_what_fits_comes_back_equal(record: Record) -> None:
    """A record within its limits is returned exactly."""
    assert records.decode(records.encode(record)) == record


def test_canonical_form() -> None:
    """Keys sorted, no spaces, None and empty lists left out, enums as text: bytes that another program can rebuild."""
    record = Record(
        record_type=RecordType.DECISION,
        decision_id="d",
        tools_declared=(),
        model_requested="gpt-\N{LATIN SMALL LETTER E WITH ACUTE}",
        matches=(
            Match(
                detector="x", rev=1, data_class="c", severity="low", count=1,
                validated=None, confidence=0.5, offset_bucket=0, fingerprint="f",
            ),
        ),
    )  # fmt: skip
    body = records.encode(record)
    said = json.loads(body)
    rebuilt = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert body == rebuilt
    assert said["record_type"] == "decision"
    assert "tools_declared" not in said
    assert "mask" not in said["matches"][0]
    assert "null" not in body.decode()


@settings(max_examples=200, deadline=None)
@given(any_record)
def test_every_record_is_in_canonical_order(record: Record) -> None:
    """Whatever a record holds, alone or in its place, its keys are sorted on every level and none of them is empty."""
    sealed = records.seal(record, node="n", epoch=3, seq=4, prev_hash="ab" * 32, chain="n-w0")
    for body in (records.encode(record), sealed):
        said = msgspec.json.decode(body)
        assert msgspec.json.encode(said, order="sorted") == body
        assert not [k for k, v in said.items() if v is None or v == []]


def test_leaf_hash_is_that_of_rfc_6962() -> None:
    """The hash has the leaf prefix, so that it can be a leaf of a Merkle tree as it stands."""
    assert records.leaf_hash(b"abc") == hashlib.sha256(b"\x00abc").digest()


def test_seal_puts_the_record_in_its_place() -> None:
    """Node, epoch, sequence, chain and previous hash are inside the hashed bytes, and a caller cannot choose them."""
    record = Record(record_type=RecordType.DECISION, decision_id="d", node_id="forged", seq=9, prev_hash="0" * 64)
    body = records.seal(record, node="n", epoch=3, seq=4, prev_hash="ab" * 32, chain="n-w0")
    link = records.link(body)
    assert (link.node_id, link.epoch, link.seq, link.prev_hash, link.chain_id) == ("n", 3, 4, "ab" * 32, "n-w0")
    assert records.decode(body) == replace(record, node_id="n", epoch=3, seq=4, prev_hash="ab" * 32, chain_id="n-w0")


@pytest.mark.parametrize("field", ["user_agent", "path_template", "host", "model_requested", "sni", "content_type"])
def test_a_long_text_from_a_client_is_clipped_and_noted(field: str) -> None:
    """One endless header does not fill the ledger, and the record says what was shortened."""
    record = Record(record_type=RecordType.DECISION, decision_id="d", **{field: "x" * 50_000})  # type: ignore[arg-type]
    said = records.decode(records.encode(record))
    kept = getattr(said, field)
    assert len(kept) <= 1024
    assert kept.endswith("\N{HORIZONTAL ELLIPSIS}")
    assert said.clipped == (f"{field} 50000>{len(kept)}",)


def test_lists_are_capped_with_their_true_count() -> None:
    """A request with a hundred thousand parts, tools and findings is recorded, gravest findings first."""
    light = Match(
        detector="x", rev=1, data_class="c", severity="low", count=1,
        validated=None, confidence=0.5, offset_bucket=0, fingerprint="f",
    )  # fmt: skip
    record = Record(
        record_type=RecordType.DECISION,
        decision_id="d",
        parts=tuple(PartFact(role="user", kind="text", bytes=i) for i in range(100_000)),
        tools_declared=("tool" * 1000,) * 5000,
        matches=(light,) * 3000 + (replace(light, severity="critical"),),
        attachments=(FileFact(kind="image"),) * 1000,
    )
    body = records.encode(record)
    said = records.decode(body)
    assert len(body) <= records.MAX_BYTES
    assert said.clipped == (
        "attachments 1000>64",
        "matches 3001>100",
        "parts 100000>200",
        "tools_declared 5000>128",
    )
    assert said.matches
    assert said.matches[0].severity == "critical"
    assert said.parts
    assert said.parts[-1].bytes == 99_999


def test_every_text_field_at_once_still_fits() -> None:
    """Control characters take six bytes each in JSON; even a record full of them stays below the limit."""
    texts = {f.name: "\x01" * 10_000 for f in fields(Record) if HINTS.get(f.name) in (str, str | None)}
    body = records.encode(Record(record_type=RecordType.DECISION, **(texts | {"decision_id": "d"})))  # type: ignore[arg-type]
    assert len(body) <= records.MAX_BYTES
    assert records.decode(body).decision_id == "d"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"record_type":"decision"}', b'{"seq":"x"}', b"\xff"])
def test_what_is_not_a_record_is_refused(body: bytes) -> None:
    """Bytes that are not a record raise the error that callers handle, never something else."""
    with pytest.raises(records.BadRecord):
        records.decode(body)


def test_keys_of_a_later_version_are_passed_over() -> None:
    """A reader of today can read a record to which tomorrow's version added a field."""
    said = records.decode(b'{"decision_id":"d","new_in_v9":[1],"record_type":"decision","schema_version":9}')
    assert (said.decision_id, said.schema_version) == ("d", 9)
