SELECT
    data_class, provider_id, count() AS requests, uniq(subject_id) AS subjects,
    countIf(decision = 'allow') AS allowed, countIf(decision = 'block') AS blocked
FROM findings_seen WHERE $__timeFilter(ts) AND NOT example
GROUP BY ALL ORDER BY requests DESC LIMIT 100
