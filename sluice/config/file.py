"""One frozen `Settings`, from one TOML file and `SLUICE_` environment variables; unknown keys are errors.

The file is `--config`, else `$SLUICE_CONFIG`, else `deploy/sluice.toml` below the working directory when it exists,
else the defaults here. An environment variable names a key with `__` between the levels: `SLUICE_PROXY__WORKERS=4`,
`SLUICE_LIMITS__BODY_BYTES=1048576`. Values are read as TOML, then as text. Relative paths count from the file's
own directory's parent project (the working directory when there is no file), so that `var/` stays in one place.
"""

from __future__ import annotations

import difflib
import ipaddress
import math
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec

from sluice import tomlfile
from sluice.config.settings import ForwardTo, Own, Section, Settings, endpoint
from sluice.errors import Misconfigured, Problem

PREFIX = "SLUICE_"
NOT_SETTINGS = frozenset({"SLUICE_CONFIG"})


def locate(explicit: Path | None = None) -> Path | None:
    """The settings file in force, or None for the defaults. Raises `Misconfigured` when a named one is missing."""
    named = explicit or (Path(os.environ["SLUICE_CONFIG"]) if os.environ.get("SLUICE_CONFIG") else None)
    if named:
        if not named.is_file():
            raise Misconfigured(Problem(str(named), None, "no such settings file"))
        return named
    usual = Path("deploy/sluice.toml")
    return usual if usual.is_file() else None


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read, overlay, convert, check. Raises `Misconfigured` with every problem that was found."""
    file = locate(path)
    data = tomlfile.read(file) if file else {}
    text = file.read_text("utf-8") if file else ""
    origin = Origin(file or Path("defaults"), text, _overlay(data, os.environ if environ is None else environ))
    settings = _convert(data, origin)
    problems = _check(settings, origin)
    if problems:
        raise Misconfigured(problems)
    return _absolute(settings, Path.cwd() if file is None else _base(file))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where settings came from: the file, and the variable (name and text) that set a key (`section.key`)."""

    file: Path
    text: str
    variables: Mapping[str, tuple[str, str]]

    def problem(self, path: str, what: str) -> Problem:
        """A complaint about `section` or `section.key`, at the variable or at the line that set it."""
        set_by = next((v for k, (v, _) in self.variables.items() if k == path or k.startswith(f"{path}.")), None)
        if set_by:
            return Problem(f"${set_by}", None, what)
        return Problem(str(self.file), tomlfile.line_of(self.text, f"$.{path}"), what)


def _base(file: Path) -> Path:
    """`deploy/sluice.toml` counts from the project; any other file from its own directory."""
    parent = file.resolve().parent
    return parent.parent if parent.name == "deploy" else parent


def _overlay(data: dict[str, object], environ: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Write `SLUICE_A__B=value` into `data`; return which variable set which `section.key`, and its text."""
    seen: dict[str, tuple[str, str]] = {}
    for name, value in sorted(environ.items()):
        if not name.startswith(PREFIX) or name in NOT_SETTINGS or "__" not in name:
            continue
        section, key = name[len(PREFIX) :].lower().split("__", 1)
        table = data.setdefault(section, {})
        if isinstance(table, dict):
            table[key] = _literal(value)
            seen[f"{section}.{key}"] = (name, value)
    return seen


def _literal(value: str) -> object:
    """A variable's text as TOML, where it is one value of it; else the text."""
    try:
        read = {} if tomlfile.overlong_key(value) else tomllib.loads(f"v = {value}")
    except (ValueError, RecursionError):  # no TOML, a number without end, brackets without end
        return value
    return read["v"] if read.keys() == {"v"} else value


def _convert(data: dict[str, object], origin: Origin) -> Settings:
    """Convert key by key, so that one bad value does not hide the next."""
    problems: list[Problem] = []
    done: dict[str, object] = {}
    sections = {f.name: cast("type[Section]", f.type) for f in msgspec.structs.fields(Settings)}
    for section, table in data.items():
        kind = sections.get(section)
        if kind is None:
            known = ", ".join(sections)
            problems.append(origin.problem(section, f"unknown section `[{section}]`; known: {known}"))
        elif not isinstance(table, dict):
            problems.append(origin.problem(section, f"`{section}` must be a table: `[{section}]`"))
        else:
            done[section] = _section(section, kind, table, origin, problems)
    if problems:
        raise Misconfigured(problems)
    return Settings(**done)  # type: ignore[arg-type]


def _section(
    section: str, kind: type[Section], table: dict[str, object], origin: Origin, problems: list[Problem]
) -> Section:
    types = {f.name: f.type for f in msgspec.structs.fields(kind)}
    values: dict[str, object] = {}
    for key, value in table.items():
        path = f"{section}.{key}"
        if key not in types:
            close = difflib.get_close_matches(key, types, n=1)
            meant = f"; did you mean `{close[0]}`?" if close else f"; known: {', '.join(types)}"
            problems.append(origin.problem(path, f"unknown key `{path}`{meant}"))
            continue
        if types[key] in (str, Path, Path | None) and path in origin.variables and not isinstance(value, str):
            value = origin.variables[path][1]  # a name such as `12345` is text here, whatever TOML makes of it
        try:
            values[key] = msgspec.convert(value, types[key], dec_hook=_path)
        except msgspec.ValidationError as e:
            inside = re.search(r" - at `\$([^`]*)`$", str(e))
            what = re.sub(r" - at `[^`]*`$", "", str(e))
            if inside and inside[1].startswith("["):  # one table of `[[own.dictionary]]`, say
                path += inside[1]
            if unknown := re.search(r"contains unknown field `([^`]+)`", what):
                path, what = f"{path}.{unknown[1]}", "there is no such key"
            problems.append(origin.problem(path, f"{path}: {what[:1].lower()}{what[1:]}"))
    return kind(**values)


def _path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"expected a path, got {type(value).__name__}")


