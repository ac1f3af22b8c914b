SELECT
    subject_id, any(agent_id) AS agent, count() AS requests, countIf(decision = 'block') AS blocked,
    uniq(provider_id) AS providers, sum(body_bytes) AS bytes
FROM exchanges WHERE $__timeFilter(ts) AND kind = 'decision'
GROUP BY subject_id ORDER BY requests DESC LIMIT 50
