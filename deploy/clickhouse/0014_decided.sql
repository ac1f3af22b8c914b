-- What the gate counted, epoch by epoch, against the decisions on record. The gate counts what it acts on, apart from the
-- ledger; the next start of its worker puts the count on record. Of epochs that retention has begun to take nothing is
-- said, and of the newest one nothing yet: `sluice ship status` asks the gate itself.

CREATE VIEW IF NOT EXISTS decided AS
SELECT
    chain_id,
    c.of AS epoch,
    if(max(c.tells) AND max(c.begins), max(c.counted), NULL) AS decided,
    sum(c.decision) AS recorded,
    if(max(c.tells) AND max(c.begins), greatest(0, max(c.counted) - toInt64(sum(c.decision))), NULL) AS unrecorded
FROM
(
    SELECT
        chain_id,
        ifNull(e.control_kind = 'decided', false) AS tells,
        ifNull(e.control_kind = 'start', false) AS begins,
        record_type != 'control' AS decision,
        if(tells, JSONExtractInt(ifNull(e.control_detail, ''), 'epoch'), e.epoch) AS of,
        if(tells, JSONExtractInt(ifNull(e.control_detail, ''), 'decisions'), 0) AS counted
    FROM events AS e
    WHERE record_type IN ('decision', 'bypass') OR (record_type = 'control' AND control_kind IN ('decided', 'start'))
) AS c
GROUP BY chain_id, c.of
COMMENT 'Decisions that the gate counted when it acted on them, and decisions on record, by stream and epoch';

ALTER TABLE decided
    COMMENT COLUMN chain_id 'Stream of the records',
    COMMENT COLUMN epoch 'Opening of the stream, from 1',
    COMMENT COLUMN decided 'Decisions that the gate acted on, by its own count; NULL of the newest epoch',
    COMMENT COLUMN recorded 'Decisions on record: more than decided is what was in flight at a kill',
    COMMENT COLUMN unrecorded 'Acted on without a record; 0 is the only good answer';
