"""Clients as they are: clickhouse-connect over HTTP and curl; and the requests of JDBC and of clickhouse-go."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterator
from datetime import datetime

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError

from sluice.ship.http import coding
from tests.ship.http_rig import PASSWORD, ROWS, Served, serving
from tests.ship.test_http_app import BREAKS

KEYS = {"X-ClickHouse-User": "sluice", "X-ClickHouse-Key": PASSWORD}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("http-clients")) as running:
        yield running


def connected(served: Served, **more: object) -> Client:
    given = {"host": "127.0.0.1", "port": served.port, "username": "sluice", "password": PASSWORD} | more
    return clickhouse_connect.get_client(**given)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[Client]:
    opened = connected(served)
    yield opened
    opened.close()


def test_clickhouse_connect_shakes_hands_and_asks(client: Client) -> None:
    """Version, typed values, names, summary and query id."""
    assert client.ping()
    assert client.server_version.split(".")[0].isdigit()
    answer = client.query("SELECT seq, host, decision, ts_received FROM events WHERE decision = 'allow' ORDER BY seq")
    assert answer.row_count == ROWS
    assert answer.column_names == ("seq", "host", "decision", "ts_received")
    first = answer.first_row
    assert first[:3] == (0, "api.openai.com", "allow")
    assert isinstance(first[3], datetime)
    assert answer.summary["query_id"]
    assert int(answer.summary["read_rows"]) > 0


def test_clickhouse_connect_binds_parameters_on_the_server(client: Client) -> None:
    """Strings with quotes and backslashes, numbers, dates, lists: back as they went."""
    given = {"s": 'it\'s a \\ "test"\n', "n": -5, "l": ["a'b", "c"], "d": datetime(2026, 11, 24, 9, 0)}  # noqa: DTZ001
    sql = "SELECT {s:String}, {n:Int64}, {l:Array(String)}, {d:DateTime}"
    assert client.query(sql, parameters=given).first_row == (given["s"], -5, ["a'b", "c"], given["d"])
    assert client.query("SELECT count() FROM events WHERE seq < %(n)s", parameters={"n": 4}).first_row == (4,)


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "br", "gzip", True])
def test_clickhouse_connect_streams_with_every_compression(served: Served, compress: object) -> None:
    """Two hundred thousand rows in blocks, complete and in order."""
    client = connected(served, compress=compress)
    seen, total = 0, 0
    with client.query_row_block_stream("SELECT number, toString(number) AS s FROM numbers(200000)") as blocks:
        for block in blocks:
            seen += len(block)
            total += sum(row[0] for row in block)
    client.close()
    assert (seen, total) == (200_000, 199_999 * 100_000)


def test_clickhouse_connect_hears_of_a_failure_half_way(client: Client) -> None:
    """A stream that breaks raises with ClickHouse's words; a query held back to the end, with its code."""
    with pytest.raises(StreamFailureError, match="Code: 41"), client.query_row_block_stream(BREAKS) as blocks:
        for _ in blocks:
            pass
    with pytest.raises(DatabaseError) as e:
        client.query(BREAKS)
    assert e.value.code == 41


@pytest.mark.parametrize(
    ("sql", "code"),
    [("SELEC", 62), ("SELECT x FROM events", 47), ("SELECT file('/etc/passwd')", 497), ("DROP TABLE events", 164)],
)
def test_clickhouse_connect_hears_codes(client: Client, sql: str, code: int) -> None:
    """Errors have ClickHouse's code."""
    with pytest.raises(DatabaseError) as e:
        client.query(sql)
    assert e.value.code == code


def test_clickhouse_connect_cannot_write(client: Client) -> None:
    """An insert is refused; nothing is stored."""
    with pytest.raises(DatabaseError, match="readonly mode"):
        client.insert("events", [[99]], column_names=["seq"], column_type_names=["Int64"])
    with pytest.raises(DatabaseError, match="readonly mode"):
        client.command("CREATE TABLE x (a Int8) ENGINE = Memory")
    assert client.command("SELECT count() FROM events") == 2 * ROWS


def test_clickhouse_connect_sets_settings_for_one_query(client: Client) -> None:
    """A setting of a query is in force there and gone in the next; one that we refuse says so."""
    sql = "SELECT value FROM system.settings WHERE name = 'max_block_size'"
    before = client.command(sql)
    assert client.query(sql, settings={"max_block_size": 4321}).first_row == ("4321",)
    assert client.command(sql) == before
    with pytest.raises(DatabaseError, match="452"):
        client.query(sql, settings={"format_schema": "/etc/passwd"})


def test_clickhouse_connect_without_the_password(served: Served) -> None:
    """A wrong password is told as such."""
    with pytest.raises(DatabaseError, match="Authentication failed"):
        connected(served, password="wrong")


def test_metadata_for_browsers_of_tables(client: Client) -> None:
    """Tables, columns with comments, and their definition, as tools list them."""
    tables = client.query("SELECT name, engine FROM system.tables WHERE database = 'sluice' ORDER BY name").result_rows
    assert {"events", "exchanges"} <= {name for name, _ in tables}
    described = client.query("DESCRIBE TABLE events").result_rows
    assert ("seq", "Int64") in {row[:2] for row in described}
    assert "CREATE TABLE" in str(client.command("SHOW CREATE TABLE events"))


def curl(served: Served, *arguments: str, path: str = "/") -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("curl")
    assert program, "curl is needed (README)"
    url = f"http://127.0.0.1:{served.port}{path}"
    return subprocess.run([program, "-sS", *arguments, url], capture_output=True, timeout=30, check=False)


