"""What can go wrong, sorted by whose fault it is. A caller needs exactly that to know what to do.

    SluiceError
      Rejected       theirs: the client or the upstream broke a rule; answer them, carry on
      Unavailable    ours: evidence, deadline, capacity; refuse, count, alert, never forward
      Misconfigured  the operator's: a file or a setting; say which file and line, and do not start

Every refusal carries a stable code from `Reason` (what the record and the client see) and, when the gate could not
decide, one from `Cause` (the row of the failure table in `policy.toml`). Codes are only ever added.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a decision is what it is. Closed list, stable: dashboards and playbooks key on it."""

    POLICY_RULE = "POLICY_RULE"
    CLASS_BLOCKED = "CLASS_BLOCKED"
    SECRET_FOUND = "SECRET_FOUND"
    PROVIDER_PROHIBITED = "PROVIDER_PROHIBITED"
    TIER_NOT_ALLOWED = "TIER_NOT_ALLOWED"
    KEY_PERSONAL = "KEY_PERSONAL"
    MODEL_NOT_APPROVED = "MODEL_NOT_APPROVED"
    TOOL_NOT_ALLOWED = "TOOL_NOT_ALLOWED"
    IDENTITY_MISSING = "IDENTITY_MISSING"
    IDENTITY_EXPIRED = "IDENTITY_EXPIRED"
    NO_POLICY = "NO_POLICY"
    POLICY_EXPIRED = "POLICY_EXPIRED"
    NO_FINDINGS = "NO_FINDINGS"
    OBSERVE_ONLY = "OBSERVE_ONLY"
    NOT_AI = "NOT_AI"
    SCAN_TIMEOUT = "SCAN_TIMEOUT"
    SCAN_ERROR = "SCAN_ERROR"
    BODY_TOO_LARGE = "BODY_TOO_LARGE"
    UNPARSED = "UNPARSED"
    PARTIAL_INSPECTION = "PARTIAL_INSPECTION"
    UNDECRYPTED = "UNDECRYPTED"
    DECODE_ERROR = "DECODE_ERROR"
    UNKNOWN_ENCODING = "UNKNOWN_ENCODING"
    NON_HTTP = "NON_HTTP"
    WEBSOCKET = "WEBSOCKET"
    UPGRADE = "UPGRADE"
    HOST_MISMATCH = "HOST_MISMATCH"
    NO_SNI = "NO_SNI"
    BAD_REQUEST = "BAD_REQUEST"
    TRAILERS = "TRAILERS"
    DESTINATION_FORBIDDEN = "DESTINATION_FORBIDDEN"
    AUDIT_UNAVAILABLE = "AUDIT_UNAVAILABLE"
    OVERLOAD = "OVERLOAD"
    CANCELLED = "CANCELLED"
    INTERNAL = "INTERNAL"
    UPSTREAM_TLS = "UPSTREAM_TLS"
    UPSTREAM_UNREACHABLE = "UPSTREAM_UNREACHABLE"


class Cause(StrEnum):
    """Why the gate could not decide. Each has a row in the failure table; every default is refuse."""

    SCAN_ERROR = "scan_error"
    SCAN_TIMEOUT = "scan_timeout"
    BODY_TOO_LARGE = "body_too_large"
    DECODE_ERROR = "decode_error"
    UNKNOWN_ENCODING = "unknown_encoding"
    UNPARSED = "unparsed"
    NON_HTTP = "non_http"
    WEBSOCKET = "websocket"
    HOST_MISMATCH = "host_mismatch"
    NO_SNI = "no_sni"
    AUDIT_UNAVAILABLE = "audit_unavailable"
    OVERLOAD = "overload"
    AUTH_BACKEND_DOWN = "auth_backend_down"
    UPSTREAM_TLS_ERROR = "upstream_tls_error"
    PARTIAL_INSPECTION = "partial_inspection"
    BAD_REQUEST = "bad_request"
    DESTINATION = "destination_forbidden"
    INTERNAL = "internal"


ALWAYS_REFUSED = frozenset(
    {
        Cause.AUDIT_UNAVAILABLE,
        Cause.BAD_REQUEST,
        Cause.DESTINATION,
        Cause.INTERNAL,
        Cause.HOST_MISMATCH,
        Cause.NON_HTTP,
        Cause.UPSTREAM_TLS_ERROR,
        Cause.WEBSOCKET,
    }
)
"""Causes that no setting may open: an attacker can provoke them, evidence itself is missing, or (WebSocket) nothing
reads the messages yet, so that opening it would be an unseen tunnel."""


class Opacity(StrEnum):
    """Why bytes of a body could not be read: the closed list behind `Payload.opacity` and `Unread.reason`."""

    UNKNOWN_CODING = "unknown_coding"
    TOO_MANY_CODINGS = "too_many_codings"
    CORRUPT_CODING = "corrupt_coding"
    TRAILING_BYTES = "trailing_bytes"
    RATIO_LIMIT = "ratio_limit"
    SIZE_LIMIT = "size_limit"
    TIME_LIMIT = "time_limit"
    BAD_CHARSET = "bad_charset"
    BAD_JSON = "bad_json"
    DEPTH_LIMIT = "depth_limit"
    NODE_LIMIT = "node_limit"
    PART_LIMIT = "part_limit"
    BAD_MULTIPART = "bad_multipart"
    BINARY = "binary"
    IMAGE = "image"
    AUDIO = "audio"
    DOCUMENT = "document"
    ARCHIVE = "archive"
    FILE_ID = "file_id"
    REMOTE_URL = "remote_url"
    ENCRYPTED = "encrypted"
    TOKEN_IDS = "token_ids"
    SERVER_STATE = "server_state"
    BUDGET = "budget"


class SluiceError(Exception):
    """Root of everything raised on purpose. Messages never hold content of a request."""


@dataclass
class Rejected(SluiceError):
    """The other side broke a rule. `reason` goes to the record and the client."""

    reason: Reason
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else str(self.reason)


@dataclass
class Unavailable(SluiceError):
    """We cannot do our part. The request is refused, never forwarded."""

    cause: Cause
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.cause}: {self.detail}" if self.detail else str(self.cause)


@dataclass
class Problem:
    """One thing wrong in an operator's file: where it is, what it is, what to do."""

    file: str
    line: int | None
    what: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.what}"


class Misconfigured(SluiceError):
    """The operator's files or settings are wrong. Lists every problem found, not just the first."""

    def __init__(self, problems: list[Problem] | Problem | str) -> None:
        if isinstance(problems, str):
            problems = Problem(file="sluice", line=None, what=problems)
        self.problems = problems if isinstance(problems, list) else [problems]
        super().__init__("\n".join(map(str, self.problems)))
