-- A model is often declared twice: by its name (its life, by the vendor) and by a pattern (approved, by the site). Of each field
-- the most specific row that says something about it counts.
CREATE OR REPLACE VIEW inventory_model AS
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
