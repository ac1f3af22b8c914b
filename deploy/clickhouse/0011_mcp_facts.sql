-- What a request says of an MCP server: its address (scheme and host alone), whether calls wait for approval, and whether a
-- credential for it lies in the request.
ALTER TABLE events
    ADD COLUMN IF NOT EXISTS mcp_facts Array(LowCardinality(String)) COMMENT 'What the request says of each: scheme, host, approval (always, never, some, unsaid), token or no-token, label' AFTER mcp_servers;
