-- Registers: what is declared, beside what is observed. The files are the register (`deploy/registers`, `paths.registers`
-- and what other files of the site say); here are copies of it, made by the shipper at start and when they change.
--
-- A snapshot is one insert. It is never changed; the newest one is in force, and older ones tell what was declared when
-- a report was made. Rows are JSON, because what a row may say grows faster than tables should be changed; the views
-- give every field its type, and what is not declared is NULL, or empty where it is a list.

CREATE TABLE IF NOT EXISTS register_rows
(
    loaded_at DateTime64(6, 'UTC') COMMENT 'When the snapshot was loaded',
    digest String COMMENT 'Digest of the whole snapshot',
    kind LowCardinality(String) COMMENT 'Register: provider, model, agent ...',
    id String COMMENT 'What names the row in its register',
    origin LowCardinality(String) COMMENT 'shipped, site, or both where the site changed a shipped row',
    row String CODEC(ZSTD(1)) COMMENT 'The row as JSON'
)
ENGINE = MergeTree
ORDER BY (loaded_at, kind, id)
SETTINGS
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1
COMMENT 'Snapshots of the registers';

CREATE VIEW IF NOT EXISTS register_in_force AS
SELECT
    kind,
    id,
    origin,
    row,
    digest,
    loaded_at
FROM register_rows
WHERE loaded_at = (SELECT max(loaded_at) FROM register_rows)
COMMENT 'The newest snapshot of the registers';

ALTER TABLE register_in_force
    COMMENT COLUMN kind 'Register: provider, model, agent ...',
    COMMENT COLUMN id 'What names the row in its register',
    COMMENT COLUMN origin 'shipped, site, or both where the site changed a shipped row',
    COMMENT COLUMN row 'The row as JSON',
    COMMENT COLUMN digest 'Digest of the whole snapshot',
    COMMENT COLUMN loaded_at 'When the snapshot was loaded';

CREATE VIEW IF NOT EXISTS register_snapshots AS
SELECT
    loaded_at,
    digest,
    count() AS rows,
    countIf(origin != 'shipped') AS of_site
FROM register_rows
GROUP BY loaded_at, digest
COMMENT 'Snapshots of the registers that were loaded';

ALTER TABLE register_snapshots
    COMMENT COLUMN loaded_at 'When the snapshot was loaded',
    COMMENT COLUMN digest 'Digest of the whole snapshot',
    COMMENT COLUMN rows 'Rows',
    COMMENT COLUMN of_site 'Rows that the site declared or changed';

CREATE VIEW IF NOT EXISTS register_provider AS
SELECT
    JSONExtractString(row, 'id') AS provider_id,
    JSONExtract(row, 'name', 'Nullable(String)') AS name,
    JSONExtract(row, 'legal_entity', 'Nullable(String)') AS legal_entity,
    JSONExtract(row, 'country', 'Nullable(String)') AS country,
    JSONExtract(row, 'category', 'Nullable(String)') AS category,
    JSONExtract(row, 'function', 'Nullable(String)') AS function,
    JSONExtract(row, 'critical', 'Nullable(Bool)') AS critical,
    JSONExtract(row, 'dora_critical', 'Nullable(Bool)') AS dora_critical,
    JSONExtract(row, 'substitutes', 'Array(String)') AS substitutes,
    JSONExtract(row, 'risk_score', 'Nullable(Int64)') AS risk_score,
    toDateOrNull(JSONExtractString(row, 'reviewed')) AS reviewed,
    toDateOrNull(JSONExtractString(row, 'review_due')) AS review_due,
    toDateOrNull(JSONExtractString(row, 'contract_end')) AS contract_end,
    JSONExtract(row, 'dpa', 'Nullable(String)') AS dpa,
    JSONExtract(row, 'dpa_available', 'Nullable(Bool)') AS dpa_available,
    JSONExtract(row, 'baa', 'Nullable(String)') AS baa,
    JSONExtract(row, 'baa_scope', 'Array(String)') AS baa_scope,
    JSONExtract(row, 'baa_available', 'Nullable(Bool)') AS baa_available,
    JSONExtract(row, 'zdr', 'Nullable(String)') AS zdr,
    JSONExtract(row, 'transfer_basis', 'Nullable(String)') AS transfer_basis,
    JSONExtract(row, 'regions', 'Array(String)') AS regions,
    JSONExtract(row, 'subprocessors', 'Nullable(String)') AS subprocessors,
    JSONExtract(row, 'certifications', 'Array(String)') AS certifications,
    JSONExtract(row, 'tenant_header', 'Nullable(String)') AS tenant_header,
    JSONExtract(row, 'owner', 'Nullable(String)') AS owner,
    JSONExtract(row, 'notes', 'Nullable(String)') AS notes,
    JSONExtract(row, 'evidence', 'Array(Tuple(`for` Array(String), url String, checked Date))') AS evidence,
    origin,
    digest,
    loaded_at
FROM register_in_force AS r
WHERE r.kind = 'provider'
COMMENT 'Providers: who they are and what was agreed with them, as declared';

ALTER TABLE register_provider
    COMMENT COLUMN provider_id 'Provider, as the destination table and the records name it',
    COMMENT COLUMN name 'Name for people',
    COMMENT COLUMN legal_entity 'Company that is the party to the contract',
    COMMENT COLUMN country 'Country of its seat, ISO 3166-1 alpha-2',
    COMMENT COLUMN category 'What it offers',
    COMMENT COLUMN function 'What the organisation uses it for',
    COMMENT COLUMN critical 'It supports a critical or important function (DORA)',
    COMMENT COLUMN dora_critical 'Designated as a critical third party under DORA',
    COMMENT COLUMN substitutes 'Providers that could take its place',
    COMMENT COLUMN risk_score 'Risk score of the organisation, 0 to 100',
    COMMENT COLUMN reviewed 'Day of the last review',
    COMMENT COLUMN review_due 'Day by which it is reviewed again',
    COMMENT COLUMN contract_end 'Day on which the contract ends',
    COMMENT COLUMN dpa 'Data processing agreement that was signed: reference',
    COMMENT COLUMN dpa_available 'The provider offers a data processing agreement',
    COMMENT COLUMN baa 'Business associate agreement that was signed: reference',
    COMMENT COLUMN baa_scope 'Products that the signed agreement covers; empty = not said',
    COMMENT COLUMN baa_available 'The provider offers a business associate agreement',
    COMMENT COLUMN zdr 'Agreement on zero data retention: reference',
    COMMENT COLUMN transfer_basis 'Basis of a transfer to a third country: standard clauses, framework',
    COMMENT COLUMN regions 'Regions in which data may lie by contract; empty = not said',
    COMMENT COLUMN subprocessors 'Address of the list of subprocessors',
    COMMENT COLUMN certifications 'Certifications that the provider claims',
    COMMENT COLUMN tenant_header 'Request header that binds traffic to the organisation''s own tenant',
    COMMENT COLUMN owner 'Who answers for it, as written',
    COMMENT COLUMN notes 'Notes',
    COMMENT COLUMN evidence 'Where the claims are written: keys, address, day on which somebody looked',
    COMMENT COLUMN origin 'shipped, site, or both where the site changed a shipped row',
    COMMENT COLUMN digest 'Digest of everything that is declared',
    COMMENT COLUMN loaded_at 'When it was loaded';