def _check(s: Settings, origin: Origin) -> list[Problem]:
    """What types cannot say: ranges, addresses, choices."""
    out: list[Problem] = []

    def bad(path: str, what: str) -> None:
        out.append(origin.problem(path, f"{path}: {what}"))

    for section in msgspec.structs.fields(Settings):
        for field in msgspec.structs.fields(section.type):
            path, value = f"{section.name}.{field.name}", getattr(getattr(s, section.name), field.name)
            if field.type in (int, float) and path not in RANGES:
                if not 0 < value < math.inf:
                    bad(path, "must be above 0")
                elif value > LARGEST[field.type]:
                    bad(path, f"must be at most {LARGEST[field.type]:,}")
    for path, (least, most, why) in RANGES.items():
        if not least <= _value(s, path) <= most:
            bad(path, f"must be {least} to {most}{why}")
    if s.evidence.node and not NODE.fullmatch(s.evidence.node):
        bad(
            "evidence.node",
            "must be 1 to 200 letters, digits, dots, hyphens and underscores, and begin with a letter or digit",
        )
    for path in ("proxy.listen", "admin.listen"):
        try:
            endpoint(str(_value(s, path)))
        except ValueError as e:
            bad(path, f"{e}, as in `127.0.0.1:8080`")
    if s.proxy.advertise:
        try:
            endpoint(s.proxy.advertise)
        except ValueError as e:
            bad("proxy.advertise", f"{e}, as in `gate.example.com:8080`")
    for name in s.admin.names:
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", name):
            bad("admin.names", f"`{name}` is not a host name such as `gate.example.com`")
    if s.console.listen:
        try:
            endpoint(s.console.listen)
        except ValueError as e:
            bad("console.listen", f"{e}, as in `127.0.0.1:8082`")
    if s.console.users and not s.identity.users:
        bad("console.users", "are names of the file `identity.users`, which is not set")
    for name in s.console.judges:
        if name not in s.console.users:
            bad("console.judges", f"`{name}` is not one of `console.users`")
    for key in s.accounts.__struct_fields__ if s.accounts.used else ():
        if (key, s.accounts.supervisor) == ("supervisor", ""):
            continue
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?|\d{1,10}", getattr(s.accounts, key)):
            known = ", ".join(s.accounts.__struct_fields__)
            bad(f"accounts.{key}", f"must be a name or a number; all of {known} belong together")
    for host, value in s.upstream.hosts.items():
        try:
            ipaddress.ip_address(endpoint(value)[0])
        except ValueError:
            bad("upstream.hosts", f"`{host}` must map to `address:port` with an IP address, not `{value}`")
    for i, tenant in enumerate(s.upstream.tenant):
        where = f"upstream.tenant[{i}]"
        if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", tenant.header) or tenant.header.lower() in _NOT_OURS:
            what = "is no header that binds to a tenant: letters, digits and hyphens, and none of HTTP's own"
            bad(f"{where}.header", f"`{tenant.header}` {what}")
        if not re.fullmatch(r"[!-~]([ -~]{0,4094}[!-~])?", tenant.value):
            bad(f"{where}.value", "must be 1 to 4096 printable ASCII characters, with no blank at either end")
    for path, choices in CHOICES.items():
        if _value(s, path) not in choices:
            bad(path, f"must be one of {', '.join(choices)}, not `{_value(s, path)}`")
    for path, given in (
        ("identity.trusted_proxies", s.identity.trusted_proxies),
        ("proxy.protocol_from", s.proxy.protocol_from),
    ):
        for network in given:
            try:
                ipaddress.ip_network(network)
            except ValueError:
                bad(path, f"`{network}` is not a network such as `10.0.0.0/8`")
    for wide in ("0.0.0.0/0", "::/0"):
        if wide in s.proxy.protocol_from:
            bad("proxy.protocol_from", f"`{wide}` would let every client say who it is; name the load balancers")
    for path in ("identity.user_header", "identity.groups_header"):
        if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", str(_value(s, path))):
            bad(path, "must be a header name of letters, digits and hyphens")
    if not s.tunnels.ports or not all(0 < port < 65536 for port in s.tunnels.ports):
        bad("tunnels.ports", "must list ports from 1 to 65535")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", s.clickhouse.database):
        bad("clickhouse.database", "must be a plain name of letters, digits and underscores")
    for name in s.evidence.programs:
        if not PROGRAM.fullmatch(name):
            bad(
                "evidence.programs", f"`{name}` must be a name such as `support-desk`: no version, no blank, at most 40"
            )
    if s.clickhouse.cluster:
        if not CLUSTER.fullmatch(s.clickhouse.cluster):
            bad("clickhouse.cluster", "must be a name as in `remote_servers`: letters, digits, `_`, `-` and `.`")
        if not s.clickhouse.dsn:
            bad("clickhouse.cluster", "is for a server: `clickhouse.dsn` has to say where one of the cluster's answers")
    if s.clickhouse.http_listen:
        try:
            loopback = ipaddress.ip_address(endpoint(s.clickhouse.http_listen)[0]).is_loopback
        except ValueError:
            loopback = False
        if not loopback:
            bad("clickhouse.http_listen", "must be an address of this machine alone, as in `127.0.0.1:8123`")
        if s.clickhouse.dsn:
            bad("clickhouse.http_listen", "is for the embedded engine; the server of `clickhouse.dsn` has its own")
    for witness in s.seal.witnesses:
        if not _WITNESS.fullmatch(witness):
            bad(
                "seal.witnesses", f"`{witness}` is neither a directory, `https://host/path` nor `syslog+tcp://host:601`"
            )
    if s.seal.origin and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}", s.seal.origin):
        bad("seal.origin", "must be a name such as `gates.example.com`: letters, digits, dots, hyphens and slashes")
    for i, to in enumerate(s.forward.to):
        out += [origin.problem(f"forward.to[{i}].{key}", f"forward.to.{key}: {what}") for key, what in _unfit(to)]
        if [other.name for other in s.forward.to].count(to.name) > 1:
            bad(f"forward.to[{i}].name", f"`{to.name}` is there twice")
    named: list[tuple[str, str, str]] = [
        *((f"own.dictionary[{i}]", d.name, d.data_class) for i, d in enumerate(s.own.dictionary)),
        *((f"own.edm[{i}]", e.name, e.data_class) for i, e in enumerate(s.own.edm)),
    ]
    for where, name, data_class in named:
        if not OWN_NAME.fullmatch(name):
            bad(f"{where}.name", f"`{name}` must be small letters, digits and hyphens")
        elif [other for _, other, _ in named].count(name) > 1:
            bad(f"{where}.name", f"`{name}` is taken by another table of `[own]`")
        if data_class and not OWN_CLASS.fullmatch(data_class):
            bad(f"{where}.class", f"`{data_class}` must be a class such as `own.{name}`")
    if s.upstream.trusted_ca and not (_base(origin.file) / s.upstream.trusted_ca).is_file():
        bad("upstream.trusted_ca", f"`{s.upstream.trusted_ca}` does not exist")
    return sorted(out, key=lambda problem: problem.line or 0)


