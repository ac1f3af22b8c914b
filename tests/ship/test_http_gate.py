"""What comes in over HTTP reads our tables and nothing else: attacks that must fail, questions that must not."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ship.http_rig import ROWS, Served, serving

SECRET = "what-only-the-file-says"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("http-gate")) as running:
        yield running


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("secret") / "secret.txt"
    path.write_text(f"{SECRET}\n")
    return path


@pytest.fixture(scope="module")
def visited() -> Iterator[tuple[int, list[object]]]:
    """A port of this machine, and who has knocked there."""
    knocks: list[object] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, address = listener.accept()
            except OSError:
                return
            knocks.append(address)
            connection.close()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield listener.getsockname()[1], knocks
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


ATTACKS = [
    # files, by function
    "SELECT file('@P')",
    "SELECT fIlE('@P')",
    "SELECT /* c */ file /* c */ ('@P') -- c",
    "SELECT \"file\"('@P')",
    "SELECT concat('x', file('@P'))",
    "SELECT (1, file('@P'))",
    "SELECT [file('@P')]",
    "SELECT map('a', file('@P'))",
    "SELECT tuple(file('@P')).1",
    "SELECT CASE WHEN 1 THEN file('@P') END",
    "SELECT count() FILTER (WHERE file('@P') = '')",
    "SELECT quantile(length(file('@P')))(1)",
    "SELECT sumIf(1, file('@P') != '')",
    "SELECT 1 GROUP BY GROUPING SETS ((file('@P')))",
    "SELECT INTERVAL length(file('@P')) DAY",
    "SELECT 1 WINDOW w AS (PARTITION BY file('@P'))",
    "SELECT * FROM events PREWHERE file('@P') != ''",
    "SELECT * FROM events LIMIT 1 BY file('@P')",
    "SELECT 1 QUALIFY file('@P') != ''",
    "SELECT arrayJoin([file('@P')])",
    "WITH file('@P') AS v SELECT v",
    "WITH (SELECT file('@P')) AS v SELECT v",
    "WITH a AS (WITH b AS (SELECT file('@P') AS v) SELECT v FROM b) SELECT v FROM a",
    "WITH x -> file(x) AS f SELECT f('@P')",
    "WITH RECURSIVE r AS (SELECT '@P' AS p UNION ALL SELECT file(p) FROM r) SELECT * FROM r",
    "SELECT EXISTS (SELECT file('@P'))",
    "SELECT 1 WHERE (SELECT count() FROM file('@P', LineAsString)) > 0",
    # files, by the name of a function alone
    "SELECT arrayMap(file, ['@P'])",
    "SELECT arrayMap(`file`, ['@P'])",
    "SELECT arrayMap(FILE, ['@P'])",
    "WITH file AS f SELECT arrayMap(f, ['@P'])",
    "SELECT arrayExists(file, ['@P'])",
    "SELECT arrayMap(file AS g, ['@P'])",
    "SELECT arrayFold((a, x) -> file(x), ['@P'], '')",
    "SELECT mapApply((k, v) -> (k, file(v)), map('a', '@P'))",
    "SELECT * APPLY(file) FROM (SELECT '@P')",
    "SELECT * APPLY file FROM (SELECT '@P')",
    "SELECT COLUMNS('p') APPLY(x -> file(x)) FROM (SELECT '@P' AS p)",
    "SELECT events.* REPLACE (file('@P') AS host) FROM events",
    # files, as tables
    "SELECT * FROM file('@P', LineAsString)",
    "SELECT * FROM default.`@P`",
    "SELECT * FROM `default`.`@P` FORMAT LineAsString",
    "SELECT 1 IN default.`@P`",
    "SELECT '@S' IN (SELECT * FROM default.`@P`)",
    "SELECT * FROM events, default.`@P`",
    "SELECT * FROM events ASOF JOIN default.`@P` AS f USING seq",
    "SELECT `default`.`@P`.* FROM events",
    "SELECT * FROM system.`@P`",
    "SELECT * FROM fileCluster('c', '@P')",
    "SELECT * FROM sqlite('@P', 't')",
    "SELECT * FROM executable('cat', LineAsString, 'l String', (SELECT '@P'))",
    "SELECT * FROM icebergLocal('@P')",
    "SELECT * FROM deltaLakeLocal('@P')",
    "SELECT * FROM hudiLocal('@P')",
    "SELECT * FROM filesystem('@P')",
    "SELECT * FROM viewExplain('EXPLAIN', '', (SELECT file('@P')))",
    "SELECT * FROM view(SELECT file('@P'))",
    "SELECT * FROM viewIfPermitted(SELECT file('@P') ELSE null('x String'))",
    "SELECT * FROM loop(default, `@P`) LIMIT 1",
    "SELECT * FROM merge('default', '.*')",
    "SELECT * FROM values('l String', file('@P'))",
    "SELECT * FROM numbers(length(file('@P')))",
    "SELECT * FROM format(LineAsString, file('@P'))",
    "SELECT * FROM dictionary('@P')",
    "SELECT dictGet('@P', 'a', 1)",
    "SELECT joinGet('@P', 'a', 1)",
    # code
    "SELECT * FROM python(served)",
    "SELECT * FROM Python('served')",
    "SELECT * FROM __import__",
    "SELECT catboostEvaluate('@P', 1)",
    "SELECT naiveBayesClassifier('@P', 'x')",
    "SELECT addressToLine(1)",
    "SELECT aiGenerate('c', 'x')",
    # other machines
    "SELECT * FROM url('http://127.0.0.1:@N/', LineAsString)",
    "SELECT * FROM url('file://@P', LineAsString)",
    "SELECT * FROM urlCluster('c', 'http://127.0.0.1:@N/', LineAsString)",
    "SELECT * FROM s3('http://127.0.0.1:@N/b/k', LineAsString)",
    "SELECT * FROM remote('127.0.0.1:@N', system.one)",
    "SELECT * FROM remoteSecure('127.0.0.1:@N', system.one)",
    "SELECT * FROM mysql('127.0.0.1:@N', 'd', 't', 'u', 'p')",
    "SELECT * FROM postgresql('127.0.0.1:@N', 'd', 't', 'u', 'p')",
    "SELECT * FROM mongodb('127.0.0.1:@N', 'd', 't', 'u', 'p', 'x Int8')",
    "SELECT * FROM redis('127.0.0.1:@N', 'k', 'k String')",
    "SELECT * FROM jdbc('jdbc:x://127.0.0.1:@N', 'd', 't')",
    "SELECT * FROM hdfs('hdfs://127.0.0.1:@N/x', LineAsString)",
    "SELECT * FROM default.`http://127.0.0.1:@N/x`",
    "SELECT * FROM cluster('default', system.one)",
    "SELECT * FROM input('l String')",
    # writing
    "SELECT 1 INTO OUTFILE '@P.out'",
    "SELECT 1 INTO OUTFILE '@P.out' FORMAT CSV",
    "(SELECT 1) INTO OUTFILE '@P.out' TRUNCATE",
    "DESCRIBE events INTO OUTFILE '@P.out'",
    "DESC (SELECT 1 INTO OUTFILE '@P.out')",
    "SHOW TABLES INTO OUTFILE '@P.out'",
    "INSERT INTO events (seq) SELECT 1",
    "INSERT INTO FUNCTION file('@P.out', CSV, 'a Int8') SELECT 1",
    "CREATE TABLE x (a Int8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE x ENGINE = File(CSV, '@P.out') AS SELECT 1",
    "CREATE VIEW v AS SELECT file('@P')",
    "CREATE FUNCTION f AS x -> file(x)",
    "DROP TABLE events",
    "TRUNCATE TABLE events",
    "ALTER TABLE events DELETE WHERE 1",
    "DELETE FROM events WHERE 1",
    "OPTIMIZE TABLE events FINAL",
    "RENAME TABLE events TO gone",
    "DETACH TABLE events",
    "BACKUP TABLE events TO File('@P.out')",
    "ALTER TABLE events FREEZE",
    # the engine itself
    "SYSTEM SHUTDOWN",
    "SYSTEM STOP MERGES",
    "SYSTEM START LISTEN HTTP",
    "KILL QUERY WHERE 1",
    "SET readonly = 0",
    "USE default",
    "GRANT ALL ON *.* TO sluice",
    "CREATE USER x",
    "BEGIN TRANSACTION",
    "EXECUTE AS x SELECT 1",
    # settings in the statement
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT * FROM (SELECT 1 SETTINGS max_execution_time = 0)",
    "SELECT 1 SETTINGS output_format_schema = '@P.out' FORMAT CapnProto",
    "SELECT 1 FORMAT JSON SETTINGS max_memory_usage = 0",
    "SELECT 1 SETTINGS format_template_row = '@P' FORMAT Template",
    "SELECT getSetting('max_memory_usage')",
    # formats
    "SELECT 1 FORMAT Template",
    "SELECT 1 FORMAT CapnProto",
    "SELECT 1 FORMAT Protobuf",
    "SELECT 1 FORMAT SQLInsert",
    "SELECT formatRow('Template', '@P')",
    "SELECT formatRowNoNewline('Protobuf', '@P')",
    # explaining evaluates
    "EXPLAIN SELECT file('@P')",
    "/* c */ EXPLAIN SYNTAX SELECT file('@P')",
    "-- c\nEXPLAIN PLAN SELECT file('@P')",
    "SELECT * FROM (EXPLAIN SELECT file('@P'))",
    "DESC (EXPLAIN SELECT file('@P'))",
    "EXPLAIN ESTIMATE SELECT * FROM default.`@P`",
    # describing reads as well
    "DESCRIBE file('@P')",
    "DESCRIBE TABLE (SELECT file('@P'))",
    "DESC (SELECT 1), (SELECT file('@P'))",
    "DESC (SELECT 1); SELECT (file('@P'))",
    "DESCRIBE default.`@P`",
    "EXISTS TABLE default.`@P`",
    "SHOW CREATE TABLE default.`@P`",
    "SHOW COLUMNS FROM `@P` FROM default",
    # several statements
    "SELECT 1; SELECT file('@P')",
    "SELECT 1;; SELECT file('@P')",
    "SELECT 1; --\nDROP TABLE events",
    "SELECT 1 PARALLEL WITH SELECT file('@P')",
    "DESCRIBE events; SELECT file('@P')",
    # what the engine knows of this machine
    "SELECT * FROM system.server_settings",
    "SELECT * FROM system.users",
    "SELECT * FROM system.disks",
    "SELECT * FROM system.named_collections",
    "SELECT * FROM system.stack_trace",
    "SELECT * FROM system.macros",
    "SELECT * FROM system.certificates",
    "SELECT 1 IN system.disks",
    "SELECT getServerSetting('path')",
    "SELECT getMacro('x')",
    "SELECT showCertificate()",
    "SELECT filesystemAvailable()",
    "SELECT @@version",
    # time
    "SELECT sleep(3)",
    "SELECT sleepEachRow(3) FROM numbers(3)",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_refused(served: Served, secret: Path, visited: tuple[int, list[object]], attack: str) -> None:
    """Each reads a file, runs code, reaches another machine, writes, waits or changes the engine; or would."""
    port, knocks = visited
    sql = attack.replace("@P", str(secret)).replace("@S", SECRET).replace("@N", str(port))
    reply = served.ask(sql)
    assert reply.status in (400, 403, 404), reply.body[:300]
    assert reply.code in (497, 164, 62, 60, 73), reply.body[:300]
    assert SECRET.encode() not in reply.body.replace(sql.encode(), b"")
    assert not Path(f"{secret}.out").exists()
    assert not knocks


def test_nothing_was_changed(served: Served) -> None:
    """After all of them, the tables are as they were."""
    assert served.ask("SELECT count() FROM events").body == f"{2 * ROWS}\n".encode()


@pytest.mark.parametrize(
    ("sql", "fields"),
    [
        ("SELECT * FROM {t:Identifier}", {"param_t": "/etc/passwd"}),
        ("SELECT * FROM {d:Identifier}.{t:Identifier}", {"param_d": "default", "param_t": "/etc/passwd"}),
        ("SELECT 1 IN {t:Identifier}", {"param_t": "events"}),
        ("SELECT host AS {a:Identifier} FROM events", {"param_a": "x"}),
        ("SHOW TABLES FROM {d:Identifier}", {"param_d": "default"}),
        ("SELECT file({p:String})", {"param_p": "/etc/passwd"}),
        ("SELECT * FROM file({p:String})", {"param_p": "/etc/passwd"}),
        ("SELECT arrayMap({f:Identifier}, ['/etc/passwd'])", {"param_f": "file"}),
    ],
)
def test_parameters_cannot_name_anything(served: Served, sql: str, fields: dict[str, str]) -> None:
    """A parameter is a value: it never becomes a table, a column or a function."""
    reply = served.ask(sql, **fields)
    assert reply.code == 497, reply.body


@pytest.mark.parametrize(
    "value",
    [
        "x', file('/etc/passwd')",
        "' UNION ALL SELECT file('/etc/passwd') --",
        "'; DROP TABLE events; --",
        "\\\\') FROM events --",
        "{x:String}",
        '"',
        "`default`.`/etc/passwd`",
    ],
)
def test_parameters_that_carry_sql_stay_text(served: Served, value: str) -> None:
    """Quotes, semicolons and comments in a value come back as they were sent."""
    reply = served.ask("SELECT {p:String} AS p FORMAT JSONEachRow", param_p=value)
    assert reply.status == 200, reply.body
    assert json.loads(reply.body)["p"] == value.replace("\\\\", "\\")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"SELECT '\xff\xfe'", 400),
        (b"SELECT 1\0", 400),
        (b"SELECT 1\0; SELECT file('/etc/passwd')", 400),
        (b"SELECT \xed\xa0\x80", 400),
        (b"", 400),
        (b"  \n ", 400),
        (b"-- only a comment", 400),
        (b"SELECT " + b"(" * 5000 + b"1" + b")" * 5000, 400),
        (b"SELECT " + b"[" * 20000 + b"]" * 20000, 400),
        (b"SELECT " + b"-" * 3001 + b"1", 400),
        (b"SELECT " + b"1+" * 100_000 + b"1", 400),
        (b"SELECT '" + b"x" * 300_000 + b"'", 400),
        (b"SELECT '" + b"x" * 1_000_000 + b"'", 400),
        (b"SELECT '" + b"x" * 1_200_000 + b"'", 413),
        (b"SELECT " + b"(SELECT " * 1500 + b"1" + b")" * 1500, 400),
        (b"SELECT " + b"NOT " * 3000 + b"1", 400),
    ],
)
def test_malformed_and_monstrous_statements(served: Served, body: bytes, status: int) -> None:
    """What is no text, too long or too deep is refused with an error of ClickHouse's, and the next question runs."""
    reply = served.ask(body)
    assert reply.status in (status, 403, 500), (reply.status, reply.body[:200])
    assert reply.code, reply.body[:200]
    assert served.ask("SELECT 1").body == b"1\n"


