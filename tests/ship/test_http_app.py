"""The protocol: places of a statement, formats, credentials, errors, limits, compression, and how answers end."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterator

import brotli
import lz4.frame
import pytest
import zstandard

from sluice.ship.http import coding, listener
from sluice.ship.http.app import HELD_BYTES
from tests.ship.http_rig import BASIC, PASSWORD, ROWS, Served, serving

BIG = "SELECT number, toString(number) AS s, cityHash64(number) AS h FROM numbers(300000)"
BREAKS = "SELECT number, parseDateTimeBestEffort(number = 899999 ? 'bad' : '2020-01-01 00:00:00') FROM numbers(900000)"
"""Fails after megabytes of answer."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("http-app")) as running:
        yield running


@pytest.mark.parametrize(("path", "method"), [("/ping", "GET"), ("/replicas_status", "GET"), ("/", "GET")])
def test_health_checks_need_no_password(served: Served, path: str, method: str) -> None:
    """Load balancers and clients ask these before they log in."""
    reply = served.ask(method=method, path=path, auth=None)
    assert (reply.status, reply.body) == (200, b"Ok.\n")
    assert served.ask(method="HEAD", path=path, auth=None).status == 200


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/play", "GET", 404), ("/etc", "POST", 404), ("/", "PUT", 405)]
)
def test_nothing_else_is_there(served: Served, path: str, method: str, status: int) -> None:
    """No console, no other path, no other method."""
    assert served.ask("x", method=method, path=path).status == status


def test_a_statement_in_the_query_string_in_the_body_and_in_both(served: Served) -> None:
    """GET with `query`, POST with a body, POST with a query that the body goes on with."""
    assert served.ask(method="GET", query="SELECT 1").body == b"1\n"
    assert served.ask("SELECT 1").body == b"1\n"
    assert served.ask("1 + 1", query="SELECT").body == b"2\n"
    assert served.ask("", query="SELECT 3").body == b"3\n"


def test_the_format_comes_from_the_clause_the_header_or_the_default(served: Served) -> None:
    """FORMAT in the statement wins; then `default_format`, then X-ClickHouse-Format; TabSeparated without any."""
    sql = "SELECT 1 AS a"
    assert served.ask(sql).headers["x-clickhouse-format"] == "TabSeparated"
    assert served.ask(sql, headers={"X-ClickHouse-Format": "JSONEachRow"}).body == b'{"a":1}\n'
    assert served.ask(sql, headers={"X-ClickHouse-Format": "CSV"}, default_format="JSONEachRow").body == b'{"a":1}\n'
    reply = served.ask(f"{sql} FORMAT CSVWithNames", default_format="JSONEachRow")
    assert reply.body == b'"a"\n1\n'
    assert reply.headers["x-clickhouse-format"] == "CSVWithNames"
    assert reply.headers["content-type"] == "text/csv; charset=UTF-8; header=present"
    assert served.ask(sql, default_format="Template").code == 73


@pytest.mark.parametrize("form", ["JSON", "JSONCompact", "XML", "Parquet", "ArrowStream", "Native", "Pretty", "Values"])
def test_an_answer_is_one_document_however_long(served: Served, form: str) -> None:
    """Formats with a head and a foot have them once, also when the answer was streamed."""
    reply = served.ask("SELECT number FROM numbers(400000)", default_format=form)
    assert reply.status == 200
    if form == "JSON":
        assert len(json.loads(reply.body)["data"]) == 400_000
    if form == "Parquet":
        assert reply.body[:4] == reply.body[-4:] == b"PAR1"


def test_the_response_headers_are_clickhouses(served: Served) -> None:
    """Query id, summary, format, time zone, server name; the query id is the client's when it sent one."""
    reply = served.ask("SELECT count() FROM events", query_id="my-query.1")
    assert reply.headers["x-clickhouse-query-id"] == "my-query.1"
    assert len(served.ask("SELECT 1", query_id="no good\r\nx: y").headers["x-clickhouse-query-id"]) == 36
    assert reply.headers["x-clickhouse-server-display-name"] == "sluice"
    assert "/" in reply.headers["x-clickhouse-timezone"]
    summary = json.loads(served.ask("SELECT sum(seq) FROM events").headers["x-clickhouse-summary"])
    assert summary["read_rows"] == str(2 * ROWS)
    assert int(summary["elapsed_ns"]) > 0


