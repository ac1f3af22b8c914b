-- Roll-ups: sums that are kept up to date by every insert, for questions that are asked all day.
--
-- Rows are added up when parts merge, so a question always says sum() and GROUP BY. A repeated insert is not counted
-- twice: each of these tables has a deduplication window of its own (without it the engine counts every retry).
-- Each one costs every insert some ten milliseconds of CPU, so there are two, and what can be added up from them, or is
-- quick enough without, is a plain view.
-- A text that is not known is empty here. Sums say nothing about single requests, so they are kept by month alone.

-- What happens now: dashboards and alerts. Outcomes carry no decision: their rows have decision and reason empty.
CREATE TABLE IF NOT EXISTS per_minute
(
    minute DateTime('UTC') CODEC(Delta, ZSTD(1)) COMMENT 'Minute in which the request was complete',
    provider_id LowCardinality(String) COMMENT 'Provider of the AI service; empty when it is none',
    product LowCardinality(String) COMMENT 'Product of the provider',
    model LowCardinality(String) COMMENT 'Model: the one requested for requests, the one that answered for outcomes',
    operation LowCardinality(String) COMMENT 'chat, embeddings ...; empty for outcomes',
    decision LowCardinality(String) COMMENT 'What happened to the request; empty in rows of outcomes',
    reason_code LowCardinality(String) COMMENT 'Why; in rows of outcomes the reason that the outcome names',
    policy_mode LowCardinality(String) COMMENT 'enforce, observe or pass',
    inspection_status LowCardinality(String) COMMENT 'How much of the request the detectors saw',
    kind LowCardinality(String) COMMENT 'decision, bypass or outcome',
    requests UInt64 COMMENT 'Decisions and bypasses',
    would_block UInt64 COMMENT 'Observe mode: requests that enforcement had not let pass',
    with_findings UInt64 COMMENT 'Requests with findings',
    body_bytes UInt64 COMMENT 'Bytes of request bodies',
    uninspected_bytes UInt64 COMMENT 'Bytes that left unread',
    outcomes UInt64 COMMENT 'Exchanges that ended',
    forwarded UInt64 COMMENT 'Exchanges for which a connection to the provider stood',
    upstream_errors UInt64 COMMENT 'Exchanges whose provider failed: no connection, or a status of 500 and above',
    tokens_in UInt64 COMMENT 'Input tokens',
    tokens_out UInt64 COMMENT 'Output tokens',
    resp_bytes UInt64 COMMENT 'Bytes of answers',
    latency_added_us UInt64 COMMENT 'Sum of the time that the gate added, microseconds',
    latency_counted UInt64 COMMENT 'Exchanges in that sum'
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (minute, provider_id, product, model, operation, decision, reason_code, policy_mode, inspection_status, kind)
SETTINGS
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
COMMENT 'Requests and answers per minute, by provider, action and reason';

CREATE MATERIALIZED VIEW IF NOT EXISTS per_minute_feed TO per_minute AS
SELECT
    toStartOfMinute(e.ts_received) AS minute,
    provider_id,
    ifNull(e.product, '') AS product,
    ifNull(if(record_type = 'outcome', model_served, model_requested), '') AS model,
    ifNull(e.operation, '') AS operation,
    ifNull(toString(e.decision), '') AS decision,
    ifNull(e.reason_code, '') AS reason_code,
    ifNull(toString(e.policy_mode), '') AS policy_mode,
    ifNull(toString(e.inspection_status), '') AS inspection_status,
    toString(record_type) AS kind,
    countIf(record_type != 'outcome') AS requests,
    countIf(would_decide IS NOT NULL AND would_decide != 'allow') AS would_block,
    countIf(notEmpty(data_classes)) AS with_findings,
    sum(ifNull(e.body_bytes, 0)) AS body_bytes,
    sum(ifNull(e.uninspected_bytes, 0)) AS uninspected_bytes,
    countIf(record_type = 'outcome') AS outcomes,
    countIf(e.forwarded) AS forwarded,
    countIf(upstream_error IS NOT NULL OR upstream_status >= 500) AS upstream_errors,
    sum(ifNull(e.tokens_in, 0)) AS tokens_in,
    sum(ifNull(e.tokens_out, 0)) AS tokens_out,
    sum(ifNull(e.resp_bytes, 0)) AS resp_bytes,
    sum(ifNull(e.latency_added_us, 0)) AS latency_added_us,
    count(e.latency_added_us) AS latency_counted
FROM events AS e
WHERE record_type IN ('decision', 'bypass', 'outcome')
GROUP BY minute, provider_id, product, model, operation, decision, reason_code, policy_mode, inspection_status, kind
COMMENT 'Fills per_minute';

-- Who uses what: one line per subject, provider and action a day.
CREATE TABLE IF NOT EXISTS per_subject_day
(
    day Date COMMENT 'Day (UTC)',
    subject_id LowCardinality(String) COMMENT 'Keyed pseudonym of the subject; empty when nobody was known',
    provider_id LowCardinality(String) COMMENT 'Provider of the AI service; empty when it is none',
    agent_id LowCardinality(String) COMMENT 'Coding agent or other agent',
    decision LowCardinality(String) COMMENT 'What happened to the request',
    requests UInt64 COMMENT 'Decisions and bypasses',
    with_findings UInt64 COMMENT 'Requests with findings',
    findings UInt64 COMMENT 'Findings, by detector and value',
    body_bytes UInt64 COMMENT 'Bytes of request bodies'
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (day, subject_id, provider_id, agent_id, decision)
SETTINGS
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
COMMENT 'Requests per subject and day, by provider and action';

CREATE MATERIALIZED VIEW IF NOT EXISTS per_subject_day_feed TO per_subject_day AS
SELECT
    toDate(e.ts_received) AS day,
    ifNull(e.subject_id, '') AS subject_id,
    provider_id,
    ifNull(e.agent_id, '') AS agent_id,
    ifNull(toString(e.decision), '') AS decision,
    count() AS requests,
    countIf(notEmpty(data_classes)) AS with_findings,
    sum(length(e.matches)) AS findings,
    sum(ifNull(e.body_bytes, 0)) AS body_bytes
FROM events AS e
WHERE record_type IN ('decision', 'bypass')
GROUP BY day, subject_id, provider_id, agent_id, decision
COMMENT 'Fills per_subject_day';

-- What is used, per day: requests count for the model that was asked for, answers and tokens for the one that answered.
CREATE VIEW IF NOT EXISTS per_provider_day AS
SELECT
    toDate(minute) AS day,
    provider_id,
    product,
    model,
    operation,
    sum(m.requests) AS requests,
    sumIf(m.requests, decision != 'allow') AS not_allowed,
    sum(m.outcomes) AS answers,
    sum(m.tokens_in) AS tokens_in,
    sum(m.tokens_out) AS tokens_out,
    sum(m.body_bytes) AS body_bytes,
    sum(m.resp_bytes) AS resp_bytes
FROM per_minute AS m
GROUP BY day, provider_id, product, model, operation
COMMENT 'Requests, tokens and bytes per provider, model and day';

ALTER TABLE per_provider_day
    COMMENT COLUMN day 'Day (UTC)',
    COMMENT COLUMN provider_id 'Provider of the AI service; empty when it is none',
    COMMENT COLUMN product 'Product of the provider',
    COMMENT COLUMN model 'Model: the one requested for requests, the one that answered for answers',
    COMMENT COLUMN operation 'chat, embeddings ...; empty for answers',
    COMMENT COLUMN requests 'Decisions and bypasses',
    COMMENT COLUMN not_allowed 'Requests that were not let pass',
    COMMENT COLUMN answers 'Exchanges that ended',
    COMMENT COLUMN tokens_in 'Input tokens',
    COMMENT COLUMN tokens_out 'Output tokens',
    COMMENT COLUMN body_bytes 'Bytes of request bodies',
    COMMENT COLUMN resp_bytes 'Bytes of answers';

-- What is found, per day: data classes by provider and action. Samples and placeholders are left out.
CREATE VIEW IF NOT EXISTS per_class_day AS
SELECT
    toDate(e.ts_received) AS day,
    m.data_class AS data_class,
    toString(m.severity) AS severity,
    provider_id,
    ifNull(toString(e.decision), '') AS decision,
    count() AS findings,
    sum(m.count) AS occurrences
FROM events AS e
ARRAY JOIN e.matches AS m
WHERE record_type IN ('decision', 'bypass') AND NOT m.example
GROUP BY day, data_class, severity, provider_id, decision
COMMENT 'Findings per data class, provider and day';

ALTER TABLE per_class_day
    COMMENT COLUMN day 'Day (UTC)',
    COMMENT COLUMN data_class 'Data class',
    COMMENT COLUMN severity 'Severity of the finding',
    COMMENT COLUMN provider_id 'Provider of the AI service; empty when it is none',
    COMMENT COLUMN decision 'What happened to the request',
    COMMENT COLUMN findings 'Findings, by detector and value',
    COMMENT COLUMN occurrences 'How often the values occur in the requests';
