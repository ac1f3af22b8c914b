"""The organisation in operation: the appliance with its site, the providers on loopback, a day of traffic.

`Company` is a context manager; its methods are called in the order in which they stand.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from click.testing import CliRunner

from sluice import config
from sluice.cli import group
from sluice.cli.asking import questions
from sluice.posture import question, score
from sluice.posture.question import Cell
from tests.clients.appliance import SHIP_SECONDS, Appliance
from tests.demo.company.answers import Providers
from tests.demo.company.catalogue import HOSTS
from tests.demo.company.compared import COUNTS, FINDINGS, Compared, compared
from tests.demo.company.day import day_of, lines
from tests.demo.company.planning import Plan, Size
from tests.demo.company.sending import Clients, Sent
from tests.demo.company.site import Site, feed
from tests.demo.company.truth import Truth
from tests.rig.warm import warm
from tests.upstream import Upstream

_ON_RECORD = """
SELECT countIf(record_type = 'decision') AS decisions, countIf(record_type = 'outcome') AS outcomes,
    countIf(record_type = 'bypass') AS tunnels FROM events
"""


class Company:
    """A day of the given size below `directory`, where everything that is written stays."""

    def __init__(self, directory: Path, size: Size, *, seed: int = 5, console: str = "") -> None:
        self.plan: Plan = day_of(size, seed)
        self.site = Site(self.plan, directory)
        self.providers = Providers(self.plan.exchanges)
        self._open = ExitStack()
        self._console = console
        self._upstream = Upstream(
            hosts=HOSTS, override=self.providers.answer, delay=0, keep=0, keep_bodies=False
        )  # the journal counts; what arrived is told by the providers
        self._since = datetime.now(UTC)
        self.appliance: Appliance

    def __enter__(self) -> Self:
        self._open.enter_context(self._upstream)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def start(self, waiting: Callable[[str], None] = lambda _: None) -> None:
        """Write the site, and start the appliance on it. Raises as `Appliance.start` does."""
        directory = self.site.directory
        warm(directory / "var")  # the fingerprint key: registers name keys by it
        settings = self.site.write()
        self.appliance = Appliance(directory, self._upstream, hosts=HOSTS, settings=settings, console=self._console)
        self.appliance.start(waiting)
        self._open.callback(self.appliance.stop)

    def send(self, done: Callable[[int], None] = lambda _: None) -> Sent:
        """The whole day, through the gate; `done` hears how many requests of a connection are over."""
        appliance = self.appliance
        clients = Clients(appliance.proxy, str(appliance.ca_file), self._upstream.ca_pem, done)
        return clients.send(lines(self.plan))

    def settle(self) -> None:
        """Wait until every record is a row. Raises TimeoutError when they do not come."""
        decided = sum(x.decided for x in self.plan.exchanges)
        wanted = {"decisions": decided, "outcomes": decided, "tunnels": len(self.plan.exchanges) - decided}
        deadline = time.monotonic() + SHIP_SECONDS
        while True:
            found = {name: int(str(number)) for name, number in self.ask(_ON_RECORD)[0].items()}
            if all(found[name] >= number for name, number in wanted.items()):
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {SHIP_SECONDS} s the store holds {found} of {wanted}")
            time.sleep(0.1)

    def enter(self) -> None:
        """What an operator does in the evening: enter what other systems know, and have it judged."""
        for what, text in feed(self.plan, self.site).items():
            file = self.site.directory / f"{what}.csv"
            file.write_text(text)
            self._sluice("posture", "import", what, str(file))
        self.evaluate()

    def work(self) -> None:
        """What people do about it: somebody takes one finding on, one is accepted for a while, an incident is looked
        into, which is on record, and what belongs to it is kept; six blocks are reviewed, two of them judged wrong."""
        self._sluice("findings", "ack", "KEY-01", "--reason", "Asked the people whose keys they are")
        soon = f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}"
        self._sluice("findings", "accept", "MOD-01", "--until", soon, "--reason", "The migration ends in December")
        incident = next(x.sender.subject for x in self.plan.exchanges if "secret.ai-key" in x.classes)
        who = self.site.pseudonym(incident)
        self._sluice("subjects", "reveal", who, "--reason", "Incident 2026-11: a key in a prompt")
        self._sluice("hold", "place", "incident-2026-11", "--subject", who, "--reason", "A key in a prompt")
        cards = self.ask("SELECT decision_id FROM exchanges WHERE rule_id = 'payment-cards' ORDER BY ts LIMIT 6")
        for number, row in enumerate(cards):
            verdict = "overturned" if number % 3 == 0 else "confirmed"
            self._sluice("posture", "review", str(row["decision_id"]), "--verdict", verdict, "--reason", "looked at")
        self.evaluate()

    def evaluate(self) -> None:
        """Findings, now. Raises RuntimeError when one could not be evaluated."""
        result = json.loads(self._sluice("findings", "evaluate", "--json"))
        if result["failed"]:
            raise RuntimeError(f"findings could not be evaluated: {result['failed']}")

    def compare(self) -> Iterator[Compared]:
        """Every count, one after the other."""
        truth, settings = Truth(self.site), config.load(self.appliance.config, {})
        until = (datetime.now(UTC) + timedelta(minutes=2)).replace(second=0, microsecond=0)
        with questions(settings) as asked:
            for count in (*COUNTS, FINDINGS):
                yield compared(asked, truth, count, self._since - timedelta(days=1), until)

    def _sluice(self, *arguments: str) -> str:
        """Output of a `sluice` command, run in this process: a process of its own for each costs a second."""
        environment = {"SLUICE_CONFIG": str(self.appliance.config)}
        done = CliRunner().invoke(group, arguments, env=environment, standalone_mode=False)
        if done.exception is not None or done.return_value:
            raise RuntimeError(f"sluice {' '.join(arguments)}: {done.output}") from done.exception
        return done.stdout

    def written(self) -> bytes:
        """Every byte that the appliance wrote: its files, its log, and the event store as rows."""
        kept = (f for f in self.appliance.var.rglob("*") if f.is_file() and "clickhouse" not in f.parts)
        rows = json.dumps(self.ask("SELECT * FROM events"), ensure_ascii=False).encode()
        return b"\n".join((rows, self.appliance.log.read_bytes(), *(f.read_bytes() for f in kept)))

    def planted(self) -> tuple[str, ...]:
        """Everything that must be in none of them: what texts carried, and the keys. Record numbers are left out: eight
        digits stand in some time or hash by chance."""
        carried = {value for x in self.plan.exchanges for value in x.values if len(value) > 8}
        return tuple(sorted(carried | {key.value for key in self.plan.keys}))

    def ask(self, sql: str) -> list[dict[str, Cell]]:
        """Rows of a question, answered by the running appliance."""
        with questions(config.load(self.appliance.config, {})) as asked:
            return question.ask(asked, sql).dicts()

    def scored(self) -> tuple[float | None, list[score.Value]]:
        """The posture score of the day, with its parts."""
        until = datetime.now(UTC) + timedelta(minutes=2)
        with questions(config.load(self.appliance.config, {})) as asked:
            values = score.measured(asked, self._since - timedelta(days=1), until)
        return score.score(values), values
