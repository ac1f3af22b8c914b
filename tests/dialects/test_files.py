"""Files in requests: their text is scanned, the rest is unread with kind, size and reason. Bytes count, not labels."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import zipfile

import pytest
from wire_samples import understand

from sluice.errors import Opacity
from sluice.model import Client, Exchange, PartKind, Prompt, Provenance, Role

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(200))


def office() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("word/document.xml", "<w>secret</w>")
    return buffer.getvalue()


def read(block: dict[str, object]) -> Prompt:
    body = json.dumps({"messages": [{"role": "user", "content": [block]}]}).encode()
    headers = (("content-type", "application/json"),)
    path = "/v1/chat/completions"
    return understand(
        Exchange("id", 0, Client("::1"), "POST", "https", "h", 443, path, "", "HTTP/1.1", headers, (), body), "openai"
    )


def file(data: bytes, mime: str, name: str = "a") -> dict[str, object]:
    url = f"data:{mime};base64,{base64.b64encode(data).decode()}"
    return {"type": "file", "file": {"filename": name, "file_data": url}}


@pytest.mark.parametrize(
    ("data", "mime", "name", "kind", "reason"),
    [
        (PNG, "image/png", "a.png", "image", Opacity.IMAGE),
        (PNG, "application/pdf", "a.pdf", "image", Opacity.IMAGE),
        (b"%PDF-1.7 x", "application/pdf", "a.pdf", "document", Opacity.DOCUMENT),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio/wav", "a.wav", "audio", Opacity.AUDIO),
        (
            office(),
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "a",
            "document",
            Opacity.DOCUMENT,
        ),
        (office(), "application/octet-stream", "a.docx", "document", Opacity.DOCUMENT),
        (office(), "application/zip", "a.zip", "other", Opacity.ARCHIVE),
        (gzip.compress(b"text"), "text/plain", "a.txt", "other", Opacity.ARCHIVE),
        (b"\x00\x01\x02\xff\xfe" * 20, "application/octet-stream", "a.bin", "other", Opacity.BINARY),
        (b"\xff\x00\xfe\x01" * 30, "image/x-new", "a", "image", Opacity.IMAGE),
    ],
)
def test_unread_files(data: bytes, mime: str, name: str, kind: str, reason: Opacity) -> None:
    """Images, audio, documents, archives: listed with their size, unread for the right reason, no part of their own."""
    found = read(file(data, mime, name))
    pointer = "/messages/0/content/0/file/file_data"
    assert [(u.pointer, u.kind, u.size, u.reason) for u in found.unread] == [(pointer, kind, len(data), reason)]
    assert [(f.kind, f.mime, f.name, f.size, f.transport) for f in found.files] == [
        (kind, mime, name, len(data), "inline-dataurl")
    ]
    assert not [p for p in found.parts if p.role is Role.DOCUMENT]


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        (b"name,iban\nA,DE89370400440532013000\n", "text/csv"),
        (b'{"a": "b"}', "application/json"),
        (b"# Titel\n\xc3\xa4\n", "text/markdown"),
        (b"<svg><text>x</text></svg>", "image/svg+xml"),
        (b"plain words, called an image", "image/png"),
        ("wide".encode("utf-16"), "text/plain"),
        ("é".encode("latin-1") + b" is one letter of many here", "text/plain"),
        (b"no type at all", ""),
    ],
)
def test_text_files(data: bytes, mime: str) -> None:
    """Text of any sort becomes a part of kind and provenance `file`, whatever its label says; nothing is unread."""
    found = read(file(data, mime))
    part = next(p for p in found.parts if p.role is Role.DOCUMENT)
    assert part.pointer == "/messages/0/content/0/file/file_data#dataurltext"
    assert (part.kind, part.provenance) == (PartKind.FILE, Provenance.FILE)
    assert part.text in (data.decode("utf-8", "replace"), data.decode("latin-1"), data.decode("utf-16", "replace"))
    assert found.unread == ()


def test_remote_files_and_ids() -> None:
    """What the service will fetch or already has is unread; the address itself is text that leaves."""
    remote = read({"type": "image_url", "image_url": {"url": "https://example.org/a.png?note=x"}})
    assert [(u.kind, u.reason) for u in remote.unread] == [("image", Opacity.REMOTE_URL)]
    assert [(p.kind, p.text) for p in remote.parts] == [(PartKind.URL, "https://example.org/a.png?note=x")]
    assert (remote.files[0].name, remote.files[0].url) == ("a.png", "https://example.org/a.png?note=x")
    stored = read({"type": "file", "file": {"file_id": "file-1"}})
    assert [(u.kind, u.reason) for u in stored.unread] == [("document", Opacity.FILE_ID)]


def test_key_in_a_files_place() -> None:
    """A key is valid base64 and decodes to nonsense; in a file's place it is scanned as it stands."""
    key = "AKIAIOSFODNN7EXAMPLE"
    found = read({"type": "input_audio", "input_audio": {"data": key, "format": "wav"}})
    assert key in [p.text for p in found.parts]
    assert found.unread[0].reason is Opacity.AUDIO


