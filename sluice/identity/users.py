"""The user file: who may log in at the proxy, with memory-hard hashes of their passwords.

One line for each user, as `sluice users add` writes it; `#` begins a comment line:

    alice:$argon2id$v=19$m=19456,t=2,p=1$...$...
    ci:$argon2id$v=19$m=19456,t=2,p=1$...$...:kind=service:expires=2027-01-01

Argon2id (RFC 9106) with 19 MiB, two passes and one lane: what OWASP's Password Storage Cheat Sheet recommends, and one
lane because a worker checks on one thread. A file may ask for more, up to `MOST`, so that no line can stop a worker.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError, VerifyMismatchError

from sluice import durable
from sluice.errors import Cause, Misconfigured, Problem, Unavailable
from sluice.identity import tables
from sluice.identity.names import KINDS, MAX_NAME, folded
from sluice.model import Assurance, Subject

MAX_PASSWORD = 256
MOST = {"m": 262_144, "t": 10, "p": 4}
"""Largest cost that a line may ask for: memory in KiB, passes, lanes."""

_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_HASH = re.compile(r"\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,3})\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}")


@dataclass(frozen=True, slots=True)
class User:
    """One line. `expires`: nanoseconds since the epoch, 0 = never."""

    name: str
    hash: str = field(repr=False)
    kind: str = "user"
    expires: int = 0

    @property
    def subject(self) -> Subject:
        return Subject(f"{self.kind}:{self.name}", self.kind, "proxy_basic", Assurance.VERIFIED)

    @property
    def line(self) -> str:
        """This user as the file has it."""
        more = f":kind={self.kind}" if self.kind != "user" else ""
        until = f":expires={_text(self.expires)}" if self.expires else ""
        return f"{self.name}:{self.hash}{more}{until}"


type Users = Mapping[str, User]
"""By folded name."""


def hashed(password: str) -> str:
    """A new hash of a password, with a salt of its own."""
    return _HASHER.hash(_composed(password))


def fits(hash_: str, password: str) -> bool:
    """Whether this is the password. Some 40 ms of a core, the same for right and wrong; releases the interpreter.

    Raises `Unavailable` when it cannot be told.
    """
    try:
        return _HASHER.verify(hash_, _composed(password))
    except VerifyMismatchError:
        return False
    except (Argon2Error, InvalidHashError, MemoryError, ValueError) as e:
        raise Unavailable(Cause.AUTH_BACKEND_DOWN, type(e).__name__) from None  # the cause may quote its arguments


def username(text: str) -> str | None:
    """The name as the file has it, or None when it cannot be one. A colon ends a name (RFC 7617)."""
    name = folded(text)
    return name if name and len(name) <= MAX_NAME and name.isprintable() and not set(name) & {":", "#"} else None


def read_users(path: Path) -> dict[str, User]:
    """Read the file. Raises `Misconfigured` with every bad line; no complaint quotes more than a name."""
    try:
        if path.stat().st_mode & 0o022:
            raise Misconfigured(Problem(str(path), None, "can be changed by others; run `chmod 600` on it"))
        lines = path.read_text("utf-8").splitlines()
    except OSError as e:
        raise Misconfigured(Problem(str(path), None, f"cannot be read: {e.strerror}")) from e
    except UnicodeDecodeError as e:
        raise Misconfigured(Problem(str(path), None, "cannot be read: it is not UTF-8")) from e
    problems: list[Problem] = []
    found: dict[str, User] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            user = _user(line.strip())
            if user.name in found:
                raise ValueError(f"`{user.name}` is listed already")
            found[user.name] = user
        except ValueError as e:
            problems.append(Problem(str(path), number, str(e)))
    if problems:
        raise Misconfigured(problems)
    return found


def write_users(path: Path, users: Users) -> None:
    """Put a new file in the old one's place, whole, readable by its owner alone. Comments of the old one are kept.

    Raises `Misconfigured` when it cannot be written.
    """
    try:
        old = path.read_text("utf-8").splitlines() if path.exists() else []
        kept = [line for line in old if line.startswith("#")]
        text = "\n".join([*kept, *(users[name].line for name in sorted(users))]) + "\n"
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.write(path, text.encode())
    except OSError as e:
        raise Misconfigured(Problem(str(path), None, f"cannot be written: {e.strerror}")) from e


def _user(line: str) -> User:
    said, _, rest = line.partition(":")
    name = username(said)
    if name is None:
        raise ValueError("the name must be 1 to 128 printable characters without `:` and `#`")
    hash_, *more = rest.split(":", 1)
    cost = _HASH.fullmatch(hash_)
    if cost is None:
        raise ValueError(f"`{name}` has no argon2id hash; `sluice users add {name}` makes one")
    if any(int(n) > most for n, most in zip(cost.groups(), MOST.values(), strict=True)):
        raise ValueError(f"`{name}`: the hash asks for more than {MOST}")
    kind, expires = "user", 0
    for option in re.split(r":(?=[a-z]+=)", more[0]) if more else ():
        key, _, value = option.partition("=")
        if key == "kind" and value in KINDS:
            kind = value
        elif key == "expires" and value:
            expires = tables.moment(value)
        else:
            raise ValueError(f"`{name}`: behind the hash may stand kind={'|'.join(KINDS)} and expires=DATE")
    return User(name, hash_, kind, expires)


def _composed(password: str) -> bytes:
    """RFC 8265 section 4.2: passwords are compared in their composed form."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _text(at: int) -> str:
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(at // 1_000_000_000, UTC)
    return moment.date().isoformat() if at % (86_400 * 1_000_000_000) == 0 else moment.isoformat()
