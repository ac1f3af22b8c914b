"""The console: posture, decisions and evidence for people, as pages that a browser shows without running anything.

    process    the child process that serves it, started by the supervisor
    app        routes, from the request to the page
    guard      Host, security headers, size and origin of what is posted
    entry      who may come in, and how fast a password may be guessed
    sessions   who is logged in
    judging    what somebody says of a finding
    catalogue  reports, findings, clauses, measures
    store      asking the events: bounded, several at a time, never by opening the engine
    backtest   a pasted policy, tried on what is recorded
    access     who read what, as records in the ledger
    given      what a request says: span, filters, paging
    file       what a download sends
    page       a page as questions to the store, and what is made of the answers
    rendering  templates, and how a cell becomes text
    chart      bars as SVG
    flow       the graph of flows as SVG
    pages      the pages themselves

Rules
1. Nothing here changes a decision. What is posted is a login, a logout, a policy to be tried on what is recorded, or
   what somebody says of a finding (an event that is only added, by those whom the settings let).
2. Every number comes from a question to the store, and every page shows those questions with their digests (`sql=1`).
3. Texts in the records are of a client's choosing: every cell loses its control characters and is escaped; pages run no
   script, load nothing from elsewhere and carry no inline style, and the policy in their headers says so.
4. Who looks at records leaves an access record first; without one, nothing is shown.
5. A store that is away is said plainly, with what to do. This process never opens it.
"""
