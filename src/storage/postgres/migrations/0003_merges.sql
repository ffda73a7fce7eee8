-- Persons that a merge deleted, and who took their place. By uuid first: a replay asks by it alone.
CREATE TABLE tributary_merged (
    team_id integer NOT NULL,
    uuid uuid NOT NULL,
    into_uuid uuid NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    merged_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (uuid, team_id)
);

-- The groups that the offsets' save changed: [{"teamId", "typeIndex", "key"}].
ALTER TABLE tributary_folded ADD COLUMN groups jsonb NOT NULL DEFAULT '[]';
