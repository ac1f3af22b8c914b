"""Answers are read for what they say of themselves, however they are cut and coded, and never in the traffic's way."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterable

import brotli
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.answers import reader as reader_module
from sluice.answers import reader_for
from sluice.answers.events import LONGEST
from sluice.answers.formats import FORMATS
from sluice.answers.prune import Pruner, Tree, Unreadable
from sluice.answers.reader import WHOLE, Reader
from sluice.model import Answered
from tests.answers.answer_samples import CHAT, CHAT_TOLD, RESPONSE, SAMPLES, SECRET, Sample, chat_chunk, events

BY_NAME = {s.name: s for s in SAMPLES}
CODINGS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


def read(sample: Sample, chunks: Iterable[bytes], coding: str = "", *, aborted: bool = False) -> Answered | None:
    reader = reader_for(sample.dialect, sample.path, 200, coding)
    assert reader is not None
    for chunk in chunks:
        reader.feed(chunk)
    return reader.end(aborted=aborted)


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
def test_what_an_answer_says_is_read(sample: Sample) -> None:
    """Model, id, tokens, end and tool calls of every family and form, whole and in pieces of one, seven and 1,400."""
    assert read(sample, [sample.body]) == sample.told
    for size in (1, 7, 1400) if len(sample.body) < 50_000 else (7, 1400):
        assert read(sample, pieces(sample.body, size)) == sample.told, size


THIN = b"".join(hashlib.sha256(b"%d" % n).hexdigest()[:12].encode() + b" " * 1_500 for n in range(12_000))
"""Text that shrinks some hundred times: less than the bound for a whole answer, and too much for one chunk."""
UNFOLDING = {
    "empty lines": ("gzip", gzip.compress(b"data: {}\n\n" + b"\n" * 4_000_000), "too many lines"),
    "events of nothing": ("br", brotli.compress(b'data: {"model":1}\n\n' * 200_000), "too many lines"),
    "blanks in a text": ("gzip", gzip.compress(b'{"x":"' + THIN), "at once"),
    "members of nothing": ("gzip", gzip.compress(b'{"id":"x",') + gzip.compress(b"") * 3_000, "too many members"),
    "frames of nothing": ("zstd", CODINGS["zstd"](b'{"id":"x",') + CODINGS["zstd"](b"") * 3_000, "too many frames"),
}


@pytest.mark.parametrize("name", UNFOLDING)
def test_one_chunk_has_bounded_work(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a small chunk unfolds to ends the reading in that chunk: the event loop serves others meanwhile. The client
    gets the bytes, and the fault is counted once."""
    coding, wire, why = UNFOLDING[name]
    reader = reader_for("openai", "/v1/chat/completions", 200, coding)
    assert reader is not None
    faults: list[str] = []
    monkeypatch.setattr(reader_module.Reader, "_fail", _noting(faults, reader_module.Reader._fail))
    for chunk in pieces(wire, 64 * 1024):
        reader.feed(chunk)
    reader.end()
    assert len(faults) == 1
    assert why in faults[0]


