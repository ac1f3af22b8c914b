"""What a rule may ask of a request, as predicates built once when the policy is read.

Request conditions look at the request as a whole, finding conditions at one finding. Within a condition the values
are alternatives; the conditions of a rule must all hold, and finding conditions must hold on the same finding.
Text compares without case. `*` stands for any characters (none too), `?` for one. Something that is not known (no
model, no agent) equals no value.

| request condition | values |
|---|---|
| provider, product, host, target | of the destination; `target` is the row's id in the table |
| kind, dialect, status | of the destination: closed lists |
| method, operation, path, model | of the request; path without query, operation as `chat`, `embeddings` ... |
| agent | of the request: its client's name, or the agent's as inventory and findings name it |
| tool | any of the tools that the request declares |
| subject | of the sender: `user:alice`, `service:ci`, an address; `alice` alone fits alice of any kind |
| group, role, department | of the sender, as header, map or register say |
| assurance, identity | how far the sender can be believed, and by what he is known: closed lists |
| network | addresses or networks of the sender |
| credential | kind of the API key, `none` without one |
| key | fingerprint of the API key, as records and `sluice keys fingerprint` name it |
| ownership | whose API key it is: corporate, personal or unknown |
| inspection | `full`, `partial` or `none`: how much of the request the detectors saw |

| finding condition | values |
|---|---|
| class, detector, regulation | patterns |
| severity, confidence | at least this severe, at least this sure (0 to 1) |
| validated | true: a checksum or other proof passed; false: none did |
| provenance, novelty | where the text came from; `new` or seen before |
| count | at least so many different values, all findings that fit taken together |
| examples, test_detectors | true: also count documented sample values, detectors on trial |
"""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter

from sluice.identity import KINDS as SUBJECT_KINDS
from sluice.identity import METHODS
from sluice.model import Assurance, Completeness, Facts, Finding, Ownership, Provenance, Severity, Status, Target
from sluice.targets.columns import DIALECTS, KINDS

type Ask[T] = Callable[[T], bool]
"""A predicate over `Facts`, `Target` or `Finding`."""

DESTINATION = ("provider", "product", "host", "target", "kind", "dialect", "status")
REQUEST = (
    *DESTINATION,
    *("method", "operation", "path", "model", "agent", "tool"),
    *("subject", "group", "role", "department", "assurance", "identity", "network"),
    *("credential", "key", "ownership", "inspection"),
)
FINDING = ("class", "detector", "regulation", "severity", "confidence", "validated", "provenance", "novelty")
OF_FINDINGS = (*FINDING, "count", "examples", "test_detectors")

CLOSED: dict[str, tuple[str, ...]] = {
    "kind": KINDS,
    "dialect": DIALECTS,
    "status": tuple(Status),
    "assurance": tuple(Assurance),
    "identity": METHODS,
    "ownership": tuple(Ownership),
    "inspection": tuple(Completeness),
    "provenance": tuple(Provenance),
    "severity": tuple(Severity),
}

_ATTRIBUTE = {
    "target": "target.row",
    "assurance": "subject.assurance",
    "identity": "subject.method",
    "ownership": "ownership",
    "role": "subject.role",
    "department": "subject.department",
    "inspection": "coverage.completeness",
    "class": "data_class",
}


def pattern_fault(pattern: str) -> str | None:
    """Why a text is not a pattern, or None."""
    if not pattern or pattern != pattern.strip():
        return "is empty or has blanks around it"
    if not pattern.isprintable():
        return "holds a control character"
    if any(c in pattern for c in "[]{}"):
        return "holds a bracket: only `*` and `?` are special"
    return None


def matcher(patterns: Sequence[str]) -> Ask[str]:
    """True for a text that any of the patterns describes. Linear in the text's length, whatever the pattern."""
    folded = [p.casefold() for p in patterns]
    exact = frozenset(p for p in folded if "*" not in p and "?" not in p)
    globs = [fnmatch.translate(p) for p in folded if p not in exact]
    if not globs:
        return lambda text: text.casefold() in exact
    compiled = re.compile("|".join(globs))
    return lambda text: (low := text.casefold()) in exact or compiled.match(low) is not None


