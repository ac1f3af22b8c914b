"""Keys that their name, address or manifest tells, and what only stands in for one."""

from __future__ import annotations

import pytest

from sluice.detect import passwords, secrets, validators
from sluice.detect.engine import Engine, scan_text
from sluice.detect.examples import CLASSES, draw, expand
from sluice.detect.verdicts import Candidate, Verdict

MIXED = draw(CLASSES["alnum"], 32, "named keys")


def judge(name: str, value: str, before: str) -> Verdict:
    return validators.find(name)(Candidate(value, before + value, len(before), len(before) + len(value)))


@pytest.mark.parametrize(
    "before", ["codemagic_key: '", "ACME_KEY=", 'const acmeKey = "', "[DEBUG] Using key=", "k9KEY1="]
)
def test_key_of_somebody(before: str) -> None:
    """A name in front of `key` says whose it is."""
    assert judge("named_key", MIXED, before).passed


@pytest.mark.parametrize(
    "before", ["cache_key = '", "primaryKey: ", "PUBLIC_KEY=", '<add key="', "monkey=", "sortKey='", "key_id = '"]
)
def test_key_of_no_lock(before: str) -> None:
    """Keys of caches, tables and markup open nothing."""
    assert not judge("named_key", MIXED, before).passed


@pytest.mark.parametrize("before", ["postmark: '", "cloudsmith = ", '"opsgenie" => "', "cloudmersive - '"])
def test_value_assigned_to_a_service(before: str) -> None:
    """What is assigned to the name of a service is its key; under another name it is not announced."""
    assert secrets.announced(before)
    assert not secrets.announced("worker" + before.lstrip('"'))


@pytest.mark.parametrize(
    "value", ["gsk_abcdefghij1234567890", "a1b2c3d4e5f6a7b8", "12345678-1234-1234-1234-123456789abc"]
)
def test_characters_in_order_are_a_stand_in(value: str) -> None:
    """Nobody's key is counted off; a random one never reads like that."""
    assert passwords.sequence(value)
    assert not any(passwords.sequence(draw(CLASSES["hex"], 32, f"{value}/{i}")) for i in range(200))


def test_stand_in_is_an_example(engine: Engine) -> None:
    """A vendor's prefix with the alphabet behind it is reported, and never blocks."""
    (finding,) = scan_text(engine, "groq: gsk_abcdefghijABCDEFGHIJ1234567890abcdefghijABCDEFGHIJ12").findings
    assert finding.example


MANIFEST = """apiVersion: v1
kind: {kind}
metadata:
  name: checkout-database
data:
  password: {{base64:Kd83-mvqLs0}}
"""


@pytest.mark.parametrize(("kind", "found"), [("Secret", True), ("ConfigMap", False)])
def test_base64_of_a_manifest(engine: Engine, kind: str, found: bool) -> None:
    """The data of a Secret is one; of other kinds it is data."""
    findings = scan_text(engine, expand(MANIFEST.format(kind=kind), "manifest")).findings
    assert any(f.detector == "kubernetes.secret-manifest" for f in findings) is found


def test_key_in_markup_on_a_line_of_its_own(engine: Engine) -> None:
    """XML that is set in lines holds the same values."""
    text = f"<acmeToken>\n    {MIXED}\n</acmeToken>"
    assert [text[f.start : f.end] for f in scan_text(engine, text).findings] == [MIXED]


@pytest.mark.parametrize("address", ["https://api.acme.example/v1?key=", "https://acme.example/api/find?a=1&appid="])
def test_key_in_an_address(engine: Engine, address: str) -> None:
    """The address of an API carries its key; another address carries all sorts of things."""
    assert any(f.detector == "generic.url-key" for f in scan_text(engine, address + MIXED).findings)
    assert not scan_text(engine, address.replace("api", "www") + MIXED).findings
