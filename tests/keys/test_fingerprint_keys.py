"""T62: fingerprints are keyed, versioned and rotatable; without the key they say nothing."""

from __future__ import annotations

import getpass
import hashlib
import hmac
import json
import os
import re
from collections.abc import Iterator
from copy import replace
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import msgspec
import pytest

import sluice.cli
from sluice import gate, keys, recording, rulebook
from sluice.config import Evidence, Paths, Settings
from sluice.detect.engine import Engine
from sluice.detect.evidence import Fingerprinter
from sluice.errors import Cause, Misconfigured, Unavailable
from sluice.identity import Resolver
from sluice.ledger.reader import read, streams
from sluice.model import Answered, Client, Exchange, Outcome, Record, Rulebook

SSN = "536-90-4399"
AWS = "AKIA2E0A8F3B244C9986"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PREVIOUS = "resp_67ccd2bed1ec8190"
SUBJECT = "10.1.2.3"
BODY = json.dumps(
    {
        "model": "gpt-5.5",
        "previous_response_id": PREVIOUS,
        "input": f"SSN {SSN}, aws_access_key_id = {AWS}",
        "tools": [{"type": "web_search_preview"}, {"type": "function", "name": "exec_command"}],
    }
).encode()
EXCHANGE = Exchange(
    id="0199d0f0-0000-7000-8000-000000000001",
    at=1_764_000_000_000_000_000,
    client=Client(SUBJECT, 4000),
    method="POST",
    scheme="https",
    host="api.openai.com",
    port=443,
    path="/v1/responses",
    headers=(
        ("authorization", "Bearer sk-proj-" + "Ab3" * 20),
        ("content-type", "application/json"),
        ("user-agent", "OpenAI/Python 3.54.0"),
        ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01"),
        ("session-id", "session-of-the-client"),
    ),
    body=BODY,
)
LIFE = ("start", "stop")
PUBLIC = {"policy_sha256", "rulebook_digest", "detector_pack_version", "decision_id", "parent_decision_id", "prev_hash"}
"""Hexadecimal fields that name public files or records, not anything of a request."""
HEX = re.compile(r"[0-9a-f]{16,}")


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Rulebook:
    return rulebook.load(Settings(paths=Paths(var=tmp_path_factory.mktemp("keys"))))


def under(book: Rulebook, key: bytes, key_id: str = "k1") -> tuple[Record, Record]:
    """Decision and outcome of the exchange with one fingerprint key. The detectors are compiled once for all keys."""
    engine = book.detectors
    assert isinstance(engine, Engine)
    mine = Engine.__new__(Engine)
    mine.__dict__.update(engine.__dict__ | {"fingerprinter": Fingerprinter(key, key_id), "novelty": None})
    rules = replace(book, detectors=mine)
    settings = Settings()
    seen = gate.inspect(EXCHANGE, rules, settings.limits, Resolver.load(settings))
    decision = recording.decision_record(EXCHANGE, seen, rules, Evidence())
    outcome = Outcome(exchange_id=EXCHANGE.id, forwarded=True, answer=Answered(id=PREVIOUS, model="gpt-5.5"))
    return decision, recording.outcome_record(outcome, rules, Evidence(), withhold=False)


