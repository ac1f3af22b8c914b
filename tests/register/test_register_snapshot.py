"""What is declared, in the event store: every field under its name and type, people as pseudonyms, no key."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sluice import config, keys
from sluice.config import Identity, Paths, Settings
from sluice.detect.evidence import Fingerprinter
from sluice.register import snapshot
from sluice.register.shapes import KINDS
from sluice.ship.clickhouse import Embedded
from sluice.ship.registers import Registers, load

HOSTILE = "<img src=x onerror=alert(1)>'; DROP TABLE events; -- \u202e\n\x00"
FINGERPRINT = "9f86d081884c7d659a2feaa0c55ad015"
SITE = """
[[provider]]
id = "openai"
dpa = "C-17"
review_due = 2027-01-31
[[agent]]
id = "invoices"
subjects = ["service:Invoices", "maribel"]
tools = ["read_*", "50%_off"]
[[exception]]
id = "e1"
expires = 2026-12-31
subject = "maribel"
"""


@pytest.fixture(scope="module")
def store() -> Iterator[Embedded]:
    opened = Embedded(None, "sluice")
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def settings(tmp_path: Path, store: Embedded) -> Settings:
    """A site with registers, keys and people; the store has no snapshot yet."""
    store.command("TRUNCATE TABLE register_rows")
    (tmp_path / "registers").mkdir()
    (tmp_path / "registers" / "site.toml").write_text(SITE)
    (tmp_path / "keys.toml").write_text(
        f'[[key]]\nfingerprint = "{FINGERPRINT}"\nowner = "service:ci"\nvault = "kv/ai"\nrotated = 2026-01-02\n'
        "expires = 2027-01-01\n"
    )
    (tmp_path / "people.csv").write_text("subject,groups,role,department\nmaribel,a;b,analyst,Finance\n")
    return Settings(
        paths=Paths(var=tmp_path / "var", registers=tmp_path / "registers"),
        identity=Identity(keys=tmp_path / "keys.toml", people=tmp_path / "people.csv"),
    )


def rows(store: Embedded, sql: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in store.select(sql, "JSONEachRow").splitlines()]


def test_every_key_of_every_register_is_a_column_of_its_view(store: Embedded) -> None:
    """A field that a register can declare and nobody can ask for would be declared for nothing."""
    renamed = {"provider": "provider_id", "agent": "agent_id", "system": "system_id", "subject": "subject_id",
               "key": "key_fp", "subjects": "subject_ids", "keys": "key_fps"}  # fmt: skip
    for kind, shape in KINDS.items():
        names = {r["name"] for r in rows(store, f"SELECT name FROM system.columns WHERE table = 'register_{kind}'")}
        fields = {f.encode_name for f in msgspec.structs.fields(shape)} - {"id"}
        assert {renamed.get(f, f) for f in fields} <= names, kind
        assert {"origin", "digest", "loaded_at"} <= names, kind


def test_what_is_declared_can_be_asked(store: Embedded, settings: Settings) -> None:
    """Shipped and the site's rows as one, with types; keys, people and rules of the other files beside them."""
    assert load(store, settings, dt.datetime.now(dt.UTC))
    seal = Fingerprinter(*keys.fingerprint_key(settings))
    provider = rows(store, "SELECT name, dpa, review_due, origin FROM register_provider WHERE provider_id = 'openai'")
    assert provider == [{"name": "OpenAI", "dpa": "C-17", "review_due": "2027-01-31", "origin": "both"}]
    agent = rows(store, "SELECT subject_ids, tools_like, autonomy FROM register_agent")
    names = [seal.fingerprint("subject", name) for name in ("service:invoices", "user:maribel")]
    assert agent == [{"subject_ids": names, "tools_like": ["read\\_%", "50\\%\\_off"], "autonomy": None}]
    key = rows(store, "SELECT key_fp, ownership, owner_subject_id, vault, rotated, expires, shared FROM register_key")
    assert key == [
        {"key_fp": FINGERPRINT, "ownership": "corporate", "owner_subject_id": seal.fingerprint("subject", "service:ci"),
         "vault": "kv/ai", "rotated": "2026-01-02", "expires": "2026-12-31", "shared": False}
    ]  # fmt: skip
    people = rows(store, "SELECT subject_id, role, department, groups FROM register_subject")
    assert people == [{"subject_id": names[1], "role": "analyst", "department": "Finance", "groups": ["a", "b"]}]
    assert rows(store, "SELECT subject_id FROM register_exception") == [{"subject_id": names[1]}]
    rule = rows(store, "SELECT action, conditions, observe_until FROM register_policy WHERE rule_id = 'canary-tokens'")
    assert rule == [{"action": "block", "conditions": '{"class":"canary.token"}', "observe_until": None}]
    for kind in rows(store, "SELECT kind, count() AS n FROM register_rows GROUP BY kind"):
        assert rows(store, f"SELECT count() AS n FROM register_{kind['kind']}") == [{"n": kind["n"]}], kind
    row = rows(store, "SELECT provider_id, surface, status FROM register_domain WHERE target_row = 'openai-api'")
    assert row == [{"provider_id": "openai", "surface": "api", "status": "unreviewed"}]


