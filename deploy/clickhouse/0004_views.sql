-- What analysts ask first, ready to be asked. Views hold no rows; `ts` is always the time of the request.

-- One line per value that a detector found in a request.
CREATE VIEW IF NOT EXISTS findings_seen AS
SELECT
    e.ts_received AS ts,
    decision_id,
    subject_id,
    src_ip,
    agent_id,
    key_fp,
    provider_id,
    product,
    host,
    model_requested,
    m.detector AS detector,
    m.rev AS rev,
    m.data_class AS data_class,
    m.severity AS severity,
    m.count AS count,
    m.validated AS validated,
    m.confidence AS confidence,
    m.provenance AS provenance,
    m.novelty AS novelty,
    m.example AS example,
    m.suppressed AS suppressed,
    m.fingerprint AS fingerprint,
    m.mask AS mask,
    decision,
    would_decide,
    reason_code,
    rule_id
FROM events AS e
ARRAY JOIN e.matches AS m
WHERE record_type IN ('decision', 'bypass', 'ws_message')
COMMENT 'Findings in requests, one line per detector and value';

ALTER TABLE findings_seen
    COMMENT COLUMN ts 'When the request was complete',
    COMMENT COLUMN decision_id 'Id of the exchange (UUIDv7)',
    COMMENT COLUMN subject_id 'Keyed pseudonym of the subject',
    COMMENT COLUMN src_ip 'Client address, full or truncated as the site has set',
    COMMENT COLUMN agent_id 'Coding agent or other agent',
    COMMENT COLUMN key_fp 'Keyed fingerprint of the API key',
    COMMENT COLUMN provider_id 'Provider of the AI service; empty when it is none',
    COMMENT COLUMN product 'Product of the provider',
    COMMENT COLUMN host 'Host that the request was for',
    COMMENT COLUMN model_requested 'Model that the request names',
    COMMENT COLUMN detector 'Detector',
    COMMENT COLUMN rev 'Revision of the detector',
    COMMENT COLUMN data_class 'Data class',
    COMMENT COLUMN severity 'Severity of the finding',
    COMMENT COLUMN count 'How often the value occurs',
    COMMENT COLUMN validated 'Validator result; NULL without a validator',
    COMMENT COLUMN confidence 'Confidence, 0 to 1',
    COMMENT COLUMN provenance 'Where the text came from',
    COMMENT COLUMN novelty 'new, or seen before in the conversation',
    COMMENT COLUMN example 'A documented sample or placeholder',
    COMMENT COLUMN suppressed 'The suppression that took it out of the account, if one did',
    COMMENT COLUMN fingerprint 'Keyed fingerprint of the value',
    COMMENT COLUMN mask 'Hint, where the class allows one',
    COMMENT COLUMN decision 'What happened to the request',
    COMMENT COLUMN would_decide 'Observe mode: what enforcement had done',
    COMMENT COLUMN reason_code 'Why, from a closed list',
    COMMENT COLUMN rule_id 'Rule that decided';

-- One line per tool that a request offers or an answer calls: how = declared, hosted, mcp, called.
CREATE VIEW IF NOT EXISTS tool_use AS
SELECT
    e.ts_received AS ts,
    decision_id,
    toString(record_type) AS record,
    subject_id,
    agent_id,
    key_fp,
    provider_id,
    product,
    model_requested,
    t.1 AS how,
    t.2 AS tool,
    has(dangerous_tools, t.2) AS dangerous,
    decision,
    reason_code
FROM events AS e
ARRAY JOIN
    arrayConcat(
        arrayMap(x -> ('declared', x), tools_declared),
        arrayMap(x -> ('hosted', x), hosted_tools),
        arrayMap(x -> ('mcp', x), mcp_servers),
        arrayMap(x -> ('called', x), tool_calls_returned)
    ) AS t
WHERE record_type IN ('decision', 'outcome')
COMMENT 'Tools in requests and answers, one line each';

