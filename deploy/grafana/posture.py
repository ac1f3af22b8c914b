"""How the organisation uses AI, and how much of it is seen: the board of whoever answers for it."""

from __future__ import annotations

from panels import Board, lines, number, rows

I = 'instance=~"$instance"'  # noqa: E741 - the selector that every query carries

BOARD = Board(
    "sluice-posture",
    "Sluice: posture",
    "Services, keys, classes of data and agents in use; what is not seen, not known, or not approved.",
    [
        (
            "Shares",
            [
                number(
                    "Not inspected",
                    f"sum(increase(sluice_uninspected_bytes_total{{{I}}}[$__range])) / (sum(increase(sluice_uninspected_bytes_total{{{I}}}[$__range])) + sum(increase(sluice_inspected_bytes_total{{{I}}}[$__range])))",
                    "percentunit",
                    "Of the bytes to AI services.",
                    bad_above=0.5,
                ),
                number(
                    "Sender unknown",
                    f'sum(increase(sluice_identified_requests_total{{{I}, assurance="none"}}[$__range])) / sum(increase(sluice_identified_requests_total{{{I}}}[$__range]))',
                    "percentunit",
                    "Of all requests.",
                    bad_above=0.2,
                ),
                number(
                    "Not sanctioned",
                    f'sum(increase(sluice_decisions_total{{{I}, status!~"sanctioned|none"}}[$__range])) / sum(increase(sluice_decisions_total{{{I}, status!="none"}}[$__range]))',
                    "percentunit",
                    "Requests to services that the site has not approved.",
                    bad_above=0.2,
                ),
                number(
                    "Only observed",
                    f'(sum(increase(sluice_decisions_total{{{I}, mode="observe"}}[$__range])) or vector(0)) / sum(increase(sluice_decisions_total{{{I}}}[$__range]))',
                    "percentunit",
                    "Decisions that did not bind.",
                ),
                number(
                    "Critical findings",
                    f'sum(sluice_posture_findings{{{I}, severity="critical", state="open"}})',
                    "short",
                    "Open: nobody has acknowledged or accepted them.",
                    bad_above=1,
                ),
                number(
                    "Other findings",
                    f'sum(sluice_posture_findings{{{I}, severity!="critical", state="open"}})',
                    "short",
                    "Open, of severity high, medium or low.",
                ),
                number(
                    "Age of the rules",
                    f"time() - min(sluice_rulebook_loaded_seconds{{{I}}})",
                    "s",
                    "Since they were loaded.",
                ),
                number(
                    "Rulebooks in force",
                    f"count(count by (digest) (sluice_rulebook_workers{{{I}}}))",
                    "short",
                    "More than one: nodes or workers differ.",
                    bad_above=2,
                ),
            ],
        ),
        (
            "Findings",
            [
                lines(
                    "Open findings",
                    "short",
                    "By severity; once a minute from the event store.",
                    (
                        f'sum by (severity) (sluice_posture_findings{{{I}, state="open"}})',
                        "{{severity}}",
                    ),
                ),
                lines(
                    "Acknowledged and accepted",
                    "short",
                    "What somebody works on, and what somebody lives with until a day.",
                    (
                        f'sum by (state) (sluice_posture_findings{{{I}, state!="open"}})',
                        "{{state}}",
                    ),
                ),
            ],
        ),
        (
            "Use",
            [
                lines(
                    "By kind of service",
                    "reqps",
                    "API, assistant, agent, gateway ...",
                    (
                        f'sum by (route_class) (rate(sluice_decisions_total{{{I}, route_class!="none"}}[$__rate_interval]))',
                        "{{route_class}}",
                    ),
                ),
                lines(
                    "How much was read",
                    "reqps",
                    "Of requests to AI services.",
                    (
                        f"sum by (completeness) (rate(sluice_inspected_requests_total{{{I}}}[$__rate_interval]))",
                        "{{completeness}}",
                    ),
                ),
                rows("Services", "With the site's word on each.", "posture-services", span=12),
                rows("API keys", "By fingerprint: whose, where, by how many.", "posture-api-keys", span=12),
                rows("Agents and programs", "What sends.", "posture-agents-and-programs", span=12),
                rows(
                    "Classes of data",
                    "What was found, where it went, what became of it.",
                    "posture-classes-of-data",
                    span=12,
                ),
                rows("What was not read", "Per day and service.", "posture-what-was-not-read"),
            ],
        ),
    ],
)
