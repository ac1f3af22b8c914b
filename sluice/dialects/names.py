"""What a client's own words become before a record may hold them: words that are known, and names of bounded shape.

Detectors look at these texts too, but they know only secrets that have a form. A password in a sentence has none, and a
key that was put into lower case has lost it. So a coding, a media type and a method are recorded only when they are on
a list of this page, and a model, a tool or a server only when it looks as such names do.
"""

from __future__ import annotations

import re

from sluice.dialects.words import listed

OTHER = "other"
"""Stands in a record for a word that is on no list."""
CODINGS = listed("br compress deflate gzip identity zstd")
"""Content codings that a record names (of those that IANA registers, the ones that AI services or clients use)."""
VERSIONS = listed("HTTP/0.9 HTTP/1.0 HTTP/1.1 HTTP/2 HTTP/2.0 HTTP/3 HTTP/3.0")
METHODS = listed("GET HEAD POST PUT PATCH DELETE OPTIONS CONNECT TRACE")
"""RFC 9110 and RFC 5789."""
MEDIA_TYPES = listed(
    """
    application/connect+json application/connect+proto application/epub+zip application/geo+json application/grpc
    application/grpc+json application/grpc+proto application/grpc-web application/grpc-web+proto application/gzip
    application/javascript application/json application/json-patch+json application/json-seq application/jsonl
    application/jsonlines application/ld+json application/merge-patch+json application/msgpack application/msword
    application/octet-stream application/ogg application/pdf application/problem+json application/proto
    application/protobuf application/rtf application/sdp application/sql application/toml
    application/vnd.amazon.eventstream application/vnd.android.package-archive application/vnd.api+json
    application/vnd.apache.arrow.stream application/vnd.apache.parquet application/vnd.google.protobuf
    application/vnd.ms-excel application/vnd.ms-outlook application/vnd.ms-powerpoint application/vnd.msgpack
    application/vnd.oasis.opendocument.presentation application/vnd.oasis.opendocument.spreadsheet
    application/vnd.oasis.opendocument.text application/vnd.openxmlformats-officedocument.presentationml.presentation
    application/vnd.openxmlformats-officedocument.spreadsheetml.sheet
    application/vnd.openxmlformats-officedocument.wordprocessingml.document application/vnd.rar application/wasm
    application/x-7z-compressed application/x-amz-json-1.0 application/x-amz-json-1.1 application/x-bzip2
    application/x-gzip application/x-httpd-php application/x-ipynb+json application/x-javascript application/x-jsonlines
    application/x-ndjson application/x-protobuf application/x-python application/x-sh application/x-tar
    application/x-tex application/x-typescript application/x-www-form-urlencoded application/x-yaml
    application/x-zip-compressed application/xhtml+xml application/xml application/yaml application/zip application/zstd
    audio/aac audio/aiff audio/amr audio/basic audio/flac audio/l16 audio/m4a audio/midi audio/mp3 audio/mp4 audio/mpeg
    audio/mpga audio/ogg audio/opus audio/pcm audio/pcm16 audio/pcma audio/pcmu audio/wav audio/wave audio/webm
    audio/x-aiff audio/x-flac audio/x-m4a audio/x-mp3 audio/x-mpeg audio/x-wav
    font/otf font/ttf font/woff font/woff2
    image/apng image/avif image/bmp image/gif image/heic image/heif image/jpeg image/jpg image/png image/svg+xml
    image/tiff image/vnd.microsoft.icon image/webp image/x-icon image/x-ms-bmp
    message/rfc822
    multipart/alternative multipart/form-data multipart/mixed multipart/related
    text/calendar text/css text/csv text/event-stream text/html text/javascript text/jsx text/markdown text/md
    text/plain text/richtext text/rtf text/tab-separated-values text/tsx text/vcard text/x-c text/x-c++ text/x-c++src
    text/x-csharp text/x-csrc text/x-golang text/x-go text/x-java text/x-java-source text/x-kotlin text/x-log
    text/x-markdown text/x-php text/x-python text/x-python-script text/x-ruby text/x-rust text/x-script.python text/x-sh
    text/x-sql text/x-tex text/x-typescript text/x-yaml text/xml text/yaml
    video/3gpp video/avi video/flv video/mov video/mp4 video/mpeg video/mpegps video/mpg video/ogg video/quicktime
    video/webm video/wmv video/x-flv video/x-matroska video/x-ms-wmv video/x-msvideo
    """
)
"""Media types that a record names: of IANA's registry, and of what services document, those that requests carry."""
_HOST = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}|[0-9a-f:]{2,39}(?:(?:\d{1,3}\.){3}\d{1,3})?")
_NAME = re.compile(r"[A-Za-z0-9@_][A-Za-z0-9._:/@+-]{0,159}")
"""One word of ASCII. A Bedrock ARN has about 90 characters, an MCP tool with its server (`mcp:label/tool`) up to 133;
`@cf/meta/llama-3` and `_internal_tool` begin as they do."""


def coding(text: str) -> str:
    """A content coding by its lower-case name, or `other`."""
    return text if text in CODINGS else OTHER


def media_type(text: str | None) -> str | None:
    """A media type of the list in lower case, without parameters; `other` for another, None or empty for none."""
    if not text:
        return text
    if text in MEDIA_TYPES:
        return text
    plain = text.partition(";")[0].strip().lower() if len(text) < 256 else ""
    return plain if plain in MEDIA_TYPES else OTHER


def method(text: str) -> str:
    """A method of HTTP as it was sent, or `other`."""
    return text if text in METHODS else OTHER


def version(text: str) -> str:
    """A version of HTTP as it was sent, or `other`."""
    return text if text in VERSIONS else OTHER


def is_host(text: str) -> bool:
    """Whether `text` is a host as `normalise_host` spells it: labels of a DNS name in ASCII, or an address."""
    return len(text) <= 253 and _HOST.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether `text` has the shape of a model's, a tool's or a server's name: prose and passwords in it have not."""
    return _NAME.fullmatch(text) is not None
