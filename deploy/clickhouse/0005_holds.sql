-- Legal holds: what may not be deleted although its time is over. Written by the shipper (`sluice hold`), never changed:
-- a release is a row of its own. The shipper asks `holds_in_force` before it drops a partition.

CREATE TABLE IF NOT EXISTS holds
(
    at DateTime64(6, 'UTC') COMMENT 'When it was placed or released',
    name String COMMENT 'Name of the hold, chosen by who places it',
    action Enum8('place' = 1, 'release' = 2) COMMENT 'place, or release',
    by String COMMENT 'Who did it: the account on the machine',
    reason String COMMENT 'Why: matter, case, order',
    subject_id String COMMENT 'Subject whose rows are held (pseudonym); empty = everybody',
    ts_from DateTime64(6, 'UTC') COMMENT 'Rows from this time on are held',
    ts_until DateTime64(6, 'UTC') COMMENT 'Rows before this time are held'
)
ENGINE = MergeTree
ORDER BY (name, at)
SETTINGS
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
COMMENT 'Legal holds as they were placed and released';

CREATE VIEW IF NOT EXISTS holds_in_force AS
SELECT
    name,
    max(h.at) AS at,
    argMax(h.by, h.at) AS by,
    argMax(h.reason, h.at) AS reason,
    argMax(h.subject_id, h.at) AS subject_id,
    argMax(h.ts_from, h.at) AS ts_from,
    argMax(h.ts_until, h.at) AS ts_until
FROM holds AS h
GROUP BY name
HAVING argMax(h.action, h.at) = 'place'
COMMENT 'Legal holds that are in force';

ALTER TABLE holds_in_force
    COMMENT COLUMN name 'Name of the hold',
    COMMENT COLUMN at 'When it was placed',
    COMMENT COLUMN by 'Who placed it: the account on the machine',
    COMMENT COLUMN reason 'Why: matter, case, order',
    COMMENT COLUMN subject_id 'Subject whose rows are held (pseudonym); empty = everybody',
    COMMENT COLUMN ts_from 'Rows from this time on are held',
    COMMENT COLUMN ts_until 'Rows before this time are held';