def test_key_in_a_data_urls_type() -> None:
    """The media type of a `data:` URL is free text; one that is not common is scanned."""
    found = read(file(PNG, "image/AKIAIOSFODNN7EXAMPLE"))
    assert "image/AKIAIOSFODNN7EXAMPLE" in [p.text for p in found.parts]


def test_base64_with_a_lone_last_letter() -> None:
    """What no decoder takes is no file, and is scanned as it stands."""
    found = read({"type": "input_audio", "input_audio": {"data": "AKIAIOSFODNN7EXAMPLEX", "format": "wav"}})
    assert "AKIAIOSFODNN7EXAMPLEX" in [p.text for p in found.parts]


def test_text_between_the_letters_of_an_image() -> None:
    """Lenient decoders skip what is no base64, so a blob with anything else in it is text."""
    payload = base64.b64encode(PNG).decode()
    found = read(
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{payload[:40]} secret {payload[40:]}"}}
    )
    assert any("secret" in p.text for p in found.parts)


def test_image_in_words_is_text() -> None:
    """A `data:` URL in a text part is read by the model as text, letter by letter, and so it is scanned."""
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}/AKIAIOSFODNN7EXAMPLE/AAAA"
    found = read({"type": "text", "text": url})
    assert [(p.role, p.text) for p in found.parts] == [(Role.USER, url)]
    assert found.files == ()


def test_folded_base64_is_a_file() -> None:
    """Base64 in lines of 76 letters is base64."""
    folded = base64.encodebytes(PNG).decode()
    found = read({"type": "input_audio", "input_audio": {"data": folded, "format": "wav"}})
    assert [u.reason for u in found.unread] == [Opacity.IMAGE]
    assert not [p for p in found.parts if folded[:40] in p.text]


def test_large_image_costs_no_part() -> None:
    """Megabytes of a known image format are named by their first bytes and go to no detector."""
    data = PNG + bytes(range(256)) * 8000
    found = read(file(data, "image/png"))
    assert sum(len(p.text) for p in found.parts) < 200
    assert found.files[0].size == len(data)


def test_raw_upload_of_text() -> None:
    """Google's upload sends the file's bytes as the body: text is a document, and need not be JSON."""
    path = "/upload/v1beta/files"
    sent = Exchange("id", 0, Client("::1"), "POST", "https", "h", 443, path, "", "HTTP/1.1", (), (), b"a,b\n1,2\n")
    found = understand(sent, "google")
    assert [(p.role, p.text) for p in found.parts if p.pointer == ""] == [(Role.DOCUMENT, "a,b\n1,2\n")]
    assert (found.operation, found.unread) == ("file_upload", ())