CREATE VIEW IF NOT EXISTS register_tier AS
SELECT
    JSONExtractString(row, 'provider') AS provider_id,
    JSONExtractString(row, 'tier') AS tier,
    JSONExtract(row, 'products', 'Array(String)') AS products,
    JSONExtract(row, 'contracted', 'Nullable(Bool)') AS contracted,
    JSONExtract(row, 'organisations', 'Array(String)') AS organisations,
    JSONExtract(row, 'trains_on_input', 'Nullable(String)') AS trains_on_input,
    JSONExtract(row, 'retention_days', 'Nullable(Int64)') AS retention_days,
    JSONExtract(row, 'zdr_available', 'Nullable(Bool)') AS zdr_available,
    JSONExtract(row, 'human_review', 'Nullable(Bool)') AS human_review,
    JSONExtract(row, 'baa_covered', 'Nullable(Bool)') AS baa_covered,
    JSONExtract(row, 'regions', 'Array(String)') AS regions,
    JSONExtract(row, 'owner', 'Nullable(String)') AS owner,
    JSONExtract(row, 'notes', 'Nullable(String)') AS notes,
    JSONExtract(row, 'evidence', 'Array(Tuple(`for` Array(String), url String, checked Date))') AS evidence,
    origin,
    digest,
    loaded_at
FROM register_in_force AS r
WHERE r.kind = 'tier'
COMMENT 'Plans of providers and their terms, as declared';

ALTER TABLE register_tier
    COMMENT COLUMN provider_id 'Provider',
    COMMENT COLUMN tier 'Plan',
    COMMENT COLUMN products 'Products of the destination table that can be used under this plan; empty = all',
    COMMENT COLUMN contracted 'The organisation has this plan: its traffic is taken to run under it',
    COMMENT COLUMN organisations 'Organisations or workspaces of this plan, as answers name them',
    COMMENT COLUMN trains_on_input 'Whether prompts train models: no, opt_in (only if asked), opt_out (unless refused), yes',
    COMMENT COLUMN retention_days 'Days that prompts and answers are kept by default; 0 = not at all',
    COMMENT COLUMN zdr_available 'Zero data retention can be had',
    COMMENT COLUMN human_review 'People of the provider may read prompts',
    COMMENT COLUMN baa_covered 'A business associate agreement covers it',
    COMMENT COLUMN regions 'Regions in which data can be kept',
    COMMENT COLUMN owner 'Who answers for it, as written',
    COMMENT COLUMN notes 'Notes',
    COMMENT COLUMN evidence 'Where the claims are written: keys, address, day on which somebody looked',
    COMMENT COLUMN origin 'shipped, site, or both where the site changed a shipped row',
    COMMENT COLUMN digest 'Digest of everything that is declared',
    COMMENT COLUMN loaded_at 'When it was loaded';

CREATE VIEW IF NOT EXISTS register_model AS
SELECT
    JSONExtractString(row, 'id') AS model,
    JSONExtractString(row, 'id_like') AS model_like,
    JSONExtractString(row, 'provider') AS provider_id,
    JSONExtract(row, 'family', 'Nullable(String)') AS family,
    JSONExtract(row, 'alias_of', 'Nullable(String)') AS alias_of,
    JSONExtract(row, 'modality', 'Array(String)') AS modality,
    JSONExtract(row, 'lifecycle', 'Nullable(String)') AS lifecycle,
    toDateOrNull(JSONExtractString(row, 'shutdown')) AS shutdown,
    JSONExtract(row, 'replacement', 'Nullable(String)') AS replacement,
    JSONExtract(row, 'approved', 'Nullable(Bool)') AS approved,
    JSONExtract(row, 'classes', 'Array(String)') AS classes,
    JSONExtract(row, 'classes_like', 'Array(String)') AS classes_like,
    JSONExtract(row, 'ai_act_role', 'Nullable(String)') AS ai_act_role,
    JSONExtract(row, 'high_risk', 'Nullable(Bool)') AS high_risk,
    JSONExtract(row, 'owner', 'Nullable(String)') AS owner,
    JSONExtract(row, 'notes', 'Nullable(String)') AS notes,
    JSONExtract(row, 'evidence', 'Array(Tuple(`for` Array(String), url String, checked Date))') AS evidence,
    origin,
    digest,
    loaded_at
FROM register_in_force AS r
WHERE r.kind = 'model'
COMMENT 'Models: family, life, approval, as declared';

ALTER TABLE register_model
    COMMENT COLUMN model 'Model, as requests name it; `*` for any text',
    COMMENT COLUMN model_like 'model as LIKE pattern',
    COMMENT COLUMN provider_id 'Provider',
    COMMENT COLUMN family 'Family',
    COMMENT COLUMN alias_of 'Model that this name stands for at present: a name that moves',
    COMMENT COLUMN modality 'What goes in and comes out',
    COMMENT COLUMN lifecycle 'Where it is in its life',
    COMMENT COLUMN shutdown 'Day on which it stops answering',
    COMMENT COLUMN replacement 'Model that the provider names in its place',
    COMMENT COLUMN approved 'The organisation has approved it',
    COMMENT COLUMN classes 'Data classes that may go to it; `*` for any text',
    COMMENT COLUMN classes_like 'classes as LIKE patterns',
    COMMENT COLUMN ai_act_role 'Role of the organisation under the EU AI Act',
    COMMENT COLUMN high_risk 'Its use here is high-risk under the EU AI Act',
    COMMENT COLUMN owner 'Who answers for it, as written',
    COMMENT COLUMN notes 'Notes',
    COMMENT COLUMN evidence 'Where the claims are written: keys, address, day on which somebody looked',
    COMMENT COLUMN origin 'shipped, site, or both where the site changed a shipped row',
    COMMENT COLUMN digest 'Digest of everything that is declared',
    COMMENT COLUMN loaded_at 'When it was loaded';