def test_parameters_have_types(served: Served) -> None:
    """`param_x` fills `{x:Type}`, escaped as ClickHouse wants it; a value of another type is an error of its own."""
    sql = "SELECT {n:UInt8} AS n, {s:String} AS s, {l:Array(String)} AS l, {d:Nullable(Date)} AS d"
    reply = served.ask(sql, default_format="JSONEachRow", param_n="7", param_s="a\\tb", param_l="['x']", param_d="\\N")
    assert json.loads(reply.body) == {"n": 7, "s": "a\tb", "l": ["x"], "d": None}
    assert served.ask("SELECT {n:UInt8}", param_n="x").code == 457
    assert served.ask("SELECT {n:UInt8}").code == 456
    assert served.ask("SELECT count() FROM events LIMIT {n:UInt8}", param_n="1").body == f"{2 * ROWS}\n".encode()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_three_places_for_the_password(served: Served) -> None:
    """Basic, X-ClickHouse-User and -Key, and the fields `user` and `password`."""
    assert served.ask("SELECT 1").status == 200
    keys = {"X-ClickHouse-User": "sluice", "X-ClickHouse-Key": PASSWORD}
    assert served.ask("SELECT 1", auth=None, headers=keys).status == 200
    assert served.ask("SELECT 1", auth=None, user="sluice", password=PASSWORD).status == 200


@pytest.mark.parametrize(
    ("auth", "headers", "fields", "code", "status"),
    [
        (None, {}, {}, 194, 401),
        (basic("sluice", "wrong"), {}, {}, 516, 403),
        (basic("sluice", ""), {}, {}, 516, 403),
        (basic("default", PASSWORD), {}, {}, 516, 403),
        (basic("", PASSWORD), {}, {}, 516, 403),
        ("Basic !!!", {}, {}, 516, 403),
        ("Basic " + base64.b64encode(b"sluice").decode(), {}, {}, 516, 403),
        ("Bearer " + PASSWORD, {}, {}, 516, 403),
        (None, {"X-ClickHouse-User": "sluice"}, {}, 516, 403),
        (None, {"X-ClickHouse-Key": PASSWORD}, {}, 516, 403),
        (None, {}, {"user": "sluice"}, 516, 403),
        (None, {}, {"password": PASSWORD}, 516, 403),
        (BASIC, {"X-ClickHouse-User": "sluice", "X-ClickHouse-Key": PASSWORD}, {}, 516, 403),
        (BASIC, {}, {"user": "sluice", "password": "wrong"}, 516, 403),
    ],
)
def test_who_may_not_ask(
    served: Served, auth: str | None, headers: dict[str, str], fields: dict[str, str], code: int, status: int
) -> None:
    """No credentials, wrong ones, half ones, unknown schemes, and two places at once. The password is not repeated."""
    reply = served.ask("SELECT 1", auth=auth, headers=headers, **fields)
    assert (reply.code, reply.status) == (code, status)
    assert PASSWORD.encode() not in reply.body
    assert (status == 401) == ("www-authenticate" in reply.headers)


@pytest.mark.parametrize(
    ("sql", "code", "status"),
    [
        ("SELEC 1", 62, 400),
        ("SELECT nothing FROM events", 47, 404),
        ("SELECT 1 FROM nowhere", 60, 404),
        ("SELECT nofunction(1)", 497, 403),
        ("SELECT toInt8('x')", 6, 400),
        ("SELECT file('/etc/passwd')", 497, 403),
        ("INSERT INTO events (seq) VALUES (1)", 164, 403),
        ("SELECT 1 FORMAT NoSuch", 73, 404),
        ("SELECT 1 FORMAT Template", 73, 404),
        ("SELECT repeat('x', 1000000000)", 241, 500),
        ("SELECT groupArray(toString(number)) FROM numbers(100000000)", 241, 500),
        ("SELECT number FROM numbers(20000000) FORMAT Null", 396, 500),
        ("SELECT toDecimal32(1, 100)", 69, 500),
    ],
)
def test_errors_are_clickhouses_own(served: Served, sql: str, code: int, status: int) -> None:
    """Code in the header, `Code: N. DB::Exception: ...` with name and version in the body, and the server's status."""
    reply = served.ask(sql)
    assert (reply.code, reply.status) == (code, status), reply.body
    text = reply.body.decode()
    assert text.startswith(f"Code: {code}. DB::Exception: ")
    assert "parseQueryToJSON" not in text
    assert "/proc/self" not in text
    assert text.rstrip().endswith(")")
    assert "(version " in text


