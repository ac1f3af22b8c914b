"""What an analyst's SQL may do on the embedded engine: read our tables, and nothing else of this machine.

`readonly = 1` does not hold there. With it in force, each of these still read a file or ran code when it was tried
(chDB 26.9): `SELECT file('/etc/passwd')`, the same in an EXPLAIN, `SELECT * APPLY(file)` (which an EXPLAIN AST does
not even show), ``SELECT * FROM default.`/etc/passwd` ``, INTO OUTFILE, KILL QUERY, `SELECT * FROM python(...)`.

So a statement is parsed by the engine itself into a tree (`parseQueryToJSON`, which takes one statement and knows
reading statements only), and every node of the tree has to be on a list here: kinds of node, functions by category,
table functions, tables, formats. What is not known is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sluice.errors import SluiceError

UNKNOWN_FORMAT = 73
ACCESS_DENIED = 497
"""ClickHouse's own code for what it does not let a user do."""


class SqlError(SluiceError):
    """A statement that was refused, or failed. `code` is ClickHouse's; 0 when it never reached ClickHouse."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def refused(what: str) -> SqlError:
    return SqlError(ACCESS_DENIED, f"{what} (this SQL interface only reads the tables of the appliance)")


NODES = frozenset({
    "ArrayJoin", "Asterisk", "ColumnsApplyTransformer", "ColumnsExceptTransformer", "ColumnsListMatcher",
    "ColumnsRegexpMatcher", "ColumnsReplaceTransformer", "ColumnsReplaceTransformerReplacement",
    "ColumnsTransformerList", "ExpressionList", "Function", "Identifier", "InterpolateElement", "Literal",
    "OrderByElement", "QualifiedAsterisk", "QualifiedColumnsListMatcher", "QualifiedColumnsRegexpMatcher",
    "QueryParameter", "SampleRatio", "SelectIntersectExceptQuery", "SelectQuery", "SelectWithUnionQuery",
    "ShowColumnsQuery", "ShowIndexesQuery", "ShowTablesQuery", "Subquery", "TableExpression", "TableIdentifier",
    "TableJoin", "TablesInSelectQuery", "TablesInSelectQueryElement", "WindowDefinition", "WindowListElement",
    "WithElement",
})  # fmt: skip

ROOTS = frozenset({
    "SelectIntersectExceptQuery", "SelectWithUnionQuery", "ShowColumnsQuery", "ShowIndexesQuery", "ShowTablesQuery",
})  # fmt: skip

NO_SETTINGS = "a SETTINGS clause is not taken; over HTTP a setting is a parameter of the URL, as in `?max_threads=2`"
FORBIDDEN_KEYS = {
    "out_file": "INTO OUTFILE writes a file",
    "settings": NO_SETTINGS,
    "settings_ast": NO_SETTINGS,
    "compression": "INTO OUTFILE writes a file",
}

CATEGORIES = frozenset({
    "Aggregate Functions", "Arithmetic", "Arrays", "Bit", "Bitmap", "Comparison", "Conditional", "Dates and Times",
    "Distance", "Encoding", "Financial", "Hash", "IP Address", "JSON", "Logical", "Map", "Mathematical", "Null",
    "Random Number", "Rounding", "String", "String Replacement", "String Search", "String Splitting", "Time Window",
    "Tuple", "Type Conversion", "URL", "UUID",
})  # fmt: skip
"""Categories of `system.functions` whose members compute from their arguments alone."""

MORE_FUNCTIONS = frozenset({
    "bar", "blockNumber", "byteSize", "caseWithExpression", "currentDatabase", "currentUser", "defaultValueOfTypeName",
    "displayName", "errorCodeToName", "exists", "finalizeAggregation", "formatReadableDecimalSize",
    "formatReadableQuantity", "formatReadableSize", "formatReadableTimeDelta", "getSubcolumn", "grouping",
    "hostName", "identity", "ignore", "indexHint", "initialQueryID", "isConstant",
    "lambda", "materialize", "neighbor", "normalizeQuery", "parseReadableSize", "parseTimeDelta", "queryID", "revision",
    "rowNumberInAllBlocks", "rowNumberInBlock", "runningDifference", "toColumnTypeName", "toTypeName", "transform",
    "untuple", "uptime", "variantElement", "variantType", "version", "visibleWidth",
})  # fmt: skip
"""Harmless members of other categories, and names that the parser itself makes."""

NOT_FUNCTIONS = frozenset({
    "aggThrow", "arrayLevenshteinDistance", "arrayLevenshteinDistanceWeighted", "arraySimilarity", "chdb", "formatRow",
    "formatRowNoNewline",
})  # fmt: skip
"""Members of those categories that have no business here; `formatRow` takes the name of any format, and the distances
of arrays take hours of one row, in which nothing ends them. `hasAll` and `hasAny` do so too of huge arrays, and are
needed: there `overtime` is the bound."""

_PARAMETER_TYPE = re.compile(r"(?!.*Identifier)[A-Za-z][\w(), .'=+:/-]{0,200}", re.ASCII | re.IGNORECASE)
"""Types of query parameters. An Identifier is not a value: it could name a table that was never checked."""

TABLE_FUNCTIONS = frozenset({"generateSeries", "generate_series", "numbers", "numbers_mt", "values", "zeros"})

SYSTEM_TABLES = frozenset({
    "aggregate_function_combinators", "build_options", "columns", "data_skipping_indices", "data_type_families",
    "databases", "errors", "events", "formats", "functions", "keywords", "merges", "metrics", "numbers", "numbers_mt",
    "one", "parts", "parts_columns", "processes", "settings", "table_functions", "tables", "time_zones", "zeros",
})  # fmt: skip

FORMATS = frozenset({
    "Arrow", "ArrowStream", "CSV", "CSVWithNames", "CSVWithNamesAndTypes", "JSON", "JSONColumns", "JSONCompact",
    "JSONCompactEachRow", "JSONCompactEachRowWithNames", "JSONCompactEachRowWithNamesAndTypes", "JSONEachRow",
    "JSONLines", "JSONStrings", "JSONStringsEachRow", "Markdown", "NDJSON", "Native", "Null", "ORC", "Parquet",
    "Pretty", "PrettyCompact", "PrettyCompactMonoBlock", "PrettyCompactNoEscapes", "PrettyMonoBlock",
    "PrettyNoEscapes", "PrettySpace", "RowBinary", "RowBinaryWithNames", "RowBinaryWithNamesAndTypes", "TSV",
    "TSVRaw", "TSVWithNames", "TSVWithNamesAndTypes", "TabSeparated", "TabSeparatedRaw", "TabSeparatedWithNames",
    "TabSeparatedWithNamesAndTypes", "Values", "Vertical", "XML",
})  # fmt: skip

_DESCRIBE = re.compile(
    r"\s*(?P<verb>desc|describe|exists|show\s+create)\s+(?:(?:table|view)\s+)?"
    r"(?:(?P<q>[`\"]?)(?P<db>[A-Za-z_]\w*)(?P=q)\.)?(?P<r>[`\"]?)(?P<table>[A-Za-z_]\w*)(?P=r)\s*"
    r"(?:format\s+(?P<format>\w+)\s*)?;?\s*",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What this engine has that may be used: asked once, when the store is opened."""

    database: str
    databases: frozenset[str]
    functions: frozenset[str]
    any_case: frozenset[str]
    aggregates: frozenset[str]
    combinators: tuple[str, ...]
    forbidden: frozenset[str] = frozenset()
    """Functions that may not be used, in lower case: a bare name is enough for `arrayMap(file, ['/etc/passwd'])`."""

    @classmethod
    def of(
        cls, database: str, databases: Iterable[str], functions: Iterable[Mapping[str, Any]], combinators: Iterable[str]
    ) -> Allowed:
        """From rows of `system.functions` (name, categories, alias_to, case_insensitive, is_aggregate)."""
        rows = {f["name"]: f for f in functions}

        def is_harmless(name: str) -> bool:
            own = rows.get(name)
            if own and own["alias_to"]:
                name, own = own["alias_to"], rows.get(own["alias_to"])
            if name in NOT_FUNCTIONS:
                return False
            return name in MORE_FUNCTIONS or bool(own and own["categories"] in CATEGORIES)

        names = frozenset(n for n in {*rows, *MORE_FUNCTIONS} if is_harmless(n))
        return cls(
            database=database,
            databases=frozenset(databases),
            functions=names,
            any_case=frozenset(n.lower() for n in names if n in rows and rows[n]["case_insensitive"]),
            aggregates=frozenset(n for n in names if n in rows and rows[n]["is_aggregate"]),
            combinators=tuple(combinators),
            forbidden=frozenset(n.lower() for n in rows) - frozenset(n.lower() for n in names),
        )

    def has_function(self, name: str) -> bool:
        return name in self.functions or name.lower() in self.any_case or self._is_combined(name)

    def _is_combined(self, name: str) -> bool:
        """An aggregate with combinators behind its name: `sumIf`, `quantileStateMerge`."""
        for combinator in self.combinators:
            base = name.removesuffix(combinator)
            if base != name and (base in self.aggregates or self._is_combined(base)):
                return True
        return False


