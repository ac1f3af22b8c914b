SELECT
    record_type, ts_received AS ts, chain_id, epoch, seq, body_bytes, decoded_bytes, scanned_bytes,
    uninspected_bytes, uninspected_reason, content_type, rulebook_digest
FROM events WHERE decision_id = toUUIDOrZero('${decision_id}') ORDER BY seq
