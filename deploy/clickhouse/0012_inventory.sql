-- Inventory: what is in use, declared against observed. Plain views over the records, the exchanges and the two roll-ups, so
-- that they cost nothing when records come in; `register_*` is what is declared. In each of them `source` says whether a
-- row is declared, observed or both, and the difference is what posture findings are made of.
-- Texts of clients' choosing (models, tools, User-Agents, hosts) are clipped and cleaned by the gate, and are hostile still.

-- The terms under which a product of a provider is used, as far as declared: those of the plan that the organisation has
-- (`contracted`), otherwise of the least protective plan under which the product can be used. No row: nothing is declared.
CREATE VIEW IF NOT EXISTS provider_terms AS
SELECT
    provider_id,
    product,
    argMin(t.tier, t.place) AS tier,
    if(max(t.has_it), 'contracted', 'assumed') AS basis,
    argMin(tuple(t.trains_on_input), t.place).1 AS trains_on_input,
    argMin(tuple(t.retention_days), t.place).1 AS retention_days,
    argMin(tuple(t.zdr_available), t.place).1 AS zdr_available,
    argMin(tuple(t.human_review), t.place).1 AS human_review,
    argMin(tuple(t.baa_covered), t.place).1 AS baa_covered,
    argMin(t.regions, t.place) AS regions,
    argMin(t.evidence, t.place) AS evidence
FROM
(
    SELECT
        provider_id,
        arrayJoin(if(empty(r.products), p.known, r.products)) AS product,
        r.tier AS tier,
        ifNull(r.contracted, false) AS has_it,
        indexOf(['consumer_free', 'consumer_paid', 'api_free', 'api_paid', 'team', 'enterprise', 'cloud_hosted'], r.tier) + if(has_it, 0, 100) AS place,
        r.trains_on_input AS trains_on_input,
        r.retention_days AS retention_days,
        r.zdr_available AS zdr_available,
        r.human_review AS human_review,
        r.baa_covered AS baa_covered,
        r.regions AS regions,
        r.evidence AS evidence
    FROM register_tier AS r
    INNER JOIN (SELECT provider_id, groupUniqArray(d.product) AS known FROM register_domain AS d GROUP BY provider_id) AS p USING (provider_id)
) AS t
GROUP BY provider_id, product
COMMENT 'Terms of each product: by the plan that was contracted, or the worst that is possible';

ALTER TABLE provider_terms
    COMMENT COLUMN provider_id 'Provider',
    COMMENT COLUMN product 'Product of the provider',
    COMMENT COLUMN tier 'Plan',
    COMMENT COLUMN basis 'contracted: the organisation has this plan; assumed: the least protective plan that is possible',
    COMMENT COLUMN trains_on_input 'Whether prompts train models: no, opt_in, opt_out, yes; NULL = unknown',
    COMMENT COLUMN retention_days 'Days that prompts and answers are kept by default; NULL = unknown',
    COMMENT COLUMN zdr_available 'Zero data retention can be had',
    COMMENT COLUMN human_review 'People of the provider may read prompts',
    COMMENT COLUMN baa_covered 'A business associate agreement covers it',
    COMMENT COLUMN regions 'Regions in which data can be kept',
    COMMENT COLUMN evidence 'Where the claims are written: keys, address, day on which somebody looked';

-- Providers: who receives what. Counts are from the roll-ups.
CREATE VIEW IF NOT EXISTS inventory_provider AS
SELECT
    provider_id,
    d.name AS name,
    d.legal_entity AS legal_entity,
    d.country AS country,
    d.category AS category,
    s.status AS status,
    s.statuses AS statuses,
    multiIf(d.digest = '', 'observed', ifNull(o.requests, 0) = 0, 'declared', 'both') AS source,
    o.first_seen AS first_seen,
    o.last_seen AS last_seen,
    o.requests AS requests,
    o.not_allowed AS not_allowed,
    o.with_findings AS with_findings,
    u.subjects AS subjects,
    u.clients AS clients,
    o.products AS products,
    o.body_bytes AS body_bytes,
    o.uninspected_bytes AS uninspected_bytes,
    o.tokens_in AS tokens_in,
    o.tokens_out AS tokens_out,
    t.tiers AS tiers,
    t.contracted AS contracted_tiers,
    d.function AS function,
    d.critical AS critical,
    d.dora_critical AS dora_critical,
    d.substitutes AS substitutes,
    d.risk_score AS risk_score,
    d.reviewed AS reviewed,
    d.review_due AS review_due,
    d.contract_end AS contract_end,
    d.dpa AS dpa,
    d.baa AS baa,
    d.baa_scope AS baa_scope,
    d.zdr AS zdr,
    d.transfer_basis AS transfer_basis,
    d.regions AS regions,
    d.certifications AS certifications,
    d.subprocessors AS subprocessors,
    d.tenant_header AS tenant_header,
    d.owner AS owner,
    d.notes AS notes
FROM
(
    SELECT
        provider_id,
        toNullable(min(m.minute)) AS first_seen,
        toNullable(max(m.minute)) AS last_seen,
        sum(m.requests) AS requests,
        sumIf(m.requests, decision NOT IN ('', 'allow')) AS not_allowed,
        sum(m.with_findings) AS with_findings,
        groupUniqArrayIf(50)(m.product, m.product != '') AS products,
        sum(m.body_bytes) AS body_bytes,
        sum(m.uninspected_bytes) AS uninspected_bytes,
        sum(m.tokens_in) AS tokens_in,
        sum(m.tokens_out) AS tokens_out
    FROM per_minute AS m
    WHERE provider_id != ''
    GROUP BY provider_id
) AS o
FULL JOIN register_provider AS d USING (provider_id)
LEFT JOIN
(
    SELECT
        provider_id,
        topK(1)(r.status)[1] AS status,
        groupUniqArray(r.status) AS statuses
    FROM register_domain AS r
    GROUP BY provider_id
) AS s USING (provider_id)
LEFT JOIN
(
    SELECT
        provider_id,
        uniqIf(subject_id, subject_id != '') AS subjects,
        uniqIf(agent_id, agent_id != '') AS clients
    FROM per_subject_day
    GROUP BY provider_id
) AS u USING (provider_id)
LEFT JOIN
(
    SELECT
        provider_id,
        groupArray(r.tier) AS tiers,
        groupArrayIf(r.tier, ifNull(r.contracted, false)) AS contracted
    FROM register_tier AS r
    GROUP BY provider_id
) AS t USING (provider_id)
COMMENT 'Providers, declared against observed';

ALTER TABLE inventory_provider
    COMMENT COLUMN provider_id 'Provider',
    COMMENT COLUMN name 'Name for people',
    COMMENT COLUMN legal_entity 'Company that is the party to the contract',
    COMMENT COLUMN country 'Country of its seat',
    COMMENT COLUMN category 'What it offers',
    COMMENT COLUMN status 'Status of most of its destinations: sanctioned, tolerated, prohibited, unreviewed; empty when it has none',
    COMMENT COLUMN statuses 'Every status that one of its destinations has',
    COMMENT COLUMN source 'declared, observed or both',
    COMMENT COLUMN first_seen 'First seen; NULL when only declared',
    COMMENT COLUMN last_seen 'Last seen; NULL when only declared',
    COMMENT COLUMN requests 'Decisions and bypasses',
    COMMENT COLUMN not_allowed 'Requests that were not let pass',
    COMMENT COLUMN with_findings 'Requests with findings',
    COMMENT COLUMN subjects 'Subjects that asked, about',
    COMMENT COLUMN clients 'Clients that were used, about',
    COMMENT COLUMN products 'Products that were used',
    COMMENT COLUMN body_bytes 'Bytes of request bodies',
    COMMENT COLUMN uninspected_bytes 'Bytes that left unread',
    COMMENT COLUMN tokens_in 'Input tokens',
    COMMENT COLUMN tokens_out 'Output tokens',
    COMMENT COLUMN tiers 'Plans that are declared',
    COMMENT COLUMN contracted_tiers 'Plans that the organisation has',
    COMMENT COLUMN function 'What the organisation uses it for',
    COMMENT COLUMN critical 'It supports a critical or important function (DORA)',
    COMMENT COLUMN dora_critical 'Designated as a critical third party under DORA',
    COMMENT COLUMN substitutes 'Providers that could take its place',
    COMMENT COLUMN risk_score 'Risk score of the organisation, 0 to 100',
    COMMENT COLUMN reviewed 'Day of the last review',
    COMMENT COLUMN review_due 'Day by which it is reviewed again',
    COMMENT COLUMN contract_end 'Day on which the contract ends',
    COMMENT COLUMN dpa 'Data processing agreement that was signed',
    COMMENT COLUMN baa 'Business associate agreement that was signed',
    COMMENT COLUMN baa_scope 'Products that the signed agreement covers',
    COMMENT COLUMN zdr 'Agreement on zero data retention',
    COMMENT COLUMN transfer_basis 'Basis of a transfer to a third country',
    COMMENT COLUMN regions 'Regions in which data may lie by contract',
    COMMENT COLUMN certifications 'Certifications that the provider claims',
    COMMENT COLUMN subprocessors 'Address of the list of subprocessors',
    COMMENT COLUMN tenant_header 'Request header that binds traffic to the organisation''s own tenant',
    COMMENT COLUMN owner 'Who answers for it, as declared',
    COMMENT COLUMN notes 'Notes';

-- Plans: traffic counts for the plan of its product's terms. An answer that names an organisation of a plan proves it.
CREATE VIEW IF NOT EXISTS inventory_tier AS
SELECT
    provider_id,
    tier,
    multiIf(d.digest = '', 'observed', ifNull(o.requests, 0) = 0, 'declared', 'both') AS source,
    if(o.basis = '', NULL, o.basis) AS basis,
    o.first_seen AS first_seen,
    o.last_seen AS last_seen,
    o.requests AS requests,
    o.with_findings AS with_findings,
    o.products AS observed_products,
    g.answers AS answers_of_organisations,
    g.seen AS organisations_seen,
    d.products AS products,
    d.contracted AS contracted,
    d.organisations AS organisations,
    d.trains_on_input AS trains_on_input,
    d.retention_days AS retention_days,
    d.zdr_available AS zdr_available,
    d.human_review AS human_review,
    d.baa_covered AS baa_covered,
    d.regions AS regions,
    d.evidence AS evidence,
    d.owner AS owner
FROM
(
    SELECT
        provider_id,
        if(t.tier = '', 'unknown', t.tier) AS tier,
        any(t.basis) AS basis,
        toNullable(min(m.first_seen)) AS first_seen,
        toNullable(max(m.last_seen)) AS last_seen,
        sum(m.requests) AS requests,
        sum(m.with_findings) AS with_findings,
        groupUniqArray(50)(m.product) AS products
    FROM
    (
        SELECT
            provider_id,
            toString(p.product) AS product,
            min(p.minute) AS first_seen,
            max(p.minute) AS last_seen,
            sum(p.requests) AS requests,
            sum(p.with_findings) AS with_findings
        FROM per_minute AS p
        WHERE provider_id != '' AND kind != 'outcome'
        GROUP BY provider_id, product
    ) AS m
    LEFT JOIN provider_terms AS t ON m.provider_id = t.provider_id AND m.product = t.product
    GROUP BY provider_id, tier
) AS o
FULL JOIN register_tier AS d USING (provider_id, tier)
LEFT JOIN
(
    SELECT
        provider_id,
        tier,
        sum(a.answers) AS answers,
        groupUniqArray(50)(a.organisation) AS seen
    FROM (SELECT provider_id, tier, arrayJoin(r.organisations) AS organisation FROM register_tier AS r) AS t
    INNER JOIN
    (
        SELECT
            provider_id,
            assumeNotNull(org_id_seen) AS organisation,
            count() AS answers
        FROM events
        WHERE record_type = 'outcome' AND org_id_seen IS NOT NULL
        GROUP BY provider_id, organisation
    ) AS a USING (provider_id, organisation)
    GROUP BY provider_id, tier
) AS g USING (provider_id, tier)
COMMENT 'Plans of providers, declared against observed';