def _unfit(to: ForwardTo) -> Iterator[tuple[str, str]]:
    """(key, what is wrong) of one receiver."""
    if not OWN_NAME.fullmatch(to.name) or len(to.name) > 40:
        yield "name", f"`{to.name}` must be small letters, digits and hyphens"
    if not _RECEIVER.fullmatch(to.url):
        yield (
            "url",
            f"`{to.shown}` is none of `syslog+tcp://host:601`, `syslog+tls://`, `https://host/path`, `file:///path`",
        )
    if to.token and to.url.startswith("http://") and not _loopback(to.url):
        yield (
            "token",
            "would cross the network in the clear: `url` has to be `https://`, or on this machine",
        )
    of_syslog = to.format.startswith("syslog")
    if to.format not in ("ocsf", "json", "syslog", "syslog-ocsf") or of_syslog != to.url.startswith("syslog+"):
        yield "format", f"`{to.format}` does not fit: `syslog` or `syslog-ocsf` for syslog, else `ocsf` or `json`"
    for key, values, known in (
        ("records", to.records, ("decision", "outcome", "bypass", "control", "access")),
        ("decisions", to.decisions, ("allow", "block", "refuse")),
    ):
        if strange := set(values) - set(known):
            yield key, f"`{sorted(strange)[0]}` is none of {', '.join(known)}"
    if not 0 < to.file_bytes <= LARGEST[int] or not 0 < to.file_keep <= 1000:
        yield "file_keep", f"file_bytes must be 1 to {LARGEST[int]:,}, file_keep 1 to 1000"


