"""Blocks of columns: every field arrives as it was, and what no column can hold is refused as a whole."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from msgspec.structs import fields

from sluice.ledger.record import encode
from sluice.model import FileFact, PartFact, Record, RecordType
from sluice.ship import columns, native, rows
from sluice.ship.clickhouse import Embedded, StoreError
from sluice.ship.delivery import UNFIT
from tests.ship.ship_rig import NOVEMBER, decision, match, outcome

AS_NUMBERS = "SETTINGS date_time_output_format = 'unix_timestamp', output_format_json_quote_64bit_integers = 0"


def back(store: Embedded) -> list[Record]:
    """All rows of the table as records."""
    raw = store.command(f"SELECT * FROM events ORDER BY seq {AS_NUMBERS}")
    return [rows.restore(json.loads(line)) for line in raw.splitlines()]


def full(n: int = 1) -> Record:
    """A record with every field set."""
    samples: dict[str, object] = {"int": 7, "str": "x", "bool": True, "float": 0.5, "tuple[str, ...]": ("x", "")}
    values: dict[str, object] = {}
    for field, column in zip(fields(Record), columns.COLUMNS, strict=True):
        if column.items or field.name == "record_type":
            continue
        values[field.name] = samples[Record.__annotations__[field.name].removesuffix(" | None")]
        if "Enum8" in column.type:
            values[field.name] = re.findall(r"'(\w+)' =", column.type)[-1]
        elif "UUID" in column.type:
            values[field.name] = decision(n).decision_id
        elif "DateTime64" in column.type:
            values[field.name] = NOVEMBER + n
    values["seq"] = n
    return Record(
        record_type=RecordType.DECISION,
        matches=(match(mask="4242"), match(validated=None), match(example=True)),
        parts=(PartFact(role="user", kind="text", bytes=3),),
        attachments=(
            FileFact(kind="image", mime="image/png", transport="url", bytes=9),
            FileFact(kind="pdf", mime=None, transport="id", bytes=None),
        ),
        **values,  # type: ignore[arg-type]
    )


def test_a_full_record_fills_every_column(store: Embedded) -> None:
    """With every field set nothing is lost, beside records that say next to nothing, and across many shapes."""
    many = [full(0), outcome(1, seq=1), Record(record_type=RecordType.CONTROL, decision_id="", seq=2, ts_received=7)]
    many += [full(3), decision(4, seq=4, user_agent=""), decision(5, seq=5, user_agent="\N{SNOWMAN}" * 100)]
    store.insert([encode(r) for r in many], "a")
    assert [encode(r) for r in back(store)] == [encode(r) for r in many]


@pytest.mark.parametrize("distinct", [1, 2, 255, 256, 257, 70_000])
def test_dictionaries_of_every_width(store: Embedded, distinct: int) -> None:
    """However many values a column of few values has, each row keeps its own."""
    hosts = [f"h{n % distinct}" if n % 5 else None for n in range(max(600, distinct * 5 // 4))]
    bodies = [encode(decision(n, seq=n, host=host, node_id=host)) for n, host in enumerate(hosts)]
    store.insert(bodies, "a")
    found = store.select("SELECT host, node_id FROM events ORDER BY seq", "JSONCompactEachRow").splitlines()
    assert [json.loads(line) for line in found] == [[host, host or ""] for host in hosts]


@pytest.mark.parametrize("length", [0, 1, 127, 128, 255, 16_384])
@pytest.mark.parametrize("letter", ["a", "\N{SNOWMAN}", "\0"])
def test_texts_of_every_length(store: Embedded, length: int, letter: str) -> None:
    """A text is as long as it says, in bytes, also where all of a block are equally long."""
    texts = [letter * length, "b" * length, letter * length + "c"]
    sent = [decision(n, seq=n, control_detail=text) for n, text in enumerate(texts)]
    bodies = [msgspec.json.encode(r, order="sorted") for r in sent]
    bodies = [re.sub(rb'"\w+":(null|\[\]),?', b"", body).replace(b",}", b"}") for body in bodies]
    store.insert(bodies, "a")
    found = store.select("SELECT control_detail FROM events ORDER BY seq", "JSONCompactEachRow").splitlines()
    assert [json.loads(line)[0] for line in found] == texts


def test_a_text_that_looks_like_a_time_is_left_alone(store: Embedded) -> None:
    """What a client writes into a text cannot pass for a key, and cannot make a row differ from its record."""
    trap = '"ts_end":1795000000000000,"decision_id":"","retention_class":"standard","x":null' + "9" * 20
    record = decision(1, user_agent=trap, control_detail=trap, ts_end=NOVEMBER + 7)
    store.insert([encode(record)], "a")
    (found,) = back(store)
    assert encode(found) == encode(record)


@pytest.mark.parametrize("moment", [0, 1, 999_999, NOVEMBER + 1, (columns.LAST_SECOND + 1) * 10**6 - 1])
def test_times_keep_every_microsecond(store: Embedded, moment: int) -> None:
    """A time comes back as the same number, from the first to the last that a column can hold."""
    store.insert([encode(decision(1, ts_end=moment))], "a")
    assert back(store)[0].ts_end == moment


def test_a_field_of_a_later_version_is_not_dropped_quietly() -> None:
    """A record with a field that the table lacks is refused as a row, so that somebody notices."""
    with pytest.raises(ValueError, match="no column for novelty"):
        native.block([encode(decision(2)), encode(decision(1))[:-1] + b',"novelty":1}'])
    body = encode(decision(1, parts=(PartFact(role="user", kind="text", bytes=3),)))
    with pytest.raises(ValueError, match="parts: no column for colour"):
        native.block([body.replace(b'"role"', b'"colour"')])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("src_port", 2**63),
        ("tokens_in", -(2**63)),
        ("seq", 2**64),
        ("scan_us", 2**63),
        ("ts_end", -1),
        ("ts_end", 2**62),
    ],
)
def test_a_number_that_does_not_fit_is_refused(field: str, value: int) -> None:
    """ClickHouse would wrap such a number around and store another one; the row is refused instead."""
    body = encode(decision(1, **{field: 7})).replace(f'"{field}":7'.encode(), f'"{field}":{value}'.encode())
    with pytest.raises(ValueError, match=rf"{field}: .*(range|outside)"):
        native.block([encode(decision(0)), body])


def test_a_number_in_a_list_that_does_not_fit_is_refused() -> None:
    """The same inside the facts of a match."""
    with pytest.raises(ValueError, match=r"matches: count is out of"):
        native.block([encode(decision(1, matches=(match(), match(count=2**63 - 1)))).replace(b"4775807", b"4775808")])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", 7),
        ("host", ["a"]),
        ("user_agent", {"a": 1}),
        ("tools_declared", "abc"),
        ("tools_declared", [1]),
        ("seq", "7"),
        ("seq", 1.5),
        ("forwarded", 1),
        ("risk_score", "x"),
        ("decision_id", "no id"),
        ("parent_decision_id", ""),
        ("ts_received", None),
        ("matches", [{"count": 1}]),
        ("parts", ["role"]),
        ("parts", {"role": "user"}),
        ("record_type", None),
    ],
)
def test_a_value_of_another_kind_is_refused(name: str, value: object) -> None:
    """Bytes that are JSON and no record of ours make no row, least of all one that says something else."""
    said = json.loads(encode(decision(1))) | {name: value}
    with pytest.raises(UNFIT):
        native.block([json.dumps(said).encode()])


def test_an_odd_text_comes_back_as_itself_or_is_refused(store: Embedded) -> None:
    """In no column does an empty text, a blank, NULL's name or the zero id become another value, or none."""
    sent, refused = {}, set()
    for column in columns.COLUMNS:
        for text in ("", " ", "NULL", "\\N", columns.NO_ID):
            said = json.loads(encode(decision(1, seq=len(sent)))) | {column.name: text}
            body = json.dumps(said, separators=(",", ":"), sort_keys=True).encode()
            try:
                native.block([body])
                sent[encode(msgspec.json.decode(body, type=Record))] = column.name, text
            except UNFIT:
                refused.add((column.name, text))
    assert {("provider_id", ""), ("chain_id", ""), ("prev_hash", ""), ("decision_id", columns.NO_ID)} < refused
    enums = {c.name for c in columns.COLUMNS if "Enum8" in c.type}
    for body, (name, text) in sent.items():
        if name in enums:
            with pytest.raises(StoreError, match=r"(?i)enum"):
                store.insert([body], f"{name} {text}")
    whole = [body for body, (name, _) in sent.items() if name not in enums]
    store.insert(whole, "whole")
    assert len(whole) > 200
    assert sorted(encode(r) for r in back(store)) == sorted(whole)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"7", b"null", b'{"record_type":', b"\xff"])
def test_bytes_that_are_no_record_are_refused(body: bytes) -> None:
    """They end among the dead letters, and their neighbours are rows."""
    with pytest.raises(UNFIT):
        native.block([encode(decision(1)), body])
