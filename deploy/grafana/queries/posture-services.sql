SELECT
    provider_id, product, provider_status, count() AS requests, uniq(subject_id) AS subjects,
    min(ts) AS first, max(ts) AS last, countIf(decision = 'block') AS blocked
FROM exchanges WHERE $__timeFilter(ts) AND kind = 'decision'
GROUP BY ALL ORDER BY requests DESC LIMIT 100