def hexadecimal(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """(field, text) of everything in a record that looks like a hash."""
    match value:
        case str() if HEX.fullmatch(value) and name not in PUBLIC:
            yield name, value
        case dict():
            for key, item in value.items():
                yield from hexadecimal(item, f"{name}.{key}".strip("."))
        case list() | tuple():
            for item in value:
                yield from hexadecimal(item, name)


def hashes(record: Record) -> list[tuple[str, str]]:
    return list(hexadecimal(msgspec.to_builtins(record)))


def test_every_hash_in_a_record_depends_on_the_key(book: Rulebook) -> None:
    """Under one key a record repeats itself; under another not one hash of it is the same."""
    first, again, other = under(book, b"a" * 32), under(book, b"a" * 32), under(book, b"b" * 32)
    for one, same, different in zip(first, again, other, strict=True):
        assert hashes(one) == hashes(same)
        assert [name for name, _ in hashes(one)] == [name for name, _ in hashes(different)]
        assert not {text for _, text in hashes(one)} & {text for _, text in hashes(different)}
    names = {name for name, _ in hashes(first[0])}
    expected = {
        "subject_id",
        "session_id",
        "conversation_fp",
        "trace_id",
        "previous_response_ref",
        "body_hmac",
        "key_fp",
    }
    assert names >= expected | {"matches.fingerprint"}
    assert "response_fp" in {name for name, _ in hashes(first[1])}


def test_every_fingerprint_column_is_looked_at() -> None:
    """A new field that holds a hash by its name has to be filled from the key, so it has to be in this test."""
    named = {name for name in Record.__annotations__ if re.search(r"_fp$|_hmac|_hash$|_ref$", name)}
    later = {"body_hmac_after", "resp_hmac", "baa_ref"}
    known = {"key_fp", "conversation_fp", "response_fp", "body_hmac", "previous_response_ref"}
    assert named - later == known | {"groups_hash", "prev_hash"}


def test_no_plain_hash_of_a_value_is_in_a_record(book: Rulebook) -> None:
    """Whoever tries all numbers with the usual hashes, plain or with an empty key, finds none of ours."""
    ours = {text for record in under(book, b"a" * 32) for _, text in hashes(record)}
    assert len(ours) >= 8
    values = [SSN, SSN.replace("-", ""), AWS, TRACE, PREVIOUS, SUBJECT, "session-of-the-client"]
    spelled = [v.encode() for v in values] + [BODY]
    for domain in ("", "value:government.ssn", "value:secret", "subject", "session", "trace", "response", "body"):
        spelled += [domain.encode() + b"\0" + v.encode() for v in values]
    for data in spelled:
        for name in ("md5", "sha1", "sha256", "sha512", "sha3_256", "blake2b", "blake2s"):
            digests = {hashlib.new(name, data).hexdigest(), hmac.new(b"", data, name).hexdigest()}
            for digest in digests:
                assert not {h for h in ours if digest.startswith(h[:16])}


def test_equal_values_are_found_across_records(book: Rulebook) -> None:
    """The id of an answer and the reference of the request that continues it have one fingerprint."""
    decision, outcome = under(book, b"a" * 32)
    assert decision.previous_response_ref == outcome.response_fp
    assert decision.hmac_key_id == outcome.hmac_key_id == "k1"


# ------------------------------------------------------------------------------------------------------ the key files


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(paths=Paths(var=tmp_path / "var"))


def test_rotation_keeps_the_old_key(settings: Settings) -> None:
    """The new key is in force from the next start; the old one still gives the fingerprints of its time."""
    old, old_id = keys.fingerprint_key(settings)
    made = keys.rotate(settings)
    assert (made.id, made.in_force) == ("k2", True)
    assert keys.fingerprint_key(settings) == (made.secret, "k2")
    assert made.secret != old
    assert [(k.id, k.secret, k.in_force) for k in keys.versions(settings)] == [
        (old_id, old, False),
        ("k2", made.secret, True),
    ]
    assert all(k.path.stat().st_mode & 0o077 == 0 for k in keys.versions(settings))
    assert old.hex() not in repr(keys.versions(settings))


def test_destroying_shreds_an_old_key_only(settings: Settings) -> None:
    """A destroyed key is gone and its number is not used again; the one in force cannot be destroyed."""
    keys.fingerprint_key(settings)
    keys.rotate(settings)
    with pytest.raises(Misconfigured, match="is the newest"):
        keys.destroy(settings, "k2")
    with pytest.raises(Misconfigured, match="no key"):
        keys.destroy(settings, "k9")
    file = keys.versions(settings)[0].path
    keys.destroy(settings, "k1")
    assert not file.exists()
    assert [k.id for k in keys.versions(settings)] == ["k2"]
    assert keys.rotate(settings).id == "k3"


def test_a_key_that_a_worker_uses_is_not_destroyed(settings: Settings) -> None:
    """Between a rotation and the restart new records still carry the old key: it is in force, and stays."""
    _, key_id = keys.fingerprint_key(settings)
    workers = [keys.use(settings, key_id), keys.use(settings, key_id)]
    keys.rotate(settings)
    assert [(k.id, k.in_force) for k in keys.versions(settings)] == [("k1", True), ("k2", False)]
    with pytest.raises(Misconfigured, match=r"running workers .*; restart"):
        keys.destroy(settings, "k1")
    os.close(workers[0])
    workers[0] = keys.use(settings, "k2")  # one worker is started again, the other runs on
    assert [k.in_force for k in keys.versions(settings)] == [True, True]
    with pytest.raises(Misconfigured, match="running workers"):
        keys.destroy(settings, "k1")
    os.close(workers[1])
    assert [(k.id, k.in_force) for k in keys.versions(settings)] == [("k1", False), ("k2", True)]
    keys.destroy(settings, "k1")
    os.close(workers[0])
    with pytest.raises(Misconfigured, match="cannot be used"):
        keys.use(settings, "k1")


# --------------------------------------------------------------------------------------------------------- the command


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str, stdin: bytes = b"") -> int:
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(stdin)))
    with pytest.raises(SystemExit) as ended:
        sluice.cli.main(list(arguments))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_old_rows_stay_queryable_by_version(
    book: Rulebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the command prints for a value under each key is what records of that key hold."""
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "keys", "rotate", "--json") == 0
    assert [k["hmac_key_id"] for k in json.loads(capsys.readouterr().out)] == ["k1", "k2"]
    asked = {
        "secret": (AWS.encode() + b"\n", None),
        "government.ssn": (SSN.encode(), None),
        "subject": (SUBJECT.encode(), "subject_id"),
        "session": (b"session-of-the-client\n", "session_id"),
        "conversation": (b"session-of-the-client", "conversation_fp"),
        "trace": (TRACE.encode(), "trace_id"),
        "response": (PREVIOUS.encode(), "previous_response_ref"),
        "body": (BODY, "body_hmac"),
    }
    records = {k.id: under(book, k.secret, k.id)[0] for k in keys.versions(Settings())}
    for kind, (value, column) in asked.items():
        assert run(monkeypatch, "keys", "fingerprint", "--kind", kind, "--json", stdin=value) == 0
        out = capsys.readouterr()
        assert value.decode().strip() not in out.out + out.err
        for row in json.loads(out.out):
            record = records[row["hmac_key_id"]]
            held = {getattr(record, column)} if column else {m.fingerprint for m in record.matches or ()}
            assert row["fingerprint"] in held, kind


@pytest.mark.parametrize("typed", ["bob@example.com", "Bob@Example.com", "user:bob@example.com\n"])
def test_a_person_is_found_however_the_name_is_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str
) -> None:
    """The fingerprint printed is that of records, which spell a person `user:bob@example.com`."""
    monkeypatch.chdir(tmp_path)
    held = Fingerprinter(*keys.fingerprint_key(Settings())).fingerprint("subject", "user:bob@example.com")
    assert run(monkeypatch, "keys", "fingerprint", "--kind", "subject", "--json", stdin=typed.encode()) == 0
    assert [row["fingerprint"] for row in json.loads(capsys.readouterr().out)] == [held]


def test_the_command_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown kind and an empty value are mistakes; destroying asks; no key is ever printed."""
    monkeypatch.chdir(tmp_path)
    keys.fingerprint_key(Settings())
    assert run(monkeypatch, "keys", "fingerprint", "--kind", "nonsense", stdin=b"x") == 2
    assert "is neither" in capsys.readouterr().err
    assert run(monkeypatch, "keys", "fingerprint", "--kind", "secret") == 2
    assert "no value" in capsys.readouterr().err
    assert run(monkeypatch, "keys", "rotate") == 0
    capsys.readouterr()
    secrets = [k.secret for k in keys.versions(Settings())]
    assert run(monkeypatch, "keys", "destroy", "k1", stdin=b"n\n") == 130
    assert len(keys.versions(Settings())) == 2
    assert run(monkeypatch, "keys", "destroy", "k2", "--yes") == 2
    assert not list(Settings().ledger_dir.glob("*")), "what is refused is not on record as done"
    assert run(monkeypatch, "keys", "destroy", "k1", "--yes") == 0
    [act] = [r for s in streams(Settings().ledger_dir) for e in read(s) if (r := e.record).control_kind not in LIFE]
    assert (act.record_type, act.control_kind) == ("control", "key_destruction")
    assert json.loads(act.control_detail or "") == {"by": getpass.getuser(), "hmac_key_id": "k1"}
    assert run(monkeypatch, "keys", "show") == 0
    out = capsys.readouterr()
    assert "fingerprint-k2.key" in out.out
    assert "fingerprint-k1.key" not in out.out
    assert not any(s.hex() in out.out + out.err for s in secrets)


def test_a_destruction_that_cannot_be_put_on_record_does_not_happen(
    settings: Settings,
) -> None:
    """The record comes first: without it the key stays."""
    keys.fingerprint_key(settings)
    keys.rotate(settings)

    def full() -> None:
        raise Unavailable(Cause.AUDIT_UNAVAILABLE, "no space")

    with pytest.raises(Unavailable):
        keys.destroy(settings, "k1", full)
    assert [k.id for k in keys.versions(settings)] == ["k1", "k2"]
