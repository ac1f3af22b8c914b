-- What a request says of an MCP server: its address (scheme and host alone), whether calls wait for approval, and whether a
-- credential for it lies in the request.
ALTER TABLE events
    ADD COLUMN IF NOT EXISTS mcp_facts Array(LowCardinality(String)) COMMENT 'What the request says of each: scheme, host, approval (always, never, some, unsaid), token or no-token, label' AFTER mcp_servers;

CREATE OR REPLACE VIEW inventory_mcp_server AS
SELECT
    server,
    multiIf(d.digest = '', 'observed', o.requests = 0, 'declared', 'both') AS source,
    o.first_seen AS first_seen,
    o.last_seen AS last_seen,
    o.requests AS requests,
    o.not_allowed AS not_allowed,
    o.agents AS agents,
    o.subjects AS subjects,
    o.providers AS providers,
    o.data_classes AS observed_classes,
    o.hosts AS hosts,
    o.plain_http AS plain_http,
    o.never_approved AS never_approved,
    o.with_token AS with_token,
    d.url AS url,
    d.transport AS transport,
    d.auth AS auth,
    d.require_approval AS require_approval,
    d.tools AS tools,
    d.tool_list_hash AS tool_list_hash,
    d.approved AS approved,
    d.approved_by AS approved_by,
    d.approved_until AS approved_until,
    d.reviewed AS reviewed,
    d.review_due AS review_due,
    d.owner AS owner
FROM
(
    SELECT
        arrayJoin(x.mcp_servers) AS server,
        toNullable(min(x.ts)) AS first_seen,
        toNullable(max(x.ts)) AS last_seen,
        count() AS requests,
        countIf(x.decision != 'allow') AS not_allowed,
        groupUniqArray(50)(multiIf(by_key != '', by_key, by_subject != '', by_subject, has(['claude-code', 'codex-cli', 'gemini-cli', 'gemini-code-assist', 'qwen-code', 'github-copilot', 'github-copilot-chat', 'cline', 'roo-code', 'kilo-code', 'kiro', 'amazon-q', 'continue', 'opencode', 'cursor', 'cursor-cli', 'windsurf', 'jetbrains-ai', 'aider', 'zed'], client), client, concat(if(client = '', 'unknown', client), ' of ', substring(ifNull(x.subject_id, 'nobody'), 1, 8)))) AS agents,
        uniq(x.subject_id) AS subjects,
        groupUniqArray(50)(toString(x.provider_id)) AS providers,
        groupUniqArrayArray(50)(x.data_classes) AS data_classes,
        arrayFilter(h -> h NOT IN ('', '-'), groupUniqArray(20)(extract(arrayFirst(f -> extract(f, '^(?:\\S+ ){4}(.*)$') = substringUTF8(server, 1, 40), x.mcp_facts), '^\\S+ (\\S+) '))) AS hosts,
        countIf(arrayExists(f -> startsWith(f, 'http ') AND extract(f, '^(?:\\S+ ){4}(.*)$') = substringUTF8(server, 1, 40), x.mcp_facts)) AS plain_http,
        countIf(arrayExists(f -> match(f, '^\\S+ \\S+ never ') AND extract(f, '^(?:\\S+ ){4}(.*)$') = substringUTF8(server, 1, 40), x.mcp_facts)) AS never_approved,
        countIf(arrayExists(f -> match(f, '^\\S+ \\S+ \\S+ token ') AND extract(f, '^(?:\\S+ ){4}(.*)$') = substringUTF8(server, 1, 40), x.mcp_facts)) AS with_token
    FROM
    (
        SELECT
        transform(ifNull(e.key_fp, ''), arrayPushFront((SELECT groupArray(fp) FROM (SELECT agent_id, arrayJoin(key_fps) AS fp FROM register_agent ORDER BY agent_id)), '-'), arrayPushFront((SELECT groupArray(agent_id) FROM (SELECT agent_id, arrayJoin(key_fps) AS fp FROM register_agent ORDER BY agent_id)), ''), '') AS by_key,
        transform(ifNull(e.subject_id, ''), arrayPushFront((SELECT groupArray(s) FROM (SELECT agent_id, arrayJoin(subject_ids) AS s FROM register_agent ORDER BY agent_id)), '-'), arrayPushFront((SELECT groupArray(agent_id) FROM (SELECT agent_id, arrayJoin(subject_ids) AS s FROM register_agent ORDER BY agent_id)), ''), '') AS by_subject,
        ifNull(e.agent_id, '') AS client,
            e.ts_received AS ts,
            e.mcp_servers AS mcp_servers,
            e.mcp_facts AS mcp_facts,
            e.decision AS decision,
            e.subject_id AS subject_id,
            e.provider_id AS provider_id,
            e.data_classes AS data_classes
        FROM events AS e
        WHERE record_type = 'decision' AND notEmpty(e.mcp_servers)
    ) AS x
    GROUP BY server
) AS o
FULL JOIN register_mcp_server AS d USING (server)
COMMENT 'MCP servers, declared against observed';

ALTER TABLE inventory_mcp_server
    COMMENT COLUMN server 'Server, by the label in requests',
    COMMENT COLUMN source 'declared, observed or both',
    COMMENT COLUMN first_seen 'First seen; NULL when only declared',
    COMMENT COLUMN last_seen 'Last seen; NULL when only declared',
    COMMENT COLUMN requests 'Requests that ask for it',
    COMMENT COLUMN not_allowed 'Of those, not let pass',
    COMMENT COLUMN agents 'Agents that ask for it, at most 50',
    COMMENT COLUMN subjects 'Subjects that ask for it, about',
    COMMENT COLUMN providers 'Providers that are asked to call it',
    COMMENT COLUMN observed_classes 'Data classes in requests that ask for it, at most 50',
    COMMENT COLUMN hosts 'Hosts that requests name for it, at most 20',
    COMMENT COLUMN plain_http 'Requests that name it without TLS',
    COMMENT COLUMN never_approved 'Requests that let it be called without anybody''s approval',
    COMMENT COLUMN with_token 'Requests that carry a credential for it',
    COMMENT COLUMN url 'Address, as declared',
    COMMENT COLUMN transport 'How it is reached',
    COMMENT COLUMN auth 'How callers prove who they are',
    COMMENT COLUMN require_approval 'Whether calls wait for approval',
    COMMENT COLUMN tools 'Tools that it may offer',
    COMMENT COLUMN tool_list_hash 'Hash of its list of tools when it was approved',
    COMMENT COLUMN approved 'The organisation has approved it; NULL = not said',
    COMMENT COLUMN approved_by 'Who approved it',
    COMMENT COLUMN approved_until 'Day on which the approval ends',
    COMMENT COLUMN reviewed 'Day of the last review',
    COMMENT COLUMN review_due 'Day by which it is reviewed again',
    COMMENT COLUMN owner 'Who answers for it, as declared';