ALTER TABLE inventory_tier
    COMMENT COLUMN provider_id 'Provider',
    COMMENT COLUMN tier 'Plan; unknown where nothing is declared for the product',
    COMMENT COLUMN source 'declared, observed or both',
    COMMENT COLUMN basis 'contracted, or assumed: the least protective plan that is possible',
    COMMENT COLUMN first_seen 'First seen; NULL when only declared',
    COMMENT COLUMN last_seen 'Last seen; NULL when only declared',
    COMMENT COLUMN requests 'Requests to products under this plan',
    COMMENT COLUMN with_findings 'Of those, with findings',
    COMMENT COLUMN observed_products 'Products that were used under it',
    COMMENT COLUMN answers_of_organisations 'Answers that name an organisation of this plan',
    COMMENT COLUMN organisations_seen 'Those organisations',
    COMMENT COLUMN products 'Products that can be used under this plan; empty = all',
    COMMENT COLUMN contracted 'The organisation has this plan',
    COMMENT COLUMN organisations 'Organisations of this plan',
    COMMENT COLUMN trains_on_input 'Whether prompts train models',
    COMMENT COLUMN retention_days 'Days that prompts and answers are kept by default',
    COMMENT COLUMN zdr_available 'Zero data retention can be had',
    COMMENT COLUMN human_review 'People of the provider may read prompts',
    COMMENT COLUMN baa_covered 'A business associate agreement covers it',
    COMMENT COLUMN regions 'Regions in which data can be kept',
    COMMENT COLUMN evidence 'Where the claims are written',
    COMMENT COLUMN owner 'Who answers for it, as declared';

-- Destinations: rows of the destination table, and hosts that were asked for and have none.
CREATE VIEW IF NOT EXISTS inventory_domain AS
SELECT
    if(target_row = '', o.host, d.host) AS domain,
    target_row,
    if(d.digest = '', o.provider_id, d.provider_id) AS provider_id,
    if(d.digest = '', o.product, d.product) AS product,
    d.surface AS surface,
    d.mode AS mode,
    d.status AS status,
    multiIf(d.digest = '', 'observed', ifNull(o.requests, 0) = 0, 'declared', 'both') AS source,
    o.first_seen AS first_seen,
    o.last_seen AS last_seen,
    o.requests AS requests,
    o.not_allowed AS not_allowed,
    o.bypassed AS bypassed,
    o.subjects AS subjects,
    o.hosts AS hosts,
    o.host_count AS host_count,
    o.body_bytes AS body_bytes,
    o.uninspected_bytes AS uninspected_bytes,
    d.basis AS basis,
    d.origin AS origin
FROM
(
    SELECT
        ifNull(e.target_row, '') AS target_row,
        if(e.target_row IS NULL, ifNull(e.host, ''), '') AS host,
        any(toString(e.provider_id)) AS provider_id,
        any(ifNull(e.product, '')) AS product,
        toNullable(min(e.ts_received)) AS first_seen,
        toNullable(max(e.ts_received)) AS last_seen,
        count() AS requests,
        countIf(decision != 'allow') AS not_allowed,
        countIf(record_type = 'bypass') AS bypassed,
        uniq(e.subject_id) AS subjects,
        groupUniqArray(20)(assumeNotNull(e.host)) AS hosts,
        uniq(e.host) AS host_count,
        sum(ifNull(e.body_bytes, 0)) AS body_bytes,
        sum(ifNull(e.uninspected_bytes, 0)) AS uninspected_bytes
    FROM events AS e
    WHERE record_type IN ('decision', 'bypass')
    GROUP BY target_row, host
) AS o
FULL JOIN register_domain AS d USING (target_row)
COMMENT 'Destinations, declared against observed';

ALTER TABLE inventory_domain
    COMMENT COLUMN domain 'Host: a name, `.name` for all below it, a pattern; the host itself where no row fits',
    COMMENT COLUMN target_row 'Row of the destination table; empty when there is none',
    COMMENT COLUMN provider_id 'Provider; empty when it is none',
    COMMENT COLUMN product 'Product of the provider',
    COMMENT COLUMN surface 'agent, api, assistant, embedding, gateway, image, infra, speech, telemetry, web; empty without a row',
    COMMENT COLUMN mode 'enforce, observe or pass; empty without a row',
    COMMENT COLUMN status 'Sanctioned, tolerated, prohibited or unreviewed; empty without a row',
    COMMENT COLUMN source 'declared, observed or both',
    COMMENT COLUMN first_seen 'First seen; NULL when only declared',
    COMMENT COLUMN last_seen 'Last seen; NULL when only declared',
    COMMENT COLUMN requests 'Requests, bypassed tunnels included',
    COMMENT COLUMN not_allowed 'Requests that were not let pass',
    COMMENT COLUMN bypassed 'Tunnels that were passed unread',
    COMMENT COLUMN subjects 'Subjects that asked, about',
    COMMENT COLUMN hosts 'Hosts that were asked for, at most 20',
    COMMENT COLUMN host_count 'Hosts that were asked for, about',
    COMMENT COLUMN body_bytes 'Bytes of request bodies',
    COMMENT COLUMN uninspected_bytes 'Bytes that left unread',
    COMMENT COLUMN basis 'How the row is known; empty without a row',
    COMMENT COLUMN origin 'shipped, site, or both; empty without a row';

-- Uses of an API. A declared route with `*` stands for every route that it fits; the longest pattern wins.
CREATE VIEW IF NOT EXISTS inventory_route AS
SELECT
    if(o.requests = 0, d.provider_id, o.provider_id) AS provider_id,
    if(o.requests = 0, d.route_id, o.route_id) AS route_id,
    multiIf(d.digest = '', 'observed', o.requests = 0, 'declared', 'both') AS source,
    o.operations AS operations,
    o.methods AS methods,
    o.paths AS paths,
    o.first_seen AS first_seen,
    o.last_seen AS last_seen,
    o.requests AS requests,
    o.not_allowed AS not_allowed,
    o.failed_open AS failed_open,
    o.not_wholly_inspected AS not_wholly_inspected,
    o.subjects AS subjects,
    o.models AS models,
    o.data_classes AS data_classes,
    o.policies AS policies,
    o.regions AS observed_regions,
    d.route_id AS declared_as,
    d.application AS application,
    d.environment AS environment,
    d.purpose AS purpose,
    d.data_owner AS data_owner,
    d.data_subjects AS data_subjects,
    d.tags AS tags,
    d.classes AS classes,
    d.regions AS regions,
    d.retention_days AS retention_days,
    d.lawful_basis AS lawful_basis,
    d.transfer_basis AS transfer_basis,
    d.reviewed AS reviewed,
    d.review_due AS review_due,
    d.owner AS owner
FROM
(
    SELECT
        u.*,
        (
            arrayFirst(
                p -> (u.provider_id LIKE p.4) AND (u.route_id LIKE p.3),
                (SELECT arraySort(p -> -length(p.2), groupArray((r.provider_id, r.route_id, r.route_id_like, r.provider_id_like))) FROM register_route AS r)
            ) AS fits
        ).1 AS as_provider,
        fits.2 AS as_route
    FROM
    (
        SELECT
            toString(e.provider_id) AS provider_id,
            ifNull(e.route_id, '') AS route_id,
            groupUniqArray(20)(ifNull(e.operation, '')) AS operations,
            groupUniqArray(10)(ifNull(e.method, '')) AS methods,
            groupUniqArray(20)(ifNull(e.path_template, '')) AS paths,
            toNullable(min(e.ts_received)) AS first_seen,
            toNullable(max(e.ts_received)) AS last_seen,
            count() AS requests,
            countIf(decision != 'allow') AS not_allowed,
            countIf(fail_mode = 'open') AS failed_open,
            countIf(inspection_status IS NULL OR inspection_status != 'full') AS not_wholly_inspected,
            uniq(e.subject_id) AS subjects,
            groupUniqArray(50)(ifNull(e.model_requested, '')) AS models,
            groupUniqArrayArray(50)(e.data_classes) AS data_classes,
            groupUniqArray(20)(ifNull(e.policy_id, '')) AS policies,
            groupUniqArray(20)(ifNull(e.region, '')) AS regions
        FROM events AS e
        WHERE record_type = 'decision' AND provider_id != ''
        GROUP BY provider_id, route_id
    ) AS u
) AS o
FULL JOIN register_route AS d ON o.as_provider = d.provider_id AND o.as_route = d.route_id
COMMENT 'Routes, declared against observed';

ALTER TABLE inventory_route
    COMMENT COLUMN provider_id 'Provider; `*` where only declared for all',
    COMMENT COLUMN route_id 'Route; empty when it is not known',
    COMMENT COLUMN source 'declared, observed or both',
    COMMENT COLUMN operations 'Operations',
    COMMENT COLUMN methods 'HTTP methods',
    COMMENT COLUMN paths 'Paths with their ids removed, at most 20',
    COMMENT COLUMN first_seen 'First seen; NULL when only declared',
    COMMENT COLUMN last_seen 'Last seen; NULL when only declared',
    COMMENT COLUMN requests 'Requests',
    COMMENT COLUMN not_allowed 'Requests that were not let pass',
    COMMENT COLUMN failed_open 'Requests that were let pass although they could not be decided',
    COMMENT COLUMN not_wholly_inspected 'Requests that were inspected in part or not at all',
    COMMENT COLUMN subjects 'Subjects that asked, about',
    COMMENT COLUMN models 'Models that were asked for, at most 50',
    COMMENT COLUMN data_classes 'Data classes that were found, at most 50',
    COMMENT COLUMN policies 'Policies that decided',
    COMMENT COLUMN observed_regions 'Regions of the endpoints',
    COMMENT COLUMN declared_as 'Row of the register that fits; empty when none does',
    COMMENT COLUMN application 'Application that it belongs to',
    COMMENT COLUMN environment 'Environment',
    COMMENT COLUMN purpose 'Purpose of the processing',
    COMMENT COLUMN data_owner 'Who answers for the data',
    COMMENT COLUMN data_subjects 'Whose data it is',
    COMMENT COLUMN tags 'What regulates it',
    COMMENT COLUMN classes 'Data classes that may go through it; empty = not said',
    COMMENT COLUMN regions 'Regions in which the data may be processed; empty = not said',
    COMMENT COLUMN retention_days 'Most days that a provider may keep what it gets',
    COMMENT COLUMN lawful_basis 'Lawful basis of the processing',
    COMMENT COLUMN transfer_basis 'Basis of a transfer to a third country',
    COMMENT COLUMN reviewed 'Day of the last review',
    COMMENT COLUMN review_due 'Day by which it is reviewed again',
    COMMENT COLUMN owner 'Who answers for it, as declared';

-- Models: asked for, and those that answered. A declared model with `*` stands for every model that it fits.
-- A model is often declared twice: by its name (its life, by the vendor) and by a pattern (approved, by the site). Of each field
-- the most specific row that says something about it counts.
CREATE VIEW IF NOT EXISTS inventory_model AS
SELECT
    if(o.model = '', d.provider_id, o.provider_id) AS provider_id,
    if(o.model = '', d.model, o.model) AS model,
    multiIf(max(d.digest) = '', 'observed', o.model = '', 'declared', 'both') AS source,
    any(o.first_seen) AS first_seen,
    any(o.last_seen) AS last_seen,
    any(o.requests) AS requests,
    any(o.not_allowed) AS not_allowed,
    any(o.answers) AS answers,
    any(o.served) AS served,
    any(o.subjects) AS subjects,
    any(o.data_classes) AS data_classes,
    any(o.tokens_in) AS tokens_in,
    any(o.tokens_out) AS tokens_out,
    argMin(d.model, o.place) AS declared_as,
    argMin(d.family, o.place) AS family,
    argMin(d.alias_of, o.place) AS alias_of,
    argMinIf(d.modality, o.place, notEmpty(d.modality)) AS modality,
    argMin(d.lifecycle, o.place) AS lifecycle,
    argMin(d.shutdown, o.place) AS shutdown,
    argMin(d.replacement, o.place) AS replacement,
    argMin(d.approved, o.place) AS approved,
    argMinIf(d.classes, o.place, notEmpty(d.classes)) AS classes,
    argMin(d.ai_act_role, o.place) AS ai_act_role,
    argMin(d.high_risk, o.place) AS high_risk,
    argMinIf(d.evidence, o.place, notEmpty(d.evidence)) AS evidence,
    argMin(d.owner, o.place) AS owner
