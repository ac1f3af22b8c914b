"""Loading everything that can change a decision, as one value with one digest.

Destinations, detectors and policy are read and checked together: a policy that names a class no detector has, or a
provider no row has, is a mistake that only the combination shows. Nothing is half loaded: on any problem
`Misconfigured` lists all that were found, and whoever asked keeps what it had.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
import time
from collections.abc import Callable

from sluice import config, keys, policy, suppressions, targets
from sluice.cache import Cache
from sluice.detect import judgement, packs
from sluice.detect.engine import Engine
from sluice.detect.evidence import Fingerprinter
from sluice.detect.novelty import Novelty
from sluice.detect.own import site as own
from sluice.errors import Misconfigured, Problem
from sluice.metrics import RULEBOOK_LOADS, know_classes, know_providers
from sluice.model import Bound, Rulebook
from sluice.register import agents as naming
from sluice.targets import tenants as tenancy


def load(settings: config.Settings, clock: Callable[[], int] = time.time_ns, store: Cache | None = None) -> Rulebook:
    """The rulebook that `settings` describe; compiled detectors come from `store`, or the deployment's own.

    Raises `Misconfigured` with every problem of every file.
    """
    problems: list[Problem] = []
    signatures = config.signatures_dir()
    today = dt.datetime.fromtimestamp(clock() / 1e9, dt.UTC).date()

    def attempt[T](step: Callable[[], T]) -> T | None:
        try:
            return step()
        except Misconfigured as e:
            problems.extend(e.problems)
            return None

    table = attempt(lambda: targets.load(signatures / "targets.toml", settings.paths.targets))
    vocabulary = attempt(lambda: packs.load_vocabulary(signatures / "vocabulary.toml"))
    detectors = attempt(
        lambda: packs.load([signatures / "packs", *settings.paths.packs], signatures / "vocabulary.toml")
    )
    key = attempt(lambda: keys.fingerprint_key(settings))
    own_data = (
        attempt(lambda: own.load(settings.own, keys.secrets_by_name(settings), settings.cache_dir)) if key else None
    )
    rules = attempt(
        lambda: policy.load(
            settings.paths.policy or config.shipped_policy(),
            known_classes=frozenset(vocabulary.classes) | (own_data.classes if own_data else frozenset())
            if vocabulary
            else None,
            known_providers=table.providers if table else None,
            today=today,
        )
    )
    judged = None
    if (judgements := settings.paths.suppressions) and table and vocabulary and detectors:
        ids = {d.id for d in (*detectors, *judgement.DETECTORS, *(own_data.detectors if own_data else ()))}
        classes = frozenset(vocabulary.classes) | (own_data.classes if own_data else frozenset())
        judged = attempt(
            lambda: suppressions.load(
                judgements, detectors=ids, classes=classes, providers=table.providers, today=today
            )
        )
    tenants: dict[str, Bound] = {}
    if table and settings.upstream.tenant:
        tenants = attempt(lambda: tenancy.by_row(settings.upstream.tenant, table.rows, "settings")) or {}
    agents = attempt(lambda: naming.load(settings)) if rules and rules.asks_agents and key else None
    if problems or table is None or detectors is None or rules is None or key is None:
        RULEBOOK_LOADS.labels("failed").inc()
        raise Misconfigured(problems)
    store = store or Cache(settings.cache_dir, key[0])
    engine = Engine(detectors, Fingerprinter(*key), store=store, novelty=Novelty(secrets.token_bytes(32)), own=own_data)
    know_providers(table.providers)
    if vocabulary is not None:
        know_classes((*vocabulary.classes, *(own_data.classes if own_data else ())))
    RULEBOOK_LOADS.labels("loaded").inc()
    parts = [table.digest, engine.digest, rules.digest, *([judged.digest] if judged else [])]
    parts += [f"{row} {bound.fields}" for row, bound in sorted(tenants.items())]
    parts += [agents.digest] if agents else []
    return Rulebook(
        targets=table,
        detectors=engine,
        policy=rules,
        digest=hashlib.sha256("\n".join(parts).encode()).hexdigest(),
        loaded_at=clock(),
        suppressions=judged,
        tenants=tenants,
        agents=agents,
    )
