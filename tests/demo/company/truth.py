"""What must be on record: counts made from the plan alone, by what its author knows of each request.

Every function gives the rows of one answer of Sluice: key to numbers. No record, row or detector is looked at here;
only pseudonyms and fingerprints are translated, since that is how records name people and keys.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase

from tests.demo.company.agents import AGENTS
from tests.demo.company.catalogue import BESIDE, SANCTIONED, TOLERATED
from tests.demo.company.coding import RUNS
from tests.demo.company.exchange import Exchange
from tests.demo.company.office import MEMBER
from tests.demo.company.planning import OURS
from tests.demo.company.site import SYSTEMS, Site
from tests.demo.company.texts import ON_TRIAL
from tests.demo.company.tools import BY_LABEL

type Key = tuple[str, ...]
type Cell = int | str
type Rows = dict[Key, tuple[Cell, ...]]
type Test = Callable[[Exchange], bool]

PERSONAL = re.compile(r"(pii|health|phi|government|financial|contact|special|own|bulk)[.]")
_GRAVE = re.compile(r"sk-(admin-|(?!proj-|ant-|or-))")
"""Keys of administrators, and of the kind that was before projects."""
HEALTH = re.compile(r"phi[.]|health[.](record|insurance)-number|government[.]health-number")


def everything(_: Exchange) -> bool:
    return True


def allowed(x: Exchange) -> bool:
    return x.decision == "allow"


def stopped(x: Exchange) -> bool:
    return not allowed(x)


def _tally(
    of: Iterable[Exchange], keys: Callable[[Exchange], Iterable[Key]], *counts: Test | Callable[[Exchange], str]
) -> Rows:
    """Rows by key. A count that tells yes or no is how often; one that gives text is how many different ones."""
    numbers: defaultdict[Key, list[int]] = defaultdict(lambda: [0] * len(counts))
    different: defaultdict[tuple[Key, int], set[str]] = defaultdict(set)
    for x in of:
        for key in keys(x):
            for n, count in enumerate(counts):
                said = count(x)
                if isinstance(said, bool):
                    numbers[key][n] += said
                else:
                    different[key, n].add(said)
                    numbers[key][n] = len(different[key, n])
    return {key: tuple(row) for key, row in numbers.items()}


def _one(*cells: Callable[[Exchange], str]) -> Callable[[Exchange], list[Key]]:
    return lambda x: [tuple(cell(x) for cell in cells)]


def _provider(x: Exchange) -> str:
    return x.provider


def _subject(x: Exchange) -> str:
    return x.sender.subject


def _model(x: Exchange) -> str:
    return x.model


def _counted(x: Exchange) -> frozenset[str]:
    """The classes of a request that are in the account."""
    return x.classes - ON_TRIAL


def _personal(x: Exchange) -> list[str]:
    return [c for c in _counted(x) if PERSONAL.match(c)]


def _offered(x: Exchange) -> tuple[str, ...]:
    """Tools as a request offers them: functions, kinds of the provider, servers."""
    return (*x.tools, *x.hosted, *(f"mcp:{label}" for label in x.servers))


def _answered(x: Exchange) -> bool:
    return x.arrives and not x.failed_open


_AGENTS = {agent.id: agent for agent in AGENTS}


class Truth:
    """The counts of a day at a site."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.all: Sequence[Exchange] = site.plan.exchanges
        self.decided = [x for x in self.all if x.decided]

    def services(self) -> Rows:
        def key(x: Exchange) -> list[Key]:
            return [(x.provider, x.product.name if x.product else "")]

        return _tally(self.decided, key, everything, allowed, _subject)

    def unsanctioned(self) -> Rows:
        of = [x for x in self.decided if x.product and x.product.status != SANCTIONED]

        def with_class(x: Exchange) -> bool:
            return bool(_counted(x))

        return _tally(of, _one(lambda x: x.sender.department or "unknown"), _subject, everything, with_class, stopped,
                      allowed, lambda x: allowed(x) and with_class(x))  # fmt: skip

    def flows(self) -> Rows:
        def keys(x: Exchange) -> list[Key]:
            return [(x.provider, x.model, c, x.decision) for c in _counted(x) or {"none found"}]

        return _tally(self.decided, keys, everything)

    def exposed(self) -> Rows:
        """Classes that went out, whether or not a rule stops them elsewhere."""
        return _tally(self.decided, lambda x: [(x.provider, x.route, c) for c in _counted(x)], allowed)

    def health(self) -> Rows:
        of = [x for x in self.decided if any(c.startswith(("health.", "phi.")) for c in x.classes)]
        return _tally(of, _one(_provider, lambda x: x.decision), everything)

    def member(self) -> Rows:
        return _tally([x for x in self.decided if MEMBER in x.values], _one(_provider), everything)

    def runs(self) -> Rows:
        """Requests of each run of the agents that name theirs."""

        def key(x: Exchange) -> list[Key]:
            return [(self.site.run(value), x.agent) for name, value in x.headers if name == RUNS.get(x.agent)]

        return _tally(self.decided, key, everything)

    def roles(self) -> Rows:
        of = [x for x in self.decided if x.model]
        return _tally(of, _one(lambda x: x.sender.role or "unknown", _provider, _model), everything, _subject, allowed)

    def routes(self) -> Rows:
        def keys(x: Exchange) -> list[Key]:
            return [(x.provider, x.host, x.operation, c) for c in _personal(x)]

        return _tally(self.decided, keys, everything, allowed, stopped, _subject)

    def agents_tools(self) -> Rows:
        """What each agent offered, hosted and at servers too, what answers called of it, and what was denied."""
        rows: dict[Key, list[int]] = defaultdict(lambda: [0] * 5)
        for x in self.decided:
            if not x.agent:
                continue
            who = self._agent(x)
            plain = [name for name in _offered(x) if name not in _hosted(x)]
            functions = [name for name in plain if not name.startswith("mcp:")]
            servers = [name for name in plain if name.startswith("mcp:")]
            for place, names in enumerate((functions, _hosted(x), servers)):
                for name in names:
                    rows[who, name][place] += 1
                    rows[who, name][4] += stopped(x)
            for name in _calls(x):
                rows[who, name][3] += 1
        return {key: tuple(row) for key, row in rows.items()}

    def agents(self) -> Rows:
        of = [x for x in self.decided if x.agent]
        return _tally(of, _one(self._agent), everything, stopped, lambda x: x.tool_result)

    def agent_by_tool(self) -> Rows:
        rows: dict[Key, list[int]] = defaultdict(lambda: [0] * 3)
        for x in self.decided:
            if x.agent:
                for name in {*_offered(x), *_hosted(x)}:
                    rows[self._agent(x), name][0] += 1
                    rows[self._agent(x), name][1] += stopped(x)
                for name in _calls(x):
                    rows[self._agent(x), name][2] += 1
        return {key: tuple(row) for key, row in rows.items()}

    def tools(self) -> Rows:
        rows: dict[Key, list[int]] = defaultdict(lambda: [0] * 3)
        for (_, tool), (declared, denied, called) in self.agent_by_tool().items():
            for n, number in enumerate((declared, denied, called)):
                rows[(tool,)][n] += int(number)
        return {key: tuple(row) for key, row in rows.items()}

    def servers(self) -> Rows:
        return _tally(self.decided, lambda x: [(label,) for label in x.servers], everything)

    def _agent(self, x: Exchange) -> str:
        """As Sluice names it: of the register, by the client's own name, or client and pseudonym."""
        agent = _AGENTS[x.agent]
        if agent.registered or not agent.subject:
            return agent.id
        return f"{agent.client} of {self.site.pseudonym(agent.subject)[:8]}"

    def keys(self) -> Rows:
        of = [x for x in self.decided if x.key]
        rows = _tally(of, lambda x: [self._key(x)], everything, _subject, lambda x: x.sender.address, _answered)
        owned = {self._key(x): _ownership(x) for x in of}
        return {key: (*row, owned[key]) for key, row in rows.items()}

    def _key(self, x: Exchange) -> Key:
        assert x.key
        return self.site.fingerprint(x.key.value), x.provider

    def blocks(self) -> Rows:
        of = [x for x in self.decided if stopped(x)]
        return _tally(of, _one(lambda x: self.site.pseudonym(x.sender.subject)), everything)

    def tunnels(self) -> Rows:
        return _tally([x for x in self.all if not x.decided], _one(lambda x: x.host), everything)

    def unread(self) -> Rows:
        return _tally([x for x in self.decided if x.unread], _one(lambda x: x.host), everything)

    def policy(self) -> Rows:
        return _tally(self.decided, lambda _: [("nordhaven",)], everything, stopped)

    def systems(self) -> Rows:
        def keys(x: Exchange) -> list[Key]:
            return [(s["id"],) for s in SYSTEMS if _belongs(x, s)]

        found = _tally(self.decided, keys, everything, stopped)
        return {(s["id"],): found.get((s["id"],), (0, 0)) for s in SYSTEMS}

    def processing(self) -> Rows:
        of = [x for x in self.decided if allowed(x)]
        return _tally(of, _one(_provider, lambda x: x.route), everything, lambda x: bool(_personal(x)))

    def concentration(self) -> Rows:
        rows: dict[Key, list[int]] = defaultdict(lambda: [0, 0])
        for x in self.decided:
            rows[(x.provider,)][0] += allowed(x)
            rows[(x.provider,)][1] += (x.answer.tokens_in + x.answer.tokens_out) * _answered(x)
        return {key: tuple(row) for key, row in rows.items()}

    def rules(self) -> Rows:
        return _tally([x for x in self.decided if x.stopped_by], _one(lambda x: x.stopped_by), everything)

    def identities(self) -> Rows:
        return _tally(self.decided, _one(lambda x: x.sender.identity), everything, _subject)

    def departments(self) -> Rows:
        return _tally(self.decided, _one(lambda x: x.sender.department or "unknown"), everything, allowed, _subject)

    def classes(self) -> Rows:
        return _tally(self.decided, lambda x: [(c,) for c in x.classes], everything, allowed)

    def people(self) -> Rows:
        of = [x for x in self.decided if x.sender.identity != "none"]
        return _tally(of, _one(lambda x: self.site.pseudonym(x.sender.subject)), everything, stopped)

    def forwarded(self) -> Rows:
        return _tally([x for x in self.decided if x.arrives], _one(_provider), everything)

    def violations(self) -> Rows:
        """Findings whose violations can be counted from the plan: how many requests each is about."""
        found = {name: sum(map(test, self.decided)) for name, test in _VIOLATIONS.items()}
        found["COV-06"] = sum(x.host == BESIDE[0] for x in self.all)
        found["AGT-06"] = sum(
            BY_LABEL[label].approval == "never" or bool(BY_LABEL[label].token)
            for x in self.decided if allowed(x) for label in x.servers
        )  # fmt: skip
        return {(name,): (number,) for name, number in found.items() if number}


