-- What other sensors saw and this appliance did not read stands beside what it let pass unread itself.
CREATE OR REPLACE VIEW inventory_coverage AS
SELECT
    toLowCardinality('proxy') AS layer,
    'observed' AS source,
    toString(e.provider_id) AS provider_id,
    ifNull(e.host, '') AS host,
    if(record_type = 'bypass', concat('tunnel: ', ifNull(e.reason_code, '')), arrayJoin(if(empty(e.uninspected_reason), ['unknown'], e.uninspected_reason))) AS reason,
    min(e.ts_received) AS first_seen,
    max(e.ts_received) AS last_seen,
    count() AS requests,
    countIf(decision = 'allow') AS allowed,
    uniq(e.subject_id) AS subjects,
    toUInt64(sum(ifNull(e.uninspected_bytes, 0))) AS uninspected_bytes,
    toUInt64(sum(ifNull(e.body_bytes, 0))) AS body_bytes
FROM events AS e
WHERE record_type = 'bypass' OR (record_type = 'decision' AND (inspection_status IS NULL OR inspection_status != 'full'))
GROUP BY provider_id, host, reason
UNION ALL
SELECT
    layer,
    'observed' AS source,
    '' AS provider_id,
    toString(domain) AS host,
    toString(c.reason_not_inspected) AS reason,
    min(c.at) AS first_seen,
    max(c.at) AS last_seen,
    toUInt64(greatest(0, sum(c.seen))) AS requests,
    toUInt64(0) AS allowed,
    uniqIf(c.subject_id, c.subject_id != '') AS subjects,
    toUInt64(greatest(0, sum(c.seen_bytes))) AS uninspected_bytes,
    toUInt64(0) AS body_bytes
FROM cov_observation AS c
WHERE NOT c.decrypted
GROUP BY layer, domain, reason
COMMENT 'Where the appliance is blind, by reason';

ALTER TABLE inventory_coverage
    COMMENT COLUMN layer 'proxy: seen by this appliance; dns, flow, edr ...: by another sensor',
    COMMENT COLUMN source 'declared, observed or both',
    COMMENT COLUMN provider_id 'Provider; empty when it is none',
    COMMENT COLUMN host 'Host; domain, for another sensor',
    COMMENT COLUMN reason 'Why it was not read; `tunnel: ...` for what was passed unread',
    COMMENT COLUMN first_seen 'First seen',
    COMMENT COLUMN last_seen 'Last seen',
    COMMENT COLUMN requests 'Requests; sightings, for another sensor',
    COMMENT COLUMN allowed 'Of those, let pass',
    COMMENT COLUMN subjects 'Subjects, about',
    COMMENT COLUMN uninspected_bytes 'Bytes that left unread, once for each reason',
    COMMENT COLUMN body_bytes 'Bytes of request bodies, once for each reason';