def test_settings_hold_for_one_request(served: Served) -> None:
    """A setting takes effect, and neither the next request nor one on the same connection sees it."""
    sql = "SELECT value FROM system.settings WHERE name = 'max_block_size'"
    plain = served.ask(sql).body
    assert served.ask(sql, max_block_size="777").body == b"777\n"
    assert served.ask(sql).body == plain
    connection = served.connect()
    answers = []
    for target in ("/?max_block_size=555", "/"):
        connection.request("POST", target, sql, {"Authorization": BASIC})
        answers.append(connection.getresponse().read())
    connection.close()
    assert answers == [b"555\n", plain]


def test_settings_change_what_is_shown(served: Served) -> None:
    """Presentation and meaning: quoting, date format, time zone, NULLs of joins."""
    sql = "SELECT toUInt64(1) AS n"
    assert (
        served.ask(sql, default_format="JSONEachRow", output_format_json_quote_64bit_integers="1").body
        == b'{"n":"1"}\n'
    )
    date = "SELECT toDateTime(0)"
    assert served.ask(date, date_time_output_format="iso").body == b"1970-01-01T00:00:00Z\n"
    zoned = served.ask(date, session_timezone="Asia/Tokyo")
    assert zoned.body == b"1970-01-01 09:00:00\n"
    assert zoned.headers["x-clickhouse-timezone"] == "Asia/Tokyo"


@pytest.mark.parametrize(
    ("fields", "code", "status"),
    [
        ({"nonsense": "1"}, 115, 404),
        ({"max_network_bandwidth": "1"}, 452, 500),
        ({"format_schema": "/etc/passwd"}, 452, 500),
        ({"output_format_schema": "/tmp/x"}, 452, 500),
        ({"format_template_row": "/etc/passwd"}, 452, 500),
        ({"output_format_avro_rows_in_file": "1"}, 452, 500),
        ({"user_files_path": "/"}, 115, 404),
        ({"readonly": "0"}, 164, 403),
        ({"allow_ddl": "1"}, 452, 500),
        ({"implicit_select": "1"}, 452, 500),
        ({"max_execution_time": "x"}, 36, 400),
        ({"max_execution_time": "-1"}, 36, 400),
        ({"max_execution_time": "1e400"}, 36, 400),
        ({"max_execution_time": "nan"}, 36, 400),
        ({"result_overflow_mode": "x', readonly = '0"}, 145, 500),
        ({"name'; SELECT 1": "1"}, 115, 404),
        ({"database": "default2"}, 81, 404),
        ({"database": "system"}, 81, 404),
        ({"default_format": "../x"}, 73, 404),
    ],
)
def test_settings_that_are_refused(served: Served, fields: dict[str, str], code: int, status: int) -> None:
    """Unknown ones, ones that name files or lift the reading, and values that are none."""
    reply = served.ask("SELECT 1", **fields)
    assert (reply.code, reply.status) == (code, status), reply.body


