SELECT
    ts, decision, reason_code, rule_id, policy_version, subject_id, identity_method, src_ip, agent_id,
    user_agent, provider_id, host, operation, model_requested, model_served, data_classes, client_status,
    upstream_status, tokens_in, tokens_out, latency_added_us, latency_upstream_ms
FROM exchanges WHERE decision_id = toUUIDOrZero('${decision_id}')
