"""Posture: what the decisions add up to. Reports, findings, clauses and a score, each computed from the records.

    units       reading the files: a report, a finding, a list of clauses is a TOML file below `deploy/posture`
    question    a unit's SQL with its parameters filled in, and what comes back
    coverage    how much of the traffic in a span of time was seen at all: every report says it
    report      one report: scope, coverage, basis, query, its digest, rows
    rendering   the same report as text, CSV, JSON, Markdown or HTML
    inventory   what is in use, declared against observed
    within      inventory and flow over the records of a span alone
    graph       where data flows, as JSON, DOT or Mermaid
    evaluation  findings: what their SQL shows, day by day where it adds up
    lifecycle   opened, acknowledged, accepted, fixed, reopened: events that are only ever added
    compliance  clause -> evidence -> status
    score       shares with their numerator and denominator, and one number made of them

Rules
1. A number is never without its parts: the query, its digest, the span, and how much of it was not seen.
2. A report of a span that is over is the same, byte for byte, whenever it is asked for; so nothing here says `now()`.
3. The room asks through a function and never opens the store: who owns the engine is the shipper's business.
4. A reading of a law is not a law: each basis begins with `law`, `standard`, `vendor` or `own`.
5. Texts in the records may be of a client's choosing. What is written for people or programs is escaped for its format.
"""
