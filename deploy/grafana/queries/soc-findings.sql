SELECT
    detector, data_class, severity, count() AS requests, sum(count) AS places, uniq(fingerprint) AS values,
    uniq(subject_id) AS subjects, round(avg(confidence), 2) AS confidence, countIf(novelty = 'new') AS new,
    countIf(decision = 'block') AS blocked
FROM findings_seen WHERE $__timeFilter(ts) AND NOT example
GROUP BY ALL ORDER BY requests DESC LIMIT 100
