"""What people and programs send, and what was stopped: the board of the SOC."""

from __future__ import annotations

from panels import Board, lines, number, rows

I = 'instance=~"$instance"'  # noqa: E741 - the selector that every query carries

BOARD = Board(
    "sluice-soc",
    "Sluice: SOC",
    "Decisions, classes of data, subjects, providers, blocks. Names are keyed pseudonyms; no text of a prompt is anywhere.",
    [
        (
            "Now",
            [
                number(
                    "Requests", f"sum(increase(sluice_decisions_total{{{I}}}[$__range]))", "short", "In the time range."
                ),
                number(
                    "Blocked",
                    f'sum(increase(sluice_decisions_total{{{I}, action="block"}}[$__range])) or vector(0)',
                    "short",
                    "A rule said no.",
                ),
                number(
                    "Refused",
                    f'sum(increase(sluice_decisions_total{{{I}, action="refuse"}}[$__range])) or vector(0)',
                    "short",
                    "The gate could not decide, or the request was malformed.",
                ),
                number(
                    "Fail-open",
                    f"sum(increase(sluice_fail_open_total{{{I}}}[$__range]))",
                    "short",
                    "Allowed without having been judged. Zero is the goal.",
                    bad_above=1,
                ),
                number(
                    "Working keys in prompts",
                    f"sum(increase(sluice_live_keys_total{{{I}}}[$__range]))",
                    "short",
                    "Revoke them first.",
                    bad_above=1,
                ),
                number(
                    "Alerts",
                    'count(ALERTS{alertstate="firing", team="soc"}) or vector(0)',
                    "short",
                    "Firing now, for the SOC.",
                    bad_above=1,
                ),
            ],
        ),
        (
            "Decisions",
            [
                lines(
                    "Decisions",
                    "reqps",
                    "By what was decided.",
                    (f"sum by (action) (rate(sluice_decisions_total{{{I}}}[$__rate_interval]))", "{{action}}"),
                ),
                lines(
                    "Why",
                    "reqps",
                    "By reason, without those in which nothing was found.",
                    (
                        f'sum by (reason) (rate(sluice_decisions_total{{{I}, reason!~"NO_FINDINGS|NOT_AI"}}[$__rate_interval]))',
                        "{{reason}}",
                    ),
                ),
                lines(
                    "Classes that were blocked",
                    "reqps",
                    "Requests in which a class of data counted.",
                    (
                        f'sum by (data_class) (rate(sluice_decision_classes_total{{{I}, action="block"}}[$__rate_interval])) > 0',
                        "{{data_class}}",
                    ),
                ),
                lines(
                    "Classes that were allowed",
                    "reqps",
                    "What leaves the house.",
                    (
                        f'topk(20, sum by (data_class) (rate(sluice_decision_classes_total{{{I}, action="allow"}}[$__rate_interval])))',
                        "{{data_class}}",
                    ),
                ),
            ],
        ),
        (
            "Who and where to",
            [
                lines(
                    "Providers",
                    "reqps",
                    "By what the site says of them.",
                    (
                        f'sum by (provider, status) (rate(sluice_decisions_total{{{I}, provider!="none"}}[$__rate_interval]))',
                        "{{provider}} ({{status}})",
                    ),
                ),
                lines(
                    "How well senders are known",
                    "reqps",
                    "`none`: from an address alone.",
                    (
                        f"sum by (assurance) (rate(sluice_identified_requests_total{{{I}}}[$__rate_interval]))",
                        "{{assurance}}",
                    ),
                ),
                rows("Subjects", "The busiest, with what was blocked.", "soc-subjects", span=12),
                rows("Providers and models", "What is used.", "soc-providers-and-models", span=12),
            ],
        ),
        (
            "Blocks",
            [
                rows("What was blocked", "Each leads to the board of its exchange.", "soc-what-was-blocked"),
                rows("Findings", "By detector: how often, how sure, said anew or repeated.", "soc-findings"),
            ],
        ),
    ],
)
