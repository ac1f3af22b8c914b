"""A secret hidden in the encoding or in an odd place is read, or the request is marked as unreadable. Never neither."""

from __future__ import annotations

import base64
import bz2
import codecs
import gzip
import json
import zlib

import brotli
import pytest
import zstandard
from wire_samples import understand

from sluice.config import Limits
from sluice.decode import open_body
from sluice.errors import Opacity
from sluice.model import Client, Exchange

SECRET = "4111 1111 1111 1111"
BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": f"pay with {SECRET}"}]})
RAW = BODY.encode()
CHAT = "/v1/chat/completions"


def exchange(
    body: bytes, *headers: tuple[str, str], path: str = CHAT, query: str = "", method: str = "POST"
) -> Exchange:
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers = (("content-type", "application/json"), *headers)
    client = Client("127.0.0.1")
    return Exchange(
        "id", 0, client, method, "https", "api.example.com", 443, path, query, "HTTP/1.1", headers, (), body
    )


REFUSED = frozenset(
    {
        Opacity.BAD_JSON,
        Opacity.BAD_CHARSET,
        Opacity.BAD_MULTIPART,
        Opacity.DEPTH_LIMIT,
        Opacity.NODE_LIMIT,
        Opacity.BINARY,
        Opacity.ARCHIVE,
    }
)


def verdict(sent: Exchange, dialect: str = "openai") -> str:
    """The reason why the request counts as unreadable, else `read` when a detector would see the secret."""
    opacity = open_body(sent.body, sent.headers, Limits(), lambda: 0.0).opacity
    if opacity is not None:
        return str(opacity)
    reasons = [u.reason for u in understand(sent, dialect).unread if u.reason in REFUSED]
    return str(reasons[0]) if reasons else "read" if seen(sent, dialect) else "MISSED"


def seen(sent: Exchange, dialect: str = "openai") -> bool:
    """Whether a detector would see the secret."""
    return any(SECRET in part.text for part in understand(sent, dialect).parts)


def raw_deflate(data: bytes) -> bytes:
    encoder = zlib.compressobj(9, zlib.DEFLATED, -15)
    return encoder.compress(data) + encoder.flush()


def coded(body: bytes, *codings: str) -> Exchange:
    return exchange(body, *(("content-encoding", coding) for coding in codings))


def typed(body: bytes, content_type: str) -> Exchange:
    return exchange(body, ("content-type", content_type))


GZ, ZS, BR, DF = gzip.compress(RAW), zstandard.ZstdCompressor().compress(RAW), brotli.compress(RAW), zlib.compress(RAW)
HALF, REST = RAW[:40], RAW[40:]
ESCAPED = json.dumps({"messages": [{"role": "user", "content": "@"}]}).replace(
    "@", "".join(f"\\u{ord(c):04x}" for c in SECRET)
)