ORDINARY = [
    "SELECT 1",
    "select count(*) from events",
    "SELECT version(), timezone()",
    "SELECT displayName(), version(), revision(), timezone()",
    "SELECT currentUser(), currentDatabase(), user(), database(), hostName(), uptime()",
    "SELECT name, value, readonly FROM system.settings LIMIT 10000",
    "SELECT name, value, changed FROM system.settings WHERE name = 'max_threads'",
    "SELECT decision, count() FROM events GROUP BY decision ORDER BY 2 DESC",
    "SELECT decision, count() AS n FROM sluice.events WHERE record_type = 'decision' GROUP BY ALL ORDER BY ALL",
    "SELECT * FROM exchanges ORDER BY ts DESC LIMIT 5",
    "SELECT * FROM findings_seen LIMIT 5",
    "SELECT host, count() FROM events GROUP BY host HAVING count() > 1",
    "SELECT host, count() FROM events GROUP BY host WITH ROLLUP",
    "SELECT host, decision, count() FROM events GROUP BY CUBE(host, decision)",
    "SELECT host, decision, count() FROM events GROUP BY GROUPING SETS ((host), (decision))",
    "SELECT host, count() FROM events GROUP BY host WITH TOTALS",
    "SELECT toStartOfMinute(ts_received) AS m, count() FROM events GROUP BY m ORDER BY m",
    "SELECT toStartOfInterval(ts_received, INTERVAL 5 MINUTE) AS t, uniqExact(subject_id) FROM events GROUP BY t",
    "SELECT m, n FROM (SELECT toStartOfHour(ts_received) AS m, count() AS n FROM events GROUP BY m) "
    "ORDER BY m WITH FILL STEP INTERVAL 1 HOUR LIMIT 5",
    "SELECT quantile(0.99)(scan_us), quantiles(0.5, 0.9)(scan_us), median(scan_us) FROM events",
    "SELECT quantileTDigest(0.95)(body_bytes), quantileExactWeighted(0.5)(body_bytes, 1) FROM events",
    "SELECT uniq(subject_id), uniqCombined(host), uniqHLL12(host) FROM events",
    "SELECT topK(3)(host), groupArray(2)(host), groupUniqArray(host), any(host), anyLast(host) FROM events",
    "SELECT argMax(host, seq), argMin(host, seq), min(seq), max(seq), avg(seq), stddevPop(seq) FROM events",
    "SELECT sumIf(body_bytes, decision = 'allow'), countIf(decision = 'block') FROM events",
    "SELECT row_number() OVER (PARTITION BY host ORDER BY seq) FROM events",
    "SELECT seq, lagInFrame(seq) OVER (ORDER BY seq ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM events",
    "SELECT sum(seq) OVER w, rank() OVER w, dense_rank() OVER w FROM events WINDOW w AS (ORDER BY seq)",
    "SELECT seq, ntile(4) OVER (ORDER BY seq) AS q FROM events QUALIFY q = 1",
    "WITH t AS (SELECT host FROM events) SELECT count() FROM t",
    "WITH (SELECT max(seq) FROM events) AS top SELECT count() FROM events WHERE seq < top",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT sum(n) FROM r",
    "SELECT count() FROM events WHERE host IN (SELECT host FROM events WHERE seq < 3)",
    "SELECT e.host, o.upstream_status FROM events AS e INNER JOIN events AS o USING (decision_id) LIMIT 3",
    "SELECT count() FROM events AS a LEFT JOIN exchanges AS x ON a.decision_id = x.decision_id",
    "SELECT count() FROM events AS a LEFT ANTI JOIN events AS b ON a.seq = b.seq + 1",
    "SELECT count() FROM events AS a, numbers(3) AS n",
    "SELECT number FROM numbers(10) WHERE number % 2 ORDER BY number DESC LIMIT 3 OFFSET 1",
    "SELECT 1 UNION ALL SELECT 2 UNION DISTINCT SELECT 3",
    "SELECT number FROM numbers(5) EXCEPT SELECT 2",
    "SELECT number FROM numbers(5) INTERSECT SELECT 2",
    "SELECT arrayJoin([1, 2, 3]) AS x",
    "SELECT host, d FROM events LEFT ARRAY JOIN `matches.detector` AS d",
    "SELECT arrayMap(x -> x * 2, [1, 2]), arrayFilter(x -> x > 1, [1, 2]), arraySum([1, 2]), arraySort([2, 1])",
    "SELECT arrayMap(upper, ['a']), arrayReduce('sum', [1, 2]), arrayEnumerate([3, 4]), arrayDistinct([1, 1])",
    "SELECT map('a', 1)['a'], mapKeys(map('a', 1)), mapFilter((k, v) -> v > 0, map('a', 1))",
    "SELECT JSONExtractString('{\"a\": \"b\"}', 'a'), JSON_VALUE('{\"a\": 1}', '$.a'), isValidJSON('{}')",
    "SELECT '{\"a\": 1}'::JSON AS j, j.a",
    "SELECT toJSONString(map('a', [1, 2])), simpleJSONExtractUInt('{\"a\":1}', 'a')",
    "SELECT tupleElement((1, 'a'), 2), (1, 2).1, untuple((1, 2))",
    "SELECT CAST('1' AS UInt8), '2020-01-01'::Date, toDecimal64('1.5', 2), toUUIDOrNull('x'), toInt8OrZero('x')",
    "SELECT multiIf(1, 'a', 2, 'b', 'c'), if(1, 2, 3), CASE 1 WHEN 1 THEN 'x' ELSE 'y' END, coalesce(NULL, 1)",
    "SELECT formatDateTime(now(), '%F %T'), dateDiff('day', toDate('2020-01-01'), today()), now() - INTERVAL 1 WEEK",
    "SELECT splitByChar(',', 'a,b'), extractAll('a1b2', '[0-9]'), replaceRegexpAll('ab', 'a', 'c'), match('a', 'a')",
    "SELECT lower('A'), substring('abc', 2), position('abc', 'b'), length('abc'), concat('a', 'b'), 'a' || 'b'",
    "SELECT host LIKE '%openai%', host ILIKE '%OPENAI%', host NOT IN ('x', 'y') FROM events LIMIT 1",
    "SELECT cityHash64('a'), hex(MD5('a')), hex(SHA256('a')), base64Encode('a'), toIPv4('1.2.3.4')",
    "SELECT domain('https://a.example/x'), path('https://a.example/x'), cutToFirstSignificantSubdomain('a.b.example')",
    "SELECT isIPAddressInRange('10.1.2.3', '10.0.0.0/8'), IPv4NumToString(16909060)",
    "SELECT bar(1, 0, 10, 10), formatReadableSize(1e6), formatReadableQuantity(1e6), formatReadableTimeDelta(100)",
    "SELECT sumMerge(s), uniqMerge(u) FROM (SELECT sumState(seq) AS s, uniqState(host) AS u FROM events)",
    "SELECT * EXCEPT (host) FROM events LIMIT 1",
    "SELECT * REPLACE (upper(host) AS host) FROM events LIMIT 1",
    "SELECT COLUMNS('^ts_') FROM events LIMIT 1",
    "SELECT COLUMNS('_us$') APPLY(max) FROM events",
    "SELECT DISTINCT host FROM events",
    "SELECT DISTINCT ON (host) host, seq FROM events",
    "SELECT host FROM events LIMIT 1 BY host",
    "SELECT seq FROM events ORDER BY seq LIMIT 3 WITH TIES",
    "SELECT dictionary_like FROM (SELECT 1 AS dictionary_like)",
    "SELECT 'file(''/etc/passwd'')', 'INTO OUTFILE', '-- not a comment', '; DROP TABLE events'",
    "SELECT 1 -- FORMAT JSON",
    "/* a */ SELECT /* b */ 1 /* c */;",
    "SELECT 1 AS `FORMAT CSV`",
    "FROM events SELECT count()",
    "SHOW TABLES",
    "SHOW TABLES LIKE 'e%'",
    "SHOW TABLES FROM sluice",
    "SHOW FULL TABLES FROM sluice",
    "SHOW DATABASES",
    "SHOW COLUMNS FROM events",
    "SHOW INDEXES FROM events",
    "SHOW CREATE TABLE events",
    "SHOW CREATE VIEW exchanges",
    "EXISTS TABLE events",
    "EXISTS sluice.nothing",
    "DESCRIBE events",
    "DESC TABLE sluice.exchanges",
    "DESCRIBE TABLE `sluice`.`events`",
    "DESC (SELECT host, count() FROM events GROUP BY host)",
    "DESCRIBE TABLE (SELECT ')' AS x) FORMAT CSV",
    "SELECT name, engine FROM system.tables WHERE database = currentDatabase()",
    "SELECT name, type, comment FROM system.columns WHERE database = 'sluice' AND table = 'events'",
    "SELECT name FROM system.databases",
    "SELECT table, sum(rows), formatReadableSize(sum(bytes_on_disk)) FROM system.parts WHERE active GROUP BY table",
    "SELECT name FROM system.functions LIMIT 3",
    "SELECT query_id, elapsed FROM system.processes",
    "SELECT * FROM system.one",
    "SELECT name FROM system.data_type_families LIMIT 3",
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'sluice' LIMIT 3",
    "SELECT table_name FROM INFORMATION_SCHEMA.TABLES WHERE table_schema = 'sluice'",
]