FROM
(
    SELECT
        u.*,
        arrayJoin(arrayEnumerate(if(empty(u.fits), [''], u.fits))) AS place,
        if(empty(u.fits), '', u.fits[place]) AS as_model
    FROM
    (
        SELECT
            w.*,
            arrayMap(
                p -> p.2,
                arrayFilter(
                    p -> (w.provider_id = p.1) AND (w.model LIKE p.3),
                    (SELECT arraySort(p -> (p.2 != p.3, -length(p.2)), groupArray((r.provider_id, r.model, r.model_like))) FROM register_model AS r)
                )
            ) AS fits
        FROM
        (
            SELECT
                toString(x.provider_id) AS provider_id,
                name.1 AS model,
                toNullable(min(x.first_seen)) AS first_seen,
                toNullable(max(x.last_seen)) AS last_seen,
                sumIf(x.requests, name.2) AS requests,
                sumIf(x.not_allowed, name.2) AS not_allowed,
                sumIf(x.answers, name.3) AS answers,
                groupUniqArrayIf(20)(x.model_served, name.2 AND x.model_served NOT IN ('', x.model_requested)) AS served,
                uniqMergeIf(x.subjects, name.2) AS subjects,
                groupUniqArrayArrayIf(50)(x.data_classes, name.2) AS data_classes,
                sum(x.tokens_in) AS tokens_in,
                sum(x.tokens_out) AS tokens_out
            FROM
            (
                SELECT
                    provider_id,
                    ifNull(e.model_requested, '') AS model_requested,
                    ifNull(e.model_served, '') AS model_served,
                    min(e.ts) AS first_seen,
                    max(e.ts) AS last_seen,
                    count() AS requests,
                    countIf(decision != 'allow') AS not_allowed,
                    countIf(e.model_served IS NOT NULL) AS answers,
                    uniqState(e.subject_id) AS subjects,
                    groupUniqArrayArray(50)(e.data_classes) AS data_classes,
                    sum(ifNull(e.tokens_in, 0)) AS tokens_in,
                    sum(ifNull(e.tokens_out, 0)) AS tokens_out
                FROM exchanges AS e
                WHERE provider_id != ''
                GROUP BY provider_id, model_requested, model_served
            ) AS x
            ARRAY JOIN
                if(x.model_requested = x.model_served, [(x.model_requested, true, true)], [(x.model_requested, true, false), (x.model_served, false, true)]) AS name
            WHERE name.1 != ''
            GROUP BY provider_id, model
        ) AS w
    ) AS u
) AS o
FULL JOIN register_model AS d ON o.provider_id = d.provider_id AND o.as_model = d.model
GROUP BY o.provider_id, o.model, if(o.model = '', d.provider_id, ''), if(o.model = '', d.model, ''), if(o.model = '', d.provider_id, o.provider_id), if(o.model = '', d.model, o.model)
COMMENT 'Models, declared against observed';

ALTER TABLE inventory_model
    COMMENT COLUMN provider_id 'Provider',
    COMMENT COLUMN model 'Model, as a request or an answer names it',
    COMMENT COLUMN source 'declared, observed or both',
    COMMENT COLUMN first_seen 'First seen; NULL when only declared',
    COMMENT COLUMN last_seen 'Last seen; NULL when only declared',
    COMMENT COLUMN requests 'Requests that ask for it',
    COMMENT COLUMN not_allowed 'Of those, not let pass',
    COMMENT COLUMN answers 'Answers that name it',
    COMMENT COLUMN served 'Other models that answered when it was asked for, at most 20',
    COMMENT COLUMN subjects 'Subjects that asked for it, about',
    COMMENT COLUMN data_classes 'Data classes that were found in requests for it, at most 50',
    COMMENT COLUMN tokens_in 'Input tokens of exchanges that name it',
    COMMENT COLUMN tokens_out 'Output tokens of exchanges that name it',
    COMMENT COLUMN declared_as 'Most specific row of the register that fits; empty when none does',
    COMMENT COLUMN family 'Family',
    COMMENT COLUMN alias_of 'Model that this name stands for: a name that moves',
    COMMENT COLUMN modality 'What goes in and comes out',
    COMMENT COLUMN lifecycle 'active, legacy, deprecated or shutdown; NULL = unknown',
    COMMENT COLUMN shutdown 'Day on which it stops answering',
    COMMENT COLUMN replacement 'Model that the provider names in its place',
    COMMENT COLUMN approved 'The organisation has approved it; NULL = not said',
    COMMENT COLUMN classes 'Data classes that may go to it; empty = not said',
    COMMENT COLUMN ai_act_role 'Role of the organisation under the EU AI Act',
    COMMENT COLUMN high_risk 'Its use here is high-risk under the EU AI Act',
    COMMENT COLUMN evidence 'Where the claims are written',
    COMMENT COLUMN owner 'Who answers for it, as declared';

-- Who asks, by pseudonym.
CREATE VIEW IF NOT EXISTS inventory_subject AS
SELECT
    subject_id,
    if(o.kind = '', d.subject_kind, o.kind) AS subject_kind,
    multiIf(d.digest = '', 'observed', o.requests = 0, 'declared', 'both') AS source,
    o.first_seen AS first_seen,
    o.last_seen AS last_seen,
    o.requests AS requests,
    o.not_allowed AS not_allowed,
    o.with_findings AS with_findings,
    o.assurance_best AS assurance_best,
    o.methods AS methods,
    o.role AS observed_role,
    o.department AS observed_department,
    d.role AS role,
    d.department AS department,
    d.groups AS groups,
    o.providers AS providers,
    o.clients AS clients,
    o.keys AS keys,
    o.addresses AS addresses,
    o.data_classes AS data_classes
FROM
(
    SELECT
        assumeNotNull(e.subject_id) AS subject_id,
        ifNull(any(e.subject_kind), '') AS kind,
        toNullable(min(e.ts_received)) AS first_seen,
        toNullable(max(e.ts_received)) AS last_seen,
        count() AS requests,
        countIf(decision != 'allow') AS not_allowed,
        countIf(notEmpty(e.data_classes)) AS with_findings,
        toString(min(e.identity_assurance)) AS assurance_best,
        groupUniqArray(10)(ifNull(e.identity_method, '')) AS methods,
        argMax(e.role, e.ts_received) AS role,
        argMax(e.department, e.ts_received) AS department,
        groupUniqArrayIf(50)(toString(e.provider_id), e.provider_id != '') AS providers,
        groupUniqArrayIf(20)(assumeNotNull(e.agent_id), e.agent_id IS NOT NULL) AS clients,
        uniq(e.key_fp) AS keys,
        uniq(e.src_ip) AS addresses,
        groupUniqArrayArray(50)(e.data_classes) AS data_classes
    FROM events AS e
    WHERE record_type IN ('decision', 'bypass') AND e.subject_id IS NOT NULL
    GROUP BY subject_id
) AS o
FULL JOIN register_subject AS d USING (subject_id)
COMMENT 'Subjects, declared against observed';

ALTER TABLE inventory_subject
    COMMENT COLUMN subject_id 'Keyed pseudonym of the subject',
    COMMENT COLUMN subject_kind 'user, service, device, team, or address',
    COMMENT COLUMN source 'declared, observed or both',
    COMMENT COLUMN first_seen 'First seen; NULL when only declared',
    COMMENT COLUMN last_seen 'Last seen; NULL when only declared',
    COMMENT COLUMN requests 'Decisions and bypasses',
    COMMENT COLUMN not_allowed 'Requests that were not let pass',
    COMMENT COLUMN with_findings 'Requests with findings',
    COMMENT COLUMN assurance_best 'Best assurance with which it was known: verified, mapped, asserted, none',
    COMMENT COLUMN methods 'How it was identified',
    COMMENT COLUMN observed_role 'Role in its last record that has one',
    COMMENT COLUMN observed_department 'Department in its last record that has one',
    COMMENT COLUMN role 'Role, as declared',
    COMMENT COLUMN department 'Department, as declared',
    COMMENT COLUMN groups 'Groups, as declared',
    COMMENT COLUMN providers 'Providers that it asked, at most 50',
    COMMENT COLUMN clients 'Clients that it used, at most 20',
    COMMENT COLUMN keys 'API keys that it used, about',
    COMMENT COLUMN addresses 'Addresses that it came from, about',
    COMMENT COLUMN data_classes 'Data classes that were found in its requests, at most 50';

-- Which roles ask for what, and what they are entitled to.
CREATE VIEW IF NOT EXISTS inventory_role AS
SELECT
    role,
    d.name AS name,
    multiIf(d.digest = '', 'observed', o.requests = 0, 'declared', 'both') AS source,
    o.first_seen AS first_seen,
    o.last_seen AS last_seen,
    o.requests AS requests,
    o.not_allowed AS not_allowed,
    o.subjects AS subjects,
    o.departments AS departments,
    o.providers AS observed_providers,
    o.models AS observed_models,
    o.routes AS observed_routes,
    o.data_classes AS observed_classes,
    if(empty(d.models), [], arrayFilter(m -> m != '' AND NOT arrayExists(p -> m LIKE p, d.models_like), o.models)) AS models_beyond,
    if(empty(d.providers), [], arrayFilter(p -> NOT has(d.providers, p), o.providers)) AS providers_beyond,
    if(empty(d.classes), [], arrayFilter(c -> NOT arrayExists(p -> c LIKE p, d.classes_like), o.data_classes)) AS classes_beyond,
    d.providers AS providers,
    d.models AS models,
    d.routes AS routes,
    d.classes AS classes,
    d.groups AS groups,
    d.reviewer AS reviewer,
    d.reviewed AS reviewed,
    d.review_due AS review_due,
    d.owner AS owner
FROM
(
    SELECT
        ifNull(e.role, '') AS role,
        toNullable(min(e.ts_received)) AS first_seen,
        toNullable(max(e.ts_received)) AS last_seen,
        count() AS requests,
        countIf(decision != 'allow') AS not_allowed,
        uniq(e.subject_id) AS subjects,
        groupUniqArrayIf(50)(assumeNotNull(e.department), e.department IS NOT NULL) AS departments,
        groupUniqArrayIf(100)(toString(e.provider_id), e.provider_id != '') AS providers,
        groupUniqArrayIf(200)(assumeNotNull(e.model_requested), e.model_requested IS NOT NULL) AS models,
        groupUniqArrayIf(100)(assumeNotNull(e.route_id), e.route_id IS NOT NULL) AS routes,
        groupUniqArrayArray(100)(e.data_classes) AS data_classes
    FROM events AS e
    WHERE record_type = 'decision'
    GROUP BY role
) AS o
FULL JOIN register_role AS d USING (role)
COMMENT 'Roles, declared against observed';

ALTER TABLE inventory_role
    COMMENT COLUMN role 'Role; empty for requests of nobody with a role',
    COMMENT COLUMN name 'Name for people',
    COMMENT COLUMN source 'declared, observed or both',
    COMMENT COLUMN first_seen 'First seen; NULL when only declared',
    COMMENT COLUMN last_seen 'Last seen; NULL when only declared',
    COMMENT COLUMN requests 'Requests',
    COMMENT COLUMN not_allowed 'Requests that were not let pass',
    COMMENT COLUMN subjects 'Subjects with this role, about',
    COMMENT COLUMN departments 'Departments of those subjects, at most 50',
    COMMENT COLUMN observed_providers 'Providers that they asked, at most 100',
    COMMENT COLUMN observed_models 'Models that they asked for, at most 200',
    COMMENT COLUMN observed_routes 'Routes that they used, at most 100',
    COMMENT COLUMN observed_classes 'Data classes that were found, at most 100',
    COMMENT COLUMN models_beyond 'Models that they asked for without being entitled',
    COMMENT COLUMN providers_beyond 'Providers that they asked without being entitled',
    COMMENT COLUMN classes_beyond 'Data classes that they sent without being entitled',
    COMMENT COLUMN providers 'Providers that it may use; empty = not said',
    COMMENT COLUMN models 'Models that it may use; empty = not said',
    COMMENT COLUMN routes 'Routes that it may use; empty = not said',
    COMMENT COLUMN classes 'Data classes that it may send; empty = not said',
    COMMENT COLUMN groups 'Groups of the identity provider that have it',
    COMMENT COLUMN reviewer 'Who reviews the entitlement',
    COMMENT COLUMN reviewed 'Day of the last review',
    COMMENT COLUMN review_due 'Day by which it is reviewed again',
    COMMENT COLUMN owner 'Who answers for it, as declared';