CREATE VIEW IF NOT EXISTS register_role AS
SELECT
    JSONExtractString(row, 'id') AS role,
    JSONExtract(row, 'name', 'Nullable(String)') AS name,
    JSONExtract(row, 'groups', 'Array(String)') AS groups,
    JSONExtract(row, 'providers', 'Array(String)') AS providers,
    JSONExtract(row, 'models', 'Array(String)') AS models,
    JSONExtract(row, 'models_like', 'Array(String)') AS models_like,
    JSONExtract(row, 'routes', 'Array(String)') AS routes,
    JSONExtract(row, 'routes_like', 'Array(String)') AS routes_like,
    JSONExtract(row, 'classes', 'Array(String)') AS classes,
    JSONExtract(row, 'classes_like', 'Array(String)') AS classes_like,
    JSONExtract(row, 'reviewer', 'Nullable(String)') AS reviewer,
    toDateOrNull(JSONExtractString(row, 'reviewed')) AS reviewed,
    toDateOrNull(JSONExtractString(row, 'review_due')) AS review_due,
    JSONExtract(row, 'owner', 'Nullable(String)') AS owner,
    JSONExtract(row, 'notes', 'Nullable(String)') AS notes,
    JSONExtract(row, 'evidence', 'Array(Tuple(`for` Array(String), url String, checked Date))') AS evidence,
    origin,
    digest,
    loaded_at
FROM register_in_force AS r
WHERE r.kind = 'role'
COMMENT 'Roles and what they are entitled to, as declared';

ALTER TABLE register_role
    COMMENT COLUMN role 'Role, as the records name it',
    COMMENT COLUMN name 'Name for people',
    COMMENT COLUMN groups 'Groups of the identity provider that have it',
    COMMENT COLUMN providers 'Providers that it may use; empty = not said',
    COMMENT COLUMN models 'Models that it may use, `*` for any text; empty = not said',
    COMMENT COLUMN models_like 'models as LIKE patterns',
    COMMENT COLUMN routes 'Routes that it may use; empty = not said',
    COMMENT COLUMN routes_like 'routes as LIKE patterns',
    COMMENT COLUMN classes 'Data classes that it may send, `*` for any text; empty = not said',
    COMMENT COLUMN classes_like 'classes as LIKE patterns',
    COMMENT COLUMN reviewer 'Who reviews the entitlement',
    COMMENT COLUMN reviewed 'Day of the last review',
    COMMENT COLUMN review_due 'Day by which it is reviewed again',
    COMMENT COLUMN owner 'Who answers for it, as written',
    COMMENT COLUMN notes 'Notes',
    COMMENT COLUMN evidence 'Where the claims are written: keys, address, day on which somebody looked',
    COMMENT COLUMN origin 'shipped, site, or both where the site changed a shipped row',
    COMMENT COLUMN digest 'Digest of everything that is declared',
    COMMENT COLUMN loaded_at 'When it was loaded';

CREATE VIEW IF NOT EXISTS register_agent AS
SELECT
    JSONExtractString(row, 'id') AS agent_id,
    JSONExtract(row, 'name', 'Nullable(String)') AS name,
    JSONExtract(row, 'framework', 'Nullable(String)') AS framework,
    JSONExtract(row, 'subjects', 'Array(String)') AS subject_ids,
    JSONExtract(row, 'keys', 'Array(String)') AS key_fps,
    JSONExtract(row, 'on_behalf_of', 'Nullable(String)') AS on_behalf_of,
    JSONExtract(row, 'autonomy', 'Nullable(String)') AS autonomy,
    JSONExtract(row, 'models', 'Array(String)') AS models,
    JSONExtract(row, 'models_like', 'Array(String)') AS models_like,
    JSONExtract(row, 'providers', 'Array(String)') AS providers,
    JSONExtract(row, 'routes', 'Array(String)') AS routes,
    JSONExtract(row, 'routes_like', 'Array(String)') AS routes_like,
    JSONExtract(row, 'tools', 'Array(String)') AS tools,
    JSONExtract(row, 'tools_like', 'Array(String)') AS tools_like,
    JSONExtract(row, 'classes', 'Array(String)') AS classes,
    JSONExtract(row, 'classes_like', 'Array(String)') AS classes_like,
    JSONExtract(row, 'approval_gate', 'Nullable(Bool)') AS approval_gate,
    JSONExtract(row, 'kill_switch', 'Nullable(String)') AS kill_switch,
    JSONExtract(row, 'purpose', 'Nullable(String)') AS purpose,
    JSONExtract(row, 'system', 'Nullable(String)') AS system_id,
    toDateOrNull(JSONExtractString(row, 'registered')) AS registered,
    toDateOrNull(JSONExtractString(row, 'reviewed')) AS reviewed,
    toDateOrNull(JSONExtractString(row, 'review_due')) AS review_due,
    JSONExtract(row, 'owner', 'Nullable(String)') AS owner,
    JSONExtract(row, 'notes', 'Nullable(String)') AS notes,
    JSONExtract(row, 'evidence', 'Array(Tuple(`for` Array(String), url String, checked Date))') AS evidence,
    origin,
    digest,
    loaded_at
FROM register_in_force AS r
WHERE r.kind = 'agent'
COMMENT 'Agents, their owners and bounds, as declared';

ALTER TABLE register_agent
    COMMENT COLUMN agent_id 'Agent; the client''s name in the records (`claude-code`) or one of the organisation''s own',
    COMMENT COLUMN name 'Name for people',
    COMMENT COLUMN framework 'What it is built with',
    COMMENT COLUMN subject_ids 'Subjects that it asks as (pseudonyms in the store)',
    COMMENT COLUMN key_fps 'Fingerprints of API keys that it alone uses',
    COMMENT COLUMN on_behalf_of 'For whom it acts',
    COMMENT COLUMN autonomy 'How far it acts by itself',
    COMMENT COLUMN models 'Models that it may use, `*` for any text',
    COMMENT COLUMN models_like 'models as LIKE patterns',
    COMMENT COLUMN providers 'Providers that it may use',
    COMMENT COLUMN routes 'Routes that it may use',
    COMMENT COLUMN routes_like 'routes as LIKE patterns',
    COMMENT COLUMN tools 'Tools that it may declare, `*` for any text; empty = not said',
    COMMENT COLUMN tools_like 'tools as LIKE patterns',
    COMMENT COLUMN classes 'Data classes that it may send; empty = not said',
    COMMENT COLUMN classes_like 'classes as LIKE patterns',
    COMMENT COLUMN approval_gate 'A person approves before a tool with side effects runs',
    COMMENT COLUMN kill_switch 'How it is stopped',
    COMMENT COLUMN purpose 'What it is for',
    COMMENT COLUMN system_id 'System of the register that it belongs to',
    COMMENT COLUMN registered 'Day on which it was entered',
    COMMENT COLUMN reviewed 'Day of the last review',
    COMMENT COLUMN review_due 'Day by which it is reviewed again',
    COMMENT COLUMN owner 'Who answers for it, as written',
    COMMENT COLUMN notes 'Notes',
    COMMENT COLUMN evidence 'Where the claims are written: keys, address, day on which somebody looked',
    COMMENT COLUMN origin 'shipped, site, or both where the site changed a shipped row',
    COMMENT COLUMN digest 'Digest of everything that is declared',
    COMMENT COLUMN loaded_at 'When it was loaded';

