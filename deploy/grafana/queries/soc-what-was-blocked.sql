SELECT
    ts, decision_id, subject_id, agent_id, provider_id, model_requested, rule_id, data_classes, max_severity
FROM exchanges WHERE $__timeFilter(ts) AND decision = 'block'
ORDER BY ts DESC LIMIT 200