@dataclass(frozen=True, slots=True)
class Admitted:
    """A statement that may run. `format` is what its FORMAT clause names; `statement` is without the clause.

    `of_settings`: it reads `system.settings` and no other table, as clients do to learn what they may set.
    """

    statement: str
    format: str | None
    of_settings: bool = False


def rewritten(sql: str, allowed: Allowed) -> Admitted | None:
    """DESCRIBE, EXISTS, SHOW CREATE, which no tree knows: taken apart here and put together anew; else None."""
    found = _DESCRIBE.fullmatch(sql)
    if not found:
        return None
    database, table = found["db"] or allowed.database, found["table"]
    _check_table([database, table], allowed)
    verb = {"d": "DESCRIBE TABLE", "e": "EXISTS TABLE", "s": "SHOW CREATE TABLE"}[found["verb"][0].lower()]
    form = checked_format(found["format"]) if found["format"] else None
    return Admitted(f"{verb} `{database}`.`{table}`", form)


def checked_format(name: str) -> str:
    """A format's name, if it may be used. Raises `SqlError`."""
    if name not in FORMATS:
        raise SqlError(
            UNKNOWN_FORMAT, f"Unknown format {name[:40]}: not offered here; JSON, CSV, TSV, Parquet, Native ... are"
        )
    return name


