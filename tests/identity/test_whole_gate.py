"""Identity through the real gate into a real ledger: what records say, and what nothing anywhere says."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from sluice import rulebook
from sluice.config import Identity, Paths, Settings
from sluice.detect.evidence import Fingerprinter, purpose
from sluice.gate import Gate
from sluice.identity import Known
from sluice.keyuse import KnownKeys
from sluice.ledger import reader, segment
from sluice.ledger.writer import open_stream
from sluice.model import Record, RecordType, Rulebook
from sluice.subjects import Subjects
from tests.identity.doors import PASSWORD, basic, door, field
from tests.rig import Client, Proxy
from tests.rig.wire import Closed
from tests.upstream import Upstream

AI = "api.openai.com"
KEY = "sk-proj-" + "Qm9v7Zk3Xw8LrT2sYh5Nd4Gc6Jf1Pb0A" + "T3BlbkFJ" + "e8Ru2Vx7Mz4Kq9Ws1Lt6Hy3Dn5Cg0Fj"
WRONG = "wrong-battery-canary-77"


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return Paths(var=tmp_path_factory.mktemp("gate"))


@pytest.fixture(scope="module")
def book(paths: Paths) -> Rulebook:
    return rulebook.load(Settings(paths=paths))


class House:
    """A proxy with the real gate; `records` once it is closed."""

    def __init__(self, book: Rulebook, directory: Path, upstream: Upstream, identity: Identity) -> None:
        plain = Settings(identity=identity)
        self.settings = msgspec.structs.replace(
            plain, paths=msgspec.structs.replace(plain.paths, var=directory / "house")
        )
        self.ledger = open_stream(
            self.settings.ledger_dir, node="n", slot=0, segment_bytes=1 << 20, disk_low_bytes=1 << 20
        )
        self.known = Known.load(self.settings)
        self.subjects = Subjects(self.settings, 0)
        self.keys = KnownKeys()
        self.gate = Gate(self.settings, book, self.ledger, self.known.resolver, keys=self.keys, subjects=self.subjects)
        self._door = door(upstream, directory / "proxy", gate=self.gate, failures=3)
        self.proxy: Proxy = self._door.__enter__()

    def close(self) -> None:
        self._door.__exit__(None, None, None)
        self.subjects.keep()
        self.keys.exchange(self.settings.paths.var / "identity")
        self.gate.close()
        self.ledger.close()

    def records(self, kind: RecordType = RecordType.DECISION) -> list[Record]:
        (stream,) = segment.streams(self.settings.ledger_dir)
        found = [entry.record for entry in reader.read(stream, on_damage=lambda _: None)]
        return [r for r in found if r.record_type is kind]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream(delay=0.0) as upstream:
        yield upstream


def chat(text: str) -> bytes:
    return json.dumps({"model": "gpt-5.5", "messages": [{"role": "user", "content": text}]}).encode()


def ask(proxy: Proxy, text: str, *, login: bool = True, key: str = KEY) -> int:
    sock = proxy.connect(f"{AI}:443", headers=field("alice", PASSWORD) if login else "")
    with Client(proxy.trusting("http/1.1").wrap_socket(sock, server_hostname=AI), AI) as client:
        said = (("Authorization", f"Bearer {key}"), ("Content-Type", "application/json"))
        return client.request("POST", "/v1/chat/completions", chat(text), headers=said).status


def test_a_password_is_nowhere_and_the_record_says_who(
    book: Rulebook, tmp_path: Path, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    """After right and wrong logins no file, log or record holds a password or name; method and assurance are there."""
    caplog.set_level(logging.DEBUG)
    people = tmp_path / "people.csv"
    people.write_text("subject,groups,role,department\nalice,staff,Engineer,Research\n")
    house = House(book, tmp_path, upstream, Identity(people=people, require=True))
    try:
        assert ask(house.proxy, "hello") == 200
        with pytest.raises(Closed, match="407"):
            house.proxy.connect(f"{AI}:443")
        for _ in range(5):
            with pytest.raises(Closed, match="407"):
                house.proxy.connect(f"{AI}:443", headers=field("alice", WRONG))
    finally:
        house.close()
    first, missing, *wrong = house.records()
    assert (first.identity_method, first.identity_assurance) == ("proxy_basic", "verified")
    assert (first.role, first.department, first.subject_kind) == ("Engineer", "Research", "user")
    assert (missing.reason_code, missing.identity_method, missing.identity_assurance) == (
        "IDENTITY_MISSING",
        "none",
        "none",
    )
    assert [r.reason_detail for r in wrong] == ["proxy login: wrong"] * 2 + ["proxy login: locked out"]
    assert {(r.decision, r.identity_assurance, r.subject_id) for r in wrong} == {("refuse", "none", first.subject_id)}
    secrets = [s.encode() for s in (PASSWORD, WRONG, basic("alice", PASSWORD)[6:], basic("alice", WRONG)[6:])]
    everything = [p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and p != people]
    for text in (*everything, caplog.text.encode()):
        assert not [s for s in secrets if s in text]
        assert b"user:alice" not in text
    names = [p for p in (house.settings.paths.var / "identity").iterdir() if p.name.startswith("subjects")]
    assert (first.subject_id or "") in names[0].read_text()


def test_a_key_that_worked_is_live_when_it_is_pasted(book: Rulebook, tmp_path: Path, upstream: Upstream) -> None:
    """The first request goes out with the key and is answered; the next one holds that key in its prompt."""
    house = House(book, tmp_path, upstream, Identity())
    try:
        assert ask(house.proxy, f"please debug {KEY}", key="sk-proj-" + "b" * 40) == 400
        assert ask(house.proxy, "hello") == 200
        assert ask(house.proxy, f"please debug {KEY}", key="sk-proj-" + "b" * 40) == 400
    finally:
        house.close()
    before, used, after = house.records()
    assert before.matches is not None
    assert after.matches is not None
    assert used.key_fp in {m.fingerprint for m in after.matches}
    assert [m.live for m in before.matches if m.fingerprint == used.key_fp] == [False]
    assert [(m.live, m.severity) for m in after.matches if m.fingerprint == used.key_fp] == [(True, "critical")]
    assert after.max_severity == "critical"


def test_a_key_of_the_register_says_who_and_whose(book: Rulebook, tmp_path: Path, upstream: Upstream) -> None:
    """Required identity may come from the key alone; an unlisted key is nobody's and is blocked, with its ownership."""
    engine = book.detectors
    listed = engine.fingerprint(purpose("secret."), KEY)
    register = tmp_path / "keys.toml"
    register.write_text(f'[[key]]\nfingerprint = "{listed}"\nowner = "service:ci"\n')
    house = House(book, tmp_path, upstream, Identity(keys=register, require=True, organisations=("org-other",)))
    house.proxy.master.core.logins = None
    try:
        assert ask(house.proxy, "hello", login=False) == 200
        assert ask(house.proxy, "hello", login=False, key="sk-proj-" + "c" * 40) == 400
        with pytest.raises(Closed, match="400"):
            house.proxy.connect("example.com:443")
    finally:
        house.close()
    known, unknown, plain = house.records()
    assert (known.identity_method, known.identity_assurance, known.key_ownership_at_decision) == (
        "key_map",
        "mapped",
        "corporate",
    )
    assert (unknown.decision, unknown.reason_code, unknown.rule_id, unknown.key_ownership_at_decision) == (
        "block",
        "IDENTITY_MISSING",
        "identity.require",
        "unknown",
    )
    assert (plain.decision, plain.reason_code) == ("refuse", "IDENTITY_MISSING")
    after = {r.key_ownership_after for r in house.records(RecordType.OUTCOME) if r.org_id_seen}
    assert after <= {"personal"}


def test_credentials_and_secrets_have_one_fingerprint(book: Rulebook) -> None:
    """`sluice keys fingerprint --kind credential` prints what the record holds for the key."""
    from sluice.model import RawCredential

    sealed = book.detectors.seal_credential(RawCredential("header:authorization:bearer", f"Bearer {KEY}"))
    assert sealed.fingerprint == book.detectors.fingerprint(purpose("secret."), KEY)
    assert Fingerprinter(b"k" * 32, "k").fingerprint(purpose("secret."), KEY) != sealed.fingerprint