-- Programs: the client by its name, else its SDK, else the first word of its User-Agent.
CREATE VIEW IF NOT EXISTS inventory_application AS
SELECT
    app_id,
    d.name AS name,
    if(d.kind IS NOT NULL, d.kind, multiIf(app_id = 'browser', 'browser', app_id IN ('curl', 'aws-cli') OR has(['claude-code', 'codex-cli', 'gemini-cli', 'gemini-code-assist', 'qwen-code', 'github-copilot', 'github-copilot-chat', 'cline', 'roo-code', 'kilo-code', 'kiro', 'amazon-q', 'continue', 'opencode', 'cursor', 'cursor-cli', 'windsurf', 'jetbrains-ai', 'aider', 'zed'], app_id), 'cli', o.sdks != [], 'sdk', NULL)) AS kind,
    multiIf(d.digest = '', 'observed', o.requests = 0, 'declared', 'both') AS source,
    o.first_seen AS first_seen,
    o.last_seen AS last_seen,
    o.requests AS requests,
    o.not_allowed AS not_allowed,
    o.subjects AS subjects,
    o.providers AS providers,
    o.sdks AS sdks,
    o.user_agents AS user_agents,
    o.keys AS keys,
    o.data_classes AS data_classes,
    d.user_agent AS user_agent,
    d.repository AS repository,
    d.environment AS environment,
    d.approved AS approved,
    d.owner AS owner
FROM
(
    SELECT
        multiIf(
            own != '', own,
            e.agent_id IS NOT NULL, e.agent_id,
            e.sdk IS NOT NULL, splitByChar('/', assumeNotNull(e.sdk))[1],
            extract(ifNull(e.user_agent, ''), '^[A-Za-z0-9._-]{1,40}')
        ) AS app_id,
        toNullable(min(e.first_seen)) AS first_seen,
        toNullable(max(e.last_seen)) AS last_seen,
        sum(e.requests) AS requests,
        sum(e.not_allowed) AS not_allowed,
        uniqMerge(e.subjects) AS subjects,
        groupUniqArrayArray(50)(e.providers) AS providers,
        groupUniqArrayIf(20)(assumeNotNull(e.sdk), e.sdk IS NOT NULL) AS sdks,
        groupUniqArrayIf(20)(assumeNotNull(e.user_agent), e.user_agent IS NOT NULL) AS user_agents,
        uniqMerge(e.keys) AS keys,
        groupUniqArrayArray(50)(e.data_classes) AS data_classes
    FROM
    (
        SELECT
            s.agent_id AS agent_id,
            s.sdk AS sdk,
            s.user_agent AS user_agent,
            arrayFirst(
                p -> ifNull(s.user_agent, '') LIKE p.2,
                (SELECT arraySort(p -> -length(p.2), groupArrayIf((r.app_id, ifNull(r.user_agent_like, '')), r.user_agent_like IS NOT NULL)) FROM register_application AS r)
            ).1 AS own,
            min(s.ts_received) AS first_seen,
            max(s.ts_received) AS last_seen,
            count() AS requests,
            countIf(s.decision != 'allow') AS not_allowed,
            uniqState(s.subject_id) AS subjects,
            groupUniqArray(50)(toString(s.provider_id)) AS providers,
            uniqState(s.key_fp) AS keys,
            groupUniqArrayArray(50)(s.data_classes) AS data_classes
        FROM events AS s
        WHERE record_type = 'decision'
        GROUP BY agent_id, sdk, user_agent
    ) AS e
    GROUP BY app_id
) AS o
FULL JOIN register_application AS d USING (app_id)
COMMENT 'Applications and SDKs, declared against observed';

ALTER TABLE inventory_application
    COMMENT COLUMN app_id 'Application: the client''s name, its SDK, or the first word of its User-Agent; empty when nothing is known',
    COMMENT COLUMN name 'Name for people',
    COMMENT COLUMN kind 'What it is',
    COMMENT COLUMN source 'declared, observed or both',
    COMMENT COLUMN first_seen 'First seen; NULL when only declared',
    COMMENT COLUMN last_seen 'Last seen; NULL when only declared',
    COMMENT COLUMN requests 'Requests',
    COMMENT COLUMN not_allowed 'Requests that were not let pass',
    COMMENT COLUMN subjects 'Subjects that used it, about',
    COMMENT COLUMN providers 'Providers that it asked, at most 50',
    COMMENT COLUMN sdks 'SDKs and their versions, at most 20',
    COMMENT COLUMN user_agents 'User-Agent headers, at most 20',
    COMMENT COLUMN keys 'API keys that it used, about',
    COMMENT COLUMN data_classes 'Data classes that were found in its requests, at most 50',
    COMMENT COLUMN user_agent 'User-Agent that it sends, as declared',
    COMMENT COLUMN repository 'Where its source is kept',
    COMMENT COLUMN environment 'Environment',
    COMMENT COLUMN approved 'The organisation has approved it; NULL = not said',
    COMMENT COLUMN owner 'Who answers for it, as declared';

-- Exchanges of agents. Who is behind one is told by the register (its key, its subject), else by the client's name, else by
-- the request itself: a client that offers tools to a model is an agent, known by client and subject.
CREATE VIEW IF NOT EXISTS agent_exchanges AS
SELECT
    multiIf(by_key != '', by_key, by_subject != '', by_subject, has(['claude-code', 'codex-cli', 'gemini-cli', 'gemini-code-assist', 'qwen-code', 'github-copilot', 'github-copilot-chat', 'cline', 'roo-code', 'kilo-code', 'kiro', 'amazon-q', 'continue', 'opencode', 'cursor', 'cursor-cli', 'windsurf', 'jetbrains-ai', 'aider', 'zed'], client), client, concat(if(client = '', 'unknown', client), ' of ', substring(ifNull(x.subject_id, 'nobody'), 1, 8))) AS agent,
    multiIf(by_key != '' OR by_subject != '', 'register', has(['claude-code', 'codex-cli', 'gemini-cli', 'gemini-code-assist', 'qwen-code', 'github-copilot', 'github-copilot-chat', 'cline', 'roo-code', 'kilo-code', 'kiro', 'amazon-q', 'continue', 'opencode', 'cursor', 'cursor-cli', 'windsurf', 'jetbrains-ai', 'aider', 'zed'], client), 'client', 'tools') AS recognised_by,
    x.ts AS ts,
    x.decision_id AS decision_id,
    x.client AS client,
    x.sdk AS sdk,
    x.subject_id AS subject_id,
    x.role AS role,
    x.key_fp AS key_fp,
    x.provider_id AS provider_id,
    x.route_id AS route_id,
    x.model_requested AS model_requested,
    x.conversation_fp AS conversation_fp,
    x.tools_declared AS tools_declared,
    x.hosted_tools AS hosted_tools,
    x.mcp_servers AS mcp_servers,
    x.dangerous_tools AS dangerous_tools,
    x.tool_calls_returned AS tool_calls_returned,
    x.data_classes AS data_classes,
    x.decision AS decision,
    x.upstream_status AS upstream_status
FROM
(
    SELECT
        transform(ifNull(e.key_fp, ''), arrayPushFront((SELECT groupArray(fp) FROM (SELECT agent_id, arrayJoin(key_fps) AS fp FROM register_agent ORDER BY agent_id)), '-'), arrayPushFront((SELECT groupArray(agent_id) FROM (SELECT agent_id, arrayJoin(key_fps) AS fp FROM register_agent ORDER BY agent_id)), ''), '') AS by_key,
        transform(ifNull(e.subject_id, ''), arrayPushFront((SELECT groupArray(s) FROM (SELECT agent_id, arrayJoin(subject_ids) AS s FROM register_agent ORDER BY agent_id)), '-'), arrayPushFront((SELECT groupArray(agent_id) FROM (SELECT agent_id, arrayJoin(subject_ids) AS s FROM register_agent ORDER BY agent_id)), ''), '') AS by_subject,
        ifNull(e.agent_id, '') AS client,
        e.*
    FROM exchanges AS e
    WHERE kind = 'decision' AND provider_id != ''
) AS x
WHERE by_key != '' OR by_subject != '' OR has(['claude-code', 'codex-cli', 'gemini-cli', 'gemini-code-assist', 'qwen-code', 'github-copilot', 'github-copilot-chat', 'cline', 'roo-code', 'kilo-code', 'kiro', 'amazon-q', 'continue', 'opencode', 'cursor', 'cursor-cli', 'windsurf', 'jetbrains-ai', 'aider', 'zed'], client) OR notEmpty(x.tools_declared) OR notEmpty(x.hosted_tools) OR notEmpty(x.mcp_servers)
COMMENT 'Exchanges of agents, with the agent that each is from';

ALTER TABLE agent_exchanges
    COMMENT COLUMN agent 'Agent',
    COMMENT COLUMN recognised_by 'register, client (its name) or tools (it offers some)',
    COMMENT COLUMN ts 'When the request was complete',
    COMMENT COLUMN decision_id 'Id of the exchange (UUIDv7)',
    COMMENT COLUMN client 'The client''s name, where recognised',
    COMMENT COLUMN sdk 'SDK and version, where recognised',
    COMMENT COLUMN subject_id 'Keyed pseudonym of the subject',
    COMMENT COLUMN role 'Role of the subject',
    COMMENT COLUMN key_fp 'Keyed fingerprint of the API key',
    COMMENT COLUMN provider_id 'Provider',
    COMMENT COLUMN route_id 'Route of the API',
    COMMENT COLUMN model_requested 'Model that the request names',
    COMMENT COLUMN conversation_fp 'Keyed fingerprint of the conversation',
    COMMENT COLUMN tools_declared 'Names of the tools that the request offers',
    COMMENT COLUMN hosted_tools 'Tools that run at the provider',
    COMMENT COLUMN mcp_servers 'MCP servers that the provider is asked to call',
    COMMENT COLUMN dangerous_tools 'Declared tools with side effects',
    COMMENT COLUMN tool_calls_returned 'Tools that the answer calls',
    COMMENT COLUMN data_classes 'Data classes found, most severe first',
    COMMENT COLUMN decision 'What happened to the request',
    COMMENT COLUMN upstream_status 'HTTP status of the provider';

-- Agents.
CREATE VIEW IF NOT EXISTS inventory_agent AS
SELECT
    agent_id,
    d.name AS name,
    multiIf(d.digest = '', 'observed', o.requests = 0, 'declared', 'both') AS source,
    if(o.requests = 0, NULL, o.recognised_by) AS recognised_by,
    o.first_seen AS first_seen,
    o.last_seen AS last_seen,
    o.requests AS requests,
    o.not_allowed AS not_allowed,
    l.loops AS tool_loops,
    o.conversations AS conversations,
    o.clients AS clients,
    o.sdks AS sdks,
    o.subjects AS subjects,
    o.subject_count AS subject_count,
    o.keys AS observed_keys,
    o.providers AS observed_providers,
    o.models AS observed_models,
    o.routes AS observed_routes,
    o.tools AS observed_tools,
    o.tool_count AS tool_count,
    o.dangerous AS dangerous_tools,
    o.hosted AS hosted_tools,
    o.servers AS mcp_servers,
    o.calls AS tool_calls,
    o.data_classes AS observed_classes,
    if(empty(d.tools), [], arrayFilter(t -> NOT arrayExists(p -> t LIKE p, d.tools_like), o.tools)) AS tools_beyond,
    if(empty(d.models), [], arrayFilter(m -> NOT arrayExists(p -> m LIKE p, d.models_like), o.models)) AS models_beyond,
    d.framework AS framework,
    d.on_behalf_of AS on_behalf_of,
    d.autonomy AS autonomy,
    d.approval_gate AS approval_gate,
    d.kill_switch AS kill_switch,
    d.purpose AS purpose,
    d.system_id AS system_id,
    d.models AS models,
    d.tools AS tools,
    d.classes AS classes,
    d.registered AS registered,
    d.reviewed AS reviewed,
    d.review_due AS review_due,
    d.owner AS owner
