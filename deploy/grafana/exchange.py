"""One exchange: what is on record of it. Where the blocks of the SOC's board lead."""

from __future__ import annotations

from panels import EXCHANGE, Board, rows

BOARD = Board(
    EXCHANGE,
    "Sluice: one exchange",
    "Everything on record of one decision. `sluice prove ID` gives the proof of it.",
    [
        (
            "${decision_id}",
            [
                rows("Decision and outcome", "One line.", "exchange-decision-and-outcome"),
                rows("Findings", "By detector and value; the value itself is nowhere.", "exchange-findings"),
                rows("Records", "As they stand in the ledger.", "exchange-records"),
            ],
        ),
    ],
    per_instance=False,
    asks_for="decision_id",
)
