"""The text of a document: plain text as it is, Word (.docx) unpacked within bounds; anything else is refused with what
to do. A .docx comes from anywhere, so nothing in it is trusted: sizes are bounded before anything is unpacked, and XML
that declares a document type (the way to entity bombs and outside files) is refused."""

from __future__ import annotations

import xml.parsers.expat as expat
import zipfile
from pathlib import Path

from sluice.errors import Misconfigured, Problem

LARGEST = 64 * 1024 * 1024
"""Bytes of a file, and of a part of a .docx unpacked."""
PARTS = ("word/document.xml", "word/footnotes.xml", "word/endnotes.xml")


def read(path: Path) -> str:
    """The text. Raises `Misconfigured` for what cannot be read."""
    try:
        if path.stat().st_size > LARGEST:
            raise _bad(path, f"has more than {LARGEST >> 20} MiB; split it")
        data = path.read_bytes()
    except OSError as e:
        raise _bad(path, f"cannot be read: {e.strerror}") from e
    if data.startswith(b"%PDF-") or path.suffix.lower() == ".pdf":
        raise _bad(path, "is PDF, which is not read here; convert it: `pdftotext -layout FILE.pdf FILE.txt`")
    if data.startswith(b"PK\x03\x04"):
        return _docx(path)
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise _bad(path, "is an old Word or Excel file; save it as .docx or text")
    try:
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as e:
        raise _bad(path, f"is not UTF-8 text (byte {e.start}); convert it to text first") from None


def _bad(path: Path, what: str) -> Misconfigured:
    return Misconfigured(Problem(str(path), None, what))


def _docx(path: Path) -> str:
    texts: list[str] = []
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if PARTS[0] not in names:
                raise _bad(path, "is an archive but no Word document (.docx); convert it to text first")
            for part in PARTS:
                if part in names:
                    with archive.open(part) as stream:
                        content = stream.read(LARGEST + 1)
                    if len(content) > LARGEST:
                        raise _bad(path, f"`{part}` unpacks to more than {LARGEST >> 20} MiB")
                    texts.append(_words(path, part, content))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError, ValueError) as e:
        raise _bad(path, f"cannot be unpacked ({type(e).__name__}): damaged or encrypted") from None
    return "\n".join(texts)


def _words(path: Path, part: str, content: bytes) -> str:
    """The runs of text (`w:t`) of WordprocessingML; a paragraph, a break and a tab divide words (ECMA-376, 17.3)."""
    out: list[str] = []
    inside = False

    def doctype(*_: object) -> None:
        raise _bad(path, f"`{part}` declares a document type, which no Word file does; it is not read")

    def start(name: str, _: dict[str, str]) -> None:
        nonlocal inside
        inside = name.rpartition(" ")[2] == "t"
        if name.rpartition(" ")[2] in ("tab", "br", "cr"):
            out.append(" ")

    def end(name: str) -> None:
        nonlocal inside
        inside = False
        if name.rpartition(" ")[2] in ("p", "tc"):
            out.append("\n")

    def data(text: str) -> None:
        if inside:
            out.append(text)

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = doctype
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, data
    try:
        parser.Parse(content, True)
    except expat.ExpatError as e:
        raise _bad(path, f"`{part}` is not XML (line {e.lineno})") from None
    return "".join(out)
