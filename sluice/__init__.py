"""Sluice: the gate that AI traffic leaves through. This is the tour; each room's own page says the rest.

A request's life, file by file:

    addons.tunnel       CONNECT and SNI: decrypt, pass as an opaque tunnel, or refuse
    addons.guard        the request arrives already refused, and stays so until a clearance says otherwise
    addons.flows        the proxy's flow becomes an `Exchange`                                  (model.py)
    sluice.gate         one page: match, identify, decode, parse, scan, decide, commit
      sluice.targets      host and path -> which AI service this is, and what the site thinks of it
      sluice.identity     who is asking, and how far that can be trusted
      sluice.decode       the wire body -> bytes, under limits, or why it is opaque
      sluice.dialects     bytes -> parts of text with roles, model, tools, files, keys
      sluice.detect       parts -> findings; plaintext ends here
      sluice.policy       facts -> a decision with a rule and a reason
      sluice.recording    all of it -> one record without content
      sluice.ledger       the record, durable and chained, before anything moves
    addons.guard        a `Clearance` lifts the refusal; anything else is an answer             (refusals.py)
    addons.outcome      how it ended: a second record
      sluice.answers      what the answer says of itself, read as it streams past
    sluice.ship         ledger -> ClickHouse, exactly once, in a process of its own
    sluice.seal         ledger -> signed checkpoints and witnesses, in a process of its own
    sluice.forward      ledger -> syslog, OCSF, webhook, file, in a process of its own
    sluice.console      rows -> pages for people, in a process of its own

Out of the rows, asked by the process that owns the store:

    sluice.register     what the organisation has declared: files -> snapshots beside the records
    sluice.posture      reports, findings, score and compliance: each a file below `deploy/posture`

`errors.py` sorts faults by whose they are; `config` is every setting; `metrics.py` every metric; `supervisor.py`
starts the processes, which tell it how they are through `heartbeat`; `cli` is what an operator types, `doctor` looks
for what is wrong, `simulate` tries a policy on what is recorded. `onboarding` is what clients are handed; `probe` and
`selftest` are the hosts that the gate answers itself; `overdue` says when evidence waits too long; `tally` counts for
`metrics`, `gauges` measures at the scrape, `notify` speaks to systemd; `value` is the base of all that travels.
`proof` checks, proves and exports what was sealed; `owndata` builds the site's own indexes; `suppressions`, `subjects`
and `keyuse` are what a site has judged, who is behind a pseudonym, and which keys were seen working; `durable` writes
every small file that must survive a crash. Nothing in this package imports mitmproxy: that is `addons`.
"""

__version__ = "0.1.0"