CREATE VIEW IF NOT EXISTS register_agent_tool AS
SELECT
    JSONExtractString(row, 'agent') AS agent_id,
    JSONExtractString(row, 'tool') AS tool,
    JSONExtract(row, 'approved_by', 'Nullable(String)') AS approved_by,
    toDateOrNull(JSONExtractString(row, 'approved_until')) AS approved_until,
    JSONExtract(row, 'owner', 'Nullable(String)') AS owner,
    JSONExtract(row, 'notes', 'Nullable(String)') AS notes,
    JSONExtract(row, 'evidence', 'Array(Tuple(`for` Array(String), url String, checked Date))') AS evidence,
    origin,
    digest,
    loaded_at
FROM register_in_force AS r
WHERE r.kind = 'agent_tool'
COMMENT 'Tools that agents were given, as declared';

ALTER TABLE register_agent_tool
    COMMENT COLUMN agent_id 'Agent',
    COMMENT COLUMN tool 'Tool',
    COMMENT COLUMN approved_by 'Who approved it',
    COMMENT COLUMN approved_until 'Day on which the approval ends',
    COMMENT COLUMN owner 'Who answers for it, as written',
    COMMENT COLUMN notes 'Notes',
    COMMENT COLUMN evidence 'Where the claims are written: keys, address, day on which somebody looked',
    COMMENT COLUMN origin 'shipped, site, or both where the site changed a shipped row',
    COMMENT COLUMN digest 'Digest of everything that is declared',
    COMMENT COLUMN loaded_at 'When it was loaded';

CREATE VIEW IF NOT EXISTS register_tool AS
SELECT
    JSONExtractString(row, 'id') AS tool,
    JSONExtractString(row, 'id_like') AS tool_like,
    JSONExtract(row, 'kind', 'Nullable(String)') AS kind,
    JSONExtract(row, 'server', 'Nullable(String)') AS server,
    JSONExtract(row, 'side_effect', 'Nullable(String)') AS side_effect,
    JSONExtract(row, 'reach', 'Nullable(String)') AS reach,
    JSONExtract(row, 'untrusted_input', 'Nullable(Bool)') AS untrusted_input,
    JSONExtract(row, 'sensitive_data', 'Nullable(Bool)') AS sensitive_data,
    JSONExtract(row, 'classes', 'Array(String)') AS classes,
    JSONExtract(row, 'schema_hash', 'Nullable(String)') AS schema_hash,
    JSONExtract(row, 'approved', 'Nullable(Bool)') AS approved,
    JSONExtract(row, 'approved_by', 'Nullable(String)') AS approved_by,
    toDateOrNull(JSONExtractString(row, 'approved_until')) AS approved_until,
    JSONExtract(row, 'owner', 'Nullable(String)') AS owner,
    JSONExtract(row, 'notes', 'Nullable(String)') AS notes,
    JSONExtract(row, 'evidence', 'Array(Tuple(`for` Array(String), url String, checked Date))') AS evidence,
    origin,
    digest,
    loaded_at
FROM register_in_force AS r
WHERE r.kind = 'tool'
COMMENT 'Tools and what they can do, as declared';

ALTER TABLE register_tool
    COMMENT COLUMN tool 'Tool, as requests name it; `*` for any text',
    COMMENT COLUMN tool_like 'tool as LIKE pattern',
    COMMENT COLUMN kind 'What runs it',
    COMMENT COLUMN server 'MCP server that it belongs to',
    COMMENT COLUMN side_effect 'The gravest thing that it can do',
    COMMENT COLUMN reach 'Whether it reaches out of the organisation',
    COMMENT COLUMN untrusted_input 'What it returns may be written by strangers: web pages, mail, tickets',
    COMMENT COLUMN sensitive_data 'What it returns may be sensitive: customers, finance, source code',
    COMMENT COLUMN classes 'Data classes that it may carry',
    COMMENT COLUMN schema_hash 'Hash of its definition when it was approved',
    COMMENT COLUMN approved 'The organisation has approved it',
    COMMENT COLUMN approved_by 'Who approved it',
    COMMENT COLUMN approved_until 'Day on which the approval ends',
    COMMENT COLUMN owner 'Who answers for it, as written',
    COMMENT COLUMN notes 'Notes',
    COMMENT COLUMN evidence 'Where the claims are written: keys, address, day on which somebody looked',
    COMMENT COLUMN origin 'shipped, site, or both where the site changed a shipped row',
    COMMENT COLUMN digest 'Digest of everything that is declared',
    COMMENT COLUMN loaded_at 'When it was loaded';

CREATE VIEW IF NOT EXISTS register_mcp_server AS
SELECT
    JSONExtractString(row, 'id') AS server,
    JSONExtract(row, 'url', 'Nullable(String)') AS url,
    JSONExtract(row, 'transport', 'Nullable(String)') AS transport,
    JSONExtract(row, 'auth', 'Nullable(String)') AS auth,
    JSONExtract(row, 'require_approval', 'Nullable(String)') AS require_approval,
    JSONExtract(row, 'tools', 'Array(String)') AS tools,
    JSONExtract(row, 'tool_list_hash', 'Nullable(String)') AS tool_list_hash,
    JSONExtract(row, 'approved', 'Nullable(Bool)') AS approved,
    JSONExtract(row, 'approved_by', 'Nullable(String)') AS approved_by,
    toDateOrNull(JSONExtractString(row, 'approved_until')) AS approved_until,
    toDateOrNull(JSONExtractString(row, 'reviewed')) AS reviewed,
    toDateOrNull(JSONExtractString(row, 'review_due')) AS review_due,
    JSONExtract(row, 'owner', 'Nullable(String)') AS owner,
    JSONExtract(row, 'notes', 'Nullable(String)') AS notes,
    JSONExtract(row, 'evidence', 'Array(Tuple(`for` Array(String), url String, checked Date))') AS evidence,
    origin,
    digest,
    loaded_at
FROM register_in_force AS r
WHERE r.kind = 'mcp_server'
COMMENT 'MCP servers, as declared';

