"""Fingerprints, masks and credentials: what may be known of a value without knowing it."""

from __future__ import annotations

import base64
import hmac

import pytest

from sluice.detect.credentials import PREFIXES, seal_credential
from sluice.detect.engine import Engine, scan_text
from sluice.detect.evidence import Fingerprinter, normalised
from sluice.detect.examples import expand
from sluice.model import RawCredential

FP = Fingerprinter(b"k" * 32, "key-1")


def test_fingerprint_is_keyed_and_separated() -> None:
    """Another key, another purpose or another value gives another fingerprint; the same three give the same."""
    one = FP.fingerprint("a", "value")
    assert one == FP.fingerprint("a", b"value")
    assert len(one) == 32
    assert int(one, 16) >= 0
    assert len({one, FP.fingerprint("b", "value"), FP.fingerprint("a", "valve")}) == 3
    assert Fingerprinter(b"x" * 32, "key-2").fingerprint("a", "value") != one
    assert FP.fingerprint("a\0b", "c") != FP.fingerprint("a", "c")


@pytest.mark.parametrize("size", [16, 63, 64, 65, 200])
@pytest.mark.parametrize("value", ["", "x", "ä\ud800", b"\0" * 100_000])
def test_fingerprint_is_hmac_sha256(size: int, value: str | bytes) -> None:
    """Whoever holds the key can compute a fingerprint with any HMAC-SHA-256, whatever the key's length."""
    key = bytes(range(256))[:size]
    data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
    expected = hmac.digest(key, b"body\0" + data, "sha256")[:16].hex()
    fingerprinter = Fingerprinter(key, "k")
    assert [fingerprinter.fingerprint("body", value) for _ in range(2)] == [expected, expected]


def test_short_keys_are_refused() -> None:
    """A key that could be searched is no key; and no key is ever shown."""
    with pytest.raises(ValueError, match="at least 16"):
        Fingerprinter(b"short", "k")
    assert "kkkk" not in repr(FP)
    assert FP.key_id == "key-1"


@pytest.mark.parametrize(
    ("data_class", "a", "b"),
    [
        ("financial.card", "4111 1111 1111 1111", "4111-1111-1111-1111"),
        ("financial.iban", "de89 3704 0044 0532 0130 00", "DE89370400440532013000"),
        ("government.ssn", "536-90-4399", "536904399"),
        ("contact.email", "Jane@Example.com", "jane@example.COM"),
        ("contact.phone", "+44 20 7946 0958", "+442079460958"),
    ],
)
def test_spelling_does_not_change_a_fingerprint(data_class: str, a: str, b: str) -> None:
    """The same value in two spellings is one value."""
    assert normalised(data_class, a) == normalised(data_class, b)


def test_case_of_a_secret_counts() -> None:
    """Two keys that differ in case are two keys."""
    assert normalised("secret.token", "aB") != normalised("secret.token", "Ab")


def test_leaked_key_is_recognised_as_the_credential(engine: Engine) -> None:
    """The key in a prompt and the key that authenticates a request have one fingerprint when they are one key."""
    key = expand("sk-proj-{alnum*40}", "evidence")
    (finding,) = scan_text(engine, f"OPENAI_API_KEY={key}").findings
    credential = engine.seal_credential(RawCredential("header:authorization:bearer", key))
    assert finding.fingerprint == credential.fingerprint


SIGV4 = (
    "AWS4-HMAC-SHA256 Credential=AKIAQWERTYUIOPASDFGH/20250101/us-east-1/bedrock/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature={hex*64}"
)


