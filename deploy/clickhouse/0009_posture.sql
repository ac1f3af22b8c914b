-- Posture: findings as events that are only ever added, what was evaluated of days that are over, snapshots of the score,
-- and what people and other sensors say. Written by the shipper alone; `sluice findings` and `sluice posture` leave what
-- they have to say as files for it.

CREATE TABLE IF NOT EXISTS finding_events
(
    at DateTime64(6, 'UTC') COMMENT 'When it was said',
    finding LowCardinality(String) COMMENT 'Id of the finding, as in PRV-01',
    version Int64 COMMENT 'Version of the finding''s file',
    title LowCardinality(String) COMMENT 'What it says',
    scope String COMMENT 'What it is about: provider, key, agent ...',
    event Enum8('opened' = 1, 'observed' = 2, 'acknowledged' = 3, 'accepted' = 4, 'fixed' = 5, 'reopened' = 6) COMMENT 'What happened to it; observed: still there, with the numbers of then',
    severity Enum8('low' = 1, 'medium' = 2, 'high' = 3, 'critical' = 4) COMMENT 'Severity with its escalation',
    hits Int64 COMMENT 'Violations in the window',
    grave Int64 COMMENT 'Of those, violations that raise the severity',
    seen Int64 COMMENT 'Clean traffic that closed it; 0 otherwise',
    first_seen DateTime64(6, 'UTC') COMMENT 'First violation in the window',
    last_seen DateTime64(6, 'UTC') COMMENT 'Last violation in the window',
    facts String COMMENT 'What the query says of it',
    by String COMMENT 'Who said it: the account on the machine, or `evaluation`',
    reason String COMMENT 'Why, in their words',
    accepted_until DateTime64(6, 'UTC') COMMENT 'accepted: until when; 1970 otherwise',
    query_sha256 String COMMENT 'Hash of the query, without its times'
)
ENGINE = MergeTree
ORDER BY (finding, scope, at)
SETTINGS
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
COMMENT 'Findings: opened, acknowledged, accepted, fixed, reopened';

CREATE VIEW IF NOT EXISTS findings AS
SELECT
    finding,
    argMax(e.title, e.at) AS title,
    scope,
    argMaxIf(e.severity, e.at, event IN ('opened', 'observed', 'reopened')) AS severity,
    CAST(transform(toString(argMaxIf(e.event, e.at, event != 'observed')), ['opened'], ['open']), 'Enum8(''open'' = 1, ''acknowledged'' = 2, ''accepted'' = 3, ''fixed'' = 4, ''reopened'' = 5)') AS status,
    argMaxIf(e.hits, e.at, event IN ('opened', 'observed', 'reopened')) AS hits,
    argMaxIf(e.grave, e.at, event IN ('opened', 'observed', 'reopened')) AS grave,
    argMaxIf(e.first_seen, e.at, event IN ('opened', 'observed', 'reopened')) AS first_seen,
    argMaxIf(e.last_seen, e.at, event IN ('opened', 'observed', 'reopened', 'fixed')) AS last_seen,
    argMaxIf(e.facts, e.at, event IN ('opened', 'observed', 'reopened')) AS facts,
    maxIf(e.at, event IN ('opened', 'reopened')) AS opened,
    max(e.at) AS changed,
    argMaxIf(e.by, e.at, event IN ('acknowledged', 'accepted')) AS owner,
    argMaxIf(e.reason, e.at, event != 'observed') AS reason,
    if(argMaxIf(e.event, e.at, event != 'observed') = 'accepted', toNullable(argMaxIf(e.accepted_until, e.at, event = 'accepted')), NULL) AS accepted_until,
    argMaxIf(e.query_sha256, e.at, event IN ('opened', 'observed', 'reopened', 'fixed')) AS query_sha256
FROM finding_events AS e
GROUP BY finding, scope
COMMENT 'Findings as they stand';

ALTER TABLE findings
    COMMENT COLUMN finding 'Id of the finding, as in PRV-01',
    COMMENT COLUMN title 'What it says',
    COMMENT COLUMN scope 'What it is about: provider, key, agent ...',
    COMMENT COLUMN severity 'Severity with its escalation',
    COMMENT COLUMN status 'open, acknowledged, accepted, fixed or reopened',
    COMMENT COLUMN hits 'Violations in the window, when it was evaluated last',
    COMMENT COLUMN grave 'Of those, violations that raise the severity',
    COMMENT COLUMN first_seen 'First violation in the window',
    COMMENT COLUMN last_seen 'Last violation',
    COMMENT COLUMN facts 'What the query says of it',
    COMMENT COLUMN opened 'When it was opened, or opened again',
    COMMENT COLUMN changed 'When something was said of it last',
    COMMENT COLUMN owner 'Who acknowledged or accepted it last',
    COMMENT COLUMN reason 'Why it stands as it does',
    COMMENT COLUMN accepted_until 'Until when it is accepted',
    COMMENT COLUMN query_sha256 'Hash of the query, without its times';

