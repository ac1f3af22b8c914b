SELECT
    ts_received AS ts, node_id, chain_id, control_kind, control_detail
FROM events WHERE record_type = 'control' AND control_kind != 'selftest' AND $__timeFilter(ts_received)
ORDER BY ts_received DESC LIMIT 100