def test_no_name_of_a_subject_reaches_the_store(store: Embedded, settings: Settings, tmp_path: Path) -> None:
    """Registers, people, keys and policy name people; the store has their pseudonyms alone."""
    policy = (
        config.shipped_policy()
        .read_text("utf-8")
        .replace(
            'when    = { class = "canary.token" }', 'when = { class = "canary.token", subject = ["maribel", "a*"] }'
        )
    )
    (tmp_path / "policy.toml").write_text(policy)
    settings = msgspec.structs.replace(
        settings, paths=msgspec.structs.replace(settings.paths, policy=tmp_path / "policy.toml")
    )
    load(store, settings, dt.datetime.now(dt.UTC))
    text = "\n".join(r["row"] for r in rows(store, "SELECT row FROM register_rows"))
    assert not re.search(r"maribel|service:ci|service:Invoices", text, re.IGNORECASE)
    conditions = rows(store, "SELECT conditions FROM register_policy WHERE rule_id = 'canary-tokens'")[0]["conditions"]
    assert "(pattern)" in conditions


def test_an_agent_is_known_by_the_pseudonyms_of_every_key(store: Embedded, settings: Settings) -> None:
    """After a rotation of the fingerprint key, records from before are still those of the agent."""
    before = snapshot.take(settings)
    keys.rotate(settings)
    load(store, settings, dt.datetime.now(dt.UTC))
    (agent,) = rows(store, "SELECT subject_ids FROM register_agent")
    made = [
        Fingerprinter(secret, name).fingerprint("subject", subject)
        for subject in ("service:invoices", "user:maribel")
        for name, secret in reversed(keys.secrets_by_name(settings).items())
    ]
    assert agent["subject_ids"] == made
    (old,) = (json.loads(line.row)["subjects"] for line in before.lines if line.kind == "agent")
    assert set(old) < set(made)


def test_a_snapshot_is_loaded_once_and_again_when_it_changes(
    store: Embedded, settings: Settings, tmp_path: Path
) -> None:
    """At start, and after a change; not for the same text, and not for one that cannot be read."""
    clock = iter(range(0, 1000, 100))
    register = Registers(settings, monotonic=lambda: float(next(clock)))
    assert register.turn(store)
    assert not register.turn(store)
    again = iter((0.0, 100.0, 100.0))
    assert not Registers(settings, monotonic=lambda: next(again)).turn(store), "the same registers after a restart"
    site = tmp_path / "registers" / "site.toml"
    site.write_text(SITE + "[[agent]]\nid = 'broken'\nfoo = 1\n")
    assert not register.turn(store)
    assert rows(store, "SELECT agent_id FROM register_agent") == [{"agent_id": "invoices"}]
    site.write_text(SITE + "[[agent]]\nid = 'second'\n")
    assert register.turn(store)
    assert rows(store, "SELECT agent_id FROM register_agent ORDER BY 1") == [
        {"agent_id": "invoices"}, {"agent_id": "second"},
    ]  # fmt: skip
    assert rows(store, "SELECT count() AS n FROM register_snapshots") == [{"n": 2}]


def test_nothing_that_is_wrong_with_a_register_stops_the_shipping(
    store: Embedded, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Even a fault of ours is a log line without content; the next change is tried again."""
    clock = iter(range(0, 1000, 100))
    register = Registers(settings, monotonic=lambda: float(next(clock)))

    def broken(_: Settings) -> snapshot.Snapshot:
        raise RecursionError("a text of the file")

    with monkeypatch.context() as patch:
        patch.setattr(snapshot, "take", broken)
        assert not register.turn(store)
    assert [getattr(r, "facts", None) for r in caplog.records if r.levelname == "ERROR"] == [{"why": "RecursionError"}]
    assert not register.turn(store), "the same file is not read again"
    assert settings.paths.registers is not None
    (settings.paths.registers / "more.toml").write_text("[[agent]]\nid = 'second'\n")
    assert register.turn(store)


def test_hostile_text_of_a_register_comes_out_as_it_went_in(
    store: Embedded, settings: Settings, tmp_path: Path
) -> None:
    """A register may quote what a client sent: quotes, markup, direction marks and control characters are only text."""
    line = f"[[tool]]\nid = {json.dumps(HOSTILE)}\nnotes = {json.dumps(HOSTILE)}\n"
    (tmp_path / "registers" / "site.toml").write_text(line)
    load(store, settings, dt.datetime.now(dt.UTC))
    assert rows(store, "SELECT tool, notes FROM register_tool WHERE origin = 'site'") == [
        {"tool": HOSTILE, "notes": HOSTILE}
    ]


def test_the_digest_names_what_is_declared(settings: Settings, tmp_path: Path) -> None:
    """Comments and order change nothing; a value does."""
    before = snapshot.take(settings).digest
    site = tmp_path / "registers" / "site.toml"
    site.write_text("# a comment\n" + SITE)
    assert snapshot.take(settings).digest == before
    site.write_text(SITE.replace("C-17", "C-18"))
    assert snapshot.take(settings).digest != before
