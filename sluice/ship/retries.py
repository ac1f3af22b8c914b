"""What each error of ClickHouse means for a batch. This table is the only place that says it.

    ROW      the value cannot be stored: the same row fails for ever. It is found by halving and set aside, and the
             rest of the batch goes on
    AGAIN    the store cannot do it now: the same batch with the same token is sent again, after a pause that doubles
    PERSON   the store will not do it until somebody changes something there (a table, a grant, a quota, disk space):
             as AGAIN, with longer pauses and the name of what is wrong

A code that is not here is AGAIN: nothing is ever set aside for an error that might be the store's own.
Numbers and names: ClickHouse's `src/Common/ErrorCodes.cpp`, also `system.errors`.
"""

from __future__ import annotations

from enum import StrEnum

ROW = {
    6: "CANNOT_PARSE_TEXT",
    26: "CANNOT_PARSE_QUOTED_STRING",
    27: "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
    38: "CANNOT_PARSE_DATE",
    41: "CANNOT_PARSE_DATETIME",
    53: "TYPE_MISMATCH",
    69: "ARGUMENT_OUT_OF_BOUND",
    70: "CANNOT_CONVERT_TYPE",
    72: "CANNOT_PARSE_NUMBER",
    117: "INCORRECT_DATA",
    128: "TOO_LARGE_ARRAY_SIZE",
    130: "CANNOT_READ_ARRAY_FROM_TEXT",
    131: "TOO_LARGE_STRING_SIZE",
    190: "SIZES_OF_ARRAYS_DONT_MATCH",
    321: "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",
    349: "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN",
    376: "CANNOT_PARSE_UUID",
    407: "DECIMAL_OVERFLOW",
    467: "CANNOT_PARSE_BOOL",
    675: "CANNOT_PARSE_IPV4",
    676: "CANNOT_PARSE_IPV6",
    691: "UNKNOWN_ELEMENT_OF_ENUM",
}

PERSON = {
    16: "NO_SUCH_COLUMN_IN_TABLE",
    60: "UNKNOWN_TABLE",
    81: "UNKNOWN_DATABASE",
    115: "UNKNOWN_SETTING",
    164: "READONLY",
    192: "UNKNOWN_USER",
    193: "WRONG_PASSWORD",
    194: "REQUIRED_PASSWORD",
    195: "IP_ADDRESS_NOT_ALLOWED",
    201: "QUOTA_EXCEEDED",
    243: "NOT_ENOUGH_SPACE",
    291: "DATABASE_ACCESS_DENIED",
    452: "SETTING_CONSTRAINT_VIOLATION",
    497: "ACCESS_DENIED",
    516: "AUTHENTICATION_FAILED",
}

AGAIN = {
    0: "NOT_REACHED",
    3: "UNEXPECTED_END_OF_FILE",
    159: "TIMEOUT_EXCEEDED",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    209: "SOCKET_TIMEOUT",
    210: "NETWORK_ERROR",
    225: "NO_ZOOKEEPER",
    236: "ABORTED",
    241: "MEMORY_LIMIT_EXCEEDED",
    242: "TABLE_IS_READ_ONLY",
    244: "UNEXPECTED_ZOOKEEPER_ERROR",
    252: "TOO_MANY_PARTS",
    285: "TOO_FEW_LIVE_REPLICAS",
    286: "UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE",
    289: "REPLICA_IS_NOT_IN_QUORUM",
    319: "UNKNOWN_STATUS_OF_INSERT",
    341: "UNFINISHED",
    394: "QUERY_WAS_CANCELLED",
    425: "SYSTEM_ERROR",
    999: "KEEPER_EXCEPTION",
}

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
LONGEST_PAUSE_FOR_A_PERSON = 120.0
"""Seconds; doubled from the first to the longest."""


class Means(StrEnum):
    """What an error means for the batch."""

    ROW = "row"
    AGAIN = "again"
    PERSON = "person"


def means(code: int, message: str) -> Means:
    """What to do about an error, given ClickHouse's code and words."""
    # Bad data and a table that lacks a column have the same code; only the first is the row's fault.
    if code in ROW and "Unknown column" not in message:
        return Means.ROW
    return Means.PERSON if code in PERSON or code in ROW else Means.AGAIN


def name(code: int) -> str:
    """ClickHouse's name of an error, for logs."""
    return ROW.get(code) or PERSON.get(code) or AGAIN.get(code) or f"CODE_{code}"


def pause(code: int, message: str, failures: int) -> float:
    """Seconds until the next attempt, after so many failures in a row."""
    longest = LONGEST_PAUSE_FOR_A_PERSON if means(code, message) is Means.PERSON else LONGEST_PAUSE
    return float(min(longest, FIRST_PAUSE * 2 ** min(failures - 1, 10)))
