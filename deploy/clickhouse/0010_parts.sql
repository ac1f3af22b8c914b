-- How parts are merged. A merge writes every row again, column by column, which costs about as much as its insert did. With the
-- engine's own choice (about five parts at a time) a row is written some eight times in a month of inserts every few
-- seconds, with thirty at a time four times. Some sixty small parts at most stand beside the large ones; questions take
-- a few milliseconds longer for them. A partition in which nothing happens for a day is merged into one part.

ALTER TABLE events
    MODIFY SETTING min_parts_to_merge_at_once = 30, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;

ALTER TABLE exchange_rows
    MODIFY SETTING min_parts_to_merge_at_once = 30, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;

ALTER TABLE per_minute
    MODIFY SETTING min_parts_to_merge_at_once = 30, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;

ALTER TABLE per_subject_day
    MODIFY SETTING min_parts_to_merge_at_once = 30, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;