def _noting(faults: list[str], fail: Callable[[Reader, Exception], None]) -> Callable[[Reader, Exception], None]:
    def noting(self: Reader, error: Exception) -> None:
        faults.append(str(error))
        fail(self, error)

    return noting


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
def test_codings_are_undone_as_they_stream(sample: Sample, coding: str) -> None:
    """gzip, deflate, br and zstd, in one piece and cut into many."""
    wire = CODINGS[coding](sample.body)
    assert read(sample, [wire], coding) == sample.told
    assert read(sample, pieces(wire, 11), coding) == sample.told


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([s for s in SAMPLES if len(s.body) < 20_000]),
    st.lists(st.integers(1, 400), min_size=1, max_size=40),
    st.sampled_from(["", *CODINGS]),
)
def test_any_cut_gives_the_same_reading(sample: Sample, sizes: list[int], coding: str) -> None:
    """Where the network cuts an answer changes nothing of what is read."""
    wire = CODINGS[coding](sample.body) if coding else sample.body
    chunks, at = [], 0
    for size in sizes * (len(wire) // sum(sizes) + 1):
        chunks.append(wire[at : at + size])
        at += size
    assert read(sample, chunks, coding) == sample.told


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(json_values, st.integers(1, 9), st.booleans())
def test_pruning_passes_over_anything_that_is_json(value: object, size: int, ascii_only: bool) -> None:
    """Beside wanted keys any JSON may stand, escaped or not, cut anywhere; the wanted keys come out unchanged."""
    tree: Tree = {b"model": {}, b"usage": {b"n": {}}, b"items": {b"name": {}}}
    document = {"x": value, "model": SECRET, "items": [{"name": "a", "y": value}, {"z": value}], "usage": {"n": 3}}
    out: list[bytes] = []
    pruner = Pruner(tree, out.append)
    for piece in pieces(json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"), size):
        pruner.feed(piece)
    pruner.finish()
    wanted = {"model": SECRET, "items": [{"name": "a"}, {}], "usage": {"n": 3}}
    assert [json.loads(o) for o in out] == [wanted]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SAMPLES), st.binary(max_size=300), st.integers(0, 2000), st.sampled_from(["", *CODINGS]))
def test_no_answer_breaks_the_stream(sample: Sample, noise: bytes, at: int, coding: str) -> None:
    """Whatever bytes an upstream sends, the reader takes them without raising, and lets go of them at the end."""
    body = sample.body[:4000]
    at %= len(body)
    reader = reader_for(sample.dialect, sample.path, 200, coding)
    assert reader is not None
    for chunk in (body[:at], noise, body[at:]):
        reader.feed(chunk)
    reader.end()
    assert reader._held == b""
    assert reader._events is reader._pruner is reader._undo is None