ALTER TABLE tool_use
    COMMENT COLUMN ts 'When the request was complete',
    COMMENT COLUMN decision_id 'Id of the exchange (UUIDv7)',
    COMMENT COLUMN record 'decision for what a request offers, outcome for what an answer calls',
    COMMENT COLUMN subject_id 'Keyed pseudonym of the subject',
    COMMENT COLUMN agent_id 'Coding agent or other agent',
    COMMENT COLUMN key_fp 'Keyed fingerprint of the API key',
    COMMENT COLUMN provider_id 'Provider of the AI service; empty when it is none',
    COMMENT COLUMN product 'Product of the provider',
    COMMENT COLUMN model_requested 'Model that the request names',
    COMMENT COLUMN how 'declared, hosted, mcp or called',
    COMMENT COLUMN tool 'Name of the tool; of the server for mcp',
    COMMENT COLUMN dangerous 'The tool has side effects, as the request declares it',
    COMMENT COLUMN decision 'What happened to the request',
    COMMENT COLUMN reason_code 'Why, from a closed list';

-- One line per API key, provider and subject: who uses which key where.
CREATE VIEW IF NOT EXISTS key_use AS
SELECT
    key_fp,
    any(e.key_kind) AS key_kind,
    any(e.key_hint) AS key_hint,
    provider_id,
    subject_id,
    min(e.ts_received) AS first_seen,
    max(e.ts_received) AS last_seen,
    count() AS requests,
    countIf(decision != 'allow') AS not_allowed,
    any(e.key_ownership_at_decision) AS ownership
FROM events AS e
WHERE record_type = 'decision' AND key_fp IS NOT NULL
GROUP BY key_fp, provider_id, subject_id
COMMENT 'API keys by fingerprint: who used which one at which provider, and when';

ALTER TABLE key_use
    COMMENT COLUMN key_fp 'Keyed fingerprint of the API key',
    COMMENT COLUMN key_kind 'Kind of API key',
    COMMENT COLUMN key_hint 'Hint at the API key, for the person who holds it',
    COMMENT COLUMN provider_id 'Provider of the AI service; empty when it is none',
    COMMENT COLUMN subject_id 'Keyed pseudonym of the subject',
    COMMENT COLUMN first_seen 'First request with this key here',
    COMMENT COLUMN last_seen 'Last request with this key here',
    COMMENT COLUMN requests 'Requests',
    COMMENT COLUMN not_allowed 'Requests that were not let pass',
    COMMENT COLUMN ownership 'Whose key it was taken to be when deciding';

-- How much was seen: one line per day, provider and completeness of inspection.
CREATE VIEW IF NOT EXISTS coverage AS
SELECT
    toDate(minute) AS day,
    provider_id,
    kind,
    inspection_status,
    policy_mode,
    sum(requests) AS requests,
    sum(body_bytes) AS body_bytes,
    sum(uninspected_bytes) AS uninspected_bytes
FROM per_minute
WHERE kind != 'outcome'
GROUP BY day, provider_id, kind, inspection_status, policy_mode
COMMENT 'Requests inspected wholly, in part or not at all, and bytes that left unread';

ALTER TABLE coverage
    COMMENT COLUMN day 'Day (UTC)',
    COMMENT COLUMN provider_id 'Provider of the AI service; empty when it is none',
    COMMENT COLUMN kind 'decision, or bypass',
    COMMENT COLUMN inspection_status 'How much of the request the detectors saw',
    COMMENT COLUMN policy_mode 'Whether the decision binds',
    COMMENT COLUMN requests 'Requests',
    COMMENT COLUMN body_bytes 'Bytes of request bodies',
    COMMENT COLUMN uninspected_bytes 'Bytes that left unread';

-- Where the records of a stream are in the table: the side of ClickHouse in every reconciliation.
CREATE VIEW IF NOT EXISTS streams AS
SELECT
    chain_id,
    epoch,
    count() AS rows,
    uniqExact(seq) AS numbers,
    min(seq) AS first,
    max(seq) AS last
FROM events
GROUP BY chain_id, epoch
COMMENT 'Rows per stream and epoch; rows = numbers = last - first + 1 when nothing is missing or doubled';

ALTER TABLE streams
    COMMENT COLUMN chain_id 'Stream of the record',
    COMMENT COLUMN epoch 'Opening of the stream in which the record was written, from 1',
    COMMENT COLUMN rows 'Rows',
    COMMENT COLUMN numbers 'Different numbers among them',
    COMMENT COLUMN first 'Least number',
    COMMENT COLUMN last 'Greatest number';
