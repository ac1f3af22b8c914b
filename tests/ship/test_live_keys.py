"""Keys in prompts that work, as the event store tells them."""

from __future__ import annotations

import json

from sluice.ledger.record import encode
from sluice.ship.clickhouse import Embedded
from tests.ship.ship_rig import decision, match, outcome

WORKS, FAILS, KNOWN, SAMPLE = ("ab" * 16, "cd" * 16, "ef" * 16, "01" * 16)


def test_a_key_in_a_prompt_that_was_answered_elsewhere_is_live(store: Embedded) -> None:
    """Before or after the find, by another subject: a 2xx for the key makes it live; a 401, or a sample, does not."""
    found = [
        decision(1, matches=(match(fingerprint=WORKS, live=False), match(fingerprint=FAILS))),
        decision(2, matches=(match(fingerprint=WORKS),), decision="block", subject_id="b2"),
        decision(3, matches=(match(fingerprint=KNOWN, live=True), match(fingerprint=SAMPLE, example=True))),
    ]
    used = [
        *(decision(4, key_fp=WORKS), outcome(4, upstream_status=200)),
        *(decision(5, key_fp=FAILS), outcome(5, upstream_status=401)),
        *(decision(6, key_fp=SAMPLE), outcome(6, upstream_status=200)),
    ]
    store.insert([encode(r) for r in (*found, *used)], "live")
    sql = "SELECT fingerprint, requests, allowed, subjects, known_live FROM live_keys_in_prompts ORDER BY fingerprint"
    rows = [json.loads(line) for line in store.select(sql, "JSONEachRow").splitlines()]
    assert rows == [
        {"fingerprint": WORKS, "requests": 2, "allowed": 1, "subjects": 2, "known_live": False},
        {"fingerprint": KNOWN, "requests": 1, "allowed": 1, "subjects": 1, "known_live": True},
    ]