ENCODINGS: list[tuple[str, Exchange, str]] = [
    ("plain", exchange(RAW), "read"),
    ("gzip", coded(GZ, "gzip"), "read"),
    ("gzip upper case", coded(GZ, "GZIP"), "read"),
    ("deflate", coded(DF, "deflate"), "read"),
    ("raw deflate", coded(raw_deflate(RAW), "deflate"), "read"),
    ("br", coded(BR, "br"), "read"),
    ("zstd", coded(ZS, "zstd"), "read"),
    ("identity", coded(RAW, "identity"), "read"),
    ("gzip of two members", coded(gzip.compress(HALF) + gzip.compress(REST), "gzip"), "read"),
    ("secret in the second member", coded(gzip.compress(b'{"a":1}\n') + gzip.compress(RAW), "gzip"), "read"),
    ("zstd of two frames", coded(zstandard.compress(HALF) + zstandard.compress(REST), "zstd"), "read"),
    ("two layers", coded(zstandard.compress(GZ), "gzip", "zstd"), "read"),
    ("two layers in one header", coded(brotli.compress(GZ), "gzip, br"), "read"),
    ("bytes after gzip", coded(gzip.compress(b"{}") + RAW, "gzip"), "trailing_bytes"),
    ("bytes after deflate", coded(zlib.compress(b"{}") + RAW, "deflate"), "trailing_bytes"),
    ("bytes after br", coded(brotli.compress(b"{}") + RAW, "br"), "corrupt_coding"),
    ("bytes after zstd", coded(zstandard.compress(b"{}") + RAW, "zstd"), "trailing_bytes"),
    ("deflate after deflate", coded(zlib.compress(b"{}") + DF, "deflate"), "trailing_bytes"),
    ("gzip twice, declared once", coded(gzip.compress(GZ), "gzip"), "archive"),
    ("gzip twice, declared twice", coded(gzip.compress(GZ), "gzip, gzip"), "too_many_codings"),
    ("three layers", coded(gzip.compress(zstandard.compress(BR)), "br, zstd, gzip"), "too_many_codings"),
    ("bz2", coded(bz2.compress(RAW), "bz2"), "unknown_coding"),
    ("zip as Python names it", coded(zlib.compress(RAW), "zlib"), "unknown_coding"),
    ("rot13", coded(codecs.encode(BODY, "rot13").encode(), "rot13"), "unknown_coding"),
    ("hex", coded(RAW.hex().encode(), "hex"), "unknown_coding"),
    ("empty coding", coded(RAW, ""), "unknown_coding"),
    ("empty coding in a list", coded(GZ, "gzip,"), "unknown_coding"),
    ("unknown coding", coded(RAW, "x-secret"), "unknown_coding"),
    ("gzip declared, plain sent", coded(RAW, "gzip"), "corrupt_coding"),
    ("deflate declared, plain sent", coded(RAW, "deflate"), "corrupt_coding"),
    ("br declared, gzip sent", coded(GZ, "br"), "corrupt_coding"),
    ("gzip declared, zstd sent", coded(ZS, "gzip"), "corrupt_coding"),
    ("nothing declared, gzip sent", exchange(GZ), "archive"),
    ("nothing declared, zstd sent", exchange(ZS), "archive"),
    ("nothing declared, br sent", exchange(BR), "binary"),
    ("cut off gzip", coded(GZ[:-9], "gzip"), "corrupt_coding"),
    ("gzip as transfer coding", exchange(GZ, ("transfer-encoding", "gzip, chunked")), "unknown_coding"),
    ("utf-16 with mark", exchange(BODY.encode("utf-16")), "read"),
    ("utf-16-le", exchange(BODY.encode("utf-16-le")), "read"),
    ("utf-16-be, declared", typed(BODY.encode("utf-16-be"), "application/json; charset=utf-16be"), "read"),
    ("utf-32 with mark", exchange(BODY.encode("utf-32")), "read"),
    ("utf-32-be", exchange(BODY.encode("utf-32-be")), "read"),
    ("utf-8 with mark", exchange(codecs.BOM_UTF8 + RAW), "read"),
    ("blanks before", exchange(b" \r\n\t\n" + RAW), "read"),
    ("utf-7", typed(BODY.encode("utf-7"), "application/json; charset=utf-7"), "bad_charset"),
    ("utf-7, undeclared", exchange(b"+" + base64.b64encode(BODY.encode("utf-16-be")).rstrip(b"=") + b"-"), "bad_json"),
    ("utf-8 declared as utf-16", typed(RAW, "application/json; charset=utf-16"), "bad_charset"),
    ("utf-16 declared as utf-8", typed(BODY.encode("utf-16-le"), "application/json; charset=utf-8"), "read"),
    ("ebcdic", typed(BODY.encode("cp500"), "application/json; charset=cp500"), "bad_charset"),
    ("latin-1", typed(BODY.replace("pay", "zahlé").encode("latin-1"), "application/json; charset=iso-8859-1"), "read"),
    ("every character escaped", exchange(ESCAPED.encode()), "read"),
    ("text/plain", typed(RAW, "text/plain"), "read"),
    ("no usable type", typed(RAW, "nonsense"), "read"),
    ("form declared, JSON sent", typed(RAW, "application/x-www-form-urlencoded"), "read"),
    ("multipart declared, JSON sent", typed(RAW, "multipart/form-data; boundary=x"), "bad_multipart"),
    ("two content types", exchange(RAW, ("content-type", "application/json"), ("content-type", "image/png")), "read"),
    ("image declared, JSON sent", typed(RAW, "image/png"), "read"),
    ("GET with a body", exchange(RAW, method="GET"), "read"),
    ("too deep", exchange(b'{"messages":' + b"[" * 80 + RAW + b"]" * 80 + b"}"), "depth_limit"),
]