FROM
(
    SELECT
        x.agent AS agent_id,
        any(x.recognised_by) AS recognised_by,
        toNullable(min(x.ts)) AS first_seen,
        toNullable(max(x.ts)) AS last_seen,
        count() AS requests,
        countIf(x.decision != 'allow') AS not_allowed,
        uniq(x.conversation_fp) AS conversations,
        groupUniqArrayIf(20)(x.client, x.client != '') AS clients,
        groupUniqArrayIf(20)(assumeNotNull(x.sdk), x.sdk IS NOT NULL) AS sdks,
        groupUniqArrayIf(20)(assumeNotNull(x.subject_id), x.subject_id IS NOT NULL) AS subjects,
        uniq(x.subject_id) AS subject_count,
        uniq(x.key_fp) AS keys,
        groupUniqArray(50)(toString(x.provider_id)) AS providers,
        groupUniqArrayIf(50)(assumeNotNull(x.model_requested), x.model_requested IS NOT NULL) AS models,
        groupUniqArrayIf(50)(assumeNotNull(x.route_id), x.route_id IS NOT NULL) AS routes,
        groupUniqArrayArray(200)(x.tools_declared) AS tools,
        uniqArray(x.tools_declared) AS tool_count,
        groupUniqArrayArray(50)(x.dangerous_tools) AS dangerous,
        groupUniqArrayArray(50)(x.hosted_tools) AS hosted,
        groupUniqArrayArray(50)(x.mcp_servers) AS servers,
        sum(length(x.tool_calls_returned)) AS calls,
        groupUniqArrayArray(50)(x.data_classes) AS data_classes
    FROM agent_exchanges AS x
    GROUP BY agent_id
) AS o
FULL JOIN register_agent AS d USING (agent_id)
LEFT JOIN
(
    SELECT
        multiIf(by_key != '', by_key, by_subject != '', by_subject, has(['claude-code', 'codex-cli', 'gemini-cli', 'gemini-code-assist', 'qwen-code', 'github-copilot', 'github-copilot-chat', 'cline', 'roo-code', 'kilo-code', 'kiro', 'amazon-q', 'continue', 'opencode', 'cursor', 'cursor-cli', 'windsurf', 'jetbrains-ai', 'aider', 'zed'], client), client, concat(if(client = '', 'unknown', client), ' of ', substring(ifNull(x.subject_id, 'nobody'), 1, 8))) AS agent_id,
        count() AS loops
    FROM
    (
        SELECT
        transform(ifNull(e.key_fp, ''), arrayPushFront((SELECT groupArray(fp) FROM (SELECT agent_id, arrayJoin(key_fps) AS fp FROM register_agent ORDER BY agent_id)), '-'), arrayPushFront((SELECT groupArray(agent_id) FROM (SELECT agent_id, arrayJoin(key_fps) AS fp FROM register_agent ORDER BY agent_id)), ''), '') AS by_key,
        transform(ifNull(e.subject_id, ''), arrayPushFront((SELECT groupArray(s) FROM (SELECT agent_id, arrayJoin(subject_ids) AS s FROM register_agent ORDER BY agent_id)), '-'), arrayPushFront((SELECT groupArray(agent_id) FROM (SELECT agent_id, arrayJoin(subject_ids) AS s FROM register_agent ORDER BY agent_id)), ''), '') AS by_subject,
        ifNull(e.agent_id, '') AS client,
            e.subject_id AS subject_id
        FROM events AS e
        WHERE record_type = 'decision' AND provider_id != '' AND arrayExists(p -> p.role = 'tool_result', e.parts)
    ) AS x
    GROUP BY agent_id
) AS l USING (agent_id)
COMMENT 'Agents, declared against observed';

ALTER TABLE inventory_agent
    COMMENT COLUMN agent_id 'Agent: of the register, the client''s name, or client and subject',
    COMMENT COLUMN name 'Name for people',
    COMMENT COLUMN source 'declared, observed or both',
    COMMENT COLUMN recognised_by 'register, client (its name) or tools (it offers some)',
    COMMENT COLUMN first_seen 'First seen; NULL when only declared',
    COMMENT COLUMN last_seen 'Last seen; NULL when only declared',
    COMMENT COLUMN requests 'Requests',
    COMMENT COLUMN not_allowed 'Requests that were not let pass',
    COMMENT COLUMN tool_loops 'Requests that bring the result of a tool back to the model',
    COMMENT COLUMN conversations 'Conversations, about',
    COMMENT COLUMN clients 'Clients that it runs in, at most 20',
    COMMENT COLUMN sdks 'SDKs and their versions, at most 20',
    COMMENT COLUMN subjects 'Subjects that it asked as, at most 20',
    COMMENT COLUMN subject_count 'Subjects that it asked as, about',
    COMMENT COLUMN observed_keys 'API keys that it used, about',
    COMMENT COLUMN observed_providers 'Providers that it asked, at most 50',
    COMMENT COLUMN observed_models 'Models that it asked for, at most 50',
    COMMENT COLUMN observed_routes 'Routes that it used, at most 50',
    COMMENT COLUMN observed_tools 'Tools that it offered, at most 200',
    COMMENT COLUMN tool_count 'Tools that it offered, about',
    COMMENT COLUMN dangerous_tools 'Tools with side effects that it offered',
    COMMENT COLUMN hosted_tools 'Tools at the provider that it asked for',
    COMMENT COLUMN mcp_servers 'MCP servers that it asked the provider to call',
    COMMENT COLUMN tool_calls 'Calls in answers to it',
    COMMENT COLUMN observed_classes 'Data classes that were found in its requests, at most 50',
    COMMENT COLUMN tools_beyond 'Tools that it offered without being registered for them',
    COMMENT COLUMN models_beyond 'Models that it asked for without being registered for them',
    COMMENT COLUMN framework 'What it is built with',
    COMMENT COLUMN on_behalf_of 'For whom it acts',
    COMMENT COLUMN autonomy 'How far it acts by itself',
    COMMENT COLUMN approval_gate 'A person approves before a tool with side effects runs; NULL = not said',
    COMMENT COLUMN kill_switch 'How it is stopped',
    COMMENT COLUMN purpose 'What it is for',
    COMMENT COLUMN system_id 'System that it belongs to',
    COMMENT COLUMN models 'Models that it may use',
    COMMENT COLUMN tools 'Tools that it may declare; empty = not said',
    COMMENT COLUMN classes 'Data classes that it may send; empty = not said',
    COMMENT COLUMN registered 'Day on which it was entered; NULL = it was not',
    COMMENT COLUMN reviewed 'Day of the last review',
    COMMENT COLUMN review_due 'Day by which it is reviewed again',
    COMMENT COLUMN owner 'Who answers for it, as declared';

-- Tools: offered by requests, called by answers. What a tool can do is declared; `dangerous` is what its name says.
CREATE VIEW IF NOT EXISTS inventory_tool AS
SELECT
    if(o.tool = '', d.tool, o.tool) AS tool,
    multiIf(d.digest = '', 'observed', o.tool = '', 'declared', 'both') AS source,
    if(d.kind IS NOT NULL, d.kind, if(o.tool = '', NULL, o.kind)) AS kind,
    o.first_seen AS first_seen,
    o.last_seen AS last_seen,
    o.declared AS declared,
    o.denied AS denied,
    o.called AS called,
    o.agents AS agents,
    o.subjects AS subjects,
    o.providers AS providers,
    o.data_classes AS observed_classes,
    toBool(o.dangerous) AS dangerous,
    d.tool AS declared_as,
    d.side_effect AS side_effect,
    d.reach AS reach,
    d.server AS server,
    d.untrusted_input AS untrusted_input,
    d.sensitive_data AS sensitive_data,
    d.classes AS classes,
    d.schema_hash AS schema_hash,
    d.approved AS approved,
    d.approved_by AS approved_by,
    d.approved_until AS approved_until,
    d.owner AS owner
FROM
(
    SELECT
        u.*,
        arrayFirst(
            p -> u.tool LIKE p.2,
            (SELECT arraySort(p -> (p.1 != p.2, -length(p.1)), groupArray((r.tool, r.tool_like))) FROM register_tool AS r)
        ).1 AS as_tool
    FROM
    (
        SELECT
            t.1 AS tool,
            max(t.2) AS kind,
            toNullable(min(x.first_seen)) AS first_seen,
            toNullable(max(x.last_seen)) AS last_seen,
            sumIf(x.requests, t.3 = 'declared') AS declared,
            sumIf(x.not_allowed, t.3 = 'declared') AS denied,
            sumIf(x.requests, t.3 = 'called') AS called,
            groupUniqArray(50)(x.agent) AS agents,
            uniqMerge(x.subjects) AS subjects,
            groupUniqArray(50)(toString(x.provider_id)) AS providers,
            groupUniqArrayArrayIf(50)(x.data_classes, t.3 = 'declared') AS data_classes,
            max(has(x.dangerous_tools, t.1)) AS dangerous
        FROM
        (
            SELECT
                a.agent AS agent,
                a.provider_id AS provider_id,
                a.tools_declared AS tools_declared,
                a.hosted_tools AS hosted_tools,
                a.tool_calls_returned AS tool_calls_returned,
                a.dangerous_tools AS dangerous_tools,
                min(a.ts) AS first_seen,
                max(a.ts) AS last_seen,
                count() AS requests,
                countIf(a.decision != 'allow') AS not_allowed,
                uniqState(a.subject_id) AS subjects,
                groupUniqArrayArray(50)(a.data_classes) AS data_classes
            FROM agent_exchanges AS a
            GROUP BY agent, provider_id, tools_declared, hosted_tools, tool_calls_returned, dangerous_tools
        ) AS x
        ARRAY JOIN
            arrayConcat(
                arrayMap(t -> (t, if(startsWith(t, 'mcp:'), 'mcp', 'function'), 'declared'), arrayFilter(t -> NOT has(x.hosted_tools, t), x.tools_declared)),
                arrayMap(t -> (t, 'hosted', 'declared'), x.hosted_tools),
                arrayMap(t -> (t, '', 'called'), x.tool_calls_returned)
            ) AS t
        GROUP BY tool
    ) AS u
) AS o
FULL JOIN register_tool AS d ON o.as_tool = d.tool
COMMENT 'Tools, declared against observed';

ALTER TABLE inventory_tool
    COMMENT COLUMN tool 'Tool, as requests and answers name it',
    COMMENT COLUMN source 'declared, observed or both',
    COMMENT COLUMN kind 'function, hosted, mcp or connector',
    COMMENT COLUMN first_seen 'First seen; NULL when only declared',
    COMMENT COLUMN last_seen 'Last seen; NULL when only declared',
    COMMENT COLUMN declared 'Requests that offer it',
    COMMENT COLUMN denied 'Of those, not let pass',
    COMMENT COLUMN called 'Answers that call it, each call counted',
    COMMENT COLUMN agents 'Agents that offer it or got a call of it, at most 50',
    COMMENT COLUMN subjects 'Subjects that offer it, about',
    COMMENT COLUMN providers 'Providers that it was offered to, at most 50',
    COMMENT COLUMN observed_classes 'Data classes in requests that offer it, at most 50',
    COMMENT COLUMN dangerous 'Its name is one of tools with side effects',
    COMMENT COLUMN declared_as 'Row of the register that fits; empty when none does',
    COMMENT COLUMN side_effect 'The gravest thing that it can do, as declared',
    COMMENT COLUMN reach 'Whether it reaches out of the organisation',
    COMMENT COLUMN server 'MCP server that it belongs to',
    COMMENT COLUMN untrusted_input 'What it returns may be written by strangers',
    COMMENT COLUMN sensitive_data 'What it returns may be sensitive',
    COMMENT COLUMN classes 'Data classes that it may carry',
    COMMENT COLUMN schema_hash 'Hash of its definition when it was approved',
    COMMENT COLUMN approved 'The organisation has approved it; NULL = not said',
    COMMENT COLUMN approved_by 'Who approved it',
    COMMENT COLUMN approved_until 'Day on which the approval ends',
    COMMENT COLUMN owner 'Who answers for it, as declared';

