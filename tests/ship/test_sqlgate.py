"""An analyst's SQL reads the tables and nothing else of this machine. Every way out that was found is tried here."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.ship import sqlgate
from sluice.ship.clickhouse import Embedded
from sluice.ship.sqlgate import ACCESS_DENIED, UNKNOWN_FORMAT, Allowed, SqlError

SECRET = "what-only-the-file-says"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    opened = Embedded(tmp_path_factory.mktemp("engine") / "clickhouse", "sluice")
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text(f"{SECRET}\n")
    return path


READS_A_FILE = [
    "SELECT file('{path}')",
    "SELECT FILE('{path}')",
    "SELECT /* x */ `file`('{path}')",
    "SELECT * FROM file('{path}', 'LineAsString')",
    "SELECT * FROM file('{path}', LineAsString, 'line String')",
    "SELECT * FROM default.`{path}`",
    'SELECT * FROM default."{path}"',
    "SELECT * FROM `default`.`{path}`",
    "SELECT count() FROM events WHERE '{secret}' IN default.`{path}`",
    "SELECT '{secret}' IN (SELECT * FROM default.`{path}`)",
    "WITH x AS (SELECT * FROM default.`{path}`) SELECT * FROM x",
    "SELECT 1 UNION ALL SELECT file('{path}')",
    "SELECT 1 INTERSECT SELECT file('{path}')",
    "SELECT (SELECT file('{path}'))",
    "SELECT * APPLY(file) FROM (SELECT '{path}')",
    "SELECT * APPLY(x -> file(x)) FROM (SELECT '{path}')",
    "SELECT COLUMNS('p') APPLY file FROM (SELECT '{path}' AS p)",
    "SELECT * REPLACE (file('{path}') AS p) FROM (SELECT 1 AS p)",
    "SELECT arrayMap(x -> file(x), ['{path}'])",
    "SELECT arrayMap(file, ['{path}'])",
    "WITH FILE AS f SELECT arrayMap(f, ['{path}'])",
    "SELECT arrayFilter(`file`, ['{path}'])",
    "SELECT formatRow('Template', '{path}')",
    "SELECT 1 ORDER BY file('{path}')",
    "SELECT 1 LIMIT length(file('{path}'))",
    "SELECT count() OVER (PARTITION BY file('{path}'))",
    "SELECT number FROM numbers(3) ORDER BY number WITH FILL FROM length(file('{path}')) TO 100",
    "SELECT 1 WHERE file('{path}') != '' HAVING 1",
    "SELECT * FROM events AS e JOIN default.`{path}` AS f ON 1 = 1",
    "SELECT * FROM numbers(1) ARRAY JOIN [file('{path}')] AS x",
    "SELECT if(1, file('{path}'), '')",
    "SELECT throwIf(1, file('{path}'))",
    "EXPLAIN SELECT file('{path}')",
    "/* c */ EXPLAIN SYNTAX SELECT file('{path}')",
    "-- c\nEXPLAIN AST SELECT 1",
    "SELECT * FROM (EXPLAIN SELECT file('{path}'))",
    "SELECT * FROM viewExplain('EXPLAIN', '', (SELECT file('{path}')))",
    "SELECT * FROM view(SELECT file('{path}'))",
    "SELECT * FROM merge('default', '.*')",
    "SELECT * FROM loop('default', '{path}') LIMIT 1",
    "SELECT * FROM fileCluster('c', '{path}')",
    "SELECT * FROM sqlite('{path}', 't')",
    "SELECT * FROM executable('cat {path}', 'LineAsString', 'l String')",
    "SELECT * FROM python(x)",
    "SELECT * FROM Python('x')",
    "SELECT * FROM format(LineAsString, file('{path}'))",
    "SELECT * FROM values('l String', file('{path}'))",
    "SELECT * FROM icebergLocal('{path}')",
    "SELECT * FROM deltaLakeLocal('{path}')",
    "SELECT * FROM filesystem('{path}')",
    "SELECT joinGet('{path}', 'a', 1)",
    "SELECT dictGet('{path}', 'a', 1)",
    "DESCRIBE file('{path}')",
    "DESCRIBE default.`{path}`",
    "DESC TABLE default.x",
    "SHOW CREATE TABLE default.`{path}`",
    "SHOW COLUMNS FROM `{path}` FROM default",
    "EXISTS TABLE default.`{path}`",
    "SELECT 1; SELECT file('{path}')",
    "SELECT 1;;SELECT file('{path}')",
    "(graph = 0 SELECT 1); SELECT file('{path}')",
    "graph = 0 SELECT 1; SELECT file('{path}')",
    "DESCRIBE events; SELECT file('{path}')",
    "SELECT 1 PARALLEL WITH SELECT file('{path}')",
    "file('{path}')",
    "1; file('{path}')",
    "SELECT * FROM {{p:Identifier}}",
    "SELECT 1 FORMAT Template SETTINGS format_template_row = '{path}'",
    "SELECT 1 SETTINGS format_schema = '{path}' FORMAT Protobuf",
    "SELECT * FROM events SETTINGS readonly = 0",
]

TOUCHES_THE_WORLD = [
    "SELECT 1 INTO OUTFILE '{path}.out'",
    "SELECT 1 INTO OUTFILE '{path}.out' FORMAT CSV",
    "(SELECT 1) INTO OUTFILE '{path}.out' TRUNCATE",
    "SELECT 1 UNION ALL SELECT 2 INTO OUTFILE '{path}.out' AND STDOUT",
    "INSERT INTO events (seq) VALUES (1)",
    "INSERT INTO events (seq) SELECT 1",
    "INSERT INTO FUNCTION file('{path}.out', CSV, 'a Int8') SELECT 1",
    "CREATE TABLE x (a Int8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE x (a Int8)",
    "CREATE FUNCTION f AS x -> x",
    "CREATE TABLE x ENGINE = File(CSV, '{path}.out') AS SELECT 1",
    "CREATE DATABASE x",
    "CREATE USER x",
    "DROP TABLE events",
    "DROP DATABASE sluice",
    "TRUNCATE TABLE events",
    "DELETE FROM events WHERE 1",
    "UPDATE events SET host = '' WHERE 1",
    "ALTER TABLE events DELETE WHERE 1",
    "ALTER TABLE events FREEZE",
    "OPTIMIZE TABLE events FINAL",
    "RENAME TABLE events TO gone",
    "EXCHANGE TABLES events AND migrations",
    "ATTACH TABLE x",
    "DETACH TABLE events",
    "UNDROP TABLE events",
    "BACKUP TABLE events TO File('{path}.out')",
    "RESTORE TABLE events FROM File('{path}.out')",
    "KILL QUERY WHERE 1",
    "SET max_threads = 1",
    "SET readonly = 0",
    "USE default",
    "SYSTEM FLUSH LOGS",
    "SYSTEM SHUTDOWN",
    "SYSTEM START LISTEN HTTP",
    "GRANT ALL ON *.* TO x",
    "BEGIN TRANSACTION",
    "CHECK TABLE events",
    "EXECUTE AS x SELECT 1",
    "WATCH events",
    "SELECT sleep(3)",
    "SELECT sleepEachRow(1) FROM numbers(3)",
    "SELECT hostName(), getMacro('x')",
    "SELECT getServerSetting('path')",
    "SELECT aiGenerate('x', 'y')",
    "SELECT showCertificate()",
    "SELECT evalMLMethod(1, 2)",
    "SELECT addressToLine(1)",
    "SELECT catboostEvaluate('x', 1)",
    "SELECT * FROM system.stack_trace",
    "SELECT * FROM system.disks",
    "SELECT * FROM system.named_collections",
    "SELECT 1 IN system.disks",
    "SELECT * FROM events STREAM",
    "SELECT * FROM events FORMAT Nonsense",
    "SELECT * FROM dictionary('x')",
    "SELECT * FROM cluster('x', system.one)",
    "SELECT * FROM mysql('127.0.0.1:{port}', 'd', 't', 'u', 'p')",
    "SELECT * FROM postgresql('127.0.0.1:{port}', 'd', 't', 'u', 'p')",
    "SELECT * FROM remote('127.0.0.1:{port}', system.one)",
    "SELECT * FROM url('http://127.0.0.1:{port}/', LineAsString)",
    "SELECT * FROM s3('http://127.0.0.1:{port}/b', LineAsString)",
    "SELECT * FROM default.`http://127.0.0.1:{port}/x`",
    "SELECT hasColumnInTable('127.0.0.1:{port}', 'u', 'p', 'd', 't', 'c')",
]


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


@pytest.mark.parametrize("sql", READS_A_FILE)
def test_no_statement_reads_a_file(engine: Embedded, secret: Path, sql: str) -> None:
    """Each of these reads a file of the host, or tries to; none gives an answer, and no error repeats the content."""
    with pytest.raises(SqlError) as e:
        engine.select(sql.format(path=secret, secret=SECRET), "TSV")
    assert SECRET not in str(e.value).replace(sql, "")
    assert e.value.code in (ACCESS_DENIED, UNKNOWN_FORMAT, 62), str(e.value)


@pytest.mark.parametrize("sql", TOUCHES_THE_WORLD)
def test_no_statement_changes_or_reaches_anything(
    engine: Embedded, secret: Path, visited: tuple[int, list[object]], sql: str
) -> None:
    """Writing, deleting, settings, users, other machines, waiting: refused before they run, with words that say so."""
    port, knocks = visited
    with pytest.raises(SqlError) as e:
        engine.select(sql.format(path=secret, port=port), "TSV")
    assert e.value.code in (ACCESS_DENIED, UNKNOWN_FORMAT, 62), str(e.value)
    assert len(str(e.value)) > 20
    assert not Path(f"{secret}.out").exists()
    assert not knocks
    assert int(engine.select("SELECT count() FROM migrations", "TSV")) > 0


ALLOWED = [
    "SELECT count() FROM events",
    "select decision, count(*) from events group by decision order by 2 desc limit 5;",
    "SELECT * FROM sluice.events WHERE ts_received > now() - INTERVAL 1 HOUR AND host ILIKE '%openai%'",
    "SELECT toStartOfMinute(ts_received) AS m, quantile(0.99)(scan_us), uniqExact(subject_id) FROM events GROUP BY m",
    "SELECT sumIf(body_bytes, decision = 'allow'), countIf(has(data_classes, 'x')), argMax(host, seq) FROM events",
    "SELECT d, count() FROM events ARRAY JOIN `matches.detector` AS d GROUP BY d WITH ROLLUP",
    "WITH a AS (SELECT decision_id, host FROM events) SELECT a.host FROM a LEFT JOIN exchanges USING (decision_id)",
    "SELECT * EXCEPT (prev_hash) FROM events LIMIT 1 BY host",
    "SELECT COLUMNS('^ts_') APPLY(toString) FROM events",
    "SELECT arrayMap(x -> x * 2, [1, 2]), map('a', 1)['a'], JSONExtractString('{{}}', 'a'), (1, 2).1",
    "SELECT row_number() OVER (PARTITION BY host ORDER BY ts_received) FROM events QUALIFY 1",
    "SELECT 1 IN (1, 2), 1 IN (SELECT 1), EXISTS (SELECT 1), 1 BETWEEN 0 AND 2, CASE WHEN 1 THEN 2 END, -1, 1::String",
    "SELECT number FROM numbers(3) UNION DISTINCT SELECT 1 INTERSECT SELECT 1",
    "SELECT * FROM findings_seen FORMAT JSONEachRow",
    "SELECT 'file(''/etc/passwd'')', 'INTO OUTFILE'",
    "SELECT name FROM system.columns WHERE table = 'events'",
    "SELECT * FROM system.parts",
    "SELECT table_name FROM information_schema.tables LIMIT 1",
    "SHOW TABLES",
    "SHOW DATABASES",
    "SHOW COLUMNS FROM events",
    "DESCRIBE events",
    "desc table sluice.exchanges;",
    "DESCRIBE TABLE system.parts FORMAT JSONEachRow",
    "SHOW CREATE TABLE events",
    "SHOW CREATE VIEW findings_seen",
    "SELECT uniqStateIf(host, 1), sumMerge(x) FROM (SELECT sumState(seq) AS x, any(host) AS host FROM events)",
]


@pytest.mark.parametrize("sql", ALLOWED)
def test_what_analysts_ask_is_answered(engine: Embedded, sql: str) -> None:
    """The gate is no obstacle: joins, windows, lambdas, combinators, views, DESCRIBE, system tables about our own."""
    engine.select(sql.replace("{{}}", "{}"), "TSV")


@pytest.mark.parametrize("form", ["Template", "SQLInsert", "Protobuf", "dataframe", "nonsense", ""])
def test_formats_are_listed(engine: Embedded, form: str) -> None:
    """A format that reads a template, or that the client library would take for something else, is not offered."""
    with pytest.raises(SqlError, match="not offered"):
        engine.select("SELECT 1", form)


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT nothing FROM events", 47),
        ("SELECT 1 FROM nowhere", 60),
        ("SELEC 1", 62),
        ("SELECT toInt8('x')", 6),
        ("SELECT repeat('x', 1000000000)", 241),
        ("SELECT number FROM numbers(2000000)", 396),
        ("SELECT " + "(" * 2000 + "1" + ")" * 2000, 306),
    ],
)
def test_errors_are_clickhouses_own(engine: Embedded, sql: str, code: int) -> None:
    """What is wrong with a statement, or too big, is said in ClickHouse's words with its code; limits hold."""
    with pytest.raises(SqlError) as e:
        engine.select(sql, "TSV")
    assert e.value.code == code, str(e.value)
    assert "parseQueryToJSON" not in str(e.value)
    assert "(version" not in str(e.value)