def destination(name: str, values: Sequence[str]) -> Ask[Target]:
    """A destination condition, over the target alone: what the failure table may ask."""
    return _place(attrgetter(_ATTRIBUTE.get(name, f"target.{name}").removeprefix("target.")), values)


def request(name: str, values: Sequence[str]) -> Ask[Facts]:
    """A request condition."""
    if name == "network":
        return _network(values)
    if name == "tool":
        return _any(attrgetter("tools"), values)
    if name == "subject":
        return _subject(values)
    if name == "group":
        return _any(attrgetter("subject.groups"), values)
    if name == "credential":
        fits = matcher(values)
        return lambda facts: fits(facts.credential.kind if facts.credential else "none")
    if name == "key":
        of = matcher(values)
        return lambda facts: facts.credential is not None and of(facts.credential.fingerprint)
    if name == "agent":
        called = matcher(values)
        return lambda facts: (facts.agent is not None and called(facts.agent)) or any(map(called, facts.agents))
    if name in ("assurance", "identity", "ownership", "inspection"):
        return _member(attrgetter(_ATTRIBUTE[name]), values)
    if name in DESTINATION:
        return _place(attrgetter(_ATTRIBUTE.get(name, f"target.{name}")), values)
    return _text(attrgetter(_ATTRIBUTE.get(name, name)), values)


def finding(name: str, value: Sequence[str] | str | bool | float) -> Ask[Finding]:
    """A finding condition (of `FINDING`)."""
    if name == "severity":
        least = Severity(str(value)).rank
        return lambda f: f.severity.rank >= least
    if name == "confidence":
        sure = float(str(value))
        return lambda f: f.confidence >= sure
    if name == "validated":
        return (lambda f: f.validated is True) if value else (lambda f: f.validated is not True)
    values = [str(v) for v in value] if isinstance(value, Sequence) and not isinstance(value, str) else [str(value)]
    if name == "regulation":
        return _any(attrgetter("regulations"), values)
    if name in ("provenance", "novelty"):
        return _member(attrgetter(name), values)
    return _text(attrgetter(_ATTRIBUTE.get(name, name)), values)


def _place[T](get: Callable[[T], str], values: Sequence[str]) -> Ask[T]:
    """A destination attribute: lower case already, so that plain values need no more than a look-up."""
    folded = [value.casefold() for value in values]
    if any("*" in value or "?" in value for value in folded):
        return _text(get, folded)
    return _member(get, folded)


def _member[T](get: Callable[[T], str | None], values: Sequence[str]) -> Ask[T]:
    allowed = frozenset(values)
    return lambda thing: get(thing) in allowed


def _text[T](get: Callable[[T], str | None], values: Sequence[str]) -> Ask[T]:
    fits = matcher(values)
    return lambda thing: (text := get(thing)) is not None and fits(text)


def _subject(values: Sequence[str]) -> Ask[Facts]:
    """The sender's id (`user:alice`, `service:ci`, or an address). A pattern that names no kind of sender also fits
    the name alone: people write `alice`, and a rule that silently fits nobody protects nobody."""
    kinds = tuple(f"{kind}:" for kind in SUBJECT_KINDS)
    whole = matcher(values)
    bare = matcher([value for value in values if not value.casefold().startswith(kinds)])

    def fits(facts: Facts) -> bool:
        sender = facts.subject.id
        if whole(sender):
            return True
        return sender.startswith(kinds) and bare(sender.partition(":")[2])

    return fits


def _any[T](get: Callable[[T], Sequence[str]], values: Sequence[str]) -> Ask[T]:
    fits = matcher(values)
    return lambda thing: any(map(fits, get(thing)))


def _network(values: Sequence[str]) -> Ask[Facts]:
    networks = [ipaddress.ip_network(value) for value in values]

    @lru_cache(4096)
    def within(address: str) -> bool:
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        return any(ip in network for network in networks)

    return lambda facts: within(facts.client_address)