-- MCP servers that providers are asked to call. Records have label, scheme and host, whether calls wait for approval, and
-- whether a credential travels; the rest is declared.
CREATE VIEW IF NOT EXISTS inventory_mcp_server AS
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

-- Which agent has which tool, and used it.
CREATE VIEW IF NOT EXISTS inventory_agent_tool AS
SELECT
    agent_id,
    tool,
    multiIf(d.digest = '', 'observed', ifNull(o.declared + o.called, 0) = 0, 'declared', 'both') AS source,
    o.first_seen AS first_seen,
    o.last_seen AS last_seen,
    o.declared AS declared,
    o.denied AS denied,
    o.called AS called,
    o.data_classes AS last_classes,
    toBool(o.dangerous) AS dangerous,
    d.approved_by AS approved_by,
    d.approved_until AS approved_until,
    multiIf(d.digest != '', 'tool', arrayExists(p -> tool LIKE p, a.tools_like), 'agent', NULL) AS approved_in
FROM
(
    SELECT
        x.agent AS agent_id,
        t.1 AS tool,
        toNullable(min(x.first_seen)) AS first_seen,
        toNullable(max(x.last_seen)) AS last_seen,
        sumIf(x.requests, t.3 = 'declared') AS declared,
        sumIf(x.not_allowed, t.3 = 'declared') AS denied,
        sumIf(x.requests, t.3 = 'called') AS called,
        argMaxIf(x.data_classes, x.last_found, notEmpty(x.data_classes)) AS data_classes,
        max(has(x.dangerous_tools, t.1)) AS dangerous
    FROM
    (
        SELECT
            a.agent AS agent,
            a.tools_declared AS tools_declared,
            a.hosted_tools AS hosted_tools,
            a.tool_calls_returned AS tool_calls_returned,
            a.dangerous_tools AS dangerous_tools,
            min(a.ts) AS first_seen,
            max(a.ts) AS last_seen,
            count() AS requests,
            countIf(a.decision != 'allow') AS not_allowed,
            argMaxIf(a.data_classes, a.ts, notEmpty(a.data_classes)) AS data_classes,
            maxIf(a.ts, notEmpty(a.data_classes)) AS last_found
        FROM agent_exchanges AS a
        GROUP BY agent, tools_declared, hosted_tools, tool_calls_returned, dangerous_tools
    ) AS x
    ARRAY JOIN
        arrayConcat(
            arrayMap(t -> (t, if(startsWith(t, 'mcp:'), 'mcp', 'function'), 'declared'), arrayFilter(t -> NOT has(x.hosted_tools, t), x.tools_declared)),
            arrayMap(t -> (t, 'hosted', 'declared'), x.hosted_tools),
            arrayMap(t -> (t, '', 'called'), x.tool_calls_returned)
        ) AS t
    GROUP BY agent_id, tool
) AS o
FULL JOIN register_agent_tool AS d USING (agent_id, tool)
LEFT JOIN register_agent AS a USING (agent_id)
COMMENT 'Agents and their tools, declared against observed';

ALTER TABLE inventory_agent_tool
    COMMENT COLUMN agent_id 'Agent',
    COMMENT COLUMN tool 'Tool',
    COMMENT COLUMN source 'declared, observed or both',
    COMMENT COLUMN first_seen 'First seen; NULL when only declared',
    COMMENT COLUMN last_seen 'Last seen; NULL when only declared',
    COMMENT COLUMN declared 'Requests in which it offers it',
    COMMENT COLUMN denied 'Of those, not let pass',
    COMMENT COLUMN called 'Calls in answers to it',
    COMMENT COLUMN last_classes 'Data classes in its last request with this tool that had any',
    COMMENT COLUMN dangerous 'The tool''s name is one of those with side effects',
    COMMENT COLUMN approved_by 'Who gave the agent this tool',
    COMMENT COLUMN approved_until 'Day on which that ends',
    COMMENT COLUMN approved_in 'Where it is declared: tool (a row of its own), agent (the agent''s list); NULL = nowhere';

-- API keys: corporate or personal by the register, else by the organisation that the answers name. A key that answers with
-- success works; found inside a prompt as well, it is live there.
CREATE VIEW IF NOT EXISTS inventory_key AS
SELECT
    key_fp,
    multiIf(d.digest = '', 'observed', o.requests = 0, 'declared', 'both') AS source,
    o.kind AS key_kind,
    h.hint AS key_hint,
    o.providers AS providers,
    multiIf(d.digest != '', d.ownership, ifNull(o.after, '') NOT IN ('', 'unknown'), o.after, ifNull(o.before, '') NOT IN ('', 'unknown'), o.before, 'unknown') AS ownership,
    multiIf(d.digest != '', 'register', ifNull(o.after, '') NOT IN ('', 'unknown'), 'answer', ifNull(o.before, '') NOT IN ('', 'unknown'), 'decision', 'none') AS ownership_by,
    o.organisations AS organisations,
    o.first_seen AS first_seen,
    o.last_seen AS last_seen,
    o.requests AS requests,
    o.not_allowed AS not_allowed,
    toBool(o.answered > 0) AS works,
    o.refused AS refused_by_provider,
    o.subject_count AS subject_count,
    o.subjects AS subjects,
    o.addresses AS addresses,
    o.clients AS clients,
    f.found AS found_in_prompts,
    toBool(f.found > 0 AND o.answered > 0) AS live_in_prompts,
    d.owner_subject_id AS owner_subject_id,
    d.provider_id AS provider_id,
    d.scope AS scope,
    d.vault AS vault,
    d.created AS created,
    d.rotated AS rotated,
    d.expires AS expires,
    d.shared AS shared,
    d.notes AS notes
FROM
(
    SELECT
        assumeNotNull(e.key_fp) AS key_fp,
        any(e.key_kind) AS kind,
        groupUniqArray(20)(toString(e.provider_id)) AS providers,
        argMaxIf(e.key_ownership_after, e.ts, e.key_ownership_after IS NOT NULL) AS after,
        argMaxIf(e.key_ownership_at_decision, e.ts, e.key_ownership_at_decision IS NOT NULL) AS before,
        groupUniqArrayIf(20)(assumeNotNull(e.org_id_seen), e.org_id_seen IS NOT NULL) AS organisations,
        toNullable(min(e.ts)) AS first_seen,
        toNullable(max(e.ts)) AS last_seen,
        count() AS requests,
        countIf(decision != 'allow') AS not_allowed,
        countIf(upstream_status BETWEEN 200 AND 299) AS answered,
        countIf(upstream_status IN (401, 403)) AS refused,
        uniq(e.subject_id) AS subject_count,
        groupUniqArrayIf(20)(assumeNotNull(e.subject_id), e.subject_id IS NOT NULL) AS subjects,
        uniq(e.src_ip) AS addresses,
        groupUniqArrayIf(20)(assumeNotNull(e.agent_id), e.agent_id IS NOT NULL) AS clients
    FROM exchanges AS e
    WHERE e.key_fp IS NOT NULL
    GROUP BY key_fp
) AS o
FULL JOIN register_key AS d USING (key_fp)
LEFT JOIN
(
    SELECT
        assumeNotNull(e.key_fp) AS key_fp,
        any(e.key_hint) AS hint
    FROM events AS e
    WHERE record_type = 'decision' AND e.key_fp IS NOT NULL
    GROUP BY key_fp
) AS h USING (key_fp)
LEFT JOIN
(
    SELECT
        m.fingerprint AS key_fp,
        count() AS found
    FROM events AS e
    ARRAY JOIN e.matches AS m
    WHERE record_type IN ('decision', 'ws_message') AND startsWith(m.data_class, 'secret.') AND NOT m.example
    GROUP BY key_fp
) AS f USING (key_fp)
COMMENT 'API keys by fingerprint, declared against observed';

ALTER TABLE inventory_key
    COMMENT COLUMN key_fp 'Keyed fingerprint of the API key',
    COMMENT COLUMN source 'declared, observed or both',
    COMMENT COLUMN key_kind 'Kind of API key',
    COMMENT COLUMN key_hint 'Hint at the API key, for the person who holds it',
    COMMENT COLUMN providers 'Providers that it was used at',
    COMMENT COLUMN ownership 'corporate, personal or unknown',
    COMMENT COLUMN ownership_by 'Who says so: register, answer (the organisation that it names), decision (known from earlier answers), none',
    COMMENT COLUMN organisations 'Organisations that answers to it name, at most 20',
    COMMENT COLUMN first_seen 'First seen; NULL when only declared',
    COMMENT COLUMN last_seen 'Last seen; NULL when only declared',
    COMMENT COLUMN requests 'Requests',
    COMMENT COLUMN not_allowed 'Requests that were not let pass',
    COMMENT COLUMN works 'A provider has answered it with success',
    COMMENT COLUMN refused_by_provider 'Answers 401 and 403',
    COMMENT COLUMN subject_count 'Subjects that used it, about',
    COMMENT COLUMN subjects 'Subjects that used it, at most 20',
    COMMENT COLUMN addresses 'Addresses that it was used from, about',
    COMMENT COLUMN clients 'Clients that used it, at most 20',
    COMMENT COLUMN found_in_prompts 'Findings of this key inside prompts',
    COMMENT COLUMN live_in_prompts 'It was found inside a prompt, and works',
    COMMENT COLUMN owner_subject_id 'Keyed pseudonym of the subject whose key it is, as declared',
    COMMENT COLUMN provider_id 'Provider that it is for, as declared',
    COMMENT COLUMN scope 'What it may do at the provider',
    COMMENT COLUMN vault 'Where the key itself is kept',
    COMMENT COLUMN created 'Day on which the key was made',
    COMMENT COLUMN rotated 'Day on which it last changed',
    COMMENT COLUMN expires 'Last day on which the row of the register holds',
    COMMENT COLUMN shared 'Several subjects may use it',
    COMMENT COLUMN notes 'Notes';

-- What is found, and where it goes. Samples and what the site has suppressed do not count.
CREATE VIEW IF NOT EXISTS inventory_data_class AS
SELECT
    data_class,
    splitByChar('.', data_class)[1] AS family,
    d.title AS title,
    d.regulations AS regulations,
    multiIf(d.digest = '', 'observed', o.requests = 0, 'declared', 'both') AS source,
    o.first_seen AS first_seen,
    o.last_seen AS last_seen,
    o.requests AS requests,
    o.allowed AS allowed,
    o.findings AS findings,
    o.occurrences AS occurrences,
    o.severity AS severity,
    o.subjects AS subjects,
    o.providers AS providers,
    o.models AS models,
    o.detectors AS detectors,
    o.suppressed AS suppressed,
    r.detectors AS detectors_in_force
FROM
(
    SELECT
        toString(m.data_class) AS data_class,
        toNullable(min(e.ts_received)) AS first_seen,
        toNullable(max(e.ts_received)) AS last_seen,
        uniqIf(decision_id, m.suppressed IS NULL) AS requests,
        uniqIf(decision_id, m.suppressed IS NULL AND decision = 'allow') AS allowed,
        countIf(m.suppressed IS NULL) AS findings,
        sumIf(m.count, m.suppressed IS NULL) AS occurrences,
        toString(max(m.severity)) AS severity,
        uniq(e.subject_id) AS subjects,
        groupUniqArray(50)(toString(e.provider_id)) AS providers,
        groupUniqArrayIf(50)(assumeNotNull(e.model_requested), e.model_requested IS NOT NULL) AS models,
        groupUniqArray(50)(toString(m.detector)) AS detectors,
        countIf(m.suppressed IS NOT NULL) AS suppressed
    FROM events AS e
    ARRAY JOIN e.matches AS m
    WHERE record_type IN ('decision', 'bypass', 'ws_message') AND NOT m.example
    GROUP BY data_class
) AS o
FULL JOIN register_data_class AS d USING (data_class)
LEFT JOIN (SELECT data_class, count() AS detectors FROM register_detector GROUP BY data_class) AS r USING (data_class)
COMMENT 'Data classes, declared against observed';