def test_settings_of_one_question_do_not_reach_the_next(engine: Embedded) -> None:
    """Every question has its own connection; it is read-only to the end."""
    for _ in range(2):
        assert engine.select("SELECT value FROM system.settings WHERE name = 'readonly'", "TSV") == b"1\n"


def test_a_long_question_makes_no_insert_wait(engine: Embedded) -> None:
    """Questions run beside the shipper's own client."""
    started = threading.Event()

    def ask() -> None:
        started.set()
        with pytest.raises(SqlError):
            engine.select("SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1", "TSV")

    thread = threading.Thread(target=ask)
    thread.start()
    started.wait()
    engine.command("SELECT 1")
    assert thread.is_alive()
    for _ in range(100):
        engine.interrupt()  # what has not begun yet cannot be ended yet
        thread.join(0.1)
        if not thread.is_alive():
            break
    assert not thread.is_alive()


def allowed() -> Allowed:
    functions = [
        {"name": "sum", "categories": "Aggregate Functions", "alias_to": "", "case_insensitive": 1, "is_aggregate": 1},
        {"name": "file", "categories": "Other", "alias_to": "", "case_insensitive": 0, "is_aggregate": 0},
        {"name": "dir", "categories": "", "alias_to": "file", "case_insensitive": 0, "is_aggregate": 0},
        {"name": "novel", "categories": "Brand New", "alias_to": "", "case_insensitive": 0, "is_aggregate": 0},
    ]
    return Allowed.of("sluice", ["default", "sluice", "system"], functions, ["If", "State"])


