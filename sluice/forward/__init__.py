"""Events outward: records of the ledger to a SIEM, a webhook or a file, each destination at its own pace.

`events` turns a record into a syslog message, an OCSF event or plain JSON; `sinks` brings a batch there; `cursors`
remembers how far each destination is; `forwarder` is the process.

Rules
1. A process of its own: a receiver that is slow or dead costs neither a request nor delivery to ClickHouse. It reads
   the ledger and never writes to it.
2. At least once: the cursor moves after the receiver has taken the batch, so a crash repeats what was in hand. Every
   event carries an id (`chain_id`/`epoch`/`seq`) by which a receiver can drop what it has already.
3. What a receiver will never take (400, 413, 415, 422) is set aside in `var/forward/<name>.rejected`, one by one,
   and counted: one event must not hold up the rest.
4. The ledger keeps `evidence.keep_days` of records. A destination that is away for longer misses the rest, which is
   counted and logged with numbers, never passed over.
"""
