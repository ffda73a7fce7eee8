-- What a project's events may not do: all of them, or, with a distinct id, those of that id (`src/event/restriction.ts`).
CREATE TABLE tributary_restriction (
    team_id integer NOT NULL,
    restriction text NOT NULL CHECK (restriction IN ('drop', 'no_person_profile', 'overflow')),
    distinct_id text CHECK (distinct_id <> ''),
    created_at timestamptz NOT NULL DEFAULT now()
);
-- Without a distinct id, there is one of each kind.
CREATE UNIQUE INDEX tributary_restriction_once
    ON tributary_restriction (team_id, restriction, (coalesce(distinct_id, '')));