def test_what_clients_send_by_habit_is_accepted(served: Served) -> None:
    """Session ids, progress wishes, insert settings, analyzer switches: no state and no effect, and no error."""
    habits = {
        "session_id": "s1", "session_timeout": "60", "session_check": "0", "wait_end_of_query": "1",
        "send_progress_in_http_headers": "1", "http_headers_progress_interval_ms": "100", "buffer_size": "1",
        "cancel_http_readonly_queries_on_client_close": "1", "date_time_input_format": "best_effort",
        "client_protocol_version": "54405", "async_insert": "1", "insert_deduplication_token": "x", "log_comment": "x",
        "allow_experimental_analyzer": "1", "readonly": "1", "database": "default", "use_client_time_zone": "1",
        "input_format_null_as_default": "1", "connect_timeout": "5",
    }  # fmt: skip
    assert served.ask("SELECT 1", **habits).body == b"1\n"
    assert served.ask("SELECT count() FROM events", database="default").status == 200
    assert served.ask("SELECT count() FROM events", headers={"X-ClickHouse-Database": "sluice"}).status == 200


def test_a_lowered_limit_is_told(served: Served) -> None:
    """Who asks for more than there is reads in the answer what holds; who stays below reads nothing."""
    reply = served.ask("SELECT 1", max_execution_time="9999", max_memory_usage="1000000000000", max_threads="1")
    assert reply.headers["x-sluice-lowered"] == "max_execution_time=30, max_memory_usage=536870912"
    assert "x-sluice-lowered" not in served.ask("SELECT 1", max_execution_time="3").headers


def test_a_settings_clause_says_where_settings_go(served: Served) -> None:
    """What is refused names what works."""
    reply = served.ask("SELECT 1 SETTINGS max_threads = 1")
    assert (reply.code, reply.status) == (497, 403)
    assert b"parameter of the URL" in reply.body


def test_an_unknown_format_is_one_error(served: Served) -> None:
    """In the clause, as `default_format` or in the header: the same code and words."""
    told = {
        (reply.code, reply.status, reply.body)
        for reply in (
            served.ask("SELECT 1 FORMAT NoSuch"),
            served.ask("SELECT 1", default_format="NoSuch"),
            served.ask("SELECT 1", headers={"X-ClickHouse-Format": "NoSuch"}),
        )
    }
    assert len(told) == 1, told


def test_limits_can_be_lowered_and_not_raised(served: Served) -> None:
    """Rows, time, memory: the smaller of what is asked and ours; 0 lifts nothing."""
    assert served.ask("SELECT number FROM numbers(100)", max_result_rows="10").code == 396
    broken = served.ask("SELECT number FROM numbers(100000)", max_result_rows="10", result_overflow_mode="break")
    assert broken.status == 200
    assert len(broken.body.splitlines()) < 100_000
    slow = served.ask("SELECT count() FROM numbers(1e12) WHERE sipHash64(number) = 1", max_execution_time="1")
    assert (slow.code, slow.status) == (159, 408)
    shown = "SELECT value FROM system.settings WHERE name = 'max_memory_usage'"
    assert served.ask(shown, max_memory_usage="0").body == served.ask(shown, max_memory_usage="99999999999").body
    assert served.ask(shown, max_memory_usage="1000000").body == b"1000000\n"


UNDONE = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "br": brotli.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().stream_reader(data).read(),
    "lz4": lz4.frame.decompress,
}


@pytest.mark.parametrize("name", UNDONE)
@pytest.mark.parametrize("sql", ["SELECT 1 AS a", BIG, "SELECT 1 WHERE 0"])
def test_answers_are_compressed_as_asked(served: Served, name: str, sql: str) -> None:
    """Every coding, short and streamed answers; the bytes inside are the same as without."""
    plain = served.ask(sql)
    packed = served.ask(sql, headers={"Accept-Encoding": name}, enable_http_compression="1")
    assert packed.headers.get("content-encoding") == (name if plain.body else None)
    body = UNDONE[name](packed.body) if plain.body else packed.body
    assert body == plain.body
    assert len(packed.body) < len(plain.body) or len(plain.body) < 100


def test_compression_is_the_clients_choice(served: Served) -> None:
    """None without Accept-Encoding or with the switch off; errors are always plain; unknown codings are passed over."""
    assert "content-encoding" not in served.ask("SELECT 1").headers
    off = served.ask("SELECT 1", headers={"Accept-Encoding": "gzip"}, enable_http_compression="0")
    assert off.body == b"1\n"
    refused = served.ask("SELECT 1", headers={"Accept-Encoding": "snappy, gzip;q=0, br;q=0.000"})
    assert "content-encoding" not in refused.headers
    assert served.ask("SELEC", headers={"Accept-Encoding": "gzip"}).body.startswith(b"Code: 62")