ALTER TABLE register_mcp_server
    COMMENT COLUMN server 'Server, by the label in requests',
    COMMENT COLUMN url 'Address',
    COMMENT COLUMN transport 'How it is reached',
    COMMENT COLUMN auth 'How callers prove who they are',
    COMMENT COLUMN require_approval 'Whether calls wait for approval',
    COMMENT COLUMN tools 'Tools that it may offer',
    COMMENT COLUMN tool_list_hash 'Hash of its list of tools when it was approved',
    COMMENT COLUMN approved 'The organisation has approved it',
    COMMENT COLUMN approved_by 'Who approved it',
    COMMENT COLUMN approved_until 'Day on which the approval ends',
    COMMENT COLUMN reviewed 'Day of the last review',
    COMMENT COLUMN review_due 'Day by which it is reviewed again',
    COMMENT COLUMN owner 'Who answers for it, as written',
    COMMENT COLUMN notes 'Notes',
    COMMENT COLUMN evidence 'Where the claims are written: keys, address, day on which somebody looked',
    COMMENT COLUMN origin 'shipped, site, or both where the site changed a shipped row',
    COMMENT COLUMN digest 'Digest of everything that is declared',
    COMMENT COLUMN loaded_at 'When it was loaded';

CREATE VIEW IF NOT EXISTS register_system AS
SELECT
    JSONExtractString(row, 'id') AS system_id,
    JSONExtract(row, 'name', 'Nullable(String)') AS name,
    JSONExtract(row, 'purpose', 'Nullable(String)') AS purpose,
    JSONExtract(row, 'use', 'Nullable(String)') AS use,
    JSONExtract(row, 'ai_act_class', 'Nullable(String)') AS ai_act_class,
    JSONExtract(row, 'ai_act_role', 'Nullable(String)') AS ai_act_role,
    JSONExtract(row, 'annex', 'Nullable(String)') AS annex,
    JSONExtract(row, 'agents', 'Array(String)') AS agents,
    JSONExtract(row, 'providers', 'Array(String)') AS providers,
    JSONExtract(row, 'models', 'Array(String)') AS models,
    JSONExtract(row, 'models_like', 'Array(String)') AS models_like,
    JSONExtract(row, 'routes', 'Array(String)') AS routes,
    JSONExtract(row, 'routes_like', 'Array(String)') AS routes_like,
    JSONExtract(row, 'roles', 'Array(String)') AS roles,
    JSONExtract(row, 'departments', 'Array(String)') AS departments,
    JSONExtract(row, 'classes', 'Array(String)') AS classes,
    JSONExtract(row, 'safeguards', 'Nullable(String)') AS safeguards,
    JSONExtract(row, 'oversight', 'Nullable(String)') AS oversight,
    JSONExtract(row, 'impact_assessment', 'Nullable(String)') AS impact_assessment,
    JSONExtract(row, 'registration', 'Nullable(String)') AS registration,
    toDateOrNull(JSONExtractString(row, 'reviewed')) AS reviewed,
    toDateOrNull(JSONExtractString(row, 'review_due')) AS review_due,
    JSONExtract(row, 'owner', 'Nullable(String)') AS owner,
    JSONExtract(row, 'notes', 'Nullable(String)') AS notes,
    JSONExtract(row, 'evidence', 'Array(Tuple(`for` Array(String), url String, checked Date))') AS evidence,
    origin,
    digest,
    loaded_at
FROM register_in_force AS r
WHERE r.kind = 'system'
COMMENT 'AI systems in the sense of a law, as declared';

ALTER TABLE register_system
    COMMENT COLUMN system_id 'System',
    COMMENT COLUMN name 'Name for people',
    COMMENT COLUMN purpose 'What it is for',
    COMMENT COLUMN use 'In what manner it is used',
    COMMENT COLUMN ai_act_class 'Class under the EU AI Act',
    COMMENT COLUMN ai_act_role 'Role of the organisation under the EU AI Act',
    COMMENT COLUMN annex 'Where the law lists it, as in `III.5(b)`',
    COMMENT COLUMN agents 'Agents that belong to it',
    COMMENT COLUMN providers 'Providers that it uses',
    COMMENT COLUMN models 'Models that it uses, `*` for any text',
    COMMENT COLUMN models_like 'models as LIKE patterns',
    COMMENT COLUMN routes 'Routes that it uses',
    COMMENT COLUMN routes_like 'routes as LIKE patterns',
    COMMENT COLUMN roles 'Roles that use it',
    COMMENT COLUMN departments 'Departments that use it',
    COMMENT COLUMN classes 'Data classes that it is meant to see',
    COMMENT COLUMN safeguards 'Safeguards',
    COMMENT COLUMN oversight 'How people oversee it',
    COMMENT COLUMN impact_assessment 'Impact assessment: reference',
    COMMENT COLUMN registration 'Entry in a public database: reference',
    COMMENT COLUMN reviewed 'Day of the last review',
    COMMENT COLUMN review_due 'Day by which it is reviewed again',
    COMMENT COLUMN owner 'Who answers for it, as written',
    COMMENT COLUMN notes 'Notes',
    COMMENT COLUMN evidence 'Where the claims are written: keys, address, day on which somebody looked',
    COMMENT COLUMN origin 'shipped, site, or both where the site changed a shipped row',
    COMMENT COLUMN digest 'Digest of everything that is declared',
    COMMENT COLUMN loaded_at 'When it was loaded';

CREATE VIEW IF NOT EXISTS register_route AS
SELECT
    JSONExtractString(row, 'id') AS route_id,
    JSONExtractString(row, 'id_like') AS route_id_like,
    JSONExtractString(row, 'provider') AS provider_id,
    JSONExtractString(row, 'provider_like') AS provider_id_like,
    JSONExtract(row, 'application', 'Nullable(String)') AS application,
    JSONExtract(row, 'environment', 'Nullable(String)') AS environment,
    JSONExtract(row, 'purpose', 'Nullable(String)') AS purpose,
    JSONExtract(row, 'data_owner', 'Nullable(String)') AS data_owner,
    JSONExtract(row, 'data_subjects', 'Array(String)') AS data_subjects,
    JSONExtract(row, 'tags', 'Array(String)') AS tags,
    JSONExtract(row, 'classes', 'Array(String)') AS classes,
    JSONExtract(row, 'classes_like', 'Array(String)') AS classes_like,
    JSONExtract(row, 'regions', 'Array(String)') AS regions,
    JSONExtract(row, 'retention_days', 'Nullable(Int64)') AS retention_days,
    JSONExtract(row, 'lawful_basis', 'Nullable(String)') AS lawful_basis,
    JSONExtract(row, 'transfer_basis', 'Nullable(String)') AS transfer_basis,
    toDateOrNull(JSONExtractString(row, 'reviewed')) AS reviewed,
    toDateOrNull(JSONExtractString(row, 'review_due')) AS review_due,
    JSONExtract(row, 'owner', 'Nullable(String)') AS owner,
    JSONExtract(row, 'notes', 'Nullable(String)') AS notes,
    JSONExtract(row, 'evidence', 'Array(Tuple(`for` Array(String), url String, checked Date))') AS evidence,
    origin,
    digest,
    loaded_at
