"""Secrets in use are found whatever stands beside them; ordinary values are left out, by name and never by value."""

from __future__ import annotations

import json
import random
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.config import Own, OwnFile
from sluice.detect import benign
from sluice.detect.engine import Engine
from sluice.detect.evidence import Fingerprinter
from sluice.errors import Misconfigured
from sluice.model import Credential, RawCredential, Severity
from sluice.owndata import secrets
from tests.owndata.owndata_rig import NOW, Deployment, found, part, scan


def values(seed: int, count: int) -> list[str]:
    r = random.Random(seed)
    return [
        "".join(r.choices(string.ascii_letters + string.digits, k=6))
        + "".join(r.choices(string.ascii_letters + string.digits + "!$%&*+-./:=?@^_~", k=r.randint(6, 40)))
        for _ in range(count)
    ]


VALUES = values(3, 200)


def built(deployment: Deployment, content: str, kind: str = "env") -> tuple[Engine, list[secrets.Skipped]]:
    out = deployment.base / "s.secrets"
    _, skipped = secrets.build(deployment.file("source", content), out, kind, *deployment.newest, NOW)
    return deployment.engine(Own(secrets=(OwnFile(file=out),))), skipped


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    deployment = Deployment(tmp_path_factory.mktemp("secrets"))
    return built(deployment, json.dumps({f"k{i}": v for i, v in enumerate(VALUES)}), "json")[0]


AROUND = st.sampled_from(
    [
        "{}",
        "KEY={}",
        '"{}"',
        "'{}',",
        "postgres://u:{}@h/db",
        "key: {}\n",
        "Passwort für alle: {}。",
        "中{}中",
        "({})",
        "<b>{}</b>",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 199), AROUND)
def test_a_secret_is_found_whatever_stands_beside_it(engine: Engine, number: int, around: str) -> None:
    """Quoted, assigned, in an address, beside other scripts: found at its place, validated, certain, critical."""
    value = VALUES[number]
    text = benign.prose(100) + " " + around.format(value)
    (finding,) = scan(engine, text).findings
    assert text[finding.start : finding.end] == value
    assert (finding.data_class, finding.validated, finding.confidence) == ("secret.known", True, 1.0)
    assert finding.severity is Severity.CRITICAL
    assert finding.mask is None


def test_another_value_is_not_found(engine: Engine) -> None:
    """One character changed or missing: another value."""
    for value in VALUES[:50]:
        for at in range(len(value)):
            changed = value[:at] + ("A" if value[at] != "A" else "B") + value[at + 1 :]
            assert found(engine, f"k {changed} ") == []
        assert found(engine, f"k {value[1:]} {value[:-1]} ") == []
    assert scan(engine, benign.prose(300_000)).findings == ()


def test_a_secret_in_a_prompt_and_as_credential_are_one(engine: Engine) -> None:
    """Its fingerprint is that of a credential with the same value: both can be joined in SQL."""
    (finding,) = scan(engine, f"key {VALUES[0]}").findings
    sealed = engine.seal_credential(RawCredential("authorization", VALUES[0]))
    assert isinstance(sealed, Credential)
    assert (
        sealed.fingerprint
        == finding.fingerprint
        == Fingerprinter(b"k" * 32, "t").fingerprint("value:secret", VALUES[0])
    )


ORDINARY = {
    "DEBUG": "true",
    "HOST": "localhost",
    "PORT": "5432",
    "REGION": "eu-central-1",
    "URL": "https://api.example.com/v1/users",
    "PATH_TO": "/var/lib/app/data",
    "MAIL": "ops@example.com",
    "FQDN": "db.internal.example.com",
    "ENVIRONMENT": "production",
    "TITLE": "Our Company Portal",
    "VERSION": "2026.11.24-rc1",
    "PHONE": "+49 30 123456",
    "PLACEHOLDER": "<your-api-key-here>",
    "TEMPLATE": "${DB_PASSWORD}",
    "REPEATED": "aaaaaaaaaaaa1aaa",
    "SYMBOLS": "!!-??-==-..-//",
    "EMPTY": "",
}


def test_ordinary_values_are_left_out_by_name(deployment: Deployment) -> None:
    """Nothing that a prompt could say by chance is indexed; each name is listed with a reason, no value is."""
    content = "".join(f'{name}="{value}"\n' for name, value in ORDINARY.items()) + f'export REAL="{VALUES[1]}" # x\n'
    engine, skipped = built(deployment, content)
    assert [s.name for s in skipped] == list(ORDINARY)
    for one in skipped:
        assert one.why
        assert not any(len(v) > 4 and v in one.why for v in ORDINARY.values())
    assert found(engine, " ".join(ORDINARY.values())) == []
    assert len(found(engine, VALUES[1])) == 1


def test_a_file_of_nothing_secret_is_refused(deployment: Deployment) -> None:
    """An index that finds nothing would be taken for protection."""
    with pytest.raises(Misconfigured, match=r"no value that could be told from ordinary text \(1 left out\)"):
        built(deployment, "DEBUG=true\n")


def test_forms_of_files(deployment: Deployment) -> None:
    """Environment files, nested JSON, lines of YAML: quotes, escapes, comments, addresses, keys of many lines."""
    one, two, three = "zq8H_2kLm-99xPw", "pa$$ w0rd/42#x", "Xk9-vQ2z!mPa"
    begin, end = "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"
    pem = f"{begin}\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n{end}"
    texts = {
        "env": f'# c\nexport A=\'{one}\'\nB="{two}"  # note\nC=postgres://app:{three}@db/app\nD="{pem}"\n',
        "json": json.dumps({"data": {"a": [one, {"b": two}], "c": f"amqp://u:{three}@q"}, "n": 5, "pem": pem}),
        "yaml-lines": f'top:\n  a: {one} # c\n  \'b\': "{two}"\n  - c: mysql://r:{three}@db\nd: "{pem}"\n',
    }
    for kind, content in texts.items():
        engine, _ = built(deployment, content, kind)
        for value in (one, two, three, "BKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"):
            assert [t for _, t in found(engine, f"so {value} there")] == [value], (kind, value)


@pytest.mark.parametrize(
    ("kind", "content", "line"),
    [
        ("env", "A=b\nnonsense\n", 2),
        ("env", 'A="open\nmore\n', 1),
        ("json", '{"a":\n]', 2),
        ("json", "[" * 100_000, None),
    ],
)
def test_a_broken_file_is_refused_with_its_line(
    deployment: Deployment, kind: str, content: str, line: int | None
) -> None:
    """And the complaint has nothing of the line in it."""
    with pytest.raises(Misconfigured) as caught:
        built(deployment, content, kind)
    assert caught.value.problems[0].line == line
    assert "nonsense" not in str(caught.value)


def test_work_on_secrets_is_bounded(engine: Engine) -> None:
    """The run of a known value a hundred thousand times without the rest of it: counted, and within the budget."""
    run = max(secrets.secrets.RUNS.findall(VALUES[0]), key=len)
    _, work = engine.measure((part(f"{run} " * 50_000),))
    assert work.own <= engine.budget.own_floor + 50_000 * (len(run) + 1) // engine.budget.share + 100
