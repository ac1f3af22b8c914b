"""Policy: an ordered table of rules, first match wins, and a table of what happens when a request cannot be decided.

`file` reads and checks `policy.toml`, `conditions` turns what a rule asks into predicates, `rules` decides, `failure`
answers for the causes. Deciding is pure: the same facts under the same file always give the same decision.
"""

from sluice.policy.failure import cause_of
from sluice.policy.file import load
from sluice.policy.rules import PolicySet

__all__ = ["PolicySet", "cause_of", "load"]