HOSTILE = {
    "deep": b'{"x":' + b"[" * 3_000_000,
    "deep where it counts": b'{"choices":' + b"[" * 300_000,
    "brackets that differ": b'{"id":"a"]' + b" " * WHOLE,
    "endless text": b'{"x":"' + b"a" * 3_000_000,
    "endless wanted text": b'{"model":"' + b"a" * 3_000_000,
    "endless number": b'{"usage":{"prompt_tokens":' + b"1" * 3_000_000,
    "endless key": b'{"' + b"k" * 3_000_000,
    "endless choices": b'{"choices":[' + b'{"index":0},' * 300_000,
    "endless line": b"data: " + b"x" * 3_000_000,
    "endless event": b"data: {}\n" * 300_000,
    "endless other field": b"data: {}\nnote: " + b"x" * 3_000_000,
    "backslashes": b'{"x":"' + b"\\" * 3_000_001,
    "nothing but space": b" " * 3_000_000,
    "no JSON": b"<html>" * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_held_is_bounded(name: str) -> None:
    """An answer that never ends, nests without end or wants to be held costs a bounded amount of memory."""
    reader = reader_for("openai", "/v1/chat/completions", 200, "")
    assert reader is not None
    for chunk in pieces(HOSTILE[name], 16_384):
        reader.feed(chunk)
        held = len(reader._held)
        if reader._events is not None:
            held += len(reader._events._line) + len(reader._events._data or b"")
        pruner = reader._pruner or (reader._events and reader._events._pruner)
        if pruner:
            held += len(pruner._out) + len(pruner._key or b"") + 16 * len(pruner._stack)
        assert held <= WHOLE + LONGEST + 2 * 16_384
    reader.end()


@pytest.mark.parametrize("coding", CODINGS)
def test_a_bomb_ends_the_reading(coding: str) -> None:
    """An answer that expands a thousandfold is not expanded further than a bound, and the client gets it anyway."""
    bomb = CODINGS[coding](b'{"x":"' + b"a" * 300_000_000)
    reader = reader_for("openai", "/v1/chat/completions", 200, coding)
    assert reader is not None
    for chunk in pieces(bomb, 16_384):
        reader.feed(chunk)
    assert reader._undo is None, "the reading ended before the answer did"
    assert reader.end() is None


def test_an_answer_that_breaks_off_says_what_it_said() -> None:
    """Names and calls of a stream that ends in the middle are kept, tokens that were not told are not made up."""
    sample = BY_NAME["chat-stream"]
    cut = sample.body[: sample.body.index(b'"usage": {')]
    told = read(sample, [cut], aborted=True)
    assert told is not None
    assert (told.model, told.id, told.calls) == (CHAT_TOLD.model, CHAT_TOLD.id, CHAT_TOLD.calls)
    assert told.tokens_in is None
    assert told.tokens_out is None


@pytest.mark.parametrize(
    ("dialect", "path", "status", "coding"),
    [
        ("openai", "/v1/chat/completions", 400, ""),
        ("openai", "/v1/chat/completions", 200, "gzip, br"),
        ("openai", "/v1/chat/completions", 200, "compress"),
        ("opaque", "/anything", 200, ""),
    ],
)
def test_what_cannot_be_read_has_no_reader(dialect: str, path: str, status: int, coding: str) -> None:
    """Errors, unknown formats and codings are passed on without a look."""
    assert reader_for(dialect, path, status, coding) is None


def test_values_of_the_wrong_kind_are_not_taken() -> None:
    """A model that is a number, tokens that are a text, negative or beyond counting leave their fields empty."""
    body = {"id": 7, "model": ["x"], "usage": {"prompt_tokens": "9", "completion_tokens": -4, "total_tokens": 2**60}}
    assert read(BY_NAME["chat"], [json.dumps(body).encode()]) is None
    usage = {"prompt_tokens": True, "completion_tokens": 2**60}
    assert read(BY_NAME["chat"], [json.dumps({"id": "a", "usage": usage}).encode()]) == Answered(id="a")


def test_events_over_several_lines_are_one() -> None:
    """Data lines of one event are one document, as the standard has it, short or long."""
    for filler in ("x", SECRET * 1000):
        text = json.dumps(CHAT | {"note": filler}, indent=1)
        body = "".join(f"data: {line}\n" for line in text.split("\n")).encode() + b"\n"
        assert read(BY_NAME["chat-stream"], pieces(body, 5000)) == CHAT_TOLD


def test_an_event_without_its_empty_line_counts() -> None:
    """A service that ends a stream without the last empty line has told its tokens all the same."""
    body = events(chat_chunk({}, usage={"prompt_tokens": 3}))[:-2]
    told = read(BY_NAME["chat-stream"], [body])
    assert told is not None
    assert told.tokens_in == 3


def test_no_text_is_reachable_after_the_end() -> None:
    """Nothing of the answer's own text is in what was read, nor in how it prints."""
    for sample in SAMPLES:
        told = read(sample, [sample.body])
        texts = [getattr(told, name) for name in Answered.__struct_fields__]
        assert SECRET not in str(texts)
        assert str(CHAT_TOLD.model) not in repr(told)


def test_the_pruned_document_reads_like_the_whole() -> None:
    """What is pruned and what is decoded come from one list of keys."""
    for name in ("responses", "messages", "chat", "generate"):
        sample = BY_NAME[name]
        form = FORMATS[sample.dialect]
        out: list[bytes] = []
        Pruner(form.tree, out.append).feed(sample.body)
        assert form.decode(out[0]) == form.decode(sample.body)
        assert len(out[0]) < len(sample.body)


def test_brackets_that_disagree_end_the_pruning() -> None:
    """A closing bracket of the wrong kind is no JSON."""
    with pytest.raises(Unreadable):
        Pruner({b"a": {}}, lambda _: None).feed(b'{"a":1]')


def test_escaped_keys_are_known() -> None:
    """A key that is written with escapes is the same key, in a long answer as in a short one."""
    out: list[bytes] = []
    Pruner({b"model": {}}, out.append).feed(json.dumps({"x": RESPONSE}).encode()[:-1] + b', "m\\u006fdel": "m"}')
    assert out == [b'{"model":"m"}']