CARD = b"my card is 4111 1111 1111 1111"
MARKED = [
    b"Hey ftyp " + CARD,
    b"BZh=1 " + CARD,
    b"BZh91AY&SY " + CARD,
    b"ID3,name\n1," + CARD,
    b"OggS " + CARD,
    b"GIF89a " + CARD,
    b"RIFFxxxxWAVE " + CARD,
    b"a" * 257 + b"ustar " + CARD,
    b"a" * 257 + b"ustar\x0000" + CARD,
    b"%PDF-1.7 " + CARD,
    b"\xff\xd8\xff " + CARD,
    b"\x89PNG\r\n\x1a\n" + CARD,
    b"ID3\x04\x00\x00\x00\x00\x00\x00" + CARD,
    b"PK\x03\x04" + bytes(30) + CARD,
    b"\xff\xfb\x90\x00" + CARD,
    b"\xff\xd8\xff" + b"words " * 60_000 + CARD + b" words" * 60_000,
    b"BZh9 " + "\u0434\u0430 ".encode() * 2000 + CARD,
    PNG + bytes(500_000) + CARD,
]


@pytest.mark.parametrize("data", MARKED)
@pytest.mark.parametrize("mime", ["application/octet-stream", "image/png", "text/plain", ""])
def test_text_behind_the_mark_of_a_format(data: bytes, mime: str) -> None:
    """First bytes that name a format are no way around the scan: what can be read behind them is a part."""
    block = read(file(data, mime))
    assert any(CARD.decode() in p.text for p in block.parts)
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\nContent-Type: {mime or "x/y"}\r\n\r\n'
    form = head.encode() + data + b"\r\n--b--\r\n"
    for body, kind in ((form, "multipart/form-data; boundary=b"), (data, mime or "application/json")):
        found = raw(body, kind)
        assert any(CARD.decode() in p.text for p in found.parts)


def raw(body: bytes, kind: str) -> Prompt:
    headers = (("content-type", kind),)
    sent = Exchange("id", 0, Client("::1"), "POST", "https", "h", 443, "/v1/files", "", "HTTP/1.1", headers, (), body)
    return understand(sent, "openai")


@pytest.mark.parametrize("mark", [b"abc=ftyp&text=", b"BZh=1&text=", b"%PDF-1.7=1&text=", b"\xff\xd8\xff=1&text="])
def test_form_that_begins_like_a_file(mark: bytes) -> None:
    """A form is decoded as a form, whatever its first bytes are."""
    found = raw(mark + b"my+card+is+4111%201111%201111%201111", "application/x-www-form-urlencoded")
    assert any(CARD.decode() in p.text for p in found.parts)


def test_binary_form_is_no_image() -> None:
    """Bytes that say form and look like an image are unread as binary, which no policy takes for a picture."""
    found = raw(PNG + b"&text=4111%201111", "application/x-www-form-urlencoded")
    assert [u.reason for u in found.unread] == [Opacity.BINARY]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(50), Opacity.IMAGE),
        (b"\x00\x00\x00\x20ftypM4A \x00\x00\x00\x00" + bytes(50), Opacity.AUDIO),
        (b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00" + bytes(50), Opacity.BINARY),
        (b"ID3\x03\x00\x00\x00\x00\x0f\x76TIT2\x00\x00\x00\x05" + bytes(50), Opacity.AUDIO),
        (b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00", Opacity.IMAGE),
        (b"OggS\x00\x02" + bytes(8) + b"\x01\x02\x03\x04" + bytes(8) + b"\x01\x13OpusHead", Opacity.AUDIO),
        (b"fLaC\x00\x00\x00\x22\x10\x00\x10\x00" + bytes(30), Opacity.AUDIO),
        (b"RIFF\x24\x00\x00\x00WEBPVP8 \x18\x00\x00\x00" + bytes(24), Opacity.IMAGE),
        (bz2.compress(b"text"), Opacity.ARCHIVE),
        (b"%PDF-1.4\n1 0 obj << /Type /Catalog >> endobj\n%%EOF\n", Opacity.DOCUMENT),
    ],
)
def test_real_files_stay_unread(data: bytes, reason: Opacity) -> None:
    """The formats themselves are still named by their first bytes, inline and as a whole body."""
    assert [u.reason for u in read(file(data, "application/octet-stream")).unread] == [reason]
    assert [u.reason for u in raw(data, "application/octet-stream").unread] == [reason]
