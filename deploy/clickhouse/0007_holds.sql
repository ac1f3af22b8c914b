-- A name that is placed twice holds what either of them covers: a hold is widened by mistake, never narrowed.

CREATE OR REPLACE VIEW holds_in_force AS
SELECT
    name,
    at,
    by,
    reason,
    subject_id,
    ts_from,
    ts_until
FROM
(
    SELECT
        *,
        maxIf(at, action = 'release') OVER (PARTITION BY name) AS released
    FROM holds
) AS h
WHERE action = 'place' AND at > released
COMMENT 'Legal holds that are in force: every placing since the last release of its name';

ALTER TABLE holds_in_force
    COMMENT COLUMN name 'Name of the hold',
    COMMENT COLUMN at 'When it was placed',
    COMMENT COLUMN by 'Who placed it: the account on the machine',
    COMMENT COLUMN reason 'Why: matter, case, order',
    COMMENT COLUMN subject_id 'Subject whose rows are held (pseudonym); empty = everybody',
    COMMENT COLUMN ts_from 'Rows from this time on are held',
    COMMENT COLUMN ts_until 'Rows before this time are held';
