"""Exact data match: every row that was indexed is found where its columns stand together, and nowhere else."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.config import Own, OwnIndex
from sluice.detect import benign
from sluice.detect.engine import Engine
from sluice.detect.own import columns
from sluice.errors import Misconfigured, Opacity
from sluice.model import Severity
from tests.owndata.owndata_rig import Deployment, found, scan

WITHIN = 12
GIVEN = ["Jane", "Jürgen", "Seán", "Maria", "Zoë", "Anne-Marie", "Đorđe", "Li"]
FAMILY = ["Doe", "Müller", "O'Brien", "García López", "Nguyễn", "Wang", "Strauß", "Kowalski"]
ROWS = [
    (f"{GIVEN[i % 8]} {FAMILY[i // 8 % 8]}", f"{4_100_000_000 + i * 104_729}", f"user.{i}+x@mail{i % 9}.example")
    for i in range(256)
]
CSV = "name,account,email\n" + "".join(f'"{n}",{a},{e}\n' for n, a, e in ROWS)
FILL = benign.prose(400).split()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    deployment = Deployment(tmp_path_factory.mktemp("rows"))
    path, report = deployment.rows(CSV, "name:name,account:digits,email:email", "account,email", within=WITHIN)
    assert (report.rows, report.bad) == (256, 0)
    return deployment.engine(Own(edm=(OwnIndex(file=path, name="customers"),)))


def spaced(account: str, r: random.Random) -> str:
    """An account as people write it."""
    mark = r.choice(["", " ", "-", "."])
    return mark.join((account[:4], account[4:7], account[7:]))


def named(name: str, r: random.Random) -> str:
    first, _, rest = name.partition(" ")
    return r.choice([name, name.upper(), name.lower(), f"{rest}, {first}"])


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 255), st.integers(0, 40), st.booleans(), st.booleans(), st.integers(0, 1 << 30))
def test_two_columns_within_n_words_and_no_farther(
    engine: Engine, row: int, gap: int, by_email: bool, key_first: bool, seed: int
) -> None:
    """Whatever spelling, order and text around: found when the name is whole within N words, otherwise not."""
    r = random.Random(seed)
    name, account, email = ROWS[row]
    key = email.upper() if by_email else spaced(account, r)
    said = named(name, r)
    between = [r.choice(FILL) for _ in range(gap)]
    middle = [key, *between, said] if key_first else [said, *between, key]
    text = " ".join([*(r.choice(FILL) for _ in range(20)), *middle, *(r.choice(FILL) for _ in range(20))])
    size = len(columns.normalise("text", said).split())  # type: ignore[union-attr]
    expected = [("own.customers", key)] if gap + size <= WITHIN else []
    assert found(engine, text) == expected


def test_every_row_is_found(engine: Engine) -> None:
    """All rows in one text, each with its own finding and fingerprint."""
    text = "\n".join(f"{n};{a};{e}" for n, a, e in ROWS)
    findings = scan(engine, text).findings
    assert len(findings) == len({f.fingerprint for f in findings}) == 256
    assert {(f.severity, f.validated, f.confidence) for f in findings} == {(Severity.HIGH, True, 0.99)}


def test_columns_of_two_rows_are_no_row(engine: Engine) -> None:
    """Jane's name beside another customer's account is nobody's record."""
    (name, _, _), (_, account, email) = ROWS[0], ROWS[77]
    assert found(engine, f"{name} has account {account}") == []
    assert found(engine, f"{name} has account {account} and mail {email}") == [("own.customers", account)]


def test_a_name_inside_an_address_is_no_second_column(deployment: Deployment) -> None:
    """jane.doe@example.com alone is one column, though her name can be read in it."""
    path, _ = deployment.rows("name,email\nJane Doe,jane.doe@example.com\n", "name:name,email:email", "email")
    engine = deployment.engine(Own(edm=(OwnIndex(file=path, name="people"),)))
    assert found(engine, "write to jane.doe@example.com please") == []
    assert found(engine, "write to Jane Doe <jane.doe@example.com>") == [("own.people", "jane.doe@example.com")]