@pytest.mark.parametrize("name", ["sum", "SUM", "sumIf", "sumIfState", "lambda"])
def test_functions_that_only_compute(name: str) -> None:
    """Members of the known categories, in any spelling the engine takes, and with combinators."""
    assert allowed().has_function(name)


@pytest.mark.parametrize("name", ["file", "File", "dir", "novel", "unheard_of", "fileIf", "If", ""])
def test_functions_that_are_not_known_to_be_harmless(name: str) -> None:
    """Aliases of what is refused, categories that a later engine adds, and unknown names are refused."""
    assert not allowed().has_function(name)


@pytest.mark.parametrize(
    "tree",
    [
        None,
        [],
        {},
        {"type": "ExplainQuery"},
        {"type": "SelectWithUnionQuery", "list_of_selects": {"type": "BrandNewNode"}},
        {"type": "SelectWithUnionQuery", "out_file": {"type": "Literal"}},
        {"type": "SelectWithUnionQuery", "format_ast": {"type": "Identifier", "name": "Template"}},
        {"type": "SelectWithUnionQuery", "x": {"no_type": [{"type": "Function", "name": "file"}]}},
        {"type": "SelectWithUnionQuery", "x": {"type": "Function"}},
        {"type": "SelectWithUnionQuery", "x": {"type": "ColumnsApplyTransformer", "func_name": "file"}},
    ],
)
def test_a_tree_with_anything_unknown_is_refused(tree: object) -> None:
    """What a later engine may add to its trees is refused until somebody has looked at it."""
    with pytest.raises(SqlError):
        sqlgate.check(tree, allowed())
