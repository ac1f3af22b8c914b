SELECT
    detector, rev, data_class, severity, count, validated, confidence, provenance, novelty, example,
    suppressed, fingerprint, mask
FROM findings_seen WHERE decision_id = toUUIDOrZero('${decision_id}')
