-- What stands in `user_agent` from here on: the programs that a client's User-Agent names, of a list, with their versions.
-- The header itself, which is a client's to fill, is not recorded any more. Rows from before keep what they have.

ALTER TABLE events
    MODIFY COLUMN user_agent LowCardinality(Nullable(String)) COMMENT 'Programs that the User-Agent names, of a list, with their versions; any other is `other`';

ALTER TABLE exchange_rows
    COMMENT COLUMN user_agent 'Programs that the User-Agent names, of a list, with their versions; any other is `other`';

ALTER TABLE exchanges
    COMMENT COLUMN user_agent 'Programs that the User-Agent names, of a list, with their versions; any other is `other`';

ALTER TABLE exchanges_newest
    COMMENT COLUMN user_agent 'Programs that the User-Agent names, of a list, with their versions; any other is `other`';

ALTER TABLE inventory_application
    COMMENT COLUMN app_id 'Application: the client''s name, its SDK, or the first program that its User-Agent names; empty when nothing is known',
    COMMENT COLUMN user_agents 'Programs that its User-Agents name, at most 20 combinations';
