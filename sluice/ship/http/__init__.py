"""ClickHouse's HTTP interface on the embedded engine: what clickhouse-connect, curl and JDBC drivers speak.

    interface    what the shipper opens
    listener     the thread that serves, and how it ends
    app          a request, from its head to the last byte of the answer
    answer       the response, and how a body that failed half-way ends
    request      what a request asks for
    settings     which of ClickHouse's settings a request may bring
    credentials  the one user, its password, and how fast it may be guessed
    coding       compressed answers and bodies, HTTP's and ClickHouse's own
    errors       ClickHouse's codes as HTTP statuses, and its way to put an error

Rules
1. Loopback only, one user that can only read. Every statement passes the gate (`sluice.ship.admission`).
2. Nothing here makes shipping wait: a thread and a loop of their own, and a bounded number of questions.
3. An answer that was cut off never looks whole: it ends in an exception block and a broken connection.
4. No password and no statement is logged.

Source: https://clickhouse.com/docs/interfaces/http
"""