FROM register_in_force AS r
WHERE r.kind = 'route'
COMMENT 'Uses of an API: purpose, data, bounds, as declared';

ALTER TABLE register_route
    COMMENT COLUMN route_id 'Route, as the records name it (`openai.chat`); `*` for any text',
    COMMENT COLUMN route_id_like 'route_id as LIKE pattern',
    COMMENT COLUMN provider_id 'Provider; `*` for all',
    COMMENT COLUMN provider_id_like 'provider_id as LIKE pattern',
    COMMENT COLUMN application 'Application that it belongs to',
    COMMENT COLUMN environment 'Environment: production, test',
    COMMENT COLUMN purpose 'Purpose of the processing',
    COMMENT COLUMN data_owner 'Who answers for the data',
    COMMENT COLUMN data_subjects 'Whose data it is: customers, employees, patients',
    COMMENT COLUMN tags 'What regulates it: phi, pci, gdpr, ai_act_high_risk, gse',
    COMMENT COLUMN classes 'Data classes that may go through it, `*` for any text; empty = not said',
    COMMENT COLUMN classes_like 'classes as LIKE patterns',
    COMMENT COLUMN regions 'Regions in which the data may be processed; empty = not said',
    COMMENT COLUMN retention_days 'Most days that a provider may keep what it gets',
    COMMENT COLUMN lawful_basis 'Lawful basis of the processing',
    COMMENT COLUMN transfer_basis 'Basis of a transfer to a third country',
    COMMENT COLUMN reviewed 'Day of the last review',
    COMMENT COLUMN review_due 'Day by which it is reviewed again',
    COMMENT COLUMN owner 'Who answers for it, as written',
    COMMENT COLUMN notes 'Notes',
    COMMENT COLUMN evidence 'Where the claims are written: keys, address, day on which somebody looked',
    COMMENT COLUMN origin 'shipped, site, or both where the site changed a shipped row',
    COMMENT COLUMN digest 'Digest of everything that is declared',
    COMMENT COLUMN loaded_at 'When it was loaded';

CREATE VIEW IF NOT EXISTS register_application AS
SELECT
    JSONExtractString(row, 'id') AS app_id,
    JSONExtract(row, 'name', 'Nullable(String)') AS name,
    JSONExtract(row, 'kind', 'Nullable(String)') AS kind,
    JSONExtract(row, 'user_agent', 'Nullable(String)') AS user_agent,
    JSONExtract(row, 'user_agent_like', 'Nullable(String)') AS user_agent_like,
    JSONExtract(row, 'repository', 'Nullable(String)') AS repository,
    JSONExtract(row, 'environment', 'Nullable(String)') AS environment,
    JSONExtract(row, 'approved', 'Nullable(Bool)') AS approved,
    JSONExtract(row, 'owner', 'Nullable(String)') AS owner,
    JSONExtract(row, 'notes', 'Nullable(String)') AS notes,
    JSONExtract(row, 'evidence', 'Array(Tuple(`for` Array(String), url String, checked Date))') AS evidence,
    origin,
    digest,
    loaded_at
FROM register_in_force AS r
WHERE r.kind = 'application'
COMMENT 'Programs that call AI services, as declared';

ALTER TABLE register_application
    COMMENT COLUMN app_id 'Application: the client''s or SDK''s name in the records, or one of the organisation''s own',
    COMMENT COLUMN name 'Name for people',
    COMMENT COLUMN kind 'What it is',
    COMMENT COLUMN user_agent 'User-Agent that it sends; `*` for any text',
    COMMENT COLUMN user_agent_like 'user_agent as LIKE pattern',
    COMMENT COLUMN repository 'Where its source is kept',
    COMMENT COLUMN environment 'Environment: production, test',
    COMMENT COLUMN approved 'The organisation has approved it',
    COMMENT COLUMN owner 'Who answers for it, as written',
    COMMENT COLUMN notes 'Notes',
    COMMENT COLUMN evidence 'Where the claims are written: keys, address, day on which somebody looked',
    COMMENT COLUMN origin 'shipped, site, or both where the site changed a shipped row',
    COMMENT COLUMN digest 'Digest of everything that is declared',
    COMMENT COLUMN loaded_at 'When it was loaded';

CREATE VIEW IF NOT EXISTS register_exception AS
SELECT
    JSONExtractString(row, 'id') AS exception_id,
    toDateOrNull(JSONExtractString(row, 'expires')) AS expires,
    JSONExtract(row, 'finding', 'Nullable(String)') AS finding,
    JSONExtract(row, 'provider', 'Nullable(String)') AS provider_id,
    JSONExtract(row, 'model', 'Nullable(String)') AS model,
    JSONExtract(row, 'route', 'Nullable(String)') AS route,
    JSONExtract(row, 'subject', 'Nullable(String)') AS subject_id,
    JSONExtract(row, 'key', 'Nullable(String)') AS key_fp,
    JSONExtract(row, 'agent', 'Nullable(String)') AS agent_id,
    JSONExtract(row, 'tool', 'Nullable(String)') AS tool,
    JSONExtract(row, 'rule', 'Nullable(String)') AS rule,
    JSONExtract(row, 'reason', 'Nullable(String)') AS reason,
    JSONExtract(row, 'control', 'Nullable(String)') AS control,
    toDateOrNull(JSONExtractString(row, 'granted')) AS granted,
    JSONExtract(row, 'granted_by', 'Nullable(String)') AS granted_by,
    JSONExtract(row, 'approved_by', 'Nullable(String)') AS approved_by,
    JSONExtract(row, 'owner', 'Nullable(String)') AS owner,
    JSONExtract(row, 'notes', 'Nullable(String)') AS notes,
    JSONExtract(row, 'evidence', 'Array(Tuple(`for` Array(String), url String, checked Date))') AS evidence,
    origin,
    digest,
    loaded_at
FROM register_in_force AS r
WHERE r.kind = 'exception'
COMMENT 'Deviations that somebody has accepted, until a day, as declared';

ALTER TABLE register_exception
    COMMENT COLUMN exception_id 'Exception',
    COMMENT COLUMN expires 'Day after which it no longer holds',
    COMMENT COLUMN finding 'Posture finding that it accepts, by id',
    COMMENT COLUMN provider_id 'Provider that it is for',
    COMMENT COLUMN model 'Model that it is for',
    COMMENT COLUMN route 'Route that it is for',
    COMMENT COLUMN subject_id 'Subject that it is for (a pseudonym in the store)',
    COMMENT COLUMN key_fp 'Fingerprint of the API key that it is for',
    COMMENT COLUMN agent_id 'Agent that it is for',
    COMMENT COLUMN tool 'Tool that it is for',
    COMMENT COLUMN rule 'Rule or failure rule of the policy that it stands for',
    COMMENT COLUMN reason 'Why',
    COMMENT COLUMN control 'What makes up for it',
    COMMENT COLUMN granted 'Day on which it was granted',
    COMMENT COLUMN granted_by 'Who granted it',
    COMMENT COLUMN approved_by 'Who approved it, another person',
    COMMENT COLUMN owner 'Who answers for it, as written',
    COMMENT COLUMN notes 'Notes',
    COMMENT COLUMN evidence 'Where the claims are written: keys, address, day on which somebody looked',
    COMMENT COLUMN origin 'shipped, site, or both where the site changed a shipped row',
    COMMENT COLUMN digest 'Digest of everything that is declared',
    COMMENT COLUMN loaded_at 'When it was loaded';

