"""`make demo`: the product without any provider account, in two parts.

First (`--small` ends there) official SDKs send a handful of requests, one after the other, to look at. Then a day at a
company: some 5,000 requests of 400 people and 30 agents through the real gate, what reports, inventories and findings
say of them, and each number beside the generator's own. The console stays up until Ctrl-C in a terminal, or with
`--stay`.

Exit code: 0 when everything was as it should be, 1 otherwise.
"""

from __future__ import annotations

import argparse
import sys

from tests.demo import first
from tests.demo.company import showing
from tests.demo.company.planning import Size


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__.split("\n")[0])
    parser.add_argument("--small", action="store_true", help="the first part alone: real SDKs, ten requests")
    parser.add_argument("--company", action="store_true", help="the day at the company alone")
    parser.add_argument("--people", type=int, default=400, metavar="N", help="people of the company (40 to 400)")
    parser.add_argument("--seed", type=int, default=5, metavar="N", help="another seed is another day")
    parser.add_argument("--stay", action="store_true", help="keep the console up until Ctrl-C, also without a terminal")
    parser.add_argument("--go", action="store_true", help="end by itself, also in a terminal")
    given = parser.parse_args()
    if not 40 <= given.people <= 400:
        parser.error("--people is between 40 and 400")
    good = True if given.company else first.play()
    if not given.small:
        stay = given.stay or (sys.stdin.isatty() and sys.stdout.isatty() and not given.go)
        good = showing.play(Size.of(given.people), given.seed, stay=stay) and good
    first.console.print(
        "\n[bold]Where to look next[/]\n"
        "  make run                     the appliance for your own clients; it prints a curl line to try\n"
        "  sluice tail                  decisions as they happen\n"
        "  sluice explain REQUEST.json  why a request would be allowed or blocked\n"
        "  deploy/policy.toml           the rules that decided in the first part\n"
        "  README.md                    how to point each client at the gate, and what it cannot see"
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