def test_clickhouses_own_compression(served: Served) -> None:
    """`compress=1`: blocks with checksums, also inside a content coding; `decompress=1` reads such a body."""
    plain = served.ask(BIG).body
    assert coding.unblocked(served.ask(BIG, compress="1").body, 2**30) == plain
    both = served.ask(BIG, headers={"Accept-Encoding": "gzip"}, compress="1")
    assert coding.unblocked(gzip.decompress(both.body), 2**30) == plain
    assert served.ask(coding.block(b"SELECT 1"), decompress="1").body == b"1\n"
    assert served.ask("SELECT 1", decompress="1").code == 36


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("br", brotli.compress),
        ("zstd", zstandard.ZstdCompressor().compress),
        ("lz4", lz4.frame.compress),
    ],
)
def test_compressed_bodies(served: Served, name: str, pack: object) -> None:
    """Every coding is read; a bomb is refused within its bound, a damaged body with an error."""
    assert callable(pack)
    assert served.ask(pack(b"SELECT 1"), headers={"Content-Encoding": name}).body == b"1\n"
    bomb = served.ask(pack(b"SELECT " + b" " * 50_000_000), headers={"Content-Encoding": name})
    assert bomb.code in (36, 229), bomb.body
    damaged = served.ask(pack(b"SELECT 1")[:-3], headers={"Content-Encoding": name})
    assert damaged.code in (36, 62), damaged.body
    assert served.ask("SELECT 1", headers={"Content-Encoding": "snappy"}).code == 48


@pytest.mark.parametrize("body", [b"x" * 2_000_000, b""])
def test_the_body_is_bounded(served: Served, body: bytes) -> None:
    """Two megabytes are refused with 413, nothing at all with 400; forms are refused with words that say so."""
    assert served.ask(body).status == (413 if body else 400)
    reply = served.ask(body[:10], headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert (reply.code, reply.status) == (48, 501)


def test_fields_that_stand_twice_are_refused(served: Served) -> None:
    """Two statements, or two passwords, in one query string: which one counts must not be a matter of taste."""
    assert served.ask(path="/?query=SELECT+1&query=SELECT+2").code == 36
    assert served.ask(path="/?query=SELECT+%FF").code == 36
    assert served.ask(path="/?" + "&".join(f"a{n}=1" for n in range(400)) + "&query=SELECT+1").code == 36


def raw(served: Served, sql: str, fields: str = "") -> tuple[bytes, bytes]:
    """Head and everything after it, as they came, up to the end of the connection."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as connection:
        head = f"POST /{fields} HTTP/1.1\r\nHost: x\r\nAuthorization: {BASIC}\r\nContent-Length: {len(sql)}\r\n\r\n"
        connection.sendall(head.encode() + sql.encode())
        data = b""
        while chunk := connection.recv(1 << 20):
            data += chunk
            if data.endswith(b"0\r\n\r\n"):
                break
    return data.split(b"\r\n\r\n", 1)[0], data.split(b"\r\n\r\n", 1)[1]


def test_an_answer_that_fails_half_way_never_looks_whole(served: Served) -> None:
    """An exception block with the tag of the head, and no last chunk: a client that knows neither still sees it."""
    head, body = raw(served, BREAKS)
    assert head.startswith(b"HTTP/1.1 200")
    assert len(body) > HELD_BYTES
    tag = head.lower().partition(b"x-clickhouse-exception-tag: ")[2].partition(b"\r\n")[0]
    block = body[body.rindex(b"__exception__\r\n" + tag) :]
    assert b"Code: 41. DB::Exception" in block
    assert block.rstrip().endswith(tag + b"\r\n__exception__")
    assert not body.endswith(b"0\r\n\r\n")
    whole = raw(served, BIG)[1]
    assert whole.endswith(b"0\r\n\r\n")


def test_wait_end_of_query_gives_the_proper_status(served: Served) -> None:
    """Held back to the end, the same failure is an error from the first line on."""
    reply = served.ask(BREAKS, wait_end_of_query="1")
    assert (reply.code, reply.status) == (41, 400)
    assert reply.body.startswith(b"Code: 41")


def wait_for(what: object, seconds: float = 15) -> None:
    assert callable(what)
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.05)


def leave(connection: socket.socket) -> None:
    """Close at once, with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def sent(served: Served, sql: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", served.port), timeout=30)
    head = f"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: {BASIC}\r\nContent-Length: {len(sql)}\r\n\r\n"
    connection.sendall(head.encode() + sql.encode())
    return connection


def in_the_engine(served: Served, marker: str) -> bool:
    sql = f"SELECT count() FROM system.processes WHERE query LIKE '%{marker}%' AND query NOT LIKE '%processes%'"
    return served.engine.select(sql, "TSV") != b"0\n"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count() FROM numbers(1e12) WHERE sipHash64(number, 'gone') = 1",
        "SELECT number, 'gone' FROM numbers(1e7)",
    ],
)
def test_a_client_that_goes_away_ends_its_question(served: Served, sql: str) -> None:
    """Computing or streaming: the engine stops, long before the time limit."""
    connection = sent(served, sql)
    wait_for(lambda: in_the_engine(served, "gone"))
    leave(connection)
    wait_for(lambda: not in_the_engine(served, "gone"))