CREATE VIEW IF NOT EXISTS register_domain AS
SELECT
    id AS target_row,
    JSONExtractString(row, 'host') AS host,
    JSONExtract(row, 'port', 'Nullable(Int64)') AS port,
    JSONExtract(row, 'paths', 'Array(String)') AS paths,
    JSONExtractString(row, 'provider') AS provider_id,
    JSONExtractString(row, 'product') AS product,
    JSONExtractString(row, 'kind') AS surface,
    JSONExtractString(row, 'dialect') AS dialect,
    JSONExtractString(row, 'status') AS status,
    JSONExtractString(row, 'mode') AS mode,
    toDateOrNull(JSONExtractString(row, 'observe_until')) AS observe_until,
    JSONExtract(row, 'shared', 'Nullable(Bool)') AS shared,
    JSONExtract(row, 'signed', 'Nullable(String)') AS signed,
    JSONExtractString(row, 'basis') AS basis,
    JSONExtract(row, 'notes', 'Nullable(String)') AS notes,
    origin,
    digest,
    loaded_at
FROM register_in_force AS r
WHERE r.kind = 'domain'
COMMENT 'Destinations and what the site thinks of them';

ALTER TABLE register_domain
    COMMENT COLUMN target_row 'Row of the destination table',
    COMMENT COLUMN host 'Host: a name, `.name` for all below it, a pattern',
    COMMENT COLUMN port 'Port, where the row is for one',
    COMMENT COLUMN paths 'AI traffic below these paths only; empty = all',
    COMMENT COLUMN provider_id 'Provider',
    COMMENT COLUMN product 'Product of the provider',
    COMMENT COLUMN surface 'agent, api, assistant, embedding, gateway, image, infra, speech, telemetry, web',
    COMMENT COLUMN dialect 'Wire format of the bodies',
    COMMENT COLUMN status 'Sanctioned, tolerated, prohibited or unreviewed',
    COMMENT COLUMN mode 'enforce, observe or pass',
    COMMENT COLUMN observe_until 'Last day of observing',
    COMMENT COLUMN shared 'The host carries other traffic too',
    COMMENT COLUMN signed 'How the body is signed',
    COMMENT COLUMN basis 'How the row is known',
    COMMENT COLUMN notes 'Notes',
    COMMENT COLUMN origin 'shipped, site, or both where the site changed a shipped row',
    COMMENT COLUMN digest 'Digest of everything that is declared',
    COMMENT COLUMN loaded_at 'When it was loaded';

CREATE VIEW IF NOT EXISTS register_key AS
SELECT
    id AS key_fp,
    JSONExtractString(row, 'ownership') AS ownership,
    JSONExtract(row, 'subject', 'Nullable(String)') AS owner_subject_id,
    JSONExtract(row, 'subject_kind', 'Nullable(String)') AS owner_kind,
    JSONExtract(row, 'provider', 'Nullable(String)') AS provider_id,
    JSONExtract(row, 'kind', 'Nullable(String)') AS key_kind,
    toDateOrNull(JSONExtractString(row, 'expires')) AS expires,
    JSONExtract(row, 'vault', 'Nullable(String)') AS vault,
    JSONExtract(row, 'scope', 'Nullable(String)') AS scope,
    toDateOrNull(JSONExtractString(row, 'created')) AS created,
    toDateOrNull(JSONExtractString(row, 'rotated')) AS rotated,
    JSONExtract(row, 'shared', 'Nullable(Bool)') AS shared,
    JSONExtract(row, 'notes', 'Nullable(String)') AS notes,
    origin,
    digest,
    loaded_at
FROM register_in_force AS r
WHERE r.kind = 'key'
COMMENT 'API keys by fingerprint';

ALTER TABLE register_key
    COMMENT COLUMN key_fp 'Keyed fingerprint of the API key',
    COMMENT COLUMN ownership 'corporate or personal',
    COMMENT COLUMN owner_subject_id 'Keyed pseudonym of the subject whose key it is',
    COMMENT COLUMN owner_kind 'Kind of that subject',
    COMMENT COLUMN provider_id 'Provider that it is for; NULL = not said',
    COMMENT COLUMN key_kind 'Kind of API key; NULL = not said',
    COMMENT COLUMN expires 'Last day on which the row holds',
    COMMENT COLUMN vault 'Where the key itself is kept',
    COMMENT COLUMN scope 'What it may do at the provider',
    COMMENT COLUMN created 'Day on which the key was made',
    COMMENT COLUMN rotated 'Day on which it last changed',
    COMMENT COLUMN shared 'Several subjects may use it',
    COMMENT COLUMN notes 'Notes',
    COMMENT COLUMN origin 'shipped, site, or both where the site changed a shipped row',
    COMMENT COLUMN digest 'Digest of everything that is declared',
    COMMENT COLUMN loaded_at 'When it was loaded';

CREATE VIEW IF NOT EXISTS register_subject AS
SELECT
    id AS subject_id,
    JSONExtractString(row, 'kind') AS subject_kind,
    JSONExtract(row, 'role', 'Nullable(String)') AS role,
    JSONExtract(row, 'department', 'Nullable(String)') AS department,
    JSONExtract(row, 'groups', 'Array(String)') AS groups,
    origin,
    digest,
    loaded_at
FROM register_in_force AS r
WHERE r.kind = 'subject'
COMMENT 'People and services by pseudonym';

ALTER TABLE register_subject
    COMMENT COLUMN subject_id 'Keyed pseudonym of the subject',
    COMMENT COLUMN subject_kind 'user, service, device or team',
    COMMENT COLUMN role 'Role',
    COMMENT COLUMN department 'Department',
    COMMENT COLUMN groups 'Groups',
    COMMENT COLUMN origin 'shipped, site, or both where the site changed a shipped row',
    COMMENT COLUMN digest 'Digest of everything that is declared',
    COMMENT COLUMN loaded_at 'When it was loaded';

