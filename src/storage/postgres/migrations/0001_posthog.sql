-- PostHog's tables, where they are absent. A table that exists is PostHog's own and stays as it is, indexes too:
-- hence the blocks.

CREATE TABLE IF NOT EXISTS posthog_team (
  id serial PRIMARY KEY,
  uuid uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
  organization_id uuid,
  project_id bigint,
  name varchar(200) NOT NULL DEFAULT 'Default project',
  api_token varchar(200) NOT NULL UNIQUE,
  anonymize_ips boolean NOT NULL DEFAULT false,
  person_processing_opt_out boolean DEFAULT false,
  ingested_event boolean NOT NULL DEFAULT false,
  timezone varchar(240) NOT NULL DEFAULT 'UTC',
  drop_events_older_than interval,
  app_urls varchar(200)[] NOT NULL DEFAULT '{}',
  slack_incoming_webhook varchar(500),
  session_recording_opt_in boolean NOT NULL DEFAULT false,
  heatmaps_opt_in boolean,
  person_display_name_properties varchar(400)[],
  cookieless_server_hash_mode smallint,
  test_account_filters jsonb NOT NULL DEFAULT '[]',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

DO $$ BEGIN
  IF to_regclass('posthog_person') IS NULL THEN
    CREATE TABLE posthog_person (
      id bigserial PRIMARY KEY,
      created_at timestamptz NOT NULL,
      properties jsonb NOT NULL DEFAULT '{}',
      properties_last_updated_at jsonb,
      properties_last_operation jsonb,
      team_id integer NOT NULL,
      is_user_id integer,
      is_identified boolean NOT NULL DEFAULT false,
      uuid uuid NOT NULL,
      version bigint,
      last_seen_at timestamptz,
      CONSTRAINT check_properties_size CHECK (pg_column_size(properties) <= 655360)
    );
    CREATE INDEX posthog_person_team_id_uuid ON posthog_person (team_id, uuid);
  END IF;
END $$;

DO $$ BEGIN
  IF to_regclass('posthog_persondistinctid') IS NULL THEN
    CREATE TABLE posthog_persondistinctid (
      id bigserial PRIMARY KEY,
      team_id integer NOT NULL,
      person_id bigint NOT NULL REFERENCES posthog_person (id) DEFERRABLE INITIALLY DEFERRED,
      distinct_id varchar(400) NOT NULL,
      version bigint,
      CONSTRAINT "unique distinct_id for team" UNIQUE (team_id, distinct_id)
    );
    CREATE INDEX posthog_persondistinctid_person_id ON posthog_persondistinctid (person_id);
  END IF;
END $$;

CREATE TABLE IF NOT EXISTS posthog_group (
  id bigserial PRIMARY KEY,
  team_id integer NOT NULL,
  group_key varchar(400) NOT NULL,
  group_type_index integer NOT NULL,
  group_properties jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL,
  properties_last_updated_at jsonb NOT NULL DEFAULT '{}',
  properties_last_operation jsonb NOT NULL DEFAULT '{}',
  version bigint NOT NULL,
  CONSTRAINT "unique team_id/group_key/group_type_index combo" UNIQUE (team_id, group_key, group_type_index)
);

CREATE TABLE IF NOT EXISTS posthog_grouptypemapping (
  id bigserial PRIMARY KEY,
  team_id integer NOT NULL,
  project_id bigint NOT NULL,
  group_type varchar(400) NOT NULL,
  group_type_index integer NOT NULL,
  created_at timestamptz DEFAULT now(),
  CONSTRAINT "unique group types for team" UNIQUE (team_id, group_type),
  CONSTRAINT "unique event column indexes for team" UNIQUE (team_id, group_type_index),
  CONSTRAINT "group_type_index is less than or equal 5" CHECK (group_type_index <= 5)
);