@pytest.mark.parametrize(
    ("location", "value", "kind", "hint"),
    [
        ("header:authorization:bearer", "sk-proj-{alnum*156}", "openai.project", "sk-proj-(164)"),
        ("header:authorization", "Bearer sk-svcacct-{alnum*20}", "openai.service-account", "sk-svcacct-(31)"),
        ("header:x-api-key", "sk-ant-api03-{alnum*95}", "anthropic.api", "sk-ant-api(108)"),
        ("header:authorization:bearer", "sk-ant-oat01-{alnum*95}", "anthropic.oauth", "sk-ant-oat(108)"),
        ("query:key", "AIza{alnum*35}", "google.api", "AIza(39)"),
        ("header:authorization", SIGV4, "aws.sigv4", "AKIA"),
        ("header:authorization:bearer", "{jwt}", "jwt", None),
        ("header:authorization", "Basic {base64:user:pw}", "http.basic", "basic(12)"),
        ("header:cookie", "session={alnum*20}", "cookie", "cookie(28)"),
        ("header:x-custom", "{alnum*20}", "unknown", "(20)"),
        ("header:api-key", "", "unknown", "(0)"),
    ],
)
def test_credentials_are_told_by_prefix(location: str, value: str, kind: str, hint: str | None) -> None:
    """Kind and hint say which sort of key it is; the hint holds the scheme's prefix and the length, no secret."""
    raw = expand(value, f"cred/{kind}")
    sealed = seal_credential(RawCredential(location, raw), FP)
    assert sealed.kind == kind
    if hint is not None:
        assert sealed.hint == hint
    assert sealed.location == location
    assert raw[-6:] not in repr(sealed) or len(raw) < 6


@pytest.mark.parametrize(
    ("provider", "key", "kind"),
    [
        ("openai", "sk-{alnum*48}", "openai.legacy"),
        ("deepseek", "sk-{alnum*32}", "unknown"),
        ("anthropic", "sk-{alnum*48}", "unknown"),
        ("anthropic", "sk-ant-abc", "unknown"),
        ("openai", "sk-ant-abc", "unknown"),
        (None, "sk-{alnum*48}", "unknown"),
        ("cloudflare", "sk-{alnum*20}T3BlbkFJ{alnum*20}", "openai.legacy"),
        ("anthropic", "sk-proj-{alnum*40}", "openai.project"),
    ],
)
def test_a_bare_prefix_is_no_vendors(provider: str | None, key: str, kind: str) -> None:
    """`sk-` alone says nothing of OpenAI at another service; a vendor's own prefix says so wherever it is sent."""
    raw = RawCredential("header:authorization:bearer", expand(key, f"bare/{provider}"))
    assert seal_credential(raw, FP, provider).kind == kind


def test_sigv4_is_the_access_key() -> None:
    """Every request is signed anew; the identity is the access key id, whatever the date and the signature."""
    one = seal_credential(RawCredential("header:authorization", expand(SIGV4, "1")), FP)
    two = seal_credential(RawCredential("header:authorization", expand(SIGV4, "2").replace("20250101", "20250202")), FP)
    assert one.fingerprint == two.fingerprint


def test_presigned_address_is_the_access_key_too() -> None:
    """The same identity in a query string."""
    raw = RawCredential("query:X-Amz-Credential", "AKIAQWERTYUIOPASDFGH/20250101/us-east-1/s3/aws4_request")
    sealed = seal_credential(raw, FP)
    assert sealed.kind == "aws.sigv4"
    assert (
        sealed.fingerprint == seal_credential(RawCredential("header:authorization", expand(SIGV4, "1")), FP).fingerprint
    )


def test_longer_prefixes_come_first() -> None:
    """No prefix of the table hides a longer one behind it."""
    for i, (prefix, _) in enumerate(PREFIXES):
        assert not any(later.startswith(prefix) and later != prefix for later, _ in PREFIXES[i + 1 :])


def test_a_strange_token_is_unknown_not_an_error() -> None:
    """Anything at all may stand in a credential position."""
    for value in ("eyJ.x.y", "eyJ" + "A" * 5000 + ".a.b", "\ud800", base64.b64encode(b"\xff" * 30).decode()):
        assert seal_credential(RawCredential("header:authorization", value), FP).kind in {"unknown", "jwt"}