@pytest.mark.parametrize("sql", ORDINARY)
def test_ordinary_questions_are_answered(served: Served, sql: str) -> None:
    """What analysts write and what clients ask behind their backs: the gate is no obstacle."""
    reply = served.ask(sql)
    assert reply.status == 200, reply.body.decode()


def test_every_column_can_be_asked_for_by_its_name(served: Served) -> None:
    """A bare name that is a forbidden function's too is refused: none of our columns may have one."""
    listing = served.ask("SELECT table, groupArray(name) FROM system.columns WHERE database = 'sluice' GROUP BY table")
    lines = listing.body.decode().splitlines()
    assert len(lines) > 3
    for line in lines:
        table, names = line.split("\t")
        columns = ", ".join(f"`{name}`" for name in names.strip("[]").replace("'", "").split(","))
        reply = served.ask(f"SELECT {columns} FROM `{table}` LIMIT 0")
        assert reply.status == 200, reply.body


OF_THE_MOMENT = ("now()", "uptime", "processes", "today", "system.settings")


@pytest.mark.parametrize("sql", [q for q in ORDINARY if not any(word in q for word in OF_THE_MOMENT)])
def test_the_streamed_answer_is_the_engines_own(served: Served, sql: str) -> None:
    """Writing a statement anew and streaming its answer changes nothing: names, types, totals, values."""
    import chdb

    connect = chdb.connect  # type: ignore[attr-defined]
    connection = connect(served.engine._path)
    try:
        connection.query("USE sluice")
        plain = connection.query(sql, "TSVWithNamesAndTypes").bytes()
    finally:
        connection.close()
    streamed = served.ask(sql, default_format="TSVWithNamesAndTypes").body
    assert streamed.splitlines()[:2] == plain.splitlines()[:2]
    assert sorted(streamed.splitlines()) == sorted(plain.splitlines())


@pytest.mark.parametrize("form", ["JSON", "CSVWithNames", "Native", "Parquet", "Vertical", "JSONEachRow"])
def test_show_comes_in_the_format_asked_for(served: Served, form: str) -> None:
    """SHOW is rewritten by the engine; its answer has the format of the request all the same."""
    streamed = served.ask("SHOW TABLES LIKE 'exchanges'", default_format=form)
    assert streamed.headers["x-clickhouse-format"] == form
    assert b"exchanges" in streamed.body
    assert streamed.body.startswith({"JSON": b"{", "Parquet": b"PAR1", "CSVWithNames": b'"name"'}.get(form, b""))
