SELECT
    key_fp, any(key_kind) AS kind, any(key_ownership_at_decision) AS owner,
    groupUniqArray(provider_id) AS providers, uniq(subject_id) AS subjects, count() AS requests,
    max(ts) AS last
FROM exchanges WHERE $__timeFilter(ts) AND key_fp IS NOT NULL
GROUP BY key_fp ORDER BY requests DESC LIMIT 100
