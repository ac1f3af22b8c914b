SELECT
    provider_id, provider_status, model_requested, count() AS requests,
    countIf(decision = 'block') AS blocked, uniq(subject_id) AS subjects, sum(tokens_in) AS tokens_in,
    sum(tokens_out) AS tokens_out
FROM exchanges WHERE $__timeFilter(ts) AND kind = 'decision'
GROUP BY ALL ORDER BY requests DESC LIMIT 50