def test_at_most_so_many_at_once_and_shipping_goes_on(served: Served) -> None:
    """Four slow questions: the fifth waits for its turn, an insert does not, and who waits is answered in the end."""
    slow = [sent(served, f"SELECT count() FROM numbers(1e12) WHERE sipHash64(number, 'q{n}') = 1") for n in range(4)]
    wait_for(lambda: all(in_the_engine(served, f"q{n}") for n in range(4)))
    replies: list[bytes] = []
    fifth = threading.Thread(target=lambda: replies.append(served.ask("SELECT 'fifth'").body))
    fifth.start()
    served.engine.migrate()
    served.engine.command("SELECT 1")
    assert served.ask(method="GET", path="/ping").status == 200
    assert fifth.is_alive()
    for connection in slow:
        leave(connection)
    fifth.join(20)
    assert replies == [b"fifth\n"]


def closed_by_the_server(connection: socket.socket) -> bool:
    """Whether everything that comes is an end; an answer that was under way may come first."""
    connection.settimeout(20)
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


@pytest.mark.parametrize(
    "said", [b"", b"POST / HTTP/1.1\r\nHost: x\r\nX: ", b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\nGET /"]
)
def test_a_head_without_end_is_not_waited_for(served: Served, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    """Nothing, half a head, or half a second one: the connection is closed. It takes no password to open one."""
    monkeypatch.setattr(listener, "HEAD_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.sendall(said)
        assert closed_by_the_server(connection)


def test_connections_without_end_take_no_descriptors(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crowd that asks nothing: those above a bound are closed at once, the rest in time, and questions are answered
    again."""
    monkeypatch.setattr(listener, "HEAD_SECONDS", 0.5)
    crowd = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(listener.MOST_CONNECTIONS + 70)]
    assert all(closed_by_the_server(connection) for connection in crowd)
    for connection in crowd:
        connection.close()
    wait_for(lambda: served.ask("SELECT 1").body == b"1\n")


def test_memory_stays_bounded_while_an_answer_is_streamed(served: Served) -> None:
    """Half a gigabyte is sent to a client that reads it; the process does not grow by a quarter of it."""

    def resident() -> int:
        with open("/proc/self/statm") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * 4096

    served.ask(BIG)
    before, most, size = resident(), 0, 0
    connection = sent(served, "SELECT number, repeat('x', 100) FROM numbers(5000000)")
    while chunk := connection.recv(1 << 20):
        size += len(chunk)
        most = max(most, resident())
        if chunk.endswith(b"0\r\n\r\n"):
            break
    connection.close()
    assert size > 500_000_000
    assert most - before < 128 * 1024**2