def test_curl(served: Served) -> None:
    """The commands of ClickHouse's own documentation: body, query string, compressed, with a failing exit status."""
    user = ("-u", f"sluice:{PASSWORD}")
    assert curl(served, path="/ping").stdout == b"Ok.\n"
    assert curl(served, *user, "--data-binary", "SELECT count() FROM events").stdout == f"{2 * ROWS}\n".encode()
    assert curl(served, *user, path="/?query=SELECT%201").stdout == b"1\n"
    assert curl(served, *user, "-d", "SELECT {a:UInt8} FORMAT CSV", path="/?param_a=3").stdout == b"3\n"
    assert curl(served, *user, "--compressed", "-d", "SELECT 'x'").stdout == b"x\n"
    assert curl(served, *user, "--fail-with-body", "-d", "SELEC").returncode == 22
    assert curl(served, *user, "-d", BREAKS).returncode == 18  # transfer closed with data outstanding
    assert curl(served, "-d", "SELECT 1").stdout.startswith(b"Code: 194.")


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def strings(data: bytes, at: int, count: int) -> tuple[list[str], int]:
    found = []
    for _ in range(count):
        length, at = varint(data, at)
        found.append(data[at : at + length].decode())
        at += length
    return found, at


def test_the_request_of_the_java_client(served: Served) -> None:
    """What client-v2, below the JDBC driver, sends: POST with the format in a header, LZ4 blocks, keys in headers.

    Source: clickhouse-java, client-v2, HttpAPIClientHelper.
    """
    headers = KEYS | {
        "X-ClickHouse-Database": "sluice",
        "X-ClickHouse-Format": "RowBinaryWithNamesAndTypes",
        "Content-Type": "text/plain; charset=UTF-8",
        "User-Agent": "clickhouse-java-v2/0.9.0 (Linux; jvm:17) Apache-HttpClient/5.4",
        "Accept-Encoding": "lz4",
    }
    fields = {"compress": "1", "query_id": "jdbc-1", "wait_end_of_query": "1", "session_timezone": "UTC"}
    sql = "SELECT seq, host FROM events ORDER BY seq LIMIT 2"
    reply = served.ask(sql, auth=None, headers=headers, **(fields | {"enable_http_compression": "0"}))
    assert reply.status == 200
    assert reply.headers["x-clickhouse-query-id"] == "jdbc-1"
    data = coding.unblocked(reply.body, 2**20)
    count, at = varint(data, 0)
    names, at = strings(data, at, count)
    types, at = strings(data, at, count)
    assert (names, types[0]) == (["seq", "host"], "Int64")
    assert struct.unpack_from("<Q", data, at) == (0,)
    handshake = "SELECT currentUser() AS user, timezone() AS timezone, version() AS version LIMIT 1"
    assert served.ask(handshake, auth=None, headers=headers, compress="0").status == 200
    failed = served.ask("SELECT x FROM events", auth=None, headers=headers, **fields)
    assert failed.headers["x-clickhouse-exception-code"] == "47"
    assert b"47. DB::Exception:" in failed.body


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 'local' AS TYPE_CAT, name AS TABLE_SCHEM FROM system.databases WHERE name LIKE '%'",
        "SELECT '' AS TABLE_CAT, database AS TABLE_SCHEM, name AS TABLE_NAME, "
        "CASE WHEN engine LIKE '%View' THEN 'VIEW' ELSE 'TABLE' END AS TABLE_TYPE, comment AS REMARKS, "
        "null AS TYPE_CAT FROM system.tables WHERE name LIKE '%' ORDER BY TABLE_TYPE, TABLE_NAME",
        "SELECT database, table, name, type, replaceRegexpOne(type, '^Nullable', '') AS t, "
        "toInt32(position) AS p, comment, if(type LIKE 'Nullable(%)', 1, 0) AS nullable FROM system.columns "
        "WHERE database LIKE 'sluice' AND table LIKE 'events' ORDER BY database, table, position",
        "SELECT name FROM system.table_functions",
        "DESC (SELECT seq, host FROM events) FORMAT TSVRaw",
    ],
)
def test_the_metadata_questions_of_jdbc(served: Served, sql: str) -> None:
    """`DatabaseMetaData` asks the system tables; tools do it on every connection."""
    reply = served.ask(sql, auth=None, headers=KEYS, default_format="RowBinaryWithNamesAndTypes")
    assert reply.status == 200, reply.body


def test_the_request_of_clickhouse_go(served: Served) -> None:
    """What clickhouse-go sends over HTTP, as Grafana's data source does: Native, protocol version, its first question.

    Blocks come at revision 0, and `client_protocol_version` is not honoured: a driver that insists on a later one
    cannot read them. Source: clickhouse-go, conn_http.go.
    """
    fields = {
        "default_format": "Native", "client_protocol_version": "54460", "database": "sluice",
        "max_execution_time": "60",
    }  # fmt: skip
    headers = KEYS | {"Accept-Encoding": "gzip"}
    reply = served.ask("SELECT displayName(), version(), revision(), timezone()", auth=None, headers=headers, **fields)
    assert reply.status == 200
    assert reply.headers["content-encoding"] == "gzip"
    import gzip

    data = gzip.decompress(reply.body)
    columns, at = varint(data, 0)
    rows, at = varint(data, at)
    assert (columns, rows) == (4, 1)
    assert strings(data, at, 2)[0] == ["displayName()", "String"]
