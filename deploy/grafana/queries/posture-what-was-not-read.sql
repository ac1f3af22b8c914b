SELECT
    day, provider_id, kind, inspection_status, policy_mode, requests, body_bytes, uninspected_bytes
FROM coverage WHERE $__dateFilter(day)
ORDER BY day DESC, uninspected_bytes DESC LIMIT 100
