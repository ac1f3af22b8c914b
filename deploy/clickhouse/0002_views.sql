-- What analysts ask first, ready to be asked. Views hold no rows.

-- One line per exchange: the decision, and how it ended. `outcome` is 0 while the exchange is still going on, or when
-- the process died before it ended.
CREATE VIEW exchanges AS
SELECT
    d.ts_received AS ts,
    d.decision_id AS decision_id,
    d.subject_id AS subject_id,
    d.identity_method AS identity_method,
    d.src_ip AS src_ip,
    d.user_agent AS user_agent,
    d.agent_id AS agent_id,
    d.key_fp AS key_fp,
    d.key_kind AS key_kind,
    d.provider_id AS provider_id,
    d.provider_status AS provider_status,
    d.product AS product,
    d.host AS host,
    d.method AS method,
    d.path_template AS path_template,
    d.operation AS operation,
    d.model_requested AS model_requested,
    d.stream AS stream,
    d.decision AS decision,
    d.would_decide AS would_decide,
    d.policy_mode AS policy_mode,
    d.reason_code AS reason_code,
    d.rule_id AS rule_id,
    d.data_classes AS data_classes,
    d.max_severity AS max_severity,
    d.inspection_status AS inspection_status,
    d.uninspected_reason AS uninspected_reason,
    d.body_bytes AS body_bytes,
    d.tools_declared AS tools_declared,
    o.record_type = 'outcome' AS outcome,
    o.forwarded AS forwarded,
    o.client_status AS client_status,
    o.upstream_status AS upstream_status,
    o.upstream_error AS upstream_error,
    o.resp_bytes AS resp_bytes,
    o.stream_aborted AS stream_aborted,
    o.client_disconnected AS client_disconnected,
    o.model_served AS model_served,
    o.tokens_in AS tokens_in,
    o.tokens_out AS tokens_out,
    o.latency_added_us AS latency_added_us,
    o.latency_upstream_ms AS latency_upstream_ms,
    o.ts_end AS ts_end,
    d.node_id AS node_id,
    d.chain_id AS chain_id,
    d.seq AS seq
FROM (SELECT * FROM events WHERE record_type = 'decision') AS d
LEFT ANY JOIN (SELECT * FROM events WHERE record_type = 'outcome') AS o ON d.decision_id = o.decision_id
COMMENT 'Decision and outcome of each exchange, one line each';

-- One line per value that a detector found in a request.
CREATE VIEW findings_seen AS
SELECT
    ts_received AS ts,
    decision_id,
    subject_id,
    src_ip,
    agent_id,
    provider_id,
    host,
    model_requested,
    m_detector AS detector,
    m_data_class AS data_class,
    m_severity AS severity,
    m_count AS count,
    m_validated AS validated,
    m_confidence AS confidence,
    m_provenance AS provenance,
    m_novelty AS novelty,
    m_example AS example,
    m_fingerprint AS fingerprint,
    m_mask AS mask,
    decision,
    would_decide,
    reason_code,
    rule_id
FROM events
ARRAY JOIN
    `matches.detector` AS m_detector,
    `matches.data_class` AS m_data_class,
    `matches.severity` AS m_severity,
    `matches.count` AS m_count,
    `matches.validated` AS m_validated,
    `matches.confidence` AS m_confidence,
    `matches.provenance` AS m_provenance,
    `matches.novelty` AS m_novelty,
    `matches.example` AS m_example,
    `matches.fingerprint` AS m_fingerprint,
    `matches.mask` AS m_mask
WHERE record_type = 'decision'
COMMENT 'Findings in requests, one line per detector and value';