CREATE VIEW IF NOT EXISTS register_policy AS
SELECT
    id AS rule_id,
    JSONExtractString(row, 'what') AS what,
    JSONExtract(row, 'place', 'Nullable(Int64)') AS place,
    JSONExtract(row, 'title', 'Nullable(String)') AS title,
    JSONExtractString(row, 'action') AS action,
    JSONExtractRaw(row, 'conditions') AS conditions,
    JSONExtractRaw(row, 'exceptions') AS exceptions,
    toDateOrNull(JSONExtractString(row, 'observe_until')) AS observe_until,
    toDateOrNull(JSONExtractString(row, 'until')) AS until,
    JSONExtractString(row, 'policy') AS policy_id,
    JSONExtractString(row, 'version') AS policy_version,
    JSONExtractString(row, 'sha256') AS policy_sha256,
    toDateOrNull(JSONExtractString(row, 'valid_to')) AS valid_to,
    origin,
    digest,
    loaded_at
FROM register_in_force AS r
WHERE r.kind = 'policy'
COMMENT 'Rules of the policy, its default and its failure table';

ALTER TABLE register_policy
    COMMENT COLUMN rule_id 'Rule, as records name it',
    COMMENT COLUMN what 'rule, default, failure (a cause) or failure_rule (an exception to it)',
    COMMENT COLUMN place 'Place in the order, from 1; NULL in the failure table',
    COMMENT COLUMN title 'Title',
    COMMENT COLUMN action 'allow, block or refuse',
    COMMENT COLUMN conditions 'What it asks, as JSON; subjects as pseudonyms',
    COMMENT COLUMN exceptions 'What it leaves alone, as JSON',
    COMMENT COLUMN observe_until 'Last day of observing; NULL = it binds',
    COMMENT COLUMN until 'Last day of an exception',
    COMMENT COLUMN policy_id 'Policy',
    COMMENT COLUMN policy_version 'Version of the policy',
    COMMENT COLUMN policy_sha256 'Hash of the policy file',
    COMMENT COLUMN valid_to 'Last day of the policy',
    COMMENT COLUMN origin 'shipped, site, or both where the site changed a shipped row',
    COMMENT COLUMN digest 'Digest of everything that is declared',
    COMMENT COLUMN loaded_at 'When it was loaded';

CREATE VIEW IF NOT EXISTS register_suppression AS
SELECT
    id AS suppression_id,
    JSONExtract(row, 'detector', 'Nullable(String)') AS detector,
    JSONExtract(row, 'data_class', 'Nullable(String)') AS data_class,
    JSONExtract(row, 'provider', 'Nullable(String)') AS provider_id,
    JSONExtract(row, 'subject', 'Nullable(String)') AS subject_id,
    JSONExtract(row, 'route', 'Nullable(String)') AS route_id,
    JSONExtract(row, 'fingerprint', 'Nullable(String)') AS fingerprint,
    JSONExtract(row, 'owner', 'Nullable(String)') AS owner,
    JSONExtract(row, 'reason', 'Nullable(String)') AS reason,
    toDateOrNull(JSONExtractString(row, 'expires')) AS expires,
    origin,
    digest,
    loaded_at
FROM register_in_force AS r
WHERE r.kind = 'suppression'
COMMENT 'Findings that the site has judged to be none';

ALTER TABLE register_suppression
    COMMENT COLUMN suppression_id 'Suppression, as records name it',
    COMMENT COLUMN detector 'Detector',
    COMMENT COLUMN data_class 'Data class, or a pattern',
    COMMENT COLUMN provider_id 'Provider',
    COMMENT COLUMN subject_id 'Keyed pseudonym of the subject, where it names one',
    COMMENT COLUMN route_id 'Route, or a pattern',
    COMMENT COLUMN fingerprint 'Keyed fingerprint of the value',
    COMMENT COLUMN owner 'Who answers for it',
    COMMENT COLUMN reason 'Why',
    COMMENT COLUMN expires 'Last day',
    COMMENT COLUMN origin 'shipped, site, or both where the site changed a shipped row',
    COMMENT COLUMN digest 'Digest of everything that is declared',
    COMMENT COLUMN loaded_at 'When it was loaded';

CREATE VIEW IF NOT EXISTS register_detector AS
SELECT
    id AS detector,
    JSONExtract(row, 'rev', 'Nullable(Int64)') AS rev,
    JSONExtract(row, 'title', 'Nullable(String)') AS title,
    JSONExtractString(row, 'data_class') AS data_class,
    JSONExtractString(row, 'severity') AS severity,
    JSONExtractString(row, 'status') AS status,
    JSONExtract(row, 'family', 'Nullable(String)') AS family,
    JSONExtract(row, 'validators', 'Array(String)') AS validators,
    origin,
    digest,
    loaded_at
FROM register_in_force AS r
WHERE r.kind = 'detector'
COMMENT 'Detectors in force';

ALTER TABLE register_detector
    COMMENT COLUMN detector 'Detector',
    COMMENT COLUMN rev 'Revision',
    COMMENT COLUMN title 'What it finds',
    COMMENT COLUMN data_class 'Data class',
    COMMENT COLUMN severity 'Severity of its findings',
    COMMENT COLUMN status 'stable, or test while on trial',
    COMMENT COLUMN family 'Pack',
    COMMENT COLUMN validators 'What a value must pass',
    COMMENT COLUMN origin 'shipped, site, or both where the site changed a shipped row',
    COMMENT COLUMN digest 'Digest of everything that is declared',
    COMMENT COLUMN loaded_at 'When it was loaded';

CREATE VIEW IF NOT EXISTS register_data_class AS
SELECT
    id AS data_class,
    JSONExtractString(row, 'title') AS title,
    JSONExtract(row, 'regulations', 'Array(String)') AS regulations,
    origin,
    digest,
    loaded_at
FROM register_in_force AS r
WHERE r.kind = 'data_class'
COMMENT 'Data classes that can be found';

ALTER TABLE register_data_class
    COMMENT COLUMN data_class 'Data class',
    COMMENT COLUMN title 'What it is',
    COMMENT COLUMN regulations 'Regulations that its detectors name',
    COMMENT COLUMN origin 'shipped, site, or both where the site changed a shipped row',
    COMMENT COLUMN digest 'Digest of everything that is declared',
    COMMENT COLUMN loaded_at 'When it was loaded';

CREATE VIEW IF NOT EXISTS register_setting AS
SELECT
    id AS name,
    JSONExtractString(row, 'value') AS value,
    origin,
    digest,
    loaded_at
FROM register_in_force AS r
WHERE r.kind = 'setting'
COMMENT 'Settings that posture is judged by';

ALTER TABLE register_setting
    COMMENT COLUMN name 'Setting',
    COMMENT COLUMN value 'Value, as text',
    COMMENT COLUMN origin 'shipped, site, or both where the site changed a shipped row',
    COMMENT COLUMN digest 'Digest of everything that is declared',
    COMMENT COLUMN loaded_at 'When it was loaded';