def test_one_column_is_enough_where_the_index_says_so(deployment: Deployment) -> None:
    """`--require 1` finds an account by itself; as part of a longer number or word it is another number."""
    path, _ = deployment.rows("name,account\nJane Doe,4711081522\n", "name,account:digits", "account", require=1)
    engine = deployment.engine(Own(edm=(OwnIndex(file=path, name="a"),)))
    assert found(engine, "look at 4711-0815-22.") == [("own.a", "4711-0815-22")]
    for text in ("x4711081522", "4711081522b", "14711081522", "47110815221"):
        assert found(engine, text) == []


def test_a_name_can_be_the_key(deployment: Deployment) -> None:
    """A wordy key column is found by its words in any order, where another column agrees."""
    path, _ = deployment.rows(
        "name,city,born\nMaria García López,Sevilla,1980-05-17\n", "name:name,city:text,born:date", "name", within=8
    )
    engine = deployment.engine(Own(edm=(OwnIndex(file=path, name="p"),)))
    for text in ("GARCIA LOPEZ, Maria (Sevilla)", "maria garcía lópez, 17.05.1980", "5/17/1980: Maria Garcia Lopez"):
        assert [name for name, _ in found(engine, text)] == ["own.p"], text
    assert found(engine, "Maria García López lives in Madrid since 18.05.1980") == []


@pytest.mark.parametrize(
    ("kind", "value", "texts", "others"),
    [
        (
            "code",
            "DE89 3704 0044 0532 0130 00",
            ["DE89370400440532013000", "de89-3704-0044-0532-0130-00"],
            ["DE8937040044"],
        ),
        ("code", "CUST-00123", ["cust00123", "CUST 00123", "(Cust-00123)"], ["CUST-001234", "XCUST-00123"]),
        ("phone", "+49 171 1234567", ["0171/1234567", "0049 (0)171 1234567", "171-123-4567"], ["0171 1234568"]),
        (
            "email",
            "Jane@Example.com",
            ["<jane@example.com>", "mailto:JANE@EXAMPLE.COM?x", "'jane@example.com'"],
            ["jane@example.co"],
        ),
    ],
)
def test_spellings_of_a_type(
    deployment: Deployment, kind: str, value: str, texts: list[str], others: list[str]
) -> None:
    """Each type is found in the spellings that people use for it, and its neighbours are not."""
    path, _ = deployment.rows(f'v,w\n"{value}",x\n', f"v:{kind}", "v", require=1)
    engine = deployment.engine(Own(edm=(OwnIndex(file=path, name="v"),)))
    for text in texts:
        assert len(found(engine, f"so: {text} it is")) == 1, text
    for text in others:
        assert found(engine, f"so: {text} it is") == [], text


def test_clean_text_has_no_finding(engine: Engine) -> None:
    """Prose, records and logs of a megabyte: none, and all of it read."""
    source = benign.Source("owndata")
    lines = [benign.LINE[kind](source) for kind in sorted(benign.LINE) for _ in range(1500)]
    text = benign.prose(300_000) + "\n".join(lines)[:700_000]
    seen = scan(engine, text)
    assert [f for f in seen.findings if f.data_class.startswith("own.")] == []


def test_a_row_is_found_under_a_disguise(engine: Engine) -> None:
    """What the layers undo is matched too, with the span of the text that was sent."""
    name, account, _ = ROWS[5]
    wide = "".join(chr(ord(c) + 0xFEE0) for c in account)
    assert found(engine, f"{name}: {wide}") == [("own.customers", wide)]


