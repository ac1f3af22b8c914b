SELECT
    agent_id, sdk, any(user_agent) AS user_agent, count() AS requests, uniq(subject_id) AS subjects,
    countIf(decision = 'block') AS blocked
FROM exchanges WHERE $__timeFilter(ts) AND kind = 'decision'
GROUP BY agent_id, sdk ORDER BY requests DESC LIMIT 100