def check(tree: object, allowed: Allowed) -> None:
    """Raise `SqlError` unless every part of a statement's tree is on the lists."""
    if not isinstance(tree, dict) or tree.get("type") not in ROOTS:
        kind = tree.get("type") if isinstance(tree, dict) else None
        raise refused(f"only SELECT, SHOW and DESCRIBE are allowed, not {kind or 'this'}")
    if form := format_of(tree):
        checked_format(form)
    try:
        _walk(tree, "", allowed)
    except RecursionError as e:
        raise refused("the statement is nested too deeply") from e


def format_of(tree: object) -> str | None:
    """The name in a statement's FORMAT clause; None without one."""
    form = tree.get("format_ast") if isinstance(tree, dict) else None
    return str(form.get("name")) if isinstance(form, dict) else None


def tables(tree: object) -> set[str]:
    """The tables, and table functions with `()` behind the name, that a checked tree reads."""
    found: set[str] = set()
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            if node.get("type") == "TableIdentifier":
                found.add(".".join(node.get("name_parts") or [str(node.get("name"))]))
            if isinstance(function := node.get("table_function"), dict):
                found.add(f"{function.get('name')}()")
            waiting += node.values()
    return found


def _walk(node: object, role: str, allowed: Allowed) -> None:
    if isinstance(node, list):
        for item in node:
            _walk(item, role, allowed)
    elif isinstance(node, dict):
        if "type" in node:
            _check_node(node, role, allowed)
        if node.get("type") == "Literal":
            return
        for key, value in node.items():
            if key in FORBIDDEN_KEYS and value:
                raise refused(FORBIDDEN_KEYS[key])
            if isinstance(value, list | dict):
                _walk(value, key, allowed)


def _check_node(node: dict[str, Any], role: str, allowed: Allowed) -> None:
    kind = node["type"]
    if kind not in NODES:
        raise refused(f"{kind} is not allowed")
    match kind:
        case "Function" if role == "table_function":
            if node.get("name") not in TABLE_FUNCTIONS:
                raise refused(f"table function {str(node.get('name'))[:60]!r} is not allowed")
        case "Function":
            _check_function(node.get("name"), allowed)
        case "QueryParameter":
            if not _PARAMETER_TYPE.fullmatch(str(node.get("param_type"))):
                raise refused(f"a parameter of type {str(node.get('param_type'))[:60]!r} is not allowed")
        case "ColumnsApplyTransformer" if "func_name" in node:
            _check_function(node["func_name"], allowed)
        case "TableIdentifier" | "Identifier":
            parts = node.get("name_parts")
            if kind == "Identifier" and len(parts or ()) < 2 and str(node.get("name")).lower() in allowed.forbidden:
                name = str(node["name"])[:60]
                raise refused(
                    f"{name!r} is the name of a function that is not allowed; qualify a column, as in `t.{name}`"
                )
            # Any identifier can stand for a table (`x IN name`), so a name that begins with a database is one.
            if parts and (kind == "TableIdentifier" or parts[0] in allowed.databases):
                _check_table(parts, allowed)
        case "ShowColumnsQuery" | "ShowIndexesQuery":
            database = node.get("database") or allowed.database
            if isinstance(database, str):
                _check_table([database, str(node.get("table"))], allowed)


def _check_function(name: object, allowed: Allowed) -> None:
    if not isinstance(name, str) or not allowed.has_function(name):
        raise refused(f"function {str(name)[:60]!r} is not allowed")


def _check_table(parts: list[str], allowed: Allowed) -> None:
    database, *rest = parts
    if database == allowed.database:
        return
    if database == "system" and rest and rest[0] in SYSTEM_TABLES:
        return
    if database.lower() == "information_schema":
        return
    raise refused(f"table {'.'.join(parts)[:80]!r} is not one of the appliance's")
