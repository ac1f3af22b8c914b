"""Documents: a stretch of one is recognised through reflowing and case, and its share is counted exactly."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.config import Own, OwnFile
from sluice.detect import benign
from sluice.detect.engine import Engine
from sluice.errors import Misconfigured
from sluice.model import Severity
from sluice.owndata import documents, texts
from tests.owndata.owndata_rig import NOW, Deployment, found, part, scan


def document(seed: int, size: int = 600) -> str:
    r = random.Random(seed)
    stems = ["party", "clause", "licence", "term", "notice", "fee", "goods", "liability", "law", "court"]
    return " ".join(r.choice(stems) + r.choice(["", "s", "ed", "ing"]) + str(r.randint(0, 400)) for _ in range(size))


def index(deployment: Deployment, *named: tuple[str, str], share: float = 0.3, run: int = 60) -> Path:
    out = deployment.base / "d.docs"
    documents.add(
        out, [(name, Path(name), text) for name, text in named], deployment.keys, NOW,
        data_class="own.contract", severity=Severity.HIGH, share=share, run=run,
    )  # fmt: skip
    return out


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    deployment = Deployment(tmp_path_factory.mktemp("docs"))
    out = index(deployment, *((f"doc-{i}", document(i)) for i in range(5)))
    return deployment.engine(Own(documents=(OwnFile(file=out),)))


def reflowed(words: list[str], r: random.Random) -> str:
    """The words as an editor, a mail or a form would give them."""
    return "".join(
        r.choice([w, w.upper(), w.title()]) + r.choice([" ", "\n> ", ", ", "  ", ".\t", " — "]) for w in words
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 4), st.integers(0, 400), st.integers(70, 200), st.integers(0, 1 << 30))
def test_a_run_is_found_wherever_it_stands(engine: Engine, number: int, at: int, size: int, seed: int) -> None:
    """At least 65 words in a row of a document, reflowed, within other text: that document and its place."""
    r = random.Random(seed)
    words = document(number).split()[at : at + size]
    before = benign.prose(r.randint(0, 2000))
    text = before + " " + reflowed(words, r) + benign.prose(500)
    (finding,) = scan(engine, text).findings
    assert (finding.detector, finding.data_class) == (f"own.doc-{number}", "own.contract")
    assert text[finding.start : finding.end].lower().startswith(words[0])
    assert text[finding.start : finding.end].lower().endswith(words[-1])


def test_the_share_counts_pieces(deployment: Deployment) -> None:
    """Pieces of 25 words make a finding from 30% on, and none below; none of them is a run."""
    words = document(9, 1000).split()
    engine = deployment.engine(Own(documents=(OwnFile(file=index(deployment, ("big", " ".join(words)))),)))

    def pieces(count: int) -> str:
        return " and then something else entirely ".join(" ".join(words[i * 40 : i * 40 + 25]) for i in range(count))

    # A piece of 25 words has 20 shingles of the 995.
    assert found(engine, pieces(14)) == []
    assert [name for name, _ in found(engine, pieces(15))] == ["own.contract"]


def test_a_few_words_are_no_document(engine: Engine) -> None:
    """Less than a run and less than the share: nothing, and prose has nothing."""
    words = document(0).split()
    assert found(engine, " ".join(words[100:150])) == []
    assert scan(engine, benign.prose(500_000)).findings == ()


def test_boilerplate_names_nobody(deployment: Deployment) -> None:
    """What more than sixteen documents share says nothing about any of them."""
    common = document(50, 200)
    out = index(deployment, *((f"n{i}", common + " " + document(60 + i, 200)) for i in range(20)))
    engine = deployment.engine(Own(documents=(OwnFile(file=out),)))
    assert found(engine, common) == []
    assert len(found(engine, document(65, 200))) == 1


def test_documents_are_added_replaced_and_removed(deployment: Deployment) -> None:
    """An index grows; a name that is there is replaced; what was removed is not found any more."""
    index(deployment, ("a", document(1)))
    index(deployment, ("b", document(2)))
    out = index(deployment, ("a", document(3)))
    engine = deployment.engine(Own(documents=(OwnFile(file=out),)))
    assert [len(found(engine, document(i))) for i in (1, 2, 3)] == [0, 1, 1]
    documents.remove(out, "b", deployment.keys, NOW)
    engine = deployment.engine(Own(documents=(OwnFile(file=out),)))
    assert [len(found(engine, document(i))) for i in (1, 2, 3)] == [0, 0, 1]
    with pytest.raises(Misconfigured, match="has no document `b`; there are a"):
        documents.remove(out, "b", deployment.keys, NOW)


def test_what_is_no_document_is_refused(deployment: Deployment) -> None:
    """A text too short, a name or a class out of form."""
    with pytest.raises(Misconfigured, match="has 4 words"):
        index(deployment, ("a", "only four words here"))
    with pytest.raises(Misconfigured, match="small letters"):
        index(deployment, ("A b", document(1)))
    with pytest.raises(Misconfigured, match="must be a class such as"):
        documents.add(
            deployment.base / "x", [], deployment.keys, NOW,
            data_class="secret.token", severity=Severity.LOW, share=0.3, run=60,
        )  # fmt: skip


@pytest.mark.parametrize("piece", [document(0), document(0)[:200] + " ", "a ", "a b c d e f g "], ids=range(4))
def test_work_on_documents_is_linear(engine: Engine, piece: str) -> None:
    """Each shingle of a text is looked up once at most, however often the document is repeated in it."""
    words = (piece * (100_000 // len(piece))).split()
    _, work = engine.measure((part(" ".join(words)),))
    assert work.own <= len(words)


# ---------------------------------------------------------------------------------------------------------------- files

BODY = (
    '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>'
    "<w:p><w:r><w:t>First</w:t></w:r><w:r><w:t>half</w:t><w:tab/><w:t>second &amp; third</w:t></w:r></w:p>"
    "<w:p><w:r><w:instrText>HIDDEN</w:instrText><w:t>last</w:t></w:r></w:p></w:body></w:document>"
)


def docx(body: str | bytes, name: str = "word/document.xml") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, body)
    return out.getvalue()


def test_word_files_give_their_text(deployment: Deployment) -> None:
    """Runs are joined, tabs and paragraphs divide, instructions are not text."""
    text = texts.read(deployment.file("a.docx", docx(BODY)))
    assert text.split() == ["Firsthalf", "second", "&", "third", "last"]
    assert "\n" in text


BOMB = BODY.replace("<w:body>", "<w:body><w:p><w:t>" + "x" * (texts.LARGEST + 10) + "</w:t></w:p>")
DOCTYPE = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "boom">]>' + BODY


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.pdf", b"%PDF-1.7\n", "pdftotext"),
        ("a.docx", docx(DOCTYPE), "document type"),
        ("a.docx", docx(BOMB), "unpacks to more than"),
        ("a.docx", docx(BODY[:-9]), "is not XML"),
        ("a.xlsx", docx("x", "xl/workbook.xml"), "no Word document"),
        ("a.docx", b"PK\x03\x04broken", "cannot be unpacked"),
        ("a.doc", b"\xd0\xcf\x11\xe0rest", "old Word"),
        ("a.bin", b"\xff\xff\x00", "not UTF-8"),
    ],
)
def test_what_cannot_be_read_says_what_to_do(deployment: Deployment, name: str, content: bytes, said: str) -> None:
    """Each kind of file that is not read has its sentence, and bombs are not unpacked."""
    with pytest.raises(Misconfigured, match=said):
        texts.read(deployment.file(name, content))
