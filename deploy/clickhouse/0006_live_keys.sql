-- A key found inside a prompt that was seen working, as the credential of a request that was answered.

ALTER TABLE events
    MODIFY COLUMN matches Array(Tuple(detector LowCardinality(String), rev Int64, data_class LowCardinality(String), severity Enum8('info' = 1, 'low' = 2, 'medium' = 3, 'high' = 4, 'critical' = 5), count Int64, validated Nullable(Bool), confidence Float64, offset_bucket Int64, fingerprint String, mask Nullable(String), provenance LowCardinality(String), novelty LowCardinality(String), example Bool, suppressed Nullable(String), live Bool)) COMMENT 'Findings by detector and value: revision, class, severity, how often, validator result, confidence 0 to 1, place in its part in kilobytes, keyed fingerprint, hint where the class allows one, where the text came from, new or seen before, a documented sample, the suppression that took it out of the account, a key that was seen working';

-- One line per key in a prompt that works, by what the gate knew then or by what the events show since.
CREATE VIEW IF NOT EXISTS live_keys_in_prompts AS
SELECT
    f.fingerprint AS fingerprint,
    any(f.detector) AS detector,
    count() AS requests,
    countIf(f.decision = 'allow') AS allowed,
    uniqExact(f.subject_id) AS subjects,
    groupUniqArray(f.provider_id) AS sent_to,
    min(f.ts) AS first_seen,
    max(f.ts) AS last_seen,
    max(f.live) AS known_live
FROM
(
    SELECT
        e.ts_received AS ts,
        subject_id,
        provider_id,
        toString(e.decision) AS decision,
        m.detector AS detector,
        m.fingerprint AS fingerprint,
        m.live AS live
    FROM events AS e
    ARRAY JOIN e.matches AS m
    WHERE record_type IN ('decision', 'ws_message') AND startsWith(m.data_class, 'secret.') AND NOT m.example
) AS f
WHERE f.live OR f.fingerprint IN
(
    SELECT assumeNotNull(key_fp)
    FROM exchanges
    WHERE key_fp IS NOT NULL AND upstream_status BETWEEN 200 AND 299
)
GROUP BY fingerprint
COMMENT 'Keys found in prompts that were seen working: revoke these first';

ALTER TABLE live_keys_in_prompts
    COMMENT COLUMN fingerprint 'Keyed fingerprint of the key: equals key_fp where it is the credential',
    COMMENT COLUMN detector 'Detector',
    COMMENT COLUMN requests 'Findings in requests',
    COMMENT COLUMN allowed 'Of those, in requests that were let pass',
    COMMENT COLUMN subjects 'Subjects that sent it',
    COMMENT COLUMN sent_to 'Providers that it was sent to, as content',
    COMMENT COLUMN first_seen 'First found',
    COMMENT COLUMN last_seen 'Last found',
    COMMENT COLUMN known_live 'The gate knew when it decided';