CREATE TABLE IF NOT EXISTS finding_days
(
    finding LowCardinality(String) COMMENT 'Id of the finding',
    query_sha256 LowCardinality(String) COMMENT 'Hash of the query, without its times',
    day Date COMMENT 'Day that was evaluated (UTC)',
    state String COMMENT 'What the day held then: number of events, and the registers where they are asked',
    at DateTime64(6, 'UTC') COMMENT 'When it was evaluated; the last time counts',
    scope String COMMENT 'What it is about; empty in the row that says the day was evaluated',
    hits Int64 COMMENT 'Violations on this day',
    grave Int64 COMMENT 'Of those, violations that raise the severity',
    first_seen DateTime64(6, 'UTC') COMMENT 'First violation of the day',
    last_seen DateTime64(6, 'UTC') COMMENT 'Last violation of the day',
    facts String COMMENT 'What the query says of it'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (finding, day, at, scope)
SETTINGS
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
COMMENT 'Findings by day, for days that are over: evaluated once, and again when late records came';

CREATE TABLE IF NOT EXISTS posture_snapshot
(
    taken_at DateTime64(6, 'UTC') COMMENT 'When it was computed',
    since DateTime64(6, 'UTC') COMMENT 'Begin of the span that it is about',
    until DateTime64(6, 'UTC') COMMENT 'End of the span, excluded',
    metric LowCardinality(String) COMMENT 'Measure, or `score`',
    value Float64 COMMENT 'Numerator / denominator, 0 to 1; of the score 0 to 100',
    numerator Float64 COMMENT 'Numerator',
    denominator Float64 COMMENT 'Denominator; 0 where there was nothing to measure',
    weight Float64 COMMENT 'Weight in the score',
    query_sha256 String COMMENT 'Hash of the query that gave both'
)
ENGINE = MergeTree
ORDER BY (metric, taken_at)
SETTINGS
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
COMMENT 'Posture over time: each measure with its parts';

CREATE TABLE IF NOT EXISTS cov_observation
(
    at DateTime64(6, 'UTC') COMMENT 'When it was seen',
    layer LowCardinality(String) COMMENT 'Sensor: dns, sni, flow, provider_api, edr',
    domain LowCardinality(String) COMMENT 'Domain of an AI service',
    subject_id String COMMENT 'Subject or device (pseudonym), empty when unknown',
    seen Int64 COMMENT 'Sightings',
    seen_bytes Int64 COMMENT 'Bytes, where the sensor knows them',
    decrypted Bool COMMENT 'The proxy could read it',
    reason_not_inspected LowCardinality(String) COMMENT 'pinned, quic, ech, unmanaged_device, local_model, not_proxied ...'
)
ENGINE = MergeTree
ORDER BY (layer, domain, at)
SETTINGS
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
COMMENT 'What other sensors saw of AI services: DNS, flows, bills; filled by `sluice posture import`';

CREATE TABLE IF NOT EXISTS policy_approvals
(
    at DateTime64(6, 'UTC') COMMENT 'When it was recorded',
    sha256 String COMMENT 'Hash of the policy file',
    author String COMMENT 'Who wrote the change',
    approver String COMMENT 'Who approved it',
    changelog String COMMENT 'What changed, in their words',
    by String COMMENT 'Who recorded it: the account on the machine'
)
ENGINE = MergeTree
ORDER BY (sha256, at)
SETTINGS
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
COMMENT 'Who wrote and who approved a policy, by its hash';

CREATE TABLE IF NOT EXISTS decision_reviews
(
    at DateTime64(6, 'UTC') COMMENT 'When it was recorded',
    decision_id UUID COMMENT 'Decision that was reviewed; zero for a review of a whole period',
    period_until DateTime64(6, 'UTC') COMMENT 'Review of a period: everything before this time; 1970 otherwise',
    verdict LowCardinality(String) COMMENT 'confirmed or overturned',
    reason String COMMENT 'Why, in their words',
    by String COMMENT 'Who reviewed: the account on the machine'
)
ENGINE = MergeTree
ORDER BY (decision_id, at)
SETTINGS
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
COMMENT 'Reviews of decisions, and of periods';

CREATE TABLE IF NOT EXISTS posture_facts
(
    at DateTime64(6, 'UTC') COMMENT 'When it was so',
    kind LowCardinality(String) COMMENT 'shipping, seal, retention, targets, detectors, leaver ...',
    name String COMMENT 'What it is about: stream, class, file, subject',
    number Float64 COMMENT 'Its number: seconds, months, days, records',
    text String COMMENT 'Its word, where it has one',
    by String COMMENT 'Who said it: `shipper`, or the account on the machine'
)
ENGINE = MergeTree
ORDER BY (kind, name, at)
SETTINGS
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
COMMENT 'What the appliance and its operators know beside the traffic: lag, seals, retention, age of lists, leavers';
