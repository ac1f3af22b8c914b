"""Which of ClickHouse's settings a request may bring.

Three kinds: limits, which can be lowered and never raised (an answer's `X-Sluice-Lowered` says which of those that were
asked for are in force with less, as in `max_threads=2`); matters of presentation and of what a query means, passed on
as they are (the engine checks values); and what client libraries send by habit and that means nothing here. The lists
are closed: some `output_format_` settings name files (`output_format_schema`), some `format_` settings do too.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping

from sluice.ship.http.errors import BAD_ARGUMENTS, READONLY, SETTING_CONSTRAINT, UNKNOWN_SETTING
from sluice.ship.sqlgate import SqlError

CEILINGS: Mapping[str, int] = {
    "max_execution_time": 30,
    "max_memory_usage": 512 * 1024**2,
    "max_result_rows": 10_000_000,
    "max_result_bytes": 1024**3,
    "max_threads": os.cpu_count() or 1,
    "max_block_size": 65_409,
}
"""Bounds of one question over HTTP: seconds, bytes, rows. Also what holds when a request says nothing."""
LOWERED = frozenset({"max_rows_to_read", "max_bytes_to_read", "limit", "offset", "max_rows_to_group_by",
                     "max_bytes_before_external_group_by", "max_bytes_before_external_sort"})  # fmt: skip
"""Numbers without a ceiling of ours."""

PASSED = frozenset({
    "any_join_distinct_right_table_keys", "count_distinct_implementation", "date_time_output_format",
    "decimal_check_overflow", "distinct_overflow_mode", "enable_named_columns_in_function_tuple", "extremes",
    "format_csv_delimiter", "format_csv_null_representation", "format_tsv_null_representation",
    "group_by_overflow_mode", "group_by_use_nulls", "join_default_strictness", "join_use_nulls",
    "joined_subquery_requires_alias",
    "optimize_read_in_order", "prefer_column_name_to_alias", "read_overflow_mode", "result_overflow_mode",
    "session_timezone", "sort_overflow_mode", "timeout_overflow_mode", "totals_mode", "transform_null_in",
    "union_default_mode", "final",
    "output_format_always_write_decimal_point_in_float_and_decimal", "output_format_decimal_trailing_zeros",
    "output_format_float_precision", "output_format_trim_fixed_string", "output_format_write_statistics",
})  # fmt: skip
PASSED_PREFIXES = tuple(f"output_format_{name}_" for name in (
    "arrow", "binary", "csv", "json", "markdown", "native", "orc", "parquet", "pretty", "tsv", "values",
))  # fmt: skip

IGNORED = frozenset({
    "add_http_cors_header", "async_insert", "buffer_size", "cancel_http_readonly_queries_on_client_close",
    "cast_string_to_dynamic_use_inference", "client_protocol_version", "connect_timeout", "date_time_input_format",
    "enable_http_compression", "http_headers_progress_interval_ms", "http_make_head_request",
    "http_response_buffer_size", "http_write_exception_in_output_format", "http_zlib_compression_level",
    "load_balancing", "log_comment", "log_formatted_queries", "log_queries", "max_insert_block_size",
    "max_query_size", "network_compression_method", "priority", "quota_key", "receive_timeout",
    "send_progress_in_http_headers", "send_timeout", "session_check", "session_id", "session_timeout", "stacktrace",
    "use_client_time_zone", "use_uncompressed_cache", "wait_end_of_query", "wait_for_async_insert",
})  # fmt: skip
IGNORED_PREFIXES = ("allow_experimental_", "allow_suspicious_", "enable_analyzer", "input_format_", "insert_")

_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")


def admitted(asked: Mapping[str, str], is_known: Callable[[str], bool]) -> dict[str, str]:
    """The settings of a request that take effect. `is_known` tells whether the engine has a setting of that name.

    Raises `SqlError`: 115 for a setting that ClickHouse does not know, 452 for one that may not be set here, 164 for
    an attempt to leave read-only mode, 36 for a limit that is not a number.
    """
    taken: dict[str, str] = {}
    for name, value in asked.items():
        if name in CEILINGS:
            taken[name] = _lowered(name, value)
        elif name in LOWERED:
            taken[name] = str(_number(name, value))
        elif name in PASSED or (name.startswith(PASSED_PREFIXES) and not name.endswith(("_schema", "_path", "_file"))):
            if "\0" in value or len(value) > 200:
                raise SqlError(BAD_ARGUMENTS, f"the value of setting {name} cannot be used")
            taken[name] = value
        elif name == "readonly":
            if value not in ("1", "2"):
                raise SqlError(READONLY, "Cannot modify 'readonly' setting in readonly mode")
        elif name in IGNORED or name.startswith(IGNORED_PREFIXES):
            continue
        elif not _NAME.fullmatch(name) or not is_known(name):
            raise SqlError(UNKNOWN_SETTING, f"Unknown setting '{name[:100]}'")
        else:
            raise SqlError(SETTING_CONSTRAINT, f"Setting {name} should not be changed")
    return taken


def lowered(asked: Mapping[str, str], taken: Mapping[str, str]) -> dict[str, str]:
    """Of the limits that a request asked for those that are in force with another value, and which."""
    return {name: taken[name] for name in CEILINGS if name in asked and _number(name, asked[name]) != int(taken[name])}


def _lowered(name: str, value: str) -> str:
    """A limit as asked, at most ours; 0 means none to ClickHouse, which is ours."""
    asked, ceiling = _number(name, value), CEILINGS[name]
    return str(ceiling if asked == 0 else min(asked, ceiling))


def _number(name: str, value: str) -> int:
    """Whole; a fraction of a second, as `max_execution_time` may be, is rounded up."""
    try:
        number = math.ceil(float(value)) if len(value) < 25 else -1
    except (ValueError, OverflowError):
        number = -1
    if number < 0:
        raise SqlError(BAD_ARGUMENTS, f"setting {name} takes a number")
    return number
