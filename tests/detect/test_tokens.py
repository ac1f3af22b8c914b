"""Tokens that say something of themselves: algorithm, end, checksum, account."""

from __future__ import annotations

import base64
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.detect import expiry, tokens
from sluice.detect.engine import Engine, scan_text
from sluice.detect.examples import CLASSES, draw, expand
from sluice.model import Severity

NOW = 1_800_000_000
SIGNATURE = draw(CLASSES["b64url"], 43, "tokens/signature")


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def jwt(header: object, claims: object, signature: str = SIGNATURE) -> str:
    return f"{_part(header)}.{_part(claims)}.{signature}"


def test_the_algorithm_is_read(engine: Engine) -> None:
    """A token with `alg: none` is a kind of its own, with and without something where the signature would be."""
    signed = scan_text(engine, "token " + jwt({"alg": "RS256"}, {"sub": "4711"})).findings
    assert [(f.detector, f.validated) for f in signed] == [("jwt.token", True)]
    for unsigned in (jwt({"alg": "none"}, {"sub": "4711"}, ""), jwt({"alg": "nOnE"}, {"sub": "4711"})):
        (finding,) = scan_text(engine, f"token {unsigned} here").findings
        assert (finding.detector, finding.severity) == ("jwt.unsigned", Severity.MEDIUM)


def test_rfc_vector_without_signature_is_read() -> None:
    """RFC 7519, 6.1."""
    vector = (
        "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0"
        "cnVlfQ."
    )
    assert tokens.jwt(vector) == tokens.Token(signed=False, expires=1_300_819_380)


@pytest.mark.parametrize("end", [True, "soon", -1, 1e300, float("nan"), None, [], 10**15])
def test_a_strange_end_is_none(end: object) -> None:
    """What is no moment says nothing, and breaks nothing."""
    token = tokens.jwt(jwt({"alg": "HS256"}, {"exp": end}))
    assert token is not None
    assert token.expires is None


def test_expired_token_weighs_less_and_stays(engine: Engine) -> None:
    """At a time after its end (and a day) it is one severity lower and half as sure; before, it counts in full."""
    (finding,) = scan_text(engine, jwt({"alg": "HS256"}, {"exp": NOW})).findings
    assert finding.expires == NOW
    (fresh,) = expiry.aged([finding], (NOW + expiry.GRACE - 1) * 10**9)
    assert fresh == finding
    (old,) = expiry.aged([finding], (NOW + expiry.GRACE + 1) * 10**9)
    assert (finding.severity, old.severity) == (Severity.HIGH, Severity.MEDIUM)
    assert old.confidence == expiry.CONFIDENCE < finding.confidence
    assert (old.fingerprint, old.start, old.end) == (finding.fingerprint, finding.start, finding.end)


def test_a_token_without_an_end_never_ages(engine: Engine) -> None:
    """No `exp`: nobody can say that it is worth nothing."""
    findings = scan_text(engine, jwt({"alg": "HS256"}, {"sub": "4711"})).findings
    assert expiry.aged(findings, 10**20) == findings


@given(st.text(max_size=80))
def test_no_text_raises(text: str) -> None:
    """A vendor's token or not, an answer comes back."""
    for check in (tokens.jwt, tokens.signed_url, tokens.gitlab, tokens.grafana, tokens.aws_account, tokens.discord):
        for guise in (text, f"eyJ{text}.{text}.", f"AKIA{text:A<16}", f"sv=1&sig={text}&se={text}"):
            assert check(guise) == check(guise)


# ---------------------------------------------------------------------------------------------------- signed URLs


def test_shared_access_signature_is_parsed(engine: Engine) -> None:
    """Version, permission and 32 bytes of signature prove it, and `se` says when it ends."""
    sig = base64.b64encode(bytes(range(32))).decode().replace("+", "%2B").replace("=", "%3D")
    query = f"sv=2022-11-02&sr=b&sp=r&st=2026-01-01T00:00:00Z&se=2026-01-02T03%3A04%3A05Z&sig={sig}"
    (finding,) = scan_text(engine, f"https://prodlogs01.blob.core.windows.net/c/f?{query}").findings
    assert (finding.detector, finding.validated, finding.expires) == ("azure.sas-url", True, 1_767_323_045)
    (finding,) = scan_text(
        engine, f"https://prodlogs01.blob.core.windows.net/c/f?{query.replace('sp=r&', '')}"
    ).findings
    assert finding.validated is None


def test_signed_urls_of_object_stores_are_found_once(engine: Engine) -> None:
    """The access key id inside is part of the URL; the end is the date and the seconds that it lasts."""
    key = expand("AKIA{base32*16}", "tokens/key")
    url = (
        "https://files.s3.eu-west-1.amazonaws.com/a.csv?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        f"&X-Amz-Credential={key}%2F20260102%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date=20260102T030405Z"
        f"&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature={draw(CLASSES['hex'], 64, 'tokens/sig')}"
    )
    for text in (url, json.dumps({"url": url.replace("&", "\\u0026")})):
        (finding,) = scan_text(engine, text).findings
        assert (finding.detector, finding.validated, finding.expires) == ("aws.presigned-url", True, 1_767_326_645)


# ---------------------------------------------------------------------------------------------------- checksums


def test_routable_gitlab_token_has_a_checksum(engine: Engine) -> None:
    """The CRC-32 covers the prefix too: the same token under another one is not proved, nor is one digit changed."""
    payload = draw(CLASSES["b64url"], 34, "tokens/gitlab")
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    head = f"glpat-{payload}.01.0y"
    crc, check = zlib.crc32(head.encode()), ""
    for _ in range(7):
        crc, rest = divmod(crc, 36)
        check = digits[rest] + check
    assert tokens.gitlab(head + check) is True
    assert tokens.gitlab(f"gldt-{(head + check)[6:]}") is False
    assert tokens.gitlab(f"glpat-{draw(CLASSES['alnum'], 20, 'x')}") is None
    (finding,) = scan_text(engine, f"GITLAB_TOKEN={head}{check}").findings
    assert (finding.detector, finding.validated) == ("gitlab.personal-token", True)


@pytest.mark.parametrize(
    "token", ["HOruNAb7SOiCdshU9algkrq7FDsNSLAa_54e2f8be", "yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58a"]
)
def test_grafana_token_has_a_checksum(token: str) -> None:
    """The tokens that Grafana's documentation prints, and their neighbours."""
    assert tokens.grafana(f"glsa_{token}")
    assert not tokens.grafana(f"glsa_{token[:-1]}0")
    assert not tokens.grafana(f"glsa_x{token[1:]}")


def test_access_key_id_names_its_account() -> None:
    """A published id and its published account (Aidan Steele, 2020); ids of the old form name none."""
    assert tokens.aws_account("ASIAQNZGKIQY56JQ7WML") == 29_608_264_753
    assert tokens.aws_account("AKIAIOSFODNN7EXAMPLE") is None
    assert tokens.aws_account("AKIA0000000000000000") is None


def test_discord_token_begins_with_the_number_of_its_bot() -> None:
    """A snowflake in base64, as Discord's reference describes it."""
    head = base64.urlsafe_b64encode(b"1098765432109876543").decode().rstrip("=")
    assert tokens.discord(f"{head}.GabcDe.x")
    assert not tokens.discord("MTA5ODc2NTQzMjEwOTg3X.GabcDe.x")