def _hosted(x: Exchange) -> tuple[str, ...]:
    return (*x.hosted, *(("mcp",) if x.servers else ()))


def _calls(x: Exchange) -> tuple[str, ...]:
    return x.answer.calls if _answered(x) else ()


def _ownership(x: Exchange) -> str:
    """Whose a key is: the register says it, else the account that the answers name."""
    assert x.key
    if x.key.registered:
        return "corporate"
    return "corporate" if x.key.organisation in OURS.values() else "personal" if x.key.organisation else "unknown"


def _belongs(x: Exchange, system: dict[str, list[str]]) -> bool:
    """Whether a request is of a system of the register, by what its row names."""
    if x.provider not in system["providers"]:
        return False
    told = (("routes", x.route), ("models", x.model))
    return all(any(fnmatchcase(text, p) for p in system[name]) for name, text in told if name in system)


_VIOLATIONS: dict[str, Test] = {
    "PRV-01": lambda x: allowed(x) and x.product is not None and x.product.status not in (SANCTIONED, TOLERATED),
    "DAT-02": lambda x: allowed(x) and x.provider != "anthropic" and any(map(HEALTH.match, x.classes)),
    "DAT-05": lambda x: allowed(x) and any(c.startswith("special.") for c in x.classes),
    "DAT-06": lambda x: (
        allowed(x)
        and x.product is not None
        and x.product.status != SANCTIONED
        and any(c.startswith("source_code.") for c in x.classes)
    ),
    "KEY-01": lambda x: x.key is not None and allowed(x) and _ownership(x) == "personal",
    "KEY-04": lambda x: (
        x.key is not None and allowed(x) and bool(re.match(r"sk-(admin-|(?!proj-|ant-|or-))", x.key.value))
    ),
    "KEY-07": lambda x: "secret.ai-key" in x.classes,
    "IDN-01": lambda x: allowed(x) and x.sender.identity == "none",
    "IDN-02": lambda x: allowed(x) and x.sender.identity == "header_trusted",
    "OPS-01": lambda x: x.failed_open,
}