@pytest.mark.parametrize(("sent", "expected"), [case[1:] for case in ENCODINGS], ids=[case[0] for case in ENCODINGS])
def test_encodings(sent: Exchange, expected: str) -> None:
    """However the body is coded, the secret is seen, or the body has a reason for which the gate refuses."""
    assert verdict(sent) == expected


def test_there_are_enough_cases() -> None:
    """The acceptance list asks for forty; a table that shrinks is a promise that shrinks."""
    assert len(ENCODINGS) >= 40


NAME = b'--b\r\nContent-Disposition: form-data; name="'
FORM = "multipart/form-data; boundary=b"
S = SECRET.encode()
B64 = base64.b64encode(f"please pay with {SECRET}".encode()).decode()


def chat(**fields: object) -> Exchange:
    return exchange(json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}).encode())


PLACES: list[tuple[str, Exchange]] = [
    ("query value", exchange(RAW.replace(S, b""), query="beta=true&note=4111%201111+1111%201111")),
    ("query name", exchange(b"{}", query="4111+1111+1111+1111=1")),
    ("query without a value", exchange(b"{}", query="4111%201111%201111%201111")),
    ("credential's place in the query", exchange(b"{}", query="key=4111+1111+1111+1111")),
    ("path", exchange(b"{}", path="/v1/files/4111%201111%201111%201111")),
    ("unknown header", exchange(b"{}", ("X-Note", SECRET))),
    ("header name", exchange(b"{}", ("X-4111 1111 1111 1111", "1"))),
    ("user agent", exchange(b"{}", ("User-Agent", f"tool/1.0 ({SECRET})"))),
    ("accept", exchange(b"{}", ("Accept", f"application/json; note={SECRET}"))),
    ("connection", exchange(b"{}", ("Connection", SECRET))),
    ("content type parameter", typed(b"{}", f"application/json; note={SECRET}")),
    ("cookie", exchange(b"{}", ("Cookie", f"a=1; pref={SECRET}"))),
    ("session cookie that is no token", exchange(b"{}", ("Cookie", f"sessionid={SECRET}"))),
    ("api key that is no token", exchange(b"{}", ("X-Api-Key", SECRET))),
    ("authorization that is no token", exchange(b"{}", ("Authorization", f"Bearer {SECRET}"))),
    ("sub-protocol", exchange(b"{}", ("Sec-WebSocket-Protocol", f"realtime, {SECRET}"))),
    ("MCP parameter header", exchange(b"{}", ("Mcp-Param-Card", f"=?base64?{base64.b64encode(S).decode()}?="))),
    ("JSON key", chat(metadata={SECRET: 1})),
    ("JSON key in tool arguments", chat(input=[{"arguments": json.dumps({SECRET: 1})}])),
    ("unknown field", chat(brand_new={"deep": [[{"er": SECRET}]]})),
    ("model", chat(model=SECRET)),
    ("stop sequence", chat(stop=[SECRET])),
    ("user field", chat(user=SECRET)),
    ("tool description", chat(tools=[{"type": "function", "function": {"name": "f", "description": SECRET}}])),
    ("tool schema enum", chat(tools=[{"type": "function", "function": {"parameters": {"enum": [SECRET]}}}])),
    ("MCP header that is no credential", chat(tools=[{"type": "mcp", "headers": {"X-Note": SECRET}}])),
    ("MCP authorization that is no token", chat(tools=[{"type": "mcp", "authorization": SECRET}])),
    ("unknown role", chat(messages=[{"role": "narrator", "content": SECRET}])),
    ("unknown part type", chat(messages=[{"role": "user", "content": [{"type": "new", "new": SECRET}]}])),
    ("reasoning", chat(messages=[{"role": "assistant", "content": None, "reasoning_content": SECRET}])),
    ("ciphertext's place", chat(input=[{"type": "reasoning", "encrypted_content": SECRET}])),
    ("image's place", chat(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": SECRET}]}])),
    ("file id", chat(messages=[{"role": "user", "content": [{"type": "file", "file": {"file_id": SECRET}}]}])),
    ("first of two keys", exchange(RAW[:-1] + b',"messages":[{"role":"user","content":"hi"}]}')),
    ("second of two keys", exchange(b'{"messages":[{"role":"user","content":"hi"}],' + RAW[1:])),
    ("second document", exchange(b'{"model":"m"}\n' + RAW)),
    ("text after the document", exchange(b'{"model":"m"} and ' + S)),
    ("base64 in an unknown field", chat(blob=B64)),
    ("base64 file", chat(messages=[{"content": [{"type": "file", "file": {"file_data": B64}}]}])),
    ("data URL of text", chat(messages=[{"content": [{"file": {"file_data": f"data:text/plain;base64,{B64}"}}]}])),
    ("data URL in an unknown field", chat(blob=f"data:application/x-new;base64,{B64}")),
    ("percent-encoded data URL", chat(blob="data:,4111%201111%201111%201111")),
    ("text declared as an image", chat(messages=[{"content": [{"image_url": f"data:image/png;base64,{B64}"}]}])),
    ("parameter of a data URL", chat(blob=f"data:text/plain;note={SECRET};base64,aGk=")),
    ("list as the whole body", exchange(json.dumps([[SECRET]]).encode(), path="/x")),
    ("string as the whole body", exchange(json.dumps(SECRET).encode(), path="/x")),
    ("JSON in JSON in JSON", chat(blob=json.dumps({"a": json.dumps({"b": json.dumps({"c": f"\\{SECRET}\n"})})}))),
    ("escaped JSON in a tool result", chat(messages=[{"role": "tool", "content": ESCAPED}])),
    ("form value", typed(b"a=1&note=4111+1111+1111+1111", "application/x-www-form-urlencoded")),
    ("form name", typed(b"4111+1111+1111+1111=", "application/x-www-form-urlencoded")),
    ("JSON in a form value", typed(b"v=%7B%22a%22%3A%22" + S + b"%22%7D", "application/x-www-form-urlencoded")),
    ("multipart field", typed(NAME + b'a"\r\n\r\n' + S + b"\r\n--b--\r\n", FORM)),
    ("multipart field name", typed(NAME + S + b'"\r\n\r\nx\r\n--b--\r\n', FORM)),
    ("multipart file name", typed(NAME + b'f"; filename="' + S + b'.png"\r\n\r\nx\r\n--b--\r\n', FORM)),
    ("multipart file", typed(NAME + b'f"; filename="a"\r\n\r\n' + S + b"\r\n--b--\r\n", FORM)),
    ("multipart header", typed(NAME + b'f"\r\nX-Note: ' + S + b"\r\n\r\nx\r\n--b--\r\n", FORM)),
    ("multipart preamble", typed(S + b"\r\n" + NAME + b'f"\r\n\r\nx\r\n--b--\r\n', FORM)),
    ("multipart epilogue", typed(NAME + b'f"\r\n\r\nx\r\n--b--\r\n' + S, FORM)),
    ("multipart field in UTF-16", typed(NAME + b'f"\r\n\r\n' + SECRET.encode("utf-16-le") + b"\r\n--b--\r\n", FORM)),
    ("binary body", typed(b"\x00\x01\xff\xfe" * 9 + S + b"\x00" * 9, "application/octet-stream")),
    ("gRPC message", typed(b"\0\0\0\0\x15\x0a\x13" + S, "application/grpc")),
]


@pytest.mark.parametrize("sent", [case[1] for case in PLACES], ids=[case[0] for case in PLACES])
@pytest.mark.parametrize("dialect", ["openai", "opaque"])
def test_places(sent: Exchange, dialect: str) -> None:
    """Wherever in a request the secret stands, a detector sees it: body, file, key, header, cookie, query or path."""
    assert seen(sent, dialect)


def test_number_as_text() -> None:
    """A card number sent as a JSON number is text to the detectors, in arguments and anywhere else."""
    arguments = json.dumps({"card": 4111111111111111, "other": 5500005555555559.0})
    call = {"function": {"name": "pay", "arguments": arguments}}
    messages = [{"role": "assistant", "tool_calls": [call]}, {"role": "user", "content": 6011111111111117}]
    sent = chat(messages=messages, note=[378282246310005])
    texts = [part.text for part in understand(sent, "openai").parts]
    assert {"4111111111111111", "5500005555555559.0", "378282246310005", "6011111111111117"} <= set(texts)


def test_long_text_is_never_cut() -> None:
    """The end of a very long message is a part like its beginning."""
    long = "x" * 2_000_000 + SECRET
    assert verdict(chat(messages=[{"role": "user", "content": long}])) == "read"


def test_unreadable_bodies_are_read_as_far_as_they_go() -> None:
    """Declared gzip over plain JSON is refused; what it says is in the parts all the same, for sites that observe."""
    sent = coded(RAW, "gzip")
    assert seen(sent)
    assert verdict(sent) == Opacity.CORRUPT_CODING


@pytest.mark.parametrize(
    "literal",
    [
        "4539578763621486.0",
        "4539578763621486.5",
        "4539578763621486e0",
        "4539578763621486E+0",
        "0.4539578763621486e16",
        "4.539578763621486e15",
        "4539578763621486000e-3",
        "4539578763621486e-10",
        "4539578763621486e-999",
        "4539578763621486e999",
        "-4539578763621486.0",
    ],
)
def test_number_as_float(literal: str) -> None:
    """A card number written with a point or an exponent gives its digits to the detectors, whatever its value."""
    raw = b'{"messages": [{"role": "user", "content": "x"}], "note": %s}' % literal.encode()
    texts = [part.text for part in understand(exchange(raw), "openai").parts]
    assert "4539578763621486" in texts
    assert literal in texts


def test_small_floats_are_no_parts() -> None:
    """Embeddings, temperatures and prices make no work for the detectors."""
    raw = b'{"messages": [], "input": [0.0123456789012345, -1.2345678901234567e-05, 1e-3, 12.5, 999999.75]}'
    assert understand(exchange(raw), "openai").parts == ()


def test_multipart_field_named_stream() -> None:
    """A field with a known name and an unknown value is text."""
    part = f'--b\r\nContent-Disposition: form-data; name="stream"\r\n\r\n{SECRET}\r\n--b--\r\n'
    sent = exchange(part.encode(), ("content-type", "multipart/form-data; boundary=b"), path="/v1/audio/transcriptions")
    assert SECRET in [p.text for p in understand(sent, "openai").parts]


def test_repeated_body_credential() -> None:
    """The second of two equal keys in the headers of an MCP server is text."""
    raw = (
        b'{"input": "x", "tools": [{"type": "mcp", "server_label": "s", "server_url": "https://m.example.com", '
        b'"headers": {"Authorization": "Bearer first", "Authorization": "Bearer second"}}]}'
    )
    found = understand(exchange(raw, path="/v1/responses"), "openai")
    assert [c.value for c in found.credentials] == ["first"]
    assert any("second" in p.text for p in found.parts)