ALTER TABLE inventory_data_class
    COMMENT COLUMN data_class 'Data class',
    COMMENT COLUMN family 'secret, pii, financial ...',
    COMMENT COLUMN title 'What it is',
    COMMENT COLUMN regulations 'Regulations that its detectors name',
    COMMENT COLUMN source 'declared, observed or both',
    COMMENT COLUMN first_seen 'First seen; NULL when only declared',
    COMMENT COLUMN last_seen 'Last seen; NULL when only declared',
    COMMENT COLUMN requests 'Requests in which it was found, about',
    COMMENT COLUMN allowed 'Of those, let pass, about',
    COMMENT COLUMN findings 'Findings, by detector and value',
    COMMENT COLUMN occurrences 'How often the values occur',
    COMMENT COLUMN severity 'Gravest severity of a finding',
    COMMENT COLUMN subjects 'Subjects that sent it, about',
    COMMENT COLUMN providers 'Providers that it was sent to, at most 50',
    COMMENT COLUMN models 'Models that it was sent to, at most 50',
    COMMENT COLUMN detectors 'Detectors that found it, at most 50',
    COMMENT COLUMN suppressed 'Findings that the site has judged to be none',
    COMMENT COLUMN detectors_in_force 'Detectors that can find it';

-- What finds, and how often.
CREATE VIEW IF NOT EXISTS inventory_detector AS
SELECT
    detector,
    if(d.digest = '', o.data_class, d.data_class) AS data_class,
    d.title AS title,
    d.severity AS severity,
    d.status AS status,
    d.family AS family,
    d.validators AS validators,
    d.rev AS rev,
    o.revs AS observed_revs,
    multiIf(d.digest = '', 'observed', o.findings + o.examples = 0, 'declared', 'both') AS source,
    o.first_seen AS first_seen,
    o.last_seen AS last_seen,
    o.findings AS findings,
    o.requests AS requests,
    o.validated AS validated,
    o.examples AS examples,
    o.suppressed AS suppressed,
    o.blocked AS blocked,
    o.fingerprints AS fingerprints
FROM
(
    SELECT
        toString(m.detector) AS detector,
        any(toString(m.data_class)) AS data_class,
        groupUniqArray(10)(m.rev) AS revs,
        toNullable(min(e.ts_received)) AS first_seen,
        toNullable(max(e.ts_received)) AS last_seen,
        countIf(NOT m.example AND m.suppressed IS NULL) AS findings,
        uniqIf(decision_id, NOT m.example AND m.suppressed IS NULL) AS requests,
        countIf(m.validated = true) AS validated,
        countIf(m.example) AS examples,
        countIf(m.suppressed IS NOT NULL) AS suppressed,
        countIf(decision != 'allow') AS blocked,
        uniq(m.fingerprint) AS fingerprints
    FROM events AS e
    ARRAY JOIN e.matches AS m
    WHERE record_type IN ('decision', 'bypass', 'ws_message')
    GROUP BY detector
) AS o
FULL JOIN register_detector AS d USING (detector)
COMMENT 'Detectors, declared against observed';

ALTER TABLE inventory_detector
    COMMENT COLUMN detector 'Detector',
    COMMENT COLUMN data_class 'Data class',
    COMMENT COLUMN title 'What it finds',
    COMMENT COLUMN severity 'Severity of its findings; empty when it is not in force',
    COMMENT COLUMN status 'stable, or test while on trial; empty when it is not in force',
    COMMENT COLUMN family 'Pack',
    COMMENT COLUMN validators 'What a value must pass',
    COMMENT COLUMN rev 'Revision in force',
    COMMENT COLUMN observed_revs 'Revisions in the records',
    COMMENT COLUMN source 'declared, observed or both',
    COMMENT COLUMN first_seen 'First seen; NULL when only declared',
    COMMENT COLUMN last_seen 'Last seen; NULL when only declared',
    COMMENT COLUMN findings 'Findings, samples and suppressed ones left out',
    COMMENT COLUMN requests 'Requests with such findings, about',
    COMMENT COLUMN validated 'Findings whose validator held',
    COMMENT COLUMN examples 'Documented samples and placeholders',
    COMMENT COLUMN suppressed 'Findings that the site has judged to be none',
    COMMENT COLUMN blocked 'Findings in requests that were not let pass',
    COMMENT COLUMN fingerprints 'Different values, about';

-- Rules: those that decided, by version of the policy, and those that are in force.
CREATE VIEW IF NOT EXISTS inventory_policy AS
SELECT
    policy_id,
    policy_version,
    rule_id,
    d.what AS what,
    d.title AS title,
    d.action AS action,
    multiIf(d.digest = '', 'observed', o.decisions = 0, 'declared', 'both') AS source,
    toBool(d.digest != '') AS in_force,
    o.first_seen AS first_seen,
    o.last_seen AS last_seen,
    o.decisions AS decisions,
    o.allowed AS allowed,
    o.blocked AS blocked,
    o.refused AS refused,
    o.observed_only AS observed_only,
    o.would_block AS would_block,
    o.modes AS modes,
    o.hashes AS hashes,
    d.policy_sha256 AS policy_sha256,
    d.place AS place,
    d.conditions AS conditions,
    d.exceptions AS exceptions,
    d.observe_until AS observe_until,
    d.until AS until,
    d.valid_to AS valid_to
FROM
(
    SELECT
        ifNull(e.policy_id, '') AS policy_id,
        ifNull(e.policy_version, '') AS policy_version,
        ifNull(e.rule_id, '') AS rule_id,
        toNullable(min(e.ts_received)) AS first_seen,
        toNullable(max(e.ts_received)) AS last_seen,
        count() AS decisions,
        countIf(decision = 'allow') AS allowed,
        countIf(decision = 'block') AS blocked,
        countIf(decision = 'refuse') AS refused,
        countIf(policy_mode = 'observe') AS observed_only,
        countIf(would_decide IS NOT NULL AND would_decide != 'allow') AS would_block,
        groupUniqArray(5)(toString(e.policy_mode)) AS modes,
        groupUniqArray(20)(ifNull(e.policy_sha256, '')) AS hashes
    FROM events AS e
    WHERE record_type IN ('decision', 'bypass', 'ws_message')
    GROUP BY policy_id, policy_version, rule_id
) AS o
FULL JOIN register_policy AS d USING (policy_id, policy_version, rule_id)
COMMENT 'Policies and their rules, declared against observed';

ALTER TABLE inventory_policy
    COMMENT COLUMN policy_id 'Policy; empty for what no policy decided',
    COMMENT COLUMN policy_version 'Version of the policy',
    COMMENT COLUMN rule_id 'Rule that decided, or is in force',
    COMMENT COLUMN what 'rule, default, failure or failure_rule; empty when it is not in force',
    COMMENT COLUMN title 'Title',
    COMMENT COLUMN action 'allow, block or refuse; empty when it is not in force',
    COMMENT COLUMN source 'declared, observed or both',
    COMMENT COLUMN in_force 'It is in the policy that is loaded now',
    COMMENT COLUMN first_seen 'First seen; NULL when only declared',
    COMMENT COLUMN last_seen 'Last seen; NULL when only declared',
    COMMENT COLUMN decisions 'Decisions',
    COMMENT COLUMN allowed 'Of those, allowed',
    COMMENT COLUMN blocked 'Of those, blocked',
    COMMENT COLUMN refused 'Of those, refused',
    COMMENT COLUMN observed_only 'Of those, made while the policy only observed',
    COMMENT COLUMN would_block 'Observe mode: requests that enforcement had not let pass',
    COMMENT COLUMN modes 'Modes in which it decided',
    COMMENT COLUMN hashes 'Hashes of the policy file under this version',
    COMMENT COLUMN policy_sha256 'Hash of the policy file in force; empty when it is not',
    COMMENT COLUMN place 'Place in the order, from 1',
    COMMENT COLUMN conditions 'What it asks, as JSON',
    COMMENT COLUMN exceptions 'What it leaves alone, as JSON',
    COMMENT COLUMN observe_until 'Last day of observing',
    COMMENT COLUMN until 'Last day of an exception',
    COMMENT COLUMN valid_to 'Last day of the policy';

-- What somebody has accepted: exceptions of the register, to the failure table, and suppressed findings; and their use.
CREATE VIEW IF NOT EXISTS inventory_exception AS
SELECT
    exception_id,
    max(x.what) AS what,
    multiIf(max(x.declared) AND max(x.used) > 0, 'both', max(x.declared), 'declared', 'observed') AS source,
    max(x.expires) AS expires,
    toBool(max(x.declared) AND ifNull(max(x.expires) < today(), false)) AS expired,
    min(x.first_seen) AS first_seen,
    max(x.last_seen) AS last_seen,
    max(x.used) AS used,
    toBool(max(x.counted)) AS counted,
    max(x.provider_id) AS provider_id,
    max(x.scope) AS scope,
    max(x.reason) AS reason,
    max(x.control) AS control,
    max(x.granted) AS granted,
    max(x.granted_by) AS granted_by,
    max(x.approved_by) AS approved_by,
    max(x.owner) AS owner
FROM
(
    SELECT
        r.exception_id AS exception_id,
        'exception' AS what,
        true AS declared,
        r.expires AS expires,
        CAST(NULL, 'Nullable(DateTime64(6, \'UTC\'))') AS first_seen,
        CAST(NULL, 'Nullable(DateTime64(6, \'UTC\'))') AS last_seen,
        toUInt64(0) AS used,
        false AS counted,
        r.provider_id AS provider_id,
        arrayStringConcat(arrayFilter(s -> s != '', [ifNull(concat('finding ', r.finding), ''), ifNull(concat('model ', r.model), ''), ifNull(concat('route ', r.route), ''), ifNull(concat('subject ', r.subject_id), ''), ifNull(concat('key ', r.key_fp), ''), ifNull(concat('agent ', r.agent_id), ''), ifNull(concat('tool ', r.tool), ''), ifNull(concat('rule ', r.rule), '')]), ', ') AS scope,
        r.reason AS reason,
        r.control AS control,
        r.granted AS granted,
        r.granted_by AS granted_by,
        r.approved_by AS approved_by,
        r.owner AS owner
    FROM register_exception AS r
    UNION ALL
    SELECT s.suppression_id, 'suppression', true, s.expires, NULL, NULL, 0, true, s.provider_id,
        arrayStringConcat(arrayFilter(t -> t != '', [ifNull(concat('detector ', s.detector), ''), ifNull(concat('class ', s.data_class), ''), ifNull(concat('route ', s.route_id), ''), ifNull(concat('subject ', s.subject_id), ''), ifNull(concat('value ', s.fingerprint), '')]), ', '),
        s.reason, NULL, NULL, NULL, NULL, s.owner
    FROM register_suppression AS s
    UNION ALL
    SELECT p.rule_id, 'failure_rule', true, p.until, NULL, NULL, 0, true, NULL, p.conditions, p.title, NULL, NULL, NULL, NULL, NULL
    FROM register_policy AS p
    WHERE p.what = 'failure_rule'
    UNION ALL
    SELECT assumeNotNull(e.exception_id), 'failure_rule', false, NULL, min(e.ts_received), max(e.ts_received), count(), true, NULL, '', NULL, NULL, NULL, NULL, NULL, NULL
    FROM events AS e
    WHERE record_type IN ('decision', 'bypass') AND e.exception_id IS NOT NULL
    GROUP BY e.exception_id
    UNION ALL
    SELECT assumeNotNull(m.suppressed), 'suppression', false, NULL, min(e.ts_received), max(e.ts_received), count(), true, NULL, '', NULL, NULL, NULL, NULL, NULL, NULL
    FROM events AS e
    ARRAY JOIN e.matches AS m
    WHERE record_type IN ('decision', 'bypass', 'ws_message') AND m.suppressed IS NOT NULL
    GROUP BY m.suppressed
) AS x
GROUP BY exception_id
COMMENT 'Exceptions, declared against observed';

ALTER TABLE inventory_exception
    COMMENT COLUMN exception_id 'Exception, failure rule or suppression',
    COMMENT COLUMN what 'exception (of the register), failure_rule (of the policy) or suppression',
    COMMENT COLUMN source 'declared, observed or both',
    COMMENT COLUMN expires 'Last day; NULL = without end',
    COMMENT COLUMN expired 'It is declared, and its last day has passed',
    COMMENT COLUMN first_seen 'First used',
    COMMENT COLUMN last_seen 'Last used',
    COMMENT COLUMN used 'Requests or findings that it let pass',
    COMMENT COLUMN counted 'Its use can be counted; false for exceptions of the register, which the gate does not know',
    COMMENT COLUMN provider_id 'Provider that it is for',
    COMMENT COLUMN scope 'What else it is for',
    COMMENT COLUMN reason 'Why',
    COMMENT COLUMN control 'What makes up for it',
    COMMENT COLUMN granted 'Day on which it was granted',
    COMMENT COLUMN granted_by 'Who granted it',
    COMMENT COLUMN approved_by 'Who approved it, another person',
    COMMENT COLUMN owner 'Who answers for it, as declared';