def _loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
"""What the ledger takes for the name of a node."""

PROGRAM = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,39}")
"""A program of the site's own: a product of RFC 9110 without its version, of the usual characters."""

CLUSTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
"""The name of a cluster: it stands in statements."""

OWN_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
OWN_CLASS = re.compile(r"own(?:\.[a-z0-9]+(?:-[a-z0-9]+)*)+")
"""A name of a table of `[own]`, and a class that the site may give its data; those of the vocabulary mean what they
say there."""

_WITNESS = re.compile(r"https?://[^\s/]+(/\S*)?|syslog\+(udp|tcp)://[^\s/:]+:\d{1,5}|(?![a-z+]+://).+")

_NOT_OURS = frozenset(
    (
        *("host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection", "te"),
        *("trailer", "upgrade", "expect", "cookie", "authorization", "proxy-authorization", "x-api-key", "api-key"),
        *("x-goog-api-key", "accept", "accept-encoding", "user-agent"),
    )
)
"""Headers that say what a request is or who sends it: no setting replaces them."""
_RECEIVER = re.compile(r"syslog\+(tcp|tls)://[^\s/:@]+(:\d{1,5})?|https?://[^\s/@]+(/\S*)?|file:///\S+")

RANGES = {
    "evidence.segment_bytes": (256 * 1024, 256 * 1024 * 1024, " bytes"),
    "evidence.unsealed_minutes": (0, 525_600, " minutes; 0 = never"),
    "evidence.unshipped_minutes": (0, 525_600, " minutes; 0 = never"),
    "seal.seconds": (0.1, 3600, " seconds"),
    "clickhouse.questions_memory_mb": (0, 1_048_576, " MiB; 0 = a third of the memory"),
    "selftest.seconds": (0, 3600, " seconds; 0 = never"),
    "proxy.workers": (0, 256, "; 0 = one per core"),
    "ca.leaf_days": (1, 90, ": leaves live days, not years"),
    "ca.years": (1, 30, ""),
}
"""Numbers with limits of their own; every other number must be above 0."""

LARGEST = {int: 2**53, float: 10**8}
"""What such a number may be at most: bytes of any disk, seconds of three years. A deadline beyond that is none, and a
number of thousands of digits is one that no counter, record or system call takes."""

CHOICES = {
    "tunnels.non_tls": ("refuse", "pass"),
    "tunnels.missing_sni": ("refuse", "pass"),
    "evidence.address": ("full", "truncated", "none"),
}


def _value(s: Settings, path: str) -> Any:
    section, _, key = path.partition(".")
    return getattr(getattr(s, section), key)


def _absolute(s: Settings, base: Path) -> Settings:
    """Every path absolute, so that a process may run anywhere."""

    def at(path: Path | None) -> Path | None:
        return None if path is None else (base / path).resolve()

    return msgspec.structs.replace(
        s,
        paths=msgspec.structs.replace(
            s.paths,
            var=(base / s.paths.var).resolve(),
            policy=at(s.paths.policy),
            targets=at(s.paths.targets),
            packs=tuple((base / p).resolve() for p in s.paths.packs),
            suppressions=at(s.paths.suppressions),
            registers=at(s.paths.registers),
        ),
        upstream=msgspec.structs.replace(s.upstream, trusted_ca=at(s.upstream.trusted_ca)),
        own=_own_at(s.own, base),
        forward=msgspec.structs.replace(
            s.forward,
            to=tuple(
                msgspec.structs.replace(
                    to, ca=at(to.ca), certificate=at(to.certificate), token=at(to.token), signing=at(to.signing)
                )
                for to in s.forward.to
            ),
        ),
        identity=msgspec.structs.replace(
            s.identity,
            address_map=at(s.identity.address_map),
            users=at(s.identity.users),
            people=at(s.identity.people),
            keys=at(s.identity.keys),
        ),
        seal=msgspec.structs.replace(
            s.seal,
            keys=at(s.seal.keys),
            witnesses=tuple(w if "://" in w else str((base / w).resolve()) for w in s.seal.witnesses),
        ),
    )


def _own_at(own: Own, base: Path) -> Own:
    """Paths of `[own]` absolute."""
    tables = {
        field.name: tuple(
            msgspec.structs.replace(one, file=(base / one.file).resolve()) for one in getattr(own, field.name)
        )
        for field in msgspec.structs.fields(Own)
    }
    return Own(**tables)
