"""ClickHouse's error codes: the HTTP status that its server gives each, and the text of an error.

Source: `src/Server/HTTP/exceptionCodeToHTTPStatus.cpp` of ClickHouse for the statuses.
"""

from __future__ import annotations

import re

from sluice.ship.sqlgate import ACCESS_DENIED, SqlError

BAD_ARGUMENTS = 36
NOT_IMPLEMENTED = 48
SYNTAX_ERROR = 62
UNKNOWN_FORMAT = 73
UNKNOWN_DATABASE = 81
UNKNOWN_SETTING = 115
TIMEOUT_EXCEEDED = 159
READONLY = 164
REQUIRED_PASSWORD = 194
TOO_MANY_QUERIES = 202
SOCKET_TIMEOUT = 209
NETWORK_ERROR = 210
SETTING_CONSTRAINT = 452
QUERY_IS_TOO_LARGE = 229
AUTHENTICATION_FAILED = 516

_NAMES = {
    BAD_ARGUMENTS: "BAD_ARGUMENTS",
    NOT_IMPLEMENTED: "NOT_IMPLEMENTED",
    SYNTAX_ERROR: "SYNTAX_ERROR",
    UNKNOWN_FORMAT: "UNKNOWN_FORMAT",
    UNKNOWN_DATABASE: "UNKNOWN_DATABASE",
    UNKNOWN_SETTING: "UNKNOWN_SETTING",
    TIMEOUT_EXCEEDED: "TIMEOUT_EXCEEDED",
    READONLY: "READONLY",
    REQUIRED_PASSWORD: "REQUIRED_PASSWORD",
    TOO_MANY_QUERIES: "TOO_MANY_SIMULTANEOUS_QUERIES",
    SOCKET_TIMEOUT: "SOCKET_TIMEOUT",
    NETWORK_ERROR: "NETWORK_ERROR",
    SETTING_CONSTRAINT: "SETTING_CONSTRAINT_VIOLATION",
    QUERY_IS_TOO_LARGE: "QUERY_IS_TOO_LARGE",
    ACCESS_DENIED: "ACCESS_DENIED",
    AUTHENTICATION_FAILED: "AUTHENTICATION_FAILED",
}
"""The names of the codes that are raised on this side of the engine."""

_STATUSES = {
    400: (6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321, 376, 427, 441, 675, 676),
    401: (REQUIRED_PASSWORD,),
    403: (READONLY, 192, 193, ACCESS_DENIED, 512, AUTHENTICATION_FAILED),
    404: (46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511),
    408: (TIMEOUT_EXCEEDED,),
    411: (381,),
    413: (QUERY_IS_TOO_LARGE,),
    415: (779,),
    501: (NOT_IMPLEMENTED,),
    503: (76, 439, SOCKET_TIMEOUT, NETWORK_ERROR),
}
"""As ClickHouse has them, and two besides: NETWORK_ERROR says here that the store is not open, and READONLY is no fault
of this side that anybody should try again after."""
_STATUS = {code: status for status, codes in _STATUSES.items() for code in codes}

_NAMED = re.compile(r"\([A-Z0-9_]+\)\Z")


def status_of(code: int) -> int:
    """The HTTP status of an error; 500 for what has none of its own."""
    return _STATUS.get(code, 500)


def text_of(error: SqlError, version: str) -> str:
    """An error as ClickHouse's server puts it: `Code: 62. DB::Exception: ... (SYNTAX_ERROR) (version 26.9.2.1)`."""
    words = str(error)
    if not _NAMED.search(words) and error.code in _NAMES:
        words += f". ({_NAMES[error.code]})"
    return f"Code: {error.code}. DB::Exception: {words}" + (f" (version {version})" if version else "") + "\n"