-- Nodes, and what each of them decides by.
CREATE VIEW IF NOT EXISTS inventory_node AS
SELECT
    node_id,
    'observed' AS source,
    min(e.ts_received) AS first_seen,
    max(e.ts_received) AS last_seen,
    count() AS records,
    countIf(record_type = 'decision') AS decisions,
    uniq(e.chain_id) AS streams,
    max(e.epoch) AS epoch,
    maxOrNullIf(e.ts_received, control_kind = 'start') AS started,
    countIf(control_kind = 'start') AS starts,
    countIf(control_kind IN ('recovered', 'damage')) AS recoveries,
    argMaxIf(e.policy_id, e.ts_received, e.policy_id IS NOT NULL) AS policy_id,
    argMaxIf(e.policy_version, e.ts_received, e.policy_version IS NOT NULL) AS policy_version,
    argMaxIf(e.policy_sha256, e.ts_received, e.policy_sha256 IS NOT NULL) AS policy_sha256,
    argMaxIf(e.detector_pack_version, e.ts_received, e.detector_pack_version IS NOT NULL) AS detector_pack_version,
    argMaxIf(e.engine_versions, e.ts_received, e.engine_versions IS NOT NULL) AS engine_versions,
    argMaxIf(e.rulebook_digest, e.ts_received, e.rulebook_digest IS NOT NULL) AS rulebook_digest,
    argMaxIf(e.hmac_key_id, e.ts_received, e.hmac_key_id IS NOT NULL) AS hmac_key_id,
    argMaxIf(e.clock_offset_ms, e.ts_received, e.clock_offset_ms IS NOT NULL) AS clock_offset_ms,
    argMaxIf(e.clock_source, e.ts_received, e.clock_source IS NOT NULL) AS clock_source
FROM events AS e
GROUP BY node_id
COMMENT 'Nodes of the appliance, as observed';

ALTER TABLE inventory_node
    COMMENT COLUMN node_id 'Node that wrote the records',
    COMMENT COLUMN source 'declared, observed or both',
    COMMENT COLUMN first_seen 'First record',
    COMMENT COLUMN last_seen 'Last record',
    COMMENT COLUMN records 'Records',
    COMMENT COLUMN decisions 'Decisions',
    COMMENT COLUMN streams 'Streams, about',
    COMMENT COLUMN epoch 'Most openings of one stream',
    COMMENT COLUMN started 'Last start of a worker; NULL when there is no record of one',
    COMMENT COLUMN starts 'Starts of workers',
    COMMENT COLUMN recoveries 'Streams that were repaired after a crash',
    COMMENT COLUMN policy_id 'Policy of the last decision',
    COMMENT COLUMN policy_version 'Its version',
    COMMENT COLUMN policy_sha256 'Hash of its file',
    COMMENT COLUMN detector_pack_version 'Digest of the detector packs',
    COMMENT COLUMN engine_versions 'Versions of the detection engine',
    COMMENT COLUMN rulebook_digest 'Digest of everything that can change a decision',
    COMMENT COLUMN hmac_key_id 'Key of the fingerprints',
    COMMENT COLUMN clock_offset_ms 'Offset of the node''s clock, milliseconds; NULL = unknown',
    COMMENT COLUMN clock_source 'What the clock is synchronised to';

-- What was not seen, and why: requests read in part or not at all, tunnels that were passed, and other sensors' word.
-- What other sensors saw and this appliance did not read stands beside what it let pass unread itself.
CREATE VIEW IF NOT EXISTS inventory_coverage AS
SELECT
    toLowCardinality('proxy') AS layer,
    'observed' AS source,
    toString(e.provider_id) AS provider_id,
    ifNull(e.host, '') AS host,
    if(record_type = 'bypass', concat('tunnel: ', ifNull(e.reason_code, '')), arrayJoin(if(empty(e.uninspected_reason), ['unknown'], e.uninspected_reason))) AS reason,
    min(e.ts_received) AS first_seen,
    max(e.ts_received) AS last_seen,
    count() AS requests,
    countIf(decision = 'allow') AS allowed,
    uniq(e.subject_id) AS subjects,
    toUInt64(sum(ifNull(e.uninspected_bytes, 0))) AS uninspected_bytes,
    toUInt64(sum(ifNull(e.body_bytes, 0))) AS body_bytes
FROM events AS e
WHERE record_type = 'bypass' OR (record_type = 'decision' AND (inspection_status IS NULL OR inspection_status != 'full'))
GROUP BY provider_id, host, reason
UNION ALL
SELECT
    layer,
    'observed' AS source,
    '' AS provider_id,
    toString(domain) AS host,
    toString(c.reason_not_inspected) AS reason,
    min(c.at) AS first_seen,
    max(c.at) AS last_seen,
    toUInt64(greatest(0, sum(c.seen))) AS requests,
    toUInt64(0) AS allowed,
    uniqIf(c.subject_id, c.subject_id != '') AS subjects,
    toUInt64(greatest(0, sum(c.seen_bytes))) AS uninspected_bytes,
    toUInt64(0) AS body_bytes
FROM cov_observation AS c
WHERE NOT c.decrypted
GROUP BY layer, domain, reason
COMMENT 'Where the appliance is blind, by reason';

ALTER TABLE inventory_coverage
    COMMENT COLUMN layer 'proxy: seen by this appliance; dns, flow, edr ...: by another sensor',
    COMMENT COLUMN source 'declared, observed or both',
    COMMENT COLUMN provider_id 'Provider; empty when it is none',
    COMMENT COLUMN host 'Host; domain, for another sensor',
    COMMENT COLUMN reason 'Why it was not read; `tunnel: ...` for what was passed unread',
    COMMENT COLUMN first_seen 'First seen',
    COMMENT COLUMN last_seen 'Last seen',
    COMMENT COLUMN requests 'Requests; sightings, for another sensor',
    COMMENT COLUMN allowed 'Of those, let pass',
    COMMENT COLUMN subjects 'Subjects, about',
    COMMENT COLUMN uninspected_bytes 'Bytes that left unread, once for each reason',
    COMMENT COLUMN body_bytes 'Bytes of request bodies, once for each reason';

-- Where data flows: an edge for each step from who asks (role, agent) over tool and data class to model and provider. A tool and
-- a class are joined when one request holds both; `through_tools` counts those whose finding lay in a tool's call or result.
CREATE VIEW IF NOT EXISTS flow_graph AS
SELECT
    edge.1 AS from_kind,
    edge.2 AS from_id,
    edge.3 AS to_kind,
    edge.4 AS to_id,
    g.agent AS agent_id,
    g.role AS role,
    sum(g.requests) AS requests,
    sum(g.allowed) AS allowed,
    sumIf(g.requests, edge.1 = 'tool' AND edge.3 = 'data_class' AND has(g.tool_classes, edge.4)) AS through_tools,
    min(g.first_seen) AS first_seen,
    max(g.last_seen) AS last_seen
FROM
(
    SELECT
        multiIf(by_key != '', by_key, by_subject != '', by_subject, has(['claude-code', 'codex-cli', 'gemini-cli', 'gemini-code-assist', 'qwen-code', 'github-copilot', 'github-copilot-chat', 'cline', 'roo-code', 'kilo-code', 'kiro', 'amazon-q', 'continue', 'opencode', 'cursor', 'cursor-cli', 'windsurf', 'jetbrains-ai', 'aider', 'zed'], client), client, empty(x.tools), '', concat(if(client = '', 'unknown', client), ' of ', x.who)) AS agent,
        x.role AS role,
        x.tools AS tools,
        x.classes AS classes,
        x.tool_classes AS tool_classes,
        x.model AS model,
        x.provider AS provider,
        count() AS requests,
        countIf(x.decision = 'allow') AS allowed,
        min(x.ts) AS first_seen,
        max(x.ts) AS last_seen
    FROM
    (
        SELECT
        transform(ifNull(e.key_fp, ''), arrayPushFront((SELECT groupArray(fp) FROM (SELECT agent_id, arrayJoin(key_fps) AS fp FROM register_agent ORDER BY agent_id)), '-'), arrayPushFront((SELECT groupArray(agent_id) FROM (SELECT agent_id, arrayJoin(key_fps) AS fp FROM register_agent ORDER BY agent_id)), ''), '') AS by_key,
        transform(ifNull(e.subject_id, ''), arrayPushFront((SELECT groupArray(s) FROM (SELECT agent_id, arrayJoin(subject_ids) AS s FROM register_agent ORDER BY agent_id)), '-'), arrayPushFront((SELECT groupArray(agent_id) FROM (SELECT agent_id, arrayJoin(subject_ids) AS s FROM register_agent ORDER BY agent_id)), ''), '') AS by_subject,
        ifNull(e.agent_id, '') AS client,
            substring(ifNull(e.subject_id, 'nobody'), 1, 8) AS who,
            ifNull(e.role, '') AS role,
            arraySort(arrayDistinct(arrayConcat(e.tools_declared, e.hosted_tools, arrayMap(s -> concat('mcp:', s), e.mcp_servers)))) AS tools,
            arraySort(e.data_classes) AS classes,
            arraySort(arrayDistinct(arrayMap(m -> toString(m.data_class), arrayFilter(m -> m.provenance IN ('tool_args', 'tool_result'), e.matches)))) AS tool_classes,
            ifNull(e.model_requested, '') AS model,
            toString(e.provider_id) AS provider,
            toString(e.decision) AS decision,
            e.ts_received AS ts
        FROM events AS e
        WHERE record_type = 'decision' AND provider_id != ''
    ) AS x
    GROUP BY agent, role, tools, classes, tool_classes, model, provider
) AS g
ARRAY JOIN arrayConcat(
    if(g.agent = '', [], arrayMap(t -> ('agent', g.agent, 'tool', t), g.tools)),
    if(g.agent = '' OR notEmpty(g.tools), [], arrayMap(c -> ('agent', g.agent, 'data_class', c), g.classes)),
    if(g.agent != '' OR notEmpty(g.tools), [], arrayMap(c -> ('role', g.role, 'data_class', c), g.classes)),
    if(g.agent = '', [], [('role', g.role, 'agent', g.agent)]),
    arrayFlatten(arrayMap(t -> arrayMap(c -> ('tool', t, 'data_class', c), g.classes), g.tools)),
    if(empty(g.classes) AND notEmpty(g.tools), arrayMap(t -> ('tool', t, 'model', g.model), g.tools), []),
    if(notEmpty(g.classes) OR notEmpty(g.tools), [], [if(g.agent = '', ('role', g.role, 'model', g.model), ('agent', g.agent, 'model', g.model))]),
    arrayMap(c -> ('data_class', c, 'model', g.model), g.classes),
    [('model', g.model, 'provider', g.provider)]
) AS edge
GROUP BY from_kind, from_id, to_kind, to_id, agent_id, role
COMMENT 'Edges of the data flow: agent, tool, data class, model, provider';

ALTER TABLE flow_graph
    COMMENT COLUMN from_kind 'role, agent, tool, data_class or model',
    COMMENT COLUMN from_id 'Where the edge begins',
    COMMENT COLUMN to_kind 'agent, tool, data_class, model or provider',
    COMMENT COLUMN to_id 'Where it ends',
    COMMENT COLUMN agent_id 'Agent of the requests; empty when none is known',
    COMMENT COLUMN role 'Role of who asked; empty when none is known',
    COMMENT COLUMN requests 'Requests',
    COMMENT COLUMN allowed 'Of those, let pass',
    COMMENT COLUMN through_tools 'Tool to data class: requests in which the class was found in a tool''s call or result',
    COMMENT COLUMN first_seen 'First seen',
    COMMENT COLUMN last_seen 'Last seen';