HOSTILE = {
    "digits apart": "1 ",
    "digits": "123456789 ",
    "at signs": "@",
    "addresses": "a@b.cc ",
    "a key again and again": ROWS[0][1] + " ",
    "a name again and again": ROWS[0][0] + " ",
    "separators": "1-2.3/4 ",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
def test_work_is_linear_and_bounded(engine: Engine, piece: str) -> None:
    """Twice the text costs at most little more than twice the work, and never more than the budget."""
    costs = []
    for size in (20_000, 40_000, 400_000):
        _, work = engine.measure((part_of(piece * (size // len(piece))),))
        costs.append(work.own)
    assert costs[1] <= 2.2 * costs[0] + 1000
    assert costs[2] <= engine.budget.own_floor + 400_000 // engine.budget.share + 1000


def part_of(text: str):  # type: ignore[no-untyped-def]
    from tests.owndata.owndata_rig import part

    return part(text)


def test_what_the_budget_leaves_is_unread(engine: Engine) -> None:
    """More candidates than the budget holds: the part is reported as not read whole, with what was found before."""
    text = f"{ROWS[0][0]} {ROWS[0][1]} " + " ".join(f"{5_000_000_000 + i}" for i in range(100_000))
    seen = scan(engine, text)
    assert [u.reason for u in seen.unread] == [Opacity.BUDGET]
    assert [f.data_class for f in seen.findings] == ["own.customers"]


# ----------------------------------------------------------------------------------------------------------- building


def test_bad_rows_are_counted_and_named_by_line(deployment: Deployment) -> None:
    """Wrong number of fields, wrong bytes, no key: the line of each, the rest is indexed, no value is in the report."""
    csv = (
        b'name,account\nJane Doe,4711081522\nshort\n"quoted, name",1234567890\nnocode,\nbad \xff\xfe,1234567891\n'
        b'"two\nlines",1234567892\n'
    )
    _, report = deployment.rows(csv, "name:text,account:digits", "account")
    assert (report.rows, report.bad) == (3, 3)
    assert [line for line, _ in report.lines] == [3, 5, 6]
    assert not any("nocode" in what or "bad " in what for _, what in report.lines)


@pytest.mark.parametrize(
    "content",
    [
        "name;account\nJane Doe;4711081522\n".encode("utf-8-sig"),
        "name\taccount\r\nJane Doe\t4711081522\r\n".encode("utf-16"),
        b'name|account\n"Jane Doe"|"4711081522"\n',
        b"name,account\nJane Doe,4711081522",
    ],
)
def test_delimiters_marks_and_line_ends(deployment: Deployment, content: bytes) -> None:
    """Files as spreadsheets write them, without an option."""
    path, report = deployment.rows(content, "name:name,account", "account")
    assert report.rows == 1
    assert report.columns == [("name", "name", False), ("account", "digits", True)]
    engine = deployment.engine(Own(edm=(OwnIndex(file=path, name="a"),)))
    assert found(engine, "Jane Doe 4711081522") == [("own.a", "4711081522")]


def test_an_encoding_can_be_named(deployment: Deployment) -> None:
    """Latin-1 is not guessed, and read when it is named."""
    csv = "name,account\nJürgen Müller,4711081522\n".encode("latin-1")
    with pytest.raises(Misconfigured, match="no usable row"):
        deployment.rows(csv, "name:name,account:digits", "account")
    path, _ = deployment.rows(csv, "name:name,account:digits", "account", encoding="latin-1")
    engine = deployment.engine(Own(edm=(OwnIndex(file=path, name="a"),)))
    assert len(found(engine, "Jurgen Muller 4711081522")) == 1


@pytest.mark.parametrize(
    ("columns_", "keys_", "more", "said"),
    [
        ("nam,account", "account", {}, "no column `nam`; its heading has: name, account"),
        ("name,account", "email", {}, "key column `email` is not among"),
        ("name:nickname,account", "account", {}, "no type `nickname`"),
        ("name,account", "account", {"require": 3}, "--require 3: there are 2 columns"),
        ("name,account:date", "account", {}, "date cannot be a key"),
        ("name,account", "account", {"encoding": "utf-9"}, "no encoding `utf-9`"),
    ],
)
def test_what_cannot_be_built_is_said(
    deployment: Deployment, columns_: str, keys_: str, more: dict[str, object], said: str
) -> None:
    """Each mistake of the command line has its own sentence."""
    with pytest.raises(Misconfigured, match=said):
        deployment.rows("name,account\nJane Doe,4711081522\n", columns_, keys_, **more)


def test_a_value_of_many_rows_is_left_out(deployment: Deployment) -> None:
    """An account that stands for "none" is no way to a row; it is counted."""
    csv = "name,account\n" + "".join(f"Jane Doe{i},0000000000\n" for i in range(30)) + "Ann Lee,4711081522\n"
    path, report = deployment.rows(csv, "name:name,account:digits", "account")
    assert report.common["account"] == 30
    engine = deployment.engine(Own(edm=(OwnIndex(file=path, name="a"),)))
    assert found(engine, "Jane Doe3 0000000000") == []
    assert len(found(engine, "Ann Lee 4711081522")) == 1
